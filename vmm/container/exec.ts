import { VmmError } from '../../base/errors.ts';
import type { ContainerSpec, ProcessSpec, WindowSize } from '../agent/spec.ts';
import { ALL_CAPABILITIES } from './capabilities.ts';
import { isRoot } from './spec.ts';

/** A command for a running container, as the user asked for it. */
export interface ExecOptions {
  readonly args: readonly string[];
  /** NAME=VALUE, over the container's. */
  readonly env: readonly string[];
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  /** All capabilities; the filter of system calls stays the container's. */
  readonly privileged: boolean;
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Its output goes nowhere. */
  readonly detach: boolean;
  readonly size?: WindowSize | undefined;
}

/** As Docker has it: the container's environment, user, directory, limits and walls, but for what is asked. Throws USAGE. */
export function execSpec(container: Omit<ContainerSpec, 'root'>, { args, env, user, cwd, privileged, stdin, tty, detach, size }: ExecOptions): ProcessSpec {
  if (args.length === 0 || args[0] === '') throw new VmmError('USAGE', 'no command specified', { hint: 'add it behind the container' });
  if (cwd !== undefined && !cwd.startsWith('/')) throw new VmmError('USAGE', `--workdir: ${cwd} is not an absolute path`, { hint: 'for example /tmp' });
  const who = user ?? container.user ?? '';
  const bounding = privileged ? ALL_CAPABILITIES : (container.capabilities?.bounding ?? 0n);
  const held = privileged || isRoot(who) ? bounding : 0n;
  const { groups, rlimits, seccomp, noNewPrivileges, oomScoreAdj } = container;
  return {
    args,
    env: execEnvironment(container, env, tty),
    cwd: cwd ?? container.cwd ?? '/',
    stdin,
    tty,
    stdout: !detach,
    stderr: !detach,
    capabilities: { bounding, effective: held, permitted: held, inheritable: 0n, ambient: 0n },
    ...(who === '' ? {} : { user: who }),
    ...(tty && size !== undefined ? { size } : {}),
    ...(groups === undefined ? {} : { groups }),
    ...(rlimits === undefined ? {} : { rlimits }),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(noNewPrivileges === undefined ? {} : { noNewPrivileges }),
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
  };
}

/** TERM is the terminal's matter: a command has it when it has one, or when somebody has said which. */
function execEnvironment(container: Pick<ContainerSpec, 'env' | 'tty'>, env: readonly string[], tty: boolean): string[] {
  const all = new Map<string, string>();
  const put = (entry: string): void => {
    const name = entry.split('=', 1)[0] as string;
    if (entry === name) all.delete(name);
    else all.set(name, entry);
  };
  for (const entry of container.env) put(entry);
  if (tty && !all.has('TERM')) put('TERM=xterm');
  if (!tty && container.tty === true && all.get('TERM') === 'TERM=xterm') all.delete('TERM');
  for (const entry of env) put(entry);
  return [...all.values()];
}

/** One of init's own commands in a container: with all rights there, as the host's hand, or with those of a user. */
export function builtinSpec(args: readonly string[], stdin: boolean, user = ''): ProcessSpec {
  const bounding = ALL_CAPABILITIES;
  const held = isRoot(user) ? bounding : 0n;
  return { args, env: [], cwd: '/', stdin, builtin: true, ...(user === '' ? {} : { user }), capabilities: { bounding, effective: held, permitted: held, inheritable: 0n, ambient: 0n } };
}

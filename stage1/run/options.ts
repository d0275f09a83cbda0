/** What `run` is called with, by every rkt from 0.8 on. */
import { Failure } from '../common/failure.ts';
import { type FlagKinds, isTrue, parseFlags, UUID } from '../common/flags.ts';

const KINDS: FlagKinds = {
  debug: 'boolean', net: 'string', 'private-net': 'boolean', interactive: 'boolean', 'private-users': 'string', 'mds-token': 'string', 'local-config': 'string', hostname: 'string', 'dns-conf-mode': 'string',
  'disable-capabilities-restriction': 'boolean', 'disable-paths': 'boolean', 'disable-seccomp': 'boolean', mutable: 'boolean', ipc: 'string',
};

export interface RunOptions {
  readonly uuid: string;
  readonly debug: boolean;
  readonly interactive: boolean;
  /** As `--net=LIST` has them; empty: `none`. */
  readonly networks: readonly NetworkName[];
  readonly mdsToken: string | undefined;
  readonly localConfig: string;
  readonly hostname: string;
  readonly resolv: string;
  readonly hosts: string;
  readonly insecure: { readonly capabilities: boolean; readonly paths: boolean; readonly seccomp: boolean };
  readonly mutable: boolean;
  /** For the user, a line each. */
  readonly notes: readonly string[];
}

export interface NetworkName {
  readonly name: string;
  /** `K=V;K=V`, for plugins. */
  readonly args: string;
}

/** Throws Failure. */
export function runOptions(argv: readonly string[]): RunOptions {
  const flags = parseFlags(argv, KINDS);
  const value = (name: string): string | undefined => flags.values.get(name);
  const uuid = flags.rest.at(-1) ?? '';
  if (!UUID.test(uuid)) throw new Failure(`the last argument is a pod's UUID, not ${JSON.stringify(uuid.slice(0, 100))}`);
  const notes = flags.unknown.map((name) => `flag --${name} is not known and ignored`);
  if (value('private-users') !== undefined) throw new Failure('flag --private-users cannot be used with an lkvm stage1, nor with this one: the guest’s kernel is its users’ wall');
  const ipc = value('ipc') ?? 'auto';
  if (ipc === 'parent') throw new Failure('--ipc=parent: the pod has a kernel of its own, there is no IPC with the host');
  if (!['auto', 'private', ''].includes(ipc)) throw new Failure(`--ipc=${ipc}: it is auto or private`);
  const mdsToken = value('mds-token');
  if (mdsToken !== undefined && !/^[0-9a-f]{1,64}$/.test(mdsToken)) throw new Failure('--mds-token: is no token: hex digits');
  const hostname = value('hostname') || `rkt-${uuid}`;
  if (!/^[\x21-\x7e]{1,64}$/.test(hostname)) throw new Failure(`--hostname: ${JSON.stringify(hostname.slice(0, 100))}: is no name of 1 to 64 characters`);
  const dns = dnsModes(value('dns-conf-mode') ?? '');
  return {
    uuid,
    debug: isTrue(flags, 'debug'),
    interactive: isTrue(flags, 'interactive'),
    networks: networksOf(value('net'), value('private-net'), notes),
    mdsToken,
    localConfig: value('local-config') || '/etc/rkt',
    hostname,
    ...dns,
    insecure: { capabilities: isTrue(flags, 'disable-capabilities-restriction'), paths: isTrue(flags, 'disable-paths'), seccomp: isTrue(flags, 'disable-seccomp') },
    mutable: isTrue(flags, 'mutable'),
    notes,
  };
}

const RESOLV = ['default', 'host', 'stage0', 'none'];

function dnsModes(text: string): { resolv: string; hosts: string } {
  const modes = { resolv: 'default', hosts: 'default' };
  for (const part of text.split(',').filter((each) => each !== '')) {
    const [key = '', mode = ''] = part.split('=');
    if (!(key === 'resolv' ? RESOLV : key === 'hosts' ? RESOLV.slice(0, 3) : []).includes(mode)) throw new Failure(`--dns-conf-mode: ${part} is not known`);
    modes[key as keyof typeof modes] = mode;
  }
  return modes;
}

/** rkt's grammar: `NAME[:ARGS],…`. 0.8 says `--private-net[=LIST]`, bare it is `all`, and nothing at all for the default. */
function networksOf(net: string | undefined, older: string | undefined, notes: string[]): NetworkName[] {
  if (net === undefined && older === undefined) notes.push('no --net: the pod gets the network "default", since it cannot use the host’s');
  const text = net ?? (older === undefined ? 'default' : older === 'true' ? 'all' : older);
  const seen = new Set<string>();
  const networks: NetworkName[] = [];
  for (const part of (text === '' ? 'default' : text).split(',')) {
    const [name = '', args = '', more] = part.split(':');
    if (name === '') throw new Failure('--net: netname must not be empty');
    if (more !== undefined) throw new Failure(`--net: network "${name}" provided with invalid arguments`);
    if (seen.has(name)) throw new Failure(`--net: found duplicate netname "${name}"`);
    if (args !== '' && (name === 'host' || name === 'all')) throw new Failure('--net: arguments are not supported by special netname');
    seen.add(name);
    if (name !== 'none') networks.push({ name, args });
  }
  if (seen.has('host')) throw new Failure('--net=host: the pod has a kernel of its own and cannot use the host’s network: use the default network with --port, or --net=none');
  if (seen.has('none') && seen.size > 1) throw new Failure('--net: none cannot be combined with other networks');
  return networks;
}

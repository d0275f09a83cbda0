/** `attach --action=list|auto-attach|custom-attach [--stdin=B …] --app=APP --debug=B`, in the directory of a pod that runs. */
import { readFileSync } from 'node:fs';
import { ask } from './control/client.ts';
import { converse } from './control/converse.ts';
import { Failure } from './common/failure.ts';
import { isTrue, parseFlags } from './common/flags.ts';

const FLAGS = ['tty-in', 'tty-out', 'stdin', 'stdout', 'stderr'] as const;

export async function attach(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, { action: 'string', app: 'string', debug: 'boolean', ...Object.fromEntries(FLAGS.map((name) => [name, 'boolean'] as const)) });
  const app = flags.values.get('app') ?? '';
  const action = flags.values.get('action') ?? 'auto-attach';
  // An ACName: it cannot lead out of the folder.
  if (!/^[a-z0-9]+([-][a-z0-9]+)*$/.test(app)) throw new Failure('attach: --app: is missing, or no name of an app');
  const endpoints = targetsOf(app);
  if (action === 'list') {
    process.stdout.write(`${JSON.stringify(endpoints, undefined, 2)}\n`);
    return 0;
  }
  const has = (name: string): boolean => endpoints.targets.some((target) => target.name === name);
  const on = (name: string): boolean => isTrue(flags, name);
  if (action !== 'auto-attach' && action !== 'custom-attach') throw new Failure(`attach: --action=${action} is not known`);
  const wanted = action === 'auto-attach'
    ? { stdin: has('stdin') || has('tty'), stdout: has('stdout') || has('tty'), stderr: has('stderr') }
    : { stdin: on('stdin') || on('tty-in'), stdout: on('stdout') || on('tty-out'), stderr: on('stderr') };
  const { stdout } = process;
  const socket = await ask({ kind: 'attach', app, ...wanted, rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 });
  return converse(socket, { tty: has('tty') && process.stdin.isTTY === true, input: wanted.stdin, signals: false, leaves: true });
}

interface Endpoints {
  readonly version: number;
  readonly targets: readonly { readonly name: string }[];
}

function targetsOf(app: string): Endpoints {
  try {
    return JSON.parse(readFileSync(`stage1/rootfs/rkt/iottymux/${app}/endpoints`, 'utf8')) as Endpoints;
  } catch {
    throw new Failure(`app ${app} cannot be attached to: run it with --stdin=stream, --stdout=stream, --stderr=stream, or tty`);
  }
}

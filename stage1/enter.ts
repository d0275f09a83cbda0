/** `enter --pid=PID --appname=APP -- CMD ARG…`, in the pod's directory: runs a command in an app. */
import { ask } from './control/client.ts';
import { converse } from './control/converse.ts';
import { Failure } from './common/failure.ts';
import { parseFlags } from './common/flags.ts';

export async function enter(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, { debug: 'boolean', pid: 'string', appname: 'string' });
  const app = flags.values.get('appname') ?? '';
  const args = flags.rest;
  if (app === '') throw new Failure('enter without --appname: this stage1 has no context of its own to run commands in');
  if (args.length === 0) throw new Failure('enter without a command');
  const { stdin, stdout } = process;
  const tty = stdin.isTTY === true && stdout.isTTY === true;
  const socket = await ask({ kind: 'exec', app, args, tty, rows: stdout.rows ?? 24, columns: stdout.columns ?? 80, term: process.env['TERM'] });
  return converse(socket, { tty, input: true, signals: true, leaves: false });
}

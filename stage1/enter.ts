/** `enter --pid=PID --appname=APP -- CMD ARG…`, in the pod's directory: runs a command in an app. */
import { ask } from './control/client.ts';
import { EXIT, FAILED, FrameReader, frame, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT } from './control/frames.ts';
import { Failure } from './common/failure.ts';
import { parseFlags } from './common/flags.ts';

const PASSED: readonly (readonly [NodeJS.Signals, number])[] = [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1], ['SIGQUIT', 3]];
/** Bytes of standard input on their way before its source has to wait. */
const AHEAD = 1 << 18;

export async function enter(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, { debug: 'boolean', pid: 'string', appname: 'string' });
  const app = flags.values.get('appname') ?? '';
  const args = flags.rest;
  if (app === '') throw new Failure('enter without --appname: this stage1 has no context of its own to run commands in');
  if (args.length === 0) throw new Failure('enter without a command');
  const { stdin, stdout, stderr } = process;
  const tty = stdin.isTTY === true && stdout.isTTY === true;
  const socket = await ask({ kind: 'exec', app, args, tty, rows: stdout.rows ?? 24, columns: stdout.columns ?? 80, term: process.env['TERM'] });
  for (const [name, number] of PASSED) process.on(name, () => socket.write(frame(SIGNAL, number32(number))));
  if (tty) {
    stdin.setRawMode(true);
    process.on('SIGWINCH', () => {
      const size = Buffer.alloc(4);
      size.writeUInt16LE(stdout.rows, 0);
      size.writeUInt16LE(stdout.columns, 2);
      socket.write(frame(RESIZE, size));
    });
  }
  stdin.on('data', (bytes: Buffer) => {
    socket.write(frame(STDIN, bytes));
    if (socket.writableLength < AHEAD) return;
    stdin.pause();
    socket.once('drain', () => stdin.resume());
  });
  stdin.on('end', () => socket.write(frame(STDIN)));
  stdin.on('error', () => {});
  const reader = new FrameReader();
  try {
    return await new Promise<number>((resolve, reject) => {
      const put = (stream: NodeJS.WriteStream, bytes: Buffer): void => {
        // What nobody reads any more is dropped: the command's status still counts.
        if (stream.writable && !stream.write(bytes)) {
          socket.pause();
          stream.once('drain', () => socket.resume());
        }
      };
      for (const stream of [stdout, stderr]) stream.on('error', () => socket.resume());
      socket.on('data', (chunk: Buffer) => {
        for (const { kind, payload } of reader.push(chunk)) {
          if (kind === STDOUT) put(stdout, payload);
          else if (kind === STDERR) put(stderr, payload);
          else if (kind === EXIT) resolve(payload.readUInt32LE(0));
          else if (kind === FAILED) reject(new Failure(payload.toString()));
        }
      });
      socket.on('error', () => {});
      socket.on('close', () => reject(new Failure('the pod ended')));
    });
  } finally {
    if (tty) stdin.setRawMode(false);
    socket.destroy();
    stdin.destroy();
  }
}

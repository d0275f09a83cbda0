/** The client's side of a command or app that it is joined to: standard streams, signals, and the terminal's size. */
import type { Socket } from 'node:net';
import { Failure } from '../common/failure.ts';
import { EXIT, FAILED, FrameReader, frame, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT } from './frames.ts';

const PASSED: readonly (readonly [NodeJS.Signals, number])[] = [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1], ['SIGQUIT', 3]];
/** Bytes of standard input on their way before its source has to wait. */
const AHEAD = 1 << 18;

/** Resolves with the status that the pod gives; rejects with Failure. `input`: standard input goes there. */
export async function converse(socket: Socket, { tty, input, signals }: { readonly tty: boolean; readonly input: boolean; readonly signals: boolean }): Promise<number> {
  const { stdin, stdout } = process;
  // A command of ours gets them; of an app's streams one takes leave by them.
  if (signals) for (const [name, number] of PASSED) process.on(name, () => socket.write(frame(SIGNAL, number32(number))));
  if (tty) {
    stdin.setRawMode(true);
    process.on('SIGWINCH', () => {
      const size = Buffer.alloc(4);
      size.writeUInt16LE(stdout.rows, 0);
      size.writeUInt16LE(stdout.columns, 2);
      socket.write(frame(RESIZE, size));
    });
  }
  if (input) sendInput(socket);
  try {
    return await receive(socket);
  } finally {
    if (tty) stdin.setRawMode(false);
    socket.destroy();
    stdin.destroy();
  }
}

function sendInput(socket: Socket): void {
  const { stdin } = process;
  stdin.on('data', (bytes: Buffer) => {
    socket.write(frame(STDIN, bytes));
    if (socket.writableLength < AHEAD) return;
    stdin.pause();
    socket.once('drain', () => stdin.resume());
  });
  stdin.on('end', () => socket.write(frame(STDIN)));
  stdin.on('error', () => {});
}

function receive(socket: Socket): Promise<number> {
  const { stdout, stderr } = process;
  const reader = new FrameReader();
  // What nobody reads any more is dropped: the command's status still counts.
  const put = (stream: NodeJS.WriteStream, bytes: Buffer): void => {
    if (!stream.writable || stream.write(bytes)) return;
    socket.pause();
    stream.once('drain', () => socket.resume());
  };
  for (const stream of [stdout, stderr]) stream.on('error', () => socket.resume());
  return new Promise((resolve, reject) => {
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
}

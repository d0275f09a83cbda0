/** The client's side of a command or app that it is joined to: standard streams, signals, and the terminal's size. */
import type { Socket } from 'node:net';
import { Failure } from '../common/failure.ts';
import { LeaveKeys } from './leave-keys.ts';
import { EXIT, FAILED, FrameReader, frame, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT } from './frames.ts';

const PASSED: readonly (readonly [NodeJS.Signals, number])[] = [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1], ['SIGQUIT', 3]];
/** Bytes of standard input on their way before its source has to wait. */
const AHEAD = 1 << 18;

interface Part {
  /** Our terminal is the command's. */
  readonly tty: boolean;
  /** Standard input goes there. */
  readonly input: boolean;
  readonly signals: boolean;
  /** With a terminal one can leave, with status 0, by LeaveKeys. */
  readonly leaves: boolean;
}

/** Resolves with the status that the pod gives, or 0 when the user leaves; rejects with Failure. */
export async function converse(socket: Socket, { tty, input, signals, leaves }: Part): Promise<number> {
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
  const left = Promise.withResolvers<number>();
  const keys = tty && leaves ? new LeaveKeys((bytes) => send(socket, bytes), () => left.resolve(0)) : undefined;
  if (input) sendInput(socket, keys);
  try {
    return await Promise.race([receive(socket), left.promise]);
  } finally {
    if (tty) stdin.setRawMode(false);
    socket.destroy();
    stdin.destroy();
  }
}

function sendInput(socket: Socket, keys: LeaveKeys | undefined): void {
  const { stdin } = process;
  stdin.on('data', (bytes: Buffer) => (keys === undefined ? send(socket, bytes) : keys.typed(bytes)));
  stdin.on('end', () => {
    keys?.end();
    socket.write(frame(STDIN));
  });
  stdin.on('error', () => {});
}

function send(socket: Socket, bytes: Buffer): void {
  const { stdin } = process;
  socket.write(frame(STDIN, bytes));
  if (socket.writableLength < AHEAD || stdin.isPaused()) return;
  stdin.pause();
  socket.once('drain', () => stdin.resume());
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

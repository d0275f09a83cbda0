import { connect, type Socket } from 'node:net';
import { Failure } from '../common/failure.ts';
import { DONE, FAILED, type Request, FrameReader, frame, REQUEST, SOCKET, VERSION } from './frames.ts';

export type Asked = Request extends infer R ? (R extends { version: number } ? Omit<R, 'version'> : never) : never;

/** Connects to the pod in the working directory and asks. Rejects with Failure when nobody answers. */
export function ask(request: Asked): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: SOCKET });
    socket.once('error', (error: NodeJS.ErrnoException) => reject(new Failure(`the pod does not answer on ${process.cwd()}/${SOCKET}: ${error.code ?? error.message}: does it run?`)));
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      socket.write(frame(REQUEST, Buffer.from(JSON.stringify({ version: VERSION, ...request }))));
      resolve(socket);
    });
  });
}

/** Asks for something that has no output; rejects with Failure where it is refused. */
export async function askOnce(request: Asked): Promise<void> {
  const socket = await ask(request);
  const reader = new FrameReader();
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      for (const { kind, payload } of reader.push(chunk)) {
        if (kind === DONE) resolve();
        else if (kind === FAILED) reject(new Failure(payload.toString()));
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => reject(new Failure('the pod ended before it answered')));
  });
  socket.destroy();
}

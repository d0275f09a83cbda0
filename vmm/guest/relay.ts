/** A connection of the host that goes on in a guest, by init's own command `connect`. */
import type { Socket } from 'node:net';
import type { Consumer } from '../agent/process.ts';

/** What of a process is needed: of this process's own guest, or of another's. */
export interface Relayed {
  /** `write`: false when nobody reads any more. */
  readonly stdin: { write(bytes: Uint8Array): Promise<boolean>; end(): Promise<void> };
  onStdout(consumer: Consumer): void;
  onStderr(consumer: Consumer): void;
  closeStdout(): void;
  closeStderr(): void;
  signal(signal: number): Promise<void>;
  wait(): Promise<{ readonly status: number }>;
}

const SIGKILL = 9;

/** Carries bytes both ways until both have ended, or one side is gone; the other is told as a kernel would tell it. */
export function relay(socket: Socket, process: Relayed): void {
  let over = false;
  const gone = (): void => {
    if (over) return;
    over = true;
    process.closeStdout();
    process.closeStderr();
    process.signal(SIGKILL).catch(() => {});
  };
  if (socket.destroyed) {
    gone();
    return;
  }
  socket.on('close', gone);
  process.onStderr(() => {});
  process.onStdout((bytes) => {
    if (socket.destroyed || socket.write(Buffer.from(bytes))) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.once('drain', done).once('close', done);
    return promise;
  });
  process.wait().then(({ status }) => {
    over = true;
    // Nobody listens there, or the connection broke.
    if (status === 0) socket.end(() => socket.destroy());
    else socket.resetAndDestroy();
  }, () => socket.resetAndDestroy());
  void send(socket, process);
}

async function send(socket: Socket, process: Relayed): Promise<void> {
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (!(await process.stdin.write(chunk))) return;
    }
    await process.stdin.end();
  } catch {
    // Its close tells the rest.
  }
}

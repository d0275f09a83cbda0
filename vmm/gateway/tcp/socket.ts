/** A connection's socket on the host. */
import { Socket } from 'node:net';
import type { Connection } from './connection.ts';
import { type HostEnd, READ_SIZE } from './ends.ts';

/** Every socket reads into it: what it holds is taken before the next one reads. */
const READ_BUFFER = new Uint8Array(new ArrayBuffer(READ_SIZE));
/** Shorter ones are copied: they would hold a buffer that is much longer. */
const COPY_BELOW = READ_SIZE / 2;

/** The buffer that the guest's frames are put into, one after the other. */
export interface InputBuffer {
  /** It is needed longer: the next frame goes into another. */
  keep(): void;
}

/** What the buffer of `onread` brings for whichever connection. */
interface Target {
  connection: Connection | undefined;
}

type WithHandle = Socket & { readonly _handle?: unknown };

/** A socket that reads into the common buffer. `handle`: of one that was accepted. */
export function hostSocket(target: Target, handle?: unknown): Socket {
  const onread = {
    buffer: READ_BUFFER,
    callback: (count: number): boolean => target.connection?.data(READ_BUFFER.subarray(0, count)) ?? false,
  };
  // Node's own net.connect hands the options on to the constructor, whose type does not know them all.
  const options = { allowHalfOpen: true, onread, ...(handle === undefined ? {} : { handle }) };
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
}

/** An accepted socket's handle in a new one, which reads into the common buffer. Where this Node has no such thing: undefined. */
export function adopt(accepted: Socket, target: Target): Socket | undefined {
  const holder = accepted as { -readonly [K in keyof WithHandle]: WithHandle[K] };
  const handle = holder._handle;
  if (handle === undefined || handle === null) return undefined;
  holder._handle = null;
  const socket = hostSocket(target, handle);
  // Without a handle it is an empty shell, which its server stops counting.
  accepted.destroy();
  return socket;
}

export class SocketEnd implements HostEnd {
  readonly socket: Socket;
  readonly #input: InputBuffer;
  readonly #drained: () => void;

  /** `failed`: it has ended with an error, or was closed. */
  constructor(socket: Socket, input: InputBuffer, connection: Pick<Connection, 'drained' | 'ended'>, failed: (code: string) => void) {
    this.socket = socket;
    this.#input = input;
    this.#drained = () => connection.drained();
    socket.setNoDelay(true);
    socket.on('end', () => connection.ended());
    socket.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? 'EIO'));
  }

  get waiting(): number {
    return this.socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    const { socket } = this;
    if (socket.destroyed) return;
    const short = bytes.length < COPY_BELOW;
    socket.write(short ? bytes.slice() : bytes, this.#drained);
    // Where nothing waits the kernel has them.
    if (!short && socket.writableLength > 0) this.#input.keep();
  }

  end(): void {
    if (!this.socket.destroyed) this.socket.end();
  }

  reset(): void {
    const { socket } = this;
    // One that is being dialled has nobody to tell.
    if (socket.connecting) socket.destroy();
    else if (!socket.destroyed) socket.resetAndDestroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}

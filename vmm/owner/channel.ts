import type { Socket } from 'node:net';
import { type Frame, FrameReader, frame } from './frames.ts';
import { sent } from './sent.ts';

/** One end of a conversation in frames. */
export class Channel {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #todo: Frame[] = [];
  #handle: ((frame: Frame) => void | Promise<void>) | undefined;
  #whenClosed: (() => void) | undefined;
  #closed: boolean;
  #busy = false;
  #over = false;

  /** `first`: bytes that came with the line before. */
  constructor(socket: Socket, first: Buffer) {
    this.#socket = socket;
    this.#closed = socket.closed;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.once('close', () => {
      this.#closed = true;
      this.#work();
    });
    if (first.length > 0) this.#take(first);
  }

  /** Frames go there one after the other; while a promise is open nothing more is read. */
  onFrame(handle: (frame: Frame) => void | Promise<void>): void {
    this.#handle = handle;
    this.#work();
  }

  /** Once, however it ends, when all frames that had come are handled. */
  onClose(handler: () => void): void {
    this.#whenClosed = handler;
    this.#work();
  }

  /** A promise where the other end is behind: until it has taken the frame, or is gone. */
  send(kind: number, payload?: Uint8Array): Promise<void> | undefined {
    return this.#over ? undefined : sent(this.#socket, frame(kind, payload));
  }

  /** The last frame. */
  end(kind: number, payload?: Uint8Array): void {
    if (!this.#over) this.#socket.end(frame(kind, payload));
    this.#over = true;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      this.#todo.push(...this.#reader.push(chunk));
    } catch {
      this.destroy();
      return;
    }
    this.#work();
  }

  #work(): void {
    while (!this.#busy && this.#handle !== undefined) {
      const next = this.#todo.shift();
      if (next === undefined) {
        if (!this.#closed) this.#socket.resume();
        else if (this.#whenClosed !== undefined) {
          const handler = this.#whenClosed;
          this.#whenClosed = undefined;
          handler();
        }
        return;
      }
      const work = this.#handle(next);
      if (work === undefined) continue;
      this.#busy = true;
      this.#socket.pause();
      void work.finally(() => {
        this.#busy = false;
        this.#work();
      });
    }
    if (this.#todo.length > 0) this.#socket.pause();
  }
}

import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Listener, Stream, Transport } from '../../../vmm/agent/index.ts';

/** A node:net socket as the session's Stream: the chunk's promise is the flow control. */
class UnixStream implements Stream {
  readonly #socket: Socket;
  readonly #onEnd: (() => void)[] = [];
  readonly #onClose: ((error?: Error) => void)[] = [];
  #consuming: Promise<void> = Promise.resolve();
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('end', () => {
      this.#consuming.then(() => {
        for (const callback of this.#onEnd) callback();
      });
    });
    socket.on('close', () => {
      this.#consuming.then(() => {
        for (const callback of this.#onClose) callback(this.#error);
      });
    });
  }

  onData(consumer: (chunk: Uint8Array) => void | Promise<void>): void {
    this.#socket.on('data', (chunk: Buffer) => {
      const result = consumer(chunk);
      if (result === undefined) return;
      this.#socket.pause();
      this.#consuming = Promise.all([this.#consuming, result]).then(() => {
        this.#socket.resume();
      });
    });
  }

  onEnd(callback: () => void): void {
    this.#onEnd.push(callback);
  }

  onClose(callback: (error?: Error) => void): void {
    this.#onClose.push(callback);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Listens on DIRECTORY/PORT, where init's --test-socket connects. */
export class UnixTransport implements Transport {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  listen(port: number, onConnection: (stream: Stream) => void): Listener {
    const server = createServer({ allowHalfOpen: true }, (socket) => onConnection(new UnixStream(socket)));
    server.listen(join(this.directory, String(port)));
    return { close: () => server.close() };
  }
}

/** A port of a sandbox on the host, whatever its network: each connection goes through the guest's init to the sandbox's own loopback interface. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { VmmError } from '../../base/errors.ts';
import { relay } from '../guest/relay.ts';
import type { Box } from './box.ts';

/** Connections at once; one more is closed. */
const MAX_CONNECTIONS = 64;

export interface ExposeOptions {
  /** Of the host; 127.0.0.1. */
  readonly host?: string | undefined;
  /** Of the host's; any that is free. */
  readonly port?: number | undefined;
  /** Closes it. */
  readonly signal?: AbortSignal | undefined;
}

/** A port that is open until `close`, or the sandbox's end. */
export class ExposedPort implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT`. */
  readonly url: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #over = new AbortController();

  private constructor(server: Server, sockets: Set<Socket>) {
    const { address, port, family } = server.address() as AddressInfo;
    this.host = address;
    this.port = port;
    this.url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    this.#server = server;
    this.#sockets = sockets;
  }

  /** Throws NET_PORT, USAGE. */
  static async open(box: Box, guest: number, { host = '127.0.0.1', port = 0, signal }: ExposeOptions): Promise<ExposedPort> {
    signal?.throwIfAborted();
    for (const number of [guest, port]) if (!Number.isInteger(number) || number < (number === guest ? 1 : 0) || number > 65535) throw new VmmError('USAGE', `expose: ${number} is no port`, { hint: 'a number from 1 to 65535' });
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => {});
      box.builtin(['connect', `${guest}`], true).then((process) => relay(socket, process), () => socket.resetAndDestroy());
    });
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => reject(new VmmError('NET_PORT', `port ${port} of ${host} cannot be taken: ${cause.code ?? 'error'}`, { cause, hint: 'leave port away: any that is free' })));
      server.listen({ host, port }, resolve);
    });
    const exposed = new ExposedPort(server, sockets);
    void box.ended().then(() => exposed.close());
    signal?.addEventListener('abort', () => void exposed.close(), { once: true, signal: exposed.#over.signal });
    return exposed;
  }

  /** No connection is left. */
  async close(): Promise<void> {
    this.#over.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

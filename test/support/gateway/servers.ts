/** What the host has on its loopback, for a guest of the gateway's to talk to. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pattern } from './pattern.ts';

export const SOURCE_PORT = 9001;
export const SINK_PORT = 9002;
export const ECHO_PORT = 9003;
export const RESET_PORT = 9004;
export const LAZY_PORT = 9005;
export const HALF_PORT = 9006;
export const CLOSED_PORT = 9;
/** Nobody takes what the client of LAZY_PORT sends before this long, ms. */
const LAZY_MS = 1500;

function* parts(bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes; at += 1 << 16) yield pattern(at, Math.min(1 << 16, bytes - at));
}

/** Reads to the end, then says what it was. */
async function sink(socket: Socket, wait: number): Promise<void> {
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of socket) {
    hash.update(part as Buffer);
    bytes += (part as Buffer).length;
  }
  socket.end(`${bytes} ${hash.digest('hex')}`);
}

/** All of them, on both loopbacks. `bytes`: what SOURCE_PORT gives. */
export async function startServers(bytes: number): Promise<Server[]> {
  const serve = (port: number, work: (socket: Socket) => void): Promise<Server[]> => Promise.all(['127.0.0.1', '::1'].map(async (host) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: port === LAZY_PORT }, (socket) => {
      socket.on('error', () => {});
      work(socket);
    });
    server.listen({ port, host, backlog: 4096 });
    await once(server, 'listening');
    return server;
  }));
  for (const type of ['udp4', 'udp6'] as const) {
    const echo = createSocket(type);
    echo.on('message', (message, { port, address }) => echo.send(message, port, address));
    echo.bind(ECHO_PORT, type === 'udp4' ? '127.0.0.1' : '::1');
    await once(echo, 'listening');
  }
  return (await Promise.all([
    serve(SOURCE_PORT, (socket) => void Readable.from(parts(bytes), { objectMode: false }).pipe(socket)),
    serve(SINK_PORT, (socket) => void sink(socket, 0).catch(() => {})),
    serve(ECHO_PORT, (socket) => void socket.pipe(socket)),
    serve(RESET_PORT, (socket) => socket.once('data', () => socket.resetAndDestroy())),
    serve(LAZY_PORT, (socket) => void sink(socket, LAZY_MS).catch(() => {})),
    // Ends its half at once, and listens on.
    serve(HALF_PORT, (socket) => {
      socket.end('over');
      socket.resume();
    }),
  ])).flat();
}

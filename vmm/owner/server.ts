import { createServer, type Socket } from 'node:net';
import { askOf } from './asks.ts';
import { Channel } from './channel.ts';
import { type Answer, type Ask, MAX_LINE, PROTOCOL_VERSION } from './protocol.ts';
import { withSocketPath } from './socket.ts';

type Body<T> = T extends { version: number } ? Omit<T, 'version'> : never;
/** `go`: the conversation goes on, in frames. */
export type Reply = Body<Answer> & { readonly go?: ((channel: Channel) => void) | undefined };
/** Never rejects. */
export type Handler = (ask: Ask) => Promise<Reply>;

/** The owner's socket; `close` ends it once all answers are on their way. */
export interface OwnerServer {
  close(): Promise<void>;
}

/** Clients at once. */
const MAX_CLIENTS = 512;
/** How long clients may take to read their last answer, ms. */
const LAST_MS = 1000;

/** Listens on a socket. */
export async function serve(path: string, handle: Handler): Promise<OwnerServer> {
  const open = new Set<Promise<void>>();
  const server = createServer((socket) => {
    const work = converse(socket, handle).finally(() => open.delete(work));
    open.add(work);
  });
  server.maxConnections = MAX_CLIENTS;
  const { close } = await new Promise<{ close(): void }>((resolve, reject) => {
    server.once('error', reject);
    const { close } = withSocketPath(path, (short) => server.listen(short, () => resolve({ close })));
  });
  // One client less, at worst.
  server.on('error', () => {});
  return {
    close: async () => {
      // The name goes at once: who is told of the end finds no socket.
      server.close();
      close();
      await Promise.race([Promise.all(open), new Promise((resolve) => setTimeout(resolve, LAST_MS))]);
    },
  };
}

/** Answers what comes on a socket; resolves when it is closed. */
function converse(socket: Socket, handle: Handler): Promise<void> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    const take = (chunk: Buffer): void => {
      const end = chunk.indexOf(10);
      length += chunk.length;
      chunks.push(chunk);
      if (end < 0 && length <= MAX_LINE) return;
      socket.off('data', take);
      socket.pause();
      const all = Buffer.concat(chunks);
      const line = end < 0 ? all : all.subarray(0, all.length - chunk.length + end);
      void reply(line.toString(), handle).then(({ go, ...answer }) => {
        const text = `${JSON.stringify({ version: PROTOCOL_VERSION, ...answer })}\n`;
        if (go === undefined) {
          socket.end(text);
          socket.resume();
        } else {
          socket.write(text);
          go(new Channel(socket, all.subarray(line.length + 1)));
        }
      });
    };
    socket.on('data', take);
  });
}

async function reply(line: string, handle: Handler): Promise<Reply> {
  let asked: { readonly version?: unknown } | null | undefined;
  try {
    asked = JSON.parse(line) as typeof asked;
  } catch {
    // told below
  }
  const refused = (message: string): Reply => ({ done: false, code: 'OWNER_REFUSED', message });
  if (asked?.version !== PROTOCOL_VERSION) return refused(`the container belongs to a vmm whose protocol is ${PROTOCOL_VERSION}, not ${typeof asked?.version === 'number' ? asked.version : 'this'}`);
  const ask = askOf(asked);
  return ask === undefined ? refused('the container’s process does not understand that request') : handle(ask);
}

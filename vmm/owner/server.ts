import { createServer, type Socket } from 'node:net';
import { type Answer, type Ask, MAX_LINE, PROTOCOL_VERSION } from './protocol.ts';
import { withSocketPath } from './socket.ts';

type Body<T> = T extends { version: number } ? Omit<T, 'version'> : never;
export type Reply = Body<Answer>;

/** The owner's socket; `close` ends it once all answers are on their way. */
export interface OwnerServer {
  close(): Promise<void>;
}

/** Listens on a socket. `handle` never rejects. */
export async function serve(path: string, handle: (ask: Ask) => Promise<Reply>): Promise<OwnerServer> {
  const open = new Set<Promise<void>>();
  const server = createServer((socket) => {
    const work = converse(socket, handle).finally(() => open.delete(work));
    open.add(work);
  });
  const { close } = await new Promise<{ close(): void }>((resolve, reject) => {
    server.once('error', reject);
    const { close } = withSocketPath(path, (short) => server.listen(short, () => resolve({ close })));
  });
  return {
    close: async () => {
      await Promise.race([Promise.all(open), new Promise((resolve) => setTimeout(resolve, LAST_MS))]);
      server.close();
      close();
    },
  };
}

/** How long clients may take to read their last answer, ms. */
const LAST_MS = 1000;

function converse(socket: Socket, handle: (ask: Ask) => Promise<Reply>): Promise<void> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= MAX_LINE) return;
      socket.removeAllListeners('data');
      socket.resume();
      void reply(text.slice(0, Math.max(end, 0)), handle).then((answer) => socket.end(`${JSON.stringify({ version: PROTOCOL_VERSION, ...answer })}\n`));
    });
  });
}

async function reply(line: string, handle: (ask: Ask) => Promise<Reply>): Promise<Reply> {
  let asked: (Ask & { version?: unknown }) | undefined;
  try {
    asked = JSON.parse(line) as Ask;
  } catch {
    // told below
  }
  if (asked?.version !== PROTOCOL_VERSION) return { done: false, code: 'OWNER_REFUSED', message: `the container belongs to a vmm whose protocol is ${PROTOCOL_VERSION}, not ${typeof asked?.version === 'number' ? asked.version : 'this'}` };
  return handle(asked);
}

/** What a guest of the gateway's does, as a program: operations as JSON in the first argument, one after the other; results as JSON. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { pattern } from './pattern.ts';

export type Operation =
  | { readonly op: 'get'; readonly host: string; readonly port: number; /** Milliseconds between two reads. */ readonly slow?: number }
  /** Sends, ends its half, and gives what comes back. */
  | { readonly op: 'put'; readonly host: string; readonly port: number; readonly bytes: number }
  | { readonly op: 'many'; readonly host: string; readonly port: number; readonly count: number; readonly parallel: number }
  | { readonly op: 'datagrams'; readonly host: string; readonly port: number; readonly count: number; readonly size: number }
  /** Connects so often at once: how many are refused, and how many still wait after a time. They are kept. */
  | { readonly op: 'dial'; readonly host: string; readonly port: number; readonly count: number; readonly ms: number }
  /** Connects so often, and never reads: how many are there. They are kept. */
  | { readonly op: 'hoard'; readonly host: string; readonly port: number; readonly count: number }
  /** Asks for so many names at once: how many answers there were, by their response code. */
  | { readonly op: 'ask'; readonly server: string; readonly count: number }
  /** A datagram to each of so many ports. */
  | { readonly op: 'spray'; readonly host: string; readonly count: number }
  | { readonly op: 'resolve'; readonly server: string; readonly name: string; readonly type: string };

const failed = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

async function read(socket: Socket, slow: number): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of socket) {
    hash.update(part as Buffer);
    bytes += (part as Buffer).length;
    if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow));
  }
  return `${bytes} ${hash.digest('hex')}`;
}

async function get({ host, port, slow = 0 }: Operation & { op: 'get' }): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true });
  const result = await read(socket, slow);
  socket.end();
  return result;
}

async function put({ host, port, bytes }: Operation & { op: 'put' }): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true });
  for (let at = 0; at < bytes; at += 1 << 16) if (!socket.write(pattern(at, Math.min(1 << 16, bytes - at)))) await once(socket, 'drain');
  socket.end();
  let text = '';
  for await (const part of socket) text += (part as Buffer).toString();
  return text;
}

async function many({ host, port, count, parallel }: Operation & { op: 'many' }): Promise<string> {
  let [left, good] = [count, 0];
  const start = performance.now();
  const work = async (): Promise<void> => {
    while (left-- > 0) {
      const socket = connect({ host, port });
      const question = `question ${left}`;
      socket.write(question);
      let text = '';
      socket.on('data', (part: Buffer) => {
        text += part.toString();
        if (text.length >= question.length) socket.end();
      });
      await once(socket, 'close');
      if (text === question) good++;
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  if (process.env['BED_RATES'] !== undefined) process.stderr.write(`${Math.round((count * 1000) / (performance.now() - start))}/s\n`);
  return `${good}`;
}

/** How many came back as they were sent; each is sent until it does. */
async function datagrams({ host, port, count, size }: Operation & { op: 'datagrams' }): Promise<string> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  let good = 0;
  for (let i = 0; i < count; i++) {
    const question = Buffer.from(pattern(i, size));
    for (let attempt = 0; attempt < 20; attempt++) {
      socket.send(question);
      // An answer may come twice: those to earlier questions are not looked at.
      const answered = new Promise<boolean>((resolve) => {
        const look = (answer: Buffer): void => void (question.equals(answer) && end(true));
        const timer = setTimeout(() => end(false), 500);
        const end = (good: boolean): void => {
          clearTimeout(timer);
          socket.off('message', look);
          resolve(good);
        };
        socket.on('message', look);
      });
      if (!(await answered)) continue;
      good++;
      break;
    }
  }
  socket.close();
  return `${good}`;
}

async function resolve({ server, name, type }: Operation & { op: 'resolve' }): Promise<string> {
  const resolver = new Resolver({ timeout: 2000, tries: 5 });
  resolver.setServers([server]);
  return JSON.stringify(await resolver.resolve(name, type));
}

const kept: Socket[] = [];

async function dial({ host, port, count, ms }: Operation & { op: 'dial' }): Promise<string> {
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const socket = connect({ host, port });
    socket.on('error', () => refused++);
    kept.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, ms));
  return JSON.stringify({ refused, waiting: kept.filter(({ connecting }) => connecting).length });
}

async function hoard({ host, port, count }: Operation & { op: 'hoard' }): Promise<string> {
  const sockets = Array.from({ length: count }, () => connect({ host, port }).pause());
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  kept.push(...sockets);
  // The kernel takes what there is room for in its own buffers.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  return `${sockets.filter(({ destroyed }) => !destroyed).length}`;
}

async function ask({ server, count }: Operation & { op: 'ask' }): Promise<string> {
  const socket = createSocket('udp4');
  const codes: Record<string, number> = {};
  let left = count;
  const all = new Promise<void>((resolve) => {
    socket.on('message', (answer) => {
      const code = (answer[3] as number) & 15;
      codes[code] = (codes[code] ?? 0) + 1;
      if (--left === 0) resolve();
    });
  });
  for (let i = 0; i < count; i++) {
    const query = Buffer.from([i >> 8, i & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, ...Buffer.from('example'), 3, ...Buffer.from('org'), 0, 0, 1, 0, 1]);
    socket.send(query, 53, server);
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await all;
  socket.close();
  return JSON.stringify(codes);
}

async function spray({ host, count }: Operation & { op: 'spray' }): Promise<string> {
  const socket = createSocket('udp4');
  for (let i = 0; i < count; i++) {
    socket.send('x', 1000 + i, host);
    if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  socket.close();
  return `${count}`;
}

function run(operation: Operation): Promise<string> {
  switch (operation.op) {
    case 'get': return get(operation);
    case 'put': return put(operation);
    case 'many': return many(operation);
    case 'datagrams': return datagrams(operation);
    case 'dial': return dial(operation);
    case 'hoard': return hoard(operation);
    case 'ask': return ask(operation);
    case 'spray': return spray(operation);
    case 'resolve': return resolve(operation);
  }
}

const results: string[] = [];
for (const operation of JSON.parse(process.argv[2] ?? '[]') as Operation[]) {
  const start = performance.now();
  results.push(await run(operation).catch(failed));
  if (process.env['BED_RATES'] !== undefined) process.stderr.write(`${JSON.stringify(operation)} ${Math.round(performance.now() - start)} ms\n`);
}
process.stdout.write(JSON.stringify(results));
process.exit(0);

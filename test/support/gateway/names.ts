/** A server of names for tests, on port 53 of the address in the first argument; the second is a JSON of what it knows. Long answers go by TCP. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** By name in lower case: what follows a question for it. */
export type Zone = Readonly<Record<string, readonly { readonly type: 'A' | 'AAAA' | 'CNAME' | 'TXT'; readonly value: string; readonly ttl?: number; readonly owner?: string }[]>>;

const TYPES = { A: 1, CNAME: 5, TXT: 16, AAAA: 28 };
const name = (text: string): Buffer => Buffer.concat([...text.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])), Buffer.of(0)]);

function data(type: keyof typeof TYPES, value: string): Buffer {
  if (type === 'CNAME') return name(value);
  if (type === 'A') return Buffer.from(value.split('.').map(Number));
  if (type === 'TXT') return Buffer.concat((value.match(/.{1,255}/g) ?? []).map((part) => Buffer.concat([Buffer.of(part.length), Buffer.from(part)])));
  const [head = '', tail] = value.split('::');
  const groups = [head, tail ?? ''].map((part) => part.split(':').filter((one) => one !== ''));
  const all = [...(groups[0] ?? []), ...new Array<string>(8 - (groups[0]?.length ?? 0) - (groups[1]?.length ?? 0)).fill('0'), ...(groups[1] ?? [])];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** The answer to a query. `most`: longer ones say that they are cut. */
export function answer(zone: Zone, query: Buffer, most: number): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (; query[at] !== 0; at += 1 + (query[at] as number)) labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] as number)));
  const question = query.subarray(12, at + 5);
  const type = query.readUInt16BE(at + 1);
  const asked = labels.join('.').toLowerCase();
  const known = zone[asked];
  const records = (known ?? []).filter((one) => TYPES[one.type] === type || one.type === 'CNAME' || (one.owner !== undefined && TYPES[one.type] === type));
  const bodies = records.map(({ type: kind, value, ttl = 300, owner = asked }) => {
    const body = data(kind, value);
    const head = Buffer.alloc(10);
    head.writeUInt16BE(TYPES[kind], 0);
    head.writeUInt16BE(1, 2);
    head.writeUInt32BE(ttl, 4);
    head.writeUInt16BE(body.length, 8);
    return Buffer.concat([name(owner), head, body]);
  });
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (known === undefined ? 3 : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(bodies.length, 6);
  const whole = Buffer.concat([header, question, ...bodies]);
  if (whole.length <= most) return whole;
  header.writeUInt16BE(0x8380, 2);
  header.writeUInt16BE(0, 6);
  return Buffer.concat([header, question]);
}

/** Begins to answer, by UDP and TCP. */
export function serveNames(address: string, zone: Zone, port = 53): void {
  const datagrams = createSocket('udp4', (query, from) => datagrams.send(answer(zone, query, 512), from.port, from.address));
  datagrams.bind(port, address);
  createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      const reply = answer(zone, bytes.subarray(2), 65_535);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.end(Buffer.concat([length, reply]));
    });
  }).listen(port, address);
}

if (process.argv[1] === new URL(import.meta.url).pathname) serveNames(process.argv[2] ?? '127.0.0.1', JSON.parse(process.argv[3] ?? '{}') as Zone);

/**
 * Run as root in mount and network namespaces of its own: a name service whose answers change from question to question, and web servers
 * on a public and on a private address of the same name. Prints what came of each request as JSON.
 */
import { execFileSync } from 'node:child_process';
import * as dgram from 'node:dgram';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { join } from 'node:path';
import { Web } from '../../../image/appc/web.ts';
import { Http } from '../../../image/registry/http.ts';

const PUBLIC = '203.0.113.5';
const PRIVATE = '127.0.0.1';
const folder = mkdtempSync(join(process.argv[2] as string, 'x-'));
const run = (program: string, ...args: string[]): void => void execFileSync(program, args, { cwd: folder, stdio: 'pipe', timeout: 60_000 });

/** Answers for each name, one after the other; the last one stays. */
const answers = new Map<string, string[]>();

/** RFC 1035: one question, at most one A record. */
function reply(query: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  const isA = query.readUInt16BE(at + 1) === 1;
  const list = answers.get(labels.join('.').toLowerCase()) ?? [];
  const address = isA ? (list.length > 1 ? list.shift() : list[0]) : undefined;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(address === undefined ? 0 : 1, 6);
  header.writeUInt32BE(0, 8);
  const record = address === undefined ? Buffer.alloc(0) : Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
  return Buffer.concat([header, query.subarray(12, at + 5), record]);
}

async function startNames(): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (query, from) => socket.send(reply(query), from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(53, '127.0.0.1', resolve));
  return socket;
}

const seen: string[] = [];
function serve(address: string, to: string): http.RequestListener {
  return (request, response) => {
    seen.push(`${address} ${request.headers.host} ${request.url}`);
    if (request.url === '/redirect') response.writeHead(307, { location: to }).end();
    // No connection is kept: each request has its name looked up.
    else response.writeHead(200, { connection: 'close' }).end('x');
  };
}

async function listening(server: http.Server | https.Server, port: number, address: string): Promise<void> {
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
}

writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\noptions attempts:1 timeout:2\n');
writeFileSync(join(folder, 'nsswitch.conf'), 'hosts: dns\n');
run('ip', 'link', 'set', 'lo', 'up');
run('ip', 'address', 'add', `${PUBLIC}/32`, 'dev', 'lo');
run('mount', '--bind', 'resolv.conf', '/etc/resolv.conf');
run('mount', '--bind', 'nsswitch.conf', '/etc/nsswitch.conf');
run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=x', '-addext', 'subjectAltName=DNS:evil.example,DNS:inner.example', '-keyout', 'key', '-out', 'crt');
const tls = { key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'crt')) };
const env = { HOME: folder, SSL_CERT_FILE: join(folder, 'crt') };
const names = await startNames();
for (const address of [PUBLIC, PRIVATE]) {
  await listening(https.createServer(tls, serve(address, 'https://inner.example/secret')), 443, address);
  await listening(http.createServer(serve(address, 'http://inner.example/secret')), 80, address);
}

async function outcome(work: () => Promise<unknown>): Promise<{ said: string; reached: string[] }> {
  seen.length = 0;
  const said = await work().then(() => 'done', (error: { code: string; message: string }) => `${error.code} ${error.message}`);
  return { said, reached: [...seen] };
}

async function byWeb(path: string, first: string[], second: string[], again = path): Promise<{ said: string; reached: string[] }> {
  answers.set('evil.example', [...first]);
  answers.set('inner.example', [...second]);
  const web = new Web({ env, insecureTls: false, insecureHttp: false, credentials: () => undefined });
  const get = async (url: string): Promise<void> => {
    const { response } = await web.get(new URL(url));
    response.body.resume();
    await new Promise((resolve) => response.body.once('close', resolve));
  };
  return outcome(async () => {
    await get(`https://evil.example${path}`);
    if (again !== path) await get(`https://evil.example${again}`);
  }).finally(() => web.close());
}

async function byRegistry(first: string[], second: string[]): Promise<{ said: string; reached: string[] }> {
  answers.set('evil.example', [...first]);
  answers.set('inner.example', [...second]);
  const client = new Http({ host: 'evil.example', insecure: false, env });
  const own = new URL('http://evil.example/v2/');
  return outcome(async () => {
    (await client.send({ method: 'GET', url: own, headers: {} })).body.resume();
    (await client.send({ method: 'GET', url: new URL('http://inner.example/blob'), headers: {} }, own)).body.resume();
    (await client.send({ method: 'GET', url: own, headers: {} })).body.resume();
  }).finally(() => client.close());
}

const results = {
  'a redirect to a public name': await byWeb('/redirect', [PUBLIC], [PUBLIC]),
  'a name that is private by the time it is connected to': await byWeb('/redirect', [PUBLIC], [PRIVATE]),
  'a name that turns private once it has been looked up': await byWeb('/redirect', [PUBLIC], [PUBLIC, PRIVATE]),
  'a sender whose name turns private after it has answered': await byWeb('/redirect', [PUBLIC, PRIVATE], [PRIVATE]),
  'a host whose own name turns private': await byWeb('/one', [PUBLIC, PRIVATE], [], '/two'),
  'a host of this network may send us there': await byWeb('/redirect', [PRIVATE], [PRIVATE]),
  'a registry that sends us to a private name': await byRegistry([PUBLIC], [PRIVATE]),
  'a registry whose own name turns private': await byRegistry([PUBLIC, PRIVATE], [PUBLIC]),
};
names.close();
process.stdout.write(`${JSON.stringify(results)}\n`);
process.exit(0);

/** Debian's docker-registry on a loopback port, as the tests ask for it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSign, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RegistryOptions {
  /** A certificate for this address, by a CA of its own. */
  readonly tls?: string;
  readonly htpasswd?: { user: string; password: string };
  /** A token server that lets this user pull anything. */
  readonly token?: { user: string; password: string };
}

export interface Registry {
  readonly port: number;
  /** The CA's certificate, PEM. */
  readonly ca: string;
  /** Paths that the token server was asked for, with what came as Authorization. */
  readonly tokens: string[];
  stop(): void;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A CA and a certificate for an IP address, in files `ca.crt`, `server.crt`, `server.key`. */
export function certificates(folder: string, address: string): { ca: string; cert: string; key: string } {
  const dir = mkdtempSync(join(folder, 'tls-'));
  const ssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  ssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test CA', '-keyout', 'ca.key', '-out', 'ca.crt');
  ssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=registry', '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(join(dir, 'ext'), `subjectAltName=IP:${address}\n`);
  ssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', 'server.crt');
  return { ca: join(dir, 'ca.crt'), cert: join(dir, 'server.crt'), key: join(dir, 'server.key') };
}

export async function startRegistry(folder: string, options: RegistryOptions = {}): Promise<Registry> {
  const dir = mkdtempSync(join(folder, 'registry-'));
  mkdirSync(join(dir, 'data'));
  const port = await freePort();
  const tokens: string[] = [];
  let tokenServer: http.Server | undefined;
  let ca = '';
  let config = `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${dir}/data}}\n`;
  let tls = '';
  if (options.tls !== undefined) {
    const made = certificates(folder, options.tls);
    ca = readFileSync(made.ca, 'utf8');
    tls = `, tls: {certificate: ${made.cert}, key: ${made.key}}`;
  }
  config += `http: {addr: "127.0.0.1:${port}"${tls}}\n`;
  if (options.htpasswd !== undefined) {
    const { user, password } = options.htpasswd;
    writeFileSync(join(dir, 'htpasswd'), execFileSync('htpasswd', ['-Bbn', user, password]));
    config += `auth: {htpasswd: {realm: test, path: ${dir}/htpasswd}}\n`;
  }
  if (options.token !== undefined) {
    const key = rsaKey(dir);
    tokenServer = serveTokens(options.token, key, tokens);
    await new Promise((resolve) => tokenServer?.once('listening', resolve));
    const { port: at } = tokenServer.address() as AddressInfo;
    config += `auth: {token: {realm: "http://127.0.0.1:${at}/token", service: test, issuer: tester, rootcertbundle: ${dir}/token.crt}}\n`;
  }
  writeFileSync(join(dir, 'config.yml'), config);
  const child = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] });
  await answers(child, options.tls === undefined ? 'http' : 'https', port);
  return {
    port, ca, tokens,
    stop: () => {
      child.kill('SIGKILL');
      tokenServer?.close();
      tokenServer?.closeAllConnections();
    },
  };
}

async function answers(child: ChildProcess, scheme: string, port: number): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => { said += chunk; });
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended: ${said}`);
    try {
      execFileSync('curl', ['-sk', '-o', '/dev/null', `${scheme}://127.0.0.1:${port}/v2/`], { stdio: 'pipe' });
      return;
    } catch {
      await sleep(100);
    }
  }
  child.kill('SIGKILL');
  throw new Error(`docker-registry does not answer: ${said}`);
}

function rsaKey(dir: string): { key: string; x5c: string } {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=tokens', '-keyout', 'token.key', '-out', 'token.crt'], { cwd: dir, stdio: 'pipe' });
  return { key: readFileSync(join(dir, 'token.key'), 'utf8'), x5c: new X509Certificate(readFileSync(join(dir, 'token.crt'))).raw.toString('base64') };
}

/** Docker's token authentication: GET /token?service=…&scope=…, with Basic for who has a login. */
function serveTokens(user: { user: string; password: string }, { key, x5c }: { key: string; x5c: string }, asked: string[]): http.Server {
  const wanted = `Basic ${Buffer.from(`${user.user}:${user.password}`).toString('base64')}`;
  return http.createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    asked.push(`${url.searchParams.get('scope')} ${request.headers.authorization === undefined ? 'anonymous' : 'user'}`);
    if (request.headers.authorization !== undefined && request.headers.authorization !== wanted) {
      response.writeHead(401).end();
      return;
    }
    const scopes = url.searchParams.getAll('scope').filter((scope) => scope !== '');
    // Without a login nothing but `open/` may be pulled.
    const access = scopes.map((scope) => scope.split(':')).filter(([, name]) => request.headers.authorization !== undefined || name?.startsWith('open/')).map(([type, name, actions]) => ({ type, name, actions: actions?.split(',') }));
    const now = Math.floor(Date.now() / 1000);
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ typ: 'JWT', alg: 'RS256', x5c: [x5c] })}.${encode({ iss: 'tester', sub: user.user, aud: 'test', exp: now + 300, nbf: now - 10, iat: now, jti: String(asked.length), access })}`;
    const token = `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token }));
  }).listen(0, '127.0.0.1');
}

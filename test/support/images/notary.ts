/** Debian's notary server and signer on loopback ports, its client, and Docker's client before a daemon that only listens. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './registry.ts';

export interface Notary {
  /** `https://localhost:PORT` */
  readonly url: string;
  readonly host: string;
  /** The server's CA, PEM. */
  readonly ca: string;
  stop(): void;
}

/** A CA, and certificates for localhost by it: the server's, and one with which the server comes to its signer. */
export function certificates(dir: string): void {
  const ssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  ssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=notary CA', '-keyout', 'ca.key', '-out', 'ca.crt');
  writeFileSync(join(dir, 'ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  for (const name of ['server', 'signer']) {
    ssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    ssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', `${name}.crt`);
  }
}

export async function startNotary(folder: string): Promise<Notary> {
  const dir = mkdtempSync(join(folder, 'notary-'));
  certificates(dir);
  const [port, signerPort] = [await freePort(), await freePort()];
  const json = (name: string, value: unknown): void => writeFileSync(join(dir, name), JSON.stringify(value));
  const path = (name: string): string => join(dir, name);
  json('signer.json', { server: { grpc_addr: `127.0.0.1:${signerPort}`, tls_cert_file: path('signer.crt'), tls_key_file: path('signer.key'), client_ca_file: path('ca.crt') }, logging: { level: 'error' }, storage: { backend: 'memory' } });
  json('server.json', {
    server: { http_addr: `127.0.0.1:${port}`, tls_key_file: path('server.key'), tls_cert_file: path('server.crt') },
    trust_service: { type: 'remote', hostname: 'localhost', port: String(signerPort), key_algorithm: 'ecdsa', tls_ca_file: path('ca.crt'), tls_client_cert: path('server.crt'), tls_client_key: path('server.key') },
    logging: { level: 'error' }, storage: { backend: 'memory' },
  });
  const start = (program: string, config: string): ChildProcess => spawn(program, ['-config', path(config)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const children = [start('notary-signer', 'signer.json')];
  await sleep(300);
  children.push(start('notary-server', 'server.json'));
  let said = '';
  for (const child of children) child.stderr?.on('data', (chunk: Buffer) => { said += chunk; });
  const stop = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  for (let i = 0; ; i++) {
    try {
      execFileSync('curl', ['-sf', '--cacert', path('ca.crt'), '-o', '/dev/null', `https://localhost:${port}/_notary_server/health`], { stdio: 'pipe' });
      break;
    } catch {
      if (i < 200) await sleep(100);
      else {
        stop();
        throw new Error(`notary does not answer: ${said}`);
      }
    }
  }
  return { url: `https://localhost:${port}`, host: `localhost:${port}`, ca: path('ca.crt'), stop };
}

export interface Ran {
  readonly status: number;
  readonly text: string;
}

/** A user with a Docker configuration of his own. */
export class DockerUser {
  readonly config: string;
  /** What the daemon was asked for. */
  readonly asked: string[] = [];
  readonly #env: Record<string, string>;
  readonly #server: http.Server;
  /** Digest and size of what the next push pushes. */
  pushed = { digest: `sha256:${createHash('sha256').update('x').digest('hex')}`, size: 1000 };

  constructor(folder: string, notary: Pick<Notary, 'url' | 'host' | 'ca'>, passphrase = 'passphrase-7') {
    const home = mkdtempSync(join(folder, 'user-'));
    this.config = join(home, '.docker');
    const tls = join(this.config, 'tls', notary.host);
    mkdirSync(tls, { recursive: true });
    writeFileSync(join(this.config, 'config.json'), JSON.stringify({ auths: { '127.0.0.1:5000': { auth: Buffer.from('alice:secret').toString('base64') } } }));
    copyFileSync(notary.ca, join(tls, 'ca.crt'));
    const socket = join(home, 's');
    this.#server = this.#daemon().listen(socket);
    this.#env = {
      HOME: home, PATH: process.env['PATH'] ?? '', DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: this.config, DOCKER_CONTENT_TRUST: '1', DOCKER_CONTENT_TRUST_SERVER: notary.url,
      DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: passphrase, DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: passphrase,
      NOTARY_ROOT_PASSPHRASE: passphrase, NOTARY_TARGETS_PASSPHRASE: passphrase, NOTARY_SNAPSHOT_PASSPHRASE: passphrase, NOTARY_DELEGATION_PASSPHRASE: passphrase,
    };
  }

  get env(): Readonly<Record<string, string>> {
    return this.#env;
  }

  /** Debian's Docker client. */
  docker(...args: string[]): Promise<Ran> {
    return this.#run('/usr/bin/docker', args);
  }

  /** notary's own client. */
  notary(notary: Notary, ...args: string[]): Promise<Ran> {
    return this.#run('notary', ['-s', notary.url, '-d', join(this.config, 'trust'), '--tlscacert', notary.ca, ...args]);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #run(program: string, args: readonly string[]): Promise<Ran> {
    return new Promise((resolve) => {
      execFile(program, args, { env: this.#env, encoding: 'utf8', timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code ?? -1), text: stdout + stderr });
      });
    });
  }

  /** As much of a daemon as pull, push and `trust sign` ask for. */
  #daemon(): http.Server {
    return http.createServer((request, response) => {
      const url = decodeURIComponent((request.url ?? '').replace(/^\/v[\d.]+/, ''));
      const json = (value: unknown): void => void response.writeHead(200, { 'content-type': 'application/json', 'api-version': '1.41', 'ostype': 'linux' }).end(JSON.stringify(value));
      request.resume();
      if (url === '/_ping') return json('OK');
      this.asked.push(`${request.method} ${url}`);
      if (url.startsWith('/info')) return json({ IndexServerAddress: 'https://index.docker.io/v1/', RegistryConfig: { InsecureRegistryCIDRs: ['127.0.0.0/8'], IndexConfigs: {} } });
      if (url.includes('/push')) return json({ aux: { Tag: new URL(url, 'http://x').searchParams.get('tag'), Digest: this.pushed.digest, Size: this.pushed.size } });
      if (url.includes('/tag')) return void response.writeHead(201).end();
      if (/^\/images\/.*\/json/.test(url)) return json({ Id: 'sha256:x', RepoTags: [] });
      return json({});
    });
  }
}

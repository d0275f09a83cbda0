/** Trust data of notary's form, right or wrong in any way, made without any code of ours; and a server that hands them out. */
import { execFileSync } from 'node:child_process';
import { constants, createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface MadeKey {
  readonly id: string;
  readonly type: string;
  readonly public: string;
  readonly private: KeyObject;
  readonly method: string;
}

/** The same canonical form, written by JSON.stringify over sorted keys: test data have no characters that the two treat differently. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => (typeof field === 'object' && field !== null && !Array.isArray(field) ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1))) : field));
}

export const hashOf = (algorithm: string, bytes: string | Uint8Array): string => createHash(algorithm).update(bytes).digest('base64');

function made(type: string, bytes: Buffer, key: KeyObject, method: string): MadeKey {
  const text = bytes.toString('base64');
  const id = createHash('sha256').update(canonical({ keytype: type, keyval: { private: null, public: text } })).digest('hex');
  return { id, type, public: text, private: key, method };
}

export function makeKey(kind: 'ecdsa' | 'rsa' | 'rsa1024' | 'ed25519' = 'ecdsa'): MadeKey {
  if (kind === 'ed25519') {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    return made('ed25519', publicKey.export({ type: 'spki', format: 'der' }).subarray(-32), privateKey, 'eddsa');
  }
  if (kind !== 'ecdsa') {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 });
    return made('rsa', publicKey.export({ type: 'spki', format: 'der' }), privateKey, 'rsapss');
  }
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return made('ecdsa', publicKey.export({ type: 'spki', format: 'der' }), privateKey, 'ecdsa');
}

/** A root key: a certificate for the repository's name. `days`: may be negative, then it has expired. */
export function makeRootKey(folder: string, gun: string, days = 3650, ca = false): MadeKey {
  const dir = mkdtempSync(join(folder, 'root-'));
  const times = days > 0 ? ['-days', String(days)] : ['-not_before', '20200101000000Z', '-not_after', '20210101000000Z'];
  const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  run('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'key');
  if (days > 0) run('req', '-x509', '-key', 'key', ...times, '-subj', `/CN=${gun.replaceAll('/', '\\/')}`, '-addext', `basicConstraints=critical,CA:${ca ? 'TRUE' : 'FALSE'}`, '-out', 'crt');
  else {
    run('req', '-new', '-key', 'key', '-subj', `/CN=${gun.replaceAll('/', '\\/')}`, '-out', 'csr');
    writeFileSync(join(dir, 'index'), '');
    writeFileSync(join(dir, 'ca.cnf'), '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n');
    writeFileSync(join(dir, 'serial'), '01');
    run('ca', '-batch', '-selfsign', '-config', 'ca.cnf', '-keyfile', 'key', '-in', 'csr', '-startdate', '20200101000000Z', '-enddate', '20210101000000Z', '-out', 'crt', '-notext');
  }
  return made('ecdsa-x509', readFileSync(join(dir, 'crt')), createPrivateKey(readFileSync(join(dir, 'key'))), 'ecdsa');
}

export function signature(key: MadeKey, message: string): { keyid: string; method: string; sig: string } {
  const data = Buffer.from(message);
  const sig =
    key.method === 'ecdsa' ? sign('sha256', data, { key: key.private, dsaEncoding: 'ieee-p1363' })
    : key.method === 'rsapss' ? sign('sha256', data, { key: key.private, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
    : sign(null, data, key.private);
  return { keyid: key.id, method: key.method, sig: sig.toString('base64') };
}

/** A role as a document's `roles` or `delegations` tell it. */
export interface MadeRole {
  keys: MadeKey[];
  threshold: number;
  /** Who really signs; default: `keys`. */
  signers?: MadeKey[];
  version: number;
  expires: string;
}

export const IN_A_YEAR = new Date(Date.now() + 365 * 86_400_000).toISOString();
export const YESTERDAY = new Date(Date.now() - 86_400_000).toISOString();

export interface MadeTarget {
  length: number;
  hashes: Record<string, string>;
}

export function target(text: string): MadeTarget {
  return { length: 1000, hashes: { sha256: hashOf('sha256', text), sha512: hashOf('sha512', text) } };
}

export const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** A repository; every field may be changed before `publish`. */
export class MadeRepository {
  readonly roles: Record<string, MadeRole> = {};
  readonly targets: Record<string, Record<string, MadeTarget>> = { targets: {} };
  /** Names that a delegation may sign begin with one of these. */
  readonly paths: Record<string, string[]> = {};
  /** Changes a role's document before it is signed. */
  readonly edit: Record<string, (signed: Record<string, unknown>) => void> = {};
  /** Changes a role's bytes after it was signed; what the documents above say of it is of before. */
  readonly tamper: Record<string, (bytes: string) => string> = {};
  /** As `tamper`, but those above tell of the changed bytes. */
  readonly wrap: Record<string, (bytes: string) => string> = {};
  /** More keys that sign a root: those of the one before. */
  rootSigners: MadeKey[] = [];

  constructor(root: MadeKey) {
    for (const role of ['root', 'targets', 'snapshot', 'timestamp']) this.roles[role] = { keys: [role === 'root' ? root : makeKey()], threshold: 1, version: 1, expires: IN_A_YEAR };
  }

  role(name: string): MadeRole {
    return this.roles[name] as MadeRole;
  }

  delegate(name: string, paths: string[] = ['']): this {
    this.roles[name] = { keys: [makeKey()], threshold: 1, version: 1, expires: IN_A_YEAR };
    this.targets[name] = {};
    this.paths[name] = paths;
    return this;
  }

  /** All documents by file name. */
  publish(): Map<string, string> {
    const files = new Map<string, string>();
    const metas: Record<string, unknown> = {};
    const put = (name: string, signed: Record<string, unknown>): void => {
      const role = this.role(name);
      const full = { ...signed, version: role.version, expires: role.expires };
      this.edit[name]?.(full);
      const message = canonical(full);
      const signers = [...(role.signers ?? role.keys), ...(name === 'root' ? this.rootSigners : [])];
      let bytes = `{"signed":${message},"signatures":${JSON.stringify(signers.map((key) => signature(key, message)))}}`;
      bytes = this.wrap[name]?.(bytes) ?? bytes;
      metas[name] = { length: bytes.length, hashes: { sha256: hashOf('sha256', bytes), sha512: hashOf('sha512', bytes) } };
      files.set(name, this.tamper[name]?.(bytes) ?? bytes);
    };
    const keysOf = (names: string[]): Record<string, unknown> => Object.fromEntries(names.flatMap((name) => this.role(name).keys).map((key) => [key.id, { keytype: key.type, keyval: { private: null, public: key.public } }]));
    const base = ['root', 'targets', 'snapshot', 'timestamp'];
    put('root', { _type: 'Root', consistent_snapshot: false, keys: keysOf(base), roles: Object.fromEntries(base.map((name) => [name, { keyids: this.role(name).keys.map(({ id }) => id), threshold: this.role(name).threshold }])) });
    for (const [name, targets] of Object.entries(this.targets)) {
      const children = Object.keys(this.targets).filter((child) => child.startsWith(`${name}/`) && !child.slice(name.length + 1).includes('/'));
      const delegations = { keys: keysOf(children), roles: children.map((child) => ({ keyids: this.role(child).keys.map(({ id }) => id), name: child, paths: this.paths[child], threshold: this.role(child).threshold })) };
      put(name, { _type: 'Targets', delegations, targets });
    }
    put('snapshot', { _type: 'Snapshot', meta: { ...metas } });
    put('timestamp', { _type: 'Timestamp', meta: { snapshot: metas['snapshot'] } });
    return files;
  }
}

/** A server that has for each repository what it is given; roles by checksum are the role's, whatever the checksum. */
export class FakeNotary {
  readonly files = new Map<string, Map<string, string>>();
  /** Answers everything with this status. */
  status: number | undefined;
  readonly #server: https.Server;

  constructor(cert: string, key: string) {
    this.#server = https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
      const match = /^\/v2\/(.+)\/_trust\/tuf\/(.+)\.json$/.exec(request.url ?? '');
      if (this.status !== undefined) return void response.writeHead(this.status).end();
      if (match === null) return void response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      const files = this.files.get(match[1] as string);
      const name = match[2] as string;
      const text = files?.get(name) ?? files?.get(name.replace(/\.[0-9a-f]{64}$/, ''));
      if (text === undefined) response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[{"code":"METADATA_NOT_FOUND","message":"You have requested metadata that does not exist."}]}');
      else response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

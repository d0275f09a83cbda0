import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../../base/errors.ts';
import { makeFolders } from '../../../base/folders.ts';
import type { Environment } from '../../registry/credentials.ts';
import { trustFolder } from './cache.ts';
import { encryptedKey, pem } from './der.ts';
import { keyIdOf, type PublicKey } from './keys.ts';

/** A key of the user's, as its file's head tells of it. */
export interface StoredKey {
  /** Of the bare public key. */
  readonly id: string;
  readonly role: string;
  /** The repository; '' for a root key and a delegation's. */
  readonly gun: string;
}

/** Asked for what a key is, or is to be, encrypted with; `isNew`: it is to be typed twice. */
export type Passphrase = (kind: 'root' | 'repository', key: string, isNew: boolean) => Promise<string>;

const KEY_TYPES: ReadonlyMap<string, string> = new Map([['ec', 'ecdsa'], ['rsa', 'rsa'], ['ed25519', 'ed25519']]);
const NAME = /^([0-9a-f]{64})\.key$/;
/** What PEM blocks of private keys are called, and what stands before and in them. */
const BLOCK = /-----BEGIN ((?:ENCRYPTED |EC |RSA )?PRIVATE KEY)-----\n((?:[A-Za-z-]+: [^\n]*\n)*)\n?([A-Za-z0-9+/=\n]+)-----END/;

/** The user's keys where Docker keeps them, in its form: `private/ID.key`. Throws TRUST_CONFIG. */
export class PrivateKeys {
  readonly #folder: string;
  readonly #passphrase: Passphrase;
  readonly #open = new Map<string, KeyObject>();

  constructor(env: Environment, passphrase: Passphrase) {
    this.#folder = join(trustFolder(env), 'private');
    this.#passphrase = passphrase;
  }

  list(): StoredKey[] {
    let names: string[];
    try {
      names = readdirSync(this.#folder);
    } catch {
      return [];
    }
    return names.sort().flatMap((name) => {
      const id = NAME.exec(name)?.[1];
      if (id === undefined) return [];
      const headers = headersOf(readKeyFile(join(this.#folder, name)));
      return [{ id, role: headers.get('role') ?? '', gun: headers.get('gun') ?? '' }];
    });
  }

  has(id: string): boolean {
    return this.list().some((key) => key.id === id);
  }

  /** Decrypts a key; it is asked for once. */
  async open(id: string): Promise<KeyObject> {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const text = readKeyFile(join(this.#folder, `${id}.key`));
    const role = headersOf(text).get('role') ?? '';
    const key = await decrypt(text, () => this.#passphrase(role === 'root' ? 'root' : 'repository', id.slice(0, 7), false), `${id}.key`);
    if (keyIdOf(publicKeyOf(key)) !== id) throw new VmmError('TRUST_CONFIG', `${id}.key holds another key`, { hint: 'it was renamed or changed' });
    this.#open.set(id, key);
    return key;
  }

  /** A new ECDSA key. */
  async create(role: string, gun: string): Promise<KeyObject> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await this.add(privateKey, role, gun);
    return privateKey;
  }

  async add(key: KeyObject, role: string, gun: string): Promise<string> {
    const id = keyIdOf(publicKeyOf(key));
    const passphrase = await this.#passphrase(role === 'root' ? 'root' : 'repository', id.slice(0, 7), true);
    const path = join(this.#folder, `${id}.key`);
    const text = passphrase === '' ? pem('PRIVATE KEY', key.export({ type: 'pkcs8', format: 'der' }), { gun, role }) : pem('ENCRYPTED PRIVATE KEY', encryptedKey(key, passphrase), { gun, role });
    try {
      makeFolders(this.#folder, 0o700);
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (cause) {
      throw new VmmError('TRUST_CONFIG', `cannot write ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the folder, or set DOCKER_CONFIG' });
    }
    this.#open.set(id, key);
    return id;
  }

  /** Throws TRUST_CONFIG where there is none. */
  remove(id: string): void {
    try {
      unlinkSync(join(this.#folder, `${id}.key`));
    } catch (cause) {
      throw new VmmError('TRUST_CONFIG', `there is no key ${id.slice(0, 64)}`, { cause, hint: 'see `vmm trust key ls`' });
    }
  }
}

/** A key of a file that somebody else has made, PEM. Throws TRUST_CONFIG. */
export async function loadKeyFile(path: string, passphrase: Passphrase): Promise<KeyObject> {
  return decrypt(readKeyFile(path), () => passphrase('repository', path, false), path);
}

async function decrypt(text: string, passphrase: () => Promise<string>, what: string): Promise<KeyObject> {
  const block = BLOCK.exec(text.replaceAll('\r\n', '\n'));
  if (block === null) throw new VmmError('TRUST_CONFIG', `${what} holds no private key`, { hint: 'a PEM block of PKCS #8 is wanted' });
  const [, label = '', headers = '', body = ''] = block;
  const old = headers.includes('Proc-Type:') ? headers : '';
  const plain = `-----BEGIN ${label}-----\n${old === '' ? '' : `${old}\n`}${body}-----END ${label}-----\n`;
  const locked = label.startsWith('ENCRYPTED') || old !== '';
  try {
    return createPrivateKey(locked ? { key: plain, passphrase: await passphrase() } : plain);
  } catch (cause) {
    // Its text may be the secret: the cause is not kept.
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('TRUST_CONFIG', `${what} cannot be opened`, { hint: locked ? 'is it the right passphrase?' : 'it is damaged' });
  }
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the path and its permissions' });
  }
}

function headersOf(text: string): Map<string, string> {
  const headers = BLOCK.exec(text)?.[2] ?? '';
  return new Map(headers.split('\n').flatMap((line) => {
    const colon = line.indexOf(': ');
    return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 2)] as const];
  }));
}

/** A private key's public part in trust data's form. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const type = KEY_TYPES.get(key.asymmetricKeyType ?? '');
  if (type === undefined) throw new VmmError('TRUST_CONFIG', `a key of type ${key.asymmetricKeyType} cannot sign trust data`, { hint: 'ECDSA, RSA and Ed25519 can' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { type, public: (type === 'ed25519' ? spki.subarray(-32) : spki).toString('base64') };
}

/** The id under which a trusted key's private part is kept: that of the bare key, of a certificate, too. */
export function bareKeyId(key: PublicKey, leaf: X509Certificate | undefined): string {
  if (leaf === undefined) return keyIdOf(key);
  const spki = leaf.publicKey.export({ type: 'spki', format: 'der' });
  return keyIdOf({ type: key.type.replace('-x509', ''), public: spki.toString('base64') });
}

/** A public key for who is to let it sign, as `docker trust key generate` writes it. */
export function publicKeyPem(key: KeyObject, role: string): string {
  return pem('PUBLIC KEY', createPublicKey(key).export({ type: 'spki', format: 'der' }), { role });
}

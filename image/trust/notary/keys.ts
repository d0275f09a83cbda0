import { constants, createHash, createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import type { JsonObject } from '../../documents/json.ts';
import { canonicalJson } from './canonical.ts';

/** A key of trust data: `keytype`, and the base64 of its public part. */
export interface PublicKey {
  readonly type: string;
  readonly public: string;
}

export interface Signature {
  readonly keyId: string;
  readonly method: string;
  readonly sig: Buffer;
}

/** Below this an RSA key is none. */
const RSA_BITS = 2048;
/** Public keys and certificate chains of real repositories have some KiB. */
const MAX_CERTIFICATES = 16;
/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), before its 32 bytes. */
const ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** A key's identity is its content's. */
export function keyIdOf(key: PublicKey): string {
  return createHash('sha256').update(canonicalJson({ keytype: key.type, keyval: { private: null, public: key.public } })).digest('hex');
}

/** Keys by their ids, as trust data holds them. Throws IMAGE_BAD for another form. */
export function readKeys(keys: JsonObject | undefined, ids: readonly string[]): Map<string, PublicKey> {
  const found = new Map<string, PublicKey>();
  for (const id of ids) {
    const entry = keys?.object(id);
    if (entry === undefined) continue;
    found.set(id, { type: entry.string('keytype'), public: entry.object('keyval')?.string('public') ?? '' });
  }
  return found;
}

/** The certificates of a root key, its own first; none for a bare key. */
export function certificatesOf(key: PublicKey): X509Certificate[] {
  if (!key.type.endsWith('-x509')) return [];
  const pem = Buffer.from(key.public, 'base64').toString('latin1');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.slice(0, MAX_CERTIFICATES).map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

/** A root key's own certificate: the one that is no CA's. Two of them, or none, make no key. */
export function leafOf(key: PublicKey): X509Certificate | undefined {
  const leaves = certificatesOf(key).filter(({ ca }) => !ca);
  return leaves.length === 1 ? leaves[0] : undefined;
}

/** The key itself; undefined for one of a kind or size that is not trusted. */
function keyObject(key: PublicKey): KeyObject | undefined {
  try {
    if (key.type.endsWith('-x509')) return leafOf(key)?.publicKey;
    const bytes = Buffer.from(key.public, 'base64');
    const der = key.type === 'ed25519' && bytes.length === 32 ? Buffer.concat([ED25519_PREFIX, bytes]) : bytes;
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** Key types by the methods that they sign with; a method's name is what a server sends, `__proto__` too. */
const METHODS: ReadonlyMap<string, readonly string[]> = new Map([['ecdsa', ['ecdsa', 'ecdsa-x509']], ['rsapss', ['rsa', 'rsa-x509']], ['rsapkcs1v15', ['rsa', 'rsa-x509']], ['eddsa', ['ed25519']]]);

/** True when the signature is this key's over these bytes. */
function verifies(key: PublicKey, { method, sig }: Signature, message: Buffer): boolean {
  const object = keyObject(key);
  if (object === undefined || METHODS.get(method)?.includes(key.type) !== true) return false;
  const rsa = object.asymmetricKeyType === 'rsa';
  if (rsa && (object.asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS) return false;
  try {
    switch (method) {
      case 'ecdsa':
        return object.asymmetricKeyType === 'ec' && verify('sha256', message, { key: object, dsaEncoding: 'ieee-p1363' }, sig);
      case 'rsapss':
        return rsa && verify('sha256', message, { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, sig);
      case 'rsapkcs1v15':
        return rsa && verify('sha256', message, { key: object, padding: constants.RSA_PKCS1_PADDING }, sig);
      default:
        return object.asymmetricKeyType === 'ed25519' && verify(null, message, object, sig);
    }
  } catch {
    return false;
  }
}

/** Who may sign, and how many have to. */
export interface Signers {
  readonly keys: ReadonlyMap<string, PublicKey>;
  readonly threshold: number;
}

/** Counts keys, not signatures. Throws TRUST_BAD below the threshold. */
export function checkSignatures(message: Buffer, signatures: readonly Signature[], { keys, threshold }: Signers, what: string): void {
  const valid = new Set<string>();
  for (const signature of signatures) {
    const key = keys.get(signature.keyId);
    if (key === undefined) continue;
    if (keyIdOf(key) !== signature.keyId) throw new VmmError('TRUST_BAD', `${what}: key ${signature.keyId.slice(0, 12)} is not what its id says`, { hint: 'the trust data was tampered with' });
    if (verifies(key, signature, message)) valid.add(signature.keyId);
  }
  if (threshold < 1 || valid.size < threshold) {
    throw new VmmError('TRUST_BAD', `${what} has ${valid.size} valid ${valid.size === 1 ? 'signature' : 'signatures'}, needs ${Math.max(1, threshold)}`, { hint: 'it was tampered with, or signed with keys that are not trusted' });
  }
}

import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { VmmError } from '../../../base/errors.ts';
import { type Environment, readJson } from '../../registry/credentials.ts';
import { certificatesOf, leafOf, type PublicKey, type Signers } from './keys.ts';
import { signersOf, type SignedDocument, verifyDocument } from './metadata.ts';

/** notary's `trust_pinning` (client-config): what a repository's first root has to be. */
export interface TrustPinning {
  /** Ids of root keys by repository, or by a beginning of it with `*` behind. */
  readonly certs: ReadonlyMap<string, readonly string[]>;
  /** Files of CAs by beginnings of repositories. */
  readonly cas: ReadonlyMap<string, string>;
  /** Without a pin nothing is trusted on first use. */
  readonly disableTofu: boolean;
}

/** Reads it from notary's configuration (~/.notary/config.json). Throws REGISTRY_CONFIG. */
export function trustPinning(env: Environment): TrustPinning {
  const path = join(env['HOME'] || homedir(), '.notary/config.json');
  const pinning = readJson(path)?.object('trust_pinning');
  const certs = pinning?.object('certs');
  const cas = pinning?.object('ca');
  return {
    certs: new Map((pinning?.keysOf('certs') ?? []).map((gun) => [gun, certs?.strings(gun) ?? []])),
    cas: new Map((pinning?.keysOf('ca') ?? []).map((gun) => [gun, resolve(dirname(path), cas?.string(gun) ?? '')])),
    disableTofu: pinning?.optionalBoolean('disable_tofu') ?? false,
  };
}

/** Root keys are certificates for the repository's name; others are none. Dates count for those of a new root only. */
function ownCertificates(signers: Signers, gun: string, now: Date | undefined): Map<string, PublicKey> {
  const own = new Map<string, PublicKey>();
  for (const [id, key] of signers.keys) {
    const leaf = leafOf(key);
    if (leaf === undefined || !leaf.subject.split('\n').includes(`CN=${gun}`)) continue;
    if (now !== undefined && (now < new Date(leaf.validFrom) || now > new Date(leaf.validTo))) continue;
    own.set(id, key);
  }
  return own;
}

/**
 * Checks a root: by the one that was trusted before, else by its pin, else (on first use) by nothing but its own word; and always by
 * its own keys. Throws TRUST_BAD.
 */
export function checkRoot(root: SignedDocument, before: SignedDocument | undefined, gun: string, pinning: TrustPinning, now: Date): void {
  const signers = signersOf(root, 'root');
  const own = ownCertificates(signers, gun, now);
  if (own.size === 0) throw new VmmError('TRUST_BAD', `trust data: the root of ${gun} has no valid certificate for this name`, { hint: 'it is another repository’s, its certificate has expired, or it was tampered with' });
  if (before !== undefined) {
    const trusted = signersOf(before, 'root');
    verifyDocument(root, { keys: ownCertificates(trusted, gun, undefined), threshold: trusted.threshold }, 'the new root, by the keys of the trusted one');
  }
  const pinned = new Map([...own].filter(([id, key]) => isPinned(id, key, gun, pinning, before === undefined)));
  if (pinned.size === 0) throw new VmmError('TRUST_BAD', `trust data: no root key of ${gun} is pinned`, { hint: 'see trust_pinning in ~/.notary/config.json' });
  verifyDocument(root, { keys: pinned, threshold: signers.threshold }, 'the root');
}

function isPinned(id: string, key: PublicKey, gun: string, { certs, cas, disableTofu }: TrustPinning, first: boolean): boolean {
  const ids = certs.get(gun) ?? longest([...certs.keys()].filter((pin) => pin.endsWith('*') && gun.startsWith(pin.slice(0, -1))), certs);
  if (ids !== undefined) return ids.includes(id);
  const ca = longest([...cas.keys()].filter((prefix) => gun.startsWith(prefix)), cas);
  if (ca !== undefined) return isIssuedBy(key, ca);
  return !disableTofu || !first;
}

function longest<T>(keys: readonly string[], map: ReadonlyMap<string, T>): T | undefined {
  const [best] = [...keys].sort((a, b) => b.length - a.length);
  return best === undefined ? undefined : map.get(best);
}

/** Each certificate by the next, and the last by the CA. */
function isIssuedBy(key: PublicKey, path: string): boolean {
  let ca: X509Certificate;
  try {
    ca = new X509Certificate(readFileSync(path));
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `${path} holds no CA certificate`, { cause, hint: 'see trust_pinning in ~/.notary/config.json' });
  }
  const leaf = leafOf(key);
  if (leaf === undefined) return false;
  const chain = [leaf, ...certificatesOf(key).filter((cert) => cert.ca), ca];
  return chain.every((cert, i) => {
    const issuer = chain[i + 1];
    return issuer === undefined || (issuer.ca && cert.checkIssued(issuer) && cert.verify(issuer.publicKey));
  });
}

import { createHash } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject, parseJson } from '../../documents/json.ts';
import { canonicalJson } from './canonical.ts';
import { checkSignatures, readKeys, type Signature, type Signers } from './keys.ts';

/** A file's length and hashes, as snapshot and timestamp tell them, and those of a target. */
export interface FileMeta {
  readonly length: number;
  /** Base64 by algorithm. */
  readonly hashes: ReadonlyMap<string, string>;
}

/** A delegation: who else may sign what (notary's `targets/releases`, `targets/alice`). */
export interface Delegation extends Signers {
  readonly name: string;
  /** Beginnings of names that it may sign. */
  readonly paths: readonly string[];
}

/** A signed document of a repository. */
export interface SignedDocument {
  readonly bytes: Uint8Array;
  /** What was signed, in canonical form. */
  readonly message: Buffer;
  readonly signed: JsonObject;
  readonly signatures: readonly Signature[];
  readonly version: number;
  readonly expires: Date;
}

export type BaseRole = 'root' | 'targets' | 'snapshot' | 'timestamp';
const TYPES: Readonly<Record<BaseRole, string>> = { root: 'Root', targets: 'Targets', snapshot: 'Snapshot', timestamp: 'Timestamp' };
const MAX_SIGNATURES = 64;

/** Reads a document of a role; delegations are targets. What it says counts for nothing before its signatures are checked. Throws TRUST_BAD. */
export function readDocument(bytes: Uint8Array, role: string): SignedDocument {
  return trustData(role, () => {
    const value = parseJson(bytes, role);
    const document = new JsonObject(value, role);
    const signed = document.object('signed');
    if (signed === undefined) throw new VmmError('TRUST_BAD', `${role} has nothing signed`);
    const type = TYPES[role.split('/')[0] as BaseRole];
    if (signed.string('_type') !== type) throw new VmmError('TRUST_BAD', `${role} is of type ${JSON.stringify(signed.string('_type').slice(0, 40))}, not ${type}`);
    const signatures = document.objects('signatures').slice(0, MAX_SIGNATURES).map((entry) => ({ keyId: entry.string('keyid'), method: entry.string('method').toLowerCase(), sig: Buffer.from(entry.string('sig'), 'base64') }));
    const version = signed.optionalNumber('version') ?? 0;
    const expires = new Date(signed.string('expires'));
    if (version < 1 || Number.isNaN(expires.getTime())) throw new VmmError('TRUST_BAD', `${role} has no version or no expiry`);
    return { bytes, message: Buffer.from(canonicalJson((value as { signed: unknown }).signed)), signed, signatures, version, expires };
  });
}

/** Runs what reads trust data: a fault in it is one of trust. */
function trustData<T>(role: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof VmmError) || cause.code !== 'IMAGE_BAD') throw cause;
    throw new VmmError('TRUST_BAD', `trust data: ${cause.message}`, { cause, hint: `the server’s ${role} is damaged or hostile` });
  }
}

export function checkExpiry({ expires }: SignedDocument, role: string, now: Date): void {
  if (expires <= now) throw new VmmError('TRUST_EXPIRED', `trust data: ${role} expired at ${expires.toISOString()}`, { hint: 'its owner has to sign it again, or somebody keeps newer data from you' });
}

/** What a document is checked by. */
export function verifyDocument(document: SignedDocument, signers: Signers, role: string): void {
  checkSignatures(document.message, document.signatures, signers, `trust data: ${role}`);
}

/** A base role's keys and threshold, as a root tells them. */
export function signersOf(root: SignedDocument, role: BaseRole): Signers {
  return trustData('root', () => {
    const entry = root.signed.object('roles')?.object(role);
    if (entry === undefined) throw new VmmError('TRUST_BAD', `trust data: the root has no role ${role}`);
    return { keys: readKeys(root.signed.object('keys'), entry.strings('keyids')), threshold: entry.optionalNumber('threshold') ?? 0 };
  });
}

/** Whom a targets document lets sign; names one level below its own. */
export function delegationsOf(targets: SignedDocument, role: string): Delegation[] {
  return trustData(role, () => {
    const delegations = targets.signed.object('delegations');
    const keys = delegations?.object('keys');
    return (delegations?.objects('roles') ?? []).flatMap((entry) => {
      const name = entry.string('name');
      if (!name.startsWith(`${role}/`) || !/^[a-z0-9_-]+$/.test(name.slice(role.length + 1))) return [];
      return [{ name, paths: entry.strings('paths'), keys: readKeys(keys, entry.strings('keyids')), threshold: entry.optionalNumber('threshold') ?? 0 }];
    });
  });
}

/** What a snapshot or timestamp says of another document. */
export function metaOf(document: SignedDocument, name: string, role: string): FileMeta | undefined {
  return trustData(role, () => fileMeta(document.signed.object('meta')?.object(name)));
}

/** A target of a targets document: a tag, with the length and hashes of its manifest. */
export function targetOf(document: SignedDocument, name: string, role: string): FileMeta | undefined {
  return trustData(role, () => fileMeta(document.signed.object('targets')?.object(name)));
}

export function targetNames(document: SignedDocument): string[] {
  return trustData('targets', () => document.signed.keysOf('targets'));
}

function fileMeta(entry: JsonObject | undefined): FileMeta | undefined {
  if (entry === undefined) return undefined;
  const hashes = entry.object('hashes');
  return { length: entry.optionalNumber('length') ?? 0, hashes: new Map(entry.keysOf('hashes').map((name) => [name, hashes?.string(name) ?? ''])) };
}

/** Every hash that we know has to fit, and a sha256 has to be there. Throws TRUST_BAD. */
export function checkMeta(bytes: Uint8Array, meta: FileMeta, role: string): void {
  if (!meta.hashes.has('sha256')) throw new VmmError('TRUST_BAD', `trust data: ${role} has no sha256`, { hint: 'the trust data is damaged' });
  for (const algorithm of ['sha256', 'sha512']) {
    const hash = meta.hashes.get(algorithm);
    if (hash === undefined) continue;
    if (!createHash(algorithm).update(bytes).digest().equals(Buffer.from(hash, 'base64'))) {
      throw new VmmError('TRUST_BAD', `trust data: ${role} is not the one that was signed`, { hint: 'documents of different times were mixed, or one was tampered with' });
    }
  }
}

/** The hexadecimal sha256 of a file's meta, which is part of the file's name on the server. */
export function checksumOf(meta: FileMeta): string | undefined {
  const hash = meta.hashes.get('sha256');
  return hash === undefined ? undefined : Buffer.from(hash, 'base64').toString('hex');
}


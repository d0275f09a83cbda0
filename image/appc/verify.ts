import { closeSync } from 'node:fs';
import type { SignaturePacket } from 'openpgp';
import { VmmError } from '../../base/errors.ts';
import { hashFile } from './digest.ts';
import { ARMOUR_MAX, armourOf, type Key, loadOpenPgp, type Signature } from './openpgp.ts';

/** A signature that holds. */
export interface Signed {
  /** Of the primary key. */
  readonly fingerprint: string;
  /** What is weak without being refused, a line each. */
  readonly warnings: readonly string[];
}

const RSA_LEAST = 2048;
/** RFC 9580, 9.5: hash algorithms by number. */
const WEAK_HASHES: Readonly<Record<number, string>> = { 1: 'MD5', 2: 'SHA-1', 3: 'RIPEMD-160' };

/** Reads a detached signature: armoured, or as rkt takes it too, binary. Throws ACI_SIGNATURE. */
export async function readSignatureFile(bytes: Uint8Array, where: string): Promise<Signature> {
  const { readSignature } = await loadOpenPgp();
  if (bytes.length > ARMOUR_MAX) throw bad(where, `has ${bytes.length} bytes; at most ${ARMOUR_MAX} are read`);
  try {
    // OpenPGP's packets have the highest bit set, armour is text.
    if (((bytes[0] ?? 0) & 0x80) !== 0) return await readSignature({ binarySignature: bytes });
    return await readSignature({ armoredSignature: armourOf(bytes, 'PGP SIGNATURE', where) });
  } catch (cause) {
    throw bad(where, `is no OpenPGP signature${cause instanceof VmmError ? '' : `: ${(cause as Error).message}`}`, cause);
  }
}

/** The key among `keys` that a signature says it is by. Throws ACI_SIGNATURE for none: it needs not the image. */
export function signerOf(signature: Signature, keys: readonly Key[], where: string): Key {
  const ids = signature.packets.map(({ issuerKeyID }) => issuerKeyID);
  const key = keys.find((candidate) => ids.some((id) => candidate.getKeys(id).length > 0));
  if (key !== undefined) return key;
  const shown = ids.slice(0, 5).map((id) => id.toHex().toUpperCase()).join(', ');
  throw new VmmError('ACI_UNTRUSTED', `${where}: signature made by an unknown entity (key ${shown === '' ? 'not said' : shown})`, { hint: 'if you trust its owner: `vmm aci trust --prefix NAME KEY`' });
}

/**
 * Verifies a detached signature of an open file. One good signature by the key is enough; a signature or key that is
 * expired, revoked or weak is refused by name. Throws ACI_SIGNATURE, ACI_UNTRUSTED.
 */
export async function verifyFile(fd: number, signature: Signature, keys: readonly Key[], where: string): Promise<Signed> {
  const key = signerOf(signature, keys, where);
  const failures: VmmError[] = [];
  for (const packet of signature.packets) {
    if (key.getKeys(packet.issuerKeyID).length === 0) continue;
    try {
      await verifyPacket(fd, packet, key, where);
      return { fingerprint: key.getFingerprint(), warnings: weakSelf(key) };
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      failures.push(error);
    }
  }
  throw failures[0] ?? bad(where, 'there is no signature in it');
}

/**
 * What a signed OpenPGP message says (`gpg --sign`: data and signature in one), when its one signature is good and by one of the keys. As
 * strict as `verifyFile`. Throws ACI_SIGNATURE, ACI_UNTRUSTED.
 */
export async function verifyMessage(bytes: Uint8Array, keys: readonly Key[], max: number): Promise<{ data: Uint8Array; fingerprint: string }> {
  const { readMessage, verify } = await loadOpenPgp();
  const where = 'its signature';
  if (bytes.length > ARMOUR_MAX) throw bad(where, `has ${bytes.length} bytes; at most ${ARMOUR_MAX} are read`);
  try {
    const message = await readMessage({ binaryMessage: bytes, config: { maxDecompressedMessageSize: max } });
    const { data, signatures } = await verify({ message, verificationKeys: [...keys], format: 'binary', config: { maxDecompressedMessageSize: max } });
    const [only, ...more] = signatures;
    if (only === undefined || more.length > 0) throw bad(where, `holds ${signatures.length} signatures, not one`);
    const packet = (await only.signature).packets[0] as SignaturePacket;
    const key = signerOf({ packets: [packet] } as never, keys, where);
    checkPacket(packet, where);
    await checkKey(key, packet, where);
    await only.verified;
    if (data.length > max) throw bad(where, 'signs more than is read');
    return { data, fingerprint: key.getFingerprint() };
  } catch (cause) {
    throw cause instanceof VmmError ? cause : bad(where, `bad signature: ${(cause as Error).message.slice(0, 200)}`, cause);
  }
}

async function verifyPacket(fd: number, packet: SignaturePacket, key: Key, where: string): Promise<void> {
  checkPacket(packet, where);
  await checkKey(key, packet, where);
  try {
    const signing = await key.getSigningKey(packet.issuerKeyID, packet.created ?? undefined);
    await hashFile(packet, fd, where);
    await packet.verify(signing.keyPacket, 0, new Uint8Array(0), new Date(), true);
  } catch (cause) {
    throw bad(where, `bad signature: ${(cause as Error).message}`, cause);
  }
}

/** The signature as it stands, whoever made it. Throws ACI_SIGNATURE. */
function checkPacket(packet: SignaturePacket, where: string): void {
  const weak = WEAK_HASHES[packet.hashAlgorithm ?? 0];
  if (weak !== undefined) throw bad(where, `is signed with ${weak}, which can be forged`);
  if (packet.signatureType !== 0 || packet.version !== 4) throw bad(where, `is no signature of a file (version ${packet.version}, type ${packet.signatureType})`);
  if (packet.created !== null && packet.created > new Date()) throw bad(where, 'the signature was made in the future');
  if (packet.isExpired(new Date())) throw bad(where, 'the signature has expired');
}

/** The key as it is now. Throws ACI_SIGNATURE. */
async function checkKey(key: Key, { issuerKeyID }: SignaturePacket, where: string): Promise<void> {
  const shown = key.getFingerprint();
  const signing = key.getKeys(issuerKeyID)[0] ?? key;
  for (const { algorithm, bits } of [key.getAlgorithmInfo(), signing.getAlgorithmInfo()]) {
    if (algorithm.startsWith('rsa') && (bits ?? 0) < RSA_LEAST) throw bad(where, `key ${shown} is RSA of ${bits} bits; less than ${RSA_LEAST} can be broken`);
    if (algorithm === 'dsa' || algorithm === 'elgamal') throw bad(where, `key ${shown} is ${algorithm.toUpperCase()}, which is no longer taken`);
  }
  if (await key.isRevoked()) throw bad(where, `key ${shown} has been revoked`);
  const expiry = await key.getExpirationTime().catch(() => null);
  if (expiry instanceof Date && expiry <= new Date()) throw bad(where, `key ${shown} has expired on ${expiry.toISOString().slice(0, 10)}`);
  if (signing !== key) await checkSubkey(key, signing as never, where);
}

/** Keys of 2015 vouch for themselves with SHA-1: that is told, no more. */
function weakSelf(key: Key): string[] {
  const own = key.users.flatMap(({ selfCertifications }) => selfCertifications);
  const weak = own.length > 0 && own.every(({ hashAlgorithm }) => WEAK_HASHES[hashAlgorithm ?? 0] !== undefined);
  return weak ? [`key ${key.getFingerprint()} vouches for itself with ${WEAK_HASHES[own[0]?.hashAlgorithm ?? 0]}, as keys of 2015 do`] : [];
}

async function checkSubkey(key: Key, subkey: Key['subkeys'][number], where: string): Promise<void> {
  const shown = subkey.getFingerprint();
  try {
    await subkey.verify();
  } catch (cause) {
    throw bad(where, `subkey ${shown} of key ${key.getFingerprint()} is not to be used: ${(cause as Error).message}`, cause);
  }
}

function bad(where: string, what: string, cause?: unknown): VmmError {
  return new VmmError('ACI_SIGNATURE', `${where}: ${what}`, { cause, hint: 'do not run it, unless you know why: --insecure-options=image' });
}

/** Closes a descriptor behind the work that needs it. */
export async function withFile<T>(fd: number, work: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}

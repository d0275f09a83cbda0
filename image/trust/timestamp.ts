import { constants, createHash, type KeyObject, verify } from 'node:crypto';
import { type Element, elements, inside, leadingOid, need, oidText, timeOf } from './asn1.ts';
import { Certificate, pathToRoot, TIME_STAMPING } from './certificate.ts';

/** A time that an authority vouches for, as exact as it says. */
export interface Timestamp {
  readonly from: Date;
  readonly to: Date;
  /** The authority's certificate first, its root last. */
  readonly chain: readonly Certificate[];
}

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';
/** The baseline policy (RFC 3628, 5.2): exact to a second where nothing is said. */
const BASELINE = '0.4.0.2023.1.1';
const HASHES: Readonly<Record<string, string>> = { '2.16.840.1.101.3.4.2.1': 'sha256', '2.16.840.1.101.3.4.2.2': 'sha384', '2.16.840.1.101.3.4.2.3': 'sha512' };
const RSA = new Set(['1.2.840.113549.1.1.1', '1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13']);
const RSA_PSS = '1.2.840.113549.1.1.10';
const ECDSA = new Set(['1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4']);

/**
 * Reads a TimeStampToken (RFC 3161) for `message`, by an authority that leads to one of `roots`; why it does not count otherwise. `known`: certificates
 * that need not be in it.
 */
export function readTimestamp(token: Buffer, message: Uint8Array, roots: readonly Certificate[], known: readonly Certificate[] = []): Timestamp | string {
  try {
    return read(token, message, roots, known);
  } catch {
    // Whatever its bytes make of ASN.1 and node:crypto: it is none.
    return 'its timestamp cannot be read';
  }
}

/** As `readTimestamp`, of an authority's whole answer, a TimeStampResp (RFC 3161, 2.4.2). */
export function readTimestampAnswer(bytes: Buffer, ...rest: [message: Uint8Array, roots: readonly Certificate[], known: readonly Certificate[]]): Timestamp | string {
  let token: Element | undefined;
  try {
    const [status, given] = inside(elements(bytes)[0], 0x30);
    // Granted, perhaps with changes: others have no token.
    token = need(inside(status, 0x30)[0], 0x02).content.readUInt8() <= 1 ? given : undefined;
  } catch {
    return 'its timestamp cannot be read';
  }
  return token === undefined ? 'its timestamp was not granted' : readTimestamp(token.raw, ...rest);
}

function read(token: Buffer, message: Uint8Array, roots: readonly Certificate[], known: readonly Certificate[]): Timestamp | string {
  const [type, wrapped] = inside(elements(token)[0], 0x30);
  if (oidText(need(type, 0x06).content) !== SIGNED_DATA) return 'its timestamp is no signed data';
  const parts = inside(inside(wrapped, 0xa0)[0], 0x30);
  const [contentType, content] = inside(parts[2], 0x30);
  if (oidText(need(contentType, 0x06).content) !== TST_INFO) return 'its timestamp is about something else';
  const info = need(inside(content, 0xa0)[0], 0x04).content;
  const given = parts.filter(({ tag }) => tag === 0xa0).flatMap(({ content: list }) => elements(list)).filter(({ tag }) => tag === 0x30).map(({ raw }) => new Certificate(raw));
  const certificates = [...given, ...known];
  const signers = inside(parts.at(-1), 0x31);
  if (signers.length !== 1) return 'its timestamp is by several';
  const signer = inside(signers[0], 0x30);
  const leaf = certificates.find((certificate) => isSigner(certificate, need(signer[1])));
  if (leaf === undefined) return 'its timestamp lacks the certificate of who made it';
  const fault = signatureFault(signer, info, leaf);
  if (fault !== undefined) return fault;
  const { from, to, middle } = timesOf(info, message);
  if (!leaf.isOnlyFor(TIME_STAMPING) || leaf.x509.ca) return 'its timestamp is by a certificate that is not for timestamps';
  const chain = pathToRoot(leaf, certificates.filter((certificate) => certificate !== leaf), roots, middle, TIME_STAMPING);
  return chain === undefined ? 'its timestamp leads to no authority of the trust store' : { from, to, chain };
}

/** SignerIdentifier: issuer and serial number, or the key's identifier (RFC 5652, 5.3). */
function isSigner(certificate: Certificate, sid: Element): boolean {
  if (sid.tag === 0x80) return certificate.extension('2.5.29.14') !== undefined && need(elements(certificate.extension('2.5.29.14') as Buffer)[0]).content.equals(sid.content);
  const [issuer, serial] = inside(sid, 0x30);
  return certificate.issuerName.equals(need(issuer).raw) && certificate.serial.equals(need(serial, 0x02).content);
}

/** SignerInfo: version, identifier, digest algorithm, [0] signed attributes, signature algorithm, signature. */
function signatureFault([, , digest, attributes, algorithm, signature]: readonly Element[], info: Buffer, leaf: Certificate): string | undefined {
  const hash = HASHES[leadingOid(digest)];
  if (hash === undefined) return 'its timestamp is by a hash that does not count';
  const signed = need(attributes, 0xa0);
  const values = new Map(elements(signed.content).map((attribute): [string, Element | undefined] => {
    const [id, set] = inside(attribute, 0x30);
    return [oidText(need(id, 0x06).content), inside(set, 0x31)[0]];
  }));
  if (oidText(need(values.get(CONTENT_TYPE), 0x06).content) !== TST_INFO) return 'its timestamp is about something else';
  if (!need(values.get(MESSAGE_DIGEST), 0x04).content.equals(createHash(hash).update(info).digest())) return 'its timestamp was changed';
  if (!namesCertificate(values.get(SIGNING_CERTIFICATE_V2), values.get(SIGNING_CERTIFICATE), leaf)) return 'its timestamp is by another certificate than it says';
  // What is signed is a SET, whatever tag it has here.
  const bytes = Buffer.from(signed.raw);
  bytes[0] = 0x31;
  return isBy(leaf.x509.publicKey, leadingOid(algorithm), hash, bytes, need(signature, 0x04).content) ? undefined : 'its timestamp is not by its certificate';
}

function isBy(key: KeyObject, algorithm: string, hash: string, bytes: Buffer, signature: Buffer): boolean {
  if (RSA.has(algorithm) || algorithm === RSA_PSS) {
    if (key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) return false;
    return verify(hash, bytes, algorithm === RSA_PSS ? { key, padding: constants.RSA_PKCS1_PSS_PADDING } : key, signature);
  }
  return ECDSA.has(algorithm) && key.asymmetricKeyType === 'ec' && verify(hash, bytes, key, signature);
}

/** The attribute of RFC 5035 (by SHA-256 or what it names), else that of RFC 2634 (by SHA-1, beside a signature that is not). */
function namesCertificate(v2: Element | undefined, v1: Element | undefined, leaf: Certificate): boolean {
  const first = (attribute: Element): Element[] => inside(inside(inside(attribute, 0x30)[0], 0x30)[0], 0x30);
  const sum = (hash: string): Buffer => createHash(hash).update(leaf.x509.raw).digest();
  if (v2 !== undefined) {
    const fields = first(v2);
    const named = fields[0]?.tag === 0x30;
    const hash = named ? HASHES[leadingOid(fields[0])] : 'sha256';
    return hash !== undefined && need(fields[named ? 1 : 0], 0x04).content.equals(sum(hash));
  }
  return v1 !== undefined && need(first(v1)[0], 0x04).content.equals(sum('sha1'));
}

/** TSTInfo: version, policy, imprint, serial number, time, and perhaps how exact it is. Throws RangeError for what is for another message. */
function timesOf(bytes: Buffer, message: Uint8Array): { from: Date; to: Date; middle: Date } {
  const info = inside(elements(bytes)[0], 0x30);
  const [algorithm, imprint] = inside(info[2], 0x30);
  const hash = HASHES[leadingOid(algorithm)];
  if (hash === undefined || !need(imprint, 0x04).content.equals(createHash(hash).update(message).digest())) throw new RangeError('another message');
  const middle = timeOf(need(info[4], 0x18));
  const ms = info[5]?.tag === 0x30 ? accuracyOf(info[5]) : oidText(need(info[1], 0x06).content) === BASELINE ? 1000 : 0;
  return { from: new Date(middle.getTime() - ms), to: new Date(middle.getTime() + ms), middle };
}

/** Accuracy in ms, rounded up: seconds, [0] milliseconds, [1] microseconds. */
function accuracyOf(accuracy: Element): number {
  const number = ({ content }: Element): number => (content.length > 0 && content.length <= 4 ? content.readUIntBE(0, content.length) : 0x7fff_ffff);
  return inside(accuracy).reduce((sum, part) => sum + (part.tag === 0x02 ? number(part) * 1000 : part.tag === 0x80 ? number(part) : Math.ceil(number(part) / 1000)), 0);
}

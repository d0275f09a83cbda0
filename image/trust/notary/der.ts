import { createCipheriv, createPublicKey, type KeyObject, pbkdf2Sync, randomBytes, sign } from 'node:crypto';
import { der, integer, octets, oid, sequence } from '../asn1.ts';

/** What notary wants in DER and node:crypto does not write: a root key's certificate (RFC 5280), and keys encrypted as notary reads them. */
const TRUE = der(0x01, Buffer.from([0xff]));

/** UTCTime to 2049, GeneralizedTime after it (RFC 5280, 4.1.2.5). */
function time(date: Date): Buffer {
  const text = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const TEN_YEARS = 10;

/** A certificate by which a key is a repository's root key: by itself, for ten years, its name the common name; no CA. PEM. */
export function rootCertificate(key: KeyObject, gun: string, now: Date): string {
  const name = sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(gun)))));
  const end = new Date(now);
  end.setUTCFullYear(now.getUTCFullYear() + TEN_YEARS);
  const extension = (id: string, critical: boolean, value: Buffer): Buffer => sequence(oid(id), ...(critical ? [TRUE] : []), octets(value));
  const extensions = sequence(
    // keyUsage: digitalSignature, keyEncipherment; extKeyUsage: codeSigning; basicConstraints: no CA. As notary writes them.
    extension('2.5.29.15', true, der(0x03, Buffer.from([5, 0xa0]))),
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.3'))),
    extension('2.5.29.19', true, sequence()),
  );
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))), integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])), ECDSA_SHA256, name,
    sequence(time(now), time(end)), name, createPublicKey(key).export({ type: 'spki', format: 'der' }), der(0xa3, extensions),
  );
  const certificate = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), sign('sha256', body, key)));
  return pem('CERTIFICATE', certificate, {});
}

const ITERATIONS = 2048;

/** A private key as PKCS #8, encrypted by PBES2 with PBKDF2 of HMAC-SHA-1 and AES-256-CBC (RFC 8018): all that notary reads. */
export function encryptedKey(key: KeyObject, passphrase: string): Buffer {
  const [salt, iv] = [randomBytes(8), randomBytes(16)];
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(passphrase, salt, ITERATIONS, 32, 'sha1'), iv);
  const data = Buffer.concat([cipher.update(key.export({ type: 'pkcs8', format: 'der' })), cipher.final()]);
  const kdf = sequence(oid('1.2.840.113549.1.5.12'), sequence(octets(salt), integer(Buffer.from([ITERATIONS >> 8, ITERATIONS & 0xff]))));
  const scheme = sequence(oid('2.16.840.1.101.3.4.1.42'), octets(iv));
  return sequence(sequence(oid('1.2.840.113549.1.5.13'), sequence(kdf, scheme)), octets(data));
}

/** PEM with headers, as Go writes it. */
export function pem(label: string, bytes: Uint8Array, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${value}\n`).sort();
  const body = Buffer.from(bytes).toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines.join('')}${lines.length > 0 ? '\n' : ''}${body}\n-----END ${label}-----\n`;
}

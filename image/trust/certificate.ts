import { type KeyObject, verify, X509Certificate } from 'node:crypto';
import { bitsOf, type Element, elements, type Extension, extensionOf, inside, leadingOid, need, oidText } from './asn1.ts';

/** Certificates as those who sign images have them: node:crypto reads and verifies them, but tells neither extensions nor path lengths. */
const MAX_DEPTH = 6;
/** Certificates between a leaf and its root that are looked at: who sends more wants to keep us busy. */
const MAX_BETWEEN = 16;
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
export const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
export const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const ANY_USE = '2.5.29.37.0';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const CRL_POINTS = '2.5.29.31';
const AUTHORITY_ACCESS = '1.3.6.1.5.5.7.1.1';
const OCSP = '1.3.6.1.5.5.7.48.1';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
/** `GeneralName`: uniformResourceIdentifier. */
const URI = 0x86;
/** Critical extensions that are heeded: key usage (by `checkIssued`, `mayUseKey`), names, constraints, extended key usage. */
const UNDERSTOOD = new Set([KEY_USAGE, SUBJECT_ALT_NAME, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE]);

function extensionsOf(certificate: X509Certificate): Map<string, Extension> {
  const [whole] = elements(certificate.raw);
  const [body] = elements(whole?.content ?? Buffer.alloc(0));
  const wrapped = elements(body?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === 0xa3);
  const [list] = elements(wrapped?.content ?? Buffer.alloc(0));
  return new Map(elements(list?.content ?? Buffer.alloc(0)).map(extensionOf).map((extension) => [extension.id, extension]));
}

/** A certificate with what is read of its extensions. */
export class Certificate {
  readonly x509: X509Certificate;
  readonly #extensions: Map<string, Extension>;

  /** Throws for what is no certificate. */
  constructor(bytes: Uint8Array | string) {
    this.x509 = new X509Certificate(bytes);
    this.#extensions = extensionsOf(this.x509);
  }

  /** All of a PEM file. */
  static all(pem: string): Certificate[] {
    return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((text) => new Certificate(text));
  }

  /** The text of an extension that is a bare string, or a string in DER. */
  text(oid: string, wrapped: boolean): string | undefined {
    const value = this.#extensions.get(oid)?.value;
    return value === undefined ? undefined : (wrapped ? (elements(value)[0]?.content ?? Buffer.alloc(0)) : value).toString('utf8');
  }

  /** Names of a kind in the subject alternative name: 1 is an e-mail address, 6 a URI. */
  names(kind: 1 | 6): string[] {
    const [list] = elements(this.#extensions.get(SUBJECT_ALT_NAME)?.value ?? Buffer.alloc(0));
    return elements(list?.content ?? Buffer.alloc(0)).filter(({ tag }) => tag === (0x80 | kind)).map(({ content }) => content.toString('latin1'));
  }

  validAt(time: Date): boolean {
    return this.x509.validFromDate <= time && time <= this.x509.validToDate;
  }

  get hasUnknownCritical(): boolean {
    return [...this.#extensions].some(([oid, { critical }]) => critical && !UNDERSTOOD.has(oid));
  }

  /** How many more authorities may stand below it; undefined: any number. */
  get pathLength(): number | undefined {
    const [list] = elements(this.#extensions.get(BASIC_CONSTRAINTS)?.value ?? Buffer.alloc(0));
    const length = elements(list?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === 2);
    return length === undefined ? undefined : length.content.readUIntBE(0, Math.min(length.content.length, 4));
  }

  /** Where its revocation is told: lists (CRL), and servers that are asked (OCSP). Throws RangeError. */
  get crlUrls(): string[] {
    const points = inside(elements(this.extension(CRL_POINTS) ?? EMPTY)[0]);
    return points.flatMap(({ content }) => urisOf(elements(content).find(({ tag }) => tag === 0xa0)?.content ?? EMPTY));
  }

  get ocspUrls(): string[] {
    const descriptions = inside(elements(this.extension(AUTHORITY_ACCESS) ?? EMPTY)[0]).map(({ content }) => elements(content));
    return descriptions.filter(([method, at]) => method !== undefined && oidText(method.content) === OCSP && at?.tag === URI).map(([, at]) => need(at).content.toString('latin1'));
  }

  /** The value of an extension, DER. */
  extension(oid: string): Buffer | undefined {
    return this.#extensions.get(oid)?.value;
  }

  /** Its body's elements from the serial number on: serial, algorithm, issuer, validity, subject, public key. */
  get #body(): Element[] {
    const fields = inside(inside(elements(this.x509.raw)[0], 0x30)[0], 0x30);
    return fields[0]?.tag === 0xa0 ? fields.slice(1) : fields;
  }

  get serial(): Buffer {
    return need(this.#body[0], 0x02).content;
  }

  /** Names in DER. */
  get issuerName(): Buffer {
    return need(this.#body[2], 0x30).raw;
  }

  get subjectName(): Buffer {
    return need(this.#body[4], 0x30).raw;
  }

  /** The octets of its public key alone. */
  get keyBits(): Buffer {
    return bitsOf(inside(this.#body[5], 0x30)[1]);
  }

  /** Whether its key may be used for a bit of key usage (RFC 5280, 4.2.1.3): 6 signs lists of revoked certificates. */
  mayUseKey(bit: number): boolean {
    const value = this.extension(KEY_USAGE);
    if (value === undefined) return true;
    return (((elements(value)[0]?.content[1 + (bit >> 3)] ?? 0) << (bit & 7)) & 0x80) !== 0;
  }

  #uses(): string[] | undefined {
    return this.x509.keyUsage as string[] | undefined;
  }

  mayIssue(use: string): boolean {
    const uses = this.#uses();
    return uses === undefined || uses.includes(use) || uses.includes(ANY_USE);
  }

  isFor(use: string): boolean {
    return this.#uses()?.includes(use) === true;
  }

  /** For this alone, and whoever does not understand it may not use it. */
  isOnlyFor(use: string): boolean {
    return this.#uses()?.length === 1 && this.isFor(use) && this.#extensions.get(EXTENDED_KEY_USAGE)?.critical === true;
  }

  get signsCode(): boolean {
    return this.isFor(CODE_SIGNING);
  }
}

const EMPTY = Buffer.from([0x30, 0]);

/** URLs of a DistributionPointName's content: [0] fullName. */
export function urisOf(name: Buffer): string[] {
  const full = elements(name).find(({ tag }) => tag === 0xa0);
  return full === undefined ? [] : elements(full.content).filter(({ tag }) => tag === URI).map(({ content }) => content.toString('latin1'));
}

function issues(leaf: Certificate, issuer: Certificate, depth: number): boolean {
  return issuer.x509.ca && leaf.x509.checkIssued(issuer.x509) && leaf.x509.verify(issuer.x509.publicKey) && (issuer.pathLength ?? Number.POSITIVE_INFINITY) >= depth;
}

/**
 * The shortest path from a certificate over `between`, which nobody trusts, to one of `roots`, each valid at that time (RFC 5280, 6.1, without names'
 * constraints: who has them critical is refused); undefined where there is none. Each certificate is looked at once.
 */
export function pathToRoot(leaf: Certificate, between: readonly Certificate[], roots: readonly Certificate[], time: Date, use: string = CODE_SIGNING): Certificate[] | undefined {
  const fits = (certificate: Certificate): boolean => certificate.validAt(time) && !certificate.hasUnknownCritical && certificate.mayIssue(use);
  const left = new Set(between.slice(0, MAX_BETWEEN));
  let paths: Certificate[][] = [[leaf]];
  for (let depth = 0; depth <= MAX_DEPTH && paths.length > 0; depth++) {
    const next: Certificate[][] = [];
    for (const path of paths) {
      const last = path[depth];
      if (last === undefined || !fits(last)) continue;
      if (depth > 0 && roots.some((root) => root.x509.raw.equals(last.x509.raw))) return path;
      const root = roots.find((candidate) => issues(last, candidate, depth) && fits(candidate));
      if (root !== undefined) return [...path, root];
      for (const issuer of left) {
        if (!issues(last, issuer, depth)) continue;
        left.delete(issuer);
        next.push([...path, issuer]);
      }
    }
    paths = next;
  }
  return undefined;
}

const SIGNED_BY: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256', '1.2.840.113549.1.1.12': 'sha384', '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256', '1.2.840.10045.4.3.3': 'sha384', '1.2.840.10045.4.3.4': 'sha512',
};

/** Whether what is signed as certificates are (a body, an algorithm, bits) is by a key. SHA-1 is no algorithm. Throws RangeError. */
export function isSignedBy(key: KeyObject, [body, algorithm, bits]: readonly Element[]): boolean {
  const hash = SIGNED_BY[leadingOid(algorithm)];
  return hash !== undefined && verify(hash, need(body).raw, key, bitsOf(bits));
}

/** Whether each certificate is issued by the next one and the last by itself, the first for signing code: a whole chain, as Notation has it. A single one signs itself. */
export function isChain(chain: readonly Certificate[], time: Date): boolean {
  const leaf = chain[0];
  if (leaf === undefined || chain.length > MAX_DEPTH || !leaf.signsCode || (chain.length > 1 && leaf.x509.ca)) return false;
  return chain.every((certificate, i) => {
    const issuer = chain[i + 1] ?? certificate;
    const authority = issuer === leaf || (issuer.x509.ca && (issuer.pathLength ?? Number.POSITIVE_INFINITY) >= (issuer === certificate ? i - 1 : i));
    return authority && certificate.validAt(time) && !certificate.hasUnknownCritical && certificate.mayIssue(CODE_SIGNING) && certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey);
  });
}

import { X509Certificate } from 'node:crypto';

/** Certificates as those who sign images have them: node:crypto reads and verifies them, but tells neither extensions nor path lengths. */
const MAX_DEPTH = 6;
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const CRL_POINTS = '2.5.29.31';
const AUTHORITY_ACCESS = '1.3.6.1.5.5.7.1.1';
/** 1.3.6.1.5.5.7.48.1 in DER. */
const OCSP = Buffer.from([0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01]);
/** Critical extensions that are heeded: key usage (by node:crypto), names, constraints, extended key usage. */
const UNDERSTOOD = new Set(['2.5.29.15', SUBJECT_ALT_NAME, BASIC_CONSTRAINTS, '2.5.29.37']);

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** The elements of DER one after the other (X.690); throws RangeError for what is none. */
function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at);
    let length = bytes.readUInt8(at + 1);
    at += 2;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size === 0 || size > 4) throw new RangeError('length');
      length = bytes.readUIntBE(at, size);
      at += size;
    }
    if (at + length > bytes.length) throw new RangeError('length');
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function oidText(bytes: Buffer): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of bytes) {
    value = value * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(value / 40)), value - 40 * Math.min(2, Math.floor(value / 40)));
    else arcs.push(value);
    value = 0;
  }
  return arcs.join('.');
}

interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

function extensionsOf(certificate: X509Certificate): Map<string, Extension> {
  const [whole] = elements(certificate.raw);
  const [body] = elements(whole?.content ?? Buffer.alloc(0));
  const wrapped = elements(body?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === 0xa3);
  const [list] = elements(wrapped?.content ?? Buffer.alloc(0));
  return new Map(elements(list?.content ?? Buffer.alloc(0)).map(({ content }) => {
    const parts = elements(content);
    return [oidText(parts[0]?.content ?? Buffer.alloc(0)), { critical: parts.length > 2 && parts[1]?.content[0] !== 0, value: parts.at(-1)?.content ?? Buffer.alloc(0) }];
  }));
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

  /** It says where its revocation would be told: CRLs, or OCSP. */
  get isRevocable(): boolean {
    return this.#extensions.has(CRL_POINTS) || (this.#extensions.get(AUTHORITY_ACCESS)?.value.includes(OCSP) ?? false);
  }

  mayIssueCode(): boolean {
    const uses = this.x509.keyUsage as string[] | undefined;
    return uses === undefined || uses.includes(CODE_SIGNING) || uses.includes('2.5.29.37.0');
  }

  get signsCode(): boolean {
    return ((this.x509.keyUsage as string[] | undefined) ?? []).includes(CODE_SIGNING);
  }
}

/** Whether a path leads from a certificate over `between`, which nobody trusts, to one of `roots`, each valid at that time (RFC 5280, 6.1, without names' constraints: who has them critical is refused). */
export function leadsToRoot(leaf: Certificate, between: readonly Certificate[], roots: readonly Certificate[], time: Date, depth = 0): boolean {
  if (depth > MAX_DEPTH || !leaf.validAt(time) || leaf.hasUnknownCritical || !leaf.mayIssueCode()) return false;
  const issues = (issuer: Certificate): boolean =>
    issuer.x509.ca && leaf.x509.checkIssued(issuer.x509) && leaf.x509.verify(issuer.x509.publicKey) && (issuer.pathLength ?? Number.POSITIVE_INFINITY) >= depth;
  if (roots.some((root) => root.x509.raw.equals(leaf.x509.raw) && depth > 0)) return true;
  if (roots.some((root) => issues(root) && root.validAt(time) && !root.hasUnknownCritical && root.mayIssueCode())) return true;
  return between.some((issuer) => issues(issuer) && leadsToRoot(issuer, between, roots, time, depth + 1));
}

/** Whether each certificate is issued by the next one and the last by itself, the first for signing code: a whole chain, as Notation has it. A single one signs itself. */
export function isChain(chain: readonly Certificate[], time: Date): boolean {
  const leaf = chain[0];
  if (leaf === undefined || chain.length > MAX_DEPTH || !leaf.signsCode || (chain.length > 1 && leaf.x509.ca)) return false;
  return chain.every((certificate, i) => {
    const issuer = chain[i + 1] ?? certificate;
    const authority = issuer === leaf || (issuer.x509.ca && (issuer.pathLength ?? Number.POSITIVE_INFINITY) >= (issuer === certificate ? i - 1 : i));
    return authority && certificate.validAt(time) && !certificate.hasUnknownCritical && certificate.mayIssueCode() && certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey);
  });
}

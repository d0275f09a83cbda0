import { createHash } from 'node:crypto';
import { der, each, type Element, elements, extensionOf, inside, integer, leadingOid, need, octets, oid, oidText, sequence, timeOf } from './asn1.ts';
import { Certificate, isSignedBy, OCSP_SIGNING, urisOf } from './certificate.ts';

/** What an authority says of a certificate: when it was revoked, `good` that it was not, else why that cannot be told. */
export type Status = 'good' | { readonly revoked: Date; readonly invalid: Date | undefined } | { readonly unknown: string };

const unknown = (why: string): Status => ({ unknown: why });
const INVALIDITY_DATE = '2.5.29.24';
const CRL_NUMBER = '2.5.29.20';
const AUTHORITY_KEY = '2.5.29.35';
const DISTRIBUTION_POINT = '2.5.29.28';
const FRESHEST = '2.5.29.46';
const CRL_SIGN = 6;

/**
 * What a list of revoked certificates (RFC 5280, 5), which came from `url`, says of one that `issuer` has issued. Only whole lists of the issuer's own
 * are read: neither those of others nor changes to one (delta).
 */
export function statusByList(bytes: Buffer, url: string, certificate: Certificate, issuer: Certificate, now: Date): Status {
  try {
    return byList(bytes, url, certificate, issuer, now);
  } catch {
    return unknown('its list of revoked certificates cannot be read');
  }
}

function byList(bytes: Buffer, url: string, certificate: Certificate, issuer: Certificate, now: Date): Status {
  const whole = inside(elements(bytes)[0], 0x30);
  if (!issuer.mayUseKey(CRL_SIGN) || !isSignedBy(issuer.x509.publicKey, whole)) return unknown('its list of revoked certificates is not by who issued it');
  const fields = inside(whole[0], 0x30);
  const at = fields[0]?.tag === 0x02 ? 1 : 0;
  if (!need(fields[at + 1]).raw.equals(certificate.issuerName)) return unknown('its list of revoked certificates is another authority’s');
  const [since, until] = [timeOf(fields[at + 2]), isTime(fields[at + 3]) ? timeOf(fields[at + 3]) : undefined];
  if (since > now || until === undefined || until <= now) return unknown('its list of revoked certificates is out of date');
  const extensions = inside(inside(fields.find(({ tag }) => tag === 0xa0) ?? NONE)[0] ?? NONE);
  for (const extension of extensions) {
    const { id, critical, value } = extensionOf(extension);
    if (id === DISTRIBUTION_POINT) {
      if (!covers(value, url, certificate)) return unknown('its list of revoked certificates is for others');
    } else if (id === FRESHEST || (critical && id !== CRL_NUMBER && id !== AUTHORITY_KEY)) return unknown('its list of revoked certificates has what is not read here');
  }
  const list = fields[at + 4]?.tag === 0x30 ? fields[at + 4] : undefined;
  for (const entry of each(list?.content ?? Buffer.alloc(0))) {
    const [serial, date, more] = inside(entry, 0x30);
    if (!need(serial, 0x02).content.equals(certificate.serial)) continue;
    return { revoked: timeOf(date), invalid: invalidityOf(more) };
  }
  return 'good';
}

const NONE: Element = { tag: 0, content: Buffer.alloc(0), raw: Buffer.alloc(0) };

const isTime = (element: Element | undefined): boolean => element?.tag === 0x17 || element?.tag === 0x18;

/** issuingDistributionPoint: whether the list is the one that the certificate points to, and has all reasons of such certificates. */
function covers(value: Buffer, url: string, { x509 }: Certificate): boolean {
  for (const { tag, content } of inside(elements(value)[0], 0x30)) {
    const isSet = content[0] !== 0;
    const fits = tag === 0xa0 ? urisOf(content).includes(url) : tag === 0x81 ? !isSet || !x509.ca : tag === 0x82 ? !isSet || x509.ca : tag === 0x84 || tag === 0x85 ? !isSet : false;
    if (!fits) return false;
  }
  return true;
}

/** Since when the certificate is not to be believed, where an entry says so. */
function invalidityOf(extensions: Element | undefined): Date | undefined {
  const found = extensions === undefined ? undefined : inside(extensions).map(extensionOf).find(({ id }) => id === INVALIDITY_DATE);
  return found === undefined ? undefined : timeOf(elements(found.value)[0]);
}

const BASIC = '1.3.6.1.5.5.7.48.1.1';
const NO_CHECK = '1.3.6.1.5.5.7.48.1.5';
/** By which a certificate is named; that a name is by SHA-1 harms nobody, and all servers know it. */
const SHA1 = sequence(oid('1.3.14.3.2.26'), der(0x05));

function certificateId(certificate: Certificate, issuer: Certificate): Buffer {
  const sum = (bytes: Buffer): Buffer => octets(createHash('sha1').update(bytes).digest());
  return sequence(SHA1, sum(issuer.subjectName), sum(issuer.keyBits), integer(certificate.serial));
}

/** What an OCSP server is asked (RFC 6960, 4.1); without a nonce, so that its answer may be kept. */
export function ocspRequest(certificate: Certificate, issuer: Certificate): Buffer {
  return sequence(sequence(sequence(sequence(certificateId(certificate, issuer)))));
}

/** What the answer of an OCSP server says of a certificate (RFC 6960, 4.2): by its issuer, or by who answers for that and is not to be asked about in turn. */
export function statusByAnswer(bytes: Buffer, certificate: Certificate, issuer: Certificate, now: Date): Status {
  try {
    return byAnswer(bytes, certificate, issuer, now);
  } catch {
    return unknown('what its server of revocations answers cannot be read');
  }
}

function byAnswer(bytes: Buffer, certificate: Certificate, issuer: Certificate, now: Date): Status {
  const [status, wrapped] = inside(elements(bytes)[0], 0x30);
  if (need(status, 0x0a).content[0] !== 0) return unknown('its server of revocations does not answer for it');
  const [type, body] = inside(inside(wrapped, 0xa0)[0], 0x30);
  if (oidText(need(type, 0x06).content) !== BASIC) return unknown('its server of revocations answers in a form that is not read');
  const basic = inside(elements(need(body, 0x04).content)[0], 0x30);
  const certificates = basic[3]?.tag === 0xa0 ? inside(inside(basic[3])[0], 0x30).map(({ raw }) => new Certificate(raw)) : [];
  if (![issuer, ...certificates.slice(0, 4)].some((by) => (by === issuer || mayAnswer(by, issuer, now)) && isSignedBy(by.x509.publicKey, basic))) return unknown('what its server of revocations answers is not by who may');
  const responses = inside(inside(basic[0], 0x30).find(({ tag }) => tag === 0x30), 0x30);
  const id = elements(certificateId(certificate, issuer))[0];
  for (const response of responses) {
    const [named, state, since, until] = inside(response, 0x30);
    if (!isSameId(named, id)) continue;
    if (timeOf(since) > now || until?.tag !== 0xa0 || timeOf(inside(until)[0]) <= now) return unknown('what its server of revocations answers is out of date');
    if (state?.tag === 0x80) return 'good';
    if (state?.tag === 0xa1) return { revoked: timeOf(inside(state)[0]), invalid: undefined };
    return unknown('its server of revocations does not know it');
  }
  return unknown('its server of revocations answers for others');
}

/** Some servers leave out the NULL behind the hash's name. */
function isSameId(one: Element | undefined, other: Element | undefined): boolean {
  const [a, b] = [inside(one, 0x30), inside(other, 0x30)];
  return leadingOid(a[0]) === leadingOid(b[0]) && [1, 2, 3].every((i) => need(a[i]).raw.equals(need(b[i]).raw));
}

function mayAnswer(by: Certificate, issuer: Certificate, now: Date): boolean {
  return by.isFor(OCSP_SIGNING) && by.extension(NO_CHECK) !== undefined && by.validAt(now) && by.x509.checkIssued(issuer.x509) && by.x509.verify(issuer.x509.publicKey);
}

import { createHash, type KeyObject, verify } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import { Certificate, leadsToRoot } from '../certificate.ts';
import type { Attachment } from '../signatures.ts';

/** Sigstore's certificates for a signature that is made once: by Fulcio for who logs in, with an entry of Rekor's log (containers-policy.json(5), `fulcio`). */
export interface Fulcio {
  readonly roots: readonly Certificate[];
  readonly oidcIssuer: string;
  readonly subjectEmail: string | undefined;
  /** Ours: a workflow's URI. */
  readonly subjectUri: string | undefined;
}

const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const CHAIN = 'dev.sigstore.cosign/chain';
const BUNDLE = 'dev.sigstore.cosign/bundle';
/** Fulcio's extensions: the issuer as a bare string, and since 2022 as a DER string. */
const ISSUER = '1.3.6.1.4.1.57264.1.1';
const ISSUER_V2 = '1.3.6.1.4.1.57264.1.8';

/** The key of a signature's certificate, or why it does not count. `time`: of its entry in the log. */
export function keyOfCertificate({ annotations }: Attachment, fulcio: Fulcio, time: Date): KeyObject | string {
  const text = annotations[CERTIFICATE];
  if (text === undefined) return 'its signature has no certificate';
  try {
    const leaf = new Certificate(text);
    const between = Certificate.all(annotations[CHAIN] ?? '');
    if (!leaf.signsCode || leaf.x509.ca || !leadsToRoot(leaf, between, fulcio.roots, time)) return 'the certificate of its signature is by no authority of the policy, or was not valid when it was logged';
    const issuers = [leaf.text(ISSUER, false), leaf.text(ISSUER_V2, true)].filter((issuer) => issuer !== undefined);
    if (issuers.length === 0 || issuers.some((issuer) => issuer !== fulcio.oidcIssuer)) return `it is signed by an identity of ${JSON.stringify((issuers[0] ?? 'nobody').slice(0, 200))}`;
    const names = fulcio.subjectEmail === undefined ? leaf.names(6) : leaf.names(1);
    if (!names.includes(fulcio.subjectEmail ?? fulcio.subjectUri ?? '')) return `it is signed by ${JSON.stringify(names.join(', ').slice(0, 200))}`;
    return leaf.x509.publicKey;
  } catch {
    return 'the certificate of its signature cannot be read';
  }
}

/** When the log took the signature, by its promise (SET), or why there is none that counts. `key`: the PEM that the entry must name. */
export function loggedAt({ bytes, annotations }: Attachment, signature: Buffer, key: string | undefined, logs: readonly KeyObject[]): Date | string {
  const bundle = annotations[BUNDLE];
  if (bundle === undefined) return 'its signature is in no transparency log';
  try {
    const document = JsonObject.parse(Buffer.from(bundle), 'bundle');
    const payload = document.object('Payload');
    const [body, logID, integratedTime, logIndex] = [payload?.string('body') ?? '', payload?.string('logID') ?? '', payload?.optionalNumber('integratedTime'), payload?.optionalNumber('logIndex')];
    if (integratedTime === undefined || logIndex === undefined) return 'the promise of the log cannot be read';
    // Canonical JSON (RFC 8785): the keys in this order, the strings are base64 and hexadecimal.
    const promised = Buffer.from(JSON.stringify({ body, integratedTime, logID, logIndex }));
    const promise = Buffer.from(document.string('SignedEntryTimestamp'), 'base64');
    if (!logs.some((log) => verify(log.asymmetricKeyType === 'ed25519' ? null : 'sha256', promised, log, promise))) return 'the promise of the log is by no log of the policy';
    return namesSignature(Buffer.from(body, 'base64'), bytes, signature, key) ? new Date(integratedTime * 1000) : 'the entry of the log is for another signature';
  } catch (error) {
    if (error instanceof VmmError || error instanceof TypeError) return 'the promise of the log cannot be read';
    throw error;
  }
}

/** Rekor's `hashedrekord` 0.0.1. */
function namesSignature(entry: Buffer, payload: Uint8Array, signature: Buffer, key: string | undefined): boolean {
  const document = JsonObject.parse(entry, 'entry');
  if (document.string('kind') !== 'hashedrekord' || document.string('apiVersion') !== '0.0.1') return false;
  const spec = document.object('spec');
  const hash = spec?.object('data')?.object('hash');
  const signed = spec?.object('signature');
  if (hash?.string('algorithm') !== 'sha256' || hash.string('value') !== createHash('sha256').update(payload).digest('hex')) return false;
  if (!Buffer.from(signed?.string('content') ?? '', 'base64').equals(signature)) return false;
  return key !== undefined && samePem(Buffer.from(signed?.object('publicKey')?.string('content') ?? '', 'base64').toString('latin1'), key);
}

function samePem(one: string, other: string): boolean {
  const bare = (text: string): string => text.replace(/\s+/g, '');
  return bare(one) === bare(other) && bare(one) !== '';
}

/** The PEM of a signature's certificate. */
export function certificateOf({ annotations }: Attachment): string | undefined {
  return annotations[CERTIFICATE];
}

import { type KeyObject, verify } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import { Certificate, pathToRoot } from '../certificate.ts';
import type { Attachment } from '../signatures.ts';
import { namesSignature } from './log-entry.ts';

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

/** A signature's certificate with its path to an authority of the policy, itself first, or why it does not count. `time`: of its entry in the log. */
export function certificatesOf(attached: Attachment, fulcio: Fulcio, roots: readonly Certificate[], time: Date): { leaf: Certificate; path: readonly Certificate[] } | string {
  const text = certificateOf(attached);
  if (text === undefined) return 'its signature has no certificate';
  try {
    const leaf = new Certificate(text);
    // Nobody has signed the annotation: of what is in it only the path counts.
    const path = pathToRoot(leaf, Certificate.all(attached.annotations[CHAIN] ?? ''), roots, time);
    if (!leaf.signsCode || leaf.x509.ca || path === undefined) return 'the certificate of its signature is by no authority of the policy, or was not valid when it was logged';
    return identityFault(leaf, fulcio) ?? { leaf, path };
  } catch {
    return 'the certificate of its signature cannot be read';
  }
}

/** Why a certificate is not for whom the policy wants. */
export function identityFault(leaf: Certificate, fulcio: Fulcio): string | undefined {
  const issuers = [leaf.text(ISSUER, false), leaf.text(ISSUER_V2, true)].filter((issuer) => issuer !== undefined);
  if (issuers.length === 0 || issuers.some((issuer) => issuer !== fulcio.oidcIssuer)) return `it is signed by an identity of ${JSON.stringify((issuers[0] ?? 'nobody').slice(0, 200))}`;
  const names = fulcio.subjectEmail === undefined ? leaf.names(6) : leaf.names(1);
  return names.includes(fulcio.subjectEmail ?? fulcio.subjectUri ?? '') ? undefined : `it is signed by ${JSON.stringify(names.join(', ').slice(0, 200))}`;
}

/** When the log took the signature, by its promise (SET), or why there is none that counts. `key`: the PEM that the entry must name; `payload`: of a DSSE envelope. */
export function loggedAt({ bytes, annotations }: Attachment, signature: Buffer, key: string | undefined, logs: (time: Date) => readonly KeyObject[], payload?: Uint8Array): Date | string {
  const bundle = annotations[BUNDLE];
  if (bundle === undefined) return 'its signature is in no transparency log';
  try {
    const document = JsonObject.parse(Buffer.from(bundle), 'bundle');
    const entry = document.object('Payload');
    const [body, logID, integratedTime, logIndex] = [entry?.string('body') ?? '', entry?.string('logID') ?? '', entry?.optionalNumber('integratedTime'), entry?.optionalNumber('logIndex')];
    if (integratedTime === undefined || logIndex === undefined) return 'the promise of the log cannot be read';
    // Canonical JSON (RFC 8785): the keys in this order, the strings are base64 and hexadecimal.
    const promised = Buffer.from(JSON.stringify({ body, integratedTime, logID, logIndex }));
    const promise = Buffer.from(document.string('SignedEntryTimestamp'), 'base64');
    const time = new Date(integratedTime * 1000);
    if (!logs(time).some((log) => verify(log.asymmetricKeyType === 'ed25519' ? null : 'sha256', promised, log, promise))) return 'the promise of the log is by no log of the policy';
    return namesSignature(Buffer.from(body, 'base64'), { bytes, signature, key, ...(payload === undefined ? {} : { payload }) }) ? time : 'the entry of the log is for another signature';
  } catch (error) {
    if (error instanceof VmmError || error instanceof TypeError) return 'the promise of the log cannot be read';
    throw error;
  }
}

/** The PEM of a signature's certificate. */
export function certificateOf({ annotations }: Attachment): string | undefined {
  return annotations[CERTIFICATE];
}

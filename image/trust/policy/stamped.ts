import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { Attachment } from '../signatures.ts';
import { readTimestampAnswer } from '../timestamp.ts';
import { type SignedBy, timestampAuthoritiesAt } from './sigstore-requirement.ts';

const TIMESTAMP = 'dev.sigstore.cosign/rfc3161timestamp';

/**
 * When timestamp authorities of the policy (RFC 3161) say that a signature was there, as exactly as they say; nothing where it has no timestamp, or
 * the policy no authority; or why the timestamp does not count. It is of the signature, or of the whole DSSE envelope (cosign, pkg/cosign/verify.go).
 */
export function stampedAt({ bytes, annotations }: Attachment, signature: Buffer, isEnvelope: boolean, by: SignedBy): readonly Date[] | string {
  const text = annotations[TIMESTAMP];
  const known = (by.trustedRoot?.timestamps ?? []).map(({ what }) => what);
  if (text === undefined || known.length === 0) return [];
  let answer: Buffer;
  try {
    answer = Buffer.from(JsonObject.parse(Buffer.from(text), 'timestamp').string('SignedRFC3161Timestamp'), 'base64');
  } catch (error) {
    if (error instanceof VmmError) return 'its timestamp cannot be read';
    throw error;
  }
  const stamp = readTimestampAnswer(answer, isEnvelope ? bytes : signature, known, known);
  if (typeof stamp === 'string') return stamp;
  const times = [stamp.from, stamp.to];
  const root = stamp.chain.at(-1);
  const trusted = times.every((time) => timestampAuthoritiesAt(by, time).some(({ x509 }) => root !== undefined && x509.raw.equals(root.x509.raw)));
  return trusted ? times : 'its timestamp is of a time for which the policy does not trust its authority';
}

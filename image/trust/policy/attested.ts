import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { Attachment, Met, Signatures } from '../signatures.ts';
import { signatureFault, signerOf } from './sigstore.ts';
import type { AttestedRequirement, SignedBy } from './sigstore-requirement.ts';
import { type Enveloped, readStatement } from './statement.ts';

const ENVELOPE = 'application/vnd.dsse.envelope.v1+json';
/** Signatures of one envelope: cosign makes one. */
const MAX_SIGNATURES = 16;

/**
 * Why no attestation of the requirement's kind is about a manifest of these digests; undefined when one is (cosign, ATTESTATION_SPEC.md and
 * BUNDLE_SPEC.md). Throws as `Signatures`, TRUST_CONFIG.
 */
export async function attestedFault(signatures: Signatures, digests: readonly string[], requirement: AttestedRequirement, met: Met = () => {}): Promise<string | undefined> {
  let fault = `it has no attestation of ${requirement.predicateType}`;
  for (const kind of ['attestation', 'bundle'] as const) {
    for (const digest of new Set(digests)) {
      for (const attached of await signatures.of(kind, digest)) {
        if (kind === 'attestation' && attached.mediaType !== ENVELOPE) continue;
        const opened = kind === 'bundle' ? await (await import('./bundle.ts')).openBundle(attached.bytes, requirement) : await openEnvelope(attached, requirement);
        const statement = typeof opened === 'string' ? opened : readStatement(opened, digest);
        if (typeof statement === 'string') fault = statement;
        else if (statement.predicateType === requirement.predicateType) {
          met(`${signerOf(requirement)}: ${requirement.predicateType}`);
          return undefined;
        }
      }
    }
  }
  return fault;
}

/** What is in a DSSE envelope (secure-systems-lab/dsse, envelope.md) with a signature that counts. */
async function openEnvelope(attached: Attachment, by: SignedBy): Promise<Enveloped | string> {
  let envelope: Enveloped;
  let found: Buffer[];
  try {
    const document = JsonObject.parse(attached.bytes, 'envelope');
    envelope = { payloadType: document.string('payloadType'), payload: Buffer.from(document.string('payload'), 'base64') };
    found = document.objects('signatures').slice(0, MAX_SIGNATURES).map((one) => Buffer.from(one.string('sig'), 'base64'));
  } catch (error) {
    if (error instanceof VmmError) return 'its attestation cannot be read';
    throw error;
  }
  let fault = 'its attestation has no signature';
  for (const signature of found) {
    const why = await signatureFault(attached, { bytes: preAuthentication(envelope), signature, payload: envelope.payload }, by);
    if (why === undefined) return envelope;
    fault = why;
  }
  return fault;
}

/** What the signature is of (dsse, protocol.md, PAE). */
function preAuthentication({ payloadType, payload }: Enveloped): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `), payload]);
}

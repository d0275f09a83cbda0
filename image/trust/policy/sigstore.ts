import { type KeyObject, verify } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { RegistryName } from '../../registry/name.ts';
import { type Identity, matches } from './identity.ts';
import { certificateOf, keyOfCertificate, loggedAt } from './keyless.ts';
import type { Attachment, Met, Signatures } from '../signatures.ts';
import type { SigstoreRequirement } from './sigstore-requirement.ts';

const SIGNATURE = 'dev.sigstore.cosign/signature';
const OLD_SIGNATURE = 'dev.cosignproject.cosign/signature';
const PAYLOAD = 'application/vnd.dev.cosign.simplesigning.v1+json';
const TYPE = 'cosign container image signature';

/**
 * Why no signature as the requirement has it says that a manifest of these digests is the image of this name; undefined when one does. An index
 * and the manifest that it leads to are one image: either may be signed. Throws as `Signatures`.
 */
export async function sigstoreFault(signatures: Signatures, name: RegistryName, digests: readonly string[], requirement: SigstoreRequirement, met: Met = () => {}): Promise<string | undefined> {
  let fault = 'it has no signature by cosign';
  for (const digest of new Set(digests)) {
    for (const attached of await signatures.of('sigstore', digest)) {
      const signature = attached.annotations[OLD_SIGNATURE] ?? attached.annotations[SIGNATURE];
      if (attached.mediaType !== PAYLOAD || signature === undefined) continue;
      const why = signatureFault(attached, Buffer.from(signature, 'base64'), requirement) ?? payloadFault(attached.bytes, digest, name, requirement.identity);
      if (why === undefined) {
        met(signerOf(requirement));
        return undefined;
      }
      fault = why;
    }
  }
  return fault;
}

/** Of a signature that holds: who logged in for its certificate, or whose key it is. */
function signerOf({ fulcio }: SigstoreRequirement): string {
  return fulcio === undefined ? 'a key of the policy' : `${fulcio.subjectEmail ?? fulcio.subjectUri} of ${fulcio.oidcIssuer}`;
}

function signatureFault(attached: Attachment, signature: Buffer, { keys, fulcio, logs }: SigstoreRequirement): string | undefined {
  if (fulcio === undefined) {
    const key = keys.find((candidate) => verifies(candidate, attached.bytes, signature));
    if (key === undefined) return 'its signature is by no key of the policy';
    if (logs.length === 0) return undefined;
    const logged = loggedAt(attached, signature, key.export({ type: 'spki', format: 'pem' }).toString(), logs);
    return typeof logged === 'string' ? logged : undefined;
  }
  const logged = loggedAt(attached, signature, certificateOf(attached), logs);
  if (typeof logged === 'string') return logged;
  const key = keyOfCertificate(attached, fulcio, logged);
  if (typeof key === 'string') return key;
  return verifies(key, attached.bytes, signature) ? undefined : 'its signature is not by its certificate';
}

function payloadFault(payload: Uint8Array, digest: string, name: RegistryName, identity: Identity): string | undefined {
  try {
    const critical = JsonObject.parse(payload, 'signature').object('critical');
    if (critical?.string('type') !== TYPE) return 'what is signed is no image';
    if (critical.object('image')?.string('docker-manifest-digest') !== digest) return `the signature is for another manifest than ${digest}`;
    const signed = critical.object('identity')?.string('docker-reference') ?? '';
    return matches(signed, name, identity) ? undefined : `it is signed as ${JSON.stringify(signed.slice(0, 200))}`;
  } catch (error) {
    if (error instanceof VmmError) return 'what is signed cannot be read';
    throw error;
  }
}

function verifies(key: KeyObject, payload: Uint8Array, signature: Buffer): boolean {
  try {
    return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', payload, key, signature);
  } catch {
    return false;
  }
}

import { type KeyObject, verify } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { RegistryName } from '../../registry/name.ts';
import { type Identity, matches } from './identity.ts';
import { certificateOf, certificatesOf, loggedAt } from './keyless.ts';
import { type Attachment, type Met, NotKept, type Signatures } from '../signatures.ts';
import { logsAt, rootsAt, type SignedBy, type SigstoreRequirement, wantsLog } from './sigstore-requirement.ts';
import { readStatement, type Statement } from './statement.ts';

const SIGNATURE = 'dev.sigstore.cosign/signature';
const OLD_SIGNATURE = 'dev.cosignproject.cosign/signature';
const PAYLOAD = 'application/vnd.dev.cosign.simplesigning.v1+json';
const TYPE = 'cosign container image signature';
/** Predicate of a statement that is a signature (cosign 3, and 2.x with --new-bundle-format). */
const SIGN = 'https://sigstore.dev/cosign/sign/v1';

/**
 * Why no signature as the requirement has it says that a manifest of these digests is the image of this name; undefined when one does. An index
 * and the manifest that it leads to are one image: either may be signed. Throws as `Signatures`, TRUST_CONFIG.
 */
export async function sigstoreFault(signatures: Signatures, name: RegistryName, digests: readonly string[], requirement: SigstoreRequirement, met: Met = () => {}): Promise<string | undefined> {
  let fault: string | undefined;
  for (const digest of new Set(digests)) {
    for (const attached of await signatures.of('sigstore', digest)) {
      const signature = attached.annotations[OLD_SIGNATURE] ?? attached.annotations[SIGNATURE];
      if (attached.mediaType !== PAYLOAD || signature === undefined) continue;
      fault = (await signatureFault(attached, { bytes: attached.bytes, signature: Buffer.from(signature, 'base64') }, requirement)) ?? payloadFault(attached.bytes, digest, name, requirement.identity);
      if (fault !== undefined) continue;
      met(signerOf(requirement));
      return undefined;
    }
  }
  return bundlesFault(signatures, name, digests, requirement, fault, met);
}

/** As `sigstoreFault`, of bundles, which newer versions of cosign attach. */
async function bundlesFault(signatures: Signatures, name: RegistryName, digests: readonly string[], requirement: SigstoreRequirement, before: string | undefined, met: Met): Promise<string | undefined> {
  let fault = before;
  for (const digest of new Set(digests)) {
    for (const { bytes } of await bundlesOf(signatures, digest, before !== undefined)) {
      const opened = await (await import('./bundle.ts')).openBundle(bytes, requirement);
      const statement = typeof opened === 'string' ? opened : readStatement(opened, digest);
      // Attestations lie among the signatures, and say nothing of who may run it.
      if (typeof statement !== 'string' && statement.predicateType !== SIGN) continue;
      const why = typeof statement === 'string' ? statement : namesFault(statement, name, requirement.identity);
      if (why === undefined) {
        met(`${signerOf(requirement)}, in a bundle`);
        return undefined;
      }
      fault = why;
    }
  }
  return fault ?? 'it has no signature by cosign';
}

/** `judged`: there were signatures of the other kind. What was kept of an image before bundles were looked for is judged by these. */
async function bundlesOf(signatures: Signatures, digest: string, judged: boolean): Promise<readonly Attachment[]> {
  try {
    return await signatures.of('bundle', digest);
  } catch (error) {
    if (judged && error instanceof NotKept) return [];
    throw error;
  }
}

function namesFault({ names }: Statement, name: RegistryName, identity: Identity): string | undefined {
  if (identity.type === 'matchDigest' || names.some((signed) => matches(signed, name, identity))) return undefined;
  return names.length === 0 ? 'its bundle names no image, so that signedIdentity has to be matchDigest' : `it is signed as ${JSON.stringify(names.join(', ').slice(0, 200))}`;
}

/** Of a signature that holds: who logged in for its certificate, or whose key it is. */
export function signerOf({ fulcio }: SignedBy): string {
  return fulcio === undefined ? 'a key of the policy' : `${fulcio.subjectEmail ?? fulcio.subjectUri} of ${fulcio.oidcIssuer}`;
}

/** Bytes with the signature that they are signed by. */
export interface Signed {
  readonly bytes: Uint8Array;
  readonly signature: Buffer;
  /** Of a DSSE envelope: what is in it; `bytes` is what the signature is of. */
  readonly payload?: Uint8Array;
}

/** Why a signature as cosign attaches it by tag does not count. Throws TRUST_CONFIG. */
export async function signatureFault(attached: Attachment, { bytes, signature, payload }: Signed, by: SignedBy): Promise<string | undefined> {
  const { keys, fulcio } = by;
  const logs = (time: Date): KeyObject[] => logsAt(by, time);
  if (fulcio === undefined) {
    const key = keys.find((candidate) => verifies(candidate, bytes, signature));
    if (key === undefined) return 'its signature is by no key of the policy';
    if (!wantsLog(by)) return undefined;
    const logged = loggedAt(attached, signature, key.export({ type: 'spki', format: 'pem' }).toString(), logs, payload);
    return typeof logged === 'string' ? logged : undefined;
  }
  const logged = wantsLog(by) ? loggedAt(attached, signature, certificateOf(attached), logs, payload) : undefined;
  if (typeof logged === 'string') return logged;
  const { stampedAt } = await import('./stamped.ts');
  const stamped = stampedAt(attached, signature, payload !== undefined, by);
  if (typeof stamped === 'string') return stamped;
  const times = [...(logged === undefined ? [] : [logged]), ...stamped];
  if (times.length === 0) return 'nobody whom the policy knows vouches for the time of its signature';
  for (const time of times) {
    const found = certificatesOf(attached, fulcio, rootsAt(by, time), time);
    if (typeof found === 'string') return found;
    if (!verifies(found.leaf.x509.publicKey, bytes, signature)) return 'its signature is not by its certificate';
    const fault = by.trustedRoot?.hasCertificateLogs !== true ? undefined : await (await import('./bundle.ts')).loggedCertificateFault(found.path, time, by);
    if (fault !== undefined) return fault;
  }
  return undefined;
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

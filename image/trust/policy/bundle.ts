import { createHash } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import type { SignedEntity, TrustMaterial } from '@sigstore/verify';
import { VmmError } from '../../../base/errors.ts';
import { parseJson } from '../../documents/json.ts';
import { Certificate, pathToRoot } from '../certificate.ts';
import { identityFault } from './keyless.ts';
import { rootsAt, type SignedBy } from './sigstore-requirement.ts';
import type { Enveloped } from './statement.ts';

/** Entries of logs and timestamps that one bundle may have: real ones have one or two. */
const MAX_WITNESSES = 8;
const ALWAYS = { start: new Date(0), end: new Date(8.64e15) };

/** Loaded by who verifies a bundle alone. */
const library = (): Promise<typeof import('@sigstore/verify')> => import('@sigstore/verify');

/**
 * What is in the DSSE envelope of a Sigstore bundle (protobuf-specs, sigstore_bundle.proto) that was signed as the policy wants it, or why it does
 * not count. All is checked offline: signature, certificate at the times that logs and timestamp authorities vouch for, its own logs (SCT) where the
 * trusted root has them, and the entry in the log. Throws TRUST_CONFIG.
 */
export async function openBundle(bytes: Uint8Array, by: SignedBy): Promise<Enveloped | string> {
  const [{ bundleFromJSON }, { toSignedEntity }] = await Promise.all([import('@sigstore/bundle'), library()]);
  let bundle: Bundle;
  let entity: SignedEntity;
  let leaf: Certificate | undefined;
  try {
    bundle = bundleFromJSON(parseJson(bytes, 'bundle'));
    const { tlogEntries, timestampVerificationData } = bundle.verificationMaterial;
    if (tlogEntries.length > MAX_WITNESSES || (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > MAX_WITNESSES) return 'its bundle has too many entries of logs';
    if (bundle.content.$case !== 'dsseEnvelope') return 'its bundle signs a message, and no statement about an image';
    entity = toSignedEntity(bundle);
    leaf = leafOf(bundle);
  } catch {
    return 'its bundle cannot be read';
  }
  const why = by.fulcio === undefined ? await keyFault(entity, by) : await keylessFault(entity, leaf, by);
  return why ?? bundle.content.dsseEnvelope;
}

function leafOf({ verificationMaterial: { content } }: Bundle): Certificate | undefined {
  if (content.$case === 'publicKey') return undefined;
  const der = content.$case === 'certificate' ? content.certificate.rawBytes : content.x509CertificateChain.certificates[0]?.rawBytes;
  return new Certificate(der ?? Buffer.alloc(0));
}

async function keyFault(entity: SignedEntity, by: SignedBy): Promise<string | undefined> {
  if (entity.key.$case !== 'public-key') return 'its bundle is by a certificate, and a key is asked for';
  let fault = '';
  for (const key of by.keys) {
    const why = await libraryFault(entity, { ...(await materialOf(entity, by)), publicKey: () => ({ publicKey: key, validFor: () => true }) }, 0);
    if (why === undefined) return undefined;
    // That it is another one's says less than that the right key's entry is missing.
    if (fault === '' || why !== BY_NOBODY) fault = why;
  }
  return fault;
}

async function keylessFault(entity: SignedEntity, leaf: Certificate | undefined, by: SignedBy): Promise<string | undefined> {
  if (leaf === undefined || by.fulcio === undefined) return 'its bundle has no certificate';
  if (!leaf.signsCode || leaf.x509.ca) return 'the certificate of its bundle is not for signing';
  const vouched: { readonly time: Date; readonly path: readonly Certificate[] }[] = [];
  const validFor = (time: Date): boolean => {
    const path = pathToRoot(leaf, [], rootsAt(by, time), time);
    if (path !== undefined) vouched.push({ time, path });
    return path !== undefined;
  };
  // The library would refuse a certificate of a log that the policy does not know: the certificate is looked at here.
  const why = await libraryFault({ ...entity, key: { $case: 'public-key', hint: '' } }, { ...(await materialOf(entity, by)), publicKey: () => ({ publicKey: leaf.x509.publicKey, validFor }) }, 1);
  if (why !== undefined) return why === BY_NOBODY ? 'its signature is not by its certificate' : why;
  for (const { time, path } of vouched) {
    const unlogged = await loggedCertificateFault(path, time, by);
    if (unlogged !== undefined) return unlogged;
  }
  return identityFault(leaf, by.fulcio);
}

const BY_NOBODY = 'its signature is by no key of the policy';
const FAULTS: Readonly<Record<string, string>> = {
  SIGNATURE_ERROR: BY_NOBODY,
  TIMESTAMP_ERROR: 'nobody whom the policy knows vouches for the time of its bundle',
  PUBLIC_KEY_ERROR: 'the certificate of its bundle is by no authority of the policy, or was not valid when it was logged',
};

/** What @sigstore/verify says. `times`: how many witnesses of the time there have to be. */
async function libraryFault(entity: SignedEntity, material: TrustMaterial, times: number): Promise<string | undefined> {
  const { Verifier, VerificationError } = await library();
  // Witnesses whom the policy does not know are nobody: the library would refuse all for one of them. Where it knows a log, one of a known log is wanted.
  const logs = material.tlogs.length > 0;
  const known = (entry: SignedEntity['tlogEntries'][number]): boolean => material.tlogs.some(({ logID }) => logID.equals(entry.logId.keyId));
  const timestamps = entity.timestamps.filter((stamp) => (stamp.$case === 'transparency-log' ? known(stamp.tlogEntry) : material.timestampAuthorities.length > 0));
  try {
    const verifier = new Verifier(material, { ctlogThreshold: 0, tlogThreshold: logs ? 1 : 0, timestampThreshold: times });
    verifier.verify({ ...entity, timestamps, tlogEntries: entity.tlogEntries.filter(known) });
    return undefined;
  } catch (error) {
    // What is not its own kind comes of bytes that only look like ASN.1.
    const { code = '' } = error instanceof VerificationError ? (error as { code?: string }) : {};
    return FAULTS[code] ?? (code.startsWith('TLOG') ? 'it is in no transparency log of the policy' : 'its bundle cannot be verified');
  }
}

/** Who vouches for times and entries: of the trusted root, and logs that the policy names one by one. */
async function materialOf(entity: SignedEntity, by: SignedBy): Promise<TrustMaterial> {
  const root = await rootOf(by);
  const name = entity.tlogEntries.map((entry) => entry.inclusionProof?.checkpoint?.envelope ?? '').join('\n');
  const logs = by.logs.map((publicKey) => ({
    publicKey, validFor: ALWAYS, logID: createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest(),
    // Who gives a log's key alone does not say what it calls itself: whatever its checkpoint says.
    baseURL: name,
  }));
  return { ...root, tlogs: [...root.tlogs, ...logs] };
}

async function rootOf({ trustedRoot }: SignedBy): Promise<TrustMaterial> {
  if (trustedRoot === undefined) return { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [], publicKey: () => { throw new TypeError('no key'); } };
  const [{ TrustedRoot }, { toTrustMaterial }] = await Promise.all([import('@sigstore/protobuf-specs'), library()]);
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(parseJson(trustedRoot.bytes, trustedRoot.path)));
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `${trustedRoot.path} is no trusted root`, { cause, hint: 'trusted_root.json of sigstore/root-signing is wanted' });
  }
}

/**
 * Why a certificate, whose chain and time were verified, is in none of the logs of certificates that the trusted root has (RFC 6962, SCT); undefined
 * when it is, or when the policy knows no such log. `path`: from the certificate to an authority of the policy; no other certificates than these and the
 * policy's come to the library, which would follow all ways through them. Throws TRUST_CONFIG.
 */
export async function loggedCertificateFault(path: readonly Certificate[], time: Date, by: SignedBy): Promise<string | undefined> {
  if (by.trustedRoot?.hasCertificateLogs !== true) return undefined;
  const root = await rootOf(by);
  const { X509Certificate } = await import('@sigstore/core');
  const parse = ({ x509 }: Certificate): InstanceType<typeof X509Certificate> => X509Certificate.parse(x509.raw);
  const none = Buffer.alloc(0);
  // The rest was verified: of the library only its word on the certificate is wanted.
  const known = { compareDigest: () => true, compareSignedDigest: () => true, compareSignature: () => true, verifySignature: () => true, signature: none };
  const tlogEntry = { logIndex: '0', logId: { keyId: none }, kindVersion: { kind: '', version: '' }, integratedTime: String(Math.floor(time.getTime() / 1000)), inclusionPromise: { signedEntryTimestamp: none }, inclusionProof: undefined, canonicalizedBody: none };
  const { Verifier } = await library();
  try {
    const [leaf, ...authorities] = [...path.map(parse), ...rootsAt(by, time).map(parse)];
    if (leaf === undefined) throw new RangeError('no certificate');
    const entity: SignedEntity = { signature: known, key: { $case: 'certificate', certificate: leaf }, timestamps: [{ $case: 'transparency-log', tlogEntry }], tlogEntries: [] };
    // The policy's other authorities, too: it may name one in the middle, and the library wants to come to one that has signed itself.
    const certificateAuthorities = [{ certChain: authorities, validFor: ALWAYS }];
    new Verifier({ ...root, certificateAuthorities, tlogs: [] }, { ctlogThreshold: 1, tlogThreshold: 0, timestampThreshold: 1 }).verify(entity);
    return undefined;
  } catch {
    return 'the certificate of its signature is in no log of certificates of the trusted root';
  }
}

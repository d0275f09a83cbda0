import { constants, verify } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { Environment } from '../../registry/credentials.ts';
import type { RegistryName } from '../../registry/name.ts';
import { Certificate, isChain } from '../certificate.ts';
import type { Met, Signatures } from '../signatures.ts';
import { AUTHORITY_SCHEME, type Envelope, readEnvelope, UNDERSTOOD } from './envelope.ts';
import { readTimestamp } from '../timestamp.ts';
import { revokedFault } from './revoked.ts';
import { type TrustPolicy, trustPolicyFor, trustStore } from './trust-policy.ts';

const PAYLOAD = 'application/vnd.cncf.notary.payload.v1+json';

/**
 * Why no Notary Project signature of a manifest of these digests satisfies Notation's own trust policy for the repository; undefined when one does
 * (specifications, signing-and-verification-workflow.md). Throws as `Signatures`, TRUST_CONFIG.
 */
export async function notationFault(signatures: Signatures, { registry, repository }: RegistryName, digests: readonly string[], env: Environment, met: Met = () => {}): Promise<string | undefined> {
  const policy = trustPolicyFor(`${registry}/${repository}`, env);
  if (policy === undefined) return 'no trust policy of Notation is for its repository';
  if (policy.level === 'skip') return undefined;
  let fault = 'it has no signature by Notation';
  for (const digest of new Set(digests)) {
    for (const { bytes, mediaType } of await signatures.of('notation', digest)) {
      const envelope = readEnvelope(bytes, mediaType);
      const why = envelope === undefined ? 'its signature cannot be read' : await envelopeFault(envelope, digest, policy, env, met);
      if (why === undefined) return undefined;
      fault = why;
    }
  }
  return fault;
}

async function envelopeFault(envelope: Envelope, digest: string, policy: TrustPolicy, env: Environment, met: Met): Promise<string | undefined> {
  let chain: Certificate[];
  try {
    chain = envelope.chain.map((bytes) => new Certificate(bytes));
  } catch {
    return 'a certificate of its signature cannot be read';
  }
  const integrity = integrityFault(envelope, chain) ?? payloadFault(envelope, digest);
  if (integrity !== undefined) return integrity;
  const stranger = authenticityFault(envelope, chain, policy, env);
  if (stranger !== undefined && policy.action('authenticity') === 'enforce') return stranger;
  const time = timeOf(envelope, chain, policy, env);
  if (time.fault !== undefined && policy.action('authenticTimestamp') === 'enforce') return time.fault;
  if (policy.action('expiry') === 'enforce' && envelope.expiry !== undefined && envelope.expiry <= new Date()) return `its signature has expired on ${envelope.expiry.toISOString().slice(0, 10)}`;
  if (policy.action('revocation') === 'enforce') {
    // Whom nobody trusts is not asked, wherever its certificates say. Of a timestamp authority no time is certain: who has stolen its key dates a stamp as he likes.
    const revoked = stranger === undefined ? await revokedFault([[chain, time.certain], [time.chain, undefined]], env) : `whether its certificates were revoked cannot be told: ${stranger}`;
    if (revoked !== undefined) return revoked;
  }
  met(`${textOf(chain[0] as Certificate)}, by the trust policy ${policy.name}`);
  return undefined;
}

function textOf(certificate: Certificate): string {
  return [...subjectOf(certificate)].map(([key, value]) => `${key}=${value}`).join(', ');
}

/** The signature is by the first certificate, and all headers that must be understood are. */
function integrityFault({ plugin, algorithm, contentType, critical, scheme, signed, signature, signingTime }: Envelope, chain: readonly Certificate[]): string | undefined {
  const [leaf] = chain;
  if (leaf === undefined) return 'its signature has no certificate';
  if (plugin !== undefined) return `its signature is to be verified by the plugin ${JSON.stringify(plugin.slice(0, 100))}, and plugins are not run here`;
  const unknown = critical.find((header) => !UNDERSTOOD.includes(header));
  if (unknown !== undefined) return `its signature has the header ${JSON.stringify(unknown.slice(0, 100))}, which must be understood and is not`;
  if (contentType !== PAYLOAD || !critical.includes('io.cncf.notary.signingScheme') || (scheme !== 'notary.x509' && scheme !== AUTHORITY_SCHEME)) return 'its signature is of a form that is not read';
  if (!isChain(chain, signingTime)) return 'the certificates of its signature are no chain of code signing';
  const wanted = algorithmOf(leaf);
  if (wanted === undefined || wanted !== algorithm) return `its signature is by ${JSON.stringify(algorithm)}, which its key does not make`;
  const key = algorithm.startsWith('PS') ? { key: leaf.x509.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : { key: leaf.x509.publicKey, dsaEncoding: 'ieee-p1363' as const };
  return verify(`sha${algorithm.slice(2)}`, signed, key, signature) ? undefined : 'its signature is not by its certificate';
}

/** The one algorithm for a key (signature-specification.md, "Signature Algorithm Requirements"). */
function algorithmOf({ x509 }: Certificate): string | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = x509.publicKey;
  if (asymmetricKeyType === 'rsa') return { 2048: 'PS256', 3072: 'PS384', 4096: 'PS512' }[asymmetricKeyDetails?.modulusLength ?? 0];
  if (asymmetricKeyType === 'ec') return { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[asymmetricKeyDetails?.namedCurve ?? ''];
  return undefined;
}

function payloadFault({ payload }: Envelope, digest: string): string | undefined {
  try {
    const signed = JsonObject.parse(payload, 'payload').object('targetArtifact')?.string('digest');
    return signed === digest ? undefined : `the signature is for another manifest than ${digest}`;
  } catch (error) {
    if (error instanceof VmmError) return 'what is signed cannot be read';
    throw error;
  }
}

function authenticityFault({ scheme }: Envelope, chain: readonly Certificate[], { stores, identities }: TrustPolicy, env: Environment): string | undefined {
  const trusted = trustStore(scheme === AUTHORITY_SCHEME ? 'signingAuthority' : 'ca', stores, env);
  if (!chain.some((certificate) => trusted.some(({ x509 }) => x509.raw.equals(certificate.x509.raw)))) return 'the certificates of its signature lead to none of the trust store';
  const subject = subjectOf(chain[0] as Certificate);
  const known = identities.some((identity) => identity === '*' || [...identity].every(([key, value]) => subject.get(key) === value));
  return known ? undefined : `it is signed by ${JSON.stringify(textOf(chain[0] as Certificate).slice(0, 200))}, who is no trusted identity`;
}

/** Attributes that are there once: of others nobody could say which counts. node:crypto gives a line each, with RFC 2253's escapes. */
function subjectOf({ x509 }: Certificate): Map<string, string> {
  const lines = x509.subject.split('\n').filter((line) => !/\\[0-9A-F]{2}/.test(line));
  const pairs = lines.map((line): [string, string] => [line.slice(0, line.indexOf('=')).toUpperCase(), line.slice(line.indexOf('=') + 1).replace(/\\(.)/g, '$1')]);
  return new Map(pairs.filter(([key]) => pairs.filter(([other]) => other === key).length === 1));
}

/** When it was signed, as far as that is certain. */
interface Time {
  readonly fault: string | undefined;
  readonly certain: Date | undefined;
  /** Of the timestamp authority. */
  readonly chain: readonly Certificate[];
}

/**
 * Certificates count at the time that the signing authority tells, or a timestamp authority of the policy's, else now. Without `tsa` in the policy no
 * timestamp is looked at; with `afterCertExpiry` only once a certificate has expired (specifications, "Validate Trusted Timestamp").
 */
function timeOf({ scheme, signingTime, signature, timestamp }: Envelope, chain: readonly Certificate[], { stores, afterExpiryOnly }: TrustPolicy, env: Environment): Time {
  const now = new Date();
  const at = (from: Date, to: Date, certain: Date | undefined, by: readonly Certificate[]): Time => {
    const valid = chain.every((certificate) => certificate.validAt(from) && certificate.validAt(to));
    return { fault: valid ? undefined : 'a certificate of its signature is not valid any more', certain, chain: by };
  };
  if (scheme === AUTHORITY_SCHEME) return at(signingTime, signingTime, signingTime, []);
  const wanted = stores.some((store) => store.startsWith('tsa:')) && (!afterExpiryOnly || chain.some(({ x509 }) => x509.validToDate < now));
  if (!wanted) return at(now, now, undefined, []);
  if (timestamp === undefined) return { fault: 'its signature has no timestamp, which the trust policy wants', certain: undefined, chain: [] };
  const stamped = readTimestamp(timestamp, signature, trustStore('tsa', stores, env));
  return typeof stamped === 'string' ? { fault: stamped, certain: undefined, chain: [] } : at(stamped.from, stamped.to, stamped.to, stamped.chain);
}

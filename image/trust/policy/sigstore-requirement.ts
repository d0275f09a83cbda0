import { createPublicKey, type KeyObject } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import { Certificate } from '../certificate.ts';
import type { Identity } from './identity.ts';
import type { Fulcio } from './keyless.ts';
import type { PolicyFiles } from './policy-files.ts';

/** Whose signatures count. */
export interface SignedBy {
  /** Who may sign; none with `fulcio`. */
  readonly keys: readonly KeyObject[];
  readonly fulcio: Fulcio | undefined;
  /** Transparency logs that the policy names, one of which has to have the signature; none, and none in the root: no log is asked for. */
  readonly logs: readonly KeyObject[];
  readonly trustedRoot: TrustedRoot | undefined;
}

/** `sigstoreSigned` of containers-policy.json(5). */
export interface SigstoreRequirement extends SignedBy {
  readonly type: 'sigstoreSigned';
  readonly identity: Identity;
}

/** Ours: an attestation about the image, by whom `sigstoreSigned` would believe. */
export interface AttestedRequirement extends SignedBy {
  readonly type: 'sigstoreAttested';
  /** `https://slsa.dev/provenance/v1` */
  readonly predicateType: string;
}

interface Trusted<T> {
  readonly what: T;
  readonly from: Date;
  readonly to: Date;
}

/** Sigstore's trusted_root.json (protobuf-specs, TrustedRoot), and what is used of it without the library. */
export interface TrustedRoot {
  readonly path: string;
  readonly bytes: Buffer;
  readonly authorities: readonly Trusted<Certificate>[];
  readonly logs: readonly Trusted<KeyObject>[];
  /** All certificates of its timestamp authorities. */
  readonly timestamps: readonly Trusted<Certificate>[];
  /** It has logs of certificates. */
  readonly hasCertificateLogs: boolean;
}

export function sigstoreRequirement(entry: JsonObject, files: PolicyFiles, identity: Identity): SigstoreRequirement {
  return { type: 'sigstoreSigned', ...signedBy(entry, files, 'sigstoreSigned'), identity };
}

export function attestedRequirement(entry: JsonObject, files: PolicyFiles): AttestedRequirement {
  return { type: 'sigstoreAttested', ...signedBy(entry, files, 'sigstoreAttested'), predicateType: entry.string('predicateType') };
}

/** The authorities that could issue a certificate then. */
export function rootsAt({ fulcio, trustedRoot }: SignedBy, time: Date): Certificate[] {
  return [...(fulcio?.roots ?? []), ...at(trustedRoot?.authorities, time)];
}

/** The logs that took entries then. */
export function logsAt({ logs, trustedRoot }: SignedBy, time: Date): KeyObject[] {
  return [...logs, ...at(trustedRoot?.logs, time)];
}

/** Whether an entry in a log is asked for. */
export function wantsLog({ logs, trustedRoot }: SignedBy): boolean {
  return logs.length > 0 || (trustedRoot?.logs.length ?? 0) > 0;
}

/** The certificates of timestamp authorities that could vouch for that time. */
export function timestampAuthoritiesAt({ trustedRoot }: SignedBy, time: Date): Certificate[] {
  return at(trustedRoot?.timestamps, time);
}

function at<T>(list: readonly Trusted<T>[] | undefined, time: Date): T[] {
  return (list ?? []).filter(({ from, to }) => from <= time && time <= to).map(({ what }) => what);
}

function signedBy(entry: JsonObject, files: PolicyFiles, type: string): SignedBy {
  const { path } = files;
  const keys = files.of(entry, 'key').map(publicKey);
  const fulcio = entry.object('fulcio');
  if ((keys.length === 0) === (fulcio === undefined)) throw new VmmError('TRUST_CONFIG', `${path}: ${type} needs one of keyPath and keyData, or fulcio`, { hint: 'see containers-policy.json(5)' });
  const root = fulcio?.optionalString('trustedRootPath');
  const trustedRoot = root === undefined ? undefined : readTrustedRoot(files.read(root), root);
  const logs = files.of(entry, 'rekorPublicKey').map(publicKey);
  if (fulcio === undefined) return { keys, fulcio: undefined, logs, trustedRoot };
  if (logs.length === 0 && (trustedRoot?.logs.length ?? 0) === 0 && (trustedRoot?.timestamps.length ?? 0) === 0) throw new VmmError('TRUST_CONFIG', `${path}: fulcio needs rekorPublicKeyPath or rekorPublicKeyData`, { hint: 'a certificate of some minutes says nothing without a log' });
  const roots = files.of(fulcio, 'ca').flatMap((pem) => authorities(pem, path));
  if (roots.length === 0 && (trustedRoot?.authorities.length ?? 0) === 0) throw new VmmError('TRUST_CONFIG', `${path}: fulcio needs one of caPath and caData`, { hint: 'or trustedRootPath, a trusted_root.json' });
  const [subjectEmail, subjectUri] = [fulcio.optionalString('subjectEmail'), fulcio.optionalString('subjectURI')];
  if ((subjectEmail === undefined) === (subjectUri === undefined)) throw new VmmError('TRUST_CONFIG', `${path}: fulcio needs one of subjectEmail and subjectURI`, { hint: 'whoever may log in with the issuer could sign otherwise' });
  return { keys, fulcio: { roots, oidcIssuer: fulcio.string('oidcIssuer'), subjectEmail, subjectUri }, logs, trustedRoot };
}

function publicKey(pem: Buffer): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', 'a key of the policy is no public key', { cause, hint: 'PEM is wanted, as cosign writes it' });
  }
}

function authorities(pem: Buffer, path: string): Certificate[] {
  try {
    return Certificate.all(pem.toString('latin1'));
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `${path}: an authority of fulcio is no certificate`, { cause, hint: 'PEM is wanted' });
  }
}

function readTrustedRoot(bytes: Buffer, path: string): TrustedRoot {
  try {
    const document = JsonObject.parse(bytes, path);
    const der = (entry: JsonObject): Buffer => Buffer.from(entry.string('rawBytes'), 'base64');
    const authoritiesOf = (kind: string): Trusted<Certificate>[] => document.objects(kind).flatMap((authority) => (authority.object('certChain')?.objects('certificates') ?? []).map((entry) => trusted(new Certificate(der(entry)), authority)));
    return {
      path, bytes,
      authorities: authoritiesOf('certificateAuthorities'),
      logs: document.objects('tlogs').flatMap((log) => log.object('publicKey') ?? []).map((key) => trusted(createPublicKey({ key: der(key), format: 'der', type: 'spki' }), key)),
      timestamps: authoritiesOf('timestampAuthorities'),
      hasCertificateLogs: document.objects('ctlogs').length > 0,
    };
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `${path} is no trusted root`, { cause, hint: 'trusted_root.json of sigstore/root-signing is wanted' });
  }
}

function trusted<T>(what: T, entry: JsonObject): Trusted<T> {
  const validFor = entry.object('validFor');
  const date = (key: string, otherwise: number): Date => {
    const found = new Date(validFor?.optionalString(key) ?? otherwise);
    if (Number.isNaN(found.getTime())) throw new RangeError('no date');
    return found;
  };
  return { what, from: date('start', 0), to: date('end', 8.64e15) };
}

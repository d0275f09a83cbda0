import { createPublicKey, type KeyObject } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import { Certificate } from '../certificate.ts';
import type { Identity } from './identity.ts';
import type { Fulcio } from './keyless.ts';
import type { PolicyFiles } from './policy-files.ts';

/** `sigstoreSigned` of containers-policy.json(5). */
export interface SigstoreRequirement {
  readonly type: 'sigstoreSigned';
  /** Who may sign; none with `fulcio`. */
  readonly keys: readonly KeyObject[];
  readonly fulcio: Fulcio | undefined;
  /** Transparency logs, one of which has to have the signature; none: no log is asked for. */
  readonly logs: readonly KeyObject[];
  readonly identity: Identity;
}

export function sigstoreRequirement(entry: JsonObject, files: PolicyFiles, identity: Identity): SigstoreRequirement {
  const { path } = files;
  const keys = files.of(entry, 'key').map(publicKey);
  const fulcio = entry.object('fulcio');
  if ((keys.length === 0) === (fulcio === undefined)) throw new VmmError('TRUST_CONFIG', `${path}: sigstoreSigned needs one of keyPath and keyData, or fulcio`, { hint: 'see containers-policy.json(5)' });
  const root = fulcio?.optionalString('trustedRootPath');
  const trusted = root === undefined ? undefined : readTrustedRoot(files.read(root), root);
  const logs = [...files.of(entry, 'rekorPublicKey').map(publicKey), ...(trusted?.logs ?? [])];
  if (fulcio === undefined) return { type: 'sigstoreSigned', keys, fulcio: undefined, logs, identity };
  if (logs.length === 0) throw new VmmError('TRUST_CONFIG', `${path}: fulcio needs rekorPublicKeyPath or rekorPublicKeyData`, { hint: 'a certificate of some minutes says nothing without a log' });
  const roots = [...files.of(fulcio, 'ca').flatMap((pem) => authorities(pem, path)), ...(trusted?.roots ?? [])];
  if (roots.length === 0) throw new VmmError('TRUST_CONFIG', `${path}: fulcio needs one of caPath and caData`, { hint: 'or trustedRootPath, a trusted_root.json' });
  const [subjectEmail, subjectUri] = [fulcio.optionalString('subjectEmail'), fulcio.optionalString('subjectURI')];
  if ((subjectEmail === undefined) === (subjectUri === undefined)) throw new VmmError('TRUST_CONFIG', `${path}: fulcio needs one of subjectEmail and subjectURI`, { hint: 'whoever may log in with the issuer could sign otherwise' });
  return { type: 'sigstoreSigned', keys, fulcio: { roots, oidcIssuer: fulcio.string('oidcIssuer'), subjectEmail, subjectUri }, logs, identity };
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

/** Sigstore's trusted_root.json (protobuf-specs, TrustedRoot): authorities of code signing, and logs. */
function readTrustedRoot(bytes: Buffer, where: string): { roots: Certificate[]; logs: KeyObject[] } {
  try {
    const document = JsonObject.parse(bytes, where);
    const chains = document.objects('certificateAuthorities').flatMap((authority) => authority.object('certChain')?.objects('certificates') ?? []);
    const der = (entry: JsonObject): Buffer => Buffer.from(entry.string('rawBytes'), 'base64');
    return {
      roots: chains.map((entry) => new Certificate(der(entry))),
      logs: document.objects('tlogs').flatMap((log) => log.object('publicKey') ?? []).map((key) => createPublicKey({ key: der(key), format: 'der', type: 'spki' })),
    };
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `${where} is no trusted root`, { cause, hint: 'trusted_root.json of sigstore/root-signing is wanted' });
  }
}

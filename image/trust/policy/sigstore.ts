import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { RegistryClient } from '../../registry/client.ts';
import { fullName, parseRegistryName, type RegistryName } from '../../registry/name.ts';
import type { Identity } from './policy.ts';

const SIGNATURE = 'dev.cosignproject.cosign/signature';
const PAYLOAD = 'application/vnd.dev.cosign.simplesigning.v1+json';
const TYPE = 'cosign container image signature';
const MAX_SIGNATURES = 64;

/** A signature as cosign attaches it: what was signed, and the signature. */
interface Attached {
  readonly payload: Uint8Array;
  readonly signature: Buffer;
}

/** Signatures that lie beside a manifest by cosign's tag, `sha256-HEX.sig`. Throws REGISTRY_*. */
async function attachedTo(client: RegistryClient, digest: string): Promise<Attached[]> {
  let manifest: Uint8Array;
  try {
    manifest = (await client.manifest(`${digest.replace(':', '-')}.sig`)).bytes;
  } catch (error) {
    if (error instanceof VmmError && error.code === 'IMAGE_NOT_FOUND') return [];
    throw error;
  }
  const found: Attached[] = [];
  for (const layer of JsonObject.parse(manifest, 'signatures').objects('layers').slice(0, MAX_SIGNATURES)) {
    const signature = layer.object('annotations')?.optionalString(SIGNATURE);
    if (layer.optionalString('mediaType') !== PAYLOAD || signature === undefined) continue;
    found.push({ payload: await client.document({ digest: layer.string('digest') }), signature: Buffer.from(signature, 'base64') });
  }
  return found;
}

/**
 * Why no signature by one of the keys says that a manifest of these digests is the image of this name; undefined when one does. An index
 * and the manifest that it leads to are one image: either may be signed. Throws REGISTRY_*, TRUST_CONFIG.
 */
export async function sigstoreFault(client: RegistryClient, name: RegistryName, digests: readonly string[], keys: readonly Buffer[], identity: Identity): Promise<string | undefined> {
  const trusted = keys.map(publicKey);
  let fault = 'it has no signature by cosign';
  for (const digest of new Set(digests)) {
    for (const { payload, signature } of await attachedTo(client, digest)) {
      const why = faultOf(payload, signature, trusted, digest, name, identity);
      if (why === undefined) return undefined;
      fault = why;
    }
  }
  return fault;
}

function publicKey(pem: Buffer): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', 'a key of the policy is no public key', { cause, hint: 'PEM is wanted, as cosign writes it' });
  }
}

function faultOf(payload: Uint8Array, signature: Buffer, keys: readonly KeyObject[], digest: string, name: RegistryName, identity: Identity): string | undefined {
  if (!keys.some((key) => verifies(key, payload, signature))) return 'its signature is by no key of the policy';
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

/** Whether a signature's name fits the image's (containers-policy.json(5), `signedIdentity`). */
function matches(signed: string, name: RegistryName, { type, reference, signedPrefix }: Identity): boolean {
  const theirs = tryParse(signed);
  if (theirs === undefined) return false;
  const own = fullName(name);
  switch (type) {
    case 'matchExact':
      return explicit(signed) && fullName(theirs) === own;
    case 'matchRepoDigestOrExact':
      return name.digest === undefined ? explicit(signed) && fullName(theirs) === own : repositoryOf(theirs) === repositoryOf(name);
    case 'matchRepository':
      return repositoryOf(theirs) === repositoryOf(name);
    case 'exactReference': {
      const wanted = tryParse(reference);
      return wanted !== undefined && explicit(signed) && fullName(wanted) === fullName(theirs);
    }
    case 'exactRepository': {
      const wanted = tryParse(reference);
      return wanted !== undefined && repositoryOf(wanted) === repositoryOf(theirs);
    }
    default: {
      const remapped = own === reference || own.startsWith(`${reference}/`) || own.startsWith(`${reference}:`) || own.startsWith(`${reference}@`) ? tryParse(signedPrefix + own.slice(reference.length)) : name;
      if (remapped === undefined) return false;
      return remapped.digest === undefined ? explicit(signed) && fullName(remapped) === fullName(theirs) : repositoryOf(remapped) === repositoryOf(theirs);
    }
  }
}

/** A signature for a whole repository, as cosign makes them, is none for a tag. */
function explicit(text: string): boolean {
  const name = tryParse(text);
  return name?.tag !== undefined || name?.digest !== undefined;
}

function repositoryOf({ registry, repository }: RegistryName): string {
  return `${registry}/${repository}`;
}

function tryParse(text: string): RegistryName | undefined {
  try {
    return parseRegistryName(text);
  } catch {
    return undefined;
  }
}


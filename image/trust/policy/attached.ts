import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { RegistryClient } from '../../registry/client.ts';
import type { Environment } from '../../registry/credentials.ts';
import type { RegistryName } from '../../registry/name.ts';
import { lookasideSignatures } from './lookaside.ts';
import { annotationsOf, type Attachment, FoundSignatures } from '../signatures.ts';

const MAX_SIGNATURES = 64;
/** Of all signatures of one kind, bytes: attestations may be whole lists of packages. */
const MAX_BYTES = 64 << 20;
const NOTATION = 'application/vnd.cncf.notary.signature';
const BUNDLE = 'application/vnd.dev.sigstore.bundle';
/** What registries tell in the place of a manifest's own artifactType when they read its configuration's. */
const EMPTY = 'application/vnd.oci.empty.v1+json';

/** An image's signatures, where each kind lies. */
export function registrySignatures(client: RegistryClient, name: RegistryName, env: Environment): FoundSignatures {
  return new FoundSignatures((kind, digest) => {
    switch (kind) {
      case 'simple':
        return simple(client, name, digest, env);
      case 'sigstore':
        return byTag(client, `${digest.replace(':', '-')}.sig`);
      case 'attestation':
        return byTag(client, `${digest.replace(':', '-')}.att`);
      case 'bundle':
        return byReferrers(client, digest, (type) => type.startsWith(BUNDLE));
      case 'notation':
        return byReferrers(client, digest, (type) => type === NOTATION);
    }
  });
}

/** The registry's own, where it says that it has them: then nobody else is asked (containers/image, docker_image_src.go). */
async function simple(client: RegistryClient, name: RegistryName, digest: string, env: Environment): Promise<Attachment[]> {
  if (!client.keepsSignatures) return lookasideSignatures(name, digest, env);
  return (await client.signatures(digest)).slice(0, MAX_SIGNATURES).map((bytes) => ({ bytes, mediaType: '', annotations: {} }));
}

/** What lies beside a manifest by a tag of cosign's: `sha256-HEX.sig`, `.att`. Throws REGISTRY_*. */
async function byTag(client: RegistryClient, tag: string): Promise<Attachment[]> {
  let manifest: Uint8Array;
  try {
    manifest = (await client.manifest(tag)).bytes;
  } catch (error) {
    if (error instanceof VmmError && error.code === 'IMAGE_NOT_FOUND') return [];
    throw error;
  }
  return layersOf(client, JsonObject.parse(manifest, 'signatures'), []);
}

/** What refers to a manifest, of a type. Throws REGISTRY_*. */
async function byReferrers(client: RegistryClient, digest: string, wanted: (type: string) => boolean): Promise<Attachment[]> {
  const found: Attachment[] = [];
  const told = (await client.referrers(digest)).filter(({ artifactType = EMPTY }) => artifactType === EMPTY || wanted(artifactType));
  for (const referrer of told.slice(0, MAX_SIGNATURES)) {
    const manifest = JsonObject.parse((await client.manifest(referrer.digest)).bytes, 'signature');
    const type = manifest.optionalString('artifactType') ?? manifest.object('config')?.optionalString('mediaType') ?? '';
    if (wanted(type) || (referrer.artifactType !== undefined && wanted(referrer.artifactType))) await layersOf(client, manifest, found);
  }
  return found;
}

/** Adds a manifest's layers to those that were found. */
async function layersOf(client: RegistryClient, manifest: JsonObject, found: Attachment[]): Promise<Attachment[]> {
  let length = found.reduce((sum, { bytes }) => sum + bytes.length, 0);
  for (const layer of manifest.objects('layers').slice(0, MAX_SIGNATURES - found.length)) {
    const bytes = await client.document({ digest: layer.string('digest') });
    length += bytes.length;
    if (length > MAX_BYTES) throw new VmmError('REGISTRY_ANSWER', `its signatures have more than ${MAX_BYTES} bytes`, { hint: 'the registry is damaged or hostile' });
    found.push({ bytes, mediaType: layer.string('mediaType'), annotations: annotationsOf(layer) });
  }
  return found;
}

import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { RegistryClient } from '../../registry/client.ts';
import type { Environment } from '../../registry/credentials.ts';
import type { RegistryName } from '../../registry/name.ts';
import { lookasideSignatures } from './lookaside.ts';
import { annotationsOf, type Attachment, FoundSignatures } from '../signatures.ts';

const MAX_SIGNATURES = 64;
const NOTATION = 'application/vnd.cncf.notary.signature';

/** An image's signatures, where each kind lies. */
export function registrySignatures(client: RegistryClient, name: RegistryName, env: Environment): FoundSignatures {
  return new FoundSignatures(async (kind, digest) => (kind === 'simple' ? lookasideSignatures(name, digest, env) : kind === 'sigstore' ? byTag(client, digest) : byReferrers(client, digest)));
}

/** Signatures that lie beside a manifest by cosign's tag, `sha256-HEX.sig`. Throws REGISTRY_*. */
async function byTag(client: RegistryClient, digest: string): Promise<Attachment[]> {
  let manifest: Uint8Array;
  try {
    manifest = (await client.manifest(`${digest.replace(':', '-')}.sig`)).bytes;
  } catch (error) {
    if (error instanceof VmmError && error.code === 'IMAGE_NOT_FOUND') return [];
    throw error;
  }
  return layersOf(client, JsonObject.parse(manifest, 'signatures'));
}

/** Signatures that refer to a manifest, in Notation's artifact. Throws REGISTRY_*. */
async function byReferrers(client: RegistryClient, digest: string): Promise<Attachment[]> {
  const found: Attachment[] = [];
  for (const referrer of (await client.referrers(digest)).filter(({ artifactType }) => artifactType === NOTATION).slice(0, MAX_SIGNATURES)) {
    found.push(...(await layersOf(client, JsonObject.parse((await client.manifest(referrer.digest)).bytes, 'signature'))));
  }
  return found;
}

async function layersOf(client: RegistryClient, manifest: JsonObject): Promise<Attachment[]> {
  const found: Attachment[] = [];
  for (const layer of manifest.objects('layers').slice(0, MAX_SIGNATURES)) {
    found.push({ bytes: await client.document({ digest: layer.string('digest') }), mediaType: layer.string('mediaType'), annotations: annotationsOf(layer) });
  }
  return found;
}

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';
import { readSmallFile } from './folder.ts';
import { blobName } from './forms.ts';
import type { StorePaths } from './paths.ts';
import type { ImageRecord } from './record.ts';

/** A kept manifest and what it names. */
export interface KeptManifest {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly config: { readonly digest: string; readonly size: number };
  readonly layers: readonly { readonly digest: string; readonly size: number; readonly mediaType: string }[];
}

/** A small blob of the store; undefined when it is not there, or not what its digest says. Throws STORE_READ. */
export function readBlob(paths: StorePaths, digest: string): Buffer | undefined {
  const bytes = readSmallFile(paths, join(paths.blobs, blobName(digest)));
  const [algorithm = '', hex] = digest.split(':');
  return bytes !== undefined && createHash(algorithm).update(bytes).digest('hex') === hex ? bytes : undefined;
}

/** The manifest that was kept of an image; undefined where none was, or it was lost. */
export function keptManifest(paths: StorePaths, record: ImageRecord): KeptManifest | undefined {
  const bytes = record.manifest === undefined ? undefined : readBlob(paths, record.manifest);
  if (bytes === undefined) return undefined;
  try {
    const where = record.manifest as string;
    const document = JsonObject.parse(bytes, where);
    const of = (object: JsonObject): { digest: string; size: number; mediaType: string } => {
      const digest = object.string('digest');
      blobName(digest);
      return { digest, size: object.optionalNumber('size') ?? 0, mediaType: object.optionalString('mediaType') ?? '' };
    };
    const config = document.object('config');
    if (config === undefined) return undefined;
    return { digest: where, bytes, mediaType: document.optionalString('mediaType') ?? manifestType(config), config: of(config), layers: document.objects('layers').map(of) };
  } catch (error) {
    if (error instanceof VmmError) return undefined;
    throw error;
  }
}

/** A manifest need not tell its own type; its configuration's does. */
function manifestType(config: JsonObject): string {
  const docker = config.optionalString('mediaType') === 'application/vnd.docker.container.image.v1+json';
  return docker ? 'application/vnd.docker.distribution.manifest.v2+json' : 'application/vnd.oci.image.manifest.v1+json';
}

/** Names of the files in blobs/ that an image needs for being handed on. */
export function blobsOf(paths: StorePaths, record: ImageRecord): string[] {
  const kept = keptManifest(paths, record);
  return kept === undefined ? [] : [kept.digest, kept.config.digest, ...kept.layers.map(({ digest }) => digest)].map(blobName);
}

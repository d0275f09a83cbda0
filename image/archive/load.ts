import { existsSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { JsonObject, parseJson } from '../documents/json.ts';
import { importImage } from '../resolve.ts';
import type { ResolveOptions } from '../options.ts';
import { Archive } from '../sources/archive.ts';
import { isDockerArchive } from '../sources/docker.ts';
import type { ImageRecord } from '../store/record.ts';
import { ImageStore } from '../store/store.ts';

const MAX_IMAGES = 1000;

/** Imports every image of an archive, as `docker save`, `podman save`, skopeo and `vmm image save` write them, under the names it has there. Throws IMAGE_*, STORE_*. */
export async function loadImages(path: string, options: ResolveOptions & { store?: ImageStore } = {}, shown = path): Promise<{ record: ImageRecord; names: readonly string[] }[]> {
  const store = options.store ?? new ImageStore(undefined, options.host);
  if (!existsSync(path)) throw new VmmError('IMAGE_OPEN', `image ${path} does not exist`, { hint: 'check the path' });
  const loaded: { record: ImageRecord; names: readonly string[] }[] = [];
  for (const reference of await imagesOf(path, store)) loaded.push(await importImage(reference, { ...options, store }, [], shown));
  return loaded;
}

async function imagesOf(path: string, store: ImageStore): Promise<string[]> {
  const { changeStore } = await import('../store/change.ts');
  // Compressed archives are unpacked into the store's folder: it has to be there.
  await changeStore(store, (change) => change.sweepTemporary());
  const archive = await Archive.open(path, store.paths.tmp);
  try {
    if (isDockerArchive(archive)) {
      const list = parseJson(archive.read('manifest.json'), `${path}: manifest.json`);
      return bounded(Array.isArray(list) ? list : [], path).map((_, i) => `docker-archive:${path}:@${i}`);
    }
    if (!archive.has('index.json')) throw new VmmError('IMAGE_BAD', `${path} holds no images with names`, { hint: 'import a root file system with `vmm image import`' });
    const entries = bounded(JsonObject.parse(archive.read('index.json'), `${path}: index.json`).objects('manifests'), path);
    const tags = entries.map((entry) => entry.object('annotations')?.optionalString('org.opencontainers.image.ref.name'));
    return [...new Set(tags)].map((tag) => `oci-archive:${path}${tag === undefined ? '' : `:${tag}`}`);
  } finally {
    archive.close();
  }
}

function bounded<T>(list: readonly T[], path: string): readonly T[] {
  if (list.length === 0) throw new VmmError('IMAGE_BAD', `${path} lists no image`, { hint: 'the archive is damaged' });
  if (list.length > MAX_IMAGES) throw new VmmError('IMAGE_LIMIT', `${path} holds ${list.length} images, at most ${MAX_IMAGES} are read`, { hint: 'load it in parts' });
  return list;
}

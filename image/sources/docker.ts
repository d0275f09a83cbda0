import { createHash } from 'node:crypto';
import { VmmError } from '../../base/errors.ts';
import { chainIdOf } from '../rootfs/build.ts';
import type { PackedImage } from '../documents/descriptor.ts';
import { JsonObject, parseJson } from '../documents/json.ts';
import type { Archive } from './archive.ts';
import { splitDigest } from './blobs.ts';
import { readConfig } from './image-config.ts';
import { layerOf } from './oci.ts';
import { checkLayerCount, type ImageSource } from './source.ts';

/** Entries of an index that are looked at. */
const MAX_ENTRIES = 1000;

/** True when manifest.json is a docker archive's: a root file system may have a file of that name too, but then no list in it. */
export function isDockerArchive(archive: Archive): boolean {
  if (!archive.has('manifest.json')) return false;
  const rootfs = ['bin', 'etc', 'usr'].some((dir) => archive.hasTop(dir));
  return !rootfs || Array.isArray(parseJson(archive.read('manifest.json'), `${archive.name}: manifest.json`));
}

/**
 * An archive of `docker save` or `podman save`: manifest.json lists configuration, names and layers. `name` is one of its
 * names, or `@N` for the Nth image (containers-transports(5)).
 */
export function dockerArchive(archive: Archive, name: string | undefined): ImageSource {
  const where = `${archive.name}: manifest.json`;
  const list = parseJson(archive.read('manifest.json'), where);
  if (!Array.isArray(list) || list.length === 0) throw new VmmError('IMAGE_BAD', `${where} lists no image`, { hint: 'the archive is damaged' });
  const entries = list.map((entry, i) => new JsonObject(entry, `${where}[${i}]`));
  const entry = choose(entries, name, archive.name);
  const configBytes = archive.read(entry.string('Config'));
  const { diffIds, process, created } = readConfig(JsonObject.parse(configBytes, `${archive.name}: configuration`), archive.name);
  const layers = entry.strings('Layers');
  checkLayerCount(layers.length, diffIds.length, archive.name);
  const id = `sha256:${createHash('sha256').update(configBytes).digest('hex')}`;
  return {
    id,
    names: entry.strings('RepoTags'),
    created,
    config: process,
    chainId: chainIdOf(diffIds),
    layers: layers.map((layer, i) => ({ name: `${i + 1} of ${archive.name}`, data: archive.range(layer), diffId: diffIds[i] as string })),
    packed: { ...(ownManifest(archive, id) ?? { manifest: undefined, layers: undefined }), config: configBytes },
    close: () => archive.close(),
  };
}

/** The manifest of a configuration in an archive that is an OCI layout as well. */
function ownManifest(archive: Archive, config: string): Pick<PackedImage, 'manifest' | 'layers'> | undefined {
  if (!archive.has('index.json') || !archive.has('oci-layout')) return undefined;
  for (const entry of JsonObject.parse(archive.read('index.json'), `${archive.name}: index.json`).objects('manifests').slice(0, MAX_ENTRIES)) {
    const { algorithm, hex } = splitDigest(entry.string('digest'), archive.name);
    const path = `blobs/${algorithm}/${hex}`;
    const bytes = archive.has(path) ? archive.read(path) : undefined;
    if (bytes === undefined || createHash(algorithm).update(bytes).digest('hex') !== hex) continue;
    const manifest = JsonObject.parse(bytes, `${archive.name}: ${path}`);
    if (manifest.object('config')?.optionalString('digest') !== config) continue;
    return { manifest: bytes, layers: manifest.objects('layers').map((layer, i) => layerOf(layer, i, archive.name)) };
  }
  return undefined;
}

function choose(entries: readonly JsonObject[], name: string | undefined, where: string): JsonObject {
  const names = entries.flatMap((entry, i) => {
    const tags = entry.strings('RepoTags');
    return tags.length > 0 ? tags : [`@${i}`];
  });
  const shown = names.length > 10 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ');
  if (name === undefined) {
    if (entries.length > 1) throw new VmmError('IMAGE_AMBIGUOUS', `${where}: holds ${entries.length} images`, { hint: `write docker-archive:FILE:NAME; names: ${shown}` });
    return entries[0] as JsonObject;
  }
  const index = /^@(\d{1,6})$/.exec(name)?.[1];
  const forms = new Set([name, `${name}:latest`].flatMap((form) => [form, `docker.io/library/${form}`, `docker.io/${form}`, `localhost/${form}`]));
  const entry = index === undefined ? entries.find((e) => e.strings('RepoTags').some((tag) => forms.has(tag))) : entries[Number(index)];
  if (entry === undefined) throw new VmmError('IMAGE_NOT_FOUND', `${where}: no image ${name}`, { hint: `it has ${shown}` });
  return entry;
}

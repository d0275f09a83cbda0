import { createHash } from 'node:crypto';
import { VmmError } from '../../vmm/errors.ts';
import { chainIdOf } from '../build.ts';
import { JsonObject, parseJson } from '../json.ts';
import type { Archive } from './archive.ts';
import { readConfig } from './oci.ts';
import type { ImageSource } from './source.ts';

/** An archive of `docker save` or `podman save`: manifest.json lists configuration, names and layers. */
export function dockerArchive(archive: Archive, name: string | undefined): ImageSource {
  const where = `${archive.name}: manifest.json`;
  const list = parseJson(archive.read('manifest.json'), where);
  if (!Array.isArray(list) || list.length === 0) throw new VmmError('IMAGE_BAD', `${where} lists no image`, { hint: 'the archive is damaged' });
  const entries = list.map((entry, i) => new JsonObject(entry, `${where}[${i}]`));
  const entry = name === undefined ? onlyOne(entries, archive.name) : entries.find((e) => e.strings('RepoTags').some((tag) => tag === name || tag === `${name}:latest`));
  if (entry === undefined) {
    throw new VmmError('IMAGE_NOT_FOUND', `${archive.name}: no image ${name}`, { hint: `it has ${entries.flatMap((e) => e.strings('RepoTags')).join(', ')}` });
  }
  const configBytes = archive.read(entry.string('Config'));
  const { diffIds, process, created } = readConfig(JsonObject.parse(configBytes, `${archive.name}: configuration`), archive.name);
  const layers = entry.strings('Layers');
  if (diffIds.length !== layers.length) throw new VmmError('IMAGE_BAD', `${archive.name}: ${layers.length} layers, but ${diffIds.length} diff ids`);
  return {
    id: `sha256:${createHash('sha256').update(configBytes).digest('hex')}`,
    names: entry.strings('RepoTags'),
    created,
    config: process,
    chainId: chainIdOf(diffIds),
    layers: layers.map((layer, i) => ({ name: `layer ${i + 1} of ${archive.name}`, data: archive.range(layer), diffId: diffIds[i] as string })),
    close: () => archive.close(),
  };
}

function onlyOne(entries: readonly JsonObject[], where: string): JsonObject {
  if (entries.length > 1) {
    throw new VmmError('IMAGE_AMBIGUOUS', `${where}: holds ${entries.length} images`, { hint: `add one of :${entries.flatMap((e) => e.strings('RepoTags')).join(' :')}` });
  }
  return entries[0] as JsonObject;
}

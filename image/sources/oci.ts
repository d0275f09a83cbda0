import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../vmm/errors.ts';
import { chainIdOf } from '../build.ts';
import type { ImageProcessConfig } from '../config.ts';
import { JsonObject } from '../json.ts';
import type { Archive } from './archive.ts';
import { archiveBlobs, type BlobStore, directoryBlobs, readSmall } from './blobs.ts';
import type { ImageSource } from './source.ts';

const INDEX_TYPES = new Set(['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json']);
const MANIFEST_TYPES = new Set(['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json']);
const LAYER_TYPE = /^application\/vnd\.(oci\.image\.layer(\.nondistributable)?\.v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(diff|foreign\.diff)\.tar(\.gzip|\.zstd)?)$/;
const REF_NAME = 'org.opencontainers.image.ref.name';
/** Indexes may name indexes; real ones are at most two deep. */
const MAX_DEPTH = 4;
const MAX_LAYERS = 1024;

/** True for a directory that is an OCI image layout (image-layout.md). */
export function isOciLayout(dir: string): boolean {
  return existsSync(join(dir, 'oci-layout')) && existsSync(join(dir, 'index.json'));
}

export function ociDirectory(dir: string, tag: string | undefined): ImageSource {
  return fromIndex(JsonObject.parse(readSmall(join(dir, 'index.json')), `${dir}: index.json`), directoryBlobs(dir, 'oci'), tag, () => {});
}

export function ociArchive(archive: Archive, tag: string | undefined): ImageSource {
  return fromIndex(JsonObject.parse(archive.read('index.json'), `${archive.name}: index.json`), archiveBlobs(archive), tag, () => archive.close());
}

/** True for a directory that skopeo's `dir:` transport wrote. */
export function isSkopeoDir(dir: string): boolean {
  return existsSync(join(dir, 'version')) && existsSync(join(dir, 'manifest.json'));
}

export function skopeoDirectory(dir: string): ImageSource {
  return fromManifest(JsonObject.parse(readSmall(join(dir, 'manifest.json')), `${dir}: manifest.json`), directoryBlobs(dir, 'flat'), [], () => {});
}

function fromIndex(index: JsonObject, blobs: BlobStore, tag: string | undefined, close: () => void): ImageSource {
  const all = index.objects('manifests');
  const named = all.filter((entry) => tag === undefined || entry.object('annotations')?.optionalString(REF_NAME) === tag);
  if (named.length === 0) {
    const tags = all.map((entry) => entry.object('annotations')?.optionalString(REF_NAME)).filter((name) => name !== undefined);
    throw new VmmError('IMAGE_NOT_FOUND', `${blobs.name}: no image ${tag ?? ''}`.trimEnd(), { hint: tags.length > 0 ? `it has ${tags.join(', ')}` : 'the index is empty' });
  }
  const ours = named.filter((entry) => isOurs(entry));
  const candidates = ours.length > 0 ? ours : named;
  if (candidates.length > 1 && tag === undefined && new Set(candidates.map((c) => c.string('digest'))).size > 1) {
    const tags = candidates.map((entry) => entry.object('annotations')?.optionalString(REF_NAME) ?? '?');
    throw new VmmError('IMAGE_AMBIGUOUS', `${blobs.name}: holds ${candidates.length} images`, { hint: `add one of :${tags.join(' :')}` });
  }
  const chosen = candidates[0] as JsonObject;
  const name = chosen.object('annotations')?.optionalString(REF_NAME);
  return follow(chosen, blobs, name === undefined ? [] : [name], close, 0);
}

function isOurs(descriptor: JsonObject): boolean {
  const platform = descriptor.object('platform');
  if (platform === undefined) return true;
  return platform.optionalString('os') === 'linux' && platform.optionalString('architecture') === 'amd64';
}

function follow(descriptor: JsonObject, blobs: BlobStore, names: readonly string[], close: () => void, depth: number): ImageSource {
  const digest = descriptor.string('digest');
  const document = JsonObject.parse(blobs.document(digest), `${blobs.name}: ${digest}`);
  const type = descriptor.optionalString('mediaType') ?? document.optionalString('mediaType') ?? '';
  if (INDEX_TYPES.has(type) || (!MANIFEST_TYPES.has(type) && document.has('manifests'))) {
    if (depth >= MAX_DEPTH) throw new VmmError('IMAGE_BAD', `${blobs.name}: indexes are nested more than ${MAX_DEPTH} deep`);
    const next = document.objects('manifests').find(isOurs);
    if (next === undefined) throw new VmmError('IMAGE_PLATFORM', `${blobs.name}: no image for linux/amd64`, { hint: 'save the amd64 variant' });
    return follow(next, blobs, names, close, depth + 1);
  }
  return fromManifest(document, blobs, names, close);
}

function fromManifest(manifest: JsonObject, blobs: BlobStore, names: readonly string[], close: () => void): ImageSource {
  const configDigest = manifest.object('config')?.string('digest');
  if (configDigest === undefined) throw new VmmError('IMAGE_BAD', `${blobs.name}: the manifest names no configuration`, { hint: 'schema 1 manifests are too old' });
  const config = JsonObject.parse(blobs.document(configDigest), `${blobs.name}: configuration`);
  const layers = manifest.objects('layers');
  const { diffIds, process, created } = readConfig(config, blobs.name);
  if (layers.length > MAX_LAYERS) throw new VmmError('IMAGE_LIMIT', `${blobs.name}: ${layers.length} layers, at most ${MAX_LAYERS} are read`);
  if (diffIds.length !== layers.length) throw new VmmError('IMAGE_BAD', `${blobs.name}: ${layers.length} layers, but ${diffIds.length} diff ids`);
  return {
    id: configDigest,
    names,
    created,
    config: process,
    chainId: chainIdOf(diffIds),
    layers: layers.map((layer, i) => {
      const digest = layer.string('digest');
      const type = layer.optionalString('mediaType');
      if (type !== undefined && !LAYER_TYPE.test(type)) throw new VmmError('IMAGE_UNSUPPORTED', `${blobs.name}: layer ${i + 1} is of type ${type}`, { hint: 'it is not a container image, or it is encrypted' });
      return { name: `layer ${i + 1} of ${blobs.name}`, data: blobs.layer(digest), digest, diffId: diffIds[i] as string };
    }),
    close,
  };
}

/** The image configuration (OCI config.md; docker's is the same in these fields). Throws IMAGE_PLATFORM. */
export function readConfig(config: JsonObject, where: string): { diffIds: string[]; process: ImageProcessConfig; created: string | undefined } {
  const os = config.optionalString('os') ?? 'linux';
  const architecture = config.optionalString('architecture') ?? 'amd64';
  if (os !== 'linux' || architecture !== 'amd64') {
    throw new VmmError('IMAGE_PLATFORM', `${where}: made for ${os}/${architecture}`, { hint: 'the machine is linux/amd64' });
  }
  const run = config.object('config');
  return {
    diffIds: config.object('rootfs')?.strings('diff_ids') ?? [],
    created: config.optionalString('created'),
    process: {
      entrypoint: run?.strings('Entrypoint') ?? [],
      cmd: run?.strings('Cmd') ?? [],
      env: run?.strings('Env') ?? [],
      workingDir: run?.optionalString('WorkingDir') ?? '',
      user: run?.optionalString('User') ?? '',
      stopSignal: run?.optionalString('StopSignal') || undefined,
    },
  };
}

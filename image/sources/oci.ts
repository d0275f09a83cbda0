import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { chainIdOf } from '../rootfs/build.ts';
import { OCI_LAYER, type TypedDescriptor } from '../documents/descriptor.ts';
import { JsonObject } from '../documents/json.ts';
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import type { Archive } from './archive.ts';
import { archiveBlobs, type BlobStore, directoryBlobs, readSmall } from './blobs.ts';
import { readConfig } from './image-config.ts';
import { checkLayerCount, type ImageSource } from './source.ts';

const INDEX_TYPES = new Set(['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json']);
const MANIFEST_TYPES = new Set(['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json']);
const CONFIG_TYPES = new Set(['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json']);
const LAYER_TYPE = /^application\/vnd\.(oci\.image\.layer(\.nondistributable)?\.v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(diff|foreign\.diff)\.tar(\.gzip|\.zstd)?)$/;
const REF_NAME = 'org.opencontainers.image.ref.name';
/** The whole name where REF_NAME has the tag alone (containerd, newer Docker). */
const CONTAINERD_NAME = 'io.containerd.image.name';
/** Indexes may name indexes; real ones are at most two deep. */
const MAX_DEPTH = 4;
const FOREIGN = /foreign|nondistributable/;

/** True for a directory that is an OCI image layout (image-layout.md). */
export function isOciLayout(dir: string): boolean {
  return existsSync(join(dir, 'oci-layout')) && existsSync(join(dir, 'index.json'));
}

export async function ociDirectory(dir: string, tag: string | undefined): Promise<ImageSource> {
  const index = JsonObject.parse(readSmall(join(dir, 'index.json')), `${dir}: index.json`);
  return fromIndex(index, { blobs: directoryBlobs(dir, 'oci'), manifest: undefined, base: basename(dir), close: () => {} }, tag);
}

export async function ociArchive(archive: Archive, tag: string | undefined): Promise<ImageSource> {
  const index = JsonObject.parse(archive.read('index.json'), `${archive.name}: index.json`);
  const base = basename(archive.name).replace(/(\.(tar|oci|gz|tgz|zst|xz|bz2))+$/, '');
  return fromIndex(index, { blobs: archiveBlobs(archive), manifest: undefined, base, close: () => archive.close() }, tag);
}

/** True for a directory that skopeo's `dir:` transport wrote: its `version` says so. */
export function isSkopeoDir(dir: string): boolean {
  const version = join(dir, 'version');
  return existsSync(version) && existsSync(join(dir, 'manifest.json')) && Buffer.from(readSmall(version)).toString('latin1').startsWith('Directory Transport Version:');
}

export async function skopeoDirectory(dir: string): Promise<ImageSource> {
  const blobs = directoryBlobs(dir, 'flat');
  const from: Origin = { blobs, manifest: (digest) => blobs.document(digest, '.manifest.json'), base: '', close: () => {} };
  return fromDocument({ bytes: readSmall(join(dir, 'manifest.json')), mediaType: undefined, what: `${dir}: manifest.json` }, from, []);
}

/** Where an image's documents come from. */
export interface Origin {
  readonly blobs: BlobStore;
  /** How manifests below an index are found, where not as other blobs. */
  readonly manifest: ((digest: string) => Promise<Uint8Array>) | undefined;
  /** Name for images that have a tag only. */
  readonly base: string;
  readonly close: () => void | Promise<void>;
}

/** A manifest or an index. */
export interface TopDocument {
  readonly bytes: Uint8Array;
  /** What who handed it out says of its type. */
  readonly mediaType: string | undefined;
  /** What messages call it. */
  readonly what: string;
}

async function fromIndex(index: JsonObject, from: Origin, tag: string | undefined): Promise<ImageSource> {
  const where = from.blobs.name;
  const all = index.objects('manifests');
  const tags = [...new Set(all.flatMap((entry) => tagsOf(entry)))];
  const named = tag === undefined ? all : all.filter((entry) => tagsOf(entry).includes(tag));
  if (named.length === 0) {
    throw new VmmError('IMAGE_NOT_FOUND', tag === undefined ? `${where}: the index is empty` : `${where}: no image ${tag}`, { hint: tags.length > 0 ? `it has ${list(tags)}` : 'give an image that has a manifest' });
  }
  const ours = named.filter(isOurs);
  const digests = new Set(ours.map((entry) => entry.string('digest')));
  // Without a tag, variants of one image are no ambiguity; images of their own names are.
  if (digests.size > 1 && new Set(ours.map((entry) => tagsOf(entry).join())).size > 1) {
    throw new VmmError('IMAGE_AMBIGUOUS', `${where}: holds ${digests.size} images`, { hint: `add one of ${list(tags.map((name) => `:${name}`))}` });
  }
  const chosen = best(ours);
  if (chosen === undefined) throw notOurs(where);
  return follow(chosen, from, namesOf(chosen, from.base), 0);
}

function tagsOf(descriptor: JsonObject): string[] {
  const annotations = descriptor.object('annotations');
  return [annotations?.optionalString(REF_NAME), annotations?.optionalString(CONTAINERD_NAME)].filter((name) => name !== undefined);
}

/** A bare tag (`latest`) becomes a name with the layout's own. */
function namesOf(descriptor: JsonObject, base: string): string[] {
  const annotations = descriptor.object('annotations');
  const name = annotations?.optionalString(CONTAINERD_NAME) ?? annotations?.optionalString(REF_NAME);
  if (name === undefined) return [];
  return [/[:/]/.test(name) ? name : `${base}:${name}`];
}

function isOurs(descriptor: JsonObject): boolean {
  const platform = descriptor.object('platform');
  if (platform === undefined) return true;
  return platform.optionalString('os') === 'linux' && platform.optionalString('architecture') === 'amd64';
}

/** Of several variants of amd64 the one that asks least of the CPU. */
function best(descriptors: readonly JsonObject[]): JsonObject | undefined {
  const level = (descriptor: JsonObject): number => Number(/^v(\d)$/.exec(descriptor.object('platform')?.optionalString('variant') ?? 'v1')?.[1] ?? 9);
  return [...descriptors].sort((a, b) => level(a) - level(b))[0];
}

async function follow(descriptor: JsonObject, from: Origin, names: readonly string[], depth: number): Promise<ImageSource> {
  const digest = descriptor.string('digest');
  const bytes = await (from.manifest?.(digest) ?? from.blobs.document(digest));
  return fromDocument({ bytes, mediaType: descriptor.optionalString('mediaType'), what: `${from.blobs.name}: ${digest}` }, from, names, depth);
}

/** The image of a manifest, or of an index that leads to one. Throws IMAGE_*. */
export async function fromDocument(top: TopDocument, from: Origin, names: readonly string[], depth = 0): Promise<ImageSource> {
  const document = JsonObject.parse(top.bytes, top.what);
  const next = nextDescriptor(document, top.mediaType, from.blobs.name);
  if (next === undefined) return imageOf(document, top.bytes, from, names);
  if (depth >= MAX_DEPTH) throw new VmmError('IMAGE_LIMIT', `${from.blobs.name}: indexes are nested more than ${MAX_DEPTH} deep`, { hint: 'the image is damaged' });
  return follow(next, from, names, depth + 1);
}

/** Where an index leads to for us; undefined for a manifest. Throws IMAGE_PLATFORM. */
function nextDescriptor(document: JsonObject, mediaType: string | undefined, where: string): JsonObject | undefined {
  const type = document.optionalString('mediaType') ?? mediaType ?? '';
  // Whoever reads one and whoever reads the other would not mean the same image.
  if (document.has('manifests') && (document.has('config') || document.has('layers'))) throw new VmmError('IMAGE_BAD', `${where}: an index and a manifest in one`, { hint: 'the image is damaged or hostile' });
  if (!INDEX_TYPES.has(type) && (MANIFEST_TYPES.has(type) || !document.has('manifests'))) return undefined;
  const next = best(document.objects('manifests').filter(isOurs));
  if (next === undefined) throw notOurs(where);
  return next;
}

async function imageOf(manifest: JsonObject, bytes: Uint8Array, { blobs, close }: Origin, names: readonly string[]): Promise<ImageSource> {
  const descriptor = manifest.object('config');
  if (descriptor === undefined) throw new VmmError('IMAGE_BAD', `${blobs.name}: the manifest names no configuration`, { hint: 'schema 1 manifests are too old' });
  const type = descriptor.optionalString('mediaType');
  if (type !== undefined && !CONFIG_TYPES.has(type)) throw new VmmError('IMAGE_UNSUPPORTED', `${blobs.name}: a configuration of type ${type}`, { hint: 'it is not a container image' });
  const configDigest = descriptor.string('digest');
  const config = await blobs.document(configDigest);
  const { diffIds, process, created } = readConfig(JsonObject.parse(config, `${blobs.name}: configuration`), blobs.name);
  const layers = manifest.objects('layers').map((layer, i) => layerOf(layer, i, blobs.name));
  checkLayerCount(layers.length, diffIds.length, blobs.name);
  blobs.expect?.(layers);
  return {
    id: configDigest,
    names,
    created,
    config: process,
    chainId: chainIdOf(diffIds),
    layers: layers.map(({ digest }, i) => ({ name: `${i + 1} of ${blobs.name}`, data: blobs.layer(digest), digest, diffId: diffIds[i] as string })),
    packed: { manifest: bytes, config, layers },
    close,
  };
}

/** A manifest's layer. Throws IMAGE_* for one that is not read here. */
export function layerOf(layer: JsonObject, i: number, where: string): TypedDescriptor {
  const mediaType = layer.optionalString('mediaType') ?? `${OCI_LAYER}+gzip`;
  if (FOREIGN.test(mediaType) && layer.strings('urls').length > 0) {
    throw new VmmError('IMAGE_UNSUPPORTED', `${where}: layer ${i + 1} lies outside of the registry (${mediaType})`, { hint: 'such layers may not be passed on; they are Windows’' });
  }
  if (!LAYER_TYPE.test(mediaType)) {
    throw new VmmError('IMAGE_UNSUPPORTED', `${where}: layer ${i + 1} is of type ${mediaType}`, { hint: 'it is not a container image, or it is encrypted' });
  }
  const size = layer.optionalNumber('size');
  if (size === undefined) throw new VmmError('IMAGE_BAD', `${where}: a descriptor has no size`, { hint: 'the image is damaged' });
  if (size > DEFAULT_LIMITS.maxTotalBytes) throw new VmmError('IMAGE_LIMIT', `${where}: a layer of ${size} bytes`, { hint: `at most ${DEFAULT_LIMITS.maxTotalBytes} are read` });
  return { digest: layer.string('digest'), size, mediaType };
}

function notOurs(where: string): VmmError {
  return new VmmError('IMAGE_PLATFORM', `${where}: no image for linux/amd64`, { hint: 'save the amd64 variant' });
}

function list(names: readonly string[]): string {
  return names.length > 10 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ');
}

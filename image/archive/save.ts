import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import { OCI_INDEX } from '../documents/descriptor.ts';
import { packedImage } from '../pack.ts';
import { parseRegistryName } from '../registry/name.ts';
import type { KeptManifest } from '../store/blobs.ts';
import { damaged, openBlob } from '../store/open-blob.ts';
import type { ImageStore } from '../store/store.ts';
import { tarFromTree } from '../tar/writer.ts';
import { type ByteSource, contentFromBytes, type FileContent, readFully } from '../tree/content.ts';
import { type DirNode, makeDir, type NodeMeta } from '../tree/node.ts';

const META: NodeMeta = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0, xattrs: undefined };

/**
 * Images of the store as one tar archive, which is an OCI layout (oci-archive:) and what `docker load` reads (docker-archive:) at
 * once, as newer versions of `docker save` write it. A text that is an id takes all of its image's names. Equal images give equal
 * archives. Throws IMAGE_NOT_FOUND, STORE_*; IMAGE_DIGEST while it is read, for what was damaged in the store.
 */
export async function saveImages(store: ImageStore, texts: readonly string[], note?: (text: string) => void): Promise<Iterable<Uint8Array>> {
  const images = new Map<string, { kept: KeptManifest; names: Set<string> }>();
  for (const text of texts) {
    const { record, names, asked } = store.named(text);
    const image = images.get(record.id) ?? { kept: await packedImage(store, record, note), names: new Set<string>() };
    for (const name of asked === undefined ? names : [asked]) if (isTag(name)) image.names.add(name);
    images.set(record.id, image);
  }
  return archive(store, [...images.values()].map(({ kept, names }) => ({ kept, names: [...names].sort() })));
}

interface Saved {
  readonly kept: KeptManifest;
  readonly names: readonly string[];
}

/** Docker refuses a whole archive for one name that it cannot understand. */
function isTag(name: string): boolean {
  try {
    return parseRegistryName(name).digest === undefined;
  } catch {
    return false;
  }
}

function* archive(store: ImageStore, images: readonly Saved[]): Generator<Uint8Array> {
  const files = new OpenBlobs(store);
  try {
    yield* tarFromTree(treeOf(images, files), { root: false });
  } finally {
    files.close();
  }
}

function treeOf(images: readonly Saved[], files: OpenBlobs): DirNode {
  const root = makeDir({ ...META, mode: 0o755 });
  const folder = (parent: DirNode, name: string): DirNode => {
    const dir = parent.children.get(name) ?? makeDir({ ...META, mode: 0o755 });
    parent.children.set(name, dir);
    return dir as DirNode;
  };
  const put = (dir: DirNode, name: string, content: FileContent): void => void dir.children.set(name, { type: 'file', ...META, content });
  const json = (name: string, value: unknown): void => put(root, name, contentFromBytes(Buffer.from(JSON.stringify(value))));
  for (const { kept } of images) {
    for (const { digest, size } of [{ digest: kept.digest, size: kept.bytes.length }, kept.config, ...kept.layers]) {
      const [algorithm = '', hex = ''] = digest.split(':');
      const dir = folder(folder(root, 'blobs'), algorithm);
      if (!dir.children.has(hex)) put(dir, hex, files.content(digest, size));
    }
  }
  json('oci-layout', { imageLayoutVersion: '1.0.0' });
  json('index.json', { schemaVersion: 2, mediaType: OCI_INDEX, manifests: images.flatMap(entriesOf) });
  json('manifest.json', images.map(({ kept, names }) => ({ Config: pathOf(kept.config.digest), RepoTags: names, Layers: kept.layers.map(({ digest }) => pathOf(digest)) })));
  return root;
}

function pathOf(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** An entry a name, as tools look for them by it. */
function entriesOf({ kept, names }: Saved): unknown[] {
  const entry = { mediaType: kept.mediaType, digest: kept.digest, size: kept.bytes.length };
  if (names.length === 0) return [entry];
  return names.map((name) => ({ ...entry, annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name } }));
}

/** Blobs of the store as files of an archive, their digests checked when they were read. */
class OpenBlobs {
  readonly #store: ImageStore;
  #fd: number | undefined;

  constructor(store: ImageStore) {
    this.#store = store;
  }

  content(digest: string, size: number): FileContent {
    if (size === 0) return { size: 0, extents: [] };
    const [algorithm = '', hex] = digest.split(':');
    let hash = createHash(algorithm);
    const source: ByteSource = {
      read: (into, position) => {
        if (position === 0) hash = createHash(algorithm);
        this.#fd ??= openBlob(this.#store, digest);
        if (!readFully(this.#fd, into, position)) throw damaged(digest);
        hash.update(into);
      },
      release: () => {
        this.close();
        if (hash.digest('hex') !== hex) throw damaged(digest);
      },
    };
    return { size, extents: [{ fileOffset: 0, length: size, source, sourceOffset: 0 }] };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

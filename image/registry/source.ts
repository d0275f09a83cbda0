import { closeSync, readSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';
import type { BlobStore } from '../sources/blobs.ts';
import { imageOf, MAX_DEPTH, nextDescriptor } from '../sources/oci.ts';
import type { ImageSource } from '../sources/source.ts';
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import { openNameless } from '../tree/nameless.ts';
import type { Progress } from '../tree/progress.ts';
import type { Descriptor, Manifest, RegistryClient } from './client.ts';
import { fullName, type RegistryName } from './name.ts';

/** Layers that are fetched at once, as Docker does. */
const PARALLEL = 3;
const READ_CHUNK = 1 << 20;
const FOREIGN = /foreign|nondistributable/;

/** The image of a name, its documents read; layers are fetched when the first of them is asked for. Throws IMAGE_*, REGISTRY_*. */
export async function registryImage(client: RegistryClient, name: RegistryName, first: Manifest, tempDir: string, progress: Progress | undefined): Promise<ImageSource> {
  const documents = new Map<string, Uint8Array>();
  const where = fullName(name);
  let manifest = first;
  let document = JsonObject.parse(manifest.bytes, where);
  let type = mediaTypeOf(document, manifest);
  for (let depth = 0; ; depth++) {
    const next = nextDescriptor(document, type, where);
    if (next === undefined) break;
    if (depth >= MAX_DEPTH) throw new VmmError('IMAGE_LIMIT', `${where}: indexes are nested more than ${MAX_DEPTH} deep`, { hint: 'the image is damaged' });
    manifest = await client.manifest(next.string('digest'));
    document = JsonObject.parse(manifest.bytes, where);
    type = next.optionalString('mediaType') ?? mediaTypeOf(document, manifest);
  }
  const config = document.object('config');
  if (config !== undefined) documents.set(config.string('digest'), await client.document(descriptorOf(config, where)));
  const layers = document.objects('layers');
  for (const layer of layers) {
    if (FOREIGN.test(layer.optionalString('mediaType') ?? '')) {
      throw new VmmError('IMAGE_UNSUPPORTED', `${where}: a layer of it lies outside of the registry (${layer.optionalString('mediaType')})`, { hint: 'such layers may not be passed on; they are Windows’' });
    }
  }
  const fetched = new Layers(client, layers.map((layer) => descriptorOf(layer, where)), tempDir, progress);
  const blobs: BlobStore = {
    name: where,
    document: (digest) => {
      const bytes = documents.get(digest);
      if (bytes === undefined) throw new VmmError('IMAGE_BAD', `${where}: ${digest} is not there`);
      return bytes;
    },
    layer: (digest) => fetched.data(digest),
  };
  return imageOf(document, { blobs, close: () => fetched.close() }, [where]);
}

/** What the registry says of a manifest's type counts where the manifest says nothing. */
function mediaTypeOf(document: JsonObject, { mediaType }: Manifest): string | undefined {
  return document.optionalString('mediaType') ?? mediaType;
}

function descriptorOf(object: JsonObject, where: string): Descriptor {
  const size = object.optionalNumber('size');
  if (size === undefined) throw new VmmError('IMAGE_BAD', `${where}: a descriptor has no size`, { hint: 'the image is damaged' });
  if (size > DEFAULT_LIMITS.maxTotalBytes) throw new VmmError('IMAGE_LIMIT', `${where}: a layer of ${size} bytes`, { hint: `at most ${DEFAULT_LIMITS.maxTotalBytes} are read` });
  return { digest: object.string('digest'), size };
}

/** A manifest's layers in nameless files, fetched side by side in their order. */
class Layers {
  readonly #client: RegistryClient;
  readonly #descriptors: readonly Descriptor[];
  readonly #folder: string;
  readonly #progress: Progress | undefined;
  readonly #stop = new AbortController();
  readonly #fds: number[] = [];
  #work: Map<string, Promise<number>> | undefined;
  #received = 0;

  constructor(client: RegistryClient, descriptors: readonly Descriptor[], folder: string, progress: Progress | undefined) {
    this.#client = client;
    this.#descriptors = [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
    this.#folder = folder;
    this.#progress = progress;
  }

  async *data(digest: string): AsyncGenerator<Uint8Array> {
    this.#work ??= this.#start();
    const fd = await (this.#work.get(digest) as Promise<number>);
    for (let at = 0; ; ) {
      // A new buffer each time: a decompressor keeps it for a while.
      const buffer = Buffer.allocUnsafeSlow(READ_CHUNK);
      const n = readSync(fd, buffer, 0, buffer.length, at);
      if (n === 0) return;
      at += n;
      yield buffer.subarray(0, n);
    }
  }

  /** Ends what is still fetched. */
  close(): void {
    this.#stop.abort(new Error('no longer needed'));
    void Promise.allSettled(this.#work?.values() ?? []).then(() => {
      for (const fd of this.#fds) closeSync(fd);
    });
  }

  #start(): Map<string, Promise<number>> {
    const work = new Map<string, Promise<number>>();
    const lanes: Promise<unknown>[] = Array.from({ length: PARALLEL }, () => Promise.resolve());
    for (const [i, descriptor] of this.#descriptors.entries()) {
      const lane = i % PARALLEL;
      const done = (lanes[lane] as Promise<unknown>).then(() => this.#fetch(descriptor));
      // Whoever needs it hears of its failure; the others end.
      done.catch(() => this.#stop.abort(new Error('another layer failed')));
      lanes[lane] = done;
      work.set(descriptor.digest, done);
    }
    return work;
  }

  async #fetch(descriptor: Descriptor): Promise<number> {
    const total = this.#descriptors.reduce((sum, { size }) => sum + size, 0);
    const fd = this.#open();
    await this.#client.download(descriptor, fd, (bytes) => {
      this.#received += bytes;
      this.#progress?.({ stage: 'fetching', done: this.#received, total });
    }, this.#stop.signal).catch((cause: unknown) => {
      throw writeError(cause);
    });
    return fd;
  }

  #open(): number {
    try {
      const fd = openNameless(this.#folder);
      this.#fds.push(fd);
      return fd;
    } catch (cause) {
      throw writeError(cause);
    }
  }
}

function writeError(cause: unknown): unknown {
  const { code, syscall } = cause as NodeJS.ErrnoException;
  if (cause instanceof VmmError || (syscall !== 'write' && syscall !== 'open')) return cause;
  return new VmmError('IMAGE_WRITE', `cannot fetch it to the store: ${code}`, { cause, hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space (vmm image prune) or set VMM_STORE' : 'set VMM_STORE to a directory of yours' });
}


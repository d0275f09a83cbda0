import { readSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import type { Descriptor } from '../documents/descriptor.ts';
import type { BlobStore } from '../sources/blobs.ts';
import { fromDocument } from '../sources/oci.ts';
import type { ImageSource } from '../sources/source.ts';
import type { IncomingBlob, Intake } from '../store/intake.ts';
import type { Progress } from '../tree/progress.ts';
import type { Manifest, RegistryClient } from './client.ts';
import { fullName, type RegistryName } from './name.ts';

/** Layers that are fetched at once, as Docker does. */
const PARALLEL = 3;
const READ_CHUNK = 1 << 20;

/** The image of a name, its documents read; layers are fetched when the first of them is asked for, and kept by `intake`. Throws IMAGE_*, REGISTRY_*. */
export async function registryImage(client: RegistryClient, name: RegistryName, top: Manifest, intake: Intake, progress: Progress | undefined): Promise<ImageSource> {
  const where = fullName(name);
  let fetched: Layers | undefined;
  const blobs: BlobStore = {
    name: where,
    document: (digest) => client.document({ digest }),
    expect: (layers) => {
      fetched = new Layers(client, layers, intake, progress);
    },
    layer: (digest) => (fetched as Layers).data(digest),
  };
  const manifest = async (digest: string): Promise<Uint8Array> => (await client.manifest(digest)).bytes;
  return fromDocument({ bytes: top.bytes, mediaType: top.mediaType, what: where }, { blobs, manifest, base: '', close: () => fetched?.close() }, [where]);
}

/** A manifest's layers, fetched side by side in their order. */
class Layers {
  readonly #client: RegistryClient;
  readonly #descriptors: readonly Descriptor[];
  readonly #intake: Intake;
  readonly #progress: Progress | undefined;
  readonly #stop = new AbortController();
  #work: Map<string, Promise<number>> | undefined;
  #received = 0;
  #done = 0;

  constructor(client: RegistryClient, descriptors: readonly Descriptor[], intake: Intake, progress: Progress | undefined) {
    this.#client = client;
    this.#descriptors = [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
    this.#intake = intake;
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

  /** Ends what is still fetched, and waits until nobody writes to it. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('no longer needed'));
    await Promise.allSettled(this.#work?.values() ?? []);
  }

  #start(): Map<string, Promise<number>> {
    const work = new Map<string, Promise<number>>();
    const lanes: Promise<unknown>[] = Array.from({ length: PARALLEL }, () => Promise.resolve());
    for (const [i, descriptor] of this.#descriptors.entries()) {
      const lane = i % PARALLEL;
      const done = (lanes[lane] as Promise<unknown>).then(() => this.#fetch(descriptor));
      // The others end, and with the first failure: whoever waits for one of them hears what it was.
      done.catch((error: unknown) => this.#stop.abort(error));
      lanes[lane] = done;
      work.set(descriptor.digest, done);
    }
    return work;
  }

  async #fetch(descriptor: Descriptor): Promise<number> {
    this.#stop.signal.throwIfAborted();
    const blob = await this.#intake.open(descriptor);
    this.#count(blob.at);
    if (!blob.whole) await this.#download(descriptor, blob);
    this.#done++;
    return blob.fd;
  }

  async #download(descriptor: Descriptor, blob: IncomingBlob): Promise<void> {
    try {
      await this.#client.download(descriptor, blob, (bytes) => this.#count(bytes), this.#stop.signal);
    } catch (cause) {
      if (cause instanceof VmmError && cause.code === 'IMAGE_DIGEST') this.#intake.spoil(descriptor.digest);
      throw writeError(cause);
    }
    this.#intake.finish(descriptor.digest);
  }

  #count(bytes: number): void {
    this.#received += bytes;
    const total = this.#descriptors.reduce((sum, { size }) => sum + size, 0);
    this.#progress?.({ stage: 'fetching', done: this.#received, total, parts: [this.#done, this.#descriptors.length] });
  }
}

function writeError(cause: unknown): unknown {
  const { code, syscall } = cause as NodeJS.ErrnoException;
  if (cause instanceof VmmError || (syscall !== 'write' && syscall !== 'open')) return cause;
  return new VmmError('IMAGE_WRITE', `cannot fetch it to the store: ${code}`, { cause, hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space (vmm image prune) or set VMM_STORE' : 'set VMM_STORE to a directory of yours' });
}

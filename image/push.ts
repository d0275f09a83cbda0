import { closeSync } from 'node:fs';
import { VmmError } from '../base/errors.ts';
import type { Descriptor } from './documents/descriptor.ts';
import { packedImage } from './pack.ts';
import type { RegistryClient } from './registry/client.ts';
import type { Environment } from './registry/credentials.ts';
import { withRegistry } from './registry/endpoints.ts';
import { fullName, parseRegistryName, type RegistryName } from './registry/name.ts';
import { uploadBlob } from './registry/upload.ts';
import { blobsOf, type KeptManifest } from './store/blobs.ts';
import { changeStore } from './store/change.ts';
import { blobName } from './store/forms.ts';
import { openBlob } from './store/open-blob.ts';
import type { ImageStore } from './store/store.ts';
import type { Progress } from './tree/progress.ts';

/** Layers that are sent at once. */
const PARALLEL = 3;

export interface PushOptions {
  readonly env?: Environment;
  readonly progress?: Progress | undefined;
  readonly note?: (text: string) => void;
  /** A server that says nothing for so long is given up, ms. */
  readonly idleMs?: number;
  /** See ClientOptions. */
  readonly tlsVerify?: boolean | undefined;
}

export interface Pushed {
  readonly name: string;
  readonly digest: string;
  /** Bytes of the manifest, which a signature covers. */
  readonly size: number;
}

/** Gives a stored image to the registry of `target`, a name with a tag; default: its own name. Throws IMAGE_*, REGISTRY_*, STORE_*. */
export async function pushImage(store: ImageStore, text: string, target: string | undefined, options: PushOptions = {}): Promise<Pushed> {
  const { record, names, asked } = store.named(text);
  const name = parseRegistryName(target ?? asked ?? text);
  if (name.digest !== undefined) throw new VmmError('USAGE', `${text}: a push needs a tag, not a digest`, { hint: 'give the name to push to as second argument' });
  const kept = await packedImage(store, record, options.note);
  const idle = options.idleMs === undefined ? {} : { idleMs: options.idleMs };
  await withRegistry(name, options.env ?? process.env, (client) => send(client, store, kept, name, options), { actions: 'pull,push', tlsVerify: options.tlsVerify, ...idle });
  const full = fullName(name);
  if (names.includes(full)) await changeStore(store, (change) => change.setName(full, record.id, kept.digest));
  return { name: full, digest: kept.digest, size: kept.bytes.length };
}

async function send(client: RegistryClient, store: ImageStore, kept: KeptManifest, name: RegistryName, options: PushOptions): Promise<void> {
  const blobs = [...new Map([kept.config, ...kept.layers].map((blob) => [blob.digest, blob])).values()];
  const total = blobs.reduce((sum, { size }) => sum + size, 0);
  const neighbours = neighboursOf(store, name);
  const stop = new AbortController();
  let sent = 0;
  let done = 0;
  const todo = [...blobs];
  const lane = async (): Promise<void> => {
    for (let blob = todo.shift(); blob !== undefined; blob = todo.shift()) {
      stop.signal.throwIfAborted();
      await sendBlob(client, store, blob, neighbours, stop.signal, (bytes) => {
        sent += bytes;
        options.progress?.({ stage: 'sending', done: sent, total, parts: [done, blobs.length] });
      });
      done++;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, async () => {
    try {
      await lane();
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  }));
  await client.putManifest(name.tag ?? 'latest', kept.bytes, kept.mediaType);
}

async function sendBlob(client: RegistryClient, store: ImageStore, blob: Descriptor, neighbours: ReadonlyMap<string, string>, signal: AbortSignal, sent: (bytes: number) => void): Promise<void> {
  if (await client.has(blob)) {
    sent(blob.size);
    return;
  }
  const fd = openBlob(store, blob.digest);
  try {
    await uploadBlob(client, blob, fd, { from: neighbours.get(blobName(blob.digest)), sent, signal });
  } finally {
    closeSync(fd);
  }
}

/** By blob, another repository of the same registry that an image of ours with that blob is from: it need not be sent again. */
function neighboursOf(store: ImageStore, { registry, repository }: RegistryName): Map<string, string> {
  const found = new Map<string, string>();
  for (const { record, names } of store.list()) {
    for (const text of names) {
      const name = tryParse(text);
      if (name?.registry !== registry || name.repository === repository) continue;
      for (const blob of blobsOf(store.paths, record)) found.set(blob, name.repository);
    }
  }
  return found;
}

function tryParse(text: string): RegistryName | undefined {
  try {
    return parseRegistryName(text);
  } catch {
    return undefined;
  }
}

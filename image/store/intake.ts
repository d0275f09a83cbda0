import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, readSync } from 'node:fs';
import type { Descriptor } from '../documents/descriptor.ts';
import { changeStore, type StoreChange, type TemporaryFile } from './change.ts';
import { blobName } from './forms.ts';
import type { ImageStore } from './store.ts';

const READ_CHUNK = 1 << 20;

/** A blob on its way into the store, or in it already. */
export interface IncomingBlob {
  /** Open for reading, and for writing where it is not whole. */
  readonly fd: number;
  /** Bytes that are there. */
  readonly at: number;
  /** Of these bytes. */
  readonly hash: Hash;
  readonly whole: boolean;
}

type Incoming = TemporaryFile & { readonly folder: 'partial' | 'tmp' };

/**
 * Blobs of one image that are to be kept. What has come of one stays in partial/ when a process ends too early, and a later
 * one goes on there; whole ones become the store's together with the image's record.
 */
export class Intake {
  readonly #store: ImageStore;
  readonly #files = new Map<string, Incoming>();
  readonly #finished = new Set<string>();
  readonly #documents = new Map<string, Uint8Array>();
  /** Whole blobs of the store that are counted on: another process may remove them meanwhile. */
  readonly #stored: { readonly descriptor: Descriptor; readonly fd: number }[] = [];

  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** True when all of these are in the store in their size. */
  static async has(store: ImageStore, descriptors: readonly Descriptor[]): Promise<boolean> {
    return changeStore(store, (change) =>
      descriptors.every((descriptor) => {
        const fd = change.openBlob(descriptor);
        if (fd !== undefined) closeSync(fd);
        return fd !== undefined;
      }),
    );
  }

  /** Opens a blob. What is there of it is read, since nothing is believed by its name. Throws STORE_*. */
  async open(descriptor: Descriptor): Promise<IncomingBlob> {
    const { digest, size } = descriptor;
    const stored = await changeStore(this.#store, (change) => change.openBlob(descriptor));
    if (stored !== undefined) {
      const hash = await hashOf(stored, digest, size);
      if (hash.copy().digest('hex') === blobName(digest)) {
        this.#stored.push({ descriptor, fd: stored });
        return { fd: stored, at: size, hash, whole: true };
      }
      closeSync(stored);
    }
    const file = await changeStore(this.#store, (change) => change.partial(digest));
    this.#files.set(digest, file);
    const there = fstatSync(file.fd).size;
    const at = there > size ? 0 : there;
    if (at !== there) ftruncateSync(file.fd, 0);
    const hash = await hashOf(file.fd, digest, at);
    if (at === size && hash.copy().digest('hex') !== blobName(digest)) {
      ftruncateSync(file.fd, 0);
      return { fd: file.fd, at: 0, hash: createHash(algorithmOf(digest)), whole: size === 0 };
    }
    if (at === size) this.finish(digest);
    return { fd: file.fd, at, hash, whole: at === size };
  }

  /** Says that a blob has come as its digest says. */
  finish(digest: string): void {
    this.#finished.add(digest);
  }

  /** Says that what has come of a blob is not what its digest says: nobody is to go on there. */
  spoil(digest: string): void {
    const file = this.#files.get(digest);
    if (file !== undefined) ftruncateSync(file.fd, 0);
  }

  /** A manifest or configuration. */
  document(digest: string, bytes: Uint8Array): void {
    this.#documents.set(digest, bytes);
  }

  /** Makes what is whole part of the store. */
  commit(change: StoreChange): void {
    for (const digest of this.#finished) {
      const file = this.#files.get(digest);
      if (file !== undefined) change.addBlob(digest, file);
    }
    for (const { descriptor, fd } of this.#stored) change.keepBlob(descriptor, fd);
    for (const [digest, bytes] of this.#documents) change.putBlob(digest, bytes);
  }

  /** What has come of a blob stays; a file without anything goes. */
  close(): void {
    for (const file of this.#files.values()) {
      if (file.folder === 'partial' && fstatSync(file.fd).size > 0) closeSync(file.fd);
      else file.discard();
    }
    for (const { fd } of this.#stored) closeSync(fd);
    this.#files.clear();
    this.#stored.length = 0;
  }
}

function algorithmOf(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}

async function hashOf(fd: number, digest: string, length: number): Promise<Hash> {
  const hash = createHash(algorithmOf(digest));
  const buffer = Buffer.allocUnsafe(Math.min(READ_CHUNK, Math.max(1, length)));
  for (let at = 0; at < length; ) {
    const n = readSync(fd, buffer, 0, Math.min(buffer.length, length - at), at);
    if (n === 0) break;
    hash.update(buffer.subarray(0, n));
    at += n;
    // Others get their turn.
    if (at % (READ_CHUNK * 16) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return hash;
}

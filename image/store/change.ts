import { closeSync, constants, copyFileSync, fstatSync, lstatSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { randomBytes } from '../../base/random.ts';
import { ErofsImage } from '../erofs/reader.ts';
import type { Descriptor } from '../documents/descriptor.ts';
import { blobsOf } from './blobs.ts';
import { OpenFolder } from './folder.ts';
import { blobName, diskName, isUnfinishedDisk, recordName } from './forms.ts';
import { lockFile, tryLock } from './lock.ts';
import { makeStoreFolders, openMarker } from './marker.ts';
import { hashName, normalName } from './names.ts';
import { cannotChange, changing, STORE_FOLDERS, type StoreFolder, type StorePaths } from './paths.ts';
import type { ImageRecord } from './record.ts';
import type { ImageStore, StoredImage } from './store.ts';

/** A version of vmm without a lock may still write to a file that was written to within this time. */
const STALE_MS = 3_600_000;

/** A file of tmp/ that others leave alone while its process lives: it is locked. */
export interface TemporaryFile {
  readonly fd: number;
  readonly name: string;
  /** Closes it, and removes it unless it has become a disk. */
  discard(): void;
}

/** Runs `action` with the store's lock held; makes the store where there is none. Throws STORE_*. */
export async function changeStore<T>(store: ImageStore, action: (change: StoreChange) => T | Promise<T>): Promise<T> {
  const change = await lockStore(store, true);
  try {
    return await action(change as StoreChange);
  } catch (cause) {
    throw cannotChange(store.paths, cause);
  } finally {
    change?.close();
  }
}

/** Takes a name away, and the image when it was its last; an id takes the image with all its names. Returns what went. Throws IMAGE_NOT_FOUND. */
export async function removeImage(store: ImageStore, text: string): Promise<string[]> {
  const gone = await changeExisting(store, (change) => change.remove(text));
  if (gone === undefined) throw store.notFound(text, 'see `vmm image ls`');
  return gone;
}

/** Gives an image of the store a further name; one that another image has moves. Returns it in full. Throws IMAGE_NOT_FOUND, USAGE. */
export async function tagImage(store: ImageStore, text: string, name: string): Promise<string> {
  const normal = normalName(name);
  const done = await changeExisting(store, (change) => {
    const record = store.find(text);
    if (record !== undefined) change.setName(normal, record.id);
    return record;
  });
  if (done === undefined) throw store.notFound(text, 'see `vmm image ls`');
  return normal;
}

/**
 * Removes images without a name (all of them with `all`), of these those that `chosen` is true of; disks that no image has, what dead
 * processes left, and names and sources of images that are gone. Returns the bytes freed.
 */
export async function pruneStore(store: ImageStore, all: boolean, chosen: (image: StoredImage) => boolean = () => true): Promise<number> {
  return (await changeExisting(store, (change) => change.prune(all, chosen))) ?? 0;
}

/** As `changeStore`, but undefined where there is no store yet. */
async function changeExisting<T>(store: ImageStore, action: (change: StoreChange) => T | Promise<T>): Promise<T | undefined> {
  const change = await lockStore(store, false);
  try {
    return change === undefined ? undefined : await action(change);
  } catch (cause) {
    throw cannotChange(store.paths, cause);
  } finally {
    change?.close();
  }
}

async function lockStore(store: ImageStore, make: boolean): Promise<StoreChange | undefined> {
  const { paths } = store;
  const fds: number[] = [];
  try {
    if (make) makeFolders(paths.root);
    const root = openSync(paths.root, constants.O_RDONLY | constants.O_DIRECTORY);
    fds.push(root);
    const marker = openMarker(root, paths);
    fds.push(marker);
    await lockFile(marker, store.host);
    makeStoreFolders(root);
    return new StoreChange(store, root, marker);
  } catch (cause) {
    for (const fd of fds) closeSync(fd);
    if (!make && (cause as NodeJS.ErrnoException).code === 'ENOENT' && fds.length === 0) return undefined;
    throw cannotChange(paths, cause);
  }
}

function removeAndClose(path: string, fd: number): void {
  try {
    unlinkSync(path);
  } catch {
    // It has become part of the store by now, or the store went away.
  }
  closeSync(fd);
}

/** What may be done to a store whose lock is held. All paths go through descriptors (folder.ts). Throws STORE_*. */
export class StoreChange {
  readonly #store: ImageStore;
  readonly #paths: StorePaths;
  readonly #fds: readonly [marker: number, root: number];
  readonly #folders: Readonly<Record<StoreFolder, OpenFolder>>;

  constructor(store: ImageStore, root: number, marker: number) {
    this.#store = store;
    this.#paths = store.paths;
    this.#fds = [marker, root];
    const opened: OpenFolder[] = [];
    try {
      for (const folder of STORE_FOLDERS) opened.push(new OpenFolder(root, folder));
    } catch (error) {
      for (const folder of opened) folder.close();
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ELOOP' && code !== 'ENOTDIR') throw error;
      const what = STORE_FOLDERS[opened.length] as string;
      throw new VmmError('STORE_FOREIGN', `${store.paths.root}: ${what} in it is not a directory`, { cause: error, hint: 'nothing was changed; links are not followed there: bind-mount it, or set VMM_STORE' });
    }
    this.#folders = Object.fromEntries(opened.map((folder) => [folder.folder, folder])) as Record<StoreFolder, OpenFolder>;
  }

  /** A descriptor of the store's folder. */
  get root(): number {
    return this.#fds[1];
  }

  /** Releases the lock. */
  close(): void {
    for (const folder of Object.values(this.#folders)) folder.close();
    for (const fd of this.#fds) closeSync(fd);
  }

  put(record: ImageRecord): void {
    this.#write('images', recordName(record.id), JSON.stringify(record));
  }

  /** `digest`: what the name stands for at its registry, where it was asked; `stamp`: the policy that let it in. Throws USAGE for what cannot be a name. */
  setName(name: string, id: string, digest?: string, stamp?: string): void {
    const normal = normalName(name);
    this.#write('names', hashName(normal), `${id}\n${normal}${digest === undefined && stamp === undefined ? '' : `\n${digest ?? ''}`}${stamp === undefined ? '' : `\n${stamp}`}`);
  }

  /** `identity` is how a source looked when it held the image `id`; `note`: one line that tells for how long. */
  setSource(identity: string, id: string, note = ''): void {
    this.#write('sources', hashName(identity), note === '' ? id : `${id}\n${note}`);
  }

  /** A new file of tmp/, locked. What dead processes have left there goes. */
  async temporary(): Promise<TemporaryFile> {
    await this.sweepTemporary();
    const name = randomBytes(8).toString('hex');
    const path = `${this.#paths.tmp}/${name}`;
    const fd = changing(this.#paths, () => openSync(this.#folders.tmp.path(name), 'wx+', 0o644));
    await lockFile(fd, this.#store.host);
    return {
      fd,
      name,
      discard: () => removeAndClose(path, fd),
    };
  }

  /**
   * The file of partial/ for a blob, with what an earlier try has left in it, locked; a temporary file where another process
   * has it.
   */
  async partial(digest: string): Promise<TemporaryFile & { readonly folder: 'partial' | 'tmp' }> {
    const name = blobName(digest);
    const path = `${this.#paths.partial}/${name}`;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = changing(this.#paths, () => openSync(this.#folders.partial.path(name), flags, 0o644));
    if (!fstatSync(fd).isFile() || !(await tryLock(fd, this.#store.host))) {
      closeSync(fd);
      return { ...(await this.temporary()), folder: 'tmp' };
    }
    return { fd, name, folder: 'partial', discard: () => removeAndClose(path, fd) };
  }

  /** A blob that is there, open for reading, however its bytes are; undefined when there is none of this size. */
  openBlob({ digest, size }: Descriptor): number | undefined {
    let fd: number;
    try {
      fd = openSync(this.#folders.blobs.path(blobName(digest)), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    const stat = fstatSync(fd);
    if (stat.isFile() && stat.size === size) return fd;
    closeSync(fd);
    return undefined;
  }

  /** Makes a finished file of partial/ or tmp/ the blob of this digest. */
  addBlob(digest: string, { name, folder }: { readonly name: string; readonly folder: 'partial' | 'tmp' }): void {
    changing(this.#paths, () => renameSync(this.#folders[folder].path(name), this.#folders.blobs.path(blobName(digest))));
  }

  /** Sees to it that a blob, open as `fd`, is there: one that was removed since it was opened is copied. */
  keepBlob(descriptor: Descriptor, fd: number): void {
    const there = this.openBlob(descriptor);
    if (there !== undefined) {
      closeSync(there);
      return;
    }
    this.#appear('blobs', blobName(descriptor.digest), (temporary) => copyFileSync(`/proc/self/fd/${fd}`, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE));
  }

  /** Keeps a small blob. */
  putBlob(digest: string, bytes: Uint8Array): void {
    this.#write('blobs', blobName(digest), bytes);
  }

  /**
   * Makes a finished temporary file the disk of this key. From then on machines share it: the lock that kept others away becomes one that they have, too.
   * Throws STORE_LOCK where another program takes it in between: with the store's lock held no vmm does.
   */
  async addDisk(key: string, file: TemporaryFile): Promise<void> {
    if (!(await tryLock(file.fd, this.#store.host, 'shared'))) throw new VmmError('STORE_LOCK', `the image store cannot be locked: another program has locked ${this.#paths.tmp}/${file.name}`, { hint: 'no program but vmm has to be at its files (fuser -v FILE): then try again' });
    changing(this.#paths, () => renameSync(this.#folders.tmp.path(file.name), this.#folders.rootfs.path(diskName(key))));
  }

  /** Bytes of the disk of this key when it is there and whole: a power cut or a full disk may have cut it since it was written. */
  wholeDisk(key: string): number | undefined {
    try {
      const path = this.#folders.rootfs.path(diskName(key));
      const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        const image = new ErofsImage(`/proc/self/fd/${fd}`);
        image.close();
        return image.whole ? fstatSync(fd).size : undefined;
      } finally {
        closeSync(fd);
      }
    } catch {
      return undefined;
    }
  }

  /** Removes a file that was found to be damaged. */
  removeDamaged(folder: StoreFolder, name: string): void {
    this.#delete(folder, name);
  }

  /** See `removeImage`. */
  remove(text: string): string[] {
    const { record, names, asked } = this.#store.named(text);
    const gone: string[] = [];
    for (const name of asked === undefined ? names : [asked]) {
      this.#delete('names', hashName(name));
      gone.push(name);
    }
    if (asked === undefined || names.length === 1) {
      this.#drop(record);
      gone.push(record.id);
    }
    return gone;
  }

  /** See `pruneStore`. */
  async prune(all: boolean, chosen: (image: StoredImage) => boolean): Promise<number> {
    let freed = 0;
    for (const image of this.#store.list()) {
      if ((all || image.names.length === 0) && chosen(image)) freed += this.#drop(image.record);
    }
    const images = this.#store.list();
    const ids = new Set(images.map(({ record }) => record.id));
    const disks = new Set(images.map(({ record }) => diskName(record.rootfs)));
    const records = new Set(images.map(({ record }) => recordName(record.id)));
    freed += this.#sweep('rootfs', ({ name, mtimeMs }) => (isUnfinishedDisk(name) ? Date.now() - mtimeMs >= STALE_MS : !disks.has(name)));
    freed += this.#sweep('images', ({ name }) => !records.has(name));
    for (const folder of ['names', 'sources'] as const) this.#sweep(folder, ({ name }) => !ids.has(this.#store.firstLine(folder, name)));
    const blobs = new Set(images.flatMap(({ record }) => blobsOf(this.#paths, record)));
    freed += this.#sweep('blobs', ({ name }) => !blobs.has(name));
    return freed + (await this.#sweepUnlocked('partial')) + (await this.sweepTemporary());
  }

  /** Removes what is left of processes that have died. Returns the bytes freed. */
  sweepTemporary(): Promise<number> {
    return this.#sweepUnlocked('tmp');
  }

  /** Removes files that nobody holds a lock on. Returns the bytes freed. */
  async #sweepUnlocked(folder: 'tmp' | 'partial'): Promise<number> {
    let freed = 0;
    for (const { name, stat } of changing(this.#paths, () => [...this.#folders[folder].files()])) {
      let fd: number;
      try {
        fd = openSync(this.#folders[folder].path(name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      } catch {
        continue; // gone meanwhile, or somebody else's
      }
      try {
        if (await tryLock(fd, this.#store.host)) freed += this.#delete(folder, name) ? stat.size : 0;
      } finally {
        closeSync(fd);
      }
    }
    return freed;
  }

  /** Removes an image; a disk that another one has stays. Returns the bytes freed. */
  #drop(record: ImageRecord): number {
    const blobs = blobsOf(this.#paths, record);
    // Notes of it first: whoever is killed leaves none that is about nothing.
    this.#sweep('sources', ({ name }) => this.#store.firstLine('sources', name) === record.id);
    this.#delete('images', recordName(record.id));
    const others = this.#store.list();
    const needed = new Set(others.flatMap((other) => blobsOf(this.#paths, other.record)));
    let freed = 0;
    for (const name of blobs) if (!needed.has(name)) freed += this.#deleteSized('blobs', name);
    if (others.some((other) => other.record.rootfs === record.rootfs)) return freed;
    this.#delete('rootfs', diskName(record.rootfs));
    return freed + record.size;
  }

  #deleteSized(folder: StoreFolder, name: string): number {
    const size = lstatSync(this.#folders[folder].path(name), { throwIfNoEntry: false })?.size ?? 0;
    return this.#delete(folder, name) ? size : 0;
  }

  #sweep(folder: StoreFolder, wanted: (file: { name: string; mtimeMs: number }) => boolean): number {
    let freed = 0;
    for (const { name, stat } of changing(this.#paths, () => [...this.#folders[folder].files()])) {
      if (wanted({ name, mtimeMs: stat.mtimeMs }) && this.#delete(folder, name)) freed += stat.size;
    }
    return freed;
  }

  #delete(folder: StoreFolder, name: string): boolean {
    return changing(this.#paths, () => this.#folders[folder].remove(name));
  }

  /** Writes a small file whole or not at all. */
  #write(folder: StoreFolder, name: string, text: string | Uint8Array): void {
    this.#appear(folder, name, (temporary) => writeFileSync(temporary, text, { mode: 0o644, flag: 'wx' }));
  }

  #appear(folder: StoreFolder, name: string, make: (temporary: string) => void): void {
    const temporary = this.#folders.tmp.path(randomBytes(8).toString('hex'));
    changing(this.#paths, () => {
      try {
        make(temporary);
        renameSync(temporary, this.#folders[folder].path(name));
      } catch (error) {
        try {
          unlinkSync(temporary);
        } catch {
          // it was never made
        }
        throw error;
      }
    });
  }
}

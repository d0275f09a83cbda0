import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { candidateNames, normalName } from './names.ts';
import { changing, prepareStore, reading, type StorePaths, storePaths, writeWhole } from './paths.ts';
import { type ImageRecord, parseRecord } from './record.ts';

export { isImageName, normalName } from './names.ts';

/** A file that nobody has written to for this long is no work in progress. */
const STALE_MS = 3_600_000;

/** An image of the store with its names. */
export interface StoredImage {
  readonly record: ImageRecord;
  readonly names: readonly string[];
  /** Time of the last run, or of the import. */
  readonly lastUsed: Date;
}

/**
 * The local image store. Reading needs no lock: see paths.ts. A record or name that cannot be understood counts as absent,
 * an import writes it anew. Throws STORE_READ and STORE_WRITE.
 */
export class ImageStore {
  readonly paths: StorePaths;

  constructor(paths: StorePaths = storePaths()) {
    this.paths = paths;
  }

  prepare(): void {
    prepareStore(this.paths);
  }

  rootfsPath(key: string): string {
    return join(this.paths.rootfs, `${key}.erofs`);
  }

  /** The record of an id; undefined when it, or its whole disk, is not there. */
  get(id: string): ImageRecord | undefined {
    const record = this.#read(this.#recordPath(id));
    return record?.id === id ? record : undefined;
  }

  put(record: ImageRecord): void {
    writeWhole(this.paths, this.#recordPath(record.id), JSON.stringify(record));
  }

  /** Throws USAGE for what cannot be a name. */
  setName(name: string, id: string): void {
    const normal = normalName(name);
    writeWhole(this.paths, this.#namePath(normal), `${id}\n${normal}`);
  }

  /** True when the name, as `setName` takes it, stands for an image that is there. */
  hasName(name: string): boolean {
    return this.#named(normalName(name)) !== undefined;
  }

  /** What a user's text names: a name or the beginning of an id, at least four digits. Throws IMAGE_AMBIGUOUS. */
  find(text: string): ImageRecord | undefined {
    for (const name of candidateNames(text)) {
      const record = this.#named(name);
      if (record !== undefined) return record;
    }
    const match = /^(?:(sha256|sha512):)?([0-9a-f]{4,128})$/.exec(text);
    if (match === null) return undefined;
    const [, algorithm = '', hex = ''] = match;
    const found = this.#files(this.paths.images)
      .filter((file) => file.startsWith(hex))
      .map((file) => this.#read(join(this.paths.images, file)))
      .filter((record) => record?.id.startsWith(algorithm));
    if (found.length > 1) throw new VmmError('IMAGE_AMBIGUOUS', `${text} begins the id of ${found.length} images`, { hint: 'give more digits' });
    return found[0];
  }

  /** Notes a run. */
  touch(record: ImageRecord): void {
    const now = new Date();
    try {
      utimesSync(this.rootfsPath(record.rootfs), now, now);
    } catch {
      // A store that we may only read serves runs too.
    }
  }

  /** All images, the last imported first. */
  list(): StoredImage[] {
    const names = this.#names();
    const images: StoredImage[] = [];
    for (const file of this.#files(this.paths.images)) {
      const record = this.#read(join(this.paths.images, file));
      const disk = record === undefined ? undefined : reading(this.paths, () => statSync(this.rootfsPath(record.rootfs)));
      if (record === undefined || disk === undefined) continue;
      images.push({ record, names: names.filter(({ id }) => id === record.id).map(({ name }) => name), lastUsed: disk.mtime });
    }
    return images.sort((a, b) => (a.record.imported < b.record.imported ? 1 : -1));
  }

  /** Takes a name away, and the image when it was its last; an id takes the image with all its names. Returns what went. Throws IMAGE_NOT_FOUND. */
  remove(text: string): string[] {
    const record = this.find(text);
    if (record === undefined) throw new VmmError('IMAGE_NOT_FOUND', `no image ${text} in the store`, { hint: 'see `vmm image ls`' });
    const names = this.#names().filter(({ id }) => id === record.id);
    const asked = candidateNames(text).flatMap((name) => names.filter((entry) => entry.name === name))[0];
    const gone: string[] = [];
    for (const { file, name } of asked === undefined ? names : [asked]) {
      this.#delete(file);
      gone.push(name);
    }
    if (asked === undefined || names.length === 1) {
      this.#drop(record);
      gone.push(record.id);
    }
    return gone;
  }

  /**
   * Removes images without a name (all of them with `all`), disks that no image has, what crashes left, and names and
   * sources of images that are gone. Returns the bytes freed.
   */
  prune(all: boolean): number {
    let freed = 0;
    for (const { record, names } of this.list()) {
      if (all || names.length === 0) freed += this.#drop(record);
    }
    const images = this.list();
    const ids = new Set(images.map(({ record }) => record.id));
    const disks = new Set(images.map(({ record }) => `${record.rootfs}.erofs`));
    freed += this.#sweep(this.paths.rootfs, (file) => !disks.has(file), STALE_MS);
    freed += this.#sweep(this.paths.tmp, () => true, STALE_MS);
    freed += this.#sweep(this.paths.images, (file) => this.#read(join(this.paths.images, file)) === undefined, STALE_MS);
    for (const dir of [this.paths.names, this.paths.sources]) this.#sweep(dir, (file) => !ids.has(this.#lines(join(dir, file))[0] ?? ''), 0);
    return freed;
  }

  /** The image that a source held when it looked like `identity`. */
  sourceImage(identity: string): ImageRecord | undefined {
    const [id] = this.#lines(this.#sourcePath(identity));
    return id === undefined ? undefined : this.get(id);
  }

  setSource(identity: string, id: string): void {
    writeWhole(this.paths, this.#sourcePath(identity), id);
  }

  #named(name: string): ImageRecord | undefined {
    const [id, stored] = this.#lines(this.#namePath(name));
    return id !== undefined && stored === name ? this.get(id) : undefined;
  }

  #read(path: string): ImageRecord | undefined {
    const bytes = reading(this.paths, () => readFileSync(path));
    if (bytes === undefined) return undefined;
    let record: ImageRecord;
    try {
      record = parseRecord(bytes, path);
    } catch {
      return undefined;
    }
    // A disk that lost its end (a full disk, a power cut) is none.
    return reading(this.paths, () => statSync(this.rootfsPath(record.rootfs)))?.size === record.size ? record : undefined;
  }

  /** Removes an image; a disk that another one has stays. Returns the bytes freed. */
  #drop(record: ImageRecord): number {
    this.#delete(this.#recordPath(record.id));
    if (this.list().some((other) => other.record.rootfs === record.rootfs)) return 0;
    this.#delete(this.rootfsPath(record.rootfs));
    return record.size;
  }

  #delete(path: string): void {
    changing(this.paths, () => rmSync(path, { force: true, recursive: true }));
  }

  /** Deletes the wanted files of `dir` that nobody has written to for `ageMs`. Returns their bytes. */
  #sweep(dir: string, wanted: (file: string) => boolean, ageMs: number): number {
    let freed = 0;
    for (const file of this.#files(dir)) {
      const path = join(dir, file);
      const stat = reading(this.paths, () => statSync(path));
      if (stat === undefined || Date.now() - stat.mtimeMs < ageMs || !wanted(file)) continue;
      freed += stat.size;
      this.#delete(path);
    }
    return freed;
  }

  #files(dir: string): string[] {
    return reading(this.paths, () => readdirSync(dir)) ?? [];
  }

  #lines(path: string): string[] {
    return reading(this.paths, () => readFileSync(path, 'utf8'))?.split('\n') ?? [];
  }

  #names(): { file: string; name: string; id: string }[] {
    return this.#files(this.paths.names).flatMap((entry) => {
      const file = join(this.paths.names, entry);
      const [id, name] = this.#lines(file);
      return id === undefined || name === undefined || file !== this.#namePath(name) ? [] : [{ file, name, id }];
    });
  }

  #recordPath(id: string): string {
    return join(this.paths.images, `${id.replace(/^sha(256|512):/, '')}.json`);
  }

  #namePath(name: string): string {
    return join(this.paths.names, sha256(name));
  }

  #sourcePath(identity: string): string {
    return join(this.paths.sources, sha256(identity));
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

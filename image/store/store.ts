import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../vmm/errors.ts';
import { prepareStore, type StorePaths, storePaths, writeWhole } from './paths.ts';
import { type ImageRecord, parseRecord } from './record.ts';

const DAY_MS = 86_400_000;

/** An image of the store with its names. */
export interface StoredImage {
  readonly record: ImageRecord;
  readonly names: readonly string[];
  /** Time of the last run. */
  readonly lastUsed: Date;
}

/** The local image store. Reading needs no lock: see paths.ts. */
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

  /** The record of an id; undefined when it, or its disk, is not there. */
  get(id: string): ImageRecord | undefined {
    const path = this.#recordPath(id);
    if (!existsSync(path)) return undefined;
    const record = parseRecord(readFileSync(path), path);
    return existsSync(this.rootfsPath(record.rootfs)) ? record : undefined;
  }

  put(record: ImageRecord): void {
    writeWhole(this.paths, this.#recordPath(record.id), JSON.stringify(record));
  }

  setName(name: string, id: string): void {
    writeWhole(this.paths, this.#namePath(normalName(name)), id);
  }

  /** What a user's text names: a name (`:latest` and Docker Hub's prefixes may be left out) or the beginning of an id. */
  find(text: string): ImageRecord | undefined {
    for (const name of candidateNames(text)) {
      const path = this.#namePath(name);
      if (existsSync(path)) return this.get(readFileSync(path, 'utf8'));
    }
    const hex = text.replace(/^sha(256|512):/, '');
    if (!/^[0-9a-f]{4,128}$/.test(hex) || !existsSync(this.paths.images)) return undefined;
    const matches = readdirSync(this.paths.images).filter((file) => file.startsWith(hex));
    if (matches.length > 1) throw new VmmError('IMAGE_AMBIGUOUS', `${text} begins the id of ${matches.length} images`, { hint: 'give more digits' });
    return matches.length === 1 ? this.get(`sha256:${(matches[0] as string).replace(/\.json$/, '')}`) : undefined;
  }

  /** Notes a run: `prune` goes by it. */
  touch(record: ImageRecord): void {
    const now = new Date();
    try {
      utimesSync(this.rootfsPath(record.rootfs), now, now);
    } catch {
      // A store that we may only read serves runs too.
    }
  }

  list(): StoredImage[] {
    if (!existsSync(this.paths.images)) return [];
    const names = this.#names();
    const images: StoredImage[] = [];
    for (const file of readdirSync(this.paths.images)) {
      const path = join(this.paths.images, file);
      const record = parseRecord(readFileSync(path), path);
      const disk = this.rootfsPath(record.rootfs);
      if (!existsSync(disk)) continue;
      images.push({ record, names: names.filter(([, id]) => id === record.id).map(([name]) => name), lastUsed: statSync(disk).atime });
    }
    return images.sort((a, b) => (a.record.imported < b.record.imported ? 1 : -1));
  }

  /** Takes a name away, or the image when an id is given or it was its last name. Returns what went. */
  remove(text: string): string[] {
    const record = this.find(text);
    if (record === undefined) throw new VmmError('IMAGE_NOT_FOUND', `no image ${text} in the store`, { hint: 'see `vmm image ls`' });
    const names = this.#names().filter(([, id]) => id === record.id).map(([name]) => name);
    const asked = candidateNames(text).find((name) => names.includes(name));
    const gone: string[] = [];
    for (const name of asked === undefined ? names : [asked]) {
      rmSync(this.#namePath(name), { force: true });
      gone.push(name);
    }
    if (asked === undefined || names.length === 1) {
      this.#drop(record);
      gone.push(record.id);
    }
    return gone;
  }

  /** Removes images without a name (all of them with `all`), disks that no image has, and old leavings. Returns the bytes freed. */
  prune(all: boolean): number {
    let freed = 0;
    for (const { record, names } of this.list()) {
      if (!all && names.length > 0) continue;
      for (const name of names) rmSync(this.#namePath(name), { force: true });
      freed += record.size;
      this.#drop(record);
    }
    const used = new Set(this.list().map(({ record }) => `${record.rootfs}.erofs`));
    freed += this.#sweep(this.paths.rootfs, (file) => !used.has(file));
    freed += this.#sweep(this.paths.tmp, () => true);
    const ids = new Set(this.list().map(({ record }) => record.id));
    this.#sweep(this.paths.sources, () => ids.size === 0, 0);
    return freed;
  }

  /** The image that a source held when it looked like `identity`. */
  sourceImage(identity: string): ImageRecord | undefined {
    const path = this.#sourcePath(identity);
    return existsSync(path) ? this.get(readFileSync(path, 'utf8')) : undefined;
  }

  setSource(identity: string, id: string): void {
    writeWhole(this.paths, this.#sourcePath(identity), id);
  }

  /** A disk that another record still needs stays. */
  #drop(record: ImageRecord): void {
    rmSync(this.#recordPath(record.id), { force: true });
    if (!this.list().some((other) => other.record.rootfs === record.rootfs)) rmSync(this.rootfsPath(record.rootfs), { force: true });
  }

  /** Deletes files of `dir` older than `ageMs`; younger ones may be work in progress. */
  #sweep(dir: string, wanted: (file: string) => boolean, ageMs = DAY_MS): number {
    if (!existsSync(dir)) return 0;
    let freed = 0;
    for (const file of readdirSync(dir)) {
      if (!wanted(file)) continue;
      const path = join(dir, file);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined || Date.now() - stat.mtimeMs < ageMs) continue;
      freed += stat.size;
      rmSync(path, { force: true, recursive: true });
    }
    return freed;
  }

  #names(): [string, string][] {
    if (!existsSync(this.paths.names)) return [];
    return readdirSync(this.paths.names).map((file) => [decodeURIComponent(file), readFileSync(join(this.paths.names, file), 'utf8')]);
  }

  #recordPath(id: string): string {
    return join(this.paths.images, `${id.replace(/^sha(256|512):/, '').slice(0, 64)}.json`);
  }

  #namePath(name: string): string {
    return join(this.paths.names, encodeURIComponent(name));
  }

  #sourcePath(identity: string): string {
    return join(this.paths.sources, createHash('sha256').update(identity).digest('hex'));
  }
}

/** Names are kept with their tag. */
export function normalName(name: string): string {
  if (name === '' || name.length > 255 || /[\0-\x20\x7f]/.test(name)) throw new VmmError('USAGE', `${JSON.stringify(name)} is not an image name`, { hint: 'for example debian:12' });
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

function candidateNames(text: string): string[] {
  if (text === '' || text.length > 255 || /[\0-\x20\x7f]/.test(text)) return [];
  const name = normalName(text);
  return [name, `docker.io/library/${name}`, `docker.io/${name}`, `localhost/${name}`, ...(name.startsWith('docker.io/library/') ? [name.slice(18)] : [])];
}

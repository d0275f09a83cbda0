import { lstatSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import type { LoadHost } from '../tree/host.ts';
import { ownNames, readSmallFile } from './folder.ts';
import { diskName, recordName } from './forms.ts';
import { candidateNames, hashName, normalName, repositoryOf } from './names.ts';
import { reading, type StorePaths, storePaths } from './paths.ts';
import { type ImageRecord, parseRecord, RECORD_VERSION } from './record.ts';

export { isImageName, normalName } from './names.ts';

/** Under which what was kept of the signatures of a name's image is noted, as if it were a source. */
export function signaturesOf(name: string): string {
  return JSON.stringify(['signatures', normalName(name)]);
}

/** An image of the store with its names. */
export interface StoredImage {
  readonly record: ImageRecord;
  readonly names: readonly string[];
  /** Time of the last run, or of the import. */
  readonly lastUsed: Date;
}

/**
 * The local image store, as it is read. Reading needs no lock: see paths.ts; change.ts changes it. A record or name that cannot
 * be understood counts as absent, an import writes it anew; what is no regular file is not looked at. Throws STORE_READ.
 */
export class ImageStore {
  readonly paths: StorePaths;
  /** What locks the store when it is changed; without it a program does. */
  readonly host: LoadHost | undefined;

  constructor(paths: StorePaths = storePaths(), host?: LoadHost) {
    this.paths = paths;
    this.host = host;
  }

  rootfsPath(key: string): string {
    return join(this.paths.rootfs, diskName(key));
  }

  /** The record of an id; undefined when it, or its whole disk, is not there. */
  get(id: string): ImageRecord | undefined {
    const record = this.#read(recordName(id));
    return record?.id === id ? record : undefined;
  }

  /** True when the name, as an import takes it, stands for an image that is there. */
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
    const found = ownNames(this.paths, 'images')
      .filter((file) => file.startsWith(hex))
      .map((file) => this.#read(file))
      .filter((record) => record?.id.startsWith(algorithm));
    if (found.length > 1) throw new VmmError('IMAGE_AMBIGUOUS', `${text} begins the id of ${found.length} images`, { hint: 'give more digits' });
    return found[0];
  }

  /** Stored names that a text would name with another tag: what to tell a user whose text names nothing. */
  otherTags(text: string): string[] {
    const wanted = new Set(candidateNames(text).map(repositoryOf));
    return this.#names()
      .map(({ name }) => name)
      .filter((name) => wanted.has(repositoryOf(name)))
      .sort();
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
    for (const file of ownNames(this.paths, 'images')) {
      const record = this.#read(file);
      const disk = record === undefined ? undefined : reading(this.paths, () => statSync(this.rootfsPath(record.rootfs)));
      if (record === undefined || disk === undefined || recordName(record.id) !== file) continue;
      images.push({ record, names: names.filter(({ id }) => id === record.id).map(({ name }) => name), lastUsed: disk.mtime });
    }
    return images.sort((a, b) => (a.record.imported < b.record.imported ? 1 : -1));
  }

  /** The image that a text names, all its names, and the one that the text is, if it is none of an id. Throws IMAGE_NOT_FOUND. */
  named(text: string): { record: ImageRecord; names: string[]; asked: string | undefined } {
    const record = this.find(text);
    if (record === undefined) throw this.notFound(text, 'see `vmm image ls`');
    const names = this.#names().filter(({ id }) => id === record.id).map(({ name }) => name);
    return { record, names, asked: candidateNames(text).find((name) => names.includes(name)) };
  }

  /** Tells which tags there are instead, if any; else `hint`. */
  notFound(text: string, hint: string): VmmError {
    const tags = this.otherTags(text);
    const shown = tags.length > 10 ? `${tags.slice(0, 10).join(', ')} and ${tags.length - 10} more` : tags.join(', ');
    return new VmmError('IMAGE_NOT_FOUND', `no image ${text} in the store`, { hint: tags.length === 0 ? hint : `there is ${shown}` });
  }

  /** The image that a source held when it looked like `identity`; one whose record lacks something has to be read again. */
  sourceImage(identity: string): ImageRecord | undefined {
    const id = this.firstLine('sources', hashName(identity));
    const record = id === '' ? undefined : this.get(id);
    return record?.version === RECORD_VERSION ? record : undefined;
  }

  /** What was noted of a source beside its image, which has this id; "" for nothing. */
  sourceNote(identity: string, id: string): string {
    const [noted, note = ''] = this.#lines(join(this.paths.sources, hashName(identity)));
    return noted === id ? note : '';
  }

  /** First line of a file of names/ or sources/; "" when there is none. */
  firstLine(folder: 'names' | 'sources', name: string): string {
    return this.#lines(join(this.paths[folder], name))[0] ?? '';
  }

  /** What a name stood for at its registry when it was last pulled or pushed: the digest of a manifest or an index. */
  digestOf(name: string): string | undefined {
    const [, stored, digest] = this.#lines(join(this.paths.names, hashName(normalName(name))));
    return stored === normalName(name) && digest ? digest : undefined;
  }

  /** The stamp of the policy by which a name's image was let in. */
  stampOf(name: string, id: string): string | undefined {
    const [named, stored, , stamp] = this.#lines(join(this.paths.names, hashName(normalName(name))));
    return named === id && stored === normalName(name) ? stamp : undefined;
  }

  #named(name: string): ImageRecord | undefined {
    const [id, stored] = this.#lines(join(this.paths.names, hashName(name)));
    return id !== undefined && stored === name ? this.get(id) : undefined;
  }

  #read(file: string): ImageRecord | undefined {
    const path = join(this.paths.images, file);
    const bytes = readSmallFile(this.paths, path);
    if (bytes === undefined) return undefined;
    let record: ImageRecord;
    try {
      record = parseRecord(bytes, path);
    } catch {
      return undefined;
    }
    // A disk that lost its end (a full disk, a power cut) is none.
    const disk = reading(this.paths, () => lstatSync(this.rootfsPath(record.rootfs)));
    return disk?.isFile() === true && disk.size === record.size ? record : undefined;
  }

  #lines(path: string): string[] {
    return readSmallFile(this.paths, path)?.toString('utf8').split('\n') ?? [];
  }

  #names(): { name: string; id: string }[] {
    return ownNames(this.paths, 'names').flatMap((file) => {
      const [id, name] = this.#lines(join(this.paths.names, file));
      return id === undefined || name === undefined || file !== hashName(name) ? [] : [{ name, id }];
    });
  }
}

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { ErofsImage } from '../erofs/reader.ts';
import type { ByteString } from '../tree/names.ts';
import { blobsOf, keptManifest } from './blobs.ts';
import { ownNames, readSmallFile } from './folder.ts';
import { blobName, diskName, recordName } from './forms.ts';
import { hashName } from './names.ts';
import type { StorePaths } from './paths.ts';
import { type ImageRecord, parseRecord } from './record.ts';
import type { ImageStore } from './store.ts';

/** Something of a store that is not as it should be. */
export interface Finding {
  readonly kind: 'record' | 'disk' | 'blob' | 'missing' | 'name';
  /** The file's name in its folder. */
  readonly file: string;
  /** A line for the user. */
  readonly text: string;
  /** Of a disk or a missing layer: whose it is. */
  readonly record?: ImageRecord;
}

const READ_CHUNK = 1 << 20;

/** Reads all of a store and tells what is wrong; changes nothing, and needs no lock. What nobody needs (prune takes it) is no fault. Throws STORE_READ. */
export function checkStore(store: ImageStore): Finding[] {
  const { paths } = store;
  const findings: Finding[] = [];
  const ids = new Set<string>();
  const damaged = new Set<string>();
  for (const file of ownNames(paths, 'blobs')) {
    if (blobIsGood(paths, file)) continue;
    damaged.add(file);
    findings.push({ kind: 'blob', file, text: `blob ${file.slice(0, 12)} is damaged: images with it cannot be pushed or saved` });
  }
  for (const file of ownNames(paths, 'images')) {
    const record = readRecord(paths, file);
    if (record === undefined) findings.push({ kind: 'record', file, text: `record ${file.slice(0, 12)} cannot be read` });
    else {
      ids.add(record.id);
      findings.push(...checkImage(store, record, damaged));
    }
  }
  findings.push(...checkLinks(store, ids));
  return findings;
}

function readRecord(paths: StorePaths, file: string): ImageRecord | undefined {
  const path = join(paths.images, file);
  const bytes = readSmallFile(paths, path);
  try {
    const record = bytes === undefined ? undefined : parseRecord(bytes, path);
    return record !== undefined && recordName(record.id) === file ? record : undefined;
  } catch {
    return undefined;
  }
}

function checkImage({ paths }: ImageStore, record: ImageRecord, damaged: ReadonlySet<string>): Finding[] {
  const findings: Finding[] = [];
  const name = record.id.replace(/^sha\d+:/, '').slice(0, 12);
  const disk = diskFault(join(paths.rootfs, diskName(record.rootfs)), record.size);
  if (disk !== undefined) findings.push({ kind: 'disk', file: diskName(record.rootfs), text: `image ${name}: its disk ${disk}`, record });
  if (record.manifest === undefined) return findings;
  const kept = keptManifest(paths, record);
  const there = new Set(ownNames(paths, 'blobs'));
  const wanted = kept === undefined ? [blobName(record.manifest)] : blobsOf(paths, record);
  const missing = wanted.filter((file) => !there.has(file) || (kept === undefined && !damaged.has(file)));
  if (missing.length > 0) findings.push({ kind: 'missing', file: missing[0] as string, text: `image ${name}: ${missing.length} of its ${wanted.length} blobs are not there: it cannot be pushed or saved`, record });
  return findings;
}

/** What is wrong with a disk: its length, its superblock, any directory, link, or place of a file's data. */
function diskFault(path: string, size: number): string | undefined {
  let image: ErofsImage;
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    closeSync(fd);
    if (!stat.isFile() || stat.size !== size) return `has ${stat.size} bytes, not ${size}`;
    image = new ErofsImage(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'is not there' : `cannot be opened: ${(error as Error).message}`;
  }
  try {
    walk(image);
    return image.whole ? undefined : 'is cut off';
  } catch (error) {
    if (error instanceof VmmError) return `is damaged: ${error.message}`;
    throw error;
  } finally {
    image.close();
  }
}

function walk(image: ErofsImage): void {
  const todo: ByteString[] = [''];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    for (const { name, stat } of image.list({ bytes: path })) {
      const at = path === '' ? name : `${path}/${name}`;
      if (stat.type === 'dir') todo.push(at);
      else if (stat.type === 'file') for (const { end } of image.storedRanges(stat.nid)) image.readRange(stat.nid, end - 1, 1);
      else if (stat.type === 'symlink') image.readLink({ bytes: at });
    }
  }
}

/** A blob's name is its digest; 64 digits are sha256's, 128 sha512's. */
function blobIsGood(paths: StorePaths, file: string): boolean {
  const hash = createHash(file.length === 64 ? 'sha256' : 'sha512');
  const fd = openSync(join(paths.blobs, file), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(READ_CHUNK);
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) hash.update(buffer.subarray(0, n));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex') === file;
}

function checkLinks(store: ImageStore, ids: ReadonlySet<string>): Finding[] {
  const { paths } = store;
  const findings: Finding[] = [];
  for (const file of ownNames(paths, 'names')) {
    const [id = '', name = ''] = readSmallFile(paths, join(paths.names, file))?.toString('utf8').split('\n') ?? [];
    if (name === '' || hashName(name) !== file) findings.push({ kind: 'name', file, text: `a name cannot be read (${file.slice(0, 12)})` });
    else if (!ids.has(id)) findings.push({ kind: 'name', file, text: `name ${JSON.stringify(name).slice(1, -1)} is that of an image that is not there` });
  }
  return findings;
}

/**
 * Files that come compressed with the package: unpacked once into the user's cache, by whoever comes first, and where that cannot be written, for
 * this process alone into memory. What only the first run needs of Node is loaded then: start-up time is a feature.
 */
import { closeSync, fsyncSync, ftruncateSync, lstatSync, openSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOwn, makeOwnFolder } from './user-cache.ts';

/** A file of a package: `source` ends in .zst when it is compressed; `sha256` (hex) and `size` (bytes) are those of the content. */
export interface PackedFile {
  readonly source: string;
  readonly sha256: string;
  readonly size: number;
}

export interface Unpacked {
  readonly path: string;
  /** Why it lies in memory, where it does. */
  readonly why?: string;
}

const PAGE = 65536;
const DAY_MS = 86_400_000;
/** Names in the cache: NAME-DIGEST, and what is being written, with a process and a random word behind. */
const KEPT = /-[0-9a-f]{16}(\.\d+\.[0-9a-f]{8})?$/;

/**
 * Path of the content of `file`, below `folder`. Several processes may do this at the same time: each writes a file of its own and renames it.
 * Throws when the content is not what its digest says, and when there is room nowhere.
 */
export function unpack(folder: string, name: string, file: PackedFile): Unpacked {
  const path = join(folder, `${name}-${file.sha256.slice(0, 16)}`);
  if (isWhole(path, file.size)) return { path };
  const bytes = contentOf(file);
  try {
    makeOwnFolder(folder);
    removeOld(folder);
    writeAndRename(path, bytes);
    return { path };
  } catch (error) {
    return { path: inMemory(bytes), why: (error as Error).message };
  }
}

/** A file that this function has written and renamed is whole; the rest is for those that somebody else has put there. */
function isWhole(path: string, size: number): boolean {
  try {
    const found = lstatSync(path);
    return found.isFile() && found.size === size && isOwn(found);
  } catch {
    return false; // what stands in the way is told when it is written
  }
}

function contentOf({ source, sha256 }: PackedFile): Uint8Array {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { zstdDecompressSync } = process.getBuiltinModule('node:zlib');
  const packed = readFileSync(source);
  const bytes = source.endsWith('.zst') ? zstdDecompressSync(packed) : packed;
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got !== sha256) throw new Error(`${source}: sha256 of its content is ${got}, not ${sha256}`);
  return bytes;
}

function writeAndRename(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}.${randomWord(4)}`;
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeSparse(fd, bytes);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function randomWord(bytes: number): string {
  return process.getBuiltinModule('node:crypto').randomBytes(bytes).toString('hex');
}

/** A file without a name on a file system in memory, or else wherever temporary files go; it is gone with the process. */
function inMemory(bytes: Uint8Array): string {
  let first: unknown;
  for (const dir of ['/dev/shm', tmpdir()]) {
    try {
      const path = join(dir, `vmm-${randomWord(12)}`);
      const fd = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      try {
        writeSparse(fd, bytes);
        return `/proc/self/fd/${fd}`;
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

/** Writes a file whose zero pages stay holes: a kernel has some. */
export function writeSparse(fd: number, bytes: Uint8Array): void {
  const zeros = Buffer.alloc(PAGE);
  for (let at = 0; at < bytes.length; at += PAGE) {
    const piece = bytes.subarray(at, at + PAGE);
    if (zeros.compare(piece, 0, piece.length, 0, piece.length) === 0) continue;
    for (let done = 0; done < piece.length; ) done += writeSync(fd, piece, done, piece.length - done, at + done);
  }
  ftruncateSync(fd, bytes.length);
}

/** What another version has left two months ago, and what a process was writing that is gone since yesterday. */
function removeOld(folder: string): void {
  for (const name of readdirSync(folder)) {
    const kept = KEPT.exec(name);
    if (kept === null) continue;
    const path = join(folder, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    const age = Date.now() - (found?.mtimeMs ?? Date.now());
    if (found?.isFile() && age > (kept[1] === undefined ? 60 : 1) * DAY_MS) rmSync(path, { force: true });
  }
}

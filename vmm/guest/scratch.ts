import { closeSync, constants, fsyncSync, ftruncateSync, openSync, readFileSync, rmSync, statfsSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { randomBytes } from '../../base/random.ts';
import { guestFile, type ScratchSeed } from './files.ts';

const GIB = 2 ** 30;
/** open(2): a file without a name in a folder (asm-generic/fcntl.h), O_DIRECTORY included. */
const O_TMPFILE = 0o20200000;
/** Of file systems and kernels that cannot. */
const NO_TMPFILE = new Set(['EOPNOTSUPP', 'EISDIR', 'ENOENT', 'EINVAL']);
/** statfs(2): linux/magic.h. */
const TMPFS_MAGIC = 0x0102_1994;

/** File systems that are as large as they will be: one is mounted faster than grown. */
const READY: readonly (readonly [number, ScratchSeed])[] = [[16 * GIB, 'scratch-16g.seed'], [4 * GIB, 'scratch-4g.seed'], [GIB, 'scratch-1g.seed']];

/** A file that lasts as long as it is open, however this process ends. */
export interface ScratchDisk {
  /** A path for this process only, as long as `close` was not called. */
  readonly path: string;
  /** What the file system can grow to. */
  readonly bytes: number;
  /** Where it lies, for messages. */
  readonly folder: string;
  close(): void;
}

/** $VMM_TMPDIR; else the system's folder, or where that is memory, /var/tmp. */
function scratchFolder(): string {
  const named = process.env['VMM_TMPDIR'];
  if (named !== undefined) return named;
  const folder = tmpdir();
  return isMemory(folder) && !isMemory('/var/tmp') ? '/var/tmp' : folder;
}

function isMemory(folder: string): boolean {
  try {
    return statfsSync(folder).type === TMPFS_MAGIC;
  } catch {
    return true; // it is not there: no better
  }
}

/** A sparse ext4 image of `bytes`, which init grows to its device (EXT4_IOC_RESIZE_FS) where it is not as large yet. Throws SCRATCH_MAKE. */
export function openScratch(bytes: number): ScratchDisk {
  const seed = READY.find(([size]) => size === bytes)?.[1] ?? 'scratch-64m.seed';
  return openIn(scratchFolder(), bytes, seed);
}

/** A kept disk that there is (`makeKeptDisk`). Throws SCRATCH_MAKE. */
export function keptDisk(path: string): ScratchDisk {
  try {
    return { path, bytes: statSync(path).size, folder: dirname(path), close: () => {} };
  } catch (cause) {
    throw new VmmError('SCRATCH_MAKE', `the container’s disk ${path} is not there: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'remove the container: what it had changed is lost' });
  }
}

/** The largest that the host has room for, up to 16 GiB; undefined where there is not even one GiB, or no place for it at all. */
export function openRoomyScratch(): ScratchDisk | undefined {
  const folder = scratchFolder();
  try {
    if (isMemory(folder)) return undefined;
    const { bavail, bsize } = statfsSync(folder);
    const ready = READY.find(([size]) => size <= bavail * bsize);
    return ready === undefined ? undefined : openIn(folder, ...ready);
  } catch {
    return undefined;
  }
}

/**
 * Makes the disk of a container that is kept: a file with a name, as large as asked for, or as the host has room for. It is sparse too: what
 * the container writes takes room, no more. Throws SCRATCH_MAKE; then there is no file.
 */
export function makeKeptDisk(path: string, bytes: number | undefined): void {
  const folder = dirname(path);
  try {
    const { bavail, bsize } = statfsSync(folder);
    const size = bytes ?? READY.find(([ready]) => ready <= bavail * bsize)?.[0];
    if (size === undefined) throw new VmmError('SCRATCH_MAKE', `there is less than 1g free for what the container will change in ${folder}`, { hint: 'free some space, or give a smaller --scratch SIZE' });
    const fd = openSync(path, 'wx', 0o600);
    try {
      fillDisk(fd, size, READY.find(([ready]) => ready === size)?.[1] ?? 'scratch-64m.seed');
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    rmSync(path, { force: true });
    throw cannotMake(folder, cause);
  }
}

function openIn(folder: string, bytes: number, seed: ScratchSeed): ScratchDisk {
  let fd: number | undefined;
  try {
    const file = openNameless(folder);
    fd = file;
    fillDisk(file, bytes, seed);
    return { path: `/proc/self/fd/${file}`, bytes, folder, close: () => closeSync(file) };
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw cannotMake(folder, cause);
  }
}

function fillDisk(fd: number, bytes: number, seed: ScratchSeed): void {
  writeSeed(readFileSync(guestFile(seed)), fd);
  ftruncateSync(fd, Math.ceil(bytes / 4096) * 4096);
}

function cannotMake(folder: string, cause: unknown): VmmError {
  if (cause instanceof VmmError) return cause;
  return new VmmError('SCRATCH_MAKE', `a scratch disk cannot be made in ${folder}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'name a folder with space in $VMM_TMPDIR' });
}

function openNameless(folder: string): number {
  try {
    return openSync(folder, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    if (!NO_TMPFILE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    const path = join(folder, `vmm-scratch-${randomBytes(8).toString('hex')}`);
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return fd;
  }
}

/** Makes the image of a seed in a file (guest-kernel/init/seed/mkseed.c has the format). */
export function writeSeed(seed: Buffer, fd: number): void {
  const count = seed.readUInt32LE(8);
  let data = 12 + 12 * count;
  for (let entry = 12; entry < 12 + 12 * count; entry += 12) {
    const offset = Number(seed.readBigUInt64LE(entry));
    const length = seed.readUInt32LE(entry + 8);
    for (let done = 0; done < length; ) done += writeSync(fd, seed, data + done, length - done, offset + done);
    data += length;
  }
  ftruncateSync(fd, Number(seed.readBigUInt64LE(0)));
}

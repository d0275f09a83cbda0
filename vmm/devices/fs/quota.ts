/**
 * How much of a share's file system a guest may take: bytes that are allocated to its files and directories, counted when it first changes something
 * and kept up with each change from then on. What programs of the host do meanwhile is seen by the next machine.
 */
import { ENOENT } from '../../../assembly/contract/generated/errno.ts';
import { closeFile, getdents, openBeneath, reopen, statx } from '../../host/files.ts';
import { placeOf } from '../../host/places.ts';
import { dirent64, O_DIRECTORY, RESOLVE_NO_XDEV, S_IFDIR } from '../../host/uapi/files.ts';
import type { Stat } from './stat.ts';

const TYPE_DIRECTORY = S_IFDIR >> 12;
/** Directories that are open at a time while their tree is counted: one that is deeper cannot be. */
const DEPTH_MAX = 256;
const ENTRIES_BYTES = 32768;

export class Quota {
  /** Bytes. */
  readonly limit: number;
  #used: number | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes that are taken; what `count` gives where that is not known yet. */
  used(count: () => number): number {
    this.#used ??= count();
    return this.#used;
  }

  /** It has to be counted anew. */
  forget(): void {
    this.#used = undefined;
  }

  /** So many bytes more, or less, are taken. */
  took(bytes: number): void {
    if (this.#used !== undefined) this.#used = Math.max(0, this.#used + bytes);
  }
}

/** Bytes that all beneath a directory takes, itself too, each file once; without other file systems. Infinity where it cannot be counted. `stat` is changed. */
export function countTree(root: number, stat: Stat): number {
  const seen = new Set<string>();
  let bytes = 0;
  /** Counts what `stat` has. */
  const add = (): void => {
    const key = stat.links > 1 && stat.type !== TYPE_DIRECTORY ? `${stat.inoHigh} ${stat.inoLow}` : undefined;
    if (key !== undefined && seen.has(key)) return;
    if (key !== undefined) seen.add(key);
    bytes += stat.allocated;
  };
  if (statx(root, 0, stat.address) < 0) return Number.POSITIVE_INFINITY;
  add();
  if (stat.type !== TYPE_DIRECTORY) return bytes;
  const { mount } = stat;
  const way: { fd: number; readonly folders: Buffer[] }[] = [];
  const enter = (fd: number): boolean => {
    const folders = fd < 0 || way.length >= DEPTH_MAX ? undefined : eachEntry(fd, stat, mount, add);
    if (folders !== undefined) way.push({ fd, folders });
    else if (fd >= 0) closeFile(fd);
    return folders !== undefined;
  };
  let whole = enter(reopen(root, O_DIRECTORY));
  for (let last = way.at(-1); last !== undefined && whole; last = way.at(-1)) {
    const name = last.folders.pop();
    if (name === undefined) closeFile((way.pop() as { fd: number }).fd);
    else {
      const fd = openBeneath(last.fd, placeOf(name), O_DIRECTORY, 0, RESOLVE_NO_XDEV);
      // Somebody of the host's may have removed it meanwhile.
      if (fd !== -ENOENT) whole = enter(fd);
    }
  }
  for (const { fd } of way) closeFile(fd);
  return whole ? bytes : Number.POSITIVE_INFINITY;
}

/** Has `stat` filled with each entry of an open directory, and `found` told; the directories among them, as C strings. Undefined: it cannot be read. */
function eachEntry(fd: number, stat: Stat, mount: number, found: () => void): Buffer[] | undefined {
  const entries = Buffer.from(new ArrayBuffer(ENTRIES_BYTES));
  const at = placeOf(entries);
  const folders: Buffer[] = [];
  for (;;) {
    const length = getdents(fd, at, ENTRIES_BYTES);
    if (length <= 0) return length < 0 ? undefined : folders;
    for (let entry = 0; entry < length; entry += entries.readUInt16LE(entry + dirent64.d_reclen)) {
      const name = entry + dirent64.d_name;
      const end = entries.indexOf(0, name);
      if (/^\.\.?$/.test(entries.toString('latin1', name, end))) continue;
      if (statx(fd, at + name, stat.address) < 0 || stat.mount !== mount) continue;
      found();
      if (stat.type !== TYPE_DIRECTORY) continue;
      // Not on V8's heap, where it would move.
      const copy = Buffer.from(new ArrayBuffer(NAME_ROOM));
      entries.copy(copy, 0, name, end + 1);
      folders.push(copy);
    }
  }
}

const NAME_ROOM = 256;

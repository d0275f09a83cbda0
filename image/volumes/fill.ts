import { chmodSync, closeSync, lchownSync, linkSync, lutimesSync, mkdirSync, openSync, symlinkSync, ftruncateSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { ErofsImage, type ErofsStat } from '../erofs/reader.ts';
import type { HostFs } from '../tree/host.ts';
import { type ByteString, bytesOf, byteString } from '../tree/names.ts';
import { overrideOf, OVERRIDE_XATTR } from './override.ts';

/** Bytes copied at once. */
const PIECE = 1 << 20;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;
const SPECIAL: Readonly<Partial<Record<ErofsStat['type'], number>>> = { char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO, socket: S_IFSOCK };

/** What a copy is made with. */
export interface FillOptions {
  readonly host: HostFs | undefined;
  /** Objects may be given to others: we are root. */
  readonly owners: boolean;
}

/** What a copy could not keep. */
export interface Filled {
  /** Entries, the directory itself included. */
  readonly entries: number;
  /** Of which an extended attribute, an owner or a device node is missing. */
  readonly incomplete: number;
}

/** True when an image has a directory at `path`, links followed inside it. */
export function imageHasDirectory(disk: string, path: string): boolean {
  const image = new ErofsImage(disk);
  try {
    return image.stat(path)?.type === 'dir';
  } finally {
    image.close();
  }
}

/**
 * Copies a directory of an image, links in its own path followed inside the image, to `target`, which must not be there: content
 * with its holes, owners, modes, times, extended attributes, hard links and device nodes.
 */
export async function copyFromImage(disk: string, path: string, target: string, options: FillOptions): Promise<Filled> {
  const image = new ErofsImage(disk);
  try {
    const copy = new Copy(image, target, options);
    await copy.directory(byteString(path), '', image.stat(path) as ErofsStat);
    return copy;
  } finally {
    image.close();
  }
}

class Copy implements Filled {
  readonly #image: ErofsImage;
  readonly #target: Buffer;
  readonly #options: FillOptions;
  /** Where the inodes that have several names lie, by nid. */
  readonly #links = new Map<number, Buffer>();
  entries = 0;
  incomplete = 0;

  constructor(image: ErofsImage, target: string, options: FillOptions) {
    this.#image = image;
    this.#target = Buffer.from(target);
    this.#options = options;
  }

  /** `from` is its path in the image, `to` that below the target, '' or with a slash in front. */
  async directory(from: ByteString, to: ByteString, stat: ErofsStat): Promise<void> {
    const path = this.#path(to);
    mkdirSync(path, 0o700);
    for (const { name, stat: inner } of this.#image.list({ bytes: from })) {
      if (inner.type === 'dir') await this.directory(`${from}/${name}`, `${to}/${name}`, inner);
      else this.#other(`${from}/${name}`, `${to}/${name}`, inner);
    }
    // Last: its times, and a mode that would keep us out.
    this.#finish(path, stat);
    await turn();
  }

  #path(to: ByteString): Buffer {
    return Buffer.concat([this.#target, bytesOf(to)]);
  }

  #other(from: ByteString, to: ByteString, stat: ErofsStat): void {
    const path = this.#path(to);
    const first = this.#links.get(stat.nid);
    if (first !== undefined) {
      linkSync(first, path);
      return;
    }
    if (stat.nlink > 1) this.#links.set(stat.nid, path);
    if (stat.type === 'symlink') symlinkSync(bytesOf(this.#image.readLink({ bytes: from })), path);
    else if (stat.type === 'file') this.#file(path, stat);
    else this.#node(path, stat);
    this.#finish(path, stat);
  }

  #file(path: Buffer, stat: ErofsStat): void {
    const fd = openSync(path, 'wx', 0o600);
    try {
      for (const { start, end } of this.#image.storedRanges(stat.nid)) {
        for (let at = start; at < end; at += PIECE) {
          const bytes = this.#image.readRange(stat.nid, at, Math.min(PIECE, end - at));
          for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
        }
      }
      ftruncateSync(fd, stat.size);
    } finally {
      closeSync(fd);
    }
  }

  /** A device node or FIFO, or for who is not root a file that stands for it. */
  #node(path: Buffer, stat: ErofsStat): void {
    const { host, owners } = this.#options;
    const type = SPECIAL[stat.type] as number;
    if (owners && host?.makeNode !== undefined) host.makeNode(path, type | 0o600, stat.devMajor, stat.devMinor);
    else closeSync(openSync(path, 'wx', 0o600));
  }

  #finish(path: Buffer, stat: ErofsStat): void {
    this.entries++;
    let whole = true;
    if (this.#options.owners) lchownSync(path, stat.uid, stat.gid);
    else whole = this.#override(path, stat);
    for (const [name, value] of stat.xattrs ?? []) whole = this.#xattr(path, name, value) && whole;
    if (stat.type !== 'symlink') chmodSync(path, this.#options.owners ? stat.mode : stat.mode & 0o777 | (stat.type === 'dir' ? 0o700 : 0o600));
    // Seconds as a number have a microsecond's precision for some centuries.
    const time = stat.mtimeSec + stat.mtimeNsec / 1e9;
    lutimesSync(path, time, time);
    if (!whole) this.incomplete++;
  }

  /** Owner, mode and kind as the share's device reads them where we are not root. */
  #override(path: Buffer, stat: ErofsStat): boolean {
    const needed = stat.type === 'dir' ? 0o700 : 0o600;
    const plain = (stat.type === 'file' || stat.type === 'dir') && (stat.mode & 0o7000) === 0 && (stat.mode & needed) === needed;
    if (stat.uid === 0 && stat.gid === 0 && (plain || stat.type === 'symlink')) return true;
    // Attributes of users are for files and directories only.
    return stat.type !== 'symlink' && this.#xattr(path, OVERRIDE_XATTR, Buffer.from(overrideOf(stat)));
  }

  #xattr(path: Buffer, name: ByteString, value: Uint8Array): boolean {
    try {
      return this.#options.host?.setXattr?.(path, name, value) ?? false;
    } catch (error) {
      // Not root: security.capability and its like.
      if (this.#options.owners) throw error;
      return false;
    }
  }
}

import { createHash, randomBytes } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../vmm/errors.ts';
import type { FileRange } from '../build.ts';
import { decompress } from '../compress.ts';
import { JSON_MAX } from '../json.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { TarReader } from '../tar/reader.ts';

interface Member {
  readonly offset: number;
  readonly size: number;
  /** Target of a link within the archive: old docker archives link equal layers. */
  readonly link: string | undefined;
}

/**
 * A tar archive whose members are read in any order: OCI and docker archives, ACIs. A compressed one is unpacked to a
 * nameless temporary file first. Close it when its ranges are no longer read.
 */
export class Archive {
  readonly name: string;
  readonly #path: string;
  readonly #fd: number;
  readonly #members: ReadonlyMap<string, Member>;

  private constructor(name: string, path: string, fd: number, members: ReadonlyMap<string, Member>) {
    this.name = name;
    this.#path = path;
    this.#fd = fd;
    this.#members = members;
  }

  /** Reads the whole archive once, for its table of contents. Throws IMAGE_OPEN, IMAGE_TAR_*, IMAGE_COMPRESSED, IMAGE_LIMIT. */
  static async open(file: string, tempDir: string): Promise<Archive> {
    const members = new Map<string, Member>();
    const reader = new TarReader(
      {
        entry: (entry) => {
          const link = entry.type === 'symlink' || entry.type === 'hardlink' ? linkTarget(entry.path, entry.linkTarget, entry.type) : undefined;
          if (entry.type === 'file' || link !== undefined) members.set(cleanName(entry.path), { offset: entry.dataOffset, size: entry.dataSize, link });
        },
        data: () => {},
        end: () => {},
      },
      DEFAULT_LIMITS,
    );
    const { compression, stream } = await decompress(openStream(file));
    if (compression === 'plain') {
      for await (const chunk of stream) reader.push(chunk);
      reader.end();
      return new Archive(file, file, openSync(file, 'r'), members);
    }
    const temporary = join(tempDir, `archive-${randomBytes(6).toString('hex')}`);
    const fd = openSync(temporary, 'wx+', 0o600);
    try {
      // Nameless at once, reached through its descriptor: a crash leaves nothing behind.
      unlinkSync(temporary);
      for await (const chunk of stream) {
        reader.push(chunk);
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      }
      reader.end();
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return new Archive(file, `/proc/self/fd/${fd}`, fd, members);
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** Where a member's bytes lie, links followed. Throws IMAGE_BAD when it is missing. */
  range(name: string): FileRange {
    const member = this.#find(name);
    return { path: this.#path, offset: member.offset, length: member.size };
  }

  /** A member of at most JSON_MAX bytes. */
  read(name: string): Uint8Array {
    const member = this.#find(name);
    if (member.size > JSON_MAX) throw new VmmError('IMAGE_LIMIT', `${this.name}: ${name} of ${member.size} bytes is too large`, { hint: `at most ${JSON_MAX} are read` });
    const bytes = new Uint8Array(member.size);
    let done = 0;
    while (done < bytes.length) {
      const n = readSync(this.#fd, bytes, done, bytes.length - done, member.offset + done);
      if (n === 0) throw new VmmError('IMAGE_OPEN', `${this.name}: became shorter while it was read`);
      done += n;
    }
    return bytes;
  }

  /** The whole archive, decompressed. */
  whole(): FileRange {
    return { path: this.#path };
  }

  /** SHA-512 of the decompressed archive: an ACI's image ID (appc spec, "Image ID"). */
  sha512(): string {
    const hash = createHash('sha512');
    const buffer = new Uint8Array(1 << 20);
    for (let at = 0; ; ) {
      const n = readSync(this.#fd, buffer, 0, buffer.length, at);
      if (n === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, n));
      at += n;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #find(name: string): Member {
    let member = this.#members.get(name);
    for (let hops = 0; member?.link !== undefined && hops < 8; hops++) member = this.#members.get(member.link);
    if (member === undefined || member.link !== undefined) throw new VmmError('IMAGE_BAD', `${this.name}: ${name} is missing`, { hint: 'the archive is damaged or not an image' });
    return member;
  }
}

async function* openStream(file: string): AsyncIterable<Uint8Array> {
  try {
    yield* createReadStream(file, { highWaterMark: 1 << 20 });
  } catch (cause) {
    throw new VmmError('IMAGE_OPEN', `cannot read ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the path' });
  }
}

function cleanName(path: string): string {
  return path.replace(/^(\.?\/)+/, '');
}

/** A link's target as a member's name; undefined when it leaves the archive. */
function linkTarget(from: string, target: string, type: 'symlink' | 'hardlink'): string | undefined {
  if (type === 'hardlink') return cleanName(target);
  const parts = cleanName(from).split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

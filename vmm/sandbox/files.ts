/** Files of a sandbox. No program of its image is needed for them. */
import { Readable } from 'node:stream';
import { VmmError } from '../../base/errors.ts';
import { type ListedEntry, recordsOf } from '../../image/archive/records.ts';
import type { Unmade } from '../../image/rootfs/unpack.ts';
import type { Box } from './box.ts';
import type { Input } from './collect.ts';
import { Command } from './command.ts';
import { complaint, failure, MISSING, type OwnIo, oneLine, ownCommand } from './own-command.ts';
import { Watch } from './watch.ts';

/** Bytes of a file that `read` gives when nobody says. */
const MAX_READ = 64 << 20;
/** What may be said of a directory. */
const MAX_LIST = 16 << 20;
/** The box's own user. */
const OWN = '';
const CHUNK = 64 << 10;

/** What there is at a path. */
export interface FileInfo {
  /** The last part of the path. */
  readonly name: string;
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device';
  /** Bytes of a file. */
  readonly size: number;
  /** Permissions, as in chmod(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: Date;
  /** Of a symlink. */
  readonly target?: string;
}

export interface FileOptions {
  /** USER[:GROUP] who does it, and owns what is new; the sandbox's. */
  readonly user?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends FileOptions {
  /** Permissions; of a new file 644. */
  readonly mode?: number | undefined;
  /** Behind what is there already. */
  readonly append?: boolean | undefined;
}

const TYPES: Readonly<Record<ListedEntry['type'], FileInfo['type']>> = { file: 'file', hardlink: 'file', dir: 'directory', symlink: 'symlink', fifo: 'fifo', socket: 'socket', char: 'device', block: 'device' };

/** Paths are absolute. Failures are VmmError: FILE_NOT_FOUND, FILE_FAILED (the message has the errno's words), FILE_LARGE, COPY_*, SANDBOX_ENDED. */
export class Files {
  readonly #box: Box;
  readonly #telling: <T>(work: Promise<T>) => Promise<T>;

  /** `telling`: gives failures their reason. */
  constructor(box: Box, telling: <T>(work: Promise<T>) => Promise<T>) {
    this.#box = box;
    this.#telling = telling;
  }

  /** All of a file; more than `maxBytes` (64 MiB) is FILE_LARGE. */
  async read(path: string, { maxBytes = MAX_READ, ...options }: FileOptions & { readonly maxBytes?: number | undefined } = {}): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    await this.#own('read', path, [], options, {
      output: (bytes) => {
        length += bytes.length;
        if (length > maxBytes) throw new VmmError('FILE_LARGE', `${oneLine(path)} in the sandbox is larger than ${maxBytes} bytes`, { hint: 'give maxBytes, or use readStream' });
        chunks.push(Buffer.from(bytes));
      },
    });
    return Buffer.concat(chunks);
  }

  /** As UTF-8. */
  async readText(path: string, options: FileOptions & { readonly maxBytes?: number | undefined } = {}): Promise<string> {
    return (await this.read(path, options)).toString();
  }

  /** A file of any size as a stream, which fails as `read` does. */
  async readStream(path: string, { user, signal }: FileOptions = {}): Promise<Readable> {
    const command = new Command(await this.#telling(this.#box.builtin(['read', absolute(path)], false, user ?? OWN)), { tty: false, signal });
    const said = complaint(command);
    async function* content(): AsyncGenerator<Buffer> {
      try {
        for await (const chunk of command.stdout) yield chunk as Buffer;
        const { status } = await command.wait();
        if (status !== 0) throw failure(status, path, said());
      } finally {
        await command[Symbol.asyncDispose]();
      }
    }
    return Readable.from(content(), { objectMode: false });
  }

  /** Writes a file, and directories above it that are missing. What `data` has not given when it fails is not there; what it has is. */
  async write(path: string, data: Input, { mode, append = false, ...options }: WriteOptions = {}): Promise<void> {
    await this.#own('write', path, [modeText(mode), append ? 'append' : 'replace'], options, { input: framed(data) });
  }

  /** What is in a directory, by name. */
  async list(path: string, options: FileOptions = {}): Promise<FileInfo[]> {
    const entries = await this.#records('list', path, options);
    const base = path.replace(/\/+$/, '');
    return entries.map((entry) => infoOf(entry, `${base}/${nameOf(entry)}`)).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Of a link what it leads to, unless `follow` is false. */
  async stat(path: string, { follow = true, ...options }: FileOptions & { readonly follow?: boolean | undefined } = {}): Promise<FileInfo> {
    const entries = await this.#records('stat', path, options);
    const entry = follow ? entries.at(-1) : entries[0];
    if (entry === undefined) throw failure(MISSING, path, '');
    // A link that leads nowhere is what it is.
    if (follow && entries.length === 1 && entry.type === 'symlink') throw failure(MISSING, path, `${path}: it leads nowhere`);
    return infoOf(entry, path);
  }

  async exists(path: string, options: FileOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (error instanceof VmmError && error.code === 'FILE_NOT_FOUND') return false;
      throw error;
    }
  }

  /** With those above it, as mkdir -p. */
  async mkdir(path: string, { mode, ...options }: FileOptions & { readonly mode?: number | undefined } = {}): Promise<void> {
    await this.#own('mkdir', path, [modeText(mode)], options);
  }

  /** A file or an empty directory; with `recursive` all that is in it. */
  async remove(path: string, { recursive = false, ...options }: FileOptions & { readonly recursive?: boolean | undefined } = {}): Promise<void> {
    await this.#own('remove', path, [recursive ? 'recursive' : 'one'], options);
  }

  /** As rename(2): a file that is there gives way. */
  async rename(from: string, to: string, options: FileOptions = {}): Promise<void> {
    await this.#own('rename', from, [absolute(to)], options);
  }

  /** A file or directory of the host's, or a tar archive, to a path: by the rules of `docker cp`, and the user's from then on. Throws COPY_SOURCE, COPY_TARGET. */
  async copyIn(source: string | AsyncIterable<Buffer>, path: string, { user = OWN, signal }: FileOptions = {}): Promise<void> {
    const { copyIn } = await import('./copy.ts');
    await this.#telling(copyIn({ box: this.#box, what: 'the sandbox' }, source, absolute(path), { owners: false, follow: false, user, signal }));
  }

  /** The other way. Nothing that a sandbox sends, names and links included, decides where on the host it goes. Resolves with how many things of what kind could not be made. */
  async copyOut(path: string, target: string, { user = OWN, signal }: FileOptions = {}): Promise<Unmade> {
    const { copyOut } = await import('./copy.ts');
    return this.#telling(copyOut({ box: this.#box, what: 'the sandbox' }, absolute(path), target, { owners: false, follow: false, user, signal }));
  }

  /** What happens in a directory, or to a file, from now on. */
  async watch(path: string, { user, signal }: FileOptions = {}): Promise<Watch> {
    const process = await this.#telling(this.#box.builtin(['watch', absolute(path)], false, user ?? OWN));
    return this.#telling(Watch.start(new Command(process, { tty: false, signal }), path));
  }

  async #records(name: string, path: string, options: FileOptions): Promise<ListedEntry[]> {
    const chunks: Buffer[] = [];
    let length = 0;
    await this.#own(name, path, [], options, {
      output: (bytes) => {
        length += bytes.length;
        if (length > MAX_LIST) throw new VmmError('FILE_LARGE', `${oneLine(path)} in the sandbox has too much in it to be listed`);
        chunks.push(Buffer.from(bytes));
      },
    });
    return recordsOf(Buffer.concat(chunks));
  }

  async #own(name: string, path: string, args: readonly string[], { user, signal }: FileOptions, io: OwnIo = {}): Promise<void> {
    signal?.throwIfAborted();
    const run = async (): Promise<{ status: number; said: string }> => ownCommand(await this.#box.builtin([name, absolute(path), ...args], io.input !== undefined, user ?? OWN), { ...io, signal });
    const { status, said } = await this.#telling(run());
    if (status !== 0) throw failure(status, path, said);
  }
}

/** Throws USAGE. */
export function absolute(path: string): string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) throw new VmmError('USAGE', `${JSON.stringify(path)} is no absolute path in the sandbox`, { hint: 'for example /work/main.py' });
  return path;
}

function modeText(mode: number | undefined): string {
  if (mode === undefined) return '';
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777) throw new VmmError('USAGE', `${mode} is no mode of a file`, { hint: 'for example 0o644' });
  return mode.toString(8);
}

/** Chunks as init takes them: u32 length, bytes; a length of 0 is the end. */
async function* framed(data: Input): AsyncGenerator<Buffer> {
  for await (const chunk of typeof data === 'string' || data instanceof Uint8Array ? [data] : data) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const part = bytes.subarray(at, at + CHUNK);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length);
      yield Buffer.concat([length, part]);
    }
  }
  yield Buffer.alloc(4);
}

/** Names are bytes; what is no UTF-8 is shown as such. */
function nameOf({ path }: ListedEntry): string {
  return Buffer.from(path, 'latin1').toString();
}

function infoOf(entry: ListedEntry, path: string): FileInfo {
  const { type, size, mode, uid, gid, mtimeSec, mtimeNsec, linkTarget } = entry;
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return { name, path, type: TYPES[type], size, mode, uid, gid, modified: new Date(mtimeSec * 1000 + Math.floor(mtimeNsec / 1e6)), ...(type === 'symlink' ? { target: Buffer.from(linkTarget, 'latin1').toString() } : {}) };
}

/** The state directory: what is known of containers that live beyond a terminal. Root's is /run/vmm, a user's $XDG_RUNTIME_DIR/vmm. */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { isAbsolute, join, resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';

export const RECORD_VERSION = 1;
const SOCKET = 'sock';
const RECORD = 'record.json';
const END = 'end.json';
const MAX_RECORD = 1 << 20;
/** A folder without a record is one that is being made, or, when older, one whose owner has emptied it (--rm), ms. */
const MAKING_MS = 60_000;
const ID = /^[0-9a-f]{64}$/;

/** What a container was asked to be; it never changes. */
export interface ContainerRecord {
  readonly version: number;
  readonly id: string;
  readonly name: string;
  /** As the user named it. */
  readonly image: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly created: string;
  /** `vmm run`'s words, and where they were said. */
  readonly argv: readonly string[];
  readonly folder: string;
}

/** How it ended: written once, by its owner. */
export interface ContainerEnd {
  readonly status: number;
  readonly started: string | undefined;
  readonly finished: string;
  readonly error: string | undefined;
  readonly outOfMemory: boolean;
}

/** `created`: no owner has run it yet, or its command could not be started. */
export type State = 'created' | 'running' | 'exited';

export interface Container {
  readonly record: ContainerRecord;
  readonly state: State;
  readonly end: ContainerEnd | undefined;
}

export class StateFolder {
  readonly root: string;

  /** `given`: of --root. Throws STATE_FOLDER. */
  constructor(given?: string) {
    this.root = given === undefined ? usual() : resolve(given);
  }

  /** Makes it where it is missing; nobody else may have made it, or look into it. Throws STATE_FOLDER. */
  make(): void {
    try {
      for (const path of [this.root, this.names, this.#containers]) makeFolders(path, 0o700);
    } catch (cause) {
      throw this.#broken(cause);
    }
    this.#check();
  }

  get names(): string {
    return join(this.root, 'names');
  }

  get #containers(): string {
    return join(this.root, 'containers');
  }

  folder(id: string): string {
    return join(this.#containers, id);
  }

  /** Records a container; its name is taken from now on, by exactly one of those who ask at once. Throws CONTAINER_NAME, STATE_FOLDER. */
  add(record: ContainerRecord): void {
    const folder = this.folder(record.id);
    try {
      makeFolders(folder, 0o700);
      writeFileSync(join(folder, RECORD), JSON.stringify(record), { mode: 0o600, flag: 'wx' });
      writeFileSync(join(this.names, record.name), record.id, { mode: 0o600, flag: 'wx' });
    } catch (cause) {
      rmSync(folder, { recursive: true, force: true });
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw this.#broken(cause);
      throw new VmmError('CONTAINER_NAME', `the name ${record.name} is taken by another container`, { hint: `\`vmm rm ${record.name}\` frees it, or choose another` });
    }
  }

  /** The name goes first: one that is there always has its record. Throws STATE_FOLDER. */
  remove({ id, name }: ContainerRecord): void {
    try {
      rmSync(join(this.names, name), { force: true });
      rmSync(this.folder(id), { recursive: true, force: true });
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  /** All containers, the newest first. Those whose owner was killed are told as exited with 137. Throws STATE_FOLDER. */
  async list(): Promise<Container[]> {
    const all = await Promise.all(this.#ids().map((id) => this.read(id)));
    return all.filter((one) => one !== undefined).sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  }

  /** By name, id, or a prefix of an id that no other has. Throws CONTAINER_NOT_FOUND, CONTAINER_AMBIGUOUS, STATE_FOLDER. */
  async find(text: string): Promise<Container> {
    const named = /^[\w.-]+$/.test(text) && this.#ids().length > 0 ? small(join(this.names, text)) : undefined;
    const ids = this.#ids();
    const found = named !== undefined && ids.includes(named) ? [named] : /^[0-9a-f]+$/.test(text) ? ids.filter((id) => id.startsWith(text)) : [];
    if (found.length > 1) throw new VmmError('CONTAINER_AMBIGUOUS', `${text} begins the ids of ${found.length} containers`, { hint: 'give more digits, or the name' });
    const one = found[0] === undefined ? undefined : await this.read(found[0]);
    if (one === undefined) throw new VmmError('CONTAINER_NOT_FOUND', `there is no container ${text}`, { hint: '`vmm ps -a` lists them' });
    return one;
  }

  /** Undefined: it is gone, or being made or removed. */
  async read(id: string): Promise<Container | undefined> {
    const folder = this.folder(id);
    const text = small(join(folder, RECORD));
    const record = text === undefined ? undefined : parse<ContainerRecord>(text);
    if (record === undefined) {
      sweep(folder);
      return undefined;
    }
    if (record.version !== RECORD_VERSION || record.id !== id) throw new VmmError('STATE_FOLDER', `${folder} is of another version of vmm`, { hint: 'ask that version, or remove the folder' });
    // The end is written before the socket goes, so it is looked for after.
    const alive = await answers(folder);
    const end = parse<ContainerEnd>(small(join(folder, END)) ?? '');
    if (end !== undefined) return { record, end, state: end.started === undefined ? 'created' : 'exited' };
    if (alive === 'no socket') return { record, end: undefined, state: 'created' };
    if (alive === 'yes') return { record, end: undefined, state: 'running' };
    return { record, state: 'exited', end: { status: 137, started: record.created, finished: lstatSync(folder).mtime.toISOString(), error: 'its process was killed', outOfMemory: false } };
  }

  /** Opens the file for the end while files can still be made; what it gives writes it. */
  openEnd(id: string): (end: ContainerEnd) => void {
    const fd = openSync(join(this.folder(id), END), 'wx', 0o600);
    return (end) => {
      writeFileSync(fd, JSON.stringify(end));
      closeSync(fd);
    };
  }

  /** By an owner that may remove files, and no folder: a list does that, a minute later. */
  empty({ id, name }: ContainerRecord): void {
    for (const path of [join(this.names, name), ...readdirSync(this.folder(id)).map((file) => join(this.folder(id), file))]) {
      try {
        unlinkSync(path);
      } catch {
        // somebody was quicker
      }
    }
  }

  #ids(): string[] {
    if (lstatSync(this.root, { throwIfNoEntry: false }) === undefined) return [];
    this.#check();
    try {
      return readdirSync(this.#containers).filter((name) => ID.test(name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw this.#broken(cause);
    }
  }

  #check(): void {
    const { uid, mode } = lstatSync(this.root);
    if (uid === process.geteuid?.() && (mode & 0o077) === 0) return;
    throw new VmmError('STATE_FOLDER', `${this.root} ${uid === process.geteuid?.() ? 'is open to others' : 'belongs to somebody else'}`, { hint: `it has to be yours, with mode 0700; --root names another` });
  }

  #broken(cause: unknown): VmmError {
    return new VmmError('STATE_FOLDER', `${this.root} cannot be used: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: '--root names another folder' });
  }
}

function sweep(folder: string): void {
  try {
    if (Date.now() - lstatSync(folder).mtimeMs > MAKING_MS) rmdirSync(folder);
  } catch {
    // somebody was quicker
  }
}

function usual(): string {
  if (process.geteuid?.() === 0) return '/run/vmm';
  const folder = process.env['XDG_RUNTIME_DIR'] ?? '';
  if (!isAbsolute(folder)) throw new VmmError('STATE_FOLDER', 'there is no place for containers: $XDG_RUNTIME_DIR is not set', { hint: 'set it, or name a folder with --root' });
  return join(folder, 'vmm');
}

function small(path: string): string | undefined {
  try {
    return lstatSync(path).size > MAX_RECORD ? undefined : readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function parse<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined; // being written
  }
}

/** Calls `use` with a path of a folder's socket that is short enough for any folder (sun_path has 108 bytes). */
export function withSocketPath<T>(folder: string, use: (path: string) => T): { result: T; close(): void } {
  const fd = openSync(folder, 'r');
  return { result: use(`/proc/self/fd/${fd}/${SOCKET}`), close: () => closeSync(fd) };
}

function answers(folder: string): Promise<'yes' | 'no' | 'no socket'> {
  if (lstatSync(join(folder, SOCKET), { throwIfNoEntry: false }) === undefined) return Promise.resolve('no socket');
  return new Promise((done) => {
    const { result: socket, close } = withSocketPath(folder, (path) => connect({ path }));
    const end = (answer: 'yes' | 'no'): void => {
      socket.destroy();
      close();
      done(answer);
    };
    socket.once('connect', () => end('yes'));
    socket.once('error', () => end('no'));
  });
}

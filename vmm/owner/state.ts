/**
 * What is known of containers that live beyond a terminal. What is kept lies in the user's data directory, beside the images; the sockets
 * of those that run in the state directory, which the host empties when it starts: /run/vmm, a user's $XDG_RUNTIME_DIR/vmm. With --root
 * both lie there.
 *
 *   KEPT/containers/ID/   record.json, life.json, log.N; rootfs (a link to the image's disk), disk: what the container has changed
 *   KEPT/events           what has happened to them (events.ts)
 *   KEPT/names/NAME       an id; it counts when that container's record has the name, too
 *   ROOT/sockets/ID       of its owner; ID.files: of a process that gives its files; ID.fds: for descriptors of what its owner is given; ID.join: of disks of
 *                         those who join its machine
 *
 * A container's folder appears by rename and goes by rename (.ID, which the next command sweeps when it is left). Who changes names or
 * records locks KEPT/names; a container's owner, and who removes it, its folder.
 */
import { lstatSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { storePaths } from '../../image/store/paths.ts';
import type { LoadHost } from '../../image/tree/host.ts';
import { EventWriter, eventOf } from './events.ts';
import { type Held, hold, parse, readSmall, writeWhole } from './files.ts';
import { isLife, isRecord } from './kept.ts';
import { type Container, type ContainerLife, type ContainerRecord, passes, RECORD_VERSION } from './record.ts';
import { answers, isOwner } from './socket.ts';

const RECORD = 'record.json';
const LIFE = 'life.json';
/** What is left of one that was being made or removed, or that its owner has emptied (--rm), is swept when it is older, ms. */
const MAKING_MS = 60_000;
/** How long another command may hold the names, ms. */
const NAMES_MS = 30_000;
const ID = /^[0-9a-f]{64}$/;
const UNFINISHED = /^\.[0-9a-f]{64}$/;

export class StateFolder {
  /** What --root said, or ''. */
  readonly given: string;
  readonly #root: string;
  readonly #kept: string;

  /** `given`: of --root. Throws STATE_FOLDER. */
  constructor(given = '') {
    this.given = given === '' ? '' : resolve(given);
    this.#root = given === '' ? usual() : this.given;
    this.#kept = given === '' ? join(storePaths().root, `kept-${process.geteuid?.()}`) : this.given;
  }

  /** Makes it where it is missing; nobody else may have made it, or look into it. Throws STATE_FOLDER. */
  make(): void {
    for (const root of [this.#root, this.#kept]) {
      this.#changing(root, () => makeFolders(root, 0o700));
      check(root);
    }
    for (const path of [this.names, this.containers, this.sockets]) this.#changing(path, () => makeFolders(path, 0o700));
  }

  get names(): string {
    return join(this.#kept, 'names');
  }

  get containers(): string {
    return `${this.#kept}/containers`;
  }

  get sockets(): string {
    return `${this.#root}/sockets`;
  }

  /** What has happened to its containers. */
  get events(): string {
    return `${this.#kept}/events`;
  }

  /** Tells of something. */
  tell(record: ContainerRecord, action: string, more: Readonly<Record<string, string>> = {}): void {
    const writer = new EventWriter(this.events);
    writer.write(eventOf(record, action, more));
    writer.close();
  }

  folder(id: string): string {
    return `${this.containers}/${id}`;
  }

  socket(id: string): string {
    return `${this.sockets}/${id}`;
  }

  /** Of a process that gives its files while it does not run. */
  filesSocket(id: string): string {
    return `${this.socket(id)}.files`;
  }

  /** Where its owner gets open files. */
  descriptorSocket(id: string): string {
    return `${this.socket(id)}.fds`;
  }

  /** The same, of containers that join its machine. */
  joinSocket(id: string): string {
    return `${this.socket(id)}.join`;
  }

  /**
   * Makes a container's folder, which `fill` puts files into, and takes its name: of those who ask for one at once exactly one has it.
   * Throws CONTAINER_NAME, STATE_FOLDER, what `fill` throws; then nothing of it is left.
   */
  async add(record: ContainerRecord, host: LoadHost | undefined, fill: (folder: string) => void = () => {}): Promise<void> {
    const made = join(this.containers, `.${record.id}`);
    try {
      this.#changing(made, () => makeFolders(made, 0o700));
      fill(made);
      this.#changing(made, () => writeWhole(join(made, RECORD), record, true));
      using _ = await this.#holdNames(host);
      this.#take(record.name, record.id);
      this.#changing(made, () => renameSync(made, this.folder(record.id)));
      this.#cutEvents();
      this.tell(record, 'create');
    } catch (error) {
      rmSync(made, { recursive: true, force: true });
      throw error;
    }
  }

  /** Throws CONTAINER_NAME, CONTAINER_NOT_FOUND, STATE_FOLDER. */
  async rename(id: string, name: string, host: LoadHost | undefined): Promise<void> {
    using _ = await this.#holdNames(host);
    const record = this.#record(id);
    if (record === undefined) throw gone(id);
    if (record.name === name) throw new VmmError('CONTAINER_NAME', `the container’s name is ${name} already`, { hint: 'choose another' });
    this.#take(name, id);
    try {
      this.#changing(this.containers, () => writeWhole(join(this.folder(id), RECORD), { ...record, name }, true));
    } catch (error) {
      this.#free(name, id);
      throw error;
    }
    this.#free(record.name, id);
    this.tell({ ...record, name }, 'rename', { oldName: `/${record.name}` });
  }

  /** Throws CONTAINER_NOT_FOUND, STATE_FOLDER. */
  async change(id: string, host: LoadHost | undefined, change: (record: ContainerRecord) => ContainerRecord): Promise<void> {
    using _ = await this.#holdNames(host);
    const record = this.#record(id);
    if (record === undefined) throw gone(id);
    this.#changing(this.containers, () => writeWhole(join(this.folder(id), RECORD), change(record), true));
  }

  /** By who holds it. Throws STATE_FOLDER. */
  async remove(id: string, host: LoadHost | undefined): Promise<void> {
    const left = join(this.containers, `.${id}`);
    using _ = await this.#holdNames(host);
    const record = this.#record(id);
    this.#changing(this.containers, () => {
      renameSync(this.folder(id), left);
      if (record !== undefined) this.#free(record.name, id);
      for (const socket of [this.socket(id), this.filesSocket(id), this.descriptorSocket(id), this.joinSocket(id)]) rmSync(socket, { force: true });
      rmSync(left, { recursive: true, force: true });
    });
    if (record !== undefined) this.tell(record, 'destroy');
  }

  /** By its owner, which may remove files, and no folder: a later command does that. */
  empty(id: string): void {
    const folder = this.folder(id);
    // It may have been renamed.
    const name = this.#record(id)?.name;
    for (const path of [join(folder, RECORD), ...(name === undefined ? [] : [join(this.names, name)]), ...readdirSync(folder).map((file) => join(folder, file))]) {
      try {
        unlinkSync(path);
      } catch {
        // somebody was quicker
      }
    }
  }

  /** Its folder, locked: nobody starts or removes it meanwhile. Undefined: after `patience` ms it is still somebody else's. Throws CONTAINER_NOT_FOUND. */
  async hold(id: string, host: LoadHost | undefined, patience = 0): Promise<Held | undefined> {
    const held = await hold(this.folder(id), host, patience);
    if (held !== 'gone' && held !== undefined && this.#record(id) === undefined) held.release();
    else if (held !== 'gone') return held;
    throw gone(id);
  }

  /** By its owner. Throws STATE_FOLDER. */
  writeLife(id: string, life: ContainerLife): void {
    const path = join(this.folder(id), LIFE);
    this.#changing(path, () => writeWhole(path, life));
  }

  /** All containers, the newest first. `foreign`: is given those whose record cannot be understood. Throws STATE_FOLDER. */
  async list(foreign: (one: ForeignContainer) => void): Promise<Container[]> {
    this.#check();
    const all = await Promise.all(this.#ids().map((id) => this.read(id).catch((error: unknown) => {
      if (!(error instanceof VmmError)) throw error;
      foreign({ id, error, text: readSmall(`${this.folder(id)}/${RECORD}`) ?? '' });
      return undefined;
    })));
    const found = all.filter((one) => one !== undefined).sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
    for (const one of found) if (isLeft(one)) await this.#clear(one);
    return found;
  }

  /** By name, id, or a prefix of an id that no other has. Throws CONTAINER_NOT_FOUND, CONTAINER_AMBIGUOUS, STATE_FOLDER. */
  async find(text: string): Promise<Container> {
    const one = await this.read(this.locate(text));
    if (one === undefined) throw gone(text);
    return one;
  }

  /** The same, without a look at the container itself. */
  locate(text: string): string {
    this.#check();
    // A whole id is nobody's name.
    if (ID.test(text) && this.#record(text) !== undefined) return text;
    const named = /^\w[\w.-]*$/.test(text) ? this.#named(text) : undefined;
    const found = named !== undefined ? [named] : /^[0-9a-f]+$/.test(text) ? this.#ids().filter((id) => id.startsWith(text) && this.#record(id) !== undefined) : [];
    if (found.length > 1) throw new VmmError('CONTAINER_AMBIGUOUS', `${text} begins the ids of ${found.length} containers`, { hint: 'give more digits, or the name' });
    if (found[0] === undefined) throw gone(text);
    return found[0];
  }

  /** Undefined: it is gone, or being made or removed. */
  async read(id: string): Promise<Container | undefined> {
    const record = this.#record(id);
    if (record === undefined) {
      sweep(this.folder(id));
      return undefined;
    }
    const life = this.#life(id);
    const told = ended(record, life);
    if (told !== undefined) return told;
    if ((life !== undefined && isOwner(life.pid, id)) || (await answers(this.socket(id)))) return { record, life, end: undefined, state: life?.restarting === true ? 'restarting' : life?.paused === true ? 'paused' : 'running' };
    if (life === undefined) return { record, life, end: undefined, state: 'created' };
    // The end is written before the owner goes: it may have come since.
    return ended(record, this.#life(id)) ?? { record, life, state: 'dead', end: { status: 137, started: life.started, finished: this.#lastSign(id), error: 'its process was killed', outOfMemory: false } };
  }

  /** What would have gone at its end goes a minute after the death of its owner; until then who follows it sees what became of it. */
  async #clear({ record, life }: Container): Promise<void> {
    if (!passes(record, life) || Date.now() - Date.parse(this.#lastSign(record.id)) < MAKING_MS) return;
    try {
      using held = await this.hold(record.id, undefined);
      if (held === undefined) return;
      // It may have been started and left since it was read.
      const now = await this.read(record.id);
      if (now !== undefined && isLeft(now) && passes(now.record, now.life)) await this.remove(record.id, undefined);
    } catch {
      // somebody else removes it, or nothing can be removed here: it is seen in a list
    }
  }

  #cutEvents(): void {
    const writer = new EventWriter(this.events);
    writer.cut();
    writer.close();
  }

  #life(id: string): ContainerLife | undefined {
    const life = parse(readSmall(`${this.folder(id)}/${LIFE}`));
    return isLife(life) ? life : undefined;
  }

  #lastSign(id: string): string {
    return (lstatSync(this.folder(id), { throwIfNoEntry: false })?.mtime ?? new Date()).toISOString();
  }

  /** Throws STATE_FOLDER for one of another version, and for what is no record. */
  #record(id: string): ContainerRecord | undefined {
    const text = readSmall(`${this.folder(id)}/${RECORD}`);
    if (text === undefined) return undefined;
    const record = parse(text);
    if (isRecord(record, id)) return record;
    const other = (record as { readonly version?: unknown } | null | undefined)?.version;
    throw typeof other === 'number' && other !== RECORD_VERSION
      ? new VmmError('STATE_FOLDER', `${this.folder(id)} is of another version of vmm`, { hint: 'ask that version, or remove the folder' })
      : new VmmError('STATE_FOLDER', `the ${RECORD} in ${this.folder(id)} is damaged`, { hint: 'its files are there still: save what is needed, then remove the folder' });
  }

  /** The container that has a name. */
  #named(name: string): string | undefined {
    const id = readSmall(join(this.names, name));
    return id !== undefined && ID.test(id) && this.#record(id)?.name === name ? id : undefined;
  }

  /** By who holds the names. */
  #take(name: string, id: string): void {
    if (this.#named(name) !== undefined) throw new VmmError('CONTAINER_NAME', `the name ${name} is taken by another container`, { hint: `\`vmm rm ${name}\` frees it, or choose another` });
    const path = join(this.names, name);
    this.#changing(this.names, () => {
      try {
        writeFileSync(path, id, { mode: 0o600 });
      } catch (error) {
        // On a full disk there is an empty file now.
        rmSync(path, { force: true });
        throw error;
      }
    });
  }

  #free(name: string, id: string): void {
    if (readSmall(join(this.names, name)) === id) rmSync(join(this.names, name), { force: true });
  }

  async #holdNames(host: LoadHost | undefined): Promise<Held> {
    const held = await hold(this.names, host, NAMES_MS);
    if (held === undefined || held === 'gone') throw new VmmError('STATE_FOLDER', `${this.names} is ${held === undefined ? 'locked by another command' : 'not there'}`, { hint: 'try again' });
    return held;
  }

  /** Nobody else may look into it. Throws STATE_FOLDER. */
  #check(): void {
    for (const root of new Set([this.#root, this.#kept])) if (lstatSync(root, { throwIfNoEntry: false }) !== undefined) check(root);
  }

  /** Of folders: not each is a container's, some are being made or were emptied. */
  #ids(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.containers);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw broken(this.#kept, cause);
    }
    for (const name of names) if (UNFINISHED.test(name)) sweep(join(this.containers, name));
    return names.filter((name) => ID.test(name));
  }

  #changing(path: string, action: () => void): void {
    try {
      action();
    } catch (cause) {
      throw broken(path, cause);
    }
  }
}

/** One of another version, or damaged. `text`: its whole record. */
export interface ForeignContainer {
  readonly id: string;
  readonly error: VmmError;
  readonly text: string;
}

/** Its owner was killed; one that goes with its client has one from its making on. */
function isLeft({ state, record }: Container): boolean {
  return state === 'dead' || (state === 'created' && record.bound === true);
}

/** One whose last owner has told its end. */
function ended(record: ContainerRecord, life: ContainerLife | undefined): Container | undefined {
  return life?.end === undefined || life.restarting ? undefined : { record, life, end: life.end, state: life.ran ? 'exited' : 'created' };
}

function gone(text: string): VmmError {
  return new VmmError('CONTAINER_NOT_FOUND', `there is no container ${text}`, { hint: '`vmm ps -a` lists them' });
}

function check(root: string): void {
  const { uid, mode } = lstatSync(root);
  if (uid === process.geteuid?.() && (mode & 0o077) === 0) return;
  throw new VmmError('STATE_FOLDER', `${root} ${uid === process.geteuid?.() ? 'is open to others' : 'belongs to somebody else'}`, { hint: `it has to be yours, with mode 0700; --root names another` });
}

function broken(path: string, cause: unknown): VmmError {
  if (cause instanceof VmmError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? 'error';
  return new VmmError('STATE_FOLDER', `${path} cannot be used: ${code}`, { cause, hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space, or name another folder with --root' : '--root names another folder' });
}

function sweep(folder: string): void {
  try {
    if (Date.now() - lstatSync(folder).mtimeMs > MAKING_MS) rmSync(folder, { recursive: true, force: true });
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

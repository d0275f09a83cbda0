import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { FS_LOCKS, FS_QUEUES, FS_SUBMOUNTS, FS_TAG_BYTES, FS_WRITEBACK } from '../../../assembly/contract/fs.ts';
import type { Change } from '../../agent/changes.ts';
import { HOST_EV_SHARE_STUCK, HOST_EV_SHARE_UNWATCHED } from '../../../assembly/contract/machine.ts';
import { HOST_KICK_DEVICE } from '../../../assembly/contract/hooks.ts';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { VmmError } from '../../../base/errors.ts';
import { hasFfi } from '../../host/places.ts';
import { O_PATH } from '../../host/uapi/linux.ts';
import type { DevicePort, HostDevice } from '../device.ts';
import type { Rate } from '../rate.ts';
import { ChangeBox } from './changes.ts';
import { Heartbeat } from './heartbeat.ts';
import { Mailbox, type SharedRoot } from './mailbox.ts';
import type { Descriptors } from './session.ts';
import type { ShareThread } from './thread.ts';
import { Watchdog } from './watchdog.ts';

/** A directory or a regular file of the host that a guest may use. */
export interface ShareExport {
  /** Its name in the device's root: one name, no path. */
  readonly name: string;
  readonly path: string;
  /** The guest cannot write: held here, whatever it sends. */
  readonly readOnly?: boolean | undefined;
  /** Other file systems beneath are part of it (default true). */
  readonly recursive?: boolean | undefined;
  /** Owners, modes and device nodes as the host has them, or in an attribute beside each file (default: for who is not root). */
  readonly idmap?: 'none' | 'xattr' | undefined;
  /** Most bytes of the host's file system that its files and directories may take, those that are there included; no limit of ours when not given. */
  readonly quota?: number | undefined;
  /** What the guest may remember: nothing; names and attributes for a second (default); all, since nobody else uses the files, and then, where that is so of all of a device's, it holds writes back, too. */
  readonly cache?: 'none' | 'auto' | 'always' | undefined;
  /** What programs of the host change there the guest's hear of by inotify(7), in directories that it knows (Shares.raise); false. Of one device of a machine's, and not its root; not with `always`, and not without the FFI library. */
  readonly watch?: boolean | undefined;
}

/**
 * What hears of the host's changes: resolves when the guest has raised them, with the number of the process that does so there; undefined: the guest refuses
 * these. `raiser`: what is known of the process, 0 nothing. Rejects when the guest has ended.
 */
export type RaiseChanges = (tag: string, changes: readonly Change[], raiser: number) => Promise<number | undefined>;

/** One virtio-fs device of a machine: its tag, and what its root holds: one directory, or exports by name. */
export interface ShareSpec {
  readonly tag: string;
  /** The root is this directory. */
  readonly root?: Omit<ShareExport, 'name'> | undefined;
  /** The root has these, and those that are added later. */
  readonly exports?: readonly ShareExport[] | undefined;
  /** Exports may be added while the guest runs: any (true), and then Landlock does not hold the thread that serves them; or what is in these folders: of none, nothing. */
  readonly later?: boolean | readonly string[] | undefined;
  /** How much is read and written, and how many requests are served; no limit when not given. */
  readonly rate?: Rate | undefined;
}

/** The kind of its thread (ThreadJob.kind). */
export const SHARE_THREAD = 'fs';

/** The table of inodes takes no more of the memory behind the guest's than this part of the guest's: what its kernel keeps of an inode is ten times as much. */
const TABLE_PART = 8;
const TABLE_MIN = 16 << 20;
/** Parts of the process's limit: what is left is the machine's own, whatever a guest has open. */
const PATHS_PART = 4;
const HANDLES_PART = 2;
const OWNERS_PART = 8;
const DESCRIPTORS_MIN = 16;
/** A guest whose raising process is another each time is none of ours; one that refuses so many lots in a row is told of. */
const RAISERS_MAX = 4;
/** The limit that most processes have. */
const FILES_DEFAULT = 1024;

/** Bytes behind guest RAM that the inodes of a machine's shares take; pages that are not touched cost nothing. */
export function shareTableBytes(ramSize: number): number {
  return Math.max(TABLE_MIN, ramSize / TABLE_PART);
}

/** The shares of one machine; one thread serves them all, from the first request of a guest. */
export class Shares {
  readonly #mailbox = new Mailbox();
  #changes = new ChangeBox();
  /** Raises in the guest what the host has changed (ShareExport.watch). */
  raise: RaiseChanges | undefined;
  #heart = new Heartbeat();
  #watchdog: Watchdog | undefined;
  readonly #devices: ShareDevice[] = [];
  #number = 0;
  #ports: DevicePort[] = [];
  #served = false;
  #bound = false;
  readonly #lock: boolean;

  /** `lock`: their thread binds itself. */
  constructor(lock: boolean) {
    this.#lock = lock;
  }

  /** Opens what it exports. Throws SHARE_PATH. */
  device(spec: ShareSpec): ShareDevice {
    const device = new ShareDevice(this, spec);
    // What is told is told below one root.
    const other = device.watches ? this.#devices.find(({ watches }) => watches) : undefined;
    if (other !== undefined) {
      device.close();
      throw new VmmError('USAGE', `share ${spec.tag} cannot be watched: share ${other.tag} is, and one of a machine's can be`, { hint: 'give it as another of its exports' });
    }
    this.#devices.push(device);
    return device;
  }

  /** What shares cannot do here, for the user. */
  get lacks(): string | undefined {
    return this.#devices.length === 0 || hasFfi() ? undefined : 'shares without the FFI library: no owners, locks, hard links, device nodes, extended attributes, holes or watch';
  }

  find(tag: string): ShareDevice {
    const device = this.#devices.find((each) => each.tag === tag);
    if (device === undefined) throw new VmmError('USAGE', `the machine has no share ${tag}`);
    return device;
  }

  nextNumber(): number {
    return this.#number++;
  }

  attach(port: DevicePort): void {
    this.#ports.push(port);
  }

  /** The process is bound, but for the thread that is to serve here: it binds itself, and hears of all that was asked for before. */
  bound(): void {
    this.#bound = true;
    if (this.#lock) this.#serve();
  }

  /** A guest wants something: from now on the thread hears it. */
  wanted(): void {
    if (!this.#lock || this.#bound) this.#serve();
  }

  detach(): void {
    this.#ports = [];
    this.#served = false;
    this.#bound = false;
    this.#watchdog?.close();
    this.#watchdog = undefined;
    this.#heart = new Heartbeat();
    this.#mailbox.end();
    this.#changes.end();
    this.#changes = new ChangeBox();
  }

  #serve(): void {
    const [port] = this.#ports;
    if (this.#served || port === undefined) return;
    const own: ShareThread['own'] = {
      shares: this.#devices.flatMap((device) => device.roots()),
      table: { base: RAM_BASE + port.ramSize, size: shareTableBytes(port.ramSize) },
      descriptors: descriptors(),
      mailbox: this.#mailbox.buffer,
      changes: this.#changes.buffer,
      heart: this.#heart.buffer,
      rates: this.#devices.flatMap(({ slot, rate }) => (slot === undefined || rate === undefined ? [] : [{ slot, rate }])),
      lock: this.#lock ? { later: this.#devices.some(({ anywhere }) => anywhere), folders: this.#devices.flatMap(({ folders }) => folders) } : undefined,
    };
    const watched = this.#devices.find(({ watches }) => watches);
    this.#served = port.thread(SHARE_THREAD, this.#ports.map(({ slot }) => slot), own, watched !== undefined);
    if (this.#served && watched !== undefined) void this.#raiseAll(watched, this.#changes, port);
    if (this.#served && hasFfi()) this.#watchdog = new Watchdog(this.#heart, (number) => port.event(HOST_EV_SHARE_STUCK, this.#devices.find((device) => device.has(number))?.slot ?? 0, 0n));
  }

  /** One lot after the other, for as long as the guest answers; what it refuses is dropped. */
  async #raiseAll({ tag, slot = 0 }: ShareDevice, box: ChangeBox, port: DevicePort): Promise<void> {
    const unwatched = (): void => port.event(HOST_EV_SHARE_UNWATCHED, slot, 0n);
    let raiser = 0;
    let refused = 0;
    try {
      for (let changes = await box.next(); changes !== undefined; changes = await box.next()) {
        const raised = await this.#raiseLot(tag, changes, raiser);
        if (raised === undefined) return;
        refused = raised === 0 ? refused + 1 : 0;
        if (refused === RAISERS_MAX) unwatched();
        if (raised !== 0) raiser = raised;
        await this.tell({ kind: 'raiser', pid: raiser, done: true });
      }
    } catch {
      unwatched();
    }
  }

  /** The process that has raised it; 0: none has; undefined: the guest has ended, or nobody raises anything. */
  async #raiseLot(tag: string, changes: readonly Change[], known: number): Promise<number | undefined> {
    const { raise } = this;
    if (raise === undefined) return undefined;
    try {
      let raiser = known;
      for (let tries = 0; tries <= RAISERS_MAX; tries++) {
        const by = raiser === 0 ? 0 : await raise(tag, changes, raiser);
        if (by === undefined || (by !== 0 && by === raiser)) return by ?? 0;
        // Its process is known before it asks for anything: until then it would really do what it asks for.
        raiser = (await raise(tag, [], 0)) ?? 0;
        if (raiser === 0) return 0;
        await this.tell({ kind: 'raiser', pid: raiser, done: false });
      }
      return 0;
    } catch {
      return undefined;
    }
  }

  /** The machine ends: resolves, with true, when the thread is in a call of the host that does not end. */
  async stuck(): Promise<boolean> {
    return (await this.#watchdog?.stuck()) ?? false;

  }

  /** Tells the thread, when there is one: else it will start with what is then. */
  async tell(command: Parameters<Mailbox['send']>[0]): Promise<void> {
    if (!this.#served) return;
    await this.#mailbox.send(command, () => {
      const [port] = this.#ports;
      // It has had to wait for another, and the machine has ended meanwhile.
      if (this.#served && port !== undefined) port.wake(port.slot);
      else this.#mailbox.end();
    });
  }
}

/** By what the kernel says: Node's own report asks all threads, which are just starting. */
function descriptors(): Required<Descriptors> {
  const soft = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
  const part = (of: number): number => Math.max(DESCRIPTORS_MIN, Math.floor((soft > 0 ? soft : FILES_DEFAULT) / of));
  return { paths: part(PATHS_PART), handles: part(HANDLES_PART), owners: part(OWNERS_PART) };
}

/** A virtio-fs device (virtio 1.2 §5.11). */
class ShareDevice implements HostDevice {
  readonly tag: string;
  readonly queues = FS_QUEUES;
  /** What comes later may be anywhere. */
  readonly anywhere: boolean;
  readonly later: boolean;
  /** Descriptors of the folders that it may be in else. */
  readonly folders: readonly number[];
  readonly rate: Rate | undefined;
  /** Changes of the host are told. */
  readonly watches: boolean;
  readonly #shares: Shares;
  readonly #open = new Map<string, SharedRoot>();
  /** Withdrawn, and the thread has not let go of them yet. */
  readonly #leaving = new Set<SharedRoot>();
  readonly #writeback: boolean;
  #port: DevicePort | undefined;

  constructor(shares: Shares, spec: ShareSpec) {
    this.#shares = shares;
    this.tag = spec.tag;
    this.anywhere = spec.later === true;
    this.later = this.anywhere || (typeof spec.later === 'object' && spec.later.length > 0);
    this.rate = spec.rate;
    // One session has it, or not: all of its exports, and those to come.
    const all = [...(spec.root === undefined ? [] : [spec.root]), ...(spec.exports ?? [])];
    this.watches = hasFfi() && all.some(({ watch }) => watch === true);
    this.#writeback = !this.later && all.length > 0 && all.every(({ cache, readOnly }) => cache === 'always' || readOnly === true);
    if (spec.tag === '' || Buffer.byteLength(spec.tag) > FS_TAG_BYTES) throw new VmmError('USAGE', `a share's tag has 1 to ${FS_TAG_BYTES} bytes: ${spec.tag}`);
    const folders: number[] = [];
    this.folders = folders;
    try {
      for (const folder of typeof spec.later === 'object' ? spec.later : []) folders.push(openPath(folder));
      if (spec.root !== undefined) this.#add({ ...spec.root, name: '' });
      for (const each of spec.exports ?? []) this.#add(each);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get name(): string {
    return `share ${this.tag}`;
  }

  add({ core, slot, scratch }: DevicePort): number {
    scratch.bytes.fill(0, 0, FS_TAG_BYTES);
    scratch.bytes.set(Buffer.from(this.tag));
    return core.fs_add(slot, scratch.offset, FS_SUBMOUNTS | (hasFfi() ? FS_LOCKS : 0) | (this.#writeback ? FS_WRITEBACK : 0));
  }

  attach(port: DevicePort): void {
    this.#port = port;
    this.#shares.attach(port);
  }

  kicked(queue: number): void {
    // A reset before anything was asked for has nothing to end.
    if (queue !== HOST_KICK_DEVICE) this.#shares.wanted();
  }

  detach(): void {
    this.#port = undefined;
    this.#shares.detach();
  }

  close(): void {
    for (const root of [...this.#open.values(), ...this.#leaving]) closeSync(root.fd);
    for (const fd of this.folders) closeSync(fd);
    this.#open.clear();
    this.#leaving.clear();
  }

  /** Where it is, while it is. */
  get slot(): number | undefined {
    return this.#port?.slot;
  }

  has(number: number): boolean {
    return [...this.#open.values(), ...this.#leaving].some((root) => root.number === number);
  }

  /** What its thread starts with; only while it has a slot. */
  roots(): SharedRoot[] {
    return [...this.#open.values()].map((root) => ({ ...root, slot: this.#port?.slot ?? -1 }));
  }

  /** Adds an entry to the root, also while the guest runs; resolves when a lookup finds it. Throws SHARE_PATH. */
  async export(added: ShareExport): Promise<void> {
    if (!this.later && this.#port !== undefined) throw new VmmError('USAGE', `share ${this.tag} takes nothing more while its machine runs`, { hint: 'say so (ShareSpec.later) before it starts' });
    const root = this.#add(added);
    await this.#shares.tell({ kind: 'add', root: { ...root, slot: this.#port?.slot ?? -1 } });
  }

  /** Takes an entry away. When this resolves no descriptor of the host's is open there; what the guest still has of it is stale. */
  async withdraw(name: string): Promise<void> {
    const root = this.#open.get(name);
    if (root === undefined) return;
    this.#open.delete(name);
    this.#leaving.add(root);
    await this.#shares.tell({ kind: 'withdraw', number: root.number });
    // The machine may have ended meanwhile.
    if (this.#leaving.delete(root)) closeSync(root.fd);
  }

  #add({ name, path, readOnly = false, quota, recursive = true, cache = 'auto', watch = false, idmap = process.getuid?.() === 0 ? 'none' : 'xattr' }: ShareExport): SharedRoot {
    if (this.#open.has(name)) throw new VmmError('USAGE', `share ${this.tag} has ${name} already`);
    if (watch && name === '') throw new VmmError('USAGE', `share ${this.tag}: ${path} cannot be watched as its root`, { hint: 'give it as an export with a name' });
    if (watch && cache === 'always') throw new VmmError('USAGE', `share ${this.tag}: ${path} cannot be watched: nobody else is said to use its files`, { hint: 'leave watch or delegated away' });
    if (watch && hasFfi() && !this.watches) throw new VmmError('USAGE', `share ${this.tag} was made without watches: ${path} cannot be one`, { hint: 'one that is there from the start has to be watched, too' });
    if (name.includes('/') || name === '.' || name === '..') throw new VmmError('USAGE', `share ${this.tag}: ${name} is not a name`);
    const root = { number: this.#shares.nextNumber(), name, slot: -1, fd: openPath(path), readOnly, crossing: recursive, mapped: idmap === 'xattr', cache, writeback: this.#writeback, watch: watch && hasFfi(), quota };
    this.#open.set(name, root);
    return root;
  }
}

function openPath(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, O_PATH);
  } catch (error) {
    throw new VmmError('SHARE_PATH', `${path} cannot be shared: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
  const stat = fstatSync(fd);
  if (stat.isDirectory() || stat.isFile()) return fd;
  closeSync(fd);
  throw new VmmError('SHARE_PATH', `${path} cannot be shared: it is neither a directory nor a regular file`);
}

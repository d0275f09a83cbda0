/** Containers of other processes in the machine of this one (`--network container:NAME`). */
import { closeSync } from 'node:fs';
import { type ContainerRun, type ContainerSpec, type GuestContainer, joinedSpecOf, type Mount, processOf } from '../api/containers.ts';
import type { DescriptorInbox } from '../api/devices.ts';
import { inTime, Turns } from '../../base/turns.ts';
import { VmmError } from '../api/errors.ts';
import { ENDED_OUT_OF_MEMORY, ENDED_ROOT_FULL, ENDED_WITH_MACHINE, type InsideAsk, type JoinAsk, type Reply, type StateFolder, statsOf, type Talker, talk } from '../api/owner.ts';
import { inboxAt } from './passed.ts';

const SIGKILL = 9;
const SIGTERM = 15;
const MAX_COMMANDS = 100;
/** How long what was killed may take to go with its disks written, ms. */
const GONE_MS = 10_000;
/** How long the guest may take to see a disk, or to let go of it, and to start a command, ms. */
const GUEST_MS = 20_000;
const START_MS = 60_000;
/** Empty drives of each machine that has an owner, for containers that join: two for each of them; --hotplug disks=N makes more. Where its other devices leave no slots there are fewer. */
export const SPARE_DRIVES = 4;
const DISKS = ['root', 'changes'] as const;

/** One from when it asks until nothing of it is left. */
interface Joined {
  readonly seconds: number;
  /** Undefined: on the way. */
  container: GuestContainer | undefined;
  stopSignal: number;
  commands: number;
  /** When it is killed at the latest once the machine is to end, ms of performance.now(). */
  by: number | undefined;
  /** It runs, or will not. */
  readonly came: PromiseWithResolvers<void>;
  /** It has ended, and its disks are whole. */
  readonly over: PromiseWithResolvers<void>;
  /** The machine waits for it no longer. */
  readonly late: PromiseWithResolvers<void>;
}

export class OwnerGuests {
  /** Where its clients' descriptors come; undefined: without the FFI library, where nothing binds this process: it opens the files itself. */
  readonly #inbox: DescriptorInbox | undefined;
  readonly #guestMs: number;
  readonly #all = new Map<string, Joined>();
  /** Serial numbers of disks that could not be taken out yet. */
  readonly #stuck = new Set<string>();
  /** Changes of the disks. */
  readonly #changes = new Turns();
  #ending = false;

  /** Before the process gives up its rights. `id`: of the container whose machine it is. `guestMs`: how long the guest may take for a disk. */
  constructor(state: Pick<StateFolder, 'joinSocket'>, id: string, guestMs = GUEST_MS) {
    this.#inbox = inboxIfAny(state.joinSocket(id));
    this.#guestMs = guestMs;
  }

  close(): void {
    this.#inbox?.close();
  }

  /** Throws CONTAINER_STATE, CONTAINER_BUSY, USAGE, and what the guest refuses. */
  async join(run: ContainerRun, ask: JoinAsk): Promise<Reply> {
    const fds = this.#inbox?.take(ask.token);
    try {
      if (this.#inbox !== undefined && fds?.length !== (ask.changes === undefined ? 1 : 2)) throw new VmmError('OWNER_REFUSED', 'no descriptors came with what is to join', { hint: 'try again' });
      return await this.#join(run, ask, fds);
    } finally {
      // What is used has been copied.
      for (const fd of fds ?? []) closeSync(fd);
    }
  }

  async #join(run: ContainerRun, ask: JoinAsk, fds: readonly number[] | undefined): Promise<Reply> {
    const { id, seconds } = ask;
    if (this.#ending) throw ended();
    // Its own process asks, which is one: that of its last life was killed, or has let go of it.
    const last = this.#all.get(id);
    if (last !== undefined) await within(last.over.promise, this.#guestMs).catch(() => {});
    if (this.#all.has(id)) throw new VmmError('CONTAINER_STATE', `container ${id.slice(0, 12)} has joined already`, { hint: 'stop it first' });
    const one: Joined = { container: undefined, stopSignal: SIGTERM, seconds, commands: 0, by: undefined, came: Promise.withResolvers(), over: Promise.withResolvers(), late: Promise.withResolvers() };
    this.#all.set(id, one);
    let shares: readonly string[] = [];
    const over = (): void => {
      for (const name of shares) run.lent.set(name, (run.lent.get(name) ?? 0) - 1);
      this.#all.delete(id);
      one.over.resolve();
    };
    try {
      await within(run.process.started, START_MS);
      const spec = this.#specOf(run, ask);
      shares = (spec.mounts ?? []).flatMap(({ source, subpath }) => (source?.kind === 'share' && subpath !== undefined ? [subpath] : []));
      for (const name of shares) run.lent.set(name, (run.lent.get(name) ?? 0) + 1);
      await this.#changes.next(() => this.#insert(run, ask, fds));
      return this.#took(run, id, spec, await this.#start(run, id, spec, one), over);
    } catch (error) {
      over();
      throw error;
    } finally {
      one.came.resolve();
    }
  }

  async #start(run: ContainerRun, id: string, spec: ContainerSpec, one: Joined): Promise<GuestContainer> {
    try {
      if (this.#ending) throw ended();
      const container = run.guest.create(spec);
      await within(container.process.started, START_MS).catch((error: unknown) => {
        void container.signal(SIGKILL).catch(() => {});
        throw error;
      });
      one.container = container;
      one.stopSignal = spec.stopSignal ?? SIGTERM;
      return container;
    } catch (error) {
      await this.#remove(run, id);
      throw error;
    }
  }

  #took(run: ContainerRun, id: string, spec: ContainerSpec, container: GuestContainer, over: () => void): Reply {
    const end = container.process.wait().finally(() => this.#remove(run, id));
    end.then(over, over);
    const wait: Talker['wait'] = async () => {
      const { status, outOfMemory, rootFull } = await end;
      return { status, flags: (outOfMemory ? ENDED_OUT_OF_MEMORY : 0) | (rootFull ? ENDED_ROOT_FULL : 0) | (this.#ending ? ENDED_WITH_MACHINE : 0) };
    };
    const { process } = container;
    const talker: Talker = {
      stdin: process.stdin, wait, onStdout: (to) => process.onStdout(to), onStderr: (to) => process.onStderr(to), closeStdout: () => process.closeStdout(), closeStderr: () => process.closeStderr(),
      resize: (size) => process.resize(size), signal: (signal) => process.signal(signal), kill: () => container.signal(SIGKILL),
    };
    // It goes with its own process.
    const left = (): void => {
      void container.resume().catch(() => {}).then(() => container.signal(SIGKILL)).catch(() => {});
      process.closeStdout();
      process.closeStderr();
    };
    return { done: true, go: (channel) => talk(channel, talker, { tty: spec.tty === true, stdin: spec.stdin === true || spec.tty === true, left }) };
  }

  /** Of one that has joined. Throws CONTAINER_STATE and others. */
  async inside(run: ContainerRun, { id, what, spec = '', cgroup = [] }: InsideAsk): Promise<Reply> {
    const one = this.#all.get(id);
    const container = one?.container;
    if (one === undefined || container === undefined) throw ended();
    if (what === 'exec') return this.#exec(one, container, spec);
    if (what === 'stats') return { done: true, stats: statsOf(await container.stats(), await run.guest.stats(), Date.now()) };
    if (what === 'pause') await container.pause();
    if (what === 'resume') await container.resume();
    if (what === 'update') await container.update(cgroup);
    if (what === 'sync') await run.guest.sync();
    return { done: true };
  }

  async #exec(one: Joined, container: GuestContainer, text: string): Promise<Reply> {
    if (one.commands >= MAX_COMMANDS) throw new VmmError('CONTAINER_BUSY', `the container runs ${MAX_COMMANDS} commands already, which is the most`, { hint: 'wait until one has ended' });
    const spec = processOf(text);
    const command = container.exec(spec);
    one.commands += 1;
    void command.wait().catch(() => {}).finally(() => {
      one.commands -= 1;
    });
    await command.started;
    return { done: true, go: (channel) => talk(channel, command, { tty: spec.tty === true, stdin: spec.stdin === true || spec.tty === true }) };
  }

  /**
   * The machine ends: those who are in it are stopped before, killed at `by` (ms of performance.now()) or when their own time is over, and what they have written is on their disks. Asked again
   * the sooner time counts.
   */
  async end(by: number): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#all.values()].map((one) => this.#stop(one, by)));
  }

  async #stop(one: Joined, by: number): Promise<void> {
    const now = performance.now();
    const first = one.by === undefined;
    one.by = Math.min(by, one.by ?? now + one.seconds * 1000);
    const patience = Math.max(0, one.by - now);
    const timers = [setTimeout(one.late.resolve, patience + GONE_MS)];
    await Promise.race([one.came.promise, one.late.promise]);
    const { container } = one;
    if (container !== undefined) {
      timers.push(setTimeout(() => void container.signal(SIGKILL).catch(() => {}), Math.max(0, now + patience - performance.now())));
      void container.resume().catch(() => {}).then(() => (first && patience > 0 ? container.process.signal(one.stopSignal) : undefined)).catch(() => {});
    }
    await Promise.race([one.over.promise, one.late.promise]);
    for (const timer of timers) clearTimeout(timer);
  }

  /** What is asked for, with the names and files of the container whose network it joins. */
  #specOf(run: ContainerRun, { id, spec, changes, shares }: JoinAsk): ContainerSpec {
    const asked = joinedSpecOf(spec);
    const { files, hostname, domain } = run.spec;
    return {
      ...asked,
      mounts: (asked.mounts ?? []).map((mount) => ours(mount, run, shares)),
      root: { kind: 'block', serial: serial(id, 'root'), fstype: 'erofs', readOnly: true },
      overlay: changes !== undefined ? { kind: 'block', serial: serial(id, 'changes'), kept: true } : { kind: 'tmpfs' },
      ...(files === undefined ? {} : { files }), ...(hostname === undefined ? {} : { hostname }), ...(domain === undefined ? {} : { domain }),
    };
  }

  async #insert(run: ContainerRun, { id, root, changes }: JoinAsk, [rootFd, changesFd]: readonly number[] = []): Promise<void> {
    for (const left of [...this.#stuck]) await this.#takeOut(run, left);
    try {
      await within(run.guest.addDisk({ path: root, fd: rootFd, readOnly: true, id: serial(id, 'root'), name: 'the image of the container that joins' }), this.#guestMs);
      if (changes !== undefined) await within(run.guest.addDisk({ path: changes, fd: changesFd, readOnly: false, id: serial(id, 'changes'), name: 'the disk of the container that joins' }), this.#guestMs);
    } catch (error) {
      // Nothing uses them yet: the guest is not asked.
      for (const disk of DISKS) eject(run, serial(id, disk));
      if (error instanceof VmmError && error.code === 'DISK_SPARE') throw new VmmError('CONTAINER_BUSY', 'the machine has no drive left for another container', { cause: error, hint: 'end one of those that have joined its network, or make it with --hotplug disks=N' });
      throw error;
    }
  }

  #remove(run: ContainerRun, id: string): Promise<void> {
    return this.#changes.next(async () => {
      for (const disk of DISKS) await this.#takeOut(run, serial(id, disk));
    });
  }

  async #takeOut(run: ContainerRun, disk: string): Promise<void> {
    this.#stuck.delete(disk);
    try {
      await within(run.guest.removeDisk(disk), this.#guestMs);
    } catch (error) {
      // There is none, or the guest is gone; else something uses it still, and it is tried again.
      if (!(error instanceof VmmError) || /^(DISK_SPARE|FFI_MISSING|AGENT_(CLOSED|LOST|NOT_FOUND))$/.test(error.code)) return;
      this.#stuck.add(disk);
      await within(run.guest.sync(), this.#guestMs).catch(() => {});
    }
  }
}

/** Undefined: without the FFI library. */
function inboxIfAny(path: string): DescriptorInbox | undefined {
  try {
    return inboxAt(path);
  } catch (error) {
    if (error instanceof VmmError && error.code === 'FFI_MISSING') return undefined;
    throw error;
  }
}

function eject(run: ContainerRun, disk: string): void {
  try {
    run.machine.removeDisk(disk);
  } catch {
    // there is none
  }
}

/** A guest that answers nothing holds nobody up. */
function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  return inTime(answer, ms, () => new VmmError('CONTAINER_BUSY', `the machine does not answer within ${ms / 1000} s`, { hint: 'try again, or stop the container whose machine it is' }));
}

/** A guest's mount of what the machine shares already. Throws USAGE for what it does not. */
function ours(mount: Mount, run: ContainerRun, shares: JoinAsk['shares']): Mount {
  if (mount.source?.kind !== 'share') return mount;
  const asked = shares.find(({ name }) => name === mount.subpath);
  const there = run.shares.find(({ path, readOnly }) => path === asked?.path && (readOnly !== true || asked.readOnly));
  if (asked === undefined || there === undefined) throw new VmmError('USAGE', `${asked?.path ?? mount.target} cannot be mounted: a container that joins the network of another has of the host what is mounted in that one`, { hint: 'mount it there, too' });
  return { ...mount, subpath: there.name };
}

/** 20 bytes. */
function serial(id: string, disk: (typeof DISKS)[number]): string {
  return `${id.slice(0, 18)}-${disk === 'root' ? 'r' : 'c'}`;
}

function ended(): VmmError {
  return new VmmError('CONTAINER_STATE', 'the container has just ended', { hint: 'try again' });
}

/** Containers of other processes in the machine of this one (`--network container:NAME`). */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerRun, type ContainerSpec, type GuestContainer, joinedSpecOf, type Mount, processOf } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { ENDED_OUT_OF_MEMORY, ENDED_ROOT_FULL, ENDED_WITH_MACHINE, type InsideAsk, type JoinAsk, joinedDisk, type Reply, type Talker, statsOf, talk } from '../api/owner.ts';

const SIGKILL = 9;
const SIGTERM = 15;
const MAX_COMMANDS = 100;
/** How long what was killed may take to go, ms. */
const GONE_MS = 5000;
/** Empty drives of each machine that has an owner, for containers that join: two for each of them; --hotplug disks=N makes more. Where its other devices leave no slots there are fewer. */
export const SPARE_DRIVES = 4;
const DISKS = ['root', 'changes'] as const;

interface Joined {
  readonly container: GuestContainer;
  readonly stopSignal: number;
  readonly seconds: number;
  /** Resolves when it has ended and its disks are whole. */
  readonly over: Promise<unknown>;
  commands: number;
}

export class OwnerGuests {
  readonly #folder: string;
  /** By their ids; undefined: on the way. */
  readonly #all = new Map<string, Joined | undefined>();
  /** Serial numbers of disks that could not be taken out yet. */
  readonly #stuck = new Set<string>();
  #ending = false;

  /** `folder`: of the container whose machine it is. */
  constructor(folder: string) {
    this.#folder = folder;
    // Of processes that were killed.
    for (const name of readdirSync(folder)) if (name.startsWith('join.')) rmSync(join(folder, name), { force: true });
  }

  /** Throws CONTAINER_STATE, CONTAINER_BUSY, USAGE, and what the guest refuses. */
  async join(run: ContainerRun, ask: JoinAsk): Promise<Reply> {
    const { id } = ask;
    if (this.#ending) throw ended();
    if (this.#all.has(id)) throw new VmmError('CONTAINER_STATE', `container ${id.slice(0, 12)} has joined already`, { hint: 'stop it first' });
    this.#all.set(id, undefined);
    try {
      const spec = this.#specOf(run, ask);
      await run.process.started;
      await this.#insert(run, ask);
      const container = run.guest.create(spec);
      try {
        await container.process.started;
      } catch (error) {
        await this.#remove(run, id);
        throw error;
      }
      return this.#took(run, ask, spec, container);
    } catch (error) {
      this.#all.delete(id);
      throw error;
    }
  }

  #took(run: ContainerRun, { id, seconds }: JoinAsk, spec: ContainerSpec, container: GuestContainer): Reply {
    const over = container.process.wait().finally(async () => {
      await this.#remove(run, id);
      this.#all.delete(id);
    });
    over.catch(() => {});
    this.#all.set(id, { container, over, seconds, stopSignal: spec.stopSignal ?? SIGTERM, commands: 0 });
    const wait: Talker['wait'] = async () => {
      const { status, outOfMemory, rootFull } = await over;
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
    if (one === undefined) throw ended();
    const { container } = one;
    if (what === 'exec') return this.#exec(one, spec);
    if (what === 'stats') return { done: true, stats: statsOf(await container.stats(), await run.guest.stats(), Date.now()) };
    if (what === 'pause') await container.pause();
    if (what === 'resume') await container.resume();
    if (what === 'update') await container.update(cgroup);
    if (what === 'sync') await run.guest.sync();
    return { done: true };
  }

  async #exec(one: Joined, text: string): Promise<Reply> {
    if (one.commands >= MAX_COMMANDS) throw new VmmError('CONTAINER_BUSY', `the container runs ${MAX_COMMANDS} commands already, which is the most`, { hint: 'wait until one has ended' });
    const spec = processOf(text);
    const command = one.container.exec(spec);
    one.commands += 1;
    void command.wait().catch(() => {}).finally(() => {
      one.commands -= 1;
    });
    await command.started;
    return { done: true, go: (channel) => talk(channel, command, { tty: spec.tty === true, stdin: spec.stdin === true || spec.tty === true }) };
  }

  /** The machine ends: those who are in it are stopped before, in so many seconds at most, and what they have written is on their disks. */
  async end(seconds: number): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#all.values()].map(async (one) => {
      if (one === undefined) return;
      const { container, stopSignal, over } = one;
      const kill = (): void => void container.signal(SIGKILL).catch(() => {});
      await container.resume().catch(() => {});
      const patience = Math.min(seconds, one.seconds) * 1000;
      if (patience > 0) await container.process.signal(stopSignal).catch(() => {});
      const timers = [setTimeout(kill, patience)];
      await Promise.race([over, new Promise((resolve) => timers.push(setTimeout(resolve, patience + GONE_MS)))]).catch(() => {});
      for (const timer of timers) clearTimeout(timer);
    }));
  }

  /** What is asked for, with the names and files of the container whose network it joins. */
  #specOf(run: ContainerRun, { id, spec, disk, shares }: JoinAsk): ContainerSpec {
    const asked = joinedSpecOf(spec);
    const { files, hostname, domain } = run.spec;
    return {
      ...asked,
      mounts: (asked.mounts ?? []).map((mount) => ours(mount, run, shares)),
      root: { kind: 'block', serial: serial(id, 'root'), fstype: 'erofs', readOnly: true },
      overlay: disk ? { kind: 'block', serial: serial(id, 'changes'), kept: true } : { kind: 'tmpfs' },
      ...(files === undefined ? {} : { files }), ...(hostname === undefined ? {} : { hostname }), ...(domain === undefined ? {} : { domain }),
    };
  }

  async #insert(run: ContainerRun, { id, disk }: JoinAsk): Promise<void> {
    for (const left of this.#stuck) await this.#takeOut(run, left);
    try {
      await run.guest.addDisk({ path: join(this.#folder, joinedDisk(id, 'root')), readOnly: true, id: serial(id, 'root'), name: 'the image of the container that joins' });
      if (disk) await run.guest.addDisk({ path: join(this.#folder, joinedDisk(id, 'changes')), readOnly: false, id: serial(id, 'changes'), name: 'the disk of the container that joins' });
    } catch (error) {
      await this.#remove(run, id);
      if (error instanceof VmmError && error.code === 'DISK_SPARE') throw new VmmError('CONTAINER_BUSY', 'the machine has no drive left for another container', { cause: error, hint: 'end one of those that have joined its network, or make it with --hotplug disks=N' });
      throw error;
    }
  }

  async #remove(run: ContainerRun, id: string): Promise<void> {
    for (const disk of DISKS) await this.#takeOut(run, serial(id, disk));
  }

  async #takeOut(run: ContainerRun, disk: string): Promise<void> {
    this.#stuck.delete(disk);
    try {
      await run.guest.removeDisk(disk);
    } catch (error) {
      // There is none, or the guest is gone; else something uses it still, and it is tried again.
      if (!(error instanceof VmmError) || /^(DISK_SPARE|AGENT_(CLOSED|LOST|NOT_FOUND))$/.test(error.code)) return;
      this.#stuck.add(disk);
      await run.guest.sync().catch(() => {});
    }
  }
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

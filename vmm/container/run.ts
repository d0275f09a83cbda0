import type { ResolvedImage } from '../../image/resolve.ts';
import { AgentError } from '../agent/errors.ts';
import type { ExitStatus, ProcessHandle } from '../agent/process.ts';
import type { ContainerSpec, WindowSize } from '../agent/spec.ts';
import { VmmError } from '../../base/errors.ts';
import { DEFAULT_MEMORY_MIB, Guest, type GuestConfig, type GuestContainer, type ShareExport } from '../guest/guest.ts';
import { keptDisk, openRoomyScratch, openScratch, type ScratchDisk } from '../guest/scratch.ts';
import type { MachineResult } from '../machine/result.ts';
import { Timeline } from '../machine/timeline.ts';
import type { CountedRun } from '../time/counted.ts';
import { sizeOf } from '../time/input-log.ts';
import { planMounts } from './mounts.ts';
import type { ContainerNetwork } from './network.ts';
import { type ContainerOptions, type WholeOptions, withDefaults } from './options.ts';
import { containerSpec, ROOT_SERIAL, SCRATCH_SERIAL } from './spec.ts';

/** What kernel and init need beside the container, bytes. */
const SYSTEM_BYTES = 48 * 1024 ** 2;

/** The machine around a container: a guest whose disks are the container's. */
export type ContainerMachine = Omit<GuestConfig, 'disks' | 'cards'>;

/** A container's streams on the host. Chunks are valid until the promise settles. */
export interface ContainerIo {
  stdout(bytes: Uint8Array): void | Promise<void>;
  stderr(bytes: Uint8Array): void | Promise<void>;
  readonly size?: WindowSize | undefined;
  /** One line without its end; texts of the guest may be in it. */
  note?(text: string, about?: 'accelerator'): void;
}

/** How a container ended while its machine went on. */
export type ContainerEnded =
  | { readonly kind: 'exited'; readonly status: ExitStatus }
  /** The command could not be started: 125, 126 or 127 as Docker gives them. */
  | { readonly kind: 'failed'; readonly status: number; readonly error: VmmError };

/** How a container ended. */
export type ContainerResult =
  | ContainerEnded
  /** The machine ended before the container did. `console`: the last that the guest wrote to it, each byte a character. */
  | { readonly kind: 'machine'; readonly result: MachineResult; readonly console: string };

export interface RunToEnd {
  /** Ends the machine. */
  readonly signal?: AbortSignal | undefined;
  /** Asked at each end of the container: shall it be started again, in the same guest? It may wait before it answers. */
  readonly again?: ((ended: ContainerEnded) => Promise<boolean>) | undefined;
}

/** One container in a guest of its own: made, then `run`. Stopping the machine loses nothing: its root is read-only and its changes are temporary, or on a disk that the guest has let go of. */
export class ContainerRun {
  readonly guest: Guest;
  /** The disk that keeps the container's changes; undefined: guest memory, half of it. */
  readonly space: Readonly<Pick<ScratchDisk, 'bytes' | 'folder'>> | undefined;
  /** What asks it to stop: the user's choice, the image's, SIGTERM. */
  readonly stopSignal: number;
  /** What init was asked for. */
  readonly spec: ContainerSpec;
  /** What of the host's the guest can mount, now. */
  shares: readonly ShareExport[];
  /** How many other containers of its machine have each of them mounted, by name. */
  readonly lent = new Map<string, number>();
  /** Its cards and their addresses, as they were asked for. */
  readonly network: ContainerNetwork;
  /** Rejects when the guest cannot have its network. */
  readonly #network: Promise<void> = Promise.resolve();
  readonly #io: ContainerIo;
  /** The disk outlives the machine. */
  readonly #kept: boolean;
  /** The guest may hold back what is written to the host's files. */
  readonly #writesBack: boolean;
  #container: GuestContainer;
  /** Of the machine, bytes. */
  readonly #memory: number;

  /** Opens the image and the scratch disk. Throws VmmError. */
  constructor(image: Pick<ResolvedImage, 'rootfs' | 'config'>, options: ContainerOptions, machine: ContainerMachine, io: ContainerIo, timeline = new Timeline()) {
    const whole = withDefaults(options, image.config);
    this.stopSignal = whole.stopSignal;
    const plan = planMounts(whole.mounts);
    const disks: NonNullable<GuestConfig['disks']>[number][] = [{ path: image.rootfs, readOnly: true, id: ROOT_SERIAL, rate: whole.limits.disks?.image }];
    const scratch = scratchOf(whole, image.config.volumes.length > 0, machine.counted !== undefined);
    if (plan.exports.length === 0 && whole.limits.mounts !== undefined) throw new VmmError('USAGE', 'there is no mount of the host’s to be limited', { hint: 'leave --mount-limit away, or add -v' });
    if (scratch === undefined && whole.limits.disks?.changes !== undefined) throw new VmmError('USAGE', 'there is no disk /dev/vdb to be limited: changes are kept in guest memory, or not at all', { hint: 'leave --device-… away, or give --scratch a size' });
    this.space = scratch === undefined ? undefined : { bytes: scratch.bytes, folder: scratch.folder };
    const spec = containerSpec({ image: image.config, options: whole, size: io.size, scratch: scratch !== undefined, mounts: plan.mounts });
    this.spec = spec;
    this.network = whole.network;
    this.shares = plan.exports;
    try {
      if (scratch !== undefined) disks.push({ path: scratch.path, readOnly: false, id: SCRATCH_SERIAL, name: `the scratch disk in ${scratch.folder}`, rate: whole.limits.disks?.changes });
      const note: ContainerIo['note'] = (text, about) => io.note?.(text, about);
      this.guest = new Guest({ ...machine, disks, cards: whole.network.cards.map(({ card }) => card), ...(plan.exports.length > 0 || machine.sharesLater !== undefined ? { shares: plan.exports, shareRate: whole.limits.mounts } : {}) }, { note, fatal: (reason) => io.note?.(`the guest's init gave up: ${reason}`) }, timeline);
    } finally {
      scratch?.close(); // the guest has it open
    }
    const interfaces = whole.network.cards.map(({ card, interface: rest }) => ({ ...rest, mac: card.mac, mtu: card.mtu }));
    if (interfaces.length > 0) this.#network = this.guest.network({ interfaces });
    this.#network.catch(() => {});
    this.#io = io;
    this.#memory = (machine.memoryMib ?? DEFAULT_MEMORY_MIB) * 1024 ** 2;
    this.#kept = typeof whole.scratch === 'object';
    this.#writesBack = plan.exports.some(({ cache, readOnly }) => cache === 'always' && readOnly !== true);
    this.#container = this.guest.create(spec);
    this.#connect();
  }

  /** The present one: each start makes another. */
  get container(): GuestContainer {
    return this.#container;
  }

  get machine(): Guest['machine'] {
    return this.guest.machine;
  }

  get process(): ProcessHandle {
    return this.container.process;
  }

  get timeline(): Timeline {
    return this.guest.timeline;
  }

  /** Changes settings of its cgroup ("pids.max=100"), of starts in the same machine too. `memory`: bytes, up to the machine's; what is above goes back to the host. */
  async update(cgroup: readonly string[], memory?: number): Promise<void> {
    await this.#container.update(cgroup);
    const names = new Set(cgroup.map((setting) => setting.split('=', 1)[0]));
    this.spec.cgroup = [...(this.spec.cgroup ?? []).filter((setting) => setting.startsWith('io.max=') || !names.has(setting.split('=', 1)[0])), ...cgroup];
    if (memory !== undefined) this.machine.setBalloon(Math.max(0, this.#memory - memory - SYSTEM_BYTES));
  }

  #connect(): void {
    const io = this.#io;
    const { counted } = this.machine;
    if (counted !== undefined) takeInput(counted, this.process);
    // A counted run does not tell the guest when the host has taken its output: it waits for the host instead.
    const taken = (work: void | Promise<void>): void | Promise<void> => {
      if (counted === undefined || work === undefined) return work;
      counted.hold(work);
    };
    let first = true;
    this.process.onStdout((bytes) => {
      if (first) this.timeline.point('first output');
      first = false;
      return taken(io.stdout(bytes));
    });
    this.process.onStderr((bytes) => taken(io.stderr(bytes)));
  }

  /** Runs to the end, or until `signal` aborts it. Rejects with VmmError when the machine cannot be built. */
  async run({ signal, again }: RunToEnd = {}): Promise<ContainerResult> {
    const machineEnd = this.guest.run({ signal });
    try {
      const machineResult = machineEnd.then((result): ContainerResult => ({ kind: 'machine', result, console: this.guest.consoleTail }));
      for (;;) {
        const ended = (await Promise.race([this.#processEnd(), machineResult])) ?? (await machineResult);
        this.timeline.point(ended.kind === 'machine' ? 'machine ended' : 'container ended');
        if (ended.kind === 'machine') return ended;
        await Promise.race([this.#settle(), machineResult]);
        if (again === undefined || !(await Promise.race([again(ended), machineResult.then(() => false)]))) return ended;
        this.#container = this.guest.create(this.spec);
        this.#connect();
      }
    } finally {
      this.guest.kill();
      this.guest.close();
      await machineEnd.catch(() => {});
      this.timeline.point('machine stopped');
    }
  }

  #processEnd(): Promise<ContainerEnded | undefined> {
    return this.#network.then(() => this.process.wait()).then(
      (status): ContainerEnded => ({ kind: 'exited', status }),
      (error: unknown): ContainerEnded | undefined => {
        if (error instanceof AgentError) return { kind: 'failed', status: error.exitStatus, error };
        // The connection broke: what the machine did tells why.
        return undefined;
      },
    );
  }

  /** What is kept is written, and unmounted where nothing uses it any more; so is what the guest holds back of the host's files. */
  async #settle(): Promise<void> {
    // Disks that came while it ran are mounted.
    if (this.#writesBack || this.spec.mounts?.some(({ source }) => source?.kind === 'block')) await this.guest.sync().catch(() => {});
    if (!this.#kept) return;
    await this.guest.releaseDisk(SCRATCH_SERIAL).catch(() => this.guest.sync()).catch(() => {});
  }

  /** Ends the machine at once; `run` then resolves. */
  kill(): void {
    this.guest.kill();
  }
}

/** A counted run depends on nothing of the host: its changes stay in memory unless a size is given. Of a read-only root only volumes change. */
function scratchOf({ scratch, readOnly }: WholeOptions, volumes: boolean, counted: boolean): ScratchDisk | undefined {
  if (typeof scratch === 'number') return openScratch(scratch);
  if (typeof scratch === 'object') return keptDisk(scratch.kept);
  return scratch === 'tmpfs' || counted || (readOnly && !volumes) ? undefined : openRoomyScratch();
}

/** Input of a counted run comes at its places (time/input-log.ts). */
function takeInput(counted: CountedRun, process: ProcessHandle): void {
  counted.onInput('stdin', (data) => process.stdin.write(data));
  counted.onInput('stdin-end', () => process.stdin.end());
  counted.onInput('resize', (data) => process.resize(sizeOf(data)).catch(() => {}));
  counted.onInput('signal', ([signal = 0]) => process.started.then(() => process.signal(signal)).catch(() => {}));
}

import type { JitConfig } from '../jit/driver.ts';
import { type ListenSpec, macText, type NetworkConfig } from '../agent/network.ts';
import type { CableSpec, CardSpec } from '../devices/net/spec.ts';
import { AgentError } from '../agent/errors.ts';
import type { ProcessHandle } from '../agent/process.ts';
import type { Stream } from '../agent/transport.ts';
import { AgentSession, type GuestInfo, type PowerMode } from '../agent/session.ts';
import type { ContainerSpec, Mount, MountAction, ProcessSpec, SandboxSpec } from '../agent/spec.ts';
import type { SymbolNames } from '../boot/symbols.ts';
import type { DiskSpec } from '../devices/disk/open.ts';
import type { ShareExport } from '../devices/fs/exports.ts';
import type { DiskRate, Rate } from '../devices/rate.ts';
import type { CpuModel } from '../accel/vcpu.ts';
import type { AccelName, ConfineConfig, TraceConfig } from '../machine/config.ts';
import type { MachineDebugger } from '../machine/debugger.ts';
import { Machine } from '../machine/machine.ts';
import type { MachineResult } from '../machine/result.ts';
import { Timeline } from '../machine/timeline.ts';
import type { CountedConfig, CountedRun } from '../time/counted.ts';
import { SeededStream } from '../time/seeded.ts';
import { guestFile } from './files.ts';

/** Of the one share device of a guest: each of its exports is an entry of the device's root. */
export const SHARE_TAG = 'vmm';
const CONSOLE_TAIL = 16384;
const KERNEL_PARAMETERS = 'console=hvc0 quiet panic=-1 reboot=t tsc=reliable';
export const DEFAULT_MEMORY_MIB = 512;

export type { DiskRate, Rate, ShareExport };

/** What a guest is made of; each part has a default. */
export interface GuestConfig {
  /** RAM in MiB; 512. */
  readonly memoryMib?: number | undefined;
  readonly vcpus?: number | undefined;
  /** `auto`. */
  readonly accel?: AccelName | undefined;
  readonly cpuModel?: CpuModel | undefined;
  /** The software CPU's translator; on. */
  readonly jit?: JitConfig | undefined;
  /** Paths of a kernel and an initramfs with this project's init; our own. */
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  /** Found by containers by their ids (`Source` of kind `block`). */
  readonly disks?: readonly DiskSpec[] | undefined;
  /** Empty drives that `addDisk` fills while the guest runs; none. */
  readonly spareDisks?: number | undefined;
  /** Directories and files of the host that containers can mount, by name; with a list, an empty one too, more can be added later (`addShare`). */
  readonly shares?: readonly ShareExport[] | undefined;
  /** Whether more can: from anywhere, or from these folders. Where the process is bound it has to be said before. */
  readonly sharesLater?: boolean | readonly string[] | undefined;
  /** A limit for what all of them move together. */
  readonly shareRate?: Rate | undefined;
  /** Network cards; `Guest.network` gives them addresses. */
  readonly cards?: readonly CardSpec[] | undefined;
  /** Cards that `plugCard` gives a cable while the guest runs; none. */
  readonly spareCards?: number | undefined;
  readonly debugger?: MachineDebugger | undefined;
  /** Names for the addresses in a dump. */
  readonly symbols?: (() => SymbolNames | undefined) | undefined;
  /** A run in virtual time that repeats. */
  readonly counted?: CountedConfig | undefined;
  /** Events of the machine that are written to a file. */
  readonly trace?: TraceConfig | undefined;
  /** The whole process is bound, for good. */
  readonly confine?: ConfineConfig | undefined;
}

export interface GuestListener {
  /** One line for the user without its end; texts of the guest may be in it. */
  note?(text: string, about?: 'accelerator'): void;
  /** init gave up; the machine stops right after. */
  fatal?(reason: string): void;
  log?(text: string): void;
}

/**
 * A machine that runs our kernel and init, its disks and the session with init: containers are made in it, run beside each
 * other, and go; pods share namespaces by a sandbox. `run` switches it on; requests made before wait for init.
 */
export class Guest implements AsyncDisposable {
  readonly machine: Machine;
  readonly timeline: Timeline;
  readonly #session: AgentSession;
  readonly #stop = new AbortController();
  #console = '';
  #ended: Promise<MachineResult> | undefined;

  /** Opens the disks. Throws VmmError. */
  constructor(config: GuestConfig = {}, listener: GuestListener = {}, timeline = new Timeline()) {
    this.timeline = timeline;
    this.machine = new Machine(
      {
        memoryMib: config.memoryMib ?? DEFAULT_MEMORY_MIB,
        cpus: config.vcpus ?? 1,
        accel: config.accel ?? 'auto',
        cpuModel: config.cpuModel,
        jit: { mode: 'on', ...config.jit, ownKernel: config.kernel === undefined },
        kernel: config.kernel ?? guestFile('vmlinux'),
        initrd: config.initrd ?? guestFile('initramfs.cpio'),
        append: KERNEL_PARAMETERS,
        acpi: 'off',
        disks: config.disks ?? [],
        ...(config.shares === undefined ? {} : { shares: [{ tag: SHARE_TAG, exports: config.shares, later: config.sharesLater ?? config.confine === undefined, rate: config.shareRate }] }),
        spareDisks: config.spareDisks,
        cards: config.cards,
        spareCards: config.spareCards,
        console: 'hvc',
        vsock: true,
        balloon: true,
        exitOnReboot: true,
        debugger: config.debugger,
        symbols: config.symbols,
        counted: config.counted,
        trace: config.trace,
        confine: config.confine,
      },
      {
        console: async (bytes) => {
          this.#console = (this.#console + Buffer.from(bytes).toString('latin1')).slice(-CONSOLE_TAIL);
        },
        note: (text, about) => listener.note?.(text, about),
      },
      timeline,
    );
    const { counted } = this.machine;
    this.#session = new AgentSession(this.machine.vsock, {
      onFatal: (reason) => listener.fatal?.(reason),
      onLog: (text) => listener.log?.(text),
      ...(counted === undefined ? {} : deterministic(counted)),
    });
    this.machine.onShareChanges((tag, changes, raiser) => this.#session.raise(tag, changes, raiser).catch((error: unknown) => {
      if (error instanceof AgentError) return undefined;
      throw error;
    }));
  }

  /** Runs the machine to its end, once. Rejects with VmmError when it cannot be built. */
  run(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<MachineResult> {
    if (options.signal?.aborted) this.kill();
    else options.signal?.addEventListener('abort', () => this.kill(), { once: true, signal: this.#stop.signal });
    const ended = this.machine.run({ signal: this.#stop.signal }).finally(() => this.#session.close());
    this.#ended = ended;
    return ended;
  }

  /** What init tells of itself once it is there; rejects when the guest ends before. */
  hello(): Promise<GuestInfo> {
    return this.#session.hello();
  }

  /**
   * Makes a container and starts its command, or with `hold` only makes it ready. It exists at once; its process's `started` tells whether
   * the command runs.
   */
  create(spec: ContainerSpec): GuestContainer {
    return new GuestContainer(this.#session, this.#session.start(spec));
  }

  /** Makes namespaces for other containers to join (a pod's); they last until they get SIGTERM. */
  createSandbox(spec: SandboxSpec = {}): GuestContainer {
    return new GuestContainer(this.#session, this.#session.startSandbox(spec));
  }

  /** The machine's figures by file name: /proc/meminfo, /proc/loadavg, /proc/stat. */
  stats(): Promise<Map<string, string>> {
    return this.#session.stats();
  }

  /** Writes what the guest's file systems hold in memory to its disks. */
  sync(): Promise<void> {
    return this.#session.sync();
  }

  /** Puts a disk into an empty drive; resolves when the guest sees it, by the id in `spec`. Throws as Machine.addDisk. */
  async addDisk(spec: DiskSpec): Promise<void> {
    this.machine.addDisk(spec);
    await this.diskAdded(spec.id);
  }

  /** Resolves when the guest sees a disk that Machine.addDisk has put in. */
  diskAdded(id: string): Promise<void> {
    return this.#session.diskAttached(id);
  }

  /** Has the guest let go of a disk, by the id in its spec: all that it holds is written then. Rejects while a container uses it. */
  releaseDisk(id: string): Promise<void> {
    return this.#session.diskDetaching(id);
  }

  /** Has the guest let go of a disk that `addDisk` put in, and takes it out: its file is closed, and the drive empty for the next. Rejects while a container uses it. */
  async removeDisk(id: string): Promise<void> {
    await this.releaseDisk(id);
    this.machine.removeDisk(id);
  }

  /** Makes a directory or a file of the host one that containers can mount, while the guest runs (GuestConfig.shares). Throws SHARE_PATH. */
  async addShare(added: ShareExport): Promise<void> {
    await this.machine.addExport(SHARE_TAG, added);
    await this.#session.exportAdded(SHARE_TAG, added.name);
  }

  /** Takes one away. When this resolves nothing of it is open on the host; containers that have it mounted find it stale (ESTALE). */
  async withdrawShare(name: string): Promise<void> {
    await this.releaseShare(name);
    await this.machine.withdrawExport(SHARE_TAG, name);
  }

  /** Has the guest let go of one. */
  releaseShare(name: string): Promise<void> {
    return this.#session.exportLeaving(SHARE_TAG, name);
  }

  /** Sets the guest's clock, after a pause for example: to nanoseconds since 1970, or to the host's time. */
  setTime(nanoseconds?: bigint): Promise<void> {
    return this.#session.setTime(nanoseconds);
  }

  /** Gives a spare card a cable, and resolves with its index and address once the guest knows it: `network` takes it from there. `within`: how long that may take. */
  async plugCard(cable: CableSpec, within: (answer: Promise<void>) => Promise<void> = (answer) => answer): Promise<{ readonly card: number; readonly mac: Uint8Array }> {
    const card = this.machine.plugCard(cable);
    const mac = this.machine.cardAddress(card);
    try {
      await this.machine.cardReady(card);
      await within(this.#session.cardAttached(card, macText(mac)));
    } catch (error) {
      await this.machine.unplugCard(card);
      throw error;
    }
    return { card, mac };
  }

  /** Has the guest switch a card off, and takes its cable out. */
  async unplugCard(card: number): Promise<void> {
    await this.releaseCard(card);
    await this.machine.unplugCard(card);
  }

  /** Has the guest switch a card off. */
  releaseCard(card: number): Promise<void> {
    return this.#session.cardDetaching(card, macText(this.machine.cardAddress(card)));
  }

  /** Gives cards their addresses and routes, and files of a container a new content: before a container runs or later, again too. */
  network(config: NetworkConfig): Promise<void> {
    return this.#session.network(config);
  }

  /** A port on the guest's loopback interface whose connections this process serves. */
  listen(spec: ListenSpec, take: (stream: Stream) => void): Promise<void> {
    return this.#session.listen(spec, take);
  }

  /** Makes a named directory that containers can share as a mount's source. */
  addVolume(name: string, mount?: Omit<Mount, 'target' | 'source'>): Promise<void> {
    return this.#session.addVolume(name, mount);
  }

  removeVolume(name: string): Promise<void> {
    return this.#session.removeVolume(name);
  }

  /** Stops the containers (stop signal, SIGKILL after the time-out), then the machine, and resolves with how it ended. */
  async shutdown(mode: PowerMode = 'poweroff', timeoutMs?: number): Promise<MachineResult | undefined> {
    await this.#session.shutdown(mode, timeoutMs);
    return this.#ended;
  }

  /** Ends the machine at once; `run` then resolves with `stopped`. Nothing in the guest is told. */
  kill(): void {
    this.#stop.abort();
  }

  /** The last 16 KiB of the guest's console, each byte a character: whatever runs in the guest may have written it. */
  get consoleTail(): string {
    return this.#console;
  }

  /** Ends the session: the guest takes that as a failure and stops. */
  close(): void {
    this.#session.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    this.close();
    await this.machine[Symbol.asyncDispose]();
    await this.#ended?.catch(() => {});
  }
}

/** One container of a guest. Other processes can be started in it as long as its first one runs. */
export class GuestContainer {
  readonly #session: AgentSession;
  /** The container's first process. */
  readonly process: ProcessHandle;

  constructor(session: AgentSession, process: ProcessHandle) {
    this.#session = session;
    this.process = process;
  }

  /** What names it in another container's `namespaces`. */
  get id(): number {
    return this.process.container;
  }

  /** Starts the command of a container that is held. Rejects when it cannot be executed. */
  start(): Promise<void> {
    return this.#session.release(this.process);
  }

  /** Runs another process in it. */
  exec(spec: ProcessSpec): ProcessHandle {
    return this.#session.exec(this.id, spec);
  }

  /** A signal for each of its processes; `process.signal` is for the first one alone. */
  signal(signal: number): Promise<void> {
    return this.#session.signalContainer(this.id, signal);
  }

  /** Freezes all its processes until `resume`. */
  pause(): Promise<void> {
    return this.#session.pause(this.id);
  }

  resume(): Promise<void> {
    return this.#session.resume(this.id);
  }

  /** Its cgroup's figures by file name: cpu.stat, memory.current … */
  stats(): Promise<Map<string, string>> {
    return this.#session.stats(this.id);
  }

  /** Mounts a share's export or a disk (`Guest.addShare`, `addDisk`) in it, or takes such a mount away. Rejects while something there is in use, but for `detach`. `signal`: it is not wanted any more. */
  changeMount(mount: Mount, action: MountAction, signal?: AbortSignal): Promise<void> {
    return this.#session.changeMount(this.id, mount, action, signal);
  }

  /** Changes its cgroup's settings, `memory.max=536870912`. */
  update(cgroup: readonly string[]): Promise<void> {
    return this.#session.update(this.id, cgroup);
  }
}

/** What a session takes from the host otherwise. */
function deterministic(counted: CountedRun): { now: () => bigint; random: (length: number) => Uint8Array } {
  const stream = new SeededStream(counted.config.seed, 'agent');
  return { now: () => counted.wallNs(), random: (length) => stream.bytes(length) };
}

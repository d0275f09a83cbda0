import type { ResolvedImage } from '../../image/resolve.ts';
import { AgentError } from '../agent/errors.ts';
import type { ExitStatus, ProcessHandle } from '../agent/process.ts';
import { AgentSession } from '../agent/session.ts';
import type { WindowSize } from '../agent/spec.ts';
import type { SymbolNames } from '../boot/symbols.ts';
import type { VmmError } from '../../base/errors.ts';
import type { AccelName } from '../machine/config.ts';
import type { CpuModel } from '../accel/vcpu.ts';
import type { MachineResult } from '../machine/result.ts';
import type { CountedConfig, CountedRun } from '../time/counted.ts';
import type { MachineDebugger } from '../machine/debugger.ts';
import { sizeOf } from '../time/input-log.ts';
import { Machine } from '../machine/machine.ts';
import { SeededStream } from '../time/seeded.ts';
import { Timeline } from '../machine/timeline.ts';
import type { ContainerOptions } from './options.ts';
import { containerSpec, ROOT_SERIAL, SCRATCH_SERIAL } from './spec.ts';

/** The machine around a container. */
export interface ContainerMachine {
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly accel: AccelName;
  readonly cpuModel: CpuModel | undefined;
  readonly kernel: string;
  readonly initrd: string;
  /** A sparse ext4 image for the overlay's upper layer, deleted by the caller. */
  readonly scratchPath?: string | undefined;
  readonly debugger?: MachineDebugger | undefined;
  /** Names for the addresses in a dump. */
  readonly symbols?: (() => SymbolNames | undefined) | undefined;
  /** A run in virtual time that repeats. */
  readonly counted?: CountedConfig | undefined;
}

/** A container's streams on the host. Chunks are valid until the promise settles. */
export interface ContainerIo {
  stdout(bytes: Uint8Array): void | Promise<void>;
  stderr(bytes: Uint8Array): void | Promise<void>;
  readonly size: WindowSize | undefined;
  note(text: string): void;
}

/** How a container ended. */
export type ContainerResult =
  | { readonly kind: 'exited'; readonly status: ExitStatus }
  /** The command could not be started: 125, 126 or 127 as Docker gives them. */
  | { readonly kind: 'failed'; readonly status: number; readonly error: VmmError }
  /** The machine ended before the container did. */
  | { readonly kind: 'machine'; readonly result: MachineResult; readonly console: string };

const CONSOLE_TAIL = 16384;
const KERNEL_PARAMETERS = 'console=hvc0 quiet panic=-1 reboot=t tsc=reliable';

/** What a session takes from the host otherwise. */
function deterministic(counted: CountedRun): { now: () => bigint; random: (length: number) => Uint8Array } {
  const stream = new SeededStream(counted.config.seed, 'agent');
  return { now: () => counted.wallNs(), random: (length) => stream.bytes(length) };
}

/** Input of a counted run comes at its places (machine/input-log.ts). */
function takeInput(counted: CountedRun, process: ProcessHandle): void {
  counted.onInput('stdin', (data) => process.stdin.write(data));
  counted.onInput('stdin-end', () => process.stdin.end());
  counted.onInput('resize', (data) => process.resize(sizeOf(data)).catch(() => {}));
  counted.onInput('signal', ([signal = 0]) => process.started.then(() => process.signal(signal)).catch(() => {}));
}

/** One container in a machine of its own: `start`, then `result`. Stopping the machine loses nothing: its root is read-only and its changes are temporary. */
export class ContainerRun {
  readonly machine: Machine;
  readonly process: ProcessHandle;
  readonly timeline: Timeline;
  readonly #session: AgentSession;
  readonly #stop = new AbortController();
  #consoleTail = '';

  constructor(image: ResolvedImage, options: ContainerOptions, machine: ContainerMachine, io: ContainerIo, timeline = new Timeline()) {
    this.timeline = timeline;
    const spec = containerSpec({ image: image.config, options, size: io.size });
    const disks = [{ path: image.rootfs, readOnly: true, id: ROOT_SERIAL }];
    if (machine.scratchPath !== undefined) disks.push({ path: machine.scratchPath, readOnly: false, id: SCRATCH_SERIAL });
    this.machine = new Machine(
      {
        memoryMib: machine.memoryMib,
        cpus: machine.vcpus,
        accel: machine.accel,
        cpuModel: machine.cpuModel,
        kernel: machine.kernel,
        initrd: machine.initrd,
        append: KERNEL_PARAMETERS,
        acpi: 'off',
        disks,
        console: 'hvc',
        vsock: true,
        balloon: true,
        exitOnReboot: true,
        debugger: machine.debugger,
        symbols: machine.symbols,
        counted: machine.counted,
      },
      {
        console: async (bytes) => {
          this.#consoleTail = (this.#consoleTail + Buffer.from(bytes).toString('latin1')).slice(-CONSOLE_TAIL);
        },
        note: (text) => io.note(text),
      },
      timeline,
    );
    const { counted } = this.machine;
    this.#session = new AgentSession(this.machine.vsock, {
      onFatal: (reason) => io.note(`the guest's init gave up: ${reason}`),
      ...(counted === undefined ? {} : deterministic(counted)),
    });
    this.process = this.#session.start(spec);
    if (counted !== undefined) takeInput(counted, this.process);
    // A counted run does not tell the guest when the host has taken its output: it waits for the host instead.
    const taken = (work: void | Promise<void>): void | Promise<void> => {
      if (counted === undefined || work === undefined) return work;
      counted.hold(work);
    };
    let first = true;
    this.process.onStdout((bytes) => {
      if (first) timeline.point('first output');
      first = false;
      return taken(io.stdout(bytes));
    });
    this.process.onStderr((bytes) => taken(io.stderr(bytes)));
  }

  /** Runs to the end. Rejects with VmmError when the machine cannot be built. */
  async run(): Promise<ContainerResult> {
    const machineEnd = this.machine.run({ signal: this.#stop.signal });
    const processEnd = this.process.wait().then(
      (status): ContainerResult => ({ kind: 'exited', status }),
      (error: unknown): ContainerResult | undefined => {
        if (error instanceof AgentError) return { kind: 'failed', status: error.exitStatus, error };
        // The connection broke: what the machine did tells why.
        return undefined;
      },
    );
    try {
      const machineResult = machineEnd.then((result): ContainerResult => ({ kind: 'machine', result, console: this.#consoleTail }));
      const ended = await Promise.race([processEnd, machineResult]);
      if (ended !== undefined) {
        this.timeline.point(ended.kind === 'machine' ? 'machine ended' : 'container ended');
        return ended;
      }
      return await machineResult;
    } finally {
      this.#stop.abort();
      this.#session.close();
      await machineEnd.catch(() => {});
      this.timeline.point('machine stopped');
    }
  }

  /** Ends the machine at once; `run` then resolves. */
  kill(): void {
    this.#stop.abort();
  }
}

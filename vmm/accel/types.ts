import type { EntryState } from '../boot/entry.ts';
import type { SymbolNames } from '../boot/symbols.ts';
import type { CoreExports } from '../core/exports.ts';
import type { SharedTrace } from '../core/trace.ts';
import type { RingerHooks, RingerWork } from '../threads/device-thread.ts';
import type { JitConfig } from '../jit/driver.ts';
import type { AcceleratorDebug, DebugStop } from './debug-types.ts';
import type { SavedVcpus } from './saved.ts';
import type { CpuModel, Registers, VcpuExit } from './vcpu.ts';

/** A virtio-mmio device that the machine put into a slot. */
export interface DevicePlace {
  readonly slot: number;
  readonly queues: number;
  /** A thread that rings may work on its queues itself. Else, and where notifications do not come from a thread, the main thread is told. */
  readonly ringer?: RingerWork | undefined;
}

/** What threads that ring need for all `places`, once a kind. */
export function ringersOf(places: readonly DevicePlace[]): RingerWork[] {
  return [...new Map(places.flatMap(({ ringer }) => (ringer === undefined ? [] : [[ringer.kind, ringer]]))).values()];
}

/** What the machine gives an accelerator. All callbacks run on the main thread. */
export interface AcceleratorContext {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The main thread's instance of the core. */
  readonly core: CoreExports;
  readonly ramSize: number;
  readonly cpus: number;
  readonly cpuModel: CpuModel | undefined;
  /** The software CPU's translator; on unless this says something else. */
  readonly jit?: JitConfig | undefined;
  readonly devices: readonly DevicePlace[];
  /** Where events are traced to, if they are. */
  readonly trace: SharedTrace | undefined;
  /** Executed blocks are traced, too; counted runs only. */
  readonly traceExec?: boolean | undefined;
  readonly symbols?: (() => SymbolNames | undefined) | undefined;
  /** For an accelerator whose vCPUs run on the main thread. */
  readonly ringerHooks: RingerHooks;
  /** The driver rang a queue, or HOST_KICK_DEVICE, of a device that the main thread owns. */
  onKick(slot: number, queue: number): void;
  /** The devices go on after `holdDevices`: the main thread, which owns this one, looks at all its queues. */
  onGoesOn(slot: number): void;
  /** A machine event (MACHINE_EV_*) seen on another thread. */
  onEvent(kind: number, a: number, b: bigint): void;
  /** Bytes of COM1; returns how many were taken: all, or none when the user is behind. All when they are the `last`. */
  onSerial(bytes: Uint8Array, last?: boolean): number;
  /** vCPUs ended on their own: once, with the first reason. */
  onExit(exit: VcpuExit): void;
  /** vCPU 0 is about to run its first instruction, or has just done so. */
  onEntered(): void;
  /** The threads that the guest's start waits for have begun. After onEntered. */
  onThreads(): void;
}

/** COM1's output on its way to the user. */
export interface SerialOutput {
  /** Output made by the main thread's core: it goes behind what other threads have written. Returns the bytes taken. */
  put(bytes: Uint8Array): number;
  /** The user takes output again. */
  drained(): void;
}

/**
 * What runs the guest's code. Two implementations: KVM (vmm/accel/kvm.ts) and the software CPU (vmm/accel/wasm.ts).
 * Memory, core and devices are the machine's; an accelerator owns vCPUs, their threads and interrupt delivery.
 */
export interface Accelerator {
  readonly name: 'kvm' | 'wasm';
  /**
   * Lets the guest run: from its first instruction on vCPU 0, while the others wait for INIT and SIPI; or from where saved vCPUs of this
   * accelerator stood, once the machine's memory is back. `held`: all wait for a resume.
   */
  start(from: EntryState | SavedVcpus, held?: boolean): Promise<void>;
  /** The vCPUs as they are; only while paused. Missing where they cannot be taken out of their run (counted runs). */
  save?(): Promise<SavedVcpus>;
  /** One pulse on GSI `line`, from the main thread. */
  interrupt(line: number): void;
  /**
   * Starts a thread of a device's own (DeviceThread) that owns all queues of `slots` from now on; it is joined by `stop`. Between two works of
   * the owner before. `descriptors`: its bell must have an eventfd, since it waits for other descriptors, too. Missing where an accelerator
   * has no threads beside each other.
   */
  deviceThread?(kind: string, slots: readonly number[], own: unknown, descriptors: boolean): void;
  /** Rings a device thread's bell for one of its slots. */
  wakeDevice?(slot: number): void;
  /** Counted runs: the driver, or the core on the main thread, rang a queue. Else the main thread works on it at once. */
  kick?(slot: number, queue: number): void;
  /** Where other threads write COM1's output too. */
  readonly serial?: SerialOutput;
  /** All vCPUs are out of guest code when this resolves. */
  pause(): Promise<void>;
  /**
   * While paused: has the devices take no request any more. When this resolves none is in flight at the host, their threads stand, and nothing but
   * a debugger writes to the guest's memory until `releaseDevices`, which also ends a wait that is not over. Missing where devices work between two slices of the vCPUs only (counted runs).
   */
  holdDevices?(): Promise<void>;
  /** Before `resume`: the devices take requests again, those first that came meanwhile. */
  releaseDevices?(): void;
  resume(): void;
  /** All vCPUs wait, and have done next to nothing since the call before. Missing where that cannot be told. */
  idle?(): boolean;
  /**
   * Has the vCPUs, and with `heaps` (exposeGc) all threads, give back what they do not need while the guest rests. False: not now, for the guest is held. Missing where
   * they have nothing.
   */
  rest?(heaps: boolean): Promise<boolean>;
  /** Ends and joins all threads; afterwards nothing of this accelerator touches the machine's memory. Safe to call twice. */
  stop(): Promise<void>;
  /** After `stop`: what the software CPU's translator did, a line; undefined: nothing was to be translated. */
  translated?(): string | undefined;
  /** Registers of a vCPU; only while paused or after an exit, before `stop`. */
  registers(vcpu: number): Registers;
  /** The debugger's face; `onStop` is called when a vCPU stopped for it, on the main thread, others may still run. */
  debug(onStop: (stop: DebugStop) => void): Promise<AcceleratorDebug>;
}

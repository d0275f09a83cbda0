import type { AcceleratorDebug, DebugStop, ResumeAction } from '../accel/debug-types.ts';
import type { MachineResult } from './result.ts';

/** One life of a guest as a debugger sees it. The accelerator's part counts only while paused. */
export interface DebugMachine extends Omit<AcceleratorDebug, 'resume'> {
  readonly accelerator: 'kvm' | 'wasm';
  readonly cpus: number;
  /** Guest RAM from guest physical address 0. */
  readonly ram: Uint8Array;
  /** Must follow each write to `ram`. */
  written(gpa: number, length: number): void;
  pause(): Promise<void>;
  resume(actions: readonly ResumeAction[]): void;
  /** Registers, code and stack of all vCPUs as text. */
  dump(): Promise<string>;
  /** Ends this life as the reset button does; `attach` is called for the next one. */
  reset(): void;
  /** Ends the run. */
  stop(): void;
}

/** A debugger that a machine is built for (MachineConfig.debugger). */
export interface MachineDebugger {
  /** A life begins: all vCPUs stand before their first instruction, until `resume`. */
  attach(machine: DebugMachine): void;
  /** A vCPU stopped for the debugger; the others run until `pause`. */
  stopped(stop: DebugStop): void;
  /** The life is over and its machine must not be touched again; `again`: the guest was reset, another one follows. */
  ended(result: MachineResult, again: boolean): void;
}

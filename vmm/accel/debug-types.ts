import type { Registers } from './vcpu.ts';

/** What a breakpoint waits for: execution, or an access to `length` bytes. */
export type BreakKind = 'execute' | 'write' | 'read' | 'access';

export interface Breakpoint {
  readonly kind: BreakKind;
  /** Asked for as a hardware breakpoint; on the software CPU both kinds are the same. */
  readonly hardware: boolean;
  /** Linear address. */
  readonly address: bigint;
  /** Bytes watched; 1 for execution. */
  readonly length: number;
}

/** Why a vCPU stopped for the debugger. `address` and `access` belong to a watchpoint. */
export type DebugStop =
  | { readonly vcpu: number; readonly reason: 'step' | 'breakpoint' }
  | { readonly vcpu: number; readonly reason: 'watchpoint'; readonly access: 'read' | 'write' | 'access'; readonly address: bigint };

/** What a vCPU shall do next: run, run one instruction (without taking interrupts), or stand still. */
export type ResumeAction = 'run' | 'step' | 'hold';

/**
 * A debugger's face of an accelerator. All but `onStop` is used only while the accelerator is paused. Register names are
 * those of `Registers`, and beside them st0 … st7 (80 bits), xmm0 … xmm15 (128 bits), fctrl, fstat, ftag (two bits a
 * register), fop, fiseg, fioff, foseg, fooff, mxcsr, cr8.
 */
export interface AcceleratorDebug {
  registers(vcpu: number): Registers;
  /** False: this register cannot be set here. */
  setRegister(vcpu: number, name: string, value: bigint): boolean;
  /** Guest physical address of a linear one by the vCPU's page tables; undefined when it is not mapped. */
  translate(vcpu: number, address: bigint): bigint | undefined;
  /** undefined when these can all be set, else why not. */
  refusal(list: readonly Breakpoint[]): string | undefined;
  /** Replaces the list that counts from the next `resume` on. */
  setBreakpoints(list: readonly Breakpoint[]): void;
  /** One action a vCPU. */
  resume(actions: readonly ResumeAction[]): void;
  /** True for a vCPU that waits: in HLT, or for its start-up IPI. */
  waiting(vcpu: number): 'halted' | 'not started' | undefined;
  /** The 1 KiB of local APIC registers, and the IOAPIC's 24 redirection entries. */
  lapic(vcpu: number): Uint8Array;
  ioapic(): readonly bigint[];
}

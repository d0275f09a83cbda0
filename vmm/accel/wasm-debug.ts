import {
  BREAK_MAX, DEBUG_AT_BREAK, DEBUG_READ, DEBUG_WRITE, FIELD_CR0, FIELD_CR2, FIELD_CR3, FIELD_CR4, FIELD_EFER, FIELD_FCW, FIELD_FPR, FIELD_HALTED,
  FIELD_KERNEL_GS, FIELD_LAPIC, FIELD_MXCSR, FIELD_RIP, FIELD_SEGS, FIELD_WAIT_SIPI, FIELD_XMM, IOAPIC_TABLE, SEG_BASE, SEG_SIZE, WATCH_MAX,
  WATCH_READ, WATCH_WRITE,
} from '../../assembly/contract/vcpu.ts';
import { IOAPIC_PINS } from '../../assembly/contract/x86.ts';
import { CPU_STRIDE, IRQCHIP_BASE } from '../../assembly/core/layout.ts';
import type { AcceleratorDebug, Breakpoint, DebugStop, ResumeAction } from './debug-types.ts';
import type { AcceleratorContext } from './types.ts';
import type { Registers } from './vcpu.ts';
import { cpuAddress, readRegisters } from './wasm-registers.ts';

const ACCESSES = { read: WATCH_READ, write: WATCH_WRITE, access: WATCH_READ | WATCH_WRITE } as const;
const UNMAPPED = (1n << 64n) - 1n;

const TPR = 0x80;
const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const SETTABLE: Readonly<Record<string, number>> = {
  rip: FIELD_RIP, cr0: FIELD_CR0, cr2: FIELD_CR2, cr3: FIELD_CR3, cr4: FIELD_CR4, efer: FIELD_EFER, kernel_gs_base: FIELD_KERNEL_GS,
};
const SEGMENT_BASES = ['es_base', 'cs_base', 'ss_base', 'ds_base', 'fs_base', 'gs_base'];
/** Offsets from FCW in the vCPU's state: x87's environment, u32 each. */
const FPU_WORDS: Readonly<Record<string, number>> = { fctrl: 0, fstat: 4, ftag: 8, fop: 12, fiseg: 16, foseg: 20, fioff: 28, fooff: 36 };

/** The stop that a vCPU's thread saw: `reason` and `address` as debug_reason and debug_address gave them. */
export function debugStop(vcpu: number, reason: number, address: bigint): DebugStop {
  if (reason === DEBUG_READ || reason === DEBUG_WRITE) return { vcpu, reason: 'watchpoint', access: reason === DEBUG_READ ? 'read' : 'write', address: BigInt.asUintN(64, address) };
  return { vcpu, reason: reason === DEBUG_AT_BREAK ? 'breakpoint' : 'step' };
}

/** The software CPU's debugger: breakpoints are the core's, registers are words of the linear memory. */
export class WasmDebug implements AcceleratorDebug {
  readonly #context: AcceleratorContext;
  readonly #words: { release(vcpu: number): void };
  #stoppedAt: number | undefined;

  constructor(context: AcceleratorContext, words: { release(vcpu: number): void }) {
    this.#context = context;
    this.#words = words;
  }

  /** All vCPUs stand: the guest's clock does too, from here to `resume`. */
  stopped(): void {
    this.#stoppedAt ??= performance.now();
  }

  registers(vcpu: number): Registers {
    const { core, memory } = this.#context;
    const found = new Map(readRegisters(core, memory, vcpu));
    const view = this.#view(vcpu);
    const fpu = core.cpu_field(FIELD_FCW);
    for (const [name, at] of Object.entries(FPU_WORDS)) found.set(name, BigInt(view.getUint32(fpu + at, true)));
    found.set('mxcsr', BigInt(view.getUint32(core.cpu_field(FIELD_MXCSR), true)));
    for (let i = 0; i < 8; i++) found.set(`st${i}`, wide(view, this.#st(view, i)) & ((1n << 80n) - 1n));
    for (let i = 0; i < 16; i++) found.set(`xmm${i}`, wide(view, core.cpu_field(FIELD_XMM) + 16 * i));
    found.set('cr8', BigInt(view.getUint32(core.cpu_field(FIELD_LAPIC) + TPR, true) >>> 4));
    return found;
  }

  setRegister(vcpu: number, name: string, value: bigint): boolean {
    const { core } = this.#context;
    const view = this.#view(vcpu);
    const general = GENERAL.indexOf(name);
    if (general >= 0) view.setBigUint64(general * 8, value, true);
    else if (name === 'rflags') core.cpu_set_flags(cpuAddress(vcpu), Number(value & 0xffff_ffffn) | 0);
    else if (SETTABLE[name] !== undefined) {
      view.setBigUint64(core.cpu_field(SETTABLE[name]), value, true);
      if (name !== 'rip' && name !== 'cr2') core.debug_registers_set(cpuAddress(vcpu));
    } else if (SEGMENT_BASES.includes(name)) {
      view.setBigUint64(core.cpu_field(FIELD_SEGS) + SEGMENT_BASES.indexOf(name) * SEG_SIZE + SEG_BASE, value, true);
      core.debug_registers_set(cpuAddress(vcpu));
    } else if (FPU_WORDS[name] !== undefined) view.setUint32(core.cpu_field(FIELD_FCW) + FPU_WORDS[name], Number(value & 0xffffn), true);
    else if (name === 'mxcsr') view.setUint32(core.cpu_field(FIELD_MXCSR), Number(value & 0xffffn), true);
    else if (/^st[0-7]$/.test(name)) {
      const at = this.#st(view, Number(name.slice(2)));
      view.setBigUint64(at, value & UNMAPPED, true);
      view.setUint16(at + 8, Number((value >> 64n) & 0xffffn), true);
    } else if (/^xmm([0-9]|1[0-5])$/.test(name)) {
      const at = core.cpu_field(FIELD_XMM) + 16 * Number(name.slice(3));
      view.setBigUint64(at, value & UNMAPPED, true);
      view.setBigUint64(at + 8, (value >> 64n) & UNMAPPED, true);
    } else return false;
    return true;
  }

  translate(vcpu: number, address: bigint): bigint | undefined {
    const found = BigInt.asUintN(64, this.#context.core.debug_translate(cpuAddress(vcpu), address));
    return found === UNMAPPED ? undefined : found;
  }

  refusal(list: readonly Breakpoint[]): string | undefined {
    const breaks = list.filter((point) => point.kind === 'execute').length;
    if (breaks > BREAK_MAX) return `at most ${BREAK_MAX} breakpoints`;
    return list.length - breaks > WATCH_MAX ? `at most ${WATCH_MAX} watchpoints` : undefined;
  }

  setBreakpoints(list: readonly Breakpoint[]): void {
    const { core } = this.#context;
    core.debug_clear();
    for (const { kind, address, length } of list) {
      if (kind === 'execute') core.debug_break(address);
      else core.debug_watch(address, length, ACCESSES[kind]);
    }
    core.debug_apply();
  }

  resume(actions: readonly ResumeAction[]): void {
    const { core } = this.#context;
    if (this.#stoppedAt !== undefined) core.debug_clock_back((performance.now() - this.#stoppedAt) * 1e6);
    this.#stoppedAt = undefined;
    actions.forEach((action, vcpu) => {
      core.cpu_set_step(cpuAddress(vcpu), action === 'step' ? 1 : 0);
      if (action !== 'hold') this.#words.release(vcpu);
    });
  }

  waiting(vcpu: number): 'halted' | 'not started' | undefined {
    const { core } = this.#context;
    const view = this.#view(vcpu);
    if (view.getUint32(core.cpu_field(FIELD_WAIT_SIPI), true) !== 0) return 'not started';
    return view.getUint32(core.cpu_field(FIELD_HALTED), true) !== 0 ? 'halted' : undefined;
  }

  lapic(vcpu: number): Uint8Array {
    return new Uint8Array(this.#context.memory.buffer, cpuAddress(vcpu) + this.#context.core.cpu_field(FIELD_LAPIC), 1024).slice();
  }

  ioapic(): readonly bigint[] {
    const view = new DataView(this.#context.memory.buffer, IRQCHIP_BASE + IOAPIC_TABLE, IOAPIC_PINS * 8);
    return Array.from({ length: IOAPIC_PINS }, (_, pin) => view.getBigUint64(pin * 8, true));
  }

  #view(vcpu: number): DataView {
    return new DataView(this.#context.memory.buffer, cpuAddress(vcpu), CPU_STRIDE);
  }

  /** Offset of ST(i): registers lie by number, TOP is in bits 11 to 13 of the status word. */
  #st(view: DataView, i: number): number {
    const { core } = this.#context;
    const top = (view.getUint32(core.cpu_field(FIELD_FCW) + 4, true) >>> 11) & 7;
    return core.cpu_field(FIELD_FPR) + 16 * ((top + i) & 7);
  }
}

function wide(view: DataView, at: number): bigint {
  return view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n);
}

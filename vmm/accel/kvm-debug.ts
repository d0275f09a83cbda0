import { DR6_BS, IA32_KERNEL_GS_BASE, IOAPIC_PINS } from '../../assembly/contract/x86.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import {
  KVM_GUESTDBG_INJECT_BP, KVM_GUESTDBG_INJECT_DB, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP, KVM_GUESTDBG_USE_SW_BP, KVM_IRQCHIP_IOAPIC,
  KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED, kvm_ioapic_state, kvm_irqchip, kvm_regs, kvm_segment, kvm_sregs,
} from '../host/uapi/kvm.ts';
import { readFpu, writeFpu } from '../kvm/fpu.ts';
import { readRegisters } from '../kvm/state.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { KvmVm } from '../kvm/vm.ts';
import type { AcceleratorDebug, Breakpoint, DebugStop, ResumeAction } from './debug-types.ts';
import type { AcceleratorContext } from './types.ts';
import type { Registers } from './vcpu.ts';

/** A debug exit as its vCPU's thread saw it. */
export interface KvmDebugExit {
  readonly index: number;
  readonly exception: number;
  readonly pc: bigint;
  readonly dr6: bigint;
}

export interface KvmDebugHost {
  readonly context: AcceleratorContext;
  vcpu(index: number): KvmVcpu;
  vm(): KvmVm | undefined;
  /** KVM_GUESTDBG_BLOCKIRQ where this kernel has it: a step is not an interrupt's handler. */
  readonly stepFlags: number;
  onStop(stop: DebugStop): void;
  running(): boolean;
  /** Lets the thread of a vCPU enter the guest. */
  run(index: number): void;
}

const EXCEPTION_DB = 1;
const EXCEPTION_BP = 3;
const INT3 = 0xcc;
const SLOTS = 4;
// DR7 (SDM Vol. 3B §17.2.4): bits 8 and 9 are the recommended exact-match flags, bit 10 reads as one.
const DR7_FIXED = 0x700n;
const DR7_KIND = { execute: 0n, write: 1n, access: 3n } as const;
const DR7_LENGTH: Readonly<Record<number, bigint>> = { 1: 0n, 2: 1n, 4: 3n, 8: 2n };

const GENERAL = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'rflags'] as const;
const CONTROL = ['cr0', 'cr2', 'cr3', 'cr4', 'cr8', 'efer'] as const;
const SEGMENTS = ['cs', 'ds', 'es', 'fs', 'gs', 'ss'] as const;

/**
 * KVM's debugger, by KVM_SET_GUEST_DEBUG. Hardware breakpoints and watchpoints are the debug registers' four; a software
 * breakpoint is INT3 in guest memory while the guest runs, and the guest's own byte while it stands.
 */
export class KvmDebug implements AcceleratorDebug {
  readonly #host: KvmDebugHost;
  readonly #ram: Uint8Array;
  #list: readonly Breakpoint[] = [];
  #slots: readonly Breakpoint[] = [];
  #software = new Set<bigint>();
  #patched: { gpa: number; byte: number }[] = [];
  #controls: number[] = [];
  /** KVM_GUESTDBG_INJECT_* that a vCPU is still owed. */
  #inject: number[] = [];

  constructor(host: KvmDebugHost) {
    this.#host = host;
    this.#ram = new Uint8Array(host.context.memory.buffer, RAM_BASE, host.context.ramSize);
  }

  /** All vCPUs stand: memory shows the guest's bytes again. */
  stopped(): void {
    for (const { gpa, byte } of this.#patched.splice(0)) {
      // The guest may have written other code there meanwhile.
      if (this.#ram[gpa] === INT3) this.#poke(gpa, byte);
    }
  }

  exited({ index, exception, pc, dr6 }: KvmDebugExit): void {
    if (exception === EXCEPTION_BP) {
      if (this.#software.has(pc)) this.#host.onStop({ vcpu: index, reason: 'breakpoint' });
      else this.#giveBack(index, KVM_GUESTDBG_INJECT_BP);
      return;
    }
    const hit = this.#slots.find((_, slot) => (dr6 & (1n << BigInt(slot))) !== 0n);
    if (hit !== undefined && hit.kind !== 'execute') this.#host.onStop({ vcpu: index, reason: 'watchpoint', access: hit.kind, address: hit.address });
    else if (hit !== undefined) this.#host.onStop({ vcpu: index, reason: 'breakpoint' });
    else if ((dr6 & BigInt(DR6_BS)) !== 0n && ((this.#controls[index] ?? 0) & KVM_GUESTDBG_SINGLESTEP) !== 0) this.#host.onStop({ vcpu: index, reason: 'step' });
    else if (exception === EXCEPTION_DB) this.#giveBack(index, KVM_GUESTDBG_INJECT_DB);
    else this.#host.onStop({ vcpu: index, reason: 'step' });
  }

  /** An INT3 or #DB of the guest's own: it gets it. */
  #giveBack(index: number, inject: number): void {
    this.#inject[index] = inject;
    // Else the debugger has just stopped the machine: the next resume hands it over.
    if (!this.#host.running()) return;
    this.#setControl(index, this.#controls[index] ?? 0);
    this.#host.run(index);
  }

  registers(vcpu: number): Registers {
    const found = readRegisters(this.#host.vcpu(vcpu));
    readFpu(this.#host.vcpu(vcpu).fpu(), found);
    return found;
  }

  setRegister(index: number, name: string, value: bigint): boolean {
    const vcpu = this.#host.vcpu(index);
    const general = GENERAL.find((known) => known === name);
    if (general !== undefined) {
      const regs = vcpu.regs();
      regs.setBigUint64(kvm_regs[general], value, true);
      vcpu.setRegs(regs);
      return true;
    }
    const control = CONTROL.find((known) => known === name);
    const segment = SEGMENTS.find((known) => `${known}_base` === name);
    if (control !== undefined || segment !== undefined) {
      const sregs = vcpu.sregs();
      if (control !== undefined) sregs.setBigUint64(kvm_sregs[control], value, true);
      else if (segment !== undefined) sregs.setBigUint64(kvm_sregs[segment] + kvm_segment.base, value, true);
      vcpu.setSregs(sregs);
      return true;
    }
    if (name === 'kernel_gs_base') {
      vcpu.setMsrs([[IA32_KERNEL_GS_BASE, value]]);
      return true;
    }
    const fpu = vcpu.fpu();
    if (!writeFpu(fpu, name, value)) return false;
    vcpu.setFpu(fpu);
    return true;
  }

  translate(vcpu: number, address: bigint): bigint | undefined {
    return this.#host.vcpu(vcpu).translate(address);
  }

  refusal(list: readonly Breakpoint[]): string | undefined {
    const hardware = list.filter(inHardware);
    if (hardware.length > SLOTS) return `at most ${SLOTS} hardware breakpoints and watchpoints`;
    for (const { kind, address, length } of hardware) {
      if (kind === 'read') return 'x86 has no watchpoints for reads alone: use awatch';
      if (DR7_LENGTH[length] === undefined || address % BigInt(length) !== 0n) return 'a watchpoint has 1, 2, 4 or 8 aligned bytes';
    }
    return undefined;
  }

  setBreakpoints(list: readonly Breakpoint[]): void {
    this.#list = list;
    this.#slots = list.filter(inHardware);
    this.#software = new Set(list.filter((point) => !inHardware(point)).map((point) => point.address));
  }

  resume(actions: readonly ResumeAction[]): void {
    this.#patch();
    actions.forEach((action, index) => {
      let control = this.#software.size > 0 ? KVM_GUESTDBG_USE_SW_BP : 0;
      if (this.#slots.length > 0) control |= KVM_GUESTDBG_USE_HW_BP;
      if (action === 'step') control |= KVM_GUESTDBG_SINGLESTEP | this.#host.stepFlags;
      this.#setControl(index, control);
      if (action !== 'hold') this.#host.run(index);
    });
  }

  #setControl(index: number, control: number): void {
    let dr7 = this.#slots.length > 0 ? DR7_FIXED : 0n;
    this.#slots.forEach(({ kind, length }, slot) => {
      const bits = kind === 'execute' ? 0n : DR7_KIND[kind === 'write' ? 'write' : 'access'] | ((DR7_LENGTH[length] ?? 0n) << 2n);
      dr7 |= (2n << BigInt(2 * slot)) | (bits << BigInt(16 + 4 * slot));
    });
    this.#host.vcpu(index).setGuestDebug(control | (this.#inject[index] ?? 0), this.#slots.map((point) => point.address), dr7);
    this.#controls[index] = control;
    this.#inject[index] = 0;
  }

  /** Puts INT3 where software breakpoints are, by the tables of the first vCPU that maps their address. */
  #patch(): void {
    const { cpus } = this.#host.context;
    for (const { address } of this.#list.filter((point) => !inHardware(point))) {
      for (let vcpu = 0; vcpu < cpus; vcpu++) {
        const gpa = this.translate(vcpu, address);
        if (gpa === undefined || gpa >= BigInt(this.#ram.length)) continue;
        const at = Number(gpa);
        const byte = this.#ram[at] as number;
        if (byte !== INT3) {
          this.#patched.push({ gpa: at, byte });
          this.#poke(at, INT3);
        }
        break;
      }
    }
  }

  #poke(gpa: number, byte: number): void {
    this.#ram[gpa] = byte;
    this.#host.context.core.guest_written(gpa, 1);
  }

  waiting(vcpu: number): 'halted' | 'not started' | undefined {
    const state = this.#host.vcpu(vcpu).mpState();
    if (state === KVM_MP_STATE_HALTED) return 'halted';
    return state === KVM_MP_STATE_UNINITIALIZED || state === KVM_MP_STATE_INIT_RECEIVED ? 'not started' : undefined;
  }

  lapic(vcpu: number): Uint8Array {
    const page = this.#host.vcpu(vcpu).lapic();
    return new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
  }

  ioapic(): readonly bigint[] {
    const state = this.#host.vm()?.irqchip(KVM_IRQCHIP_IOAPIC);
    if (state === undefined) return [];
    const view = new DataView(state.buffer, state.byteOffset + kvm_irqchip.chip + kvm_ioapic_state.redirtbl);
    return Array.from({ length: IOAPIC_PINS }, (_, pin) => view.getBigUint64(pin * 8, true));
  }
}

function inHardware(point: Breakpoint): boolean {
  return point.hardware || point.kind !== 'execute';
}

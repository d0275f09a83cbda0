import { close, ioctl, ioctlScalar, ioctlTry } from '../host/sys.ts';
import {
  KVM_GET_DEBUGREGS, KVM_GET_FPU, KVM_GET_LAPIC, KVM_GET_MP_STATE, KVM_GET_MSRS, KVM_GET_REGS, KVM_GET_SREGS, KVM_GET_TSC_KHZ, KVM_GET_VCPU_EVENTS, KVM_GET_XCRS, KVM_GET_XSAVE,
  KVM_GUESTDBG_ENABLE, KVM_NMI, KVM_RUN, KVM_SET_CPUID2, KVM_SET_DEBUGREGS, KVM_SET_FPU, KVM_SET_GUEST_DEBUG, KVM_SET_LAPIC, KVM_SET_MP_STATE, KVM_SET_MSRS, KVM_SET_REGS,
  KVM_SET_SREGS, KVM_SET_VCPU_EVENTS, KVM_SET_XCRS, KVM_SET_XSAVE, KVM_TRANSLATE, kvm_debugregs, kvm_fpu, kvm_guest_debug, kvm_lapic_state, kvm_mp_state,
  kvm_msr_entry, kvm_msrs, kvm_regs, kvm_sregs, kvm_translation, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
} from '../host/uapi/kvm.ts';
import { VmmError } from '../../base/errors.ts';
import { type CpuidEntry, writeCpuid } from './cpuid.ts';

/** An MSR's number and its 64-bit value. */
export type Msr = readonly [index: number, value: bigint];

/**
 * A vCPU descriptor. KVM lets one thread at a time in: a call on a vCPU that another thread runs waits until that
 * thread leaves KVM_RUN. State structures are handed over as KVM lays them out; offsets are in vmm/host/uapi/kvm.ts.
 */
export class KvmVcpu {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Enters the guest on this thread. 0 at an exit, else -errno: -EINTR after a kick. */
  run(): number {
    return ioctlTry(this.fd, KVM_RUN, 0);
  }

  regs(): DataView {
    return this.#get(KVM_GET_REGS, kvm_regs.sizeof, 'KVM_GET_REGS');
  }

  setRegs(regs: DataView): void {
    ioctl(this.fd, KVM_SET_REGS, regs, 'KVM_SET_REGS');
  }

  sregs(): DataView {
    return this.#get(KVM_GET_SREGS, kvm_sregs.sizeof, 'KVM_GET_SREGS');
  }

  setSregs(sregs: DataView): void {
    ioctl(this.fd, KVM_SET_SREGS, sregs, 'KVM_SET_SREGS');
  }

  fpu(): DataView {
    return this.#get(KVM_GET_FPU, kvm_fpu.sizeof, 'KVM_GET_FPU');
  }

  setFpu(fpu: DataView): void {
    ioctl(this.fd, KVM_SET_FPU, fpu, 'KVM_SET_FPU');
  }

  xsave(): DataView {
    return this.#get(KVM_GET_XSAVE, kvm_xsave.sizeof, 'KVM_GET_XSAVE');
  }

  setXsave(xsave: DataView): void {
    ioctl(this.fd, KVM_SET_XSAVE, xsave, 'KVM_SET_XSAVE');
  }

  xcrs(): DataView {
    return this.#get(KVM_GET_XCRS, kvm_xcrs.sizeof, 'KVM_GET_XCRS');
  }

  setXcrs(xcrs: DataView): void {
    ioctl(this.fd, KVM_SET_XCRS, xcrs, 'KVM_SET_XCRS');
  }

  /** The local APIC's register page, first KiB. */
  lapic(): DataView {
    return this.#get(KVM_GET_LAPIC, kvm_lapic_state.sizeof, 'KVM_GET_LAPIC');
  }

  setLapic(lapic: DataView): void {
    ioctl(this.fd, KVM_SET_LAPIC, lapic, 'KVM_SET_LAPIC');
  }

  events(): DataView {
    return this.#get(KVM_GET_VCPU_EVENTS, kvm_vcpu_events.sizeof, 'KVM_GET_VCPU_EVENTS');
  }

  setEvents(events: DataView): void {
    ioctl(this.fd, KVM_SET_VCPU_EVENTS, events, 'KVM_SET_VCPU_EVENTS');
  }

  debugregs(): DataView {
    return this.#get(KVM_GET_DEBUGREGS, kvm_debugregs.sizeof, 'KVM_GET_DEBUGREGS');
  }

  setDebugregs(debugregs: DataView): void {
    ioctl(this.fd, KVM_SET_DEBUGREGS, debugregs, 'KVM_SET_DEBUGREGS');
  }

  /** KVM_MP_STATE_*: runnable, halted, waiting for INIT or SIPI. */
  mpState(): number {
    return this.#get(KVM_GET_MP_STATE, kvm_mp_state.sizeof, 'KVM_GET_MP_STATE').getUint32(0, true);
  }

  setMpState(state: number): void {
    ioctl(this.fd, KVM_SET_MP_STATE, new Uint32Array([state]), 'KVM_SET_MP_STATE');
  }

  setCpuid(entries: readonly CpuidEntry[]): void {
    ioctl(this.fd, KVM_SET_CPUID2, writeCpuid(entries), 'KVM_SET_CPUID2');
  }

  /** Sets MSRs in order. Throws KVM_MSR with the first that KVM refuses. */
  setMsrs(msrs: readonly Msr[]): void {
    const done = ioctl(this.fd, KVM_SET_MSRS, msrList(msrs), 'KVM_SET_MSRS');
    const refused = msrs[done];
    if (refused !== undefined) throw new VmmError('KVM_MSR', `KVM_SET_MSRS: MSR 0x${refused[0].toString(16)} = 0x${refused[1].toString(16)} is refused`);
  }

  /** Values of MSRs; those that KVM does not have end the list. */
  msrs(indices: readonly number[]): Msr[] {
    const list = msrList(indices.map((index) => [index, 0n]));
    const done = ioctl(this.fd, KVM_GET_MSRS, list, 'KVM_GET_MSRS');
    return indices.slice(0, done).map((index, i) => [index, list.getBigUint64(kvm_msrs.entries + i * kvm_msr_entry.sizeof + kvm_msr_entry.data, true)]);
  }

  /** The guest's TSC rate, kHz. */
  tscKhz(): number {
    return ioctlScalar(this.fd, KVM_GET_TSC_KHZ, 0, 'KVM_GET_TSC_KHZ');
  }

  nmi(): void {
    ioctlScalar(this.fd, KVM_NMI, 0, 'KVM_NMI');
  }

  /** KVM_GUESTDBG_* flags; up to four hardware breakpoint addresses and DR7. */
  setGuestDebug(control: number, breakpoints: readonly bigint[] = [], dr7 = 0n): void {
    const debug = new DataView(new ArrayBuffer(kvm_guest_debug.sizeof));
    debug.setUint32(kvm_guest_debug.control, control === 0 ? 0 : (control | KVM_GUESTDBG_ENABLE) >>> 0, true);
    breakpoints.slice(0, 4).forEach((address, i) => {
      debug.setBigUint64(kvm_guest_debug.arch_debugreg + 8 * i, address, true);
    });
    debug.setBigUint64(kvm_guest_debug.arch_debugreg + 8 * 7, dr7, true);
    ioctl(this.fd, KVM_SET_GUEST_DEBUG, debug, 'KVM_SET_GUEST_DEBUG');
  }

  /** Guest physical address of a linear one, undefined when it is not mapped. */
  translate(linear: bigint): bigint | undefined {
    const request = new DataView(new ArrayBuffer(kvm_translation.sizeof));
    request.setBigUint64(kvm_translation.linear_address, linear, true);
    ioctl(this.fd, KVM_TRANSLATE, request, 'KVM_TRANSLATE');
    return request.getUint8(kvm_translation.valid) === 0 ? undefined : request.getBigUint64(kvm_translation.physical_address, true);
  }

  close(): void {
    close(this.fd);
  }

  #get(request: number, size: number, name: string): DataView {
    const view = new DataView(new ArrayBuffer(size));
    ioctl(this.fd, request, view, name);
    return view;
  }
}

function msrList(msrs: readonly Msr[]): DataView {
  const list = new DataView(new ArrayBuffer(kvm_msrs.sizeof + msrs.length * kvm_msr_entry.sizeof));
  list.setUint32(kvm_msrs.nmsrs, msrs.length, true);
  msrs.forEach(([index, value], i) => {
    const at = kvm_msrs.entries + i * kvm_msr_entry.sizeof;
    list.setUint32(at + kvm_msr_entry.index, index, true);
    list.setBigUint64(at + kvm_msr_entry.data, value, true);
  });
  return list;
}

/**
 * Exits of KVM: struct kvm_run (include/uapi/linux/kvm.h) of vCPU n lies at KVM_RUN_BASE + n * KVM_RUN_STRIDE, mapped
 * there by the host.
 */
import {
  VCPU_DEBUG, VCPU_EOI, VCPU_EVENT, VCPU_FAIL_ENTRY, VCPU_HLT, VCPU_INTERNAL_ERROR, VCPU_INTR, VCPU_RUN, VCPU_SHUTDOWN, VCPU_SYSTEM_EVENT,
  VCPU_UNKNOWN,
} from '../contract/vcpu';
import {
  KVM_EXIT_DEBUG, KVM_EXIT_FAIL_ENTRY, KVM_EXIT_HLT, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_INTR, KVM_EXIT_IO, KVM_EXIT_IOAPIC_EOI,
  KVM_EXIT_IO_OUT, KVM_EXIT_IRQ_WINDOW_OPEN, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN, KVM_EXIT_SYSTEM_EVENT, KVM_RUN_EXIT_REASON, KVM_RUN_IO_COUNT,
  KVM_RUN_IO_DATA_OFFSET, KVM_RUN_IO_DIRECTION, KVM_RUN_IO_PORT, KVM_RUN_IO_SIZE, KVM_RUN_MMIO_DATA, KVM_RUN_MMIO_IS_WRITE, KVM_RUN_MMIO_LEN,
  KVM_RUN_MMIO_PHYS_ADDR,
} from '../contract/generated/kvm_run';
import { KVM_RUN_BASE, KVM_RUN_STRIDE, MACHINE_BASE, VCPU_MAX } from '../core/layout';
import { bus_mmio_read, bus_mmio_write, bus_pio_read, bus_pio_write } from './access';
import { machine_exit_request } from '../core/machine';

const EXITS: usize = <usize>MACHINE_BASE + 0xb00;

@inline
function run_of(vcpu: u32): usize {
  return <usize>(KVM_RUN_BASE + vcpu * KVM_RUN_STRIDE);
}

/** Handles the exit that KVM_RUN of `vcpu` left in its page; VCPU_*. Any thread may call it that holds the vCPU. */
export function kvm_exit(vcpu: u32): i32 {
  if (vcpu >= VCPU_MAX) return VCPU_UNKNOWN;
  const run = run_of(vcpu);
  const reason = load<u32>(run, KVM_RUN_EXIT_REASON);
  atomic.add<u32>(EXITS + (<usize>min<u32>(reason, 63) << 2), 1);
  switch (reason) {
    case KVM_EXIT_IO:
      exit_io(run);
      return machine_exit_request() != 0 ? VCPU_EVENT : VCPU_RUN;
    case KVM_EXIT_MMIO:
      exit_mmio(run);
      return machine_exit_request() != 0 ? VCPU_EVENT : VCPU_RUN;
    case KVM_EXIT_INTR: return VCPU_INTR;
    case KVM_EXIT_IRQ_WINDOW_OPEN: return VCPU_RUN;
    case KVM_EXIT_HLT: return VCPU_HLT;
    case KVM_EXIT_SHUTDOWN: return VCPU_SHUTDOWN;
    case KVM_EXIT_FAIL_ENTRY: return VCPU_FAIL_ENTRY;
    case KVM_EXIT_INTERNAL_ERROR: return VCPU_INTERNAL_ERROR;
    case KVM_EXIT_SYSTEM_EVENT: return VCPU_SYSTEM_EVENT;
    case KVM_EXIT_DEBUG: return VCPU_DEBUG;
    case KVM_EXIT_IOAPIC_EOI: return VCPU_EOI;
    default: return VCPU_UNKNOWN;
  }
}

/** Ports: `count` accesses of one size to one port, data in the second page of kvm_run (string instructions: count > 1). */
function exit_io(run: usize): void {
  const out = load<u8>(run, KVM_RUN_IO_DIRECTION) == <u8>KVM_EXIT_IO_OUT;
  const size = <u32>load<u8>(run, KVM_RUN_IO_SIZE);
  const port = <u32>load<u16>(run, KVM_RUN_IO_PORT);
  const count = load<u32>(run, KVM_RUN_IO_COUNT);
  const offset = load<u64>(run, KVM_RUN_IO_DATA_OFFSET);
  if (offset > KVM_RUN_STRIDE || (size != 1 && size != 2 && size != 4)) return;
  if (<u64>count * size > <u64>KVM_RUN_STRIDE - offset) return;
  let p = run + <usize>offset;
  for (let i: u32 = 0; i < count; i++) {
    if (out) {
      const value = size == 1 ? <u32>load<u8>(p) : size == 2 ? <u32>load<u16>(p) : load<u32>(p);
      bus_pio_write(port, size, value);
    } else {
      const value = bus_pio_read(port, size);
      if (size == 1) store<u8>(p, <u8>value);
      else if (size == 2) store<u16>(p, <u16>value);
      else store<u32>(p, value);
    }
    p += size;
  }
}

/** KVM splits accesses at pages, so that lengths other than 1, 2, 4 and 8 can come; those go byte by byte. */
function exit_mmio(run: usize): void {
  const gpa = load<u64>(run, KVM_RUN_MMIO_PHYS_ADDR);
  const len = load<u32>(run, KVM_RUN_MMIO_LEN);
  const write = load<u8>(run, KVM_RUN_MMIO_IS_WRITE) != 0;
  const p = run + KVM_RUN_MMIO_DATA;
  if (len == 4) {
    if (write) bus_mmio_write(gpa, 4, load<u32>(p));
    else store<u32>(p, <u32>bus_mmio_read(gpa, 4));
  } else if (len == 8) {
    if (write) bus_mmio_write(gpa, 8, load<u64>(p));
    else store<u64>(p, bus_mmio_read(gpa, 8));
  } else if (len == 2) {
    if (write) bus_mmio_write(gpa, 2, load<u16>(p));
    else store<u16>(p, <u16>bus_mmio_read(gpa, 2));
  } else if (len < 8) {
    for (let i: u32 = 0; i < len; i++) {
      if (write) bus_mmio_write(gpa + i, 1, load<u8>(p + i));
      else store<u8>(p + i, <u8>bus_mmio_read(gpa + i, 1));
    }
  }
}

/** How often `kvm_exit` has seen KVM_EXIT_* `reason`. */
export function kvm_exits(reason: u32): u32 {
  return reason < 64 ? atomic.load<u32>(EXITS + (<usize>reason << 2)) : 0;
}

/**
 * The machine header at MACHINE_BASE: what all threads of one machine share beside device states.
 *
 *   0x000  class Machine
 *   0x100  regions of guest memory, REGION_MAX × 32 bytes
 *   0x200  bus ranges, BUS_MAX × 32 bytes (assembly/core/bus.ts)
 *   0xb00  exits of KVM by reason, 64 × u32 (assembly/io/kvm_run.ts)
 */
import { MACHINE_EV_LAST_END } from '../contract/machine';
import { EINVAL, ENOSPC } from '../contract/generated/errno';
import { host_event } from './host';
import { MACHINE_BASE, MACHINE_SIZE, RAM_BASE, RAM_MAX, VCPU_MAX } from './layout';

export const MACHINE_MAGIC: u32 = 0x314d_4d56; // "VMM1"
export const MACHINE_VERSION: u32 = 1;

export const REGION_MAX: u32 = 8;
const REGIONS: usize = <usize>MACHINE_BASE + 0x100;
const REGION_SIZE: usize = 32;

@unmanaged
export class Machine {
  magic: u32;
  version: u32;
  flags: u32;
  vcpu_count: u32;
  ram_bytes: u32;
  region_count: u32;
  range_count: u32;
  range_hint: u32;
  exit_request: u32; // atomic: MACHINE_EV_* that ends the run, 0 = none; run loops poll it
  exit_arg: u32;
  trace: u32; // TRACE_* bits
  pio_unclaimed: u32; // atomic counters
  mmio_unclaimed: u32;
  pio_count: u32;
  mmio_count: u32;
  irq_count: u32;
}

/** A piece of guest memory: `linear` is its offset here, 0 when only the host reaches it by system calls. */
@unmanaged
export class Region {
  gpa: u64;
  len: u64;
  linear: u32;
  flags: u32;
  reserved: u64;
}

@inline
export function machine(): Machine {
  return changetype<Machine>(<usize>MACHINE_BASE);
}

@inline
export function region(index: u32): Region {
  return changetype<Region>(REGIONS + <usize>index * REGION_SIZE);
}

/**
 * Starts a machine of `ram_bytes` (a multiple of 4096, at most RAM_MAX) and `vcpus`. Called once, by one thread, before
 * any device is added. 0, or -EINVAL.
 */
export function machine_init(ram_bytes: u32, vcpus: u32, flags: u32): i32 {
  if (ram_bytes == 0 || ram_bytes > RAM_MAX || (ram_bytes & 0xfff) != 0 || vcpus == 0 || vcpus > VCPU_MAX) return -EINVAL;
  memory.fill(MACHINE_BASE, 0, MACHINE_SIZE);
  const m = machine();
  m.magic = MACHINE_MAGIC;
  m.version = MACHINE_VERSION;
  m.flags = flags;
  m.vcpu_count = vcpus;
  m.ram_bytes = ram_bytes;
  return region_add(0, ram_bytes, true);
}

/**
 * Adds a piece of guest memory. One inside the linear memory lies at RAM_BASE + gpa, so that a page's number is the
 * same in the dirty bitmap, the code marks and guest physical addresses. 0, -EINVAL or -ENOSPC.
 */
export function region_add(gpa: u64, len: u64, inside: bool): i32 {
  const m = machine();
  if (m.region_count >= REGION_MAX) return -ENOSPC;
  if (len == 0 || gpa + len < gpa || ((gpa | len) & 0xfff) != 0) return -EINVAL;
  if (inside && gpa + len > <u64>RAM_MAX) return -EINVAL;
  for (let i: u32 = 0; i < m.region_count; i++) {
    const r = region(i);
    if (gpa < r.gpa + r.len && r.gpa < gpa + len) return -EINVAL;
  }
  const r = region(m.region_count);
  r.gpa = gpa;
  r.len = len;
  r.linear = inside ? RAM_BASE + <u32>gpa : 0;
  r.flags = 0;
  m.region_count++;
  return 0;
}

/** Tells the host of an event; one that ends the run is kept in `exit_request`, the first wins. */
export function machine_event(kind: u32, a: u32, b: u64): void {
  const m = machine();
  if (kind < MACHINE_EV_LAST_END) {
    if (atomic.cmpxchg<u32>(changetype<usize>(m) + offsetof<Machine>('exit_request'), 0, kind) == 0) m.exit_arg = a;
  }
  host_event(kind, a, b);
}

/** What ends the run, or 0. */
export function machine_exit_request(): u32 {
  return atomic.load<u32>(changetype<usize>(machine()) + offsetof<Machine>('exit_request'));
}

export function machine_exit_clear(): void {
  atomic.store<u32>(changetype<usize>(machine()) + offsetof<Machine>('exit_request'), 0);
}

/** Chooses what `host_event` is told of: TRACE_* bits. */
export function machine_trace(mask: u32): void {
  machine().trace = mask;
}

/** Counter `index`, in the order of class Machine from `pio_unclaimed`. */
export function machine_counter(index: u32): u32 {
  if (index > 4) return 0;
  return load<u32>(changetype<usize>(machine()) + offsetof<Machine>('pio_unclaimed') + (<usize>index << 2));
}

@inline
export function count(field: usize): void {
  atomic.add<u32>(<usize>MACHINE_BASE + field, 1);
}

/**
 * Port and MMIO bus: finds the device of an address and hands it the offset in its own range. Ranges never overlap. An
 * access that no range holds as a whole reads all ones, is ignored as a write, and is counted.
 */
import { EEXIST, EINVAL, ENOSPC } from '../contract/generated/errno';
import { MACHINE_BASE } from './layout';
import {
  MACHINE_EV_TRACE_MMIO, MACHINE_EV_TRACE_PIO, Machine, TRACE_MMIO, TRACE_PIO, count, machine, machine_event,
} from './machine';
import { virtio_mmio_read, virtio_mmio_write } from '../virtio/transport';
import { serial_read, serial_write } from '../legacy/serial';
import { i8042_read, i8042_write } from '../legacy/i8042';
import { rtc_read, rtc_write } from '../legacy/rtc';
import { power_read, power_write } from '../legacy/power';

export const BUS_PIO: u32 = 0;
export const BUS_MMIO: u32 = 1;

// What sits behind a range. The software CPU's interrupt controllers and timers are reached before the bus (assembly/cpu/memory/mmio.ts, ioport.ts).
export const BUS_VIRTIO: u32 = 1; // arg = device slot
export const BUS_SERIAL: u32 = 2;
export const BUS_I8042: u32 = 3; // arg = 0 for port 0x60, 4 for port 0x64
export const BUS_RTC: u32 = 4;
export const BUS_POWER: u32 = 5; // arg = POWER_*

export const BUS_MAX: u32 = 64;
const RANGES: usize = <usize>MACHINE_BASE + 0x200;
const RANGE_SIZE: usize = 32;

@unmanaged
export class Range {
  base: u64;
  len: u64;
  space: u32;
  kind: u32;
  arg: u32;
  reserved: u32;
}

@inline
function range(index: u32): Range {
  return changetype<Range>(RANGES + <usize>index * RANGE_SIZE);
}

/** Claims `base`..`base + len` of `space`. 0, -EINVAL (empty, wraps, or a port above 0xffff), -EEXIST (overlaps), -ENOSPC. */
export function bus_add(space: u32, base: u64, len: u64, kind: u32, arg: u32): i32 {
  const m = machine();
  if (len == 0 || base + (len - 1) < base || space > BUS_MMIO) return -EINVAL;
  if (space == BUS_PIO && base + len > 0x1_0000) return -EINVAL;
  if (m.range_count >= BUS_MAX) return -ENOSPC;
  for (let i: u32 = 0; i < m.range_count; i++) {
    const r = range(i);
    if (r.space == space && base <= r.base + (r.len - 1) && r.base <= base + (len - 1)) return -EEXIST;
  }
  const r = range(m.range_count);
  r.base = base;
  r.len = len;
  r.space = space;
  r.kind = kind;
  r.arg = arg;
  m.range_count++;
  return 0;
}

/** The range that holds all of `addr`..`addr + size`, or null. The last one found is tried first: exits come in runs. */
function bus_find(space: u32, addr: u64, size: u32): Range {
  const m = machine();
  const n = m.range_count;
  const hint = m.range_hint; // other threads write it too: any value is good once checked
  if (hint < n) {
    const r = range(hint);
    const offset = addr - r.base;
    if (r.space == space && offset < r.len && <u64>size <= r.len - offset) return r;
  }
  for (let i: u32 = 0; i < n; i++) {
    const r = range(i);
    const offset = addr - r.base;
    if (r.space == space && offset < r.len && <u64>size <= r.len - offset) {
      m.range_hint = i;
      return r;
    }
  }
  return changetype<Range>(0);
}

@inline
function ones(size: u32): u64 {
  return size >= 8 ? 0xffff_ffff_ffff_ffff : (<u64>1 << (size << 3)) - 1;
}

/** `size` is 1, 2 or 4. */
export function bus_pio_read(port: u32, size: u32): u32 {
  const m = machine();
  count(offsetof<Machine>('pio_count'));
  const r = bus_find(BUS_PIO, <u64>(port & 0xffff), size);
  let value: u32 = <u32>ones(size);
  if (changetype<usize>(r) == 0) {
    count(offsetof<Machine>('pio_unclaimed'));
  } else {
    const offset = (port & 0xffff) - <u32>r.base;
    switch (r.kind) {
      case BUS_SERIAL: value = serial_read(offset); break;
      case BUS_I8042: value = i8042_read(r.arg + offset); break;
      case BUS_RTC: value = rtc_read(offset); break;
      case BUS_POWER: value = power_read(r.arg); break;
      default: break;
    }
    value &= <u32>ones(size);
  }
  if ((m.trace & TRACE_PIO) != 0) machine_event(MACHINE_EV_TRACE_PIO, (port & 0xffff) | (size << 16), value);
  return value;
}

export function bus_pio_write(port: u32, size: u32, value: u32): void {
  const m = machine();
  count(offsetof<Machine>('pio_count'));
  if ((m.trace & TRACE_PIO) != 0) machine_event(MACHINE_EV_TRACE_PIO, (port & 0xffff) | (size << 16) | (1 << 24), value);
  const r = bus_find(BUS_PIO, <u64>(port & 0xffff), size);
  if (changetype<usize>(r) == 0) {
    count(offsetof<Machine>('pio_unclaimed'));
    return;
  }
  const offset = (port & 0xffff) - <u32>r.base;
  switch (r.kind) {
    case BUS_SERIAL: serial_write(offset, value); break;
    case BUS_I8042: i8042_write(r.arg + offset, value); break;
    case BUS_RTC: rtc_write(offset, value); break;
    case BUS_POWER: power_write(r.arg, value); break;
    default: break;
  }
}

/** `size` is 1, 2, 4 or 8. */
export function bus_mmio_read(gpa: u64, size: u32): u64 {
  const m = machine();
  count(offsetof<Machine>('mmio_count'));
  const r = bus_find(BUS_MMIO, gpa, size);
  let value: u64 = ones(size);
  if (changetype<usize>(r) == 0) {
    count(offsetof<Machine>('mmio_unclaimed'));
  } else {
    const offset = <u32>(gpa - r.base);
    if (r.kind == BUS_VIRTIO) value = virtio_mmio_read(r.arg, offset, size);
    value &= ones(size);
  }
  if ((m.trace & TRACE_MMIO) != 0) trace_mmio(gpa, size, 0, value);
  return value;
}

export function bus_mmio_write(gpa: u64, size: u32, value: u64): void {
  const m = machine();
  count(offsetof<Machine>('mmio_count'));
  if ((m.trace & TRACE_MMIO) != 0) trace_mmio(gpa, size, 0x80, value);
  const r = bus_find(BUS_MMIO, gpa, size);
  if (changetype<usize>(r) == 0) {
    count(offsetof<Machine>('mmio_unclaimed'));
    return;
  }
  const offset = <u32>(gpa - r.base);
  if (r.kind == BUS_VIRTIO) virtio_mmio_write(r.arg, offset, size, value & ones(size));
}

/** a = the low 32 bits of the address; b = the low 56 bits of the value, size and direction above. */
function trace_mmio(gpa: u64, size: u32, write: u32, value: u64): void {
  machine_event(MACHINE_EV_TRACE_MMIO, <u32>gpa, (value & 0x00ff_ffff_ffff_ffff) | (<u64>(size | write) << 56));
}

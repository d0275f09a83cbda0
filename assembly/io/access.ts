/**
 * An access of the guest to a port or to MMIO: the device that claimed the range gets the offset in it. One that no range
 * holds as a whole reads all ones, is ignored as a write, and is counted. The one file that knows all devices.
 */
import { MACHINE_EV_TRACE_MMIO, MACHINE_EV_TRACE_PIO, TRACE_MMIO, TRACE_PIO } from '../contract/machine';
import { BUS_MMIO, BUS_PIO, bus_find } from '../core/bus';
import { BUS_I8042, BUS_POWER, BUS_RTC, BUS_SERIAL, BUS_VIRTIO } from '../core/kinds';
import { Machine, count, machine, machine_event } from '../core/machine';
import { i8042_read, i8042_write } from '../legacy/i8042';
import { power_read, power_write } from '../legacy/power';
import { rtc_read, rtc_write } from '../legacy/rtc';
import { serial_read, serial_write } from '../legacy/serial';
import { virtio_mmio_read, virtio_mmio_write } from '../virtio/transport';

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

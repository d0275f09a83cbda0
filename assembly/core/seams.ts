/**
 * Where bus and devices meet the software CPU (assembly/cpu): interrupt controllers in the core, and decoded code that
 * a device overwrites.
 */

/** A device or the host wrote guest memory that decoded code came from. */
export function code_written(pa: u32, len: u32): void {}

/** Level of IOAPIC pin and ISA line `line` of the core's own interrupt controllers. */
export function soft_irq(line: u32, level: u32): void {}

/** Reads of the core's own interrupt controllers and timers; `arg` is what their `bus_add` gave. */
export function soft_pio_read(arg: u32, offset: u32, size: u32): u32 {
  return 0xffff_ffff;
}

export function soft_pio_write(arg: u32, offset: u32, size: u32, value: u32): void {}

export function soft_mmio_read(arg: u32, offset: u32, size: u32): u64 {
  return 0xffff_ffff_ffff_ffff;
}

export function soft_mmio_write(arg: u32, offset: u32, size: u32, value: u64): void {}

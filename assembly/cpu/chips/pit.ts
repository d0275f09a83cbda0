/**
 * The 8254 timer's channels 0 and 2 (Intel 8254 datasheet) and port 0x61: for kernels that measure or tick with it. Time
 * is vCPU 0's TSC (`pit_now`); channel 0 interrupts through ISA line 0. State in the IRQCHIP area at +0x300, under
 * CHIP_LOCK, one block of 64 bytes a channel, port 0x61 at +0x3c0.
 */
import { IRQCHIP_BASE } from '../../core/layout';
import { lock, unlock } from '../../core/lock';
import { set_pin } from './ioapic';
import { pic_set_line } from './pic';
import { CHIP_LOCK } from '../vcpu/smp';

const CHANNELS: usize = IRQCHIP_BASE + 0x300;
const PORT61: usize = IRQCHIP_BASE + 0x3c0;
const PIT_HZ: u64 = 1_193_182;

@unmanaged
class Channel {
  start: u64; // TSC when counting began
  next: u64; // TSC of channel 0's next interrupt, 0 = none
  reload: u32; // 1..65536; 0 = not programmed
  mode: u32;
  access: u32; // 1 low, 2 high, 3 low then high
  write_low: u32; // first byte of a two-byte write, + 0x100 when one is there
  latch: u32; // latched count, + 0x10000 when there is one
  read_high: u32;
  status: u32; // latched status, + 0x100 when there is one
  gate: u32;
}

function channel(i: u32): Channel {
  return changetype<Channel>(CHANNELS + (i << 6));
}

export function pit_reset(): void {
  memory.fill(CHANNELS, 0, 0x100);
  channel(0).gate = 1;
  channel(1).gate = 1;
}

@inline
function ticks(ns: u64): u64 {
  // ns · 1193182 / 10⁹ without overflow for a century
  return (ns / 1_000_000_000) * PIT_HZ + ((ns % 1_000_000_000) * PIT_HZ) / 1_000_000_000;
}

@inline
function span(t: u64): u64 {
  // t · 10⁹ / 1193182, rounded up, as far as `ticks` goes
  return (t / PIT_HZ) * 1_000_000_000 + ((t % PIT_HZ) * 1_000_000_000 + PIT_HZ - 1) / PIT_HZ;
}

function periodic(p: Channel): bool {
  return p.mode == 2 || p.mode == 3;
}

/** The counter's value at `now`. */
function counter(p: Channel, now: u64): u32 {
  if (p.reload == 0) return 0;
  if (!p.gate) return p.reload & 0xffff;
  const t = ticks(now - p.start);
  if (p.mode == 3) return <u32>(p.reload - ((2 * t) % p.reload)) & 0xfffe;
  if (p.mode == 2) return <u32>(p.reload - (t % p.reload)) & 0xffff;
  return <u32>(<u64>p.reload - t) & 0xffff;
}

/** The output pin. */
function output(p: Channel, now: u64): u32 {
  if (p.reload == 0) return p.mode == 0 ? 0 : 1;
  const t = p.gate ? ticks(now - p.start) : 0;
  if (p.mode == 2) return 1;
  if (p.mode == 3) return t % p.reload < (p.reload + 1) / 2 ? 1 : 0;
  return t >= p.reload ? 1 : 0;
}

function load_count(i: u32, v: u32, now: u64): void {
  const p = channel(i);
  p.reload = v ? v : 0x1_0000;
  p.start = now;
  if (i == 0) p.next = now + span(p.reload);
}

/** TSC of the next tick of channel 0, 0 = none. */
export function pit_expiry(): u64 {
  return channel(0).next;
}

/** vCPU 0's TSC was moved by `delta`: all channels go on as if it had not. `start` may wrap, only differences count. */
export function pit_shift(delta: u64): void {
  lock(CHIP_LOCK);
  for (let i: u32 = 0; i < 3; i++) channel(i).start += delta;
  if (channel(0).next != 0) channel(0).next += delta;
  unlock(CHIP_LOCK);
}

/** Raises channel 0's interrupt if it is due. */
export function pit_poll(now: u64): void {
  const p = channel(0);
  if (p.next == 0 || now < p.next) return;
  lock(CHIP_LOCK);
  if (periodic(p)) {
    const t = ticks(now - p.start) / p.reload + 1;
    p.next = p.start + span(t * p.reload);
  } else p.next = 0;
  // IRQ 0 is pin 0 in an MP table and pin 2 where firmware wired it so
  pic_set_line(0, 1);
  set_pin(0, 1);
  set_pin(2, 1);
  pic_set_line(0, 0);
  set_pin(0, 0);
  set_pin(2, 0);
  unlock(CHIP_LOCK);
}

/** Reads port 0x40..0x43 or 0x61 at `pit_now`. */
export function pit_read(port: u32, now: u64): u32 {
  if (port == 0x61) {
    // bit 4: the refresh toggle that old kernels time by; bit 5: channel 2's output
    return (load<u32>(PORT61) & 0xf) | (<u32>(now / 15_085) & 1 ? 0x10 : 0) | (output(channel(2), now) << 5);
  }
  if (port == 0x43) return 0;
  lock(CHIP_LOCK);
  const p = channel(port & 3);
  let v: u32;
  if (p.status) {
    v = p.status & 0xff;
    p.status = 0;
  } else {
    const count = p.latch ? p.latch & 0xffff : counter(p, now);
    if (p.access == 2 || (p.access == 3 && p.read_high)) {
      v = count >> 8;
      p.latch = 0;
      p.read_high = 0;
    } else {
      v = count & 0xff;
      if (p.access == 3) p.read_high = 1;
      else p.latch = 0;
    }
  }
  unlock(CHIP_LOCK);
  return v;
}

export function pit_write(port: u32, v: u32, now: u64): void {
  lock(CHIP_LOCK);
  if (port == 0x61) {
    const p = channel(2);
    store<u32>(PORT61, v & 3);
    if (v & 1 && !p.gate) p.start = now;
    p.gate = v & 1;
  } else if (port == 0x43) control(v, now);
  else {
    const i = port & 3;
    const p = channel(i);
    if (p.access == 1) load_count(i, v, now);
    else if (p.access == 2) load_count(i, v << 8, now);
    else if (p.write_low) {
      load_count(i, (p.write_low & 0xff) | (v << 8), now);
      p.write_low = 0;
    } else p.write_low = 0x100 | v;
  }
  unlock(CHIP_LOCK);
}

function control(v: u32, now: u64): void {
  const i = v >> 6;
  if (i == 3) {
    // Read-back
    for (let n: u32 = 0; n < 3; n++) {
      if (!(v & (2 << n))) continue;
      const p = channel(n);
      if (!(v & 0x20) && !p.latch) p.latch = 0x1_0000 | counter(p, now);
      if (!(v & 0x10)) p.status = 0x100 | (output(p, now) << 7) | (p.access << 4) | (p.mode << 1);
    }
    return;
  }
  const p = channel(i);
  const access = (v >> 4) & 3;
  if (access == 0) {
    if (!p.latch) p.latch = 0x1_0000 | counter(p, now);
    return;
  }
  p.access = access;
  p.mode = (v >> 1) & 7;
  if (p.mode > 5) p.mode &= 3;
  p.reload = 0;
  p.next = 0;
  p.latch = 0;
  p.write_low = 0;
  p.read_high = 0;
  p.status = 0;
}

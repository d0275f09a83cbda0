/**
 * The IOAPIC, 24 pins (Intel 82093AA datasheet), shared by all vCPUs and by whoever raises a line. State in the
 * IRQCHIP area, under CHIP_LOCK:
 *
 *   +0x100 u32 IOREGSEL   +0x104 u32 id   +0x108 u32 line levels   +0x10c u32 requests not yet sent
 *   +0x110 24 × u64 redirection entries
 */
import { IOAPIC_TABLE } from '../../contract/vcpu';
import { IOAPIC_PINS } from '../../contract/x86';
import { IRQCHIP_BASE } from '../../core/layout';
import { lock, unlock } from '../../core/lock';
import { apic_send } from './apic';
import { pic_set_line } from './pic';
import { CHIP_LOCK, cpu_count } from '../vcpu/smp';

const SELECT: usize = IRQCHIP_BASE + 0x100;
const ID: usize = IRQCHIP_BASE + 0x104;
const LEVELS: usize = IRQCHIP_BASE + 0x108;
const REQUESTS: usize = IRQCHIP_BASE + 0x10c;
const TABLE: usize = IRQCHIP_BASE + IOAPIC_TABLE;

const IOAPIC_VERSION: u32 = 0x11 | ((IOAPIC_PINS - 1) << 16);

const RTE_LOGICAL: u64 = 0x800;
// Bit 13 (active low) is the line's sense, already resolved by who drives it.
const RTE_REMOTE_IRR: u64 = 0x4000;
const RTE_LEVEL: u64 = 0x8000;
const RTE_MASKED: u64 = 0x1_0000;
const RTE_READ_ONLY: u64 = 0x5000; // delivery status, remote IRR

export function ioapic_reset(): void {
  store<u32>(SELECT, 0);
  store<u32>(ID, cpu_count() << 24);
  store<u32>(LEVELS, 0);
  store<u32>(REQUESTS, 0);
  for (let i: u32 = 0; i < IOAPIC_PINS; i++) store<u64>(TABLE + (i << 3), RTE_MASKED);
}

/** Sends what pin `pin` asks for, if its entry lets it. Lock held. */
function service(pin: u32): void {
  const at = TABLE + (pin << 3);
  const rte = load<u64>(at);
  const bit: u32 = 1 << pin;
  if (!(load<u32>(REQUESTS) & bit) || rte & RTE_MASKED) return;
  const level = (rte & RTE_LEVEL) != 0;
  if (level) {
    if (rte & RTE_REMOTE_IRR) return;
    store<u64>(at, rte | RTE_REMOTE_IRR);
  } else store<u32>(REQUESTS, load<u32>(REQUESTS) & ~bit);
  const mode = <u32>(rte >> 8) & 7;
  apic_send(<u32>(rte >> 56), (rte & RTE_LOGICAL) != 0, mode, <u32>rte & 0xff, level);
}

/** Level (0 or 1) of pin and ISA line `line`: the IOAPIC, and below 16 the PIC too. From any thread. */
export function ioapic_set_irq(line: u32, level: u32): void {
  if (line >= IOAPIC_PINS) return;
  lock(CHIP_LOCK);
  if (line < 16) pic_set_line(line, level);
  set_pin(line, level);
  unlock(CHIP_LOCK);
}

/** Lock held. An edge that meets a masked pin waits for the mask to go. */
export function set_pin(pin: u32, level: u32): void {
  const bit: u32 = 1 << pin;
  const levels = load<u32>(LEVELS);
  const rte = load<u64>(TABLE + (pin << 3));
  if (level) {
    store<u32>(LEVELS, levels | bit);
    if (rte & RTE_LEVEL || !(levels & bit)) {
      store<u32>(REQUESTS, load<u32>(REQUESTS) | bit);
      service(pin);
    }
  } else {
    store<u32>(LEVELS, levels & ~bit);
    if (rte & RTE_LEVEL) store<u32>(REQUESTS, load<u32>(REQUESTS) & ~bit);
  }
}

/** A vCPU ended the level-triggered interrupt `vector`: pins that still ask send again. */
export function ioapic_eoi(vector: u32): void {
  lock(CHIP_LOCK);
  for (let pin: u32 = 0; pin < IOAPIC_PINS; pin++) {
    const at = TABLE + (pin << 3);
    const rte = load<u64>(at);
    if ((<u32>rte & 0xff) != vector || !(rte & RTE_LEVEL)) continue;
    store<u64>(at, rte & ~RTE_REMOTE_IRR);
    if (load<u32>(LEVELS) & (1 << pin)) store<u32>(REQUESTS, load<u32>(REQUESTS) | (1 << pin));
    service(pin);
  }
  unlock(CHIP_LOCK);
}

/** Reads the 32-bit register at `offset` in the IOAPIC's page. */
export function ioapic_read(offset: u32): u32 {
  if (offset == 0) return load<u32>(SELECT);
  if (offset != 0x10) return 0;
  const index = load<u32>(SELECT);
  if (index == 0 || index == 2) return load<u32>(ID);
  if (index == 1) return IOAPIC_VERSION;
  const pin = (index - 0x10) >> 1;
  if (index < 0x10 || pin >= IOAPIC_PINS) return 0;
  return load<u32>(TABLE + (pin << 3) + ((index & 1) << 2));
}

export function ioapic_write(offset: u32, v: u32): void {
  lock(CHIP_LOCK);
  if (offset == 0) store<u32>(SELECT, v & 0xff);
  else if (offset == 0x10) {
    const index = load<u32>(SELECT);
    const pin = (index - 0x10) >> 1;
    if (index == 0) store<u32>(ID, v & 0x0f00_0000);
    else if (index >= 0x10 && pin < IOAPIC_PINS) write_entry(pin, (index & 1) != 0, v);
  }
  unlock(CHIP_LOCK);
}

function write_entry(pin: u32, high: bool, v: u32): void {
  const at = TABLE + (pin << 3);
  const old = load<u64>(at);
  let rte: u64;
  if (high) rte = (old & 0xffff_ffff) | (<u64>(v & 0xff00_0000) << 32);
  else rte = (old & 0xffff_ffff_0000_0000) | (<u64>v & 0x1_afff) | (old & RTE_READ_ONLY);
  // Switching a pin to edge forgets an interrupt in service: the old way to clear a stuck one
  if (!(rte & RTE_LEVEL)) rte &= ~RTE_REMOTE_IRR;
  store<u64>(at, rte);
  const bit: u32 = 1 << pin;
  if (rte & RTE_LEVEL) {
    if (load<u32>(LEVELS) & bit) store<u32>(REQUESTS, load<u32>(REQUESTS) | bit);
    else store<u32>(REQUESTS, load<u32>(REQUESTS) & ~bit);
  }
  service(pin);
}

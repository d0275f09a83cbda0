/**
 * The 8259A pair (Intel 8259A datasheet): enough for kernels that probe, mask or use it. State in the IRQCHIP area,
 * under CHIP_LOCK, one block each at +0x200 (master) and +0x240 (slave), u32 fields.
 */
import { IRQCHIP_BASE } from '../../core/layout';
import { lock, unlock } from '../../core/lock';
import { CHIP_LOCK, cpu_at, cpu_signal } from '../vcpu/smp';
import { PEND_INTR } from '../vcpu/state';

const MASTER: usize = IRQCHIP_BASE + 0x200;
const SLAVE: usize = IRQCHIP_BASE + 0x240;

@unmanaged
class Pic {
  irr: u32;
  imr: u32;
  isr: u32;
  lines: u32;
  base: u32; // vector of IRQ 0 of this chip (ICW2)
  step: u32; // next initialization word expected at the data port, 0 = none
  icw4: u32; // ICW1 said that ICW4 follows
  auto_eoi: u32;
  read_isr: u32;
  elcr: u32; // 1 = level-triggered
  rotate: u32; // lowest-priority line + 1, mod 8
}

function chip(at: usize): Pic {
  return changetype<Pic>(at);
}

export function pic_reset(): void {
  memory.fill(MASTER, 0, 0x80);
}

/** Line with the highest priority in `mask`, or 8. */
function first(p: Pic, mask: u32): u32 {
  if (mask == 0) return 8;
  for (let i: u32 = 0; i < 8; i++) {
    const line = (i + p.rotate) & 7;
    if (mask & (1 << line)) return line;
  }
  return 8;
}

/** The line a chip asks service for, or 8. */
function wants(p: Pic): u32 {
  const line = first(p, p.irr & ~p.imr);
  if (line == 8) return 8;
  const busy = first(p, p.isr);
  if (busy == 8) return line;
  return ((line - p.rotate) & 7) < ((busy - p.rotate) & 7) ? line : 8;
}

/** Carries the slave's output to the master and the master's to vCPU 0. */
function update(): void {
  const m = chip(MASTER);
  if (wants(chip(SLAVE)) < 8) m.irr |= 4;
  else m.irr &= ~4;
  if (wants(m) < 8) cpu_signal(cpu_at(0), PEND_INTR);
}

/** ISA line 0..15. Lock held. */
export function pic_set_line(line: u32, level: u32): void {
  const p = chip(line < 8 ? MASTER : SLAVE);
  const bit: u32 = 1 << (line & 7);
  if (level) {
    if (!(p.lines & bit) || p.elcr & bit) p.irr |= bit;
    p.lines |= bit;
  } else {
    p.lines &= ~bit;
    if (p.elcr & bit) p.irr &= ~bit;
  }
  // Before the first initialization nothing is unmasked by intent
  if (m_ready()) update();
}

@inline
function m_ready(): bool {
  return chip(MASTER).base != 0;
}

/** INTR of the master. */
export function pic_intr(): bool {
  return m_ready() && wants(chip(MASTER)) < 8;
}

function take(p: Pic, line: u32): void {
  const bit: u32 = 1 << line;
  if (!p.auto_eoi) p.isr |= bit;
  if (!(p.elcr & bit)) p.irr &= ~bit;
}

/** Interrupt acknowledge: the vector, or -1 when INTR is not asserted. */
export function pic_ack(): i32 {
  if (!pic_intr()) return -1;
  lock(CHIP_LOCK);
  const m = chip(MASTER);
  let vector: i32 = -1;
  const line = wants(m);
  if (line < 8) {
    if (line == 2) {
      const s = chip(SLAVE);
      const inner = wants(s);
      take(m, 2);
      if (inner < 8) take(s, inner);
      vector = s.base + (inner < 8 ? inner : 7); // 7: spurious
    } else {
      take(m, line);
      vector = m.base + line;
    }
    update();
  }
  unlock(CHIP_LOCK);
  return vector;
}

/** Reads port 0x20, 0x21, 0xa0 or 0xa1. */
export function pic_read(port: u32): u32 {
  const p = chip(port & 0x80 ? SLAVE : MASTER);
  if (port & 1) return p.imr;
  return p.read_isr ? p.isr : p.irr;
}

export function pic_write(port: u32, v: u32): void {
  lock(CHIP_LOCK);
  const p = chip(port & 0x80 ? SLAVE : MASTER);
  if (port & 1) write_data(p, v);
  else write_command(p, v);
  update();
  unlock(CHIP_LOCK);
}

function write_data(p: Pic, v: u32): void {
  switch (p.step) {
    case 2:
      p.base = v & 0xf8;
      p.step = 3;
      return;
    case 3:
      p.step = p.icw4 ? 4 : 0;
      return;
    case 4:
      p.auto_eoi = (v >> 1) & 1;
      p.step = 0;
      return;
    default:
      p.imr = v;
  }
}

function write_command(p: Pic, v: u32): void {
  if (v & 0x10) {
    // ICW1
    p.irr = 0;
    p.imr = 0;
    p.isr = 0;
    p.rotate = 0;
    p.auto_eoi = 0;
    p.read_isr = 0;
    p.icw4 = v & 1;
    p.step = 2;
    return;
  }
  if (v & 8) {
    // OCW3
    if (v & 2) p.read_isr = v & 1;
    return;
  }
  // OCW2: rotate, specific, EOI
  const line = v & 32 && v & 64 ? v & 7 : first(p, p.isr);
  if (v & 32 && line < 8) p.isr &= ~(1 << line);
  if (v & 128) {
    const low = v & 64 ? v & 7 : line;
    if (low < 8) p.rotate = (low + 1) & 7;
  }
}

/** Ports 0x4d0 and 0x4d1: edge/level control. */
export function elcr_read(port: u32): u32 {
  return chip(port & 1 ? SLAVE : MASTER).elcr;
}

export function elcr_write(port: u32, v: u32): void {
  lock(CHIP_LOCK);
  chip(port & 1 ? SLAVE : MASTER).elcr = v & (port & 1 ? 0xde : 0xf8);
  unlock(CHIP_LOCK);
}

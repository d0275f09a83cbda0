/** IN and OUT: permission (IOPL, the TSS's bitmap), the CPU side's own ports (PIC, PIT), then the machine's bus. */
import { SEG_ATTR, SEG_BASE, SEG_LIMIT } from '../../contract/vcpu';
import { bus_pio_read, bus_pio_write } from '../../io/access';
import { machine_exit_request } from '../../core/machine';
import { raise, X_GP } from '../vcpu/fault';
import { rd16_sys } from '../memory/mem';
import { elcr_read, elcr_write, pic_read, pic_write } from '../chips/pic';
import { pit_read, pit_write } from '../chips/pit';
import { ATTR_P, protected_mode, seg_ptr } from '../memory/segment';
import { cpu_at, cpu_signal } from '../vcpu/smp';
import { Cpu, FAULT_EXCEPTION, FAULT_EXIT, FAULT_LEAVE, FAULT_NONE, PEND_TIMER, SEG_TR } from '../vcpu/state';
import { block_vars, DEBUG_GUEST_IO } from '../uop/blocks';
import { guest_io } from '../debug/guest';
import { count_stat, STAT_IO } from '../vcpu/stats';
import { pit_now, timer_armed } from '../chips/tsc';

/** True when the running code may access `size` ports from `port`; else #GP(0) (SDM Vol. 1 §19.5.2). */
export function io_allowed(cpu: usize, port: u32, size: u32): bool {
  const c = changetype<Cpu>(cpu);
  if (!protected_mode(cpu) || c.cpl <= ((c.eflags >> 12) & 3)) return true;
  const tr = seg_ptr(cpu, SEG_TR);
  const limit = load<u32>(tr + SEG_LIMIT);
  const attr = load<u32>(tr + SEG_ATTR);
  if (attr & ATTR_P && attr & 8 && limit >= 0x67) {
    const base = load<u64>(tr + SEG_BASE);
    const map = rd16_sys(cpu, base + 0x66);
    if (c.fault == FAULT_EXCEPTION) return false;
    const at = map + (port >> 3);
    if (at + 1 <= limit) {
      const bits = rd16_sys(cpu, base + at);
      if (c.fault == FAULT_EXCEPTION) return false;
      if (!((bits >> (port & 7)) & ((1 << size) - 1))) return true;
    }
  }
  raise(cpu, X_GP, 0);
  return false;
}

/** The machine wants out: a power, reset or debug-exit port was written. */
function look_for_exit(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  if (machine_exit_request() != 0 && (c.fault == FAULT_NONE || c.fault == FAULT_LEAVE)) c.fault = FAULT_EXIT;
}

/** IN of `size` (1, 2, 4) bytes. Check `cpu.fault`. */
export function io_in(cpu: usize, port: u32, size: u32): u32 {
  port &= 0xffff;
  if (!io_allowed(cpu, port, size)) return 0;
  count_stat(cpu, STAT_IO);
  if (block_vars(cpu).debug & DEBUG_GUEST_IO) guest_io(cpu, port, size);
  switch (port) {
    case 0x20:
    case 0x21:
    case 0xa0:
    case 0xa1: return pic_read(port);
    case 0x40:
    case 0x41:
    case 0x42:
    case 0x43:
    case 0x61: return pit_read(port, pit_now(cpu));
    case 0x4d0:
    case 0x4d1: return elcr_read(port);
  }
  const v = bus_pio_read(port, size);
  look_for_exit(cpu);
  return v;
}

/** OUT of the low `size` (1, 2, 4) bytes of `v`. The instruction has happened even when `cpu.fault` is FAULT_EXIT. */
export function io_out(cpu: usize, port: u32, size: u32, v: u32): void {
  port &= 0xffff;
  if (!io_allowed(cpu, port, size)) return;
  count_stat(cpu, STAT_IO);
  if (block_vars(cpu).debug & DEBUG_GUEST_IO) guest_io(cpu, port, size);
  switch (port) {
    case 0x20:
    case 0x21:
    case 0xa0:
    case 0xa1:
      pic_write(port, v & 0xff);
      return;
    case 0x40:
    case 0x41:
    case 0x42:
    case 0x43:
    case 0x61:
      pit_write(port, v & 0xff, pit_now(cpu));
      timer_armed(cpu);
      // The PIT is vCPU 0's, which may be halted until a later time.
      if (changetype<Cpu>(cpu).index != 0) cpu_signal(cpu_at(0), PEND_TIMER);
      return;
    case 0x4d0:
    case 0x4d1:
      elcr_write(port, v & 0xff);
      return;
    case 0x80: return; // the delay port
  }
  bus_pio_write(port, size, v);
  look_for_exit(cpu);
}

/**
 * What vCPUs do to each other: signals, and stopping the machine for a locked access that WebAssembly cannot do
 * atomically (misaligned). The machine's words for it live in the IRQCHIP area:
 *
 *   +0  u32 lock of IOAPIC, PIC and PIT      +4  u32 owner of a pause, 1 + vCPU index, 0 none
 *   +8  u32 number of vCPUs                  +16 f64 time base: host nanoseconds at TSC 0
 *   +28 u32 vCPUs that run guest code
 */
import { CPU_BASE, CPU_STRIDE, IRQCHIP_BASE } from '../../core/layout';
import { Cpu, PEND_PAUSE } from './state';
import { count_stat, STAT_PAUSES } from './stats';

export const CHIP_LOCK: usize = IRQCHIP_BASE;
const PAUSE_OWNER: usize = IRQCHIP_BASE + 4;
export const CHIP_CPUS: usize = IRQCHIP_BASE + 8;
export const CHIP_TIME: usize = IRQCHIP_BASE + 16;
const CPUS_RUNNING: usize = IRQCHIP_BASE + 28;

const PENDING: usize = offsetof<Cpu>('pending');
const WAKE: usize = offsetof<Cpu>('wake');

@inline
export function cpu_at(index: u32): usize {
  return CPU_BASE + index * CPU_STRIDE;
}

/** vCPUs of this machine. */
@inline
export function cpu_count(): u32 {
  return load<u32>(CHIP_CPUS);
}

/** Sets pending bits of any vCPU from any thread and wakes it. */
export function cpu_signal(cpu: usize, bits: u32): void {
  atomic.or<u32>(cpu + PENDING, bits);
  atomic.add<u32>(cpu + WAKE, 1);
  atomic.notify(cpu + WAKE, 1);
}

/** The vCPU's thread starts to run guest code (cpu_run's entry): waits for a pause to end first. */
export function run_enter(): void {
  while (true) {
    atomic.add<u32>(CPUS_RUNNING, 1);
    const owner = atomic.load<u32>(PAUSE_OWNER);
    if (owner == 0) return;
    atomic.sub<u32>(CPUS_RUNNING, 1);
    atomic.notify(CPUS_RUNNING, 1);
    atomic.wait<u32>(PAUSE_OWNER, owner, 1_000_000);
  }
}

/** The vCPU's thread leaves guest code (cpu_run's exit). */
export function run_leave(): void {
  atomic.sub<u32>(CPUS_RUNNING, 1);
  atomic.notify(CPUS_RUNNING, 1);
}

/** Stands still while another vCPU owns a pause; called from sys_pending. */
export function pause_wait(cpu: usize): void {
  atomic.and<u32>(cpu + PENDING, ~PEND_PAUSE);
  run_leave();
  run_enter();
}

/**
 * Stops all other vCPUs at their next block and waits until they stand. The caller then does its plain accesses and
 * calls `pause_end`. One vCPU, or a machine run by one thread: nothing to do.
 */
export function pause_begin(cpu: usize): void {
  const n = cpu_count();
  if (n <= 1 || changetype<Cpu>(cpu).time_mode != 0) return;
  count_stat(cpu, STAT_PAUSES);
  const me = changetype<Cpu>(cpu).index + 1;
  while (true) {
    const owner = atomic.cmpxchg<u32>(PAUSE_OWNER, 0, me);
    if (owner == 0) break;
    // Another one stops the machine: stand still for it, then try again
    run_leave();
    run_enter();
  }
  for (let i: u32 = 0; i < n; i++) {
    if (i + 1 != me) cpu_signal(cpu_at(i), PEND_PAUSE);
  }
  while (true) {
    const running = atomic.load<u32>(CPUS_RUNNING);
    if (running <= 1) return;
    atomic.wait<u32>(CPUS_RUNNING, running, 1_000_000);
  }
}

export function pause_end(cpu: usize): void {
  const n = cpu_count();
  if (n <= 1 || changetype<Cpu>(cpu).time_mode != 0) return;
  atomic.store<u32>(PAUSE_OWNER, 0);
  atomic.notify(PAUSE_OWNER, n);
}

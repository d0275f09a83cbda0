/** All exports of the module, by file. The host's view of them is vmm/core/exports.ts. */
export * from './devices';
export { cpu_run, cpu_set_exact, cpu_set_step } from './cpu/run';
export { cpu_wait } from './cpu/chips/timer';
export {
  count_clear, count_clock, count_fold, count_left, count_set_clock, count_timer, count_trace,
} from './cpu/execute/count';
export { flags_get as cpu_flags, flags_set as cpu_set_flags } from './cpu/vcpu/flags';
export { cpu_field, cpu_kick, cpu_reset, enter_long64, enter_protected32, irqchip_reset } from './cpu/system/reset';
export {
  blocks_drop, debug_address, debug_apply, debug_break, debug_clear, debug_clock_back, debug_reason, debug_registers_set, debug_translate,
  debug_watch,
} from './cpu/debug/debug';
export * from './cpu/jit/index';

// For tests: a start in real mode, lines and translations one by one.
export { enter_real } from './cpu/system/reset';
// For tests.
export { ioapic_set_irq } from './cpu/chips/ioapic';
// For tests.
export { mmu_peek } from './cpu/memory/mmu';

/** Entry of the tests of the integer core: the whole CPU, for small programs and single instructions. */
export { machine_init } from '../core/machine';
export { blocks_flush, block_find, code_write, guest_written_code } from './blocks';
export { flags_get, flags_set, set_flags_explicit, cond } from './flags';
export { update_mode } from './modes';
export { update_paging } from './mmu';
export { cpu_reset } from './reset';
export { cpu_run, cpu_run_raw, cpu_set_exact, cpu_set_step } from './run';
export { tlb_init, tlb_flush_all } from './tlb';
export { cpu_field, enter_long64, enter_real, irqchip_reset } from './reset';
export * from './test_decode';
export * from './test_diff';
export { lapic_set_irr, lapic_write } from './lapic';

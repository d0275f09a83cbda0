/** Entry of the tests of the integer core: the whole CPU, for small programs and single instructions. */
export { machine_init } from '../core/machine';
export { blocks_flush, block_find, code_write } from '../cpu/uop/blocks';
export { guest_written_code } from '../core/code';
export { flags_get, flags_set, set_flags_explicit, cond } from '../cpu/vcpu/flags';
export { update_mode } from '../cpu/vcpu/modes';
export { update_paging } from '../cpu/memory/mmu';
export { cpu_reset } from '../cpu/system/reset';
export { cpu_run, cpu_run_raw, cpu_set_exact, cpu_set_step } from '../cpu/run';
export { tlb_init, tlb_flush_all } from '../cpu/memory/tlb';
export { cpu_field, enter_long64, enter_real, irqchip_reset } from '../cpu/system/reset';
export * from './decode';
export * from './diff';
export { lapic_set_irr } from '../cpu/chips/apic';
export { lapic_write } from '../cpu/chips/lapic';
export { check_begin, check_clear, check_compare, check_rewind } from '../cpu/jit/check';
export { check_page } from '../cpu/memory/keep';
export { device_at, device_lock, device_unlock } from '../virtio/device';
export { device_new } from '../virtio/slot';

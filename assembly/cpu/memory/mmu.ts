/**
 * Paging: linear to physical address, with access rights, accessed and dirty bits, exact page-fault error codes
 * (Intel SDM Vol. 3A chapter 4). Modes: none, 32-bit (4 KiB, 4 MiB), PAE, 4-level. Not offered and refused in CR4:
 * SMEP, SMAP, PKE, PCIDE, LA57.
 */
import { RAM_BASE } from '../../core/layout';
import { block_vars, DEBUG_ACCESSES } from '../uop/blocks';
import { page_seen } from './watch';
import { check_page } from './keep';
import { raise, X_GP, X_PF, X_UD } from '../vcpu/fault';
import { FAULT_EXCEPTION, Cpu } from '../vcpu/state';
import {
  PAGING_32, PAGING_4, PAGING_NONE, PAGING_PAE, tlb_enter, TLB_1G, TLB_2M, TLB_ADDEND, TLB_EXEC, TLB_GLOBAL, TLB_WRITE, tlb_slot, tlb_user,
} from './tlb';

// Access kinds are the page-fault error code's bits (SDM Vol. 3A §4.7).
export const ACC_R: u32 = 0;
export const ACC_W: u32 = 2;
export const ACC_X: u32 = 16;
const PF_P: u32 = 1;
const PF_U: u32 = 4;
const PF_RSVD: u32 = 8;

/** Result of a translation that faulted. */
export const PA_FAULT: u64 = 0xffff_ffff_ffff_ffff;

const PTE_P: u64 = 1;
const PTE_W: u64 = 2;
const PTE_U: u64 = 4;
const PTE_A: u64 = 0x20;
const PTE_D: u64 = 0x40;
const PTE_PS: u64 = 0x80;
const PTE_G: u64 = 0x100;
const PTE_NX: u64 = 0x8000_0000_0000_0000;
/** MAXPHYADDR is 40 (CPUID 8000_0008). */
const PTE_ADDR: u64 = 0x0000_00ff_ffff_f000;
const PTE_HIGH: u64 = 0x000f_ff00_0000_0000; // bits 40..51

const CR0_WP: u64 = 0x1_0000;
const CR4_PSE: u64 = 0x10;
const CR4_PGE: u64 = 0x80;
const EFER_NXE: u64 = 0x800;

/** Sign extension of bit 47 holds. */
@inline
export function canonical(va: u64): bool {
  return <u64>((<i64>(va << 16)) >> 16) == va;
}

function page_fault(cpu: usize, va: u64, error: u32): u64 {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_EXCEPTION) return PA_FAULT;
  c.cr2 = va;
  raise(cpu, X_PF, error);
  return PA_FAULT;
}

/** Sets `bits` in the 8-byte entry at `pa`, which must still read `old`. False: it changed, walk again. */
@inline
function set_bits(pa: u64, old: u64, bits: u64): bool {
  if ((old & bits) == bits) return true;
  return atomic.cmpxchg<u64>(RAM_BASE + <u32>pa, old, old | bits) == old;
}

@inline
function set_bits32(pa: u64, old: u64, bits: u64): bool {
  if ((old & bits) == bits) return true;
  return atomic.cmpxchg<u32>(RAM_BASE + <u32>pa, <u32>old, <u32>(old | bits)) == <u32>old;
}

/** A translated page enters the TLB, if it is RAM and nobody looks at its accesses. Returns the physical address of `va`. */
function finish(cpu: usize, table: usize, va: u64, pa: u64, write: bool, exec: bool, flags: u32): u64 {
  const c = changetype<Cpu>(cpu);
  const page = va & ~0xfff;
  if (pa < c.ram_size && !(block_vars(cpu).debug & DEBUG_ACCESSES && page_seen(cpu, table, page))) {
    if (write && block_vars(cpu).jit_checking) check_page(cpu, <u32>pa);
    tlb_enter(cpu, table, page, RAM_BASE + <u32>(pa & ~0xfff) - <u32>page, write, exec, flags);
  }
  return pa;
}

/** Walks 4-level or PAE tables. */
function walk_64(cpu: usize, table: usize, va: u64, acc: u32, levels: u32): u64 {
  const c = changetype<Cpu>(cpu);
  const user = table == tlb_user(cpu);
  const nxe = (c.efer & EFER_NXE) != 0;
  let error: u32 = acc & (ACC_W | (nxe ? ACC_X : 0));
  if (user) error |= PF_U;
  const rsvd: u64 = PTE_HIGH | (nxe ? 0 : PTE_NX) | (levels == 3 ? 0x7ff0_0000_0000_0000 : 0);
  const record = cpu + offsetof<Cpu>('walk_pa1');
  while (true) {
    let base = levels == 4 ? c.cr3 & PTE_ADDR : c.cr3 & 0xffff_ffe0;
    let level = levels;
    let rights: u64 = PTE_W | PTE_U;
    let nx: u64 = 0;
    let entry: u64 = 0;
    let flags: u32 = 0;
    while (true) {
      const pa = base + (((va >> (12 + 9 * (level - 1))) & (level == 3 && levels == 3 ? 3 : 511)) << 3);
      entry = pa < c.ram_size ? load<u64>(RAM_BASE + <u32>pa) : 0xffff_ffff_ffff_ffff;
      if (!(entry & PTE_P)) return page_fault(cpu, va, error);
      store<u64>(record + ((level - 1) << 4), pa);
      store<u64>(record + ((level - 1) << 4), entry, 8);
      if (level == 3 && levels == 3) {
        // PAE's four top entries: present, address and reserved bits only (SDM Vol. 3A table 4-8)
        if (entry & (PTE_HIGH | 0xfff0_0000_0000_01e6)) return page_fault(cpu, va, error | PF_P | PF_RSVD);
      } else {
        if (entry & rsvd) return page_fault(cpu, va, error | PF_P | PF_RSVD);
        rights &= entry;
        nx |= entry;
        if (level == 1) break;
        if (entry & PTE_PS) {
          if (level == 4) return page_fault(cpu, va, error | PF_P | PF_RSVD);
          const low: u64 = level == 2 ? 0x1f_e000 : 0x3fff_e000; // below the address, above PAT: reserved
          if (entry & low) return page_fault(cpu, va, error | PF_P | PF_RSVD);
          flags = level == 2 ? TLB_2M : TLB_1G;
          break;
        }
      }
      base = entry & PTE_ADDR;
      level--;
    }
    if (user && !(rights & PTE_U)) return page_fault(cpu, va, error | PF_P);
    const writable = (rights & PTE_W) != 0 || (!user && !(c.cr0 & CR0_WP));
    if (acc & ACC_W && !writable) return page_fault(cpu, va, error | PF_P);
    const exec = !(nx & PTE_NX) || !nxe;
    if (acc & ACC_X && !exec) return page_fault(cpu, va, error | PF_P);

    // Rights hold: now the accessed bits from the top down, then accessed and dirty of the leaf. A changed entry: again.
    let ok = true;
    const top: u32 = levels == 3 ? 2 : 4;
    for (let l = top; l > level && ok; l--) {
      ok = set_bits(load<u64>(record + ((l - 1) << 4)), load<u64>(record + ((l - 1) << 4), 8), PTE_A);
    }
    const want: u64 = acc & ACC_W ? PTE_A | PTE_D : PTE_A;
    if (!ok || !set_bits(load<u64>(record + ((level - 1) << 4)), entry, want)) continue;
    entry |= want;
    const offset: u64 = level == 1 ? 0xfff : level == 2 ? 0x1f_ffff : 0x3fff_ffff;
    if (entry & PTE_G && c.cr4 & CR4_PGE) flags |= TLB_GLOBAL;
    return finish(cpu, table, va, (entry & PTE_ADDR & ~offset) | (va & offset), writable && (entry & PTE_D) != 0, exec, flags);
  }
}

/** Walks the two-level tables of 32-bit paging (SDM Vol. 3A §4.3). */
function walk_32(cpu: usize, table: usize, va: u64, acc: u32): u64 {
  const c = changetype<Cpu>(cpu);
  const user = table == tlb_user(cpu);
  let error: u32 = acc & ACC_W;
  if (user) error |= PF_U;
  while (true) {
    const pde_pa = (c.cr3 & 0xffff_f000) + ((va >> 22) << 2);
    const pde: u64 = pde_pa < c.ram_size ? load<u32>(RAM_BASE + <u32>pde_pa) : 0xffff_ffff;
    if (!(pde & PTE_P)) return page_fault(cpu, va, error);
    const large = (pde & PTE_PS) != 0 && (c.cr4 & CR4_PSE) != 0;
    let rights = pde;
    let leaf = pde;
    let leaf_pa = pde_pa;
    if (large) {
      if (pde & 0x3f_e000) return page_fault(cpu, va, error | PF_P | PF_RSVD); // no PSE-36
    } else {
      leaf_pa = (pde & 0xffff_f000) + (((va >> 12) & 1023) << 2);
      leaf = leaf_pa < c.ram_size ? load<u32>(RAM_BASE + <u32>leaf_pa) : 0;
      if (!(leaf & PTE_P)) return page_fault(cpu, va, error);
      rights &= leaf;
    }
    if (user && !(rights & PTE_U)) return page_fault(cpu, va, error | PF_P);
    const writable = (rights & PTE_W) != 0 || (!user && !(c.cr0 & CR0_WP));
    if (acc & ACC_W && !writable) return page_fault(cpu, va, error | PF_P);
    if (!large && !set_bits32(pde_pa, pde, PTE_A)) continue;
    const want: u64 = acc & ACC_W ? PTE_A | PTE_D : PTE_A;
    if (!set_bits32(leaf_pa, leaf, want)) continue;
    leaf |= want;
    const offset: u64 = large ? 0x3f_ffff : 0xfff;
    let flags: u32 = leaf & PTE_G && c.cr4 & CR4_PGE ? TLB_GLOBAL : 0;
    if (large) flags |= TLB_1G; // a 4 MiB page spans two 2 MiB regions: the coarser set covers it
    return finish(cpu, table, va, (leaf & 0xffff_f000 & ~offset) | (va & offset), writable && (leaf & PTE_D) != 0, true, flags);
  }
}

/** Translates after a TLB miss and fills the TLB. PA_FAULT: the exception is set. */
export function mmu_walk(cpu: usize, table: usize, va: u64, acc: u32): u64 {
  const c = changetype<Cpu>(cpu);
  const paging = c.paging;
  if (paging == PAGING_4) {
    if (!canonical(va)) {
      raise(cpu, X_GP, 0);
      return PA_FAULT;
    }
    return walk_64(cpu, table, va, acc, 4);
  }
  const low = va & 0xffff_ffff;
  if (paging == PAGING_NONE) return finish(cpu, table, low, low, true, true, 0);
  return paging == PAGING_32 ? walk_32(cpu, table, low, acc) : walk_64(cpu, table, low, acc, 3);
}

/** Physical address of `va` for access `acc` at the privilege that `table` stands for; PA_FAULT with the exception set. */
export function mmu_pa(cpu: usize, table: usize, va: u64, acc: u32): u64 {
  const e = tlb_slot(table, va);
  const tag = load<u64>(e + (acc == ACC_R ? 0 : acc == ACC_W ? TLB_WRITE : TLB_EXEC));
  if (tag == (va & ~0xfff)) return <u64>(<u32>va + load<u32>(e, TLB_ADDEND) - RAM_BASE);
  return mmu_walk(cpu, table, va, acc);
}

/**
 * Physical address of the instruction byte at `va`, with the current privilege; always RAM. PA_FAULT (all ones): the
 * exception is set. Code outside RAM reads as ones, which is an undefined opcode: #UD.
 */
export function mmu_fetch(cpu: usize, va: u64): u64 {
  const c = changetype<Cpu>(cpu);
  const table: usize = c.tlb;
  const e = tlb_slot(table, va);
  if (load<u64>(e, TLB_EXEC) == (va & ~0xfff)) return <u64>(<u32>va + load<u32>(e, TLB_ADDEND) - RAM_BASE);
  const pa = mmu_walk(cpu, table, va, ACC_X);
  if (pa != PA_FAULT && pa >= c.ram_size) {
    raise(cpu, X_UD, 0);
    return PA_FAULT;
  }
  return pa;
}

/** Recomputes the paging mode after CR0, CR4 or EFER changed. */
export function update_paging(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  if (!(c.cr0 & 0x8000_0000)) c.paging = PAGING_NONE;
  else if (c.efer & 0x400) c.paging = PAGING_4; // LMA
  else c.paging = c.cr4 & 0x20 ? PAGING_PAE : PAGING_32;
}

/** What a debugger sees: physical address of `va` by the current tables, no access bit set, no fault kept. PA_FAULT: unmapped. */
export function mmu_peek(cpu: usize, va: u64): u64 {
  const c = changetype<Cpu>(cpu);
  const low = c.paging == PAGING_4 ? va : va & 0xffff_ffff;
  if (c.paging == PAGING_NONE) return low;
  if (c.paging == PAGING_4 && !canonical(va)) return PA_FAULT;
  if (c.paging == PAGING_32) {
    const pde_pa = (c.cr3 & 0xffff_f000) + ((low >> 22) << 2);
    const pde: u64 = pde_pa < c.ram_size ? load<u32>(RAM_BASE + <u32>pde_pa) : 0;
    if (!(pde & PTE_P)) return PA_FAULT;
    if (pde & PTE_PS && c.cr4 & CR4_PSE) return (pde & 0xffc0_0000) | (low & 0x3f_ffff);
    const pte_pa = (pde & 0xffff_f000) + (((low >> 12) & 1023) << 2);
    const pte: u64 = pte_pa < c.ram_size ? load<u32>(RAM_BASE + <u32>pte_pa) : 0;
    return pte & PTE_P ? (pte & 0xffff_f000) | (low & 0xfff) : PA_FAULT;
  }
  const levels: u32 = c.paging == PAGING_PAE ? 3 : 4;
  let base = levels == 4 ? c.cr3 & PTE_ADDR : c.cr3 & 0xffff_ffe0;
  for (let level = levels; level > 0; level--) {
    const pa = base + (((low >> (12 + 9 * (level - 1))) & 511) << 3);
    const entry: u64 = pa < c.ram_size ? load<u64>(RAM_BASE + <u32>pa) : 0;
    if (!(entry & PTE_P)) return PA_FAULT;
    if (level == 1 || (entry & PTE_PS && level < 4 && !(level == 3 && levels == 3))) {
      const offset: u64 = level == 1 ? 0xfff : level == 2 ? 0x1f_ffff : 0x3fff_ffff;
      return (entry & PTE_ADDR & ~offset) | (low & offset);
    }
    base = entry & PTE_ADDR;
  }
  return PA_FAULT;
}

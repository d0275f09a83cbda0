/** The software side of test/support/cpu/cpudiff.c: same cases, same memory map, same results. */
import { SEG_BASE } from '../contract/vcpu';
import { RAM_BASE } from '../core/layout';
import { guest_written_code } from '../core/code';
import { flags_get, flags_set } from '../cpu/vcpu/flags';
import { update_mode } from '../cpu/vcpu/modes';
import { update_paging } from '../cpu/memory/mmu';
import { cpu_run_raw } from '../cpu/run';
import { seg_set, set_cpl } from '../cpu/memory/segment';
import { Cpu, CPU_SEGS, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from '../cpu/vcpu/state';
import { tlb_flush_all } from '../cpu/memory/tlb';

const CODE: u64 = 0x1000_0000;
const DATA: u64 = 0x2000_1000;
const READONLY: u64 = 0x2001_0000;
const GS_AT: u64 = DATA + 3584;

// Physical places: page tables from 0x1000, then the pages.
const PA_CODE: u32 = 0x2_0000;
const PA_DATA: u32 = 0x2_2000;
const PA_READONLY: u32 = 0x2_4000;
const PA_WINDOW: u32 = PA_DATA + 4096 - 256;

const K_LENGTH: usize = 0;
const K_NARROW: usize = 1;
const K_OFFSET: usize = 8;
const K_CODE: usize = 16;
const K_REGS: usize = 64;
const K_FLAGS: usize = 192;
const K_SEED: usize = 200;
const K_SIZE: usize = 208;
const R_RIP: usize = 128;
const R_FLAGS: usize = 136;
const R_VECTOR: usize = 144;
const R_ERROR: usize = 148;
const R_CR2: usize = 152;
const R_WINDOW: usize = 160;
const R_SIZE: usize = 672;

function pte(at: u32, index: u64, value: u64): void {
  store<u64>(RAM_BASE + at + (<u32>(index & 511) << 3), value);
}

function page(va: u64, pa: u32, bits: u64): void {
  const table: u32 = va >> 21 == CODE >> 21 ? 0x4000 : 0x5000;
  pte(0x1000, va >> 39, 0x2007);
  pte(0x2000, va >> 30, 0x3007);
  pte(0x3000, va >> 21, table | 7);
  pte(table, va >> 12, pa | bits);
}

function fill(to: usize, s: u64, words: u32): void {
  s |= 1;
  for (let i: u32 = 0; i < words; i++) {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    store<u64>(to + (i << 3), s);
  }
}

/** Memory map and segments as a Linux process has them; the vCPU is reset and in long mode (enter_long64 with CR3 = 0x1000). */
export function t_diff_setup(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const NX: u64 = 0x8000_0000_0000_0000;
  memory.fill(RAM_BASE + 0x1000, 0, 0x6000);
  page(CODE, PA_CODE, 7);
  page(CODE + 4096, PA_CODE + 4096, 7);
  page(DATA, PA_DATA, 7 | NX);
  page(DATA + 4096, PA_DATA + 4096, 7 | NX);
  page(READONLY, PA_READONLY, 5 | NX);
  memory.fill(RAM_BASE + PA_CODE, 0xf4, 8192);
  guest_written_code(PA_CODE, 8192);
  fill(RAM_BASE + PA_READONLY, 77, 512);
  c.efer |= 0x800;
  c.cr0 |= 0x1_0000;
  c.cr4 |= 0x600;
  seg_set(cpu, SEG_CS, 0x33, 0, 0xffff_ffff, 0xa0fb);
  seg_set(cpu, SEG_SS, 0x2b, 0, 0xffff_ffff, 0xc0f3);
  seg_set(cpu, SEG_DS, 0x2b, 0, 0xffff_ffff, 0xc0f3);
  seg_set(cpu, SEG_ES, 0x2b, 0, 0xffff_ffff, 0xc0f3);
  seg_set(cpu, SEG_FS, 0, 0, 0, 0);
  seg_set(cpu, SEG_GS, 0, 0, 0, 0);
  store<u64>(cpu + CPU_SEGS + (SEG_GS << 5), GS_AT, SEG_BASE);
  store<u64>(cpu + CPU_SEGS + (SEG_FS << 5), 0, SEG_BASE);
  set_cpl(cpu, 3);
  update_paging(cpu);
  update_mode(cpu);
  tlb_flush_all(cpu, false);
}

/** Runs `count` cases at linear offset `cases`; results to `results`. `step`: instruction by instruction. */
export function t_diff(cpu: usize, cases: usize, results: usize, count: u32, step: bool): void {
  memory.fill(RAM_BASE + PA_DATA, 0, 8192);
  memory.fill(RAM_BASE + PA_CODE, 0xf4, 8192);
  guest_written_code(PA_CODE, 8192);
  for (let i: u32 = 0; i < count; i++) {
    const k = cases + i * K_SIZE;
    const off = load<u32>(k, K_OFFSET);
    memory.copy(RAM_BASE + PA_CODE + off, k + K_CODE, load<u8>(k, K_LENGTH));
    guest_written_code(PA_CODE + off, 48);
    run_case(cpu, k, results + i * R_SIZE, step);
    memory.fill(RAM_BASE + PA_CODE + off, 0xf4, 48);
    guest_written_code(PA_CODE + off, 48);
  }
}

function run_case(cpu: usize, k: usize, r: usize, step: bool): void {
  const c = changetype<Cpu>(cpu);
  fill(RAM_BASE + PA_WINDOW, load<u64>(k, K_SEED), 64);
  memory.copy(cpu, k + K_REGS, 128);
  if (load<u8>(k, K_NARROW)) seg_set(cpu, SEG_CS, 7, 0, 0xffff_ffff, 0xc0fb);
  else seg_set(cpu, SEG_CS, 0x33, 0, 0xffff_ffff, 0xa0fb);
  update_mode(cpu);
  flags_set(cpu, load<u32>(k, K_FLAGS));
  c.rip = CODE + load<u32>(k, K_OFFSET);
  c.fault = 0;
  c.fault_vector = 255;
  c.fault_error = 0;
  cpu_run_raw(cpu, step, 3000);
  memory.copy(r, cpu, 128);
  store<u64>(r, c.rip, R_RIP);
  store<u64>(r, flags_get(cpu), R_FLAGS);
  store<u32>(r, c.fault_vector, R_VECTOR);
  store<u32>(r, c.fault_error, R_ERROR);
  store<u64>(r, c.cr2, R_CR2);
  memory.copy(r + R_WINDOW, RAM_BASE + PA_WINDOW, 512);
  c.fault = 0;
}

/** As t_diff, but each case has code pages of its own, from guest physical address `base` on, that stay as they are: what was decoded there stays good. */
export function t_jit(cpu: usize, cases: usize, results: usize, count: u32, base: u32, first: bool): void {
  memory.fill(RAM_BASE + PA_DATA, 0, 8192);
  for (let i: u32 = 0; i < count; i++) {
    const k = cases + i * K_SIZE;
    const pa = base + i * 8192;
    if (first) {
      memory.fill(RAM_BASE + pa, 0xf4, 8192);
      memory.copy(RAM_BASE + pa + load<u32>(k, K_OFFSET), k + K_CODE, load<u8>(k, K_LENGTH));
      guest_written_code(pa, 8192);
    }
    page(CODE, pa, 7);
    page(CODE + 4096, pa + 4096, 7);
    tlb_flush_all(cpu, false);
    changetype<Cpu>(cpu).cr2 = 0;
    run_case(cpu, k, results + i * R_SIZE, false);
  }
}

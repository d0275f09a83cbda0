/**
 * Test entry of the floating-point part: runs recorded instructions (test/unit/cpu/fp/vectors.c) against it.
 * A record is 480 bytes: state before at 0, state after on the real CPU at 240.
 */
import { CPU_FPR, CPU_XMM, Cpu, CPU_PRIVATE } from '../cpu/vcpu/state';
import { abridged_tags, fsw_load } from '../cpu/fp/fxstate';
import { sse_exec } from '../cpu/fp/sse';
import { x87_exec } from '../cpu/fp/x87';
import { flags_get, flags_set } from '../cpu/vcpu/flags';
import { update_paging } from '../cpu/memory/mmu';
import { tlb_init, tlb_sys } from '../cpu/memory/tlb';
import { block_vars, B_UOPS } from '../cpu/uop/blocks';
import { RAM_BASE } from '../core/layout';

export { sse_exec } from '../cpu/fp/sse';
export { x87_exec, x87_fwait } from '../cpu/fp/x87';
export { fninit } from '../cpu/fp/x87env';

const S_HEAD: usize = 0;
const S_MXCSR: usize = 4;
const S_RCX: usize = 8;
const S_RDX: usize = 16;
const S_EFLAGS: usize = 24;
const S_FCW: usize = 28;
const S_FSW: usize = 30;
const S_FTW: usize = 32;
const S_KIND: usize = 33;
const S_A: usize = 34;
const S_B: usize = 35;
const S_IMM2: usize = 36;
const S_XMM1: usize = 48;
const S_XMM2: usize = 64;
const S_MEM: usize = 80;
const S_ST: usize = 96;
const S_XMM0: usize = 224;
const STATE: usize = 240;
const RECORD: usize = 480;

/** Guest address of the memory operand in all cases. */
const MEM: u32 = 0x2000;

/** A CPU in 64-bit mode without paging, all of SSE on. */
export function fp_test_init(cpu: usize, profile: u32): void {
  const c = changetype<Cpu>(cpu);
  c.ram_size = 0x10_0000;
  c.cr0 = 0x21;
  c.cr4 = 0x600;
  c.efer = 0x500;
  c.mode = 2;
  c.profile = profile;
  tlb_init(cpu);
  update_paging(cpu);
  c.tlb = <u32>tlb_sys(cpu);
  block_vars(cpu).current = <u32>(cpu + CPU_PRIVATE + 0x1_8000);
}

/** Where the micro-op under test lies. */
export function fp_test_uop(cpu: usize): usize {
  return <usize>block_vars(cpu).current + B_UOPS;
}

/** Registers and the memory operand from the state at `s`. */
export function fp_test_load(cpu: usize, s: usize): void {
  const c = changetype<Cpu>(cpu);
  c.fault = 0;
  c.fault_vector = 0;
  c.mxcsr = load<u32>(s, S_MXCSR);
  c.r0 = load<u64>(s, S_RCX);
  c.r1 = load<u64>(s, S_RCX);
  c.r2 = load<u64>(s, S_RDX);
  c.r7 = MEM;
  flags_set(cpu, load<u32>(s, S_EFLAGS) | 0x202);
  c.fcw = load<u16>(s, S_FCW);
  fsw_load(cpu, <u32>load<u16>(s, S_FSW));
  const tags = <u32>load<u8>(s, S_FTW);
  let ftw: u32 = 0;
  const top = (c.fsw >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    if (!((tags >> i) & 1)) ftw |= 3 << (i << 1);
    memory.copy(cpu + CPU_FPR + (((top + i) & 7) << 4), s + S_ST + (i << 4), 16);
  }
  c.ftw = ftw;
  v128.store(cpu + CPU_XMM, v128.load(s + S_XMM2));
  v128.store(cpu + CPU_XMM + 16, v128.load(s + S_XMM1));
  v128.store(cpu + CPU_XMM + 32, v128.load(s + S_XMM2));
  v128.store(RAM_BASE + MEM, v128.load(s + S_MEM));
}

/** The registers as a state at `o`; its first word is the exception's vector. */
export function fp_test_save(cpu: usize, o: usize): void {
  const c = changetype<Cpu>(cpu);
  memory.fill(o, 0, STATE);
  store<u32>(o, c.fault == 1 ? c.fault_vector : 0);
  store<u32>(o, c.mxcsr, S_MXCSR);
  store<u64>(o, c.r1, S_RCX);
  store<u64>(o, c.r2, S_RDX);
  store<u32>(o, flags_get(cpu) & 0x8d5, S_EFLAGS);
  store<u16>(o, <u16>c.fcw, S_FCW);
  store<u16>(o, <u16>c.fsw, S_FSW);
  store<u8>(o, <u8>abridged_tags(c.ftw), S_FTW);
  v128.store(o + S_XMM0, v128.load(cpu + CPU_XMM));
  memory.copy(o + S_XMM1, cpu + CPU_XMM + 16, 32);
  memory.copy(o + S_MEM, RAM_BASE + MEM, 16);
  const top = (c.fsw >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = cpu + CPU_FPR + (((top + i) & 7) << 4);
    store<u64>(o + (i << 4), load<u64>(from), S_ST);
    store<u64>(o + (i << 4), <u64>load<u16>(from, 8), S_ST + 8);
  }
}

/** CR0 and CR4, and 64-bit mode or not. */
export function fp_test_control(cpu: usize, cr0: u32, cr4: u32, mode: u32): void {
  const c = changetype<Cpu>(cpu);
  c.cr0 = cr0;
  c.cr4 = cr4;
  c.mode = mode;
}

function differs16(a: usize, b: usize): bool {
  return !v128.all_true<u8>(i8x16.eq(v128.load(a), v128.load(b)));
}

function vector_of(signal: u32): u32 {
  return signal == 4 ? 6 : signal == 11 ? 13 : 0;
}

/**
 * Runs the record at `r` and compares. 0: equal; else bits: 1 fault, 2 MXCSR, 4 gprs, 8 flags, 16 xmm1, 32 xmm2, 64 memory,
 * 128 x87 control, status or tags, 256 x87 registers, 512 xmm0. The state that came out replaces the input state's place at `r` + 480.
 */
export function fp_test(cpu: usize, r: usize): u32 {
  fp_test_load(cpu, r);
  const u = fp_test_uop(cpu);
  const mem = (load<u32>(r, S_HEAD) >> 24) != 0 || (load<u32>(r, S_IMM2) & 0xff) == 0xf7;
  store<u16>(u, 0);
  store<u16>(u, 4, 2);
  store<u8>(u, load<u8>(r, S_A), 4);
  store<u8>(u, load<u8>(r, S_B), 5);
  store<u8>(u, mem ? 7 << 3 : 16 << 3, 6);
  store<u8>(u, 16 << 3, 7);
  store<i32>(u, 0, 8);
  store<u32>(u, load<u32>(r, S_IMM2), 12);
  if (load<u8>(r, S_KIND)) x87_exec(cpu, u);
  else sse_exec(cpu, u);

  const o = r + RECORD;
  fp_test_save(cpu, o);
  const w = r + STATE;
  let d: u32 = 0;
  const sig = load<u32>(w);
  const vec = load<u32>(o);
  if (sig == 8 ? vec != 16 && vec != 19 : vec != vector_of(sig)) d |= 1;
  if (load<u32>(o, S_MXCSR) != load<u32>(w, S_MXCSR)) d |= 2;
  if (load<u64>(o, S_RCX) != load<u64>(w, S_RCX) || load<u64>(o, S_RDX) != load<u64>(w, S_RDX)) d |= 4;
  if (load<u32>(o, S_EFLAGS) != load<u32>(w, S_EFLAGS)) d |= 8;
  if (differs16(o + S_XMM1, w + S_XMM1)) d |= 16;
  if (differs16(o + S_XMM2, w + S_XMM2)) d |= 32;
  if (differs16(o + S_XMM0, w + S_XMM0)) d |= 512;
  if (differs16(o + S_MEM, w + S_MEM)) d |= 64;
  if (load<u32>(o, S_FCW) != load<u32>(w, S_FCW) || load<u8>(o, S_FTW) != load<u8>(w, S_FTW)) d |= 128;
  for (let i: usize = 0; i < 128; i += 16) if (differs16(o + S_ST + i, w + S_ST + i)) d |= 256;
  return d;
}

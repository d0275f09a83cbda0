/** What the dispatchers of SSE share: permission to run, stores, gpr operands, commit. */
import { Cpu } from '../vcpu/state';
import {
  CPU_FPTMP, CR0_EM, CR0_TS, CR4_OSFXSR, SSE_MEM, SSE_W, VEC_GP, VEC_NM, VEC_UD, ea, gpr, ptr_r, ptr_w, ptr_w_done, raise, src_u, u_a, u_b,
  u_imm2, xmm,
} from './env';
import { OP_ADD, OP_DIV, OP_MAX, OP_MIN, OP_MUL, OP_SQRT, OP_SUB } from './ssefloat';
import { RC_ZERO, T_FLAGS } from './softfloat';
import * as sc from './sseconvert';
import * as sf from './ssefloat';

/** True when SSE instructions may run; else #UD or #NM is set. */
export function sse_allowed(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if ((c.cr0 & CR0_EM) != 0 || !(c.cr4 & CR4_OSFXSR)) {
    raise(cpu, VEC_UD);
    return false;
  }
  if (c.cr0 & CR0_TS) {
    raise(cpu, VEC_NM);
    return false;
  }
  return true;
}

/** SSE3 and later only in the x86-64-v2 model; #UD otherwise. */
export function has_v2(cpu: usize): bool {
  if (changetype<Cpu>(cpu).profile != 0) return true;
  raise(cpu, VEC_UD);
  return false;
}

export function store16(cpu: usize, u: usize, v: v128, aligned: bool): void {
  const va = ea(cpu, u);
  if (aligned && va & 15) {
    raise(cpu, VEC_GP);
    return;
  }
  const p = ptr_w(cpu, va, 16);
  if (!p) return;
  v128.store(p, v);
  ptr_w_done(cpu, p, va, 16);
}

export function store8(cpu: usize, u: usize, v: u64): void {
  const va = ea(cpu, u);
  const p = ptr_w(cpu, va, 8);
  if (!p) return;
  store<u64>(p, v);
  ptr_w_done(cpu, p, va, 8);
}

export function store4(cpu: usize, u: usize, v: u32): void {
  const va = ea(cpu, u);
  const p = ptr_w(cpu, va, 4);
  if (!p) return;
  store<u32>(p, v);
  ptr_w_done(cpu, p, va, 4);
}

/** Stores the bytes of `data` whose mask byte has bit 7 set; every page written is checked before the first store. */
export function masked_bytes(cpu: usize, va: u64, data: usize, mask: usize, n: u32): void {
  for (let pass = 0; pass < 2; pass++) {
    for (let i: u32 = 0; i < n; i++) {
      if (!(load<u8>(mask + i) & 0x80)) continue;
      const p = ptr_w(cpu, va + <u64>i, 1);
      if (!p) return;
      if (pass) {
        store<u8>(p, load<u8>(data + i));
        ptr_w_done(cpu, p, va + <u64>i, 1);
      }
    }
  }
}

/** Arithmetic opcode 51, 58 … 5F to an operation of ssefloat.ts. */
@inline
export function operation(op: u32): u32 {
  switch (op) {
    case 0x58: return OP_ADD;
    case 0x59: return OP_MUL;
    case 0x5c: return OP_SUB;
    case 0x5d: return OP_MIN;
    case 0x5e: return OP_DIV;
    case 0x5f: return OP_MAX;
    default: return OP_SQRT;
  }
}

/** Commit, without a call when no flag came up. */
@inline
export function done(cpu: usize): bool { return load<u32>(cpu + CPU_FPTMP, T_FLAGS) == 0 || sf.commit(cpu); }

/** 12/16 loads and 13/17 stores of one half: MOVLPx, MOVHPx, and for registers MOVHLPS, MOVLHPS (prefix 0 only). */
export function mov_half(cpu: usize, u: usize, op: u32, prefix: u32): void {
  const d = xmm(cpu, u_a(u));
  const high: usize = op & 4 ? 8 : 0;
  if (!(u_imm2(u) & SSE_MEM)) {
    if (prefix != 0 || op & 1) raise(cpu, VEC_UD);
    else store<u64>(d + high, load<u64>(xmm(cpu, u_b(u)) + (8 - high)));
    return;
  }
  if (op & 1) store8(cpu, u, load<u64>(d + high));
  else {
    const s = ptr_r(cpu, ea(cpu, u), 8);
    if (s) store<u64>(d + high, load<u64>(s));
  }
}

/** A gpr result: 32 bits (zero-extended) or 64 with REX.W. */
@inline
export function set_gpr(cpu: usize, r: usize, v: i64, wide: bool): void {
  store<u64>(gpr(cpu, r), wide ? <u64>v : <u64>(<u32>v));
}

/** CVT(T)SD2SI and CVT(T)SS2SI. `op` bit 0 clear: truncate. */
export function cvt_to_gpr(cpu: usize, u: usize, op: u32, double: bool): void {
  const s = src_u(cpu, u, double ? 8 : 4);
  if (!s) return;
  sf.begin(cpu);
  const x = double ? sc.int_arg64(cpu, load<u64>(s)) : sc.int_arg32(cpu, load<u32>(s));
  const mode = op & 1 ? sf.rc(sf.mxcsr(cpu)) : RC_ZERO;
  const wide = (u_imm2(u) & SSE_W) != 0;
  const v = wide ? sc.to_i64(cpu, x, mode) : <i64>sc.to_i32(cpu, x, mode);
  if (done(cpu)) set_gpr(cpu, u_a(u), v, wide);
}

/** A gpr or memory integer operand, sign-extended. The fault, if any, is in cpu.fault. */
export function int_operand(cpu: usize, u: usize): i64 {
  const wide = (u_imm2(u) & SSE_W) != 0;
  if (!(u_imm2(u) & SSE_MEM)) {
    const v = load<i64>(gpr(cpu, u_b(u)));
    return wide ? v : <i64>(<i32>v);
  }
  const p = ptr_r(cpu, ea(cpu, u), wide ? 8 : 4);
  if (!p) return 0;
  return wide ? load<i64>(p) : <i64>load<i32>(p);
}

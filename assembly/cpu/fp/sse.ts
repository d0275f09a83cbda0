/**
 * SSE and SSE2 (0F map): `sse_exec` runs one OP_SSE micro-op. Each prefix has its own dispatcher.
 * Rules of entry (Intel SDM Vol. 3, Table 13-1): CR0.EM or no CR4.OSFXSR → #UD, CR0.TS → #NM.
 */
import { Cpu } from '../state';
import {
  CPU_FPTMP, CR0_EM, CR0_TS, CR4_OSFXSR, SSE_MEM, SSE_W, VEC_GP, VEC_NM, VEC_UD, ea, faulted, gpr, mm, ptr_r, ptr_w, ptr_w_done, raise, set_flags_explicit,
  src16, src_u, u_a, u_b, u_imm2, xmm,
} from './env';
import * as sf from './ssefloat';
import { OP_ADD, OP_DIV, OP_MAX, OP_MIN, OP_MUL, OP_SQRT, OP_SUB } from './ssefloat';
import * as ps from './ssepacked';
import { packed_inline, packed_int, shift_imm, shuffle32, shuffle_high16, shuffle_low16, shuffle_ps } from './packed';
import { mmx_exec, mmx_commit, mmx_pending } from './mmx';
import { fx_group } from './fxstate';
import { sse_map38, sse_map3a } from './ssev2';
import { RC_ZERO, T_FLAGS } from './softfloat';

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

/**
 * What the hot path of `sse_exec` does with prefix << 8 | opcode, 0: nothing, the dispatchers below do. Numbers: the
 * cases of `hot`.
 */
const HOT = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 23, 24, 0, 0, 23, 24, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 27, 0, 0, 1, 1, 1, 1, 27, 27, 0, 0, 27, 27, 27, 27,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 23, 24, 0, 0, 23, 24, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 19, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 1, 1, 1, 1, 28, 28, 0, 0, 28, 28, 28, 28,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 12, 3, 22, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 13, 5,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 11, 14, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 26, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 4,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 16, 0, 0, 17, 0, 18, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

/** Executes the OP_SSE micro-op at `u`. Outcome: cpu.fault (0: committed). */
export function sse_exec(cpu: usize, u: usize): void {
  const i = u_imm2(u);
  const c = changetype<Cpu>(cpu);
  if (!(i & 0xc00)) {
    const h: u32 = load<u8>(HOT + (i & 0x3ff));
    if (h != 0 && !(c.cr0 & (CR0_EM | CR0_TS)) && c.cr4 & CR4_OSFXSR) {
      hot(cpu, u, i, h);
      return;
    }
  }
  cold(cpu, u, i);
}

/** A 16-byte source, aligned. */
@inline
function hot_source(cpu: usize, u: usize, i: u32): usize {
  if (!(i & SSE_MEM)) return xmm(cpu, u_b(u));
  const va = ea(cpu, u);
  if (va & 15) return misaligned(cpu);
  return ptr_r(cpu, va, 16);
}

/** A source of `size` bytes. */
@inline
function hot_source_u(cpu: usize, u: usize, i: u32, size: u32): usize {
  return i & SSE_MEM ? ptr_r(cpu, ea(cpu, u), size) : xmm(cpu, u_b(u));
}

function misaligned(cpu: usize): usize {
  raise(cpu, VEC_GP);
  return 0;
}

function hot(cpu: usize, u: usize, i: u32, h: u32): void {
  const d = xmm(cpu, u_a(u));
  switch (h) {
    case 1: {
      const s = hot_source(cpu, u, i);
      if (s) v128.store(d, packed_inline(i & 0xff, v128.load(d), v128.load(s)));
      return;
    }
    case 2: {
      const s = hot_source_u(cpu, u, i, 16);
      if (s) v128.store(d, v128.load(s));
      return;
    }
    case 3: {
      const s = hot_source(cpu, u, i);
      if (s) v128.store(d, v128.load(s));
      return;
    }
    case 4:
    case 5: {
      if (!(i & SSE_MEM)) {
        v128.store(xmm(cpu, u_b(u)), v128.load(d));
        return;
      }
      const va = ea(cpu, u);
      if (h == 5 && va & 15) {
        misaligned(cpu);
        return;
      }
      const p = ptr_w(cpu, va, 16);
      if (!p) return;
      v128.store(p, v128.load(d));
      ptr_w_done(cpu, p, va, 16);
      return;
    }
    case 6: // MOVSD, MOVSS: a load clears the rest, a register move keeps it
      if (i & SSE_MEM) {
        const p = ptr_r(cpu, ea(cpu, u), 8);
        if (p) v128.store(d, v128.load_zero<u64>(p));
      } else store<u64>(d, load<u64>(xmm(cpu, u_b(u))));
      return;
    case 7:
      if (i & SSE_MEM) {
        const p = ptr_r(cpu, ea(cpu, u), 4);
        if (p) v128.store(d, v128.load_zero<u32>(p));
      } else store<u32>(d, load<u32>(xmm(cpu, u_b(u))));
      return;
    case 8: {
      const s = hot_source_u(cpu, u, i, 8);
      if (s) v128.store(d, v128.load_zero<u64>(s));
      return;
    }
    case 9:
      if (i & SSE_MEM) store8(cpu, u, load<u64>(d));
      else store<u64>(xmm(cpu, u_b(u)), load<u64>(d));
      return;
    case 10:
      if (i & SSE_MEM) store4(cpu, u, load<u32>(d));
      else store<u32>(xmm(cpu, u_b(u)), load<u32>(d));
      return;
    case 11:
      if (i & SSE_MEM) store8(cpu, u, load<u64>(d));
      else v128.store(xmm(cpu, u_b(u)), v128.load_zero<u64>(d));
      return;
    case 12:
      if (i & SSE_MEM) {
        const p = ptr_r(cpu, ea(cpu, u), i & SSE_W ? 8 : 4);
        if (p) v128.store(d, i & SSE_W ? v128.load_zero<u64>(p) : v128.load_zero<u32>(p));
      } else {
        const p = gpr(cpu, u_b(u));
        v128.store(d, i & SSE_W ? v128.load_zero<u64>(p) : v128.load_zero<u32>(p));
      }
      return;
    case 13: {
      const v = load<u64>(d);
      if (!(i & SSE_MEM)) store<u64>(gpr(cpu, u_b(u)), i & SSE_W ? v : <u64>(<u32>v));
      else if (i & SSE_W) store8(cpu, u, v);
      else store4(cpu, u, <u32>v);
      return;
    }
    case 14:
      if (i & SSE_MEM) raise(cpu, VEC_UD);
      else store<u64>(gpr(cpu, u_a(u)), <u64>v128.bitmask<i8>(v128.load(xmm(cpu, u_b(u)))));
      return;
    case 15:
    case 16:
    case 17:
    case 18: {
      const s = hot_source_u(cpu, u, i, 8);
      if (!s) return;
      sf.begin(cpu);
      const a = load<f64>(d);
      const b = load<f64>(s);
      const r = h == 15 ? sf.add64(cpu, a, b) : h == 16 ? sf.mul64(cpu, a, b) : h == 17 ? sf.sub64(cpu, a, b) : sf.div64(cpu, a, b);
      if (done(cpu)) store<f64>(d, r);
      return;
    }
    case 19: {
      const s = hot_source_u(cpu, u, i, 8);
      if (!s) return;
      sf.begin(cpu);
      const f = sf.comi64(cpu, load<u64>(d), load<u64>(s), (i & 0xff) == 0x2f);
      if (done(cpu)) set_flags_explicit(cpu, f);
      return;
    }
    case 20: {
      const v = int_operand(cpu, u);
      if (faulted(cpu)) return;
      sf.begin(cpu);
      const r = sf.i64_to_f64(cpu, v);
      if (done(cpu)) store<u64>(d, r);
      return;
    }
    case 21: cvt_to_gpr(cpu, u, 0x2c, true); return;
    case 22: {
      const s = hot_source(cpu, u, i);
      if (s) v128.store(d, shuffle32(v128.load(s), (i >> 16) & 0xff));
      return;
    }
    case 23:
    case 24: mov_half(cpu, u, i & 0xff, (i >> 8) & 3); return;
    case 27:
    case 28: {
      const s = hot_source(cpu, u, i);
      if (!s) return;
      if (h == 27) ps.arith_ps(cpu, operation(i & 0xff), d, s);
      else ps.arith_pd(cpu, operation(i & 0xff), d, s);
      return;
    }
    default: {
      const s = hot_source_u(cpu, u, i, 4);
      if (!s) return;
      sf.begin(cpu);
      const a = load<f32>(d);
      const b = load<f32>(s);
      const r = h == 25 ? sf.add32(cpu, a, b) : sf.mul32(cpu, a, b);
      if (done(cpu)) store<f32>(d, r);
    }
  }
}

/** Everything else, and the exceptions of instructions that may not run now. */
function cold(cpu: usize, u: usize, i: u32): void {
  const op = i & 0xff;
  if (i & 0xc00) {
    if ((i >> 10) & 2) sse_map3a(cpu, u);
    else sse_map38(cpu, u);
    return;
  }
  const prefix = (i >> 8) & 3;
  if (prefix == 0 && op >= 0x60 && op != 0xc2 && op != 0xc6) {
    if (op == 0xae) fx_group(cpu, u);
    else if (op == 0xc3) movnti(cpu, u);
    else mmx_exec(cpu, u);
    return;
  }
  if (!sse_allowed(cpu)) return;
  switch (prefix) {
    case 0: sse_np(cpu, u, op); break;
    case 1: sse_66(cpu, u, op); break;
    case 2: sse_f3(cpu, u, op); break;
    default: sse_f2(cpu, u, op);
  }
}

// ---- stores --------------------------------------------------------------------------------------------------------

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

function movnti(cpu: usize, u: usize): void {
  const v = load<u64>(gpr(cpu, u_a(u)));
  if (!(u_imm2(u) & SSE_MEM)) raise(cpu, VEC_UD);
  else if (u_imm2(u) & SSE_W) store8(cpu, u, v);
  else store4(cpu, u, <u32>v);
}

// ---- shared pieces -------------------------------------------------------------------------------------------------

/** Arithmetic opcode 51, 58 … 5F to an operation of ssefloat.ts. */
@inline
function operation(op: u32): u32 {
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
function done(cpu: usize): bool { return load<u32>(cpu + CPU_FPTMP, T_FLAGS) == 0 || sf.commit(cpu); }

/** 12/16 loads and 13/17 stores of one half: MOVLPx, MOVHPx, and for registers MOVHLPS, MOVLHPS (prefix 0 only). */
function mov_half(cpu: usize, u: usize, op: u32, prefix: u32): void {
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

/** MOVNTPS, MOVNTPD, MOVNTDQ. */
function mov_nt(cpu: usize, u: usize): void {
  if (u_imm2(u) & SSE_MEM) store16(cpu, u, v128.load(xmm(cpu, u_a(u))), true);
  else raise(cpu, VEC_UD);
}

/** A gpr result: 32 bits (zero-extended) or 64 with REX.W. */
@inline
function set_gpr(cpu: usize, r: usize, v: i64, wide: bool): void {
  store<u64>(gpr(cpu, r), wide ? <u64>v : <u64>(<u32>v));
}

/** CVT(T)SD2SI and CVT(T)SS2SI. `op` bit 0 clear: truncate. */
function cvt_to_gpr(cpu: usize, u: usize, op: u32, double: bool): void {
  const s = src_u(cpu, u, double ? 8 : 4);
  if (!s) return;
  sf.begin(cpu);
  const x = double ? sf.int_arg64(cpu, load<u64>(s)) : sf.int_arg32(cpu, load<u32>(s));
  const mode = op & 1 ? sf.rc(sf.mxcsr(cpu)) : RC_ZERO;
  const wide = (u_imm2(u) & SSE_W) != 0;
  const v = wide ? sf.to_i64(cpu, x, mode) : <i64>sf.to_i32(cpu, x, mode);
  if (done(cpu)) set_gpr(cpu, u_a(u), v, wide);
}

/** A gpr or memory integer operand, sign-extended. The fault, if any, is in cpu.fault. */
function int_operand(cpu: usize, u: usize): i64 {
  const wide = (u_imm2(u) & SSE_W) != 0;
  if (!(u_imm2(u) & SSE_MEM)) {
    const v = load<i64>(gpr(cpu, u_b(u)));
    return wide ? v : <i64>(<i32>v);
  }
  const p = ptr_r(cpu, ea(cpu, u), wide ? 8 : 4);
  if (!p) return 0;
  return wide ? load<i64>(p) : <i64>load<i32>(p);
}

/** (U)COMISS: ZF PF CF, the others cleared. */
function comi(cpu: usize, u: usize, op: u32): void {
  const s = src_u(cpu, u, 4);
  if (!s) return;
  sf.begin(cpu);
  const f = sf.comi32(cpu, load<u32>(xmm(cpu, u_a(u))), load<u32>(s), op == 0x2f);
  if (done(cpu)) set_flags_explicit(cpu, f);
}

/** CVTPI2PS and CVTPI2PD (`double`). Only the register form is a transition to MMX; it happens even when #XM follows. */
function cvt_pi(cpu: usize, u: usize, double: bool): void {
  let s: usize;
  if (u_imm2(u) & SSE_MEM) {
    s = ptr_r(cpu, ea(cpu, u), 8);
    if (!s) return;
  } else {
    if (mmx_pending(cpu)) return;
    s = mm(cpu, u_b(u));
    mmx_commit(cpu);
  }
  const lo = load<i32>(s);
  const hi = load<i32>(s, 4);
  const d = xmm(cpu, u_a(u));
  if (double) {
    store<f64>(d, <f64>lo);
    store<f64>(d, <f64>hi, 8);
    return;
  }
  sf.begin(cpu);
  const a = sf.i64_to_f32(cpu, <i64>lo);
  const b = sf.i64_to_f32(cpu, <i64>hi);
  if (!done(cpu)) return;
  store<u32>(d, a);
  store<u32>(d, b, 4);
}

/** CVT(T)PS2PI and CVT(T)PD2PI (`double`). */
function cvt_to_pi(cpu: usize, u: usize, op: u32, double: bool): void {
  if (mmx_pending(cpu)) return;
  const s = double ? src16(cpu, u) : src_u(cpu, u, 8);
  if (!s) return;
  sf.begin(cpu);
  const mode = op & 1 ? sf.rc(sf.mxcsr(cpu)) : RC_ZERO;
  const lo = sf.to_i32(cpu, double ? sf.int_arg64(cpu, load<u64>(s)) : sf.int_arg32(cpu, load<u32>(s)), mode);
  const hi = sf.to_i32(cpu, double ? sf.int_arg64(cpu, load<u64>(s, 8)) : sf.int_arg32(cpu, load<u32>(s, 4)), mode);
  mmx_commit(cpu);
  if (!done(cpu)) return;
  const d = mm(cpu, u_a(u));
  store<u64>(d, (<u64>(<u32>hi) << 32) | <u64>(<u32>lo));
  store<u16>(d, 0xffff, 8);
}

// ---- no prefix -----------------------------------------------------------------------------------------------------

function sse_np(cpu: usize, u: usize, op: u32): void {
  const d = xmm(cpu, u_a(u));
  switch (op) {
    case 0x2a: cvt_pi(cpu, u, false); return;
    case 0x2b: mov_nt(cpu, u); return;
    case 0x2c:
    case 0x2d: cvt_to_pi(cpu, u, op, false); return;
    case 0x2e:
    case 0x2f: comi(cpu, u, op); return;
    case 0x50:
      if (u_imm2(u) & SSE_MEM) raise(cpu, VEC_UD);
      else store<u64>(gpr(cpu, u_a(u)), <u64>v128.bitmask<i32>(v128.load(xmm(cpu, u_b(u)))));
      return;
    case 0x5a: {
      const s = src_u(cpu, u, 8);
      if (s) ps.cvt_ps_pd(cpu, d, s);
      return;
    }
    case 0x14: case 0x15: case 0x52: case 0x53: case 0x5b: case 0xc2: case 0xc6: break;
    default:
      raise(cpu, VEC_UD);
      return;
  }
  const s = src16(cpu, u);
  if (!s) return;
  switch (op) {
    case 0x14: v128.store(d, packed_int(0x62, v128.load(d), v128.load(s))); return;
    case 0x15: v128.store(d, packed_int(0x6a, v128.load(d), v128.load(s))); return;
    case 0x52:
    case 0x53:
      for (let i: usize = 0; i < 16; i += 4) store<u32>(d + i, op == 0x52 ? ps.rsqrt32(load<u32>(s + i)) : ps.rcp32(load<u32>(s + i)));
      return;
    case 0x5b: ps.cvt_dq_ps(cpu, d, s); return;
    case 0xc2: ps.cmp_ps(cpu, u_imm2(u) >> 16, d, s); return;
    default: v128.store(d, shuffle_ps(v128.load(d), v128.load(s), (u_imm2(u) >> 16) & 0xff));
  }
}

// ---- 66 ------------------------------------------------------------------------------------------------------------

function sse_66(cpu: usize, u: usize, op: u32): void {
  const d = xmm(cpu, u_a(u));
  switch (op) {
    case 0x2a: cvt_pi(cpu, u, true); return;
    case 0x2b:
    case 0xe7: mov_nt(cpu, u); return;
    case 0x2c:
    case 0x2d: cvt_to_pi(cpu, u, op, true); return;
    case 0x50:
      if (u_imm2(u) & SSE_MEM) raise(cpu, VEC_UD);
      else store<u64>(gpr(cpu, u_a(u)), <u64>v128.bitmask<i64>(v128.load(xmm(cpu, u_b(u)))));
      return;
    case 0x71:
    case 0x72:
    case 0x73:
      if (u_imm2(u) & SSE_MEM || !shift_imm(op, <u32>u_a(u) & 7, (u_imm2(u) >> 16) & 0xff, xmm(cpu, u_b(u)), true)) raise(cpu, VEC_UD);
      return;
    case 0xc4: {
      let v: u32;
      if (u_imm2(u) & SSE_MEM) {
        const p = ptr_r(cpu, ea(cpu, u), 2);
        if (!p) return;
        v = load<u16>(p);
      } else v = load<u16>(gpr(cpu, u_b(u)));
      store<u16>(d + (<usize>((u_imm2(u) >> 16) & 7) << 1), <u16>v);
      return;
    }
    case 0xc5:
      if (u_imm2(u) & SSE_MEM) raise(cpu, VEC_UD);
      else store<u64>(gpr(cpu, u_a(u)), <u64>load<u16>(xmm(cpu, u_b(u)) + (<usize>((u_imm2(u) >> 16) & 7) << 1)));
      return;
    case 0xf7: masked_store(cpu, u); return;
    case 0x7c: case 0x7d: case 0xd0:
      if (!has_v2(cpu)) return;
      break;
    case 0x14: case 0x15: case 0x5a: case 0x5b: case 0xc2: case 0xc6: case 0xe6: break;
    default:
      raise(cpu, VEC_UD);
      return;
  }
  const s = src16(cpu, u);
  if (!s) return;
  switch (op) {
    case 0x14: v128.store(d, packed_int(0x6c, v128.load(d), v128.load(s))); return;
    case 0x15: v128.store(d, packed_int(0x6d, v128.load(d), v128.load(s))); return;
    case 0x5a: ps.cvt_pd_ps(cpu, d, s); return;
    case 0x5b: ps.cvt_ps_dq(cpu, sf.rc(sf.mxcsr(cpu)), d, s); return;
    case 0x7c: ps.hadd_pd(cpu, OP_ADD, d, s); return;
    case 0x7d: ps.hadd_pd(cpu, OP_SUB, d, s); return;
    case 0xc2: ps.cmp_pd(cpu, u_imm2(u) >> 16, d, s); return;
    case 0xc6: {
      const imm = u_imm2(u) >> 16;
      const lo = load<u64>(d + ((imm & 1) << 3));
      const hi = load<u64>(s + ((imm & 2) << 2));
      store<u64>(d, lo);
      store<u64>(d, hi, 8);
      return;
    }
    case 0xd0: ps.addsub_pd(cpu, d, s); return;
    default: ps.cvt_pd_dq(cpu, RC_ZERO, d, s);
  }
}

/** SSE3 and later only in the x86-64-v2 model; #UD otherwise. */
export function has_v2(cpu: usize): bool {
  if (changetype<Cpu>(cpu).profile != 0) return true;
  raise(cpu, VEC_UD);
  return false;
}

/** MASKMOVDQU: the micro-op's memory operand is DS:rDI; `a` data, `b` mask. */
function masked_store(cpu: usize, u: usize): void {
  masked_bytes(cpu, ea(cpu, u), xmm(cpu, u_a(u)), xmm(cpu, u_b(u)), 16);
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

// ---- F3 ------------------------------------------------------------------------------------------------------------

function sse_f3(cpu: usize, u: usize, op: u32): void {
  const d = xmm(cpu, u_a(u));
  switch (op) {
    case 0x12:
    case 0x16: {
      if (!has_v2(cpu)) return;
      const s = src16(cpu, u);
      if (s) v128.store(d, shuffle32(v128.load(s), op == 0x12 ? 0xa0 : 0xf5));
      return;
    }
    case 0x2a: {
      const v = int_operand(cpu, u);
      if (faulted(cpu)) return;
      sf.begin(cpu);
      const r = sf.i64_to_f32(cpu, v);
      if (done(cpu)) store<u32>(d, r);
      return;
    }
    case 0x2c:
    case 0x2d: cvt_to_gpr(cpu, u, op, false); return;
    case 0x52:
    case 0x53: {
      const s = src_u(cpu, u, 4);
      if (s) store<u32>(d, op == 0x52 ? ps.rsqrt32(load<u32>(s)) : ps.rcp32(load<u32>(s)));
      return;
    }
    case 0x5a: {
      const s = src_u(cpu, u, 4);
      if (!s) return;
      sf.begin(cpu);
      const r = sf.f32_to_f64(cpu, load<u32>(s));
      if (done(cpu)) store<u64>(d, r);
      return;
    }
    case 0x5b:
    case 0x70: {
      const s = src16(cpu, u);
      if (!s) return;
      if (op == 0x5b) ps.cvt_ps_dq(cpu, RC_ZERO, d, s);
      else v128.store(d, shuffle_high16(v128.load(s), (u_imm2(u) >> 16) & 0xff));
      return;
    }
    case 0xc2: {
      const s = src_u(cpu, u, 4);
      if (!s) return;
      sf.begin(cpu);
      const r = -<i32>sf.cmp32(cpu, load<u32>(d), load<u32>(s), (u_imm2(u) >> 16) & 7);
      if (done(cpu)) store<i32>(d, r);
      return;
    }
    case 0xd6:
      if (u_imm2(u) & SSE_MEM) raise(cpu, VEC_UD);
      else if (!mmx_pending(cpu)) {
        v128.store(d, v128.load_zero<u64>(mm(cpu, u_b(u))));
        mmx_commit(cpu);
      }
      return;
    case 0xe6: {
      const s = src_u(cpu, u, 8);
      if (s) v128.store(d, f64x2.convert_low_i32x4_s(v128.load_zero<u64>(s)));
      return;
    }
    case 0x51: case 0x58: case 0x59: case 0x5c: case 0x5d: case 0x5e: case 0x5f: {
      const s = src_u(cpu, u, 4);
      if (!s) return;
      sf.begin(cpu);
      const r = sf.op32(cpu, operation(op), load<f32>(d), load<f32>(s));
      if (done(cpu)) store<f32>(d, r);
      return;
    }
    default: raise(cpu, VEC_UD);
  }
}

// ---- F2 ------------------------------------------------------------------------------------------------------------

function sse_f2(cpu: usize, u: usize, op: u32): void {
  const d = xmm(cpu, u_a(u));
  switch (op) {
    case 0x12: {
      if (!has_v2(cpu)) return;
      const s = src_u(cpu, u, 8);
      if (s) v128.store(d, i64x2.splat(load<i64>(s)));
      return;
    }
    case 0x2c:
    case 0x2d: cvt_to_gpr(cpu, u, op, true); return;
    case 0x5a: {
      const s = src_u(cpu, u, 8);
      if (!s) return;
      sf.begin(cpu);
      const r = sf.f64_to_f32(cpu, load<u64>(s));
      if (done(cpu)) store<u32>(d, r);
      return;
    }
    case 0x51:
    case 0x5d:
    case 0x5f: {
      const s = src_u(cpu, u, 8);
      if (!s) return;
      sf.begin(cpu);
      const r = sf.op64(cpu, operation(op), load<f64>(d), load<f64>(s));
      if (done(cpu)) store<f64>(d, r);
      return;
    }
    case 0x70: {
      const s = src16(cpu, u);
      if (s) v128.store(d, shuffle_low16(v128.load(s), (u_imm2(u) >> 16) & 0xff));
      return;
    }
    case 0x7c:
    case 0x7d:
    case 0xd0: {
      if (!has_v2(cpu)) return;
      const s = src16(cpu, u);
      if (!s) return;
      if (op == 0xd0) ps.addsub_ps(cpu, d, s);
      else ps.hadd_ps(cpu, op == 0x7c ? OP_ADD : OP_SUB, d, s);
      return;
    }
    case 0xc2: {
      const s = src_u(cpu, u, 8);
      if (!s) return;
      sf.begin(cpu);
      const r = -<i64>sf.cmp64(cpu, load<u64>(d), load<u64>(s), (u_imm2(u) >> 16) & 7);
      if (done(cpu)) store<i64>(d, r);
      return;
    }
    case 0xd6:
      if (u_imm2(u) & SSE_MEM) raise(cpu, VEC_UD);
      else if (!mmx_pending(cpu)) {
        const m = mm(cpu, u_a(u));
        store<u64>(m, load<u64>(xmm(cpu, u_b(u))));
        store<u16>(m, 0xffff, 8);
        mmx_commit(cpu);
      }
      return;
    case 0xe6: {
      const s = src16(cpu, u);
      if (s) ps.cvt_pd_dq(cpu, sf.rc(sf.mxcsr(cpu)), d, s);
      return;
    }
    case 0xf0:
      if (!has_v2(cpu)) return;
      if (u_imm2(u) & SSE_MEM) {
        const s = src_u(cpu, u, 16);
        if (s) v128.store(d, v128.load(s));
      } else raise(cpu, VEC_UD);
      return;
    default: raise(cpu, VEC_UD);
  }
}

/** The less frequent instructions of SSE and SSE2, a dispatcher for each prefix. Numbers: second opcode byte (Intel SDM Vol. 2). */
import { SSE_MEM, SSE_W, VEC_UD, ea, faulted, gpr, mm, ptr_r, raise, set_flags_explicit, src16, src_u, u_a, u_b, u_imm2, xmm } from './env';
import { OP_ADD, OP_SUB } from './ssefloat';
import { packed_int, shift_imm, shuffle32, shuffle_high16, shuffle_low16, shuffle_ps } from './packed';
import { mmx_exec, mmx_commit, mmx_pending } from './mmx';
import { fx_group } from './fxstate';
import { sse_map38, sse_map3a } from './ssev2';
import { RC_ZERO } from './softfloat';
import { cvt_to_gpr, done, has_v2, int_operand, masked_bytes, operation, sse_allowed, store16, store4, store8 } from './ssebase';
import * as sc from './sseconvert';
import * as sf from './ssefloat';
import * as ps from './ssepacked';

/** Everything else, and the exceptions of instructions that may not run now. */
export function cold(cpu: usize, u: usize, i: u32): void {
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

function movnti(cpu: usize, u: usize): void {
  const v = load<u64>(gpr(cpu, u_a(u)));
  if (!(u_imm2(u) & SSE_MEM)) raise(cpu, VEC_UD);
  else if (u_imm2(u) & SSE_W) store8(cpu, u, v);
  else store4(cpu, u, <u32>v);
}

/** MOVNTPS, MOVNTPD, MOVNTDQ. */
function mov_nt(cpu: usize, u: usize): void {
  if (u_imm2(u) & SSE_MEM) store16(cpu, u, v128.load(xmm(cpu, u_a(u))), true);
  else raise(cpu, VEC_UD);
}

/** (U)COMISS: ZF PF CF, the others cleared. */
function comi(cpu: usize, u: usize, op: u32): void {
  const s = src_u(cpu, u, 4);
  if (!s) return;
  sf.begin(cpu);
  const f = sc.comi32(cpu, load<u32>(xmm(cpu, u_a(u))), load<u32>(s), op == 0x2f);
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
  const a = sc.i64_to_f32(cpu, <i64>lo);
  const b = sc.i64_to_f32(cpu, <i64>hi);
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
  const lo = sc.to_i32(cpu, double ? sc.int_arg64(cpu, load<u64>(s)) : sc.int_arg32(cpu, load<u32>(s)), mode);
  const hi = sc.to_i32(cpu, double ? sc.int_arg64(cpu, load<u64>(s, 8)) : sc.int_arg32(cpu, load<u32>(s, 4)), mode);
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

/** MASKMOVDQU: the micro-op's memory operand is DS:rDI; `a` data, `b` mask. */
function masked_store(cpu: usize, u: usize): void {
  masked_bytes(cpu, ea(cpu, u), xmm(cpu, u_a(u)), xmm(cpu, u_b(u)), 16);
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
      const r = sc.i64_to_f32(cpu, v);
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
      const r = sc.f32_to_f64(cpu, load<u32>(s));
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
      const r = -<i32>sc.cmp32(cpu, load<u32>(d), load<u32>(s), (u_imm2(u) >> 16) & 7);
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
      const r = sc.f64_to_f32(cpu, load<u64>(s));
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
      const r = -<i64>sc.cmp64(cpu, load<u64>(d), load<u64>(s), (u_imm2(u) >> 16) & 7);
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

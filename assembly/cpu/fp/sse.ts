/**
 * SSE and SSE2 (0F map): `sse_exec` runs one OP_SSE micro-op, the frequent ones here, the others in ssecold.ts.
 * Rules of entry (Intel SDM Vol. 3, Table 13-1): CR0.EM or no CR4.OSFXSR → #UD, CR0.TS → #NM.
 */
import { Cpu } from '../vcpu/state';
import {
  CR0_EM, CR0_TS, CR4_OSFXSR, SSE_MEM, SSE_W, VEC_GP, VEC_UD, ea, faulted, gpr, ptr_r, ptr_w, ptr_w_done, raise, set_flags_explicit, u_a,
  u_b, u_imm2, xmm,
} from './env';
import { packed_inline, shuffle32 } from './packed';
import { cvt_to_gpr, done, int_operand, mov_half, operation, store4, store8 } from './ssebase';
import { cold } from './ssecold';
import * as sc from './sseconvert';
import * as sf from './ssefloat';
import * as ps from './ssepacked';

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
      const f = sc.comi64(cpu, load<u64>(d), load<u64>(s), (i & 0xff) == 0x2f);
      if (done(cpu)) set_flags_explicit(cpu, f);
      return;
    }
    case 20: {
      const v = int_operand(cpu, u);
      if (faulted(cpu)) return;
      sf.begin(cpu);
      const r = sc.i64_to_f64(cpu, v);
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

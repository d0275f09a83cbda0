/**
 * MMX on the x87 registers: every instruction but EMMS sets TOP to 0 and all tags to valid, every write sets the
 * register's exponent field to ones. Intel SDM Vol. 3, chapter 12; Vol. 2 for the opcodes.
 */
import { Cpu } from '../vcpu/state';
import {
  CR0_EM, CR0_TS, SSE_MEM, SSE_W, VEC_MF, VEC_NM, VEC_UD, ea, faulted, gpr, mm, ptr_r, raise, src_mm, u_a, u_b, u_imm2,
} from './env';
import { is_packed_int, packed_int, shift_imm, shuffle_low16 } from './packed';
import { masked_bytes, store4, store8 } from './ssebase';

const FSW_ES: u32 = 0x80;

/** True when an unmasked x87 exception waits: #MF is set. */
export function mmx_pending(cpu: usize): bool {
  if (!(changetype<Cpu>(cpu).fsw & FSW_ES)) return false;
  raise(cpu, VEC_MF);
  return true;
}

/** The transition to MMX: TOP 0, all registers valid. */
export function mmx_commit(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  c.fsw &= ~0x3800;
  c.ftw = 0;
}

function set_mm(cpu: usize, r: usize, v: u64): void {
  const p = mm(cpu, r);
  store<u64>(p, v);
  store<u16>(p, 0xffff, 8);
  mmx_commit(cpu);
}

/** Executes an MMX micro-op (map 0F, no prefix). */
export function mmx_exec(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const i = u_imm2(u);
  const op = i & 0xff;
  if (c.cr0 & (CR0_EM | CR0_TS)) {
    raise(cpu, c.cr0 & CR0_EM ? VEC_UD : VEC_NM);
    return;
  }
  if (mmx_pending(cpu)) return;
  const mem = (i & SSE_MEM) != 0;
  const imm = (i >> 16) & 0xff;
  const a = u_a(u) & 7;
  switch (op) {
    case 0x6e: {
      let v: u64;
      if (mem) {
        const p = ptr_r(cpu, ea(cpu, u), i & SSE_W ? 8 : 4);
        if (!p) return;
        v = i & SSE_W ? load<u64>(p) : <u64>load<u32>(p);
      } else v = load<u64>(gpr(cpu, u_b(u)));
      set_mm(cpu, a, i & SSE_W ? v : <u64>(<u32>v));
      return;
    }
    case 0x6f: {
      const s = src_mm(cpu, u, 8);
      if (s) set_mm(cpu, a, load<u64>(s));
      return;
    }
    case 0x70: {
      const s = src_mm(cpu, u, 8);
      if (s) set_mm(cpu, a, v128.extract_lane<u64>(shuffle_low16(v128.load_zero<u64>(s), imm), 0));
      return;
    }
    case 0x71:
    case 0x72:
    case 0x73: {
      const p = mm(cpu, u_b(u));
      if (mem || !shift_imm(op, <u32>a, imm, p, false)) raise(cpu, VEC_UD);
      else set_mm(cpu, u_b(u), load<u64>(p));
      return;
    }
    case 0x77:
      c.ftw = 0xffff;
      c.fsw &= ~0x3800;
      return;
    case 0x7e: {
      const v = load<u64>(mm(cpu, a));
      if (!mem) store<u64>(gpr(cpu, u_b(u)), i & SSE_W ? v : <u64>(<u32>v));
      else if (i & SSE_W) store8(cpu, u, v);
      else store4(cpu, u, <u32>v);
      if (!faulted(cpu)) mmx_commit(cpu);
      return;
    }
    case 0x7f:
    case 0xe7: {
      const v = load<u64>(mm(cpu, a));
      if (!mem) {
        if (op == 0xe7) raise(cpu, VEC_UD);
        else set_mm(cpu, u_b(u), v);
        return;
      }
      store8(cpu, u, v);
      if (!faulted(cpu)) mmx_commit(cpu);
      return;
    }
    case 0xc4: {
      let v: u32;
      if (mem) {
        const p = ptr_r(cpu, ea(cpu, u), 2);
        if (!p) return;
        v = load<u16>(p);
      } else v = load<u16>(gpr(cpu, u_b(u)));
      const d = mm(cpu, a);
      store<u16>(d + (<usize>(imm & 3) << 1), <u16>v);
      set_mm(cpu, a, load<u64>(d));
      return;
    }
    case 0xc5:
      if (mem) raise(cpu, VEC_UD);
      else {
        store<u64>(gpr(cpu, u_a(u)), <u64>load<u16>(mm(cpu, u_b(u)) + (<usize>(imm & 3) << 1)));
        mmx_commit(cpu);
      }
      return;
    case 0xd7:
      if (mem) raise(cpu, VEC_UD);
      else {
        store<u64>(gpr(cpu, u_a(u)), <u64>v128.bitmask<i8>(v128.load_zero<u64>(mm(cpu, u_b(u)))));
        mmx_commit(cpu);
      }
      return;
    case 0xf7:
      // the memory operand, DS:rDI, is implicit
      masked_bytes(cpu, ea(cpu, u), mm(cpu, a), mm(cpu, u_b(u)), 8);
      if (!faulted(cpu)) mmx_commit(cpu);
      return;
  }
  if (!is_packed_int(op) || op == 0x6c || op == 0x6d) {
    raise(cpu, VEC_UD);
    return;
  }
  // the low unpacks read 32 bits of memory
  const s = src_mm(cpu, u, mem && op >= 0x60 && op <= 0x62 ? 4 : 8);
  if (!s) return;
  set_mm(cpu, a, binary(op, load<u64>(mm(cpu, a)), mem && op <= 0x62 ? <u64>load<u32>(s) : load<u64>(s)));
}

/** A two-operand packed integer operation on 64 bits. */
export function binary(op: u32, a: u64, b: u64): u64 {
  const va = i64x2.replace_lane(i64x2.splat(0), 0, <i64>a);
  const vb = i64x2.replace_lane(i64x2.splat(0), 0, <i64>b);
  switch (op) {
    case 0x63:
    case 0x67:
    case 0x6b: {
      // both operands side by side in one vector: its packed low half is the result
      const both = i64x2.replace_lane(va, 1, <i64>b);
      return v128.extract_lane<u64>(packed_int(op, both, both), 0);
    }
    case 0x68:
    case 0x69:
    case 0x6a:
      // the high halves of 64 bits are the upper eight bytes of the low unpack
      return v128.extract_lane<u64>(packed_int(op - 8, va, vb), 1);
    default:
      return v128.extract_lane<u64>(packed_int(op, va, vb), 0);
  }
}

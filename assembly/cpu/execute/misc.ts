/** OP_MISC: rare instructions without control flow. imm = M_* | size << 8 | … as noted; a, b register places. */
import { SEG_SELECTOR } from '../../contract/vcpu';
import { aad, aam, decimal_adjust } from './decimal';
import { get_sx, put, put_reg } from '../memory/operand';
import { double_shift } from './shift';
import { bit_displacement } from './bits';
import { raise, X_BR } from '../vcpu/fault';
import { AF, CF, cond, DF, flags_materialize, get_cf, PF, SF, ZF } from '../vcpu/flags';
import { x87_fwait } from './fpu_link';
import { ptr_rw, ptr_w_done, rd16, rd32, rd8, wr16 } from '../memory/mem';
import { Cpu, CPU_SEGS, FAULT_EXCEPTION } from '../vcpu/state';
import { linear } from './string';
import { ea, U_A, U_B, U_DISP, U_IMM } from '../uop/uop';

export const M_CBW: u32 = 0;
export const M_CWD: u32 = 1;
export const M_SAHF: u32 = 2;
export const M_LAHF: u32 = 3;
export const M_CMC: u32 = 4;
export const M_CLC: u32 = 5;
export const M_STC: u32 = 6;
export const M_CLD: u32 = 7;
export const M_STD: u32 = 8;
export const M_XLAT: u32 = 9; // address bytes << 8 | segment << 12
export const M_AAA: u32 = 10;
export const M_AAS: u32 = 11;
export const M_DAA: u32 = 12;
export const M_DAS: u32 = 13;
export const M_AAM: u32 = 14; // disp = base
export const M_AAD: u32 = 15;
export const M_SALC: u32 = 16;
export const M_SHXD: u32 = 17; // size << 8 | memory << 10 | right << 11 | by CL << 12 | count << 16
export const M_CMOV16: u32 = 19; // disp = condition
export const M_MOVZX16: u32 = 20; // 8 to 16 bits
export const M_MOVSX16: u32 = 21;
export const M_BOUND: u32 = 22; // size << 8
export const M_SEG_R: u32 = 23; // size << 8; b = segment
export const M_SEG_M: u32 = 24;
export const M_CRC32: u32 = 25; // size of the source << 8, bit 12: 64-bit destination
export const M_FWAIT: u32 = 26;
export const M_BIT_DISP: u32 = 27; // size << 8, BIT_DISP_16; a += the part of bit number b that lies beyond the operand
export const BIT_DISP_16: u32 = 0x400; // 16-bit address

/** CRC-32C (reversed polynomial 0x82f63b78) of `bytes` low bytes of v, bit by bit from the low end. */
function crc32c(crc: u32, v: u64, bytes: u32): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    crc ^= <u32>(v >> (i << 3)) & 0xff;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >> 1) ^ 0x82f6_3b78 : crc >> 1;
  }
  return crc;
}

export function misc_op(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const imm = load<u32>(u, U_IMM);
  const size = (imm >> 8) & 3;
  const a = cpu + load<u8>(u, U_A);
  const b = cpu + load<u8>(u, U_B);
  switch (<i32>(imm & 0xff)) {
    case M_CBW: store<u16>(cpu, <u16>load<i8>(cpu)); break;
    case M_CWD: store<u16>(cpu, <u16>(<i32>load<i16>(cpu) >> 15), 16); break;
    case M_SAHF: {
      const f = flags_materialize(cpu);
      c.eflags = (f & ~(SF | ZF | AF | PF | CF)) | (load<u8>(cpu, 1) & (SF | ZF | AF | PF | CF));
      break;
    }
    case M_LAHF: store<u8>(cpu, <u8>(flags_materialize(cpu) & (SF | ZF | AF | PF | CF)) | 2, 1); break;
    case M_CMC: flags_materialize(cpu); c.eflags ^= CF; break;
    case M_CLC: flags_materialize(cpu); c.eflags &= ~CF; break;
    case M_STC: flags_materialize(cpu); c.eflags |= CF; break;
    case M_CLD: c.eflags &= ~DF; break;
    case M_STD: c.eflags |= DF; break;
    case M_XLAT: {
      const bytes = (imm >> 8) & 15;
      const mask: u64 = bytes == 8 ? 0xffff_ffff_ffff_ffff : bytes == 4 ? 0xffff_ffff : 0xffff;
      const va = linear(cpu, (imm >> 12) & 7, (c.r3 + load<u8>(cpu)) & mask, 0, false);
      if (c.fault == FAULT_EXCEPTION) return;
      const v = rd8(cpu, va);
      if (c.fault != FAULT_EXCEPTION) store<u8>(cpu, <u8>v);
      break;
    }
    case M_AAA: decimal_adjust(cpu, 0); break;
    case M_AAS: decimal_adjust(cpu, 1); break;
    case M_DAA: decimal_adjust(cpu, 2); break;
    case M_DAS: decimal_adjust(cpu, 3); break;
    case M_AAM: aam(cpu, load<u8>(u, U_DISP)); break;
    case M_AAD: aad(cpu, load<u8>(u, U_DISP)); break;
    case M_SALC: store<u8>(cpu, get_cf(cpu) ? 0xff : 0); break;
    case M_SHXD: {
      const n = (imm & 0x1000 ? <u32>load<u8>(cpu, 8) : imm >> 16) & (size == 3 ? 63 : 31);
      const src = get_sx(b, size);
      if (imm & 0x400) {
        const va = ea(cpu, u);
        const p = ptr_rw(cpu, va, 1 << size);
        if (p == 0) return;
        if (n) put(p, size, double_shift(cpu, (imm & 0x800) != 0, size, get_sx(p, size), src, n));
        ptr_w_done(cpu, p, va, 1 << size);
      } else put_reg(a, size, n ? double_shift(cpu, (imm & 0x800) != 0, size, get_sx(a, size), src, n) : get_sx(a, size));
      break;
    }
    case M_CMOV16: if (cond(cpu, load<u8>(u, U_DISP))) store<u16>(a, load<u16>(b)); break;
    case M_MOVZX16: store<u16>(a, load<u8>(b)); break;
    case M_MOVSX16: store<u16>(a, <u16>load<i8>(b)); break;
    case M_BOUND: {
      const va = ea(cpu, u);
      const lo = size == 1 ? <i32><i16>rd16(cpu, va) : <i32>rd32(cpu, va);
      if (c.fault == FAULT_EXCEPTION) return;
      const hi = size == 1 ? <i32><i16>rd16(cpu, va + 2) : <i32>rd32(cpu, va + 4);
      if (c.fault == FAULT_EXCEPTION) return;
      const v = <i32>get_sx(a, size);
      if (v < lo || v > hi) raise(cpu, X_BR, 0);
      break;
    }
    case M_SEG_R: {
      const v: u64 = load<u16>(cpu + CPU_SEGS + (<u32>load<u8>(u, U_B) << 5), SEG_SELECTOR);
      put_reg(a, size, v);
      break;
    }
    case M_SEG_M: wr16(cpu, ea(cpu, u), load<u16>(cpu + CPU_SEGS + (<u32>load<u8>(u, U_B) << 5), SEG_SELECTOR)); break;
    case M_FWAIT: x87_fwait(cpu); break;
    case M_BIT_DISP: {
      const off = load<u64>(a) + bit_displacement(<i64>get_sx(b, size), size);
      store<u64>(a, off & (imm & BIT_DISP_16 ? 0xffff : 0xffff_ffff));
      break;
    }
    default: store<u64>(a, crc32c(load<u32>(a), load<u64>(b), 1 << size)); // M_CRC32
  }
}

/** SSE and MMX rows: which prefix and operand kind exist, then one OP_SSE. Also CRC32, which lives in map 0F 38. */
import { PROFILE_V2 } from '../../contract/vcpu';
import { Dec, PLACE_ZERO, parse_imm8 } from './decode';
import { EMIT_ON, prepare, put_mem, put_op, TMP0, undefined_op } from './emit-uop';
import { SSE_0F, SSE_38, SSE_3A, SSE_SHIFTS } from './generated/optab';
import { OP_LD32, OP_LD64, OP_LDZX16, OP_LDZX8, OP_MISC, OP_MOVZX8, OP_SSE } from '../uop/generated/ops';
import { M_CRC32 } from '../execute/misc';
import { Cpu } from '../vcpu/state';
import { INDEX_ADDR32 } from '../uop/uop';

/** CRC32 (F2 0F 38 F0/F1), x86-64-v2 only. */
function crc32(d: Dec): u32 {
  const size: u32 = d.opcode == 0xf0 ? 0 : d.rex & 8 ? 3 : d.data16 ? 1 : 2;
  let src = d.rm << 3;
  if (d.mem) {
    prepare(d, 1 << size, false);
    put_mem(d, size == 0 ? OP_LDZX8 : size == 1 ? OP_LDZX16 : size == 2 ? OP_LD32 : OP_LD64, TMP0, 0, 0);
    src = TMP0;
  } else if (size == 0 && !d.rex && d.rm >= 4) {
    put_op(d, OP_MOVZX8, TMP0, ((d.rm & 3) << 3) + 1, 0, 0);
    src = TMP0;
  }
  put_op(d, OP_MISC, d.reg << 3, src, 0, M_CRC32 | (size << 8));
  return EMIT_ON;
}

export function emit_sse(d: Dec): u32 {
  const op = d.opcode;
  const v2 = changetype<Cpu>(d.cpu).profile == PROFILE_V2;
  if (d.map == 0x38 && op >= 0xf0) {
    if (op <= 0xf1 && d.rep == 2 && v2) return crc32(d);
    return undefined_op(d);
  }
  const prefix: u32 = d.rep ? d.rep + 1 : d.data16;
  const bit: u32 = 1 << prefix;
  const table = d.map == 2 ? SSE_0F : d.map == 0x38 ? SSE_38 : SSE_3A;
  const row: u32 = load<u16>(changetype<usize>(table) + (op << 1));
  if (!((d.mem ? row >> 4 : row) & bit)) return undefined_op(d);
  if ((row >> 8) & bit && !v2) return undefined_op(d);
  if (d.map == 2 && op >= 0x71 && op <= 0x73) {
    if (!(load<u8>(changetype<usize>(SSE_SHIFTS) + (op - 0x71) * 8 + (d.reg & 7)) & bit)) return undefined_op(d);
  }
  let imm8: u32 = 0;
  if (row & 0x1000) {
    imm8 = parse_imm8(d);
    if (d.short | d.long) return EMIT_ON;
  }
  const map: u32 = d.map == 2 ? 0 : d.map == 0x38 ? 1 : 2;
  const imm = op | (prefix << 8) | (map << 10) | (d.mem ? 0x1000 : 0) | (d.rex & 8 ? 0x2000 : 0) | (imm8 << 16);
  if (d.map == 2 && op == 0xf7) {
    // MASKMOVQ and MASKMOVDQU: the memory operand is DS:rDI, both modrm operands are registers
    d.base = 7 << 3;
    d.index = PLACE_ZERO | (d.adsize == 4 ? INDEX_ADDR32 : 0);
    d.disp = 0;
    prepare(d, 1, true);
    put_mem(d, OP_SSE, d.reg, d.rm, imm);
  } else if (d.mem) {
    prepare(d, 1, false);
    put_mem(d, OP_SSE, d.reg, 0, imm);
  } else put_op(d, OP_SSE, d.reg, d.rm, 0, imm);
  return EMIT_ON;
}

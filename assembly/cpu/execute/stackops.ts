/** OP_STACK_G: stack instructions in all widths and modes; the 64-bit ones of registers are inline. imm = K_* | bytes << 8. */
import { SEG_SELECTOR } from '../../contract/vcpu';
import { get_sx, put_reg } from '../memory/operand';
import { flags_get } from '../vcpu/flags';
import { ptr_r, wr16, wr32, wr64 } from '../memory/mem';
import { set_sp, stack_mask, stack_read, stack_write } from '../memory/stack';
import { Cpu, CPU_SEGS, FAULT_EXCEPTION } from '../vcpu/state';
import { ea, U_A, U_DISP, U_IMM } from '../uop/uop';

export const ST_PUSH_R: u32 = 0;
export const ST_PUSH_I: u32 = 1;
export const ST_PUSH_M: u32 = 2;
export const ST_POP_R: u32 = 3;
export const ST_POP_M: u32 = 4; // the decoder has added the pop to an address based on RSP
export const ST_PUSHA: u32 = 5;
export const ST_POPA: u32 = 6;
export const ST_ENTER: u32 = 7; // disp = bytes | level << 16
export const ST_LEAVE: u32 = 8;
export const ST_PUSHF: u32 = 9;
export const ST_PUSH_SEG: u32 = 10; // a = segment

/** Pushes `v` of `bytes`; false: fault, RSP unchanged. */
export function push(cpu: usize, v: u64, bytes: u32): bool {
  const c = changetype<Cpu>(cpu);
  const mask = stack_mask(cpu);
  const sp = (c.r4 - bytes) & mask;
  if (!stack_write(cpu, sp, v, bytes)) return false;
  set_sp(cpu, sp, mask);
  return true;
}

@inline
function log2(bytes: u32): u32 {
  return bytes == 8 ? 3 : bytes == 4 ? 2 : 1;
}

export function stack_op(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const imm = load<u32>(u, U_IMM);
  const bytes = (imm >> 8) & 15;
  const a = cpu + load<u8>(u, U_A);
  switch (<i32>(imm & 0xff)) {
    case ST_PUSH_R: push(cpu, load<u64>(a), bytes); break;
    case ST_PUSH_I: push(cpu, <u64><i64>load<i32>(u, U_DISP), bytes); break;
    case ST_PUSH_M: {
      const p = ptr_r(cpu, ea(cpu, u), bytes);
      if (p) push(cpu, get_sx(p, log2(bytes)), bytes);
      break;
    }
    case ST_POP_R: {
      const mask = stack_mask(cpu);
      const v = stack_read(cpu, c.r4 & mask, bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      set_sp(cpu, c.r4 + bytes, mask);
      put_reg(a, log2(bytes), v);
      break;
    }
    case ST_POP_M: {
      const mask = stack_mask(cpu);
      const v = stack_read(cpu, c.r4 & mask, bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      const va = ea(cpu, u);
      if (bytes == 8) wr64(cpu, va, v);
      else if (bytes == 4) wr32(cpu, va, <u32>v);
      else wr16(cpu, va, <u16>v);
      if (c.fault != FAULT_EXCEPTION) set_sp(cpu, c.r4 + bytes, mask);
      break;
    }
    case ST_PUSHA: {
      const mask = stack_mask(cpu);
      // the lowest first: a fault in the middle must leave no trace but bytes below ESP
      for (let i: u32 = 8; i > 0; i--) {
        if (!stack_write(cpu, (c.r4 - i * bytes) & mask, load<u64>(cpu + ((i - 1) << 3)), bytes)) return;
      }
      set_sp(cpu, c.r4 - 8 * bytes, mask);
      break;
    }
    case ST_POPA: {
      const mask = stack_mask(cpu);
      for (let i: u32 = 0; i < 8; i++) {
        stack_read(cpu, (c.r4 + i * bytes) & mask, bytes);
        if (c.fault == FAULT_EXCEPTION) return;
      }
      const sp = c.r4;
      for (let i: u32 = 0; i < 8; i++) {
        if (i != 3) put_reg(cpu + ((7 - i) << 3), log2(bytes), stack_read(cpu, (sp + i * bytes) & mask, bytes));
      }
      set_sp(cpu, sp + 8 * bytes, mask);
      break;
    }
    case ST_ENTER: enter(cpu, c, <u32>load<u16>(u, U_DISP), <u32>load<u8>(u, U_DISP + 2) & 31, bytes); break;
    case ST_LEAVE: {
      const mask = stack_mask(cpu);
      const v = stack_read(cpu, c.r5 & mask, bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      set_sp(cpu, c.r5 + bytes, mask);
      put_reg(cpu + 40, log2(bytes), v);
      break;
    }
    case ST_PUSHF: push(cpu, flags_get(cpu) & 0x00fc_ffff, bytes); break;
    default: push(cpu, load<u16>(cpu + CPU_SEGS + (<u32>load<u8>(u, U_A) << 5), SEG_SELECTOR), bytes); // ST_PUSH_SEG
  }
}

/** ENTER (SDM Vol. 2A): nothing but memory below the stack changes before the last access has succeeded. */
function enter(cpu: usize, c: Cpu, space: u32, level: u32, bytes: u32): void {
  const mask = stack_mask(cpu);
  let sp = (c.r4 - bytes) & mask;
  if (!stack_write(cpu, sp, c.r5, bytes)) return;
  const frame = sp;
  if (level) {
    let bp = c.r5;
    for (let i: u32 = 1; i < level; i++) {
      bp -= bytes;
      const v = stack_read(cpu, bp & mask, bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      sp = (sp - bytes) & mask;
      if (!stack_write(cpu, sp, v, bytes)) return;
    }
    sp = (sp - bytes) & mask;
    if (!stack_write(cpu, sp, frame, bytes)) return;
  }
  set_sp(cpu, sp - space, mask);
  put_reg(cpu + 40, log2(bytes), frame);
}

// Made by assembly/cpu/generate/generate.mjs: do not edit.

import { RAM_BASE } from '../../../core/layout';
import { alu_carry, alu_generic, unary_generic } from '../alu';
import { bit_generic } from '../bits';
import { xchg_generic } from '../exchange';
import { imul64, imul_generic, muldiv } from '../muldiv';
import { shift_generic } from '../shift';
import {
  B_GEN, B_GEN_AT, B_INSNS, B_MODE, B_UOPS, BLOCK_CURRENT, code_write, JIT_COLD, JIT_NEXT, JUMP_BLOCK, JUMP_CACHE, JUMP_GEN, translated,
} from '../../uop/blocks';
import { count_block, TRACE_AT } from '../count';
import { raise_gp } from '../../vcpu/fault';
import { cond, FLAG_A, FLAG_ADD, FLAG_B, FLAG_DEC, FLAG_INC, FLAG_RES, FLAG_SHIFT, FLAG_SUB, flags_lazy, flags_logic, flags_over, get_cf } from '../../vcpu/flags';
import { misc_op } from '../misc';
import { sse_exec, x87_exec } from '../fpu_link';
import { probe_w, ptr_rw, ptr_w_done, rd_slow, wr64, wr_slow } from '../../memory/mem';
import { BLOCK, check_page2, ea_bis, ea_offset, ea_segmented, FAULT, IF_MASK, jump_cached, JUMP_MASK, jump_slow, leave_at, LINK_ALWAYS, insns_from, link_wanted, loop_taken, MARK, MODE, next_rip, PENDING, RBP, RSP, start_rip, sys_count, mapping_gen, TLB, EFLAGS_AT } from '../interp_support';
import { Cpu, FAULT_EXCEPTION, FAULT_LEAVE, PEND_INTR } from '../../vcpu/state';
import { canonical } from '../../memory/mmu';
import { JIT_CHECK, jit_enter, jit_on } from '../../uop/enter';
import { stack_op } from '../stackops';
import { STRING_AGAIN, string_op } from '../string';
import { sys_op } from '../sysops';
import { TLB_ADDEND, TLB_WRITE, tlb_slot } from '../../memory/tlb';
import { ea, ea_bd, U_A, U_B, U_DISP, U_IMM, U_IP, U_OP, UOP_SIZE } from '../../uop/uop';

const PAGE: u64 = ~0xfff;
const FIRST_PRE_OP: u32 = 384;

/**
 * Runs from block `blk` at rip `target` until something needs the caller. `left`: instructions of the budget; returns what
 * is left of it. cpu.rip and cpu.fault say why it came back.
 */
export function interp(cpu: usize, blk: usize, target: u64, left: i32): i32 {
  let u: usize = 0;
  let link: usize = 0;
  let off: i32 = 0;
  let how: u32 = 0;
  let tlb: usize = 0;
  const traced = load<u32>(cpu, TRACE_AT);
  let cold = false;
  while (true) {
    // enter blk, whose first byte is at target
    if (load<u32>(blk, B_GEN) != load<u32>(<usize>load<u32>(blk, B_GEN_AT))) {
      if (!translated(blk)) {
        if (link) link_wanted(cpu, link, target);
        break;
      }
      const how_jit: u32 = cold ? 0 : jit_on(cpu, traced);
      if (how_jit == JIT_CHECK) break; // cpu_run does it
      if (how_jit) {
        left = jit_enter(cpu, blk, target, left);
        cold = load<u32>(cpu, JIT_COLD) != 0; // this time the block is interpreted
        link = 0;
        how = 0;
        target = changetype<Cpu>(cpu).rip;
        blk = load<u32>(cpu, JIT_NEXT);
        if (load<u32>(cpu, FAULT) | u32(blk == 0)) break;
        continue;
      }
    }
    cold = false;
    const insns: i32 = load<u16>(blk, B_INSNS);
    if (left < insns) break;
    const pending = atomic.load<u32>(cpu, PENDING);
    if (pending != 0 && (pending != PEND_INTR || load<u32>(cpu, EFLAGS_AT) & IF_MASK)) break;
    left -= insns;
    if (traced) count_block(cpu, target, insns, left);
    store<u64>(cpu, target, BLOCK);
    store<u32>(cpu, <u32>blk, BLOCK_CURRENT);
    tlb = load<u32>(cpu, TLB);
    u = blk + B_UOPS;
    link = 0;
    how = 0;
    while (true) {
      switch (<i32>load<u16>(u, U_OP)) {
      // END
      case 0: link = u + UOP_SIZE; off = <i32>load<u16>(u, U_IP); break;
      // END_SLOW
      case 1: changetype<Cpu>(cpu).rip = next_rip(cpu, u); how = 2; break;
      // LEAVE_BLOCK
      case 2: changetype<Cpu>(cpu).rip = next_rip(cpu, u); how = 3; break;
      // NOP
      case 3: u += UOP_SIZE; continue;
      // JMP
      case 4: link = u + UOP_SIZE; off = load<i32>(u, U_DISP); break;
      // CALL
      case 5: { const sp = load<u64>(cpu, RSP) - 8;
        wr64(cpu, sp, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT)) { if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; store<u32>(cpu, 0, FAULT); }
        store<u64>(cpu, sp, RSP); link = u + UOP_SIZE; off = load<i32>(u, U_DISP); break; }
      // RET
      case 6: { const sp = load<u64>(cpu, RSP); const va = sp; const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; }
        if (!canonical(v)) { raise_gp(cpu); break; }
        store<u64>(cpu, sp + 8 + load<u32>(u, U_IMM), RSP); target = v; how = 1; break; }
      // JMP_R
      case 7: { target = load<u64>(cpu + load<u8>(u, U_A)); if (!canonical(target)) { raise_gp(cpu); break; } how = 1; break; }
      // JMP_M
      case 8: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } target = v; if (!canonical(target)) { raise_gp(cpu); break; } how = 1; break; }
      // CALL_R
      case 9: { const to = load<u64>(cpu + load<u8>(u, U_A)); const sp = load<u64>(cpu, RSP) - 8;
        wr64(cpu, sp, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break;
        if (!canonical(to)) { raise_gp(cpu); break; }
        if (load<u32>(cpu, FAULT) == FAULT_LEAVE) store<u32>(cpu, 0, FAULT);
        store<u64>(cpu, sp, RSP); target = to; how = 1; break; }
      // CALL_M
      case 10: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const to = v; const sp = load<u64>(cpu, RSP) - 8;
        wr64(cpu, sp, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break;
        if (!canonical(to)) { raise_gp(cpu); break; }
        if (load<u32>(cpu, FAULT) == FAULT_LEAVE) store<u32>(cpu, 0, FAULT);
        store<u64>(cpu, sp, RSP); target = to; how = 1; break; }
      // JCC
      case 11: if (cond(cpu, load<u8>(u, U_A))) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_RES_Z
      case 12: if (load<i64>(cpu, FLAG_RES) == 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_RES_NZ
      case 13: if (load<i64>(cpu, FLAG_RES) != 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_RES_S
      case 14: if (load<i64>(cpu, FLAG_RES) < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_RES_NS
      case 15: if (load<i64>(cpu, FLAG_RES) >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_B
      case 16: if (load<u64>(cpu, FLAG_A) < load<u64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_NB
      case 17: if (load<u64>(cpu, FLAG_A) >= load<u64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_BE
      case 18: if (load<u64>(cpu, FLAG_A) <= load<u64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_NBE
      case 19: if (load<u64>(cpu, FLAG_A) > load<u64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_L
      case 20: if (load<i64>(cpu, FLAG_A) < load<i64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_NL
      case 21: if (load<i64>(cpu, FLAG_A) >= load<i64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_LE
      case 22: if (load<i64>(cpu, FLAG_A) <= load<i64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JCC_SUB_NLE
      case 23: if (load<i64>(cpu, FLAG_A) > load<i64>(cpu, FLAG_B)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // CMP_RR32_JB
      case 24: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a < <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JNB
      case 25: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a >= <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JZ
      case 26: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a == b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JNZ
      case 27: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a != b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JBE
      case 28: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a <= <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JNBE
      case 29: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a > <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JS
      case 30: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JNS
      case 31: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JL
      case 32: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a < b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JNL
      case 33: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a >= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JLE
      case 34: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a <= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR32_JNLE
      case 35: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a > b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR32_JZ
      case 36: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); if (r == 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR32_JNZ
      case 37: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); if (r != 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR32_JS
      case 38: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR32_JNS
      case 39: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR32_JLE
      case 40: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); if (r <= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR32_JNLE
      case 41: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); if (r > 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JB
      case 42: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a < <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JNB
      case 43: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a >= <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JZ
      case 44: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a == b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JNZ
      case 45: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a != b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JBE
      case 46: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a <= <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JNBE
      case 47: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a > <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JS
      case 48: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JNS
      case 49: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JL
      case 50: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a < b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JNL
      case 51: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a >= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JLE
      case 52: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a <= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RR64_JNLE
      case 53: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a > b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR64_JZ
      case 54: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); if (r == 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR64_JNZ
      case 55: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); if (r != 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR64_JS
      case 56: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR64_JNS
      case 57: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR64_JLE
      case 58: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); if (r <= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RR64_JNLE
      case 59: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); if (r > 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JB
      case 60: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a < <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JNB
      case 61: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a >= <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JZ
      case 62: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a == b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JNZ
      case 63: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a != b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JBE
      case 64: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a <= <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JNBE
      case 65: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (<u32>a > <u32>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JS
      case 66: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JNS
      case 67: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JL
      case 68: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a < b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JNL
      case 69: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a >= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JLE
      case 70: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a <= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI32_JNLE
      case 71: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); if (a > b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI32_JZ
      case 72: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); if (r == 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI32_JNZ
      case 73: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); if (r != 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI32_JS
      case 74: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI32_JNS
      case 75: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI32_JLE
      case 76: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); if (r <= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI32_JNLE
      case 77: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); if (r > 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JB
      case 78: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a < <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JNB
      case 79: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a >= <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JZ
      case 80: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a == b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JNZ
      case 81: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a != b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JBE
      case 82: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a <= <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JNBE
      case 83: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (<u64>a > <u64>b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JS
      case 84: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JNS
      case 85: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JL
      case 86: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a < b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JNL
      case 87: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a >= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JLE
      case 88: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a <= b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // CMP_RI64_JNLE
      case 89: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); if (a > b) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI64_JZ
      case 90: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); if (r == 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI64_JNZ
      case 91: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); if (r != 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI64_JS
      case 92: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); if (r < 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI64_JNS
      case 93: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); if (r >= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI64_JLE
      case 94: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); if (r <= 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // TEST_RI64_JNLE
      case 95: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); if (r > 0) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break; }
      // LOOP
      case 96: if (loop_taken(cpu, u)) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;
      // JMP_SLOW
      case 97: jump_slow(cpu, u, true); how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;
      // JCC_SLOW
      case 98: jump_slow(cpu, u, cond(cpu, load<u8>(u, U_A))); how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;
      // LOOP_SLOW
      case 99: jump_slow(cpu, u, loop_taken(cpu, u)); how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;
      // SYS
      case 100: changetype<Cpu>(cpu).rip = next_rip(cpu, u); sys_count(cpu, blk, u, left); sys_op(cpu, u); if (load<u32>(cpu, FAULT) == 0) how = 2; break;
      // MOV_RR32
      case 101: store<u64>(cpu + load<u8>(u, U_A), <u64>load<u32>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOV_RR64
      case 102: store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOV_RR8
      case 103: store<u8>(cpu + load<u8>(u, U_A), load<u8>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOV_RR16
      case 104: store<u16>(cpu + load<u8>(u, U_A), load<u16>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOV_RI32
      case 105: store<u64>(cpu + load<u8>(u, U_A), <u64>load<u32>(u, U_DISP)); u += UOP_SIZE; continue;
      // MOV_RI64S
      case 106: store<i64>(cpu + load<u8>(u, U_A), <i64>load<i32>(u, U_DISP)); u += UOP_SIZE; continue;
      // MOV_RI64
      case 107: store<u64>(cpu + load<u8>(u, U_A), load<u64>(u, U_DISP)); u += UOP_SIZE; continue;
      // MOV_RI8
      case 108: store<u8>(cpu + load<u8>(u, U_A), load<u8>(u, U_DISP)); u += UOP_SIZE; continue;
      // MOV_RI16
      case 109: store<u16>(cpu + load<u8>(u, U_A), load<u16>(u, U_DISP)); u += UOP_SIZE; continue;
      // LD64
      case 110: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // LD32
      case 111: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <u64>load<u32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // LDZX8
      case 112: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == (va & PAGE)) v = <u64>load<u8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // ST64
      case 113: { const x = load<u64>(cpu + load<u8>(u, U_A)); const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 7) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u64>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 8);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 8); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // ST32
      case 114: { const x = load<u32>(cpu + load<u8>(u, U_A)); const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 3) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u32>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 4);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 4); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // ST8
      case 115: { const x = load<u8>(cpu + load<u8>(u, U_A)); const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == (va & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u8>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 1);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 1); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // LD64_BD
      case 116: { const va = ea_bd(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // LD32_BD
      case 117: { const va = ea_bd(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <u64>load<u32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // LDZX8_BD
      case 118: { const va = ea_bd(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == (va & PAGE)) v = <u64>load<u8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // ST64_BD
      case 119: { const x = load<u64>(cpu + load<u8>(u, U_A)); const va = ea_bd(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 7) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u64>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 8);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 8); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // ST32_BD
      case 120: { const x = load<u32>(cpu + load<u8>(u, U_A)); const va = ea_bd(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 3) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u32>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 4);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 4); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // ST8_BD
      case 121: { const x = load<u8>(cpu + load<u8>(u, U_A)); const va = ea_bd(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == (va & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u8>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 1);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 1); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // LD8
      case 122: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u32;
        if (load<u64>(e) == (va & PAGE)) v = <u32>load<u8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u32><u8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u8>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // LD16
      case 123: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u32;
        if (load<u64>(e) == ((va + 1) & PAGE)) v = <u32>load<u16>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u32><u16>rd_slow(cpu, tlb, va, 2); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u16>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // ST16
      case 124: { const x = load<u16>(cpu + load<u8>(u, U_A)); const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 1) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u16>(p, x);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 2);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(x), 2); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // STI8
      case 125: { const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == (va & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u8>(p, load<u8>(u, U_IMM));
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 1);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(load<u8>(u, U_IMM)), 1); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // STI16
      case 126: { const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 1) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u16>(p, load<u16>(u, U_IMM));
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 2);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(load<u16>(u, U_IMM)), 2); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // STI32
      case 127: { const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 3) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u32>(p, load<u32>(u, U_IMM));
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 4);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(load<u32>(u, U_IMM)), 4); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // STI64
      case 128: { const va = ea(cpu, u); const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 7) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u64>(p, <u64><i64>load<i32>(u, U_IMM));
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 8);  if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(<u64><i64>load<i32>(u, U_IMM)), 8); if (load<u32>(cpu, FAULT)) {  break; } }
         u += UOP_SIZE; continue; }
      // LDZX16
      case 129: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 1) & PAGE)) v = <u64>load<u16>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u16>rd_slow(cpu, tlb, va, 2); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), <u64>v); u += UOP_SIZE; continue; }
      // LDSX8_32
      case 130: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), <u64><u32>v); u += UOP_SIZE; continue; }
      // LDSX16_32
      case 131: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 1) & PAGE)) v = <i32>load<i16>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i16>rd_slow(cpu, tlb, va, 2); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), <u64><u32>v); u += UOP_SIZE; continue; }
      // LDSX8_64
      case 132: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == (va & PAGE)) v = <i64>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), <u64>v); u += UOP_SIZE; continue; }
      // LDSX16_64
      case 133: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 1) & PAGE)) v = <i64>load<i16>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i16>rd_slow(cpu, tlb, va, 2); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), <u64>v); u += UOP_SIZE; continue; }
      // LDSX32_64
      case 134: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i64>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu + load<u8>(u, U_A), <u64>v); u += UOP_SIZE; continue; }
      // MOVZX8
      case 135: store<u64>(cpu + load<u8>(u, U_A), <u64>load<u8>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOVZX16
      case 136: store<u64>(cpu + load<u8>(u, U_A), <u64>load<u16>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOVSX8_32
      case 137: store<u64>(cpu + load<u8>(u, U_A), <u64><u32><i32>load<i8>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOVSX16_32
      case 138: store<u64>(cpu + load<u8>(u, U_A), <u64><u32><i32>load<i16>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOVSX8_64
      case 139: store<u64>(cpu + load<u8>(u, U_A), <u64><i64>load<i8>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOVSX16_64
      case 140: store<u64>(cpu + load<u8>(u, U_A), <u64><i64>load<i16>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // MOVSX32_64
      case 141: store<u64>(cpu + load<u8>(u, U_A), <u64><i64>load<i32>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // LEA64
      case 142: store<u64>(cpu + load<u8>(u, U_A), ea_offset(cpu, u)); u += UOP_SIZE; continue;
      // LEA64_BD
      case 143: store<u64>(cpu + load<u8>(u, U_A), ea_bd(cpu, u)); u += UOP_SIZE; continue;
      // LEA64_BIS
      case 144: store<u64>(cpu + load<u8>(u, U_A), ea_bis(cpu, u)); u += UOP_SIZE; continue;
      // LEA32
      case 145: store<u64>(cpu + load<u8>(u, U_A), <u64><u32>ea_offset(cpu, u)); u += UOP_SIZE; continue;
      // LEA16
      case 146: store<u16>(cpu + load<u8>(u, U_A), <u16>ea_offset(cpu, u)); u += UOP_SIZE; continue;
      // PUSH64
      case 147: { const v = load<u64>(cpu + load<u8>(u, U_A)); const sp = load<u64>(cpu, RSP) - 8; const va = sp; const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 7) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u64>(p, v);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 8); store<u64>(cpu, sp, RSP); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(v), 8); if (load<u32>(cpu, FAULT)) { if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; store<u64>(cpu, sp, RSP); break; } }
        store<u64>(cpu, sp, RSP); u += UOP_SIZE; continue; }
      // PUSH64_I
      case 148: { const v = <u64><i64>load<i32>(u, U_DISP); const sp = load<u64>(cpu, RSP) - 8; const va = sp; const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == ((va + 7) & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
          store<u64>(p, v);
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), 8); store<u64>(cpu, sp, RSP); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
        } else { wr_slow(cpu, tlb, va, <u64>(v), 8); if (load<u32>(cpu, FAULT)) { if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; store<u64>(cpu, sp, RSP); break; } }
        store<u64>(cpu, sp, RSP); u += UOP_SIZE; continue; }
      // POP64
      case 149: { const sp = load<u64>(cpu, RSP); const va = sp; const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu, sp + 8, RSP); store<u64>(cpu + load<u8>(u, U_A), v); u += UOP_SIZE; continue; }
      // LEAVE64
      case 150: { const sp = load<u64>(cpu, RBP); const va = sp; const e = tlb_slot(tlb, va); let v: u64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <u64>load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <u64><u64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } store<u64>(cpu, sp + 8, RSP); store<u64>(cpu, v, RBP); u += UOP_SIZE; continue; }
      // XCHG_RR64
      case 151: { const a = load<u64>(cpu + load<u8>(u, U_A)); store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); store<u64>(cpu + load<u8>(u, U_B), a); u += UOP_SIZE; continue; }
      // XCHG_RR32
      case 152: { const a = load<u32>(cpu + load<u8>(u, U_A)); const b = load<u32>(cpu + load<u8>(u, U_B)); store<u64>(cpu + load<u8>(u, U_A), <u64>b); store<u64>(cpu + load<u8>(u, U_B), <u64>a); u += UOP_SIZE; continue; }
      // BSWAP32
      case 153: store<u64>(cpu + load<u8>(u, U_A), <u64>bswap<u32>(load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // BSWAP64
      case 154: store<u64>(cpu + load<u8>(u, U_A), bswap<u64>(load<u64>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CDQE
      case 155: store<u64>(cpu, <u64><i64>load<i32>(cpu)); u += UOP_SIZE; continue;
      // CDQ
      case 156: store<u64>(cpu, <u64><u32>(load<i32>(cpu) >> 31), 16); u += UOP_SIZE; continue;
      // CQO
      case 157: store<i64>(cpu, load<i64>(cpu) >> 63, 16); u += UOP_SIZE; continue;
      // ADD_RR32
      case 158: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a + b; flags_lazy(cpu, FLAG_ADD, <i64>r, <i64>a, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADD_RR64
      case 159: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a + b; flags_lazy(cpu, FLAG_ADD, r, a, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // OR_RR32
      case 160: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a | b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // OR_RR64
      case 161: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a | b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ADC_RR32
      case 162: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = <i32>alu_carry(cpu, false, <i64>a, <i64>b, true); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADC_RR64
      case 163: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = <i64>alu_carry(cpu, false, a, b, false); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SBB_RR32
      case 164: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = <i32>alu_carry(cpu, true, <i64>a, <i64>b, true); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SBB_RR64
      case 165: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = <i64>alu_carry(cpu, true, a, b, false); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // AND_RR32
      case 166: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // AND_RR64
      case 167: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SUB_RR32
      case 168: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SUB_RR64
      case 169: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // XOR_RR32
      case 170: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a ^ b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // XOR_RR64
      case 171: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a ^ b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // CMP_RR32
      case 172: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b);  u += UOP_SIZE; continue; }
      // CMP_RR64
      case 173: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b);  u += UOP_SIZE; continue; }
      // TEST_RR32
      case 174: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, <i64>r);  u += UOP_SIZE; continue; }
      // TEST_RR64
      case 175: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b; flags_logic(cpu, r);  u += UOP_SIZE; continue; }
      // ADD_RI32
      case 176: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a + b; flags_lazy(cpu, FLAG_ADD, <i64>r, <i64>a, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADD_RI64
      case 177: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a + b; flags_lazy(cpu, FLAG_ADD, r, a, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // OR_RI32
      case 178: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a | b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // OR_RI64
      case 179: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a | b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ADC_RI32
      case 180: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = <i32>alu_carry(cpu, false, <i64>a, <i64>b, true); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADC_RI64
      case 181: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = <i64>alu_carry(cpu, false, a, b, false); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SBB_RI32
      case 182: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = <i32>alu_carry(cpu, true, <i64>a, <i64>b, true); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SBB_RI64
      case 183: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = <i64>alu_carry(cpu, true, a, b, false); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // AND_RI32
      case 184: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a & b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // AND_RI64
      case 185: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a & b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SUB_RI32
      case 186: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SUB_RI64
      case 187: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // XOR_RI32
      case 188: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a ^ b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // XOR_RI64
      case 189: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a ^ b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // CMP_RI32
      case 190: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b);  u += UOP_SIZE; continue; }
      // CMP_RI64
      case 191: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b);  u += UOP_SIZE; continue; }
      // TEST_RI32
      case 192: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a & b; flags_logic(cpu, <i64>r);  u += UOP_SIZE; continue; }
      // TEST_RI64
      case 193: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a & b; flags_logic(cpu, r);  u += UOP_SIZE; continue; }
      // ADD_RM32
      case 194: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a + b; flags_lazy(cpu, FLAG_ADD, <i64>r, <i64>a, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADD_RM64
      case 195: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a + b; flags_lazy(cpu, FLAG_ADD, r, a, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // OR_RM32
      case 196: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a | b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // OR_RM64
      case 197: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a | b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ADC_RM32
      case 198: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = <i32>alu_carry(cpu, false, <i64>a, <i64>b, true); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADC_RM64
      case 199: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = <i64>alu_carry(cpu, false, a, b, false); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SBB_RM32
      case 200: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = <i32>alu_carry(cpu, true, <i64>a, <i64>b, true); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SBB_RM64
      case 201: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = <i64>alu_carry(cpu, true, a, b, false); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // AND_RM32
      case 202: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // AND_RM64
      case 203: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SUB_RM32
      case 204: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SUB_RM64
      case 205: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // XOR_RM32
      case 206: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a ^ b; flags_logic(cpu, <i64>r); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // XOR_RM64
      case 207: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a ^ b; flags_logic(cpu, r); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // CMP_RM32
      case 208: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b);  u += UOP_SIZE; continue; }
      // CMP_RM64
      case 209: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b);  u += UOP_SIZE; continue; }
      // TEST_RM32
      case 210: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, <i64>r);  u += UOP_SIZE; continue; }
      // TEST_RM64
      case 211: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, r);  u += UOP_SIZE; continue; }
      // ADD_RR32_NF
      case 212: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a + b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADD_RR64_NF
      case 213: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a + b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // OR_RR32_NF
      case 214: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a | b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // OR_RR64_NF
      case 215: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a | b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // AND_RR32_NF
      case 216: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a & b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // AND_RR64_NF
      case 217: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a & b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SUB_RR32_NF
      case 218: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a - b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SUB_RR64_NF
      case 219: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a - b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // XOR_RR32_NF
      case 220: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = load<i32>(cpu + load<u8>(u, U_B)); const r = a ^ b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // XOR_RR64_NF
      case 221: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = load<i64>(cpu + load<u8>(u, U_B)); const r = a ^ b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // CMP_RR32_NF
      case 222: u += UOP_SIZE; continue;
      // CMP_RR64_NF
      case 223: u += UOP_SIZE; continue;
      // TEST_RR32_NF
      case 224: u += UOP_SIZE; continue;
      // TEST_RR64_NF
      case 225: u += UOP_SIZE; continue;
      // ADD_RI32_NF
      case 226: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a + b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADD_RI64_NF
      case 227: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a + b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // OR_RI32_NF
      case 228: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a | b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // OR_RI64_NF
      case 229: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a | b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // AND_RI32_NF
      case 230: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a & b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // AND_RI64_NF
      case 231: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a & b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SUB_RI32_NF
      case 232: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a - b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SUB_RI64_NF
      case 233: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a - b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // XOR_RI32_NF
      case 234: { const a = load<i32>(cpu + load<u8>(u, U_A)); const b = <i32>load<i32>(u, U_DISP); const r = a ^ b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // XOR_RI64_NF
      case 235: { const a = load<i64>(cpu + load<u8>(u, U_A)); const b = <i64>load<i32>(u, U_DISP); const r = a ^ b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // CMP_RI32_NF
      case 236: u += UOP_SIZE; continue;
      // CMP_RI64_NF
      case 237: u += UOP_SIZE; continue;
      // TEST_RI32_NF
      case 238: u += UOP_SIZE; continue;
      // TEST_RI64_NF
      case 239: u += UOP_SIZE; continue;
      // ADD_RM32_NF
      case 240: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a + b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ADD_RM64_NF
      case 241: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a + b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // OR_RM32_NF
      case 242: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a | b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // OR_RM64_NF
      case 243: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a | b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // AND_RM32_NF
      case 244: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a & b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // AND_RM64_NF
      case 245: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a & b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SUB_RM32_NF
      case 246: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a - b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SUB_RM64_NF
      case 247: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a - b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // XOR_RM32_NF
      case 248: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a ^ b;  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // XOR_RM64_NF
      case 249: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a ^ b;  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // CMP_RM32_NF
      case 250: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; }  u += UOP_SIZE; continue; }
      // CMP_RM64_NF
      case 251: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; }  u += UOP_SIZE; continue; }
      // TEST_RM32_NF
      case 252: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; }  u += UOP_SIZE; continue; }
      // TEST_RM64_NF
      case 253: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; }  u += UOP_SIZE; continue; }
      // ADD_MR32
      case 254: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a + b; flags_lazy(cpu, FLAG_ADD, <i64>r, <i64>a, <i64>b); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // ADD_MR64
      case 255: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a + b; flags_lazy(cpu, FLAG_ADD, r, a, b); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // OR_MR32
      case 256: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a | b; flags_logic(cpu, <i64>r); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // OR_MR64
      case 257: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a | b; flags_logic(cpu, r); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // ADC_MR32
      case 258: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = <i32>alu_carry(cpu, false, <i64>a, <i64>b, true); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // ADC_MR64
      case 259: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = <i64>alu_carry(cpu, false, a, b, false); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SBB_MR32
      case 260: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = <i32>alu_carry(cpu, true, <i64>a, <i64>b, true); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SBB_MR64
      case 261: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = <i64>alu_carry(cpu, true, a, b, false); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // AND_MR32
      case 262: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, <i64>r); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // AND_MR64
      case 263: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, r); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SUB_MR32
      case 264: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SUB_MR64
      case 265: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // XOR_MR32
      case 266: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a ^ b; flags_logic(cpu, <i64>r); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // XOR_MR64
      case 267: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a ^ b; flags_logic(cpu, r); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // CMP_MR32
      case 268: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // CMP_MR64
      case 269: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); u += UOP_SIZE; continue; }
      // TEST_MR32
      case 270: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = load<i32>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, <i64>r); u += UOP_SIZE; continue; }
      // TEST_MR64
      case 271: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = load<i64>(cpu + load<u8>(u, U_A)); const r = a & b; flags_logic(cpu, r); u += UOP_SIZE; continue; }
      // ADD_MI32
      case 272: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = a + b; flags_lazy(cpu, FLAG_ADD, <i64>r, <i64>a, <i64>b); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // ADD_MI64
      case 273: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = a + b; flags_lazy(cpu, FLAG_ADD, r, a, b); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // OR_MI32
      case 274: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = a | b; flags_logic(cpu, <i64>r); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // OR_MI64
      case 275: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = a | b; flags_logic(cpu, r); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // ADC_MI32
      case 276: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = <i32>alu_carry(cpu, false, <i64>a, <i64>b, true); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // ADC_MI64
      case 277: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = <i64>alu_carry(cpu, false, a, b, false); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SBB_MI32
      case 278: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = <i32>alu_carry(cpu, true, <i64>a, <i64>b, true); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SBB_MI64
      case 279: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = <i64>alu_carry(cpu, true, a, b, false); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // AND_MI32
      case 280: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // AND_MI64
      case 281: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SUB_MI32
      case 282: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // SUB_MI64
      case 283: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // XOR_MI32
      case 284: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 4); if (p == 0) break;
        const a = load<i32>(p); const b = <i32>load<i32>(u, U_IMM); const r = a ^ b; flags_logic(cpu, <i64>r); store<i32>(p, r); ptr_w_done(cpu, p, va, 4); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // XOR_MI64
      case 285: { const va = ea(cpu, u); const p = ptr_rw(cpu, va, 8); if (p == 0) break;
        const a = load<i64>(p); const b = <i64>load<i32>(u, U_IMM); const r = a ^ b; flags_logic(cpu, r); store<i64>(p, r); ptr_w_done(cpu, p, va, 8); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // CMP_MI32
      case 286: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i32>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, <i64>r, <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // CMP_MI64
      case 287: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i64>load<i32>(u, U_IMM); const r = a - b; flags_lazy(cpu, FLAG_SUB, r, a, b); u += UOP_SIZE; continue; }
      // TEST_MI32
      case 288: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == ((va + 3) & PAGE)) v = <i32>load<i32>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i32>rd_slow(cpu, tlb, va, 4); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i32>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, <i64>r); u += UOP_SIZE; continue; }
      // TEST_MI64
      case 289: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i64;
        if (load<u64>(e) == ((va + 7) & PAGE)) v = <i64>load<i64>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i64><i64>rd_slow(cpu, tlb, va, 8); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i64>load<i32>(u, U_IMM); const r = a & b; flags_logic(cpu, r); u += UOP_SIZE; continue; }
      // CMP_RR8
      case 290: { const a = <i32>load<i8>(cpu + load<u8>(u, U_A)); const b = <i32>load<i8>(cpu + load<u8>(u, U_B)); flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // CMP_RI8
      case 291: { const a = <i32>load<i8>(cpu + load<u8>(u, U_A)); const b = <i32>load<i8>(u, U_DISP); flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // CMP_RM8
      case 292: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = <i32>load<i8>(cpu + load<u8>(u, U_A)); flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // CMP_MR8
      case 293: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i32>load<i8>(cpu + load<u8>(u, U_A)); flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // CMP_MI8
      case 294: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i32>load<i8>(u, U_IMM); flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b); u += UOP_SIZE; continue; }
      // TEST_RR8
      case 295: { const a = <i32>load<i8>(cpu + load<u8>(u, U_A)); const b = <i32>load<i8>(cpu + load<u8>(u, U_B)); flags_logic(cpu, <i64>(a & b)); u += UOP_SIZE; continue; }
      // TEST_RI8
      case 296: { const a = <i32>load<i8>(cpu + load<u8>(u, U_A)); const b = <i32>load<i8>(u, U_DISP); flags_logic(cpu, <i64>(a & b)); u += UOP_SIZE; continue; }
      // TEST_RM8
      case 297: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const b = v; const a = <i32>load<i8>(cpu + load<u8>(u, U_A)); flags_logic(cpu, <i64>(a & b)); u += UOP_SIZE; continue; }
      // TEST_MR8
      case 298: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i32>load<i8>(cpu + load<u8>(u, U_A)); flags_logic(cpu, <i64>(a & b)); u += UOP_SIZE; continue; }
      // TEST_MI8
      case 299: { const va = ea(cpu, u); const e = tlb_slot(tlb, va); let v: i32;
        if (load<u64>(e) == (va & PAGE)) v = <i32>load<i8>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <i32><i8>rd_slow(cpu, tlb, va, 1); if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; } const a = v; const b = <i32>load<i8>(u, U_IMM); flags_logic(cpu, <i64>(a & b)); u += UOP_SIZE; continue; }
      // INC_R32
      case 300: { const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a + 1; flags_lazy(cpu, FLAG_INC, <i64>r, <i64>a, get_cf(cpu)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // DEC_R32
      case 301: { const a = load<i32>(cpu + load<u8>(u, U_A)); const r = a - 1; flags_lazy(cpu, FLAG_DEC, <i64>r, <i64>a, get_cf(cpu)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // NEG_R32
      case 302: { const a: i32 = 0; const b = load<i32>(cpu + load<u8>(u, U_A)); const r = -b; flags_lazy(cpu, FLAG_SUB, <i64>r, 0, <i64>b); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // NEG_R32_NF
      case 303: { const r = -load<i32>(cpu + load<u8>(u, U_A)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // NOT_R32
      case 304: { const r = ~load<i32>(cpu + load<u8>(u, U_A)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SHL_RI32
      case 305: { const a = load<u32>(cpu + load<u8>(u, U_A)); const n: u32 = load<u32>(u, U_DISP); const r = <i32>(a << n); flags_lazy(cpu, FLAG_SHIFT, <i64>r, <u64>((a >> (32 - n)) & 1), <u64>(((a >> (32 - n)) ^ (<u32>r >> 31)) & 1)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SHL_RI32_NF
      case 306: { const a = load<u32>(cpu + load<u8>(u, U_A)); const n: u32 = load<u32>(u, U_DISP); const r = <i32>(a << n);  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SHR_RI32
      case 307: { const a = load<u32>(cpu + load<u8>(u, U_A)); const n: u32 = load<u32>(u, U_DISP); const r = <i32>(a >> n); flags_lazy(cpu, FLAG_SHIFT, <i64>r, <u64>((a >> (n - 1)) & 1), <u64>(a >> 31)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SHR_RI32_NF
      case 308: { const a = load<u32>(cpu + load<u8>(u, U_A)); const n: u32 = load<u32>(u, U_DISP); const r = <i32>(a >> n);  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SAR_RI32
      case 309: { const a = load<u32>(cpu + load<u8>(u, U_A)); const n: u32 = load<u32>(u, U_DISP); const r = <i32>(<i32>a >> <i32>n); flags_lazy(cpu, FLAG_SHIFT, <i64>r, <u64>((<i32>a >> <i32>(n - 1)) & 1), <u64>(0)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // SAR_RI32_NF
      case 310: { const a = load<u32>(cpu + load<u8>(u, U_A)); const n: u32 = load<u32>(u, U_DISP); const r = <i32>(<i32>a >> <i32>n);  store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ROL_RI32
      case 311: { const r = <i32>rotl<u32>(load<u32>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); const cf = <u32>r & 1; flags_over(cpu, cf, <u32>(<u32>r >> 31) ^ cf); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ROR_RI32
      case 312: { const r = <i32>rotr<u32>(load<u32>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); const cf = <u32>(<u32>r >> 31); flags_over(cpu, cf, cf ^ (<u32>(<u32>r >> 30) & 1)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ROR_RI32_NF
      case 313: { const r = <i32>rotr<u32>(load<u32>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // ROL_RI32_NF
      case 314: { const r = <i32>rotl<u32>(load<u32>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // INC_R64
      case 315: { const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a + 1; flags_lazy(cpu, FLAG_INC, r, a, get_cf(cpu)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // DEC_R64
      case 316: { const a = load<i64>(cpu + load<u8>(u, U_A)); const r = a - 1; flags_lazy(cpu, FLAG_DEC, r, a, get_cf(cpu)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // NEG_R64
      case 317: { const a: i64 = 0; const b = load<i64>(cpu + load<u8>(u, U_A)); const r = -b; flags_lazy(cpu, FLAG_SUB, r, 0, b); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // NEG_R64_NF
      case 318: { const r = -load<i64>(cpu + load<u8>(u, U_A)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // NOT_R64
      case 319: { const r = ~load<i64>(cpu + load<u8>(u, U_A)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SHL_RI64
      case 320: { const a = load<u64>(cpu + load<u8>(u, U_A)); const n: u64 = load<u32>(u, U_DISP); const r = <i64>(a << n); flags_lazy(cpu, FLAG_SHIFT, r, <u64>((a >> (64 - n)) & 1), <u64>(((a >> (64 - n)) ^ (<u64>r >> 63)) & 1)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SHL_RI64_NF
      case 321: { const a = load<u64>(cpu + load<u8>(u, U_A)); const n: u64 = load<u32>(u, U_DISP); const r = <i64>(a << n);  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SHR_RI64
      case 322: { const a = load<u64>(cpu + load<u8>(u, U_A)); const n: u64 = load<u32>(u, U_DISP); const r = <i64>(a >> n); flags_lazy(cpu, FLAG_SHIFT, r, <u64>((a >> (n - 1)) & 1), <u64>(a >> 63)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SHR_RI64_NF
      case 323: { const a = load<u64>(cpu + load<u8>(u, U_A)); const n: u64 = load<u32>(u, U_DISP); const r = <i64>(a >> n);  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SAR_RI64
      case 324: { const a = load<u64>(cpu + load<u8>(u, U_A)); const n: u64 = load<u32>(u, U_DISP); const r = <i64>(<i64>a >> <i64>n); flags_lazy(cpu, FLAG_SHIFT, r, <u64>((<i64>a >> <i64>(n - 1)) & 1), <u64>(0)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SAR_RI64_NF
      case 325: { const a = load<u64>(cpu + load<u8>(u, U_A)); const n: u64 = load<u32>(u, U_DISP); const r = <i64>(<i64>a >> <i64>n);  store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ROL_RI64
      case 326: { const r = <i64>rotl<u64>(load<u64>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); const cf = <u32>r & 1; flags_over(cpu, cf, <u32>(<u64>r >> 63) ^ cf); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ROR_RI64
      case 327: { const r = <i64>rotr<u64>(load<u64>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); const cf = <u32>(<u64>r >> 63); flags_over(cpu, cf, cf ^ (<u32>(<u64>r >> 62) & 1)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ROR_RI64_NF
      case 328: { const r = <i64>rotr<u64>(load<u64>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // ROL_RI64_NF
      case 329: { const r = <i64>rotl<u64>(load<u64>(cpu + load<u8>(u, U_A)), load<u32>(u, U_DISP)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // IMUL_RR32
      case 330: { const p = <i64>load<i32>(cpu + load<u8>(u, U_A)) * <i64>load<i32>(cpu + load<u8>(u, U_B)); const r = <i32>p; const c = <u64>(p != <i64>r); flags_lazy(cpu, FLAG_SHIFT, <i64>r, c, c); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // IMUL_RR64
      case 331: imul64(cpu, cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_A)), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // IMUL_RI32
      case 332: { const p = <i64>load<i32>(cpu + load<u8>(u, U_B)) * <i64>load<i32>(u, U_DISP); const r = <i32>p; const c = <u64>(p != <i64>r); flags_lazy(cpu, FLAG_SHIFT, <i64>r, c, c); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // IMUL_RI64
      case 333: imul64(cpu, cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B)), <i64>load<i32>(u, U_DISP)); u += UOP_SIZE; continue;
      // IMUL_RR32_NF
      case 334: { const r = load<i32>(cpu + load<u8>(u, U_A)) * load<i32>(cpu + load<u8>(u, U_B)); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // IMUL_RI32_NF
      case 335: { const r = load<i32>(cpu + load<u8>(u, U_B)) * <i32>load<i32>(u, U_DISP); store<u64>(cpu + load<u8>(u, U_A), <u64><u32>r); u += UOP_SIZE; continue; }
      // IMUL_RR64_NF
      case 336: { const r = load<i64>(cpu + load<u8>(u, U_A)) * load<i64>(cpu + load<u8>(u, U_B)); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // IMUL_RI64_NF
      case 337: { const r = load<i64>(cpu + load<u8>(u, U_B)) * <i64>load<i32>(u, U_DISP); store<i64>(cpu + load<u8>(u, U_A), r); u += UOP_SIZE; continue; }
      // SETCC_R
      case 338: store<u8>(cpu + load<u8>(u, U_A), cond(cpu, load<u8>(u, U_B)) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_B
      case 339: store<u8>(cpu + load<u8>(u, U_A), load<u64>(cpu, FLAG_A) < load<u64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_NB
      case 340: store<u8>(cpu + load<u8>(u, U_A), load<u64>(cpu, FLAG_A) >= load<u64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_BE
      case 341: store<u8>(cpu + load<u8>(u, U_A), load<u64>(cpu, FLAG_A) <= load<u64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_NBE
      case 342: store<u8>(cpu + load<u8>(u, U_A), load<u64>(cpu, FLAG_A) > load<u64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_L
      case 343: store<u8>(cpu + load<u8>(u, U_A), load<i64>(cpu, FLAG_A) < load<i64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_NL
      case 344: store<u8>(cpu + load<u8>(u, U_A), load<i64>(cpu, FLAG_A) >= load<i64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_LE
      case 345: store<u8>(cpu + load<u8>(u, U_A), load<i64>(cpu, FLAG_A) <= load<i64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_SUB_NLE
      case 346: store<u8>(cpu + load<u8>(u, U_A), load<i64>(cpu, FLAG_A) > load<i64>(cpu, FLAG_B) ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_Z
      case 347: store<u8>(cpu + load<u8>(u, U_A), load<u64>(cpu, FLAG_RES) == 0 ? 1 : 0); u += UOP_SIZE; continue;
      // SETCC_NZ
      case 348: store<u8>(cpu + load<u8>(u, U_A), load<u64>(cpu, FLAG_RES) != 0 ? 1 : 0); u += UOP_SIZE; continue;
      // CMOV_RR32
      case 349: store<u64>(cpu + load<u8>(u, U_A), <u64>(cond(cpu, load<u8>(u, U_DISP)) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_RES_Z32
      case 350: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<u64>(cpu, FLAG_RES) == 0 ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_RES_NZ32
      case 351: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<u64>(cpu, FLAG_RES) != 0 ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_B32
      case 352: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<u64>(cpu, FLAG_A) < load<u64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_NB32
      case 353: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<u64>(cpu, FLAG_A) >= load<u64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_BE32
      case 354: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<u64>(cpu, FLAG_A) <= load<u64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_NBE32
      case 355: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<u64>(cpu, FLAG_A) > load<u64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_L32
      case 356: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<i64>(cpu, FLAG_A) < load<i64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_NL32
      case 357: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<i64>(cpu, FLAG_A) >= load<i64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_LE32
      case 358: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<i64>(cpu, FLAG_A) <= load<i64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_SUB_NLE32
      case 359: store<u64>(cpu + load<u8>(u, U_A), <u64>(load<i64>(cpu, FLAG_A) > load<i64>(cpu, FLAG_B) ? load<u32>(cpu + load<u8>(u, U_B)) : load<u32>(cpu + load<u8>(u, U_A)))); u += UOP_SIZE; continue;
      // CMOV_RES_Z64
      case 360: if (load<u64>(cpu, FLAG_RES) == 0) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_RES_NZ64
      case 361: if (load<u64>(cpu, FLAG_RES) != 0) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_B64
      case 362: if (load<u64>(cpu, FLAG_A) < load<u64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_NB64
      case 363: if (load<u64>(cpu, FLAG_A) >= load<u64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_BE64
      case 364: if (load<u64>(cpu, FLAG_A) <= load<u64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_NBE64
      case 365: if (load<u64>(cpu, FLAG_A) > load<u64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_L64
      case 366: if (load<i64>(cpu, FLAG_A) < load<i64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_NL64
      case 367: if (load<i64>(cpu, FLAG_A) >= load<i64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_LE64
      case 368: if (load<i64>(cpu, FLAG_A) <= load<i64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_SUB_NLE64
      case 369: if (load<i64>(cpu, FLAG_A) > load<i64>(cpu, FLAG_B)) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // CMOV_RR64
      case 370: if (cond(cpu, load<u8>(u, U_DISP))) store<u64>(cpu + load<u8>(u, U_A), load<u64>(cpu + load<u8>(u, U_B))); u += UOP_SIZE; continue;
      // ALU_G
      case 371: alu_generic(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // UNARY_G
      case 372: unary_generic(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // SHIFT_G
      case 373: shift_generic(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // MULDIV
      case 374: muldiv(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // IMUL_G
      case 375: imul_generic(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // BIT_G
      case 376: bit_generic(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // XCHG_G
      case 377: xchg_generic(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // SHXD
      case 378: misc_op(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // MISC
      case 379: misc_op(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // STACK_G
      case 380: stack_op(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // SSE
      case 381: sse_exec(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // X87
      case 382: x87_exec(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // STRING
      case 383: { const s = string_op(cpu, u); if (s == STRING_AGAIN) { changetype<Cpu>(cpu).rip = start_rip(cpu, blk, u); how = 4; break; } if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue; }
      // EA_SEG
      case 384: ea_segmented(cpu, u); if (load<u32>(cpu, FAULT)) break; u += UOP_SIZE; continue;
      // CHECK_PAGE2
      case 385: { const s = check_page2(cpu, blk); if (s == 1) { u += UOP_SIZE; continue; } if (s == 2) { changetype<Cpu>(cpu).rip = target; how = 4; } break; }
        default: unreachable();
      }
      if (link) {
        target = load<u64>(cpu, BLOCK) + <i64>off;
        const next: usize = load<u32>(link);
        if (next != 0) {
          const g = load<u32>(link, 4);
          if (g == LINK_ALWAYS || (g == mapping_gen(cpu, target) && load<u64>(link, 8) == load<u64>(cpu, BLOCK))) {
            blk = next;
            break;
          }
        }
        const found = jump_cached(cpu, target, link);
        if (found == 0) { store<u32>(cpu, 0, BLOCK_CURRENT); changetype<Cpu>(cpu).rip = target; return left; }
        blk = found;
        break;
      }
      if (how) {
        if (how >= 3) {
          if (how == 4) left += insns_from(blk, u);
          store<u32>(cpu, 0, BLOCK_CURRENT);
          return left;
        }
        if (how == 2) {
          target = changetype<Cpu>(cpu).rip;
        }
        const e: usize = cpu + JUMP_CACHE + (((<u32>target ^ <u32>(target >> 12)) & JUMP_MASK) << 4);
        blk = load<u32>(e, JUMP_BLOCK);
        if (load<u64>(e) == target && blk != 0 && load<u32>(e, JUMP_GEN) == mapping_gen(cpu, target) && load<u32>(blk, B_MODE) == load<u32>(cpu, MODE)) break;
        store<u32>(cpu, 0, BLOCK_CURRENT);
        changetype<Cpu>(cpu).rip = target;
        return left;
      }
      // a fault, or FAULT_LEAVE and its like after a committed micro-op, perhaps not the instruction's last
      if (load<u32>(cpu, FAULT) == FAULT_LEAVE && load<u16>(u, U_OP) >= FIRST_PRE_OP) { u += UOP_SIZE; continue; }
      store<u32>(cpu, 0, BLOCK_CURRENT);
      return left + leave_at(cpu, blk, u);
    }
  }
  store<u32>(cpu, 0, BLOCK_CURRENT);
  changetype<Cpu>(cpu).rip = target;
  return left;
}

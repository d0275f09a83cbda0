/** Makes the dispatcher, the micro-ops' numbers and the translator's descriptors from the table in uops/. Used by generate.mjs. */
import { byCondition, fusedNumbers, makeTable } from './uops/index.mjs';

const ATTRIBUTES = `
export const ATTR_READS: u32 = 1; // needs the arithmetic flags
export const ATTR_WRITES: u32 = 2; // sets all six
export const ATTR_FAULTS: u32 = 4; // may fault, which shows them
export const ATTR_LAZY: u32 = 8; // flag_res is valid afterwards
export const ATTR_SUB: u32 = 16; // and flag_a, flag_b hold what was compared
export const ATTR_UNKNOWN: u32 = 32; // may change some flags
`;

function numbers(head, { list, index, nf }) {
  const by = (prefix, suffix) => byCondition(index, prefix, suffix).join(', ');
  return `${head}
${list.map((o, i) => `export const OP_${o.name}: u32 = ${i};\n`).join('')}export const OP_COUNT: u32 = ${list.length};
${ATTRIBUTES}export const OP_ATTR: StaticArray<u8> = [${list.map((o) => o.attr).join(', ')}];
/** Fused compare and branch: [RR RI][32 64][CMP TEST][condition], 0: none. */
export const OP_FUSED: StaticArray<u16> = [${fusedNumbers(index).join(', ')}];
/** Conditions on the operands of a compare, by condition code; 0: ask the general form. */
export const OP_SETCC_SUB: StaticArray<u16> = [${by('SETCC_SUB_', '')}];
export const OP_CMOV_SUB: StaticArray<u16> = [${by('CMOV_SUB_', '32')}, ${by('CMOV_SUB_', '64')}];
/** The same micro-op without flags, or 0. */
export const OP_NF: StaticArray<u16> = [${nf.join(', ')}];
`;
}

/** The descriptors by number, for vmm/jit/. */
function descriptors(head, { list }) {
  const rows = list.map((o) => `  ${JSON.stringify({ name: o.name, ...o.sem })},\n`).join('');
  return `${head}import type { Uop } from './uop.ts';\n\n/** The table of micro-ops, by number. */\nexport const UOPS: readonly Uop[] = [\n${rows}];\n`;
}

function dispatcher(head, { list, index }) {
  return `${head}
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
const FIRST_PRE_OP: u32 = ${index.get('EA_SEG')};

/**
 * Runs from block \`blk\` at rip \`target\` until something needs the caller. \`left\`: instructions of the budget; returns what
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
${list.map((o, i) => `      // ${o.name}\n      case ${i}: ${o.body}${/(continue;|break;|continue; }|break; })$/.test(o.body) ? '' : ' break;'}`).join('\n')}
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
`;
}

export function makeInterp(head) {
  const table = makeTable();
  return { ops: numbers(head, table), interp: dispatcher(head, table), uops: descriptors(head, table) };
}

/**
 * OP_SYS: instructions that end their block: far transfers, system registers, I/O, and near transfers outside 64-bit
 * mode. Before the call `cpu.rip` is the next instruction; afterwards it is where to go on, or `cpu.fault` is set.
 * imm = S_* | operand bytes << 8 | extra << 16; memory operands by `ea`, registers by a and b.
 */
import { SEG_LIMIT } from '../../contract/vcpu';
import { put_reg } from '../memory/operand';
import {
  cli, clts, cr_read, cr_write, dr_read, dr_write, hidden, hlt, invlpg, lmsw, popf, rdpmc, rdrand, rdtsc, smsw, sti, syscall,
  sysenter, sysexit, sysret, vmcall, wbinvd,
} from '../system/control';
import { cpuid } from '../system/cpuid';
import { int_1, int_n } from '../system/exception';
import { far_call, far_jmp, far_ret, iret } from '../system/far';
import { leave_block, raise_gp, raise_ud } from '../vcpu/fault';
import { CF, flags_materialize, get_of, set_flags_explicit, TF, ZF } from '../vcpu/flags';
import { io_in, io_out } from '../system/ioport';
import { rd16, rd32, rd64, wr16 } from '../memory/mem';
import { MODE_64, MODE_FLAT } from '../vcpu/modes';
import { rdmsr, wrmsr } from '../system/msr';
import { lar, lgdt, lidt, lldt, lsl, ltr, seg_load, sgdt, sidt, sldt, str, swapgs, verr, verw } from '../memory/segment';
import { set_sp, stack_mask, stack_read } from '../memory/stack';
import { push } from './stackops';
import { Cpu, CPU_SEGS, FAULT_EXCEPTION, SEG_CS, SEG_SS, SHADOW_SS } from '../vcpu/state';
import { count_stat } from '../vcpu/stats';
import { ea, U_A, U_B, U_DISP, U_IMM } from '../uop/uop';

export const STAT_UNDEFINED: u32 = 32;

export const S_UD: u32 = 0;
export const S_GP: u32 = 1;
export const S_CALLF: u32 = 2; // disp = offset, extra = selector
export const S_JMPF: u32 = 3;
export const S_CALLFM: u32 = 4;
export const S_JMPFM: u32 = 5;
export const S_RETF: u32 = 6; // disp = bytes to drop
export const S_IRET: u32 = 7;
export const S_INT: u32 = 8; // disp = vector
export const S_INT3: u32 = 9;
export const S_INTO: u32 = 10;
export const S_INT1: u32 = 11;
export const S_CALL: u32 = 12; // near, relative to the block: disp
export const S_CALLN: u32 = 13; // near, target in register a
export const S_JMPN: u32 = 14;
export const S_RET: u32 = 15; // disp = bytes to drop
export const S_HLT: u32 = 16;
export const S_CLI: u32 = 17;
export const S_STI: u32 = 18;
export const S_POPF: u32 = 19;
export const S_POPSEG: u32 = 20; // a = segment
export const S_MOVSEG: u32 = 21; // a = segment, b = register
export const S_LSEG: u32 = 22; // a = segment, b = register
export const S_IN: u32 = 23; // a = log2 of size, extra: 1 = port in disp, 0 = DX
export const S_OUT: u32 = 24;
export const S_CR_READ: u32 = 25; // a = register, disp = number
export const S_CR_WRITE: u32 = 26;
export const S_DR_READ: u32 = 27;
export const S_DR_WRITE: u32 = 28;
export const S_CLTS: u32 = 29;
export const S_WBINVD: u32 = 30;
export const S_SYSCALL: u32 = 31;
export const S_SYSRET: u32 = 32;
export const S_SYSENTER: u32 = 33;
export const S_SYSEXIT: u32 = 34;
export const S_WRMSR: u32 = 35;
export const S_RDMSR: u32 = 36;
export const S_RDTSC: u32 = 37;
export const S_RDTSCP: u32 = 38;
export const S_RDPMC: u32 = 39;
export const S_CPUID: u32 = 40;
export const S_SGDT: u32 = 41;
export const S_SIDT: u32 = 42;
export const S_LGDT: u32 = 43;
export const S_LIDT: u32 = 44;
export const S_SMSW_R: u32 = 45;
export const S_SMSW_M: u32 = 46;
export const S_LMSW: u32 = 47; // a = register
export const S_INVLPG: u32 = 48;
export const S_SWAPGS: u32 = 49;
export const S_VMCALL: u32 = 50;
export const S_HIDDEN: u32 = 51;
export const S_SLDT_R: u32 = 52;
export const S_SLDT_M: u32 = 53;
export const S_STR_R: u32 = 54;
export const S_STR_M: u32 = 55;
export const S_LLDT: u32 = 56; // a = register
export const S_LTR: u32 = 57;
export const S_VERR: u32 = 58;
export const S_VERW: u32 = 59;
export const S_LAR: u32 = 60; // a = destination, b = register
export const S_LSL: u32 = 61;
export const S_RDRAND: u32 = 62; // a = register

@inline
function log2(bytes: u32): u32 {
  return bytes == 8 ? 3 : bytes == 4 ? 2 : 1;
}

function undefined_opcode(cpu: usize): void {
  count_stat(cpu, STAT_UNDEFINED);
  raise_ud(cpu);
}

/** Goes to near address `to` after a limit check; outside 64-bit mode. */
function near(cpu: usize, to: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (!(c.mode & (MODE_64 | MODE_FLAT)) && to > load<u32>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_LIMIT)) {
    raise_gp(cpu);
    return false;
  }
  return true;
}

@inline
function cut(v: u64, bytes: u32): u64 {
  return bytes == 8 ? v : bytes == 4 ? v & 0xffff_ffff : v & 0xffff;
}

/** Result of a probe instruction: value in bits 0..31, ZF in bit 32. */
function probe_result(cpu: usize, dst: usize, bytes: u32, v: u64): void {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_EXCEPTION) return;
  const f = flags_materialize(cpu) & ~ZF;
  if (v >> 32) {
    c.eflags = f | ZF;
    put_reg(dst, log2(bytes), v & 0xffff_ffff);
  } else c.eflags = f;
}

function set_zf(cpu: usize, on: u32): void {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_EXCEPTION) return;
  const f = flags_materialize(cpu) & ~ZF;
  c.eflags = on ? f | ZF : f;
}

export function sys_op(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const imm = load<u32>(u, U_IMM);
  const bytes = (imm >> 8) & 15;
  const extra = imm >> 16;
  const a = cpu + load<u8>(u, U_A);
  const b = cpu + load<u8>(u, U_B);
  switch (<i32>(imm & 0xff)) {
    case S_UD: undefined_opcode(cpu); break;
    case S_GP: raise_gp(cpu); break;
    case S_CALLF: far_call(cpu, extra, <u64>load<u32>(u, U_DISP), bytes, c.rip); break;
    case S_JMPF: far_jmp(cpu, extra, <u64>load<u32>(u, U_DISP), bytes); break;
    case S_CALLFM:
    case S_JMPFM: {
      const va = ea(cpu, u);
      const off = bytes == 8 ? rd64(cpu, va) : bytes == 4 ? <u64>rd32(cpu, va) : <u64>rd16(cpu, va);
      if (c.fault == FAULT_EXCEPTION) return;
      const sel = rd16(cpu, va + bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      if ((imm & 0xff) == S_CALLFM) far_call(cpu, sel, off, bytes, c.rip);
      else far_jmp(cpu, sel, off, bytes);
      break;
    }
    case S_RETF: far_ret(cpu, bytes, load<u32>(u, U_DISP)); break;
    case S_IRET: iret(cpu, bytes); break;
    case S_INT: int_n(cpu, load<u32>(u, U_DISP), c.rip); break;
    case S_INT3: int_n(cpu, 3, c.rip); break;
    case S_INTO: if (get_of(cpu)) int_n(cpu, 4, c.rip); break;
    case S_INT1: int_1(cpu, c.rip); break;
    case S_CALL:
    case S_CALLN: {
      const next = c.rip;
      const to = cut((imm & 0xff) == S_CALL ? c.block + <i64>load<i32>(u, U_DISP) : load<u64>(a), bytes);
      if (near(cpu, to) && push(cpu, next, bytes)) c.rip = to;
      break;
    }
    case S_JMPN: {
      const to = cut(load<u64>(a), bytes);
      if (near(cpu, to)) c.rip = to;
      break;
    }
    case S_RET: {
      const mask = stack_mask(cpu);
      const to = cut(stack_read(cpu, c.r4 & mask, bytes), bytes);
      if (c.fault == FAULT_EXCEPTION || !near(cpu, to)) return;
      set_sp(cpu, c.r4 + bytes + load<u32>(u, U_DISP), mask);
      c.rip = to;
      break;
    }
    case S_HLT: hlt(cpu); break;
    case S_CLI: cli(cpu); break;
    case S_STI: sti(cpu); break;
    case S_POPF: {
      const mask = stack_mask(cpu);
      const v = stack_read(cpu, c.r4 & mask, bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      popf(cpu, <u32>v, bytes);
      if (c.fault != FAULT_EXCEPTION) set_sp(cpu, c.r4 + bytes, mask);
      if (c.eflags & TF) leave_block(cpu); // the next instruction is stepped
      break;
    }
    case S_POPSEG: {
      const mask = stack_mask(cpu);
      const v = stack_read(cpu, c.r4 & mask, bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      const sp = c.r4;
      if (seg_load(cpu, load<u8>(u, U_A), <u32>v & 0xffff)) segment_changed(c, cpu, load<u8>(u, U_A));
      // the old stack's width counts
      if (c.fault != FAULT_EXCEPTION) set_sp(cpu, sp + bytes, mask);
      break;
    }
    case S_MOVSEG:
      if (seg_load(cpu, load<u8>(u, U_A), <u32>load<u16>(b))) segment_changed(c, cpu, load<u8>(u, U_A));
      break;
    case S_LSEG: {
      const va = ea(cpu, u);
      const off = bytes == 8 ? rd64(cpu, va) : bytes == 4 ? <u64>rd32(cpu, va) : <u64>rd16(cpu, va);
      if (c.fault == FAULT_EXCEPTION) return;
      const sel = rd16(cpu, va + bytes);
      if (c.fault == FAULT_EXCEPTION) return;
      if (seg_load(cpu, load<u8>(u, U_A), sel)) {
        put_reg(b, log2(bytes), off);
        leave_block(cpu);
      }
      break;
    }
    case S_IN: {
      const size: u32 = load<u8>(u, U_A);
      const v = io_in(cpu, extra ? load<u32>(u, U_DISP) & 0xff : <u32>c.r2 & 0xffff, 1 << size);
      if (c.fault != FAULT_EXCEPTION) put_reg(cpu, size, v);
      break;
    }
    case S_OUT: {
      const size: u32 = load<u8>(u, U_A);
      const v = <u32>c.r0;
      io_out(cpu, extra ? load<u32>(u, U_DISP) & 0xff : <u32>c.r2 & 0xffff, 1 << size, size == 0 ? v & 0xff : size == 1 ? v & 0xffff : v);
      break;
    }
    case S_CR_READ: {
      const v = cr_read(cpu, load<u32>(u, U_DISP));
      if (c.fault != FAULT_EXCEPTION) store<u64>(a, cut(v, bytes));
      break;
    }
    case S_CR_WRITE: cr_write(cpu, load<u32>(u, U_DISP), cut(load<u64>(a), bytes)); break;
    case S_DR_READ: {
      const v = dr_read(cpu, load<u32>(u, U_DISP));
      if (c.fault != FAULT_EXCEPTION) store<u64>(a, cut(v, bytes));
      break;
    }
    case S_DR_WRITE: dr_write(cpu, load<u32>(u, U_DISP), cut(load<u64>(a), bytes)); leave_block(cpu); break;
    case S_CLTS: clts(cpu); break;
    case S_WBINVD: wbinvd(cpu); break;
    case S_SYSCALL: syscall(cpu, c.rip); break;
    case S_SYSRET: sysret(cpu, bytes); leave_block(cpu); break;
    case S_SYSENTER: sysenter(cpu); break;
    case S_SYSEXIT: sysexit(cpu, bytes); break;
    case S_WRMSR: wrmsr(cpu); leave_block(cpu); break;
    case S_RDMSR: rdmsr(cpu); break;
    case S_RDTSC:
    case S_RDTSCP: {
      const t = rdtsc(cpu);
      if (c.fault == FAULT_EXCEPTION) return;
      c.r0 = t & 0xffff_ffff;
      c.r2 = t >> 32;
      if ((imm & 0xff) == S_RDTSCP) c.r1 = c.tsc_aux & 0xffff_ffff;
      break;
    }
    case S_RDPMC: rdpmc(cpu); break;
    case S_CPUID: cpuid(cpu); break;
    case S_SGDT: sgdt(cpu, ea(cpu, u)); break;
    case S_SIDT: sidt(cpu, ea(cpu, u)); break;
    case S_LGDT: lgdt(cpu, ea(cpu, u), bytes); break;
    case S_LIDT: lidt(cpu, ea(cpu, u), bytes); break;
    case S_SMSW_R: put_reg(a, log2(bytes), smsw(cpu)); break;
    case S_SMSW_M: wr16(cpu, ea(cpu, u), <u32>smsw(cpu) & 0xffff); break;
    case S_LMSW: lmsw(cpu, <u32>load<u16>(a)); leave_block(cpu); break;
    case S_INVLPG: invlpg(cpu, ea(cpu, u)); break;
    case S_SWAPGS: swapgs(cpu); break;
    case S_VMCALL: vmcall(cpu); break;
    case S_HIDDEN: hidden(cpu); break;
    case S_SLDT_R:
    case S_STR_R: {
      const v = (imm & 0xff) == S_SLDT_R ? sldt(cpu) : str(cpu);
      if (c.fault != FAULT_EXCEPTION) put_reg(a, log2(bytes), v);
      break;
    }
    case S_SLDT_M:
    case S_STR_M: {
      const v = (imm & 0xff) == S_SLDT_M ? sldt(cpu) : str(cpu);
      if (c.fault != FAULT_EXCEPTION) wr16(cpu, ea(cpu, u), v & 0xffff);
      break;
    }
    case S_LLDT: lldt(cpu, <u32>load<u16>(a)); break;
    case S_LTR: ltr(cpu, <u32>load<u16>(a)); break;
    case S_VERR: set_zf(cpu, verr(cpu, <u32>load<u16>(a))); break;
    case S_VERW: set_zf(cpu, verw(cpu, <u32>load<u16>(a))); break;
    case S_LAR: probe_result(cpu, a, bytes, lar(cpu, <u32>load<u16>(b))); break;
    case S_LSL: probe_result(cpu, a, bytes, lsl(cpu, <u32>load<u16>(b))); break;
    default: { // S_RDRAND
      put_reg(a, log2(bytes), rdrand(cpu));
      set_flags_explicit(cpu, CF);
    }
  }
}

/** After MOV and POP to SS the next instruction runs before interrupts (not after LSS); any load may change the decode mode. */
function segment_changed(c: Cpu, cpu: usize, seg: u32): void {
  if (seg == SEG_SS) c.intr_shadow = SHADOW_SS;
  leave_block(cpu);
}

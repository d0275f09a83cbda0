/** Guest memory: one TLB probe inline (assembly/cpu/tlb.ts), the rest by the core. Accesses keep their number and order. */
import { FAULT_EXCEPTION, INDEX_ADDR32, REG_BLOCK, REG_ZERO } from '../../assembly/contract/translator.ts';
import { I32, I64, MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { HELPER } from './helpers.ts';
import { CPU, ENTRY, P, PAGE, S, V, VA } from './locals.ts';

/** Tags of a TLB entry, and its addend. */
export const TAG_READ = 0;
export const TAG_WRITE = 8;
export const TAG_EXEC = 16;
const ADDEND = 24;
const TLB_INDEX_MASK = 0x7fe0;
const SEGMENT_SHIFT = 5;

/** i64: address of the memory operand; without `segment` the offset alone, as LEA has it. */
export function address(c: Context, segment = true): void {
  const { code, words, u } = c;
  const base = words.base(u);
  const index = words.index(u);
  let disp = words.disp(u);
  let any = false;
  const add = (): void => {
    if (any) code.op(OP.i64Add);
    any = true;
  };
  if (base >>> 3 === REG_BLOCK) {
    code.get(PAGE);
    disp += c.node.offset;
    any = true;
  } else if (base >>> 3 !== REG_ZERO) {
    c.reg64(base >>> 3);
    any = true;
  }
  if (index >>> 3 === REG_BLOCK) throw new Error('an index of the block');
  if (index >>> 3 !== REG_ZERO) {
    c.reg64(index >>> 3);
    if ((index & 3) !== 0) code.i64(index & 3).op(OP.i64Shl);
    add();
  }
  if (!any || disp !== 0) {
    code.i64(disp);
    add();
  }
  if ((index & INDEX_ADDR32) !== 0) code.i64(0xffff_ffff).op(OP.i64And);
  if (segment && (base & 7) !== 0) code.get(CPU).mem(MEM.i64Load, c.at.segments + (((base & 7) - 1) << SEGMENT_SHIFT)).op(OP.i64Add);
}

/** i32: the access of `size` bytes at VA has its page in the TLB; leaves the entry's offset in its table in ENTRY. */
export function probe(c: Context, size: number, tag: number): void {
  const { code } = c;
  code.get(VA).i64(7).op(OP.i64ShrU).op(OP.wrap).i32(TLB_INDEX_MASK).op(OP.i32And).tee(ENTRY).mem(MEM.i64Load, c.tlb + tag);
  code.get(VA);
  if (size > 1) code.i64(size - 1).op(OP.i64Add);
  code.i64(-4096).op(OP.i64And).op(OP.i64Eq);
}

/** i32: linear offset of VA by ENTRY. */
export function pointer(c: Context): void {
  c.code.get(VA).op(OP.wrap).get(ENTRY).mem(MEM.i32Load, c.tlb + ADDEND).op(OP.i32Add);
}

const LOADS: Readonly<Record<string, number>> = {
  '1u': MEM.i64Load8U, '2u': MEM.i64Load16U, '4u': MEM.i64Load32U, '8u': MEM.i64Load, '1s': MEM.i64Load8S, '2s': MEM.i64Load16S, '4s': MEM.i64Load32S, '8s': MEM.i64Load,
};
const EXTENDS: Readonly<Record<number, number>> = { 1: OP.i64Extend8, 2: OP.i64Extend16, 4: OP.i64Extend32 };

/** Takes the address from the stack, leaves the value of `size` bytes as i64. */
export function read(c: Context, size: number, signed: boolean): void {
  const { code } = c;
  code.set(VA);
  probe(c, size, TAG_READ);
  code.mostly().if(I64);
  pointer(c);
  code.mem(LOADS[`${size}${signed ? 's' : 'u'}`] as number);
  code.else().get(CPU).i32(c.tlb).get(VA).i32(size).call(HELPER.rd_slow as number);
  c.leaveIfFault(FAULT_EXCEPTION);
  if (signed && size < 8) code.op(EXTENDS[size] as number);
  else if (size < 8) code.i64(size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1).op(OP.i64And);
  code.end();
}

/** As `read` for operands of an operation of 32 or 64 bits: i32 or i64. */
export function readOperand(c: Context, bits: number): void {
  read(c, bits / 8, false);
  if (bits === 32) c.code.op(OP.wrap);
}

const STORES: Readonly<Record<number, number>> = { 1: MEM.i64Store8, 2: MEM.i64Store16, 4: MEM.i64Store32, 8: MEM.i64Store };

/** The store at P may have hit decoded code: i32, its page's mark. */
export function codeMark(c: Context): void {
  c.code.get(P).i32(12).op(OP.i32ShrU).mem(MEM.i32Load8U, c.at.codeMark);
}

function codeWritten(c: Context, size: number): void {
  c.code.get(CPU).get(P).i32(c.at.ramBase).op(OP.i32Sub).i32(size).call(HELPER.code_write as number);
}

/** What a store into code does behind itself: P has the place. `commit` is written before the instruction ends. */
export function afterStore(c: Context, size: number, commit?: () => void): void {
  const { code } = c;
  codeMark(c);
  code.rarely().if();
  codeWritten(c, size);
  code.get(CPU).mem(MEM.i32Load, c.at.fault).rarely().if();
  commit?.();
  c.leaveFault();
  code.end().end();
}

/** Stores V (i64) of `size` bytes at VA. `commit`: what else the instruction does once the store is sure; the caller writes it behind, too. */
export function write(c: Context, size: number, commit?: () => void): void {
  const { code } = c;
  probe(c, size, TAG_WRITE);
  code.mostly().if();
  pointer(c);
  code.tee(P).get(V).mem(STORES[size] as number);
  afterStore(c, size, commit);
  code.else().get(CPU).i32(c.tlb).get(VA).get(V).i32(size).call(HELPER.wr_slow as number);
  if (commit === undefined) c.leaveIfFault(0);
  else {
    c.leaveIfFault(FAULT_EXCEPTION);
    code.get(CPU).mem(MEM.i32Load, c.at.fault).rarely().if();
    commit();
    c.leaveFault();
    code.end();
  }
  code.end();
}

/** Read-modify-write of VA: leaves in P where the operand is, in S whether it was bounced. The page is checked for writing first. */
export function beginUpdate(c: Context, size: number): void {
  const { code } = c;
  code.i32(0).set(S);
  probe(c, size, TAG_WRITE);
  code.mostly().if(I32);
  pointer(c);
  code.else().i32(1).set(S).get(CPU).get(VA).i32(size).call(HELPER.jit_rw_slow as number).tee(P).op(OP.i32Eqz).rarely().if();
  c.leaveFault();
  code.end().get(P).end().set(P);
}

/** Behind the store to P. */
export function endUpdate(c: Context, size: number): void {
  const { code } = c;
  code.get(S);
  codeMark(c);
  code.op(OP.i32Or).rarely().if().get(CPU).get(P).get(VA).i32(size).call(HELPER.jit_w_done as number);
  c.leaveIfFault(0);
  code.end();
}

/** What the parts of the emitter share while one region is written: the code, the place in it, what is known there, and access to registers. */
import { REG_BLOCK, REG_ZERO } from '../../assembly/contract/translator.ts';
import { Code, MEM, OP } from './code.ts';
import { emitFlags, type FlagContext, type FlagKind, type LazyFlags } from './flags.ts';
import type { Offsets } from './layout.ts';
import { CPU, FAULT_BLOCK, FAULT_UOP, PAGE, REG0 } from './locals.ts';
import type { Effects, Region, RegionNode } from './region.ts';
import type { Uop, Words } from './uop.ts';

export class Context implements FlagContext {
  readonly code = new Code();
  readonly words: Words;
  readonly at: Offsets;
  region!: Region;
  effects!: Effects;
  node!: RegionNode;
  /** The TLB's table in the region's mode. */
  tlb = 0;
  /** The micro-op that is written. */
  u = 0;
  /** Registers whose local may differ from memory here; likewise the flags. */
  dirty = 0;
  flagsDirty = false;
  flagKind: FlagKind = undefined;
  /** The flags are not in their locals yet, but can be made of these. */
  lazy: LazyFlags | undefined = undefined;
  /** Labels of the region's ends: a fault, a stop at a back-edge, a direct link, an indirect jump. */
  faultLabel = 0;
  stopLabel = 0;
  linkLabel = 0;
  jumpLabel = 0;

  constructor(words: Words, at: Offsets) {
    this.words = words;
    this.at = at;
  }

  // ---- registers ---------------------------------------------------------------------------------------------------

  /** The 64 bits of register `n` of the file. */
  reg64(n: number): void {
    if (n === REG_ZERO) this.code.i64(0);
    else if (n === REG_BLOCK) this.blockAddress();
    else this.code.get(REG0 + n);
  }

  /** Linear address of the running block. */
  blockAddress(): void {
    this.code.get(PAGE);
    if (this.node.offset !== 0) this.code.i64(this.node.offset).op(OP.i64Add);
  }

  /** The value at `place` of the register file, as i32 or i64. */
  value(bits: number, place: number): void {
    this.reg64(place >>> 3);
    if (bits === 32) this.code.op(OP.wrap);
  }

  /** The stack's value of `bits` becomes the register at `place`; 32 bits clear the upper half. */
  setValue(bits: number, place: number): void {
    if (bits === 32) this.code.op(OP.extendU);
    this.set64(place);
  }

  set64(place: number): void {
    const n = place >>> 3;
    this.code.set(REG0 + n);
    this.dirty |= 1 << n;
  }

  /** i32: the byte register at `place`, sign- or zero-extended. */
  byte(place: number, signed: boolean): void {
    this.reg64(place >>> 3);
    if ((place & 7) !== 0) this.code.i64(8).op(OP.i64ShrU);
    this.code.op(OP.wrap);
    if (signed) this.code.op(OP.i32Extend8);
    else this.code.i32(0xff).op(OP.i32And);
  }

  /** The i64 on the stack, already cut to `bits`, becomes that part of the register at `place`. */
  setPart(place: number, bits: number): void {
    const { code } = this;
    const high = (place & 7) !== 0;
    const n = place >>> 3;
    if (high) code.i64(8).op(OP.i64Shl);
    code.get(REG0 + n);
    if (bits === 16) code.i64(-0x1_0000);
    else if (high) code.i64(-0xff01);
    else code.i64(-0x100);
    code.op(OP.i64And).op(OP.i64Or);
    this.set64(n << 3);
  }

  /** Stores the registers of `set` whose local may differ. */
  spill(set: number): void {
    const { code } = this;
    for (let n = 0, left = set & this.dirty; left !== 0; n++, left >>>= 1) {
      if ((left & 1) !== 0) code.get(CPU).get(REG0 + n).mem(MEM.i64Store, n << 3);
    }
  }

  /** As `spill`; from here on memory is right. */
  sync(set: number): void {
    this.spill(set);
    this.dirty &= ~set;
  }

  /** Loads the registers of `set` that have a local. */
  reload(set: number): void {
    const { code } = this;
    for (let n = 0, left = set & this.effects.used; left !== 0; n++, left >>>= 1) {
      if ((left & 1) !== 0) code.get(CPU).mem(MEM.i64Load, n << 3).set(REG0 + n);
    }
  }

  /** Makes `cpu.block` true for what reads it. */
  storeBlock(): void {
    this.code.get(CPU);
    this.blockAddress();
    this.code.mem(MEM.i64Store, this.at.block);
  }

  // ---- faults ------------------------------------------------------------------------------------------------------

  /** Leaves the region at this micro-op: cpu.fault says why. */
  leaveFault(): void {
    emitFlags(this);
    this.code.i32(this.u).set(FAULT_UOP).i32(this.node.block).set(FAULT_BLOCK).br(this.faultLabel);
  }

  /** Leaves when cpu.fault is `which`; 0: when it is set at all. */
  leaveIfFault(which: number): void {
    const { code } = this;
    code.get(CPU).mem(MEM.i32Load, this.at.fault);
    if (which !== 0) code.i32(which).op(OP.i32Eq);
    code.rarely().if();
    this.leaveFault();
    code.end();
  }
}

/** Writes one micro-op. */
export type Emit = (c: Context, uop: Uop) => void;


/** One region becomes the body of one WebAssembly function. */
import { B_MODE, MODE_USER, UOP_SIZE } from '../../assembly/contract/translator.ts';
import { callHelper, system } from './calls.ts';
import { OP } from './code.ts';
import { Context, type Emit } from './context.ts';
import { loadFlags } from './flags.ts';
import { emitEnds, emitExit, emitFault, emitPrologue, Flow, FLOW } from './flow.ts';
import { genericForm } from './generic.ts';
import { alu, aluMemory, compare8, incDec, invert, multiply, negate, rotate, shift } from './integer.ts';
import type { Offsets } from './layout.ts';
import { LEFT, LOCALS } from './locals.ts';
import type { Body } from './module.ts';
import * as moves from './moves.ts';
import { multiply64 } from './muldiv.ts';
import { buildRegion, type Limits, type Region, type RegionNode } from './region.ts';
import { RegisterUse } from './registers.ts';
import { sseForm } from './sse.ts';
import { readSse } from './sse-operand.ts';
import { findEffects, findFlagsWanted, findStructure, isTight } from './structure.ts';
import type { Uop, Words } from './uop.ts';

const EMIT: Readonly<Record<string, Emit>> = {
  nop: () => {}, page2: () => {},
  mov_rr: moves.moveRegister, mov_ri: moves.moveImmediate, load: moves.load, store: moves.store, store_imm: moves.storeImmediate, extend: moves.extend,
  lea: moves.lea, push: moves.pushRegister, push_imm: moves.pushImmediate, pop: moves.popRegister, leave: moves.leave, xchg: moves.exchange,
  bswap: moves.byteSwap, acc: moves.signExtendAccumulator, setcc: moves.setCondition, cmov: moves.moveCondition,
  alu, alu_mem: aluMemory, cmp8: compare8, incdec: incDec, neg: negate, not: invert, shift, rotate, imul: multiply, imul64: multiply64,
};

export interface Translation extends Body {
  /** Blocks where it can be entered, by number. */
  readonly entries: readonly number[];
  readonly generation: number;
  readonly insns: number;
  readonly blocks: number;
  /** The block that was hot lies in a loop that stays in the region. */
  readonly tight: boolean;
}

export class Translator {
  readonly #words: Words;
  readonly #uops: readonly Uop[];
  readonly #use: readonly RegisterUse[];
  readonly #context: Context;
  readonly #flow: Flow;

  constructor(words: Words, uops: readonly Uop[], offsets: Offsets) {
    this.#words = words;
    this.#uops = uops;
    this.#use = uops.map((uop) => new RegisterUse(uop));
    this.#context = new Context(words, offsets);
    this.#flow = new Flow(this.#context, (node) => this.#node(node));
  }

  /**
   * The region that begins at `block`, translated; undefined when it stays interpreted. `cpu`: the vCPU's address;
   * `known`: as buildRegion's; `wanted`: as findStructure's.
   */
  translate(cpu: number, block: number, limits: Limits, known: (offset: number) => number, wanted: ReadonlySet<number>): Translation | undefined {
    const region = buildRegion(this.#words, this.#uops, limits, block, known);
    if (region === undefined) return undefined;
    findStructure(region, wanted);
    this.#write(cpu, region);
    const { code } = this.#context;
    return {
      entries: region.entries.map((node) => node.block), generation: region.generation, insns: region.insns, blocks: region.nodes.length, tight: isTight(region), locals: LOCALS, code: code.bytes.slice(0, code.length), hints: code.hints.slice(),
    };
  }

  #write(cpu: number, region: Region): void {
    const c = this.#context;
    const { code } = c;
    c.region = region;
    c.effects = findEffects(region, this.#words, this.#uops, this.#use);
    findFlagsWanted(region, this.#words, this.#uops);
    code.clear();
    code.cpu = cpu;
    c.tlb = cpu + (((this.#words.u32[(region.head.block + B_MODE) >>> 2] as number) & MODE_USER) !== 0 ? c.at.tlbUser : c.at.tlbSys);
    emitPrologue(c);
    c.reload(c.effects.used);
    if (c.effects.readsFlags || c.effects.changesFlags) loadFlags(c);
    c.faultLabel = code.block();
    const exit = code.block();
    c.jumpLabel = code.block();
    c.linkLabel = code.block();
    c.stopLabel = code.block();
    this.#flow.region(region.head);
    code.op(OP.unreachable);
    emitEnds(c, exit);
    code.end();
    emitExit(c);
    code.end();
    emitFault(c);
    code.op(0x0b);
  }

  #node(node: RegionNode): void {
    const c = this.#context;
    this.#flow.checkSecondPage();
    c.code.get(LEFT).i32(node.insns).op(OP.i32Sub).set(LEFT);
    for (let u = node.first; u <= node.last; u += UOP_SIZE) {
      const number = this.#words.op(u);
      const uop = this.#uops[number] as Uop;
      c.u = u;
      const end = FLOW[uop.kind];
      if (end !== undefined) end(c, uop, this.#flow);
      else if (uop.kind === 'sys') system(c, uop, this.#flow);
      else if (uop.call === 'sse_exec') this.#sse(uop, this.#use[number] as RegisterUse);
      else if (uop.call !== undefined) this.#generic(uop, this.#use[number] as RegisterUse);
      else (EMIT[uop.kind] as Emit)(c, uop);
    }
  }

  #generic(uop: Uop, use: RegisterUse): void {
    const emit = genericForm(uop, this.#words, this.#context.u);
    const byCore = (): void => callHelper(this.#context, uop, use);
    if (emit === undefined) byCore();
    else emit(this.#context, uop, byCore);
  }

  /** What the core does on a way of its own changes nothing of what is known on the other one, but may set the flags. */
  #sse(uop: Uop, use: RegisterUse): void {
    const c = this.#context;
    const emit = sseForm(this.#words, c.u);
    if (emit === undefined) {
      callHelper(c, uop, use);
      return;
    }
    const byCore = (): void => {
      const { dirty, flagsDirty, flagKind, lazy } = c;
      callHelper(c, uop, use);
      Object.assign(c, { dirty, flagsDirty, flagKind, lazy });
    };
    emit({ c, op: readSse(this.#words, c.u), byCore });
  }
}

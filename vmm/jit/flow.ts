/**
 * Control flow inside a region and out of it. Nodes nest as the dominator tree has them (Ramsey, "Beyond Relooper", ICFP 2022): a node's
 * merge points become blocks around it, loop heads become loops. Exits go on in another translation without a way through the
 * dispatcher where there is one.
 */
import { B_GEN2, B_GEN_AT, B_MODE, B_PA, B_PA2, CR4_OSFXSR, FAULT_EXCEPTION, LINK_ALWAYS, NO_PAGE, TABLE_SHIFT } from '../../assembly/contract/translator.ts';
import { JUMP_ENTRIES, RAM_BASE } from '../../assembly/core/layout.ts';
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { condition, knownCondition } from './conditions.ts';
import { emitFlags, type FlagKind, type LazyFlags, storeFlags, syncFlags } from './flags.ts';
import { HELPER } from './helpers.ts';
import { calculate, registerOperands, widthOf } from './integer.ts';
import { BLOCK, CPU, CPU_GIVEN, ENTRY, FAULT_BLOCK, FAULT_UOP, LEFT, P, PAGE, REG0, S, TARGET, V, VA, WHERE, Y } from './locals.ts';
import { REGION_TYPE } from './module.ts';
import { address, pointer, probe, read, TAG_EXEC, TAG_WRITE } from './memory.ts';
import { RSP } from './moves.ts';
import { type Edge, generationAt, type RegionNode } from './region.ts';
import { CONDITIONS, type Uop } from './uop.ts';

/** CR0.EM and CR0.TS: SSE instructions fault (SDM Vol. 3, 2.5). */
const CR0_NO_SSE = 0xc;

/** All PEND_* (assembly/cpu/vcpu/state.ts) are in the lowest byte. */
function pending(c: Context): void {
  c.code.get(CPU).atomicLoad8(c.at.pending);
}

/** Writes a node's micro-ops; given by translate.ts. */
export type EmitNode = (node: RegionNode) => void;

/** What is known at a place in the code, kept while another way is written. */
interface Known {
  readonly node: RegionNode;
  readonly u: number;
  readonly dirty: number;
  readonly flagsDirty: boolean;
  readonly flagKind: FlagKind;
  readonly lazy: LazyFlags | undefined;
}

/** Control comes from more than one place. */
function hasLabel(node: RegionNode): boolean {
  return node.forward > 1 || node.entry !== 0 || node.below.size > 0;
}

/** Control comes from more than one place, or in another state than before. */
function isMerge(node: RegionNode): boolean {
  return hasLabel(node) || node.loop;
}

export class Flow {
  readonly #c: Context;
  readonly #emitNode: EmitNode;
  readonly #blocks = new Map<RegionNode, number>();
  readonly #loops = new Map<RegionNode, number>();

  constructor(c: Context, emitNode: EmitNode) {
    this.#c = c;
    this.#emitNode = emitNode;
  }

  /** The whole body: everything that the head dominates. */
  region(head: RegionNode): void {
    this.#blocks.clear();
    this.#loops.clear();
    this.#c.flagKind = undefined;
    this.#c.lazy = undefined;
    this.#tree(head);
  }

  #tree(node: RegionNode): void {
    const c = this.#c;
    const merges = node.children.filter(hasLabel).sort((a, b) => b.order - a.order);
    // Behind a merge or at a loop's head nothing is known of the flags; from one place alone what is known there stays true
    if (isMerge(node)) {
      c.flagKind = undefined;
      c.lazy = undefined;
    }
    const { flagKind, lazy } = c;
    if (!node.loop) {
      this.#within(merges, () => this.#node(node, merges, flagKind, lazy));
      return;
    }
    // What lies behind the loop stands behind it, so that the loop need not ask who is on the way there
    const inside = merges.filter((child) => node.body?.has(child));
    const outside = merges.filter((child) => !inside.includes(child));
    this.#within(outside, () => {
      this.#arrive(node, outside);
      this.#loops.set(node, c.code.loop());
      this.#within(inside, () => this.#node(node, inside, flagKind, lazy));
      c.code.op(OP.unreachable).end();
    });
  }

  /** `write` inside blocks whose ends are `merges`, then those. */
  #within(merges: readonly RegionNode[], write: () => void): void {
    const c = this.#c;
    for (const merge of merges) this.#blocks.set(merge, c.code.block());
    write();
    for (const merge of merges.toReversed()) {
      c.code.op(OP.unreachable).end();
      this.#tree(merge);
    }
  }

  #node(node: RegionNode, merges: readonly RegionNode[], flagKind: FlagKind, lazy: LazyFlags | undefined): void {
    const c = this.#c;
    this.#arrive(node, merges);
    Object.assign(c, { node, dirty: node.dirtyIn, flagsDirty: node.flagsIn, flagKind, lazy });
    if (node.entry !== 0 || node.below.size > 0) c.code.i32(0).set(WHERE);
    this.#emitNode(node);
  }

  /** Control on its way to an entry goes on there, if that is below one of `merges`. */
  #arrive(node: RegionNode, merges: readonly RegionNode[]): void {
    const { code, region } = this.#c;
    const ways = region.entries.map((_, entry) => node.below.get(entry));
    if (!ways.some((child) => child !== undefined && merges.includes(child))) return;
    code.get(WHERE).rarely().if();
    const here = code.block();
    const labels = ways.map((child) => (child !== undefined && merges.includes(child) ? (this.#blocks.get(child) as number) : here));
    code.get(WHERE).brTable(labels, here).end().end();
  }

  #known(): Known {
    const { node, u, dirty, flagsDirty, flagKind, lazy } = this.#c;
    return { node, u, dirty, flagsDirty, flagKind, lazy };
  }

  /** Goes where `edge` leads; the code behind it is not reached. */
  edge(edge: Edge): void {
    const c = this.#c;
    const target = edge.node;
    if (target === undefined) {
      this.#leave(edge);
      return;
    }
    if (edge.back) {
      this.#backEdge(edge, target);
      return;
    }
    if (isMerge(target) && target.flagsWanted) emitFlags(c);
    const label = this.#blocks.get(target);
    if (hasLabel(target) && label !== undefined) {
      c.code.br(label);
      return;
    }
    const known = this.#known();
    this.#tree(target);
    Object.assign(c, known);
  }

  /**
   * A turn begins only when all of the region may run and no event waits. What this vCPU writes to the page leaves the region at once; others'
   * writes are seen when it is entered again, after a slice at the latest.
   */
  #backEdge(edge: Edge, target: RegionNode): void {
    const c = this.#c;
    const { code, region } = c;
    const stop = code.block();
    code.get(LEFT).i32(region.insns).op(OP.i32LtS).rarely().brIf(stop);
    pending(c);
    code.rarely().brIf(stop);
    if (target.flagsWanted) emitFlags(c);
    code.br(this.#loops.get(target) as number).end();
    emitFlags(c);
    code.get(PAGE).i64(edge.to).op(OP.i64Add).set(V).i32(target.block).set(ENTRY).br(c.stopLabel);
  }

  /** Registers and flags into memory, for what comes behind the region. */
  #keepState(): void {
    const c = this.#c;
    c.spill(c.effects.changed);
    storeFlags(c);
  }

  #leave(edge: Edge): void {
    const c = this.#c;
    const { code } = c;
    this.#keepState();
    code.get(PAGE);
    if (edge.to !== 0) code.i64(edge.to).op(OP.i64Add);
    code.set(V).i32(edge.link).set(FAULT_UOP).i32(c.node.block).set(FAULT_BLOCK).br(c.linkLabel);
  }

  /** At the start of an instruction that crosses pages: the other page must be mapped, and be what was decoded, else the dispatcher does it. */
  checkSecondPage(): void {
    const c = this.#c;
    const { code, node } = c;
    if (node.second === undefined) return;
    const { page, generation } = node.second;
    const sound = code.block();
    const other = code.block();
    code.get(PAGE).i64(4096).op(OP.i64Add).set(VA);
    probe(c, 1, TAG_EXEC);
    code.op(OP.i32Eqz).rarely().brIf(other);
    pointer(c);
    code.i32((RAM_BASE + page) | 0).op(OP.i32Ne).rarely().brIf(other);
    code.i32(0).mem(MEM.i32Load, generationAt(page)).i32(generation | 0).op(OP.i32Eq).mostly().brIf(sound).end();
    emitFlags(c);
    code.get(PAGE).i64(node.offset).op(OP.i64Add).set(V).i32(node.block).set(ENTRY).br(c.stopLabel).end();
  }

  /** Leaves for the address in V. */
  jump(): void {
    this.#keepState();
    this.#c.code.br(this.#c.jumpLabel);
  }

  /** Takes an i32 from the stack: the block's first edge when it is not 0, else the second. */
  branch(): void {
    const c = this.#c;
    const known = this.#known();
    c.code.if();
    this.edge(known.node.edges[0] as Edge);
    c.code.end();
    Object.assign(c, known);
    this.edge(known.node.edges[1] as Edge);
  }

  /** For the address in V: compares it with the places where it is likely to lead, else leaves. */
  guess(): void {
    const c = this.#c;
    const known = this.#known();
    for (const edge of known.node.edges) {
      if (edge.node === undefined) continue;
      c.code.get(V).get(PAGE).i64(edge.to).op(OP.i64Add).op(OP.i64Eq).if();
      this.edge(edge);
      c.code.end();
      Object.assign(c, known);
    }
    this.jump();
  }
}

/** i64: the linear address of the block at FAULT_BLOCK. */
function faultBlockAddress(c: Context): void {
  c.code.get(PAGE).get(FAULT_BLOCK).mem(MEM.i32Load, B_PA).i32(0xfff).op(OP.i32And).op(OP.extendU).op(OP.i64Add);
}

/** i32: the generation of mappings that holds for the address in V (assembly/cpu/vcpu/state.ts). */
function mappingGeneration({ code, at }: Context): void {
  code.get(CPU).get(V).i64(63).op(OP.i64ShrU).op(OP.wrap).i32(2).op(OP.i32Shl).op(OP.i32Add).mem(MEM.i32Load, at.tlbGen);
}

/** Behind the body: the ends that its exits branch to, innermost label first. Registers and flags are in memory except at a stop or a fault. */
export function emitEnds(c: Context, exit: number): void {
  const { code, at } = c;
  // A back-edge that is not taken: the block is in ENTRY, its address in V.
  code.end();
  spillAll(c);
  code.br(exit);
  // A direct link: FAULT_UOP has the record, V the address. As the dispatcher does it.
  code.end();
  const enter = code.block();
  code.get(FAULT_UOP).mem(MEM.i32Load).tee(ENTRY).if();
  code.get(FAULT_UOP).mem(MEM.i32Load, 4).tee(S).i32(LINK_ALWAYS | 0).op(OP.i32Eq).brIf(enter);
  code.get(S);
  mappingGeneration(c);
  code.op(OP.i32Eq).get(FAULT_UOP).mem(MEM.i64Load, 8);
  faultBlockAddress(c);
  code.op(OP.i64Eq).op(OP.i32And).brIf(enter).end();
  code.get(CPU);
  faultBlockAddress(c);
  code.mem(MEM.i64Store, at.block);
  code.get(CPU).get(V).get(FAULT_UOP).call(HELPER.jump_cached as number).tee(ENTRY).brIf(enter).br(exit);
  code.end();
  emitEnter(c, exit);
  // An indirect jump to V: the jump cache (assembly/cpu/blocks.ts).
  code.end();
  code.get(V).op(OP.wrap).get(V).i64(12).op(OP.i64ShrU).op(OP.wrap).op(OP.i32Xor).i32(JUMP_ENTRIES - 1).op(OP.i32And).i32(4).op(OP.i32Shl).get(CPU).op(OP.i32Add).set(S);
  code.i32(0).set(ENTRY);
  code.get(S).mem(MEM.i64Load, at.jumpCache).get(V).op(OP.i64Ne).brIf(exit);
  code.get(S).mem(MEM.i32Load, at.jumpCache + 12);
  mappingGeneration(c);
  code.op(OP.i32Ne).brIf(exit);
  code.get(S).mem(MEM.i32Load, at.jumpCache + 8).tee(ENTRY).op(OP.i32Eqz).brIf(exit);
  code.get(ENTRY).mem(MEM.i32Load, B_MODE).get(CPU).mem(MEM.i32Load, at.mode).op(OP.i32Ne).rarely().if().i32(0).set(ENTRY).br(exit).end();
  emitEnter(c, exit);
}

/** Goes on in the translation of the block at ENTRY, if it has one that is valid; else to `exit`. */
function emitEnter(c: Context, exit: number): void {
  const { code } = c;
  code.get(ENTRY).mem(MEM.i32Load, B_PA2).tee(S).i32(1).op(OP.i32And).op(OP.i32Eqz).brIf(exit);
  code.get(S).i32(NO_PAGE | 0).op(OP.i32Eq).brIf(exit);
  code.get(ENTRY).mem(MEM.i32Load, B_GEN2).get(ENTRY).mem(MEM.i32Load, B_GEN_AT).mem(MEM.i32Load).op(OP.i32Ne).brIf(exit);
  code.get(CPU).get(ENTRY).get(V).get(LEFT).get(S).i32(TABLE_SHIFT).op(OP.i32ShrU).returnCallIndirect(REGION_TYPE);
}

/** Back to the dispatcher: the next block, or 0, is in ENTRY, its address in V. */
export function emitExit(c: Context): void {
  const { code, at } = c;
  code.get(CPU).get(V).mem(MEM.i64Store, at.rip).get(CPU).get(ENTRY).mem(MEM.i32Store, at.next).get(LEFT).op(OP.return);
}

/** All that the region changes, wherever it comes from. */
function spillAll(c: Context): void {
  c.dirty = c.effects.changed;
  c.flagsDirty = c.effects.changesFlags;
  c.lazy = undefined;
  c.spill(c.effects.changed);
  storeFlags(c);
}

/** The instruction at FAULT_UOP ends the block by cpu.fault. */
export function emitFault(c: Context): void {
  const { code, at } = c;
  spillAll(c);
  code.get(CPU);
  faultBlockAddress(c);
  code.mem(MEM.i64Store, at.block);
  code.get(LEFT).get(CPU).get(FAULT_BLOCK).get(FAULT_UOP).call(HELPER.leave_at as number).op(OP.i32Add);
}

/**
 * The translator's thread calls functions with another vCPU's address than what they are made for, and a budget of nothing: they leave that alone.
 * Enters only when all of the region may run, no event waits, the code is what was translated and SSE may be used if it has any; else returns the complement of LEFT. */
export function emitPrologue(c: Context): void {
  const { code, at, region } = c;
  code.get(LEFT).i32(region.insns).op(OP.i32LtS);
  pending(c);
  code.op(OP.i32Or);
  code.i32(0).mem(MEM.i32Load, region.generationAt).i32(region.generation | 0).op(OP.i32Ne).op(OP.i32Or);
  if (c.effects.sse) {
    code.get(CPU).mem(MEM.i32Load, at.cr0).i32(CR0_NO_SSE).op(OP.i32And).op(OP.i32Or);
    code.get(CPU).mem(MEM.i32Load, at.cr4).i32(CR4_OSFXSR).op(OP.i32And).op(OP.i32Eqz).op(OP.i32Or);
  }
  code.rarely().if();
  code.get(CPU_GIVEN).get(TARGET).mem(MEM.i64Store, at.rip).get(CPU_GIVEN).get(BLOCK).mem(MEM.i32Store, at.next).get(LEFT).i32(-1).op(OP.i32Xor).op(OP.return).end();
  code.get(CPU).get(BLOCK).mem(MEM.i32Store, at.current);
  if (region.entries.length > 1) code.get(BLOCK).mem(MEM.i32Load, B_PA2).i32(1).op(OP.i32ShrU).i32(0xff).op(OP.i32And).set(WHERE);
  code.get(TARGET).i64(-4096).op(OP.i64And).set(PAGE);
}

// ---- the micro-ops that end a block ----------------------------------------------------------------------------------

/** V must be canonical, else #GP. */
function checkCanonical(c: Context, local: number): void {
  const { code } = c;
  code.get(local).i64(16).op(OP.i64Shl).i64(16).op(OP.i64ShrS).get(local).op(OP.i64Ne).rarely().if();
  code.get(CPU).call(HELPER.raise_gp as number).op(OP.drop);
  c.leaveFault();
  code.end();
}

export type FlowEmit = (c: Context, uop: Uop, flow: Flow) => void;

const first: FlowEmit = (c, _uop, flow) => flow.edge(c.node.edges[0] as Edge);

const jumpIfCondition: FlowEmit = (c, uop, flow) => {
  knownCondition(c, uop.cond, uop.cc ?? (CONDITIONS[c.words.a(c.u) & 15] as string));
  flow.branch();
};

/** A compare and the branch behind it. */
const compareAndJump: FlowEmit = (c, uop, flow) => {
  const w = widthOf(uop.bits);
  registerOperands(c, uop, w, c.words.imm(c.u) | 0);
  calculate(c, { ...uop, flags: true }, w);
  condition(c, uop.cc as string);
  flow.branch();
};

/** LOOP and its like count RCX down in memory. */
const loop: FlowEmit = (c, _uop, flow) => {
  const { code } = c;
  c.sync(2);
  syncFlags(c);
  code.get(CPU).i32(c.u).call(HELPER.loop_taken as number).set(S);
  c.reload(2);
  code.get(S);
  flow.branch();
};

/** i64 in V: the address behind the instruction. */
function returnAddress(c: Context): void {
  c.code.get(PAGE).i64(c.node.offset + c.words.ip(c.u)).op(OP.i64Add).set(V);
}

/** The return address is stored, then control leaves whatever that store hit: FAULT_LEAVE asks for no more than that. */
const call: FlowEmit = (c, _uop, flow) => {
  const { code, at } = c;
  returnAddress(c);
  code.get(REG0 + RSP).i64(8).op(OP.i64Sub).set(VA);
  storeReturn(c);
  code.get(CPU).mem(MEM.i32Load, at.fault).rarely().if();
  code.get(CPU).i32(0).mem(MEM.i32Store, at.fault).get(VA);
  c.set64(RSP << 3);
  flow.edge({ ...(c.node.edges[0] as Edge), node: undefined });
  code.end().get(VA);
  c.set64(RSP << 3);
  flow.edge(c.node.edges[0] as Edge);
};

/** Stores V at VA; an exception leaves the region. Afterwards cpu.fault is FAULT_LEAVE or 0. */
function storeReturn(c: Context): void {
  const { code } = c;
  probe(c, 8, TAG_WRITE);
  code.mostly().if();
  pointer(c);
  code.tee(P).get(V).mem(MEM.i64Store);
  code.get(P).i32(12).op(OP.i32ShrU).mem(MEM.i32Load8U, c.at.codeMark).rarely().if();
  code.get(CPU).get(P).i32(c.at.ramBase).op(OP.i32Sub).i32(8).call(HELPER.code_write as number).end();
  code.else().get(CPU).i32(c.tlb).get(VA).get(V).i32(8).call(HELPER.wr_slow as number);
  c.leaveIfFault(FAULT_EXCEPTION);
  code.end();
}

const ret: FlowEmit = (c, _uop, flow) => {
  const { code } = c;
  code.get(REG0 + RSP);
  read(c, 8, false);
  code.set(V);
  checkCanonical(c, V);
  code.get(REG0 + RSP).i64(8 + c.words.imm(c.u)).op(OP.i64Add);
  c.set64(RSP << 3);
  flow.guess();
};

const jumpRegister: FlowEmit = (c, _uop, flow) => {
  c.reg64(c.words.a(c.u) >>> 3);
  c.code.set(V);
  checkCanonical(c, V);
  flow.jump();
};

const jumpMemory: FlowEmit = (c, _uop, flow) => {
  address(c);
  read(c, 8, false);
  c.code.set(V);
  checkCanonical(c, V);
  flow.jump();
};

/** Near calls through a register or memory. A target that is not canonical faults only once the return address has been stored. */
const callIndirect: FlowEmit = (c, uop, flow) => {
  const { code, at } = c;
  if (uop.kind === 'call_r') c.reg64(c.words.a(c.u) >>> 3);
  else {
    address(c);
    read(c, 8, false);
  }
  code.set(Y);
  code.get(REG0 + RSP).i64(8).op(OP.i64Sub).set(VA);
  returnAddress(c);
  storeReturn(c);
  checkCanonical(c, Y);
  code.get(CPU).i32(0).mem(MEM.i32Store, at.fault).get(VA);
  c.set64(RSP << 3);
  code.get(Y).set(V);
  flow.jump();
};

export const FLOW: Readonly<Record<string, FlowEmit>> = {
  end: first, jmp: first, jcc: jumpIfCondition, cmp_jcc: compareAndJump, loop, call, ret, jmp_r: jumpRegister, jmp_m: jumpMemory, call_r: callIndirect,
  call_m: callIndirect,
};

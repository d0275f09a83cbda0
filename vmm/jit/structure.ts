/**
 * The shape of a region's graph: reverse postorder, dominators (Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm"), loops.
 * An edge back to a block that does not dominate its source is cut: control leaves the region there.
 */
import { UOP_SIZE } from '../../assembly/contract/translator.ts';
import type { RegisterUse } from './registers.ts';
import type { Effects, Region, RegionNode } from './region.ts';
import type { Uop, Words } from './uop.ts';

function postorder(head: RegionNode): RegionNode[] {
  const out: RegionNode[] = [];
  const seen = new Set<RegionNode>();
  const visit = (node: RegionNode): void => {
    seen.add(node);
    for (let i = node.edges.length - 1; i >= 0; i--) {
      const target = node.edges[i]?.node;
      if (target !== undefined && !seen.has(target)) visit(target);
    }
    out.push(node);
  };
  visit(head);
  return out;
}

function meet(first: RegionNode, second: RegionNode): RegionNode {
  let a = first;
  let b = second;
  while (a !== b) {
    while (a.order > b.order) a = a.dominator as RegionNode;
    while (b.order > a.order) b = b.dominator as RegionNode;
  }
  return a;
}

function findDominators(nodes: readonly RegionNode[], head: RegionNode): void {
  head.dominator = head;
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of nodes) {
      if (node === head) continue;
      let best: RegionNode | undefined;
      for (const from of node.predecessors) {
        if (from.dominator !== undefined) best = best === undefined ? from : meet(best, from);
      }
      if (node.dominator !== best) {
        node.dominator = best;
        changed = true;
      }
    }
  }
}

function dominates(a: RegionNode, b: RegionNode, head: RegionNode): boolean {
  let at = b;
  while (at !== a) {
    if (at === head) return false;
    at = at.dominator as RegionNode;
  }
  return true;
}

/** What a back-edge to `head` is reached from without passing it. */
function loopBody(head: RegionNode): Set<RegionNode> {
  const body = new Set([head]);
  const left = head.predecessors.filter((from) => from.edges.some(({ node, back }) => back && node === head));
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    if (body.has(node)) continue;
    body.add(node);
    left.push(...node.predecessors.filter((from) => from.edges.some((edge) => edge.node === node)));
  }
  return body;
}

/** Entries of a region at most: a block's header has 8 bits for its number (TABLE_SHIFT). */
const ENTRIES_MAX = 32;

/**
 * Entries beside the head: loops' heads, where slices end; the hot block; what cut edges and calls lead to; and blocks that are `wanted`. Each node that
 * dominates one learns which way to go.
 */
function findEntries(region: Region, cut: ReadonlySet<RegionNode>, wanted: ReadonlySet<number>): void {
  const { head, hot, nodes, entries } = region;
  const behind = new Set<RegionNode>();
  for (const { edges } of nodes) for (const { pseudo, node } of edges) if (pseudo && node !== undefined) behind.add(node);
  for (const node of [hot, ...nodes]) {
    if (node === head || node.entry !== 0 || entries.length >= ENTRIES_MAX) continue;
    if (node !== hot && !node.loop && !cut.has(node) && !behind.has(node) && !wanted.has(node.block)) continue;
    node.entry = entries.length;
    entries.push(node);
    for (let at = node; at !== head; at = at.dominator as RegionNode) (at.dominator as RegionNode).below.set(node.entry, at);
  }
}

/** Orders the nodes that can be reached, marks loops, cuts what is irreducible, and finds entries; `wanted`: blocks that shall be some. */
export function findStructure(region: Region, wanted: ReadonlySet<number>): void {
  const { head } = region;
  const cut = new Set<RegionNode>();
  const nodes = postorder(head).reverse();
  nodes.forEach((node, i) => {
    node.order = i;
  });
  for (const node of nodes) for (const edge of node.edges) if (edge.node !== undefined) edge.node.predecessors.push(node);
  findDominators(nodes, head);
  for (const node of nodes) {
    for (const edge of node.edges) {
      const target = edge.node;
      if (target === undefined) continue;
      if (target.order > node.order) target.forward++;
      else if (dominates(target, node, head)) {
        edge.back = true;
        target.loop = true;
      } else {
        cut.add(target);
        edge.node = undefined;
      }
    }
  }
  for (const node of nodes) if (node.loop) node.body = loopBody(node);
  for (const node of nodes) if (node !== head) (node.dominator as RegionNode).children.push(node);
  region.nodes = nodes;
  region.insns = nodes.reduce((sum, node) => sum + node.insns, 0);
  findEntries(region, cut, wanted);
}

/** The hot block lies in a loop, and control goes round in the innermost one without leaving the region. */
export function isTight({ hot, nodes }: Region): boolean {
  let innermost: ReadonlySet<RegionNode> | undefined;
  for (const { body } of nodes) if (body?.has(hot) === true && (innermost === undefined || body.size < innermost.size)) innermost = body;
  if (innermost === undefined) return false;
  return [...innermost].every(({ edges }) => edges.some(({ node, pseudo }) => node !== undefined && !pseudo));
}

const FLAG_READERS = new Set(['jcc', 'setcc', 'cmov', 'incdec', 'rotate', 'helper', 'loop', 'sys', 'string']);

/** Which registers and flags each block may leave different from memory (a forward union over all paths). */
export function findEffects(region: Region, words: Words, uops: readonly Uop[], use: readonly RegisterUse[]): Effects {
  const effects: Effects = { used: 0, changed: 0, readsFlags: false, changesFlags: false, sse: false };
  const made = new Map<RegionNode, number>();
  for (const node of region.nodes) {
    let dirty = 0;
    for (let u = node.first; u <= node.last; u += UOP_SIZE) {
      const op = words.op(u);
      const uop = uops[op] as Uop;
      if (FLAG_READERS.has(uop.kind)) effects.readsFlags = true;
      const of = use[op] as RegisterUse;
      if (of.changesFlags(words, u)) {
        effects.changesFlags = true;
        node.flagsOut = true;
      }
      if (of.all) continue;
      const sets = of.sets(words, u);
      effects.used |= of.uses(words, u) | sets;
      const inline = of.inline(words, u);
      if (inline) dirty |= sets;
      if (inline && uop.call === 'sse_exec') effects.sse = true;
    }
    made.set(node, dirty);
    node.dirtyOut = dirty;
    effects.changed |= dirty;
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of region.nodes) {
      let dirty = 0;
      let flags = false;
      for (const from of node.predecessors) {
        dirty |= from.dirtyOut;
        flags = flags || from.flagsOut;
      }
      node.flagsIn = flags;
      node.dirtyIn = dirty;
      const out = dirty | (made.get(node) as number);
      if (out !== node.dirtyOut || (flags && !node.flagsOut)) {
        node.dirtyOut = out;
        node.flagsOut = node.flagsOut || flags;
        changed = true;
      }
    }
  }
  return effects;
}

/** Micro-ops that neither leave the region nor look at the flags; those of ALU only with registers. */
const QUIET = new Set(['nop', 'mov_rr', 'mov_ri', 'extend', 'lea', 'xchg', 'bswap', 'acc', 'not', 'neg', 'shift', 'imul', 'alu', 'cmp8', 'cmp_jcc']);

function isQuiet(uop: Uop): boolean {
  return QUIET.has(uop.kind) && uop.form !== 'RM' && uop.form !== 'MR' && uop.form !== 'MI' && uop.op !== 'ADC' && uop.op !== 'SBB';
}

/** What becomes of the flags at a node's start: `set` before anybody looks, `passed` on to what follows, else somebody may look. */
function flagsFate(node: RegionNode, words: Words, uops: readonly Uop[]): 'set' | 'passed' | 'wanted' {
  for (let u = node.first; u <= node.last; u += UOP_SIZE) {
    const uop = uops[words.op(u)] as Uop;
    if (u === node.last && (uop.kind === 'jmp' || uop.kind === 'end')) return 'passed';
    if (!isQuiet(uop)) return 'wanted';
    if (uop.flags === true) return 'set';
  }
  return 'wanted';
}

/** Where the flags are wanted: backwards over all paths; leaving the region shows them, and so may each back-edge. */
export function findFlagsWanted(region: Region, words: Words, uops: readonly Uop[]): void {
  const passing: RegionNode[] = [];
  for (const node of region.nodes) {
    const fate = flagsFate(node, words, uops);
    node.flagsWanted = fate === 'wanted';
    if (fate === 'passed') passing.push(node);
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of passing) {
      if (node.flagsWanted || node.edges.every((edge) => !edge.back && edge.node?.flagsWanted === false)) continue;
      node.flagsWanted = true;
      changed = true;
    }
  }
}

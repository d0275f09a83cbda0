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

/** Entries of a region at most: a block's header has 8 bits for its number (TABLE_SHIFT). */
const ENTRIES_MAX = 32;

/**
 * Entries beside the head: loops' heads, where slices end; what cut edges and calls lead to; and blocks that are `wanted`. Each node that
 * dominates one learns which way to go.
 */
function findEntries(region: Region, cut: ReadonlySet<RegionNode>, wanted: ReadonlySet<number>): void {
  const { head, nodes, entries } = region;
  const behind = new Set<RegionNode>();
  for (const { edges } of nodes) for (const { pseudo, node } of edges) if (pseudo && node !== undefined) behind.add(node);
  for (const node of nodes) {
    if (node === head || entries.length >= ENTRIES_MAX) continue;
    if (!node.loop && !cut.has(node) && !behind.has(node) && !wanted.has(node.block)) continue;
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
  for (const node of nodes) if (node !== head) (node.dominator as RegionNode).children.push(node);
  region.nodes = nodes;
  region.insns = nodes.reduce((sum, node) => sum + node.insns, 0);
  findEntries(region, cut, wanted);
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
      if (uop.flags === true) {
        effects.changesFlags = true;
        node.flagsOut = true;
      }
      const of = use[op] as RegisterUse;
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

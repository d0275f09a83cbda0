/** A region: decoded blocks of one page that are joined by links which the interpreter has made. It can be entered at several of them. */
import { PAGE_GEN_BASE } from '../../assembly/core/layout.ts';
import { B_GEN, B_GEN2, B_GEN_AT, B_INSNS, B_MODE, B_PA, B_PA2, B_UOPS, LINK_ALWAYS, MODE_64, MODE_STEP, NO_PAGE, UOP_SIZE } from '../../assembly/contract/translator.ts';
import type { Uop, Words } from './uop.ts';

/** A way out of a block. */
export interface Edge {
  /** Offset of the target in the block's page; outside 0 … 4095 when it leaves the page. */
  readonly to: number;
  /** The interpreter's link record, 0 for a guessed return. */
  readonly link: number;
  /** The block inside the region that it leads to. */
  node: RegionNode | undefined;
  back: boolean;
  /** From a call to the place behind it: nothing goes that way, but who comes back does as if. */
  readonly pseudo: boolean;
}

export interface RegionNode {
  /** The decoded block. */
  readonly block: number;
  /** Offset of its first byte in the page. */
  readonly offset: number;
  readonly insns: number;
  /** Of an instruction that crosses pages: the other page's physical address and generation. It is alone in its block. */
  readonly second: { readonly page: number; readonly generation: number } | undefined;
  /** Its first and its last micro-op. */
  readonly first: number;
  readonly last: number;
  readonly edges: Edge[];
  // What structure.ts finds.
  order: number;
  dominator: RegionNode | undefined;
  /** Nodes that it dominates at once. */
  readonly children: RegionNode[];
  readonly predecessors: RegionNode[];
  /** Forward edges into it. */
  forward: number;
  loop: boolean;
  /** Of a loop's head: all of the loop. */
  body: ReadonlySet<RegionNode> | undefined;
  /** Control may enter here: its number among the region's entries, 0 else; the head's is 0. */
  entry: number;
  /** Entries that it dominates, itself aside: by number, and by which of its children. */
  readonly below: Map<number, RegionNode>;
  /** Registers that may differ from memory at its start, and behind it; likewise the flags. */
  dirtyIn: number;
  dirtyOut: number;
  flagsIn: boolean;
  flagsOut: boolean;
  /** Somebody may look at the flags that there are at its start. */
  flagsWanted: boolean;
}

export interface Region {
  /** All of it is reached from here. */
  readonly head: RegionNode;
  /** What it was made for. */
  readonly hot: RegionNode;
  /** Where it can be entered; the head first. */
  entries: RegionNode[];
  /** In reverse postorder once structure.ts has seen it. */
  nodes: RegionNode[];
  readonly generation: number;
  readonly generationAt: number;
  /** Instructions of all blocks. */
  insns: number;
}

/** What the region does to registers and flags. */
export interface Effects {
  /** Registers that have a local. */
  used: number;
  /** Those that the region changes in their local. */
  changed: number;
  readsFlags: boolean;
  /** SSE is inline: the region begins only while it may be used. */
  sse: boolean;
  changesFlags: boolean;
}

export const BLOCKS_MAX = 48;
/** Micro-ops that one block has at most: a guard against blocks that are gone. */
const UOPS_MAX = 64 * 8 + 8;

export interface Limits {
  readonly blocks: number;
}

/** The generation that a block was decoded in: with a translation it stands elsewhere (assembly/cpu/jit/translation.ts). */
function generationOf(words: Words, block: number): number {
  return (isTranslated(words, block) ? words.u32[(block + B_GEN2) >>> 2] : words.u32[(block + B_GEN) >>> 2]) as number;
}

function isTranslated(words: Words, block: number): boolean {
  const mark = words.u32[(block + B_PA2) >>> 2] as number;
  return (mark & 1) === 1 && mark !== NO_PAGE;
}

function isFit(words: Words, block: number): boolean {
  if (block === 0 || (block & 15) !== 0 || block >= words.u8.length - B_UOPS) return false;
  const mode = words.u32[(block + B_MODE) >>> 2] as number;
  const mark = words.u32[(block + B_PA2) >>> 2] as number;
  if ((mode & MODE_64) === 0 || (mode & MODE_STEP) !== 0) return false;
  if ((mark & 1) === 0 && words.u32[generationAt(mark) >>> 2] !== words.u32[(block + B_GEN2) >>> 2]) return false;
  const at = words.u32[(block + B_GEN_AT) >>> 2] as number;
  return at < words.u8.length && generationOf(words, block) === words.u32[at >>> 2];
}

/** Where the generation of the page at `pa` is (assembly/core/code.ts). */
export function generationAt(pa: number): number {
  return PAGE_GEN_BASE + (pa >>> 12) * 4;
}

class Builder {
  readonly #words: Words;
  readonly #uops: readonly Uop[];
  readonly #limits: Limits;
  readonly #known = new Map<number, RegionNode>();
  readonly nodes: RegionNode[] = [];
  readonly #page: number;
  readonly #mode: number;

  constructor(words: Words, uops: readonly Uop[], limits: Limits, head: number) {
    this.#words = words;
    this.#uops = uops;
    this.#limits = limits;
    this.#page = (words.u32[(head + B_PA) >>> 2] as number) >>> 12;
    this.#mode = words.u32[(head + B_MODE) >>> 2] as number;
  }

  /** The block's node, made when it may belong to the region. */
  visit(block: number): RegionNode | undefined {
    const known = this.#known.get(block);
    if (known !== undefined) return known;
    const words = this.#words;
    if (this.nodes.length >= this.#limits.blocks || !isFit(words, block)) return undefined;
    const pa = words.u32[(block + B_PA) >>> 2] as number;
    if (pa >>> 12 !== this.#page || words.u32[(block + B_MODE) >>> 2] !== this.#mode) return undefined;
    const first = block + B_UOPS;
    const last = this.#lastUop(first);
    if (last === 0) return undefined;
    const mark = words.u32[(block + B_PA2) >>> 2] as number;
    const node: RegionNode = {
      block, offset: pa & 0xfff, insns: words.u16[(block + B_INSNS) >>> 1] as number, first,
      second: (mark & 1) === 1 ? undefined : { page: mark, generation: words.u32[(block + B_GEN2) >>> 2] as number },
      last, edges: [],
      order: 0, dominator: undefined, children: [], predecessors: [], forward: 0, loop: false, body: undefined, entry: 0, below: new Map(), dirtyIn: 0, dirtyOut: 0, flagsIn: false, flagsOut: false, flagsWanted: true,
    };
    this.#known.set(block, node);
    this.nodes.push(node);
    return node;
  }

  /** The micro-op that leaves the block, 0 when the block cannot be translated. */
  #lastUop(first: number): number {
    for (let i = 0, u = first; i < UOPS_MAX; i++, u += UOP_SIZE) {
      const uop = this.#uops[this.#words.op(u)];
      if (uop === undefined || uop.kind === 'slow') return 0;
      if (ENDS.has(uop.kind)) return u;
    }
    return 0;
  }

  /** Finds where `node` leads to. */
  link(node: RegionNode): void {
    const words = this.#words;
    const u = node.last;
    const kind = (this.#uops[words.op(u)] as Uop).kind;
    if (kind === 'end') this.#edge(node, u + UOP_SIZE, words.ip(u));
    else if (kind === 'jmp' || kind === 'call') this.#edge(node, u + UOP_SIZE, words.disp(u));
    else if (BRANCHES.has(kind)) {
      this.#edge(node, u + UOP_SIZE, words.disp(u));
      this.#edge(node, u + 2 * UOP_SIZE, words.ip(u));
    }
  }

  #edge(node: RegionNode, link: number, distance: number): void {
    const words = this.#words;
    const to = node.offset + distance;
    const edge: Edge = { to, link, node: undefined, back: false, pseudo: false };
    const block = words.u32[link >>> 2] as number;
    if (block !== 0 && (to & ~0xfff) === 0 && words.u32[(link + 4) >>> 2] === LINK_ALWAYS) {
      const target = this.visit(block);
      if (target?.offset === to) edge.node = target;
    }
    node.edges.push(edge);
  }

  /** The block behind the call that ends `node`, if it is decoded: control comes back there. */
  behindCall(node: RegionNode, known: (offset: number) => number): void {
    const words = this.#words;
    if (!CALLS.has((this.#uops[words.op(node.last)] as Uop).kind)) return;
    const to = node.offset + words.ip(node.last);
    const block = known(to);
    const target = block === 0 ? undefined : this.visit(block);
    if (target?.offset === to) node.edges.push({ to, link: 0, node: target, back: false, pseudo: true });
  }

  /** Returns go behind calls: a guess for each RET, as long as both lie in the region. */
  guessReturns(): void {
    const words = this.#words;
    const kindOf = (node: RegionNode): string => (this.#uops[words.op(node.last)] as Uop).kind;
    const returns = this.nodes.filter((node) => kindOf(node) === 'ret');
    if (returns.length === 0) return;
    const sites: number[] = [];
    for (const node of this.nodes) if (kindOf(node) === 'call') sites.push(node.offset + words.ip(node.last));
    for (const site of sites) {
      const node = this.nodes.find((n) => n.offset === site);
      if (node === undefined) continue;
      for (const from of returns) if (from.edges.length < GUESSES_MAX) from.edges.push({ to: site, link: 0, node, back: false, pseudo: false });
    }
  }
}

/** Places behind calls that a return is compared with. */
const GUESSES_MAX = 4;
const BRANCHES = new Set(['jcc', 'cmp_jcc', 'loop']);
const CALLS = new Set(['call', 'call_r', 'call_m']);
const ENDS = new Set([...BRANCHES, 'end', 'jmp', 'call', 'ret', 'jmp_r', 'jmp_m', 'call_r', 'call_m', 'sys']);

/**
 * The head of the outermost loop that `node` lies in, as its address tells: the lowest that is jumped back to. Loops around `node` would
 * have it for their head else, all of them, and be one to V8.
 */
function outermost(node: RegionNode, nodes: readonly RegionNode[]): RegionNode {
  const sources = new Map<RegionNode, RegionNode[]>(nodes.map((n) => [n, []]));
  for (const from of nodes) for (const edge of from.edges) if (edge.node !== undefined) sources.get(edge.node)?.push(from);
  const around = new Set([node]);
  for (const at of around) for (const from of sources.get(at) ?? []) around.add(from);
  let best = node;
  for (const at of around) {
    if (at.offset < best.offset && sources.get(at)?.some((from) => around.has(from) && from.offset >= at.offset) === true) best = at;
  }
  return best;
}

/**
 * The region around `head`; undefined when the block is gone or is of a kind that stays interpreted. `known`: blocks that
 * may belong to it though no link leads there, such as those behind calls.
 */
export function buildRegion(words: Words, uops: readonly Uop[], limits: Limits, head: number, known: (offset: number) => number): Region | undefined {
  if (!isFit(words, head)) return undefined;
  const builder = new Builder(words, uops, limits, head);
  const node = builder.visit(head);
  if (node === undefined) return undefined;
  for (let i = 0; i < builder.nodes.length; i++) {
    const from = builder.nodes[i] as RegionNode;
    builder.link(from);
    builder.behindCall(from, known);
  }
  builder.guessReturns();
  const first = outermost(node, builder.nodes);
  return {
    head: first,
    hot: node,
    entries: [first],
    nodes: builder.nodes,
    generation: generationOf(words, head),
    generationAt: words.u32[(head + B_GEN_AT) >>> 2] as number,
    insns: 0,
  };
}

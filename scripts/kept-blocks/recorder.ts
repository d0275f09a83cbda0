/** The blocks that the software CPU decodes in a run, and what is made of them for later runs: assembly/contract/kept.ts has the layout. */
import {
  KEPT_FIRST, KEPT_FLUSHES, KEPT_MODE, KEPT_PAGES, KEPT_RECORDS, KEPT_SIZE_BYTES, NO_FLUSHES, R_BLOCK, R_BLOCKS, R_BYTES, R_LINES, R_LIST, R_RUNS, RUN_FROM, RUN_LENGTH, RUN_SIZE,
} from '../../assembly/contract/kept.ts';
import {
  B_BYTES, B_GEN, B_GEN2, B_GEN_AT, B_MODE, B_PA, B_PA2, B_UOPS, BLOCK_ROOM, HASH_BYTES, HASH_LEAST, LINK_ALWAYS, MODE_64, MODE_STEP, MODE_USER, NO_PAGE, SHARE_UNIT, UOP_SIZE,
} from '../../assembly/contract/translator.ts';
import { BLOCK_BASE, BLOCK_SIZE, KEPT_BASE, PAGE_GEN_BASE, RAM_BASE } from '../../assembly/core/layout.ts';
import { UOPS } from '../../vmm/jit/uop-table.ts';

const PAGE = 4096;
/** Links that the interpreter fills in, behind a block's last micro-op. */
const LINKS: Readonly<Record<string, 0 | 1 | 2>> = { jcc: 2, cmp_jcc: 2, loop: 2, end: 1, jmp: 1, call: 1, ret: 0, jmp_r: 0, jmp_m: 0, call_r: 0, call_m: 0, sys: 0 };

interface Decoded {
  readonly pa: number;
  /** As it was decoded: no links, no generation. */
  readonly block: Uint8Array;
  readonly code: Uint8Array;
  /** Where its last micro-op is. */
  readonly last: number;
}

/** What vCPU 0 of a machine of `cpus` decodes, by physical address; of code that changes what came last. */
export class Recorder {
  readonly #share: number;
  readonly #blocks = new Map<number, Decoded>();
  #mode = 0;
  #next = 0;

  constructor(cpus = 1) {
    this.#share = Math.floor(BLOCK_SIZE / cpus) & ~(SHARE_UNIT - 1);
  }

  /** What goes to KEPT_BASE; the first word is still 0. */
  content(): Uint8Array {
    const pages = Map.groupBy(this.#blocks.values(), ({ pa }) => pa >>> 12);
    return layOut([...pages].sort(([a], [b]) => a - b).map(([number, blocks]) => pageOf(number, blocks)), this.#mode);
  }

  /** Between two slices. Blocks lie behind one another in the order in which they were decoded, behind the table of their hash. */
  look(memory: WebAssembly.Memory): void {
    const u8 = new Uint8Array(memory.buffer);
    const u32 = new Uint32Array(memory.buffer);
    const u16 = new Uint16Array(memory.buffer);
    if (this.#next === 0) {
      let entries = HASH_LEAST;
      while (entries < this.#share / HASH_BYTES) entries *= 2;
      this.#next = BLOCK_BASE + entries * 4;
    }
    for (let block = this.#next; block < this.#next + BLOCK_ROOM; ) {
      const pa = u32[(block + B_PA) >>> 2]!;
      const mode = u32[(block + B_MODE) >>> 2]!;
      // Of 16- and 32-bit code it is not known here where a block ends: the next one is looked for
      if (u16[(block + B_BYTES) >>> 1] === 0 || u32[(block + B_GEN_AT) >>> 2] !== PAGE_GEN_BASE + (pa >>> 12) * 4) block += UOP_SIZE;
      else if ((mode & MODE_64) === 0) this.#next = block += B_UOPS;
      else {
        const { last, end } = this.#extent(u16, block);
        // Code that crosses pages belongs to two, and code at CPL 3 is the container's.
        if ((mode & (MODE_USER | MODE_STEP)) === 0 && u32[(block + B_PA2) >>> 2] === NO_PAGE) this.#add(u8, { block, last, end, pa, mode });
        this.#next = block = end;
      }
    }
  }

  /** A block's last micro-op, and where its links end. */
  #extent(u16: Uint16Array, block: number): { last: number; end: number } {
    for (let u = block + B_UOPS; ; u += UOP_SIZE) {
      const links = LINKS[UOPS[u16[u >>> 1]!]!.kind];
      if (links !== undefined) return { last: u, end: u + UOP_SIZE * (1 + links) };
    }
  }

  #add(u8: Uint8Array, { block, last, end, pa, mode }: { block: number; last: number; end: number; pa: number; mode: number }): void {
    if (this.#mode === 0) this.#mode = mode;
    if (mode !== this.#mode) return;
    const copy = u8.slice(block, end);
    copy.fill(0, 0, 4);
    copy.fill(0, last + UOP_SIZE - block);
    const view = new DataView(copy.buffer);
    for (const at of [B_GEN, B_GEN2]) view.setUint32(at, 0, true);
    const bytes = view.getUint16(B_BYTES, true);
    this.#blocks.set(pa, { pa, block: copy, last: last - block, code: u8.slice(RAM_BASE + pa, RAM_BASE + pa + bytes) });
  }
}

interface Run {
  readonly from: number;
  readonly to: number;
}

/** One page's record, without addresses. */
interface Page {
  readonly number: number;
  readonly blocks: readonly Decoded[];
  readonly runs: readonly Run[];
  readonly bytes: Uint8Array;
}

/** Of bytes that blocks disagree about what was read last holds; blocks that were made of others are left out. */
function pageOf(number: number, all: readonly Decoded[]): Page {
  const image = new Uint8Array(PAGE);
  const known = new Uint8Array(PAGE);
  for (const { pa, code } of all) {
    image.set(code, pa & (PAGE - 1));
    known.fill(1, pa & (PAGE - 1), (pa & (PAGE - 1)) + code.length);
  }
  const blocks = all.filter(({ pa, code }) => code.every((byte, i) => image[(pa & (PAGE - 1)) + i] === byte)).sort((a, b) => a.pa - b.pa);
  const runs: Run[] = [];
  for (let at = known.indexOf(1); at >= 0; at = known.indexOf(1, at)) {
    const end = known.indexOf(0, at);
    runs.push({ from: at, to: end < 0 ? PAGE : end });
    if (end < 0) break;
    at = end;
  }
  return { number, blocks, runs, bytes: Buffer.concat(runs.map(({ from, to }) => image.subarray(from, to))) };
}

/** Bits of the 64-byte lines that the runs touch. */
function linesOf(runs: readonly Run[]): bigint {
  let lines = 0n;
  for (const { from, to } of runs) for (let line = from >> 6; line <= (to - 1) >> 6; line++) lines |= 1n << BigInt(line);
  return lines;
}

/**
 * Links inside the page, as the interpreter makes them when they are first taken (link_patch in assembly/cpu/execute/interp_support.ts). `at`: the address of
 * the page's blocks by the offset of their first byte.
 */
function linked({ pa, block, last }: Decoded, at: ReadonlyMap<number, number>): Uint8Array {
  const view = new DataView(block.slice().buffer);
  const kind = UOPS[view.getUint16(last, true)]!.kind;
  const [behind, far] = [view.getUint16(last + 2, true), view.getInt32(last + 8, true)];
  const distances = LINKS[kind] === 2 ? [far, behind] : kind === 'end' ? [behind] : LINKS[kind] === 1 ? [far] : [];
  distances.forEach((distance, i) => {
    const target = at.get((pa & (PAGE - 1)) + distance);
    if (target === undefined) return;
    view.setUint32(last + (i + 1) * UOP_SIZE, target, true);
    view.setUint32(last + (i + 1) * UOP_SIZE + 4, LINK_ALWAYS, true);
  });
  return new Uint8Array(view.buffer);
}

function layOut(pages: readonly Page[], mode: number): Uint8Array {
  const first = Math.min(...pages.map(({ number }) => number));
  const last = Math.max(...pages.map(({ number }) => number));
  const recordsAt = KEPT_RECORDS + (last - first + 1) * 4;
  const sizeOf = ({ blocks, runs }: Page): number => (R_LIST + runs.length * RUN_SIZE + blocks.length * KEPT_SIZE_BYTES + 7) & ~7;
  const bytesAt = pages.reduce((at, page) => at + sizeOf(page), (recordsAt + 7) & ~7);
  const blocksAt = (pages.reduce((at, { bytes }) => at + bytes.length, bytesAt) + 15) & ~15;
  const length = pages.reduce((at, { blocks }) => blocks.reduce((sum, { block }) => sum + block.length, at), blocksAt);
  const out = Buffer.alloc(length);
  out.writeUInt32LE(mode, KEPT_MODE);
  out.writeUInt32LE(first, KEPT_FIRST);
  out.writeUInt32LE(last - first + 1, KEPT_PAGES);
  out.writeUInt32LE(NO_FLUSHES, KEPT_FLUSHES);
  let [record, code, block] = [(recordsAt + 7) & ~7, bytesAt, blocksAt];
  for (const page of pages) {
    out.writeUInt32LE(KEPT_BASE + record, KEPT_RECORDS + (page.number - first) * 4);
    out.writeUInt32LE(KEPT_BASE + block, record + R_BLOCK);
    out.writeUInt32LE(page.blocks.length, record + R_BLOCKS);
    out.writeUInt32LE(page.runs.length, record + R_RUNS);
    out.writeBigUInt64LE(linesOf(page.runs), record + R_LINES);
    out.writeUInt32LE(KEPT_BASE + code, record + R_BYTES);
    page.runs.forEach(({ from, to }, i) => {
      out.writeUInt16LE(from, record + R_LIST + i * RUN_SIZE + RUN_FROM);
      out.writeUInt16LE(to - from, record + R_LIST + i * RUN_SIZE + RUN_LENGTH);
    });
    const addresses = new Map<number, number>();
    page.blocks.reduce((at, each) => {
      addresses.set(each.pa & (PAGE - 1), at);
      return at + each.block.length;
    }, KEPT_BASE + block);
    page.blocks.forEach((each, i) => {
      out.writeUInt16LE(each.block.length / UOP_SIZE, record + R_LIST + page.runs.length * RUN_SIZE + i * KEPT_SIZE_BYTES);
      out.set(linked(each, addresses), block);
      block += each.block.length;
    });
    out.set(page.bytes, code);
    code += page.bytes.length;
    record += sizeOf(page);
  }
  return out;
}

/** Hot blocks become a module of translations. Needs nothing but the machine's memory: any thread can do it. */
import { B_GEN_AT, B_MODE, B_PA } from '../../assembly/contract/translator.ts';
import { CPU_BASE, CPU_STRIDE } from '../../assembly/core/layout.ts';
import { UOPS } from './uop-table.ts';
import { type Offsets, readOffsets } from './layout.ts';
import { makeModule } from './module.ts';
import { BLOCKS_MAX } from './region.ts';
import { type Translation, Translator } from './translate.ts';
import { Words } from './uop.ts';

/** A hot block, and how often all blocks had been dropped when it was one. */
export interface Hot {
  readonly block: number;
  readonly flushes: number;
}

/** A block that a function of a module can be entered at: the one named f and `code`, as its entry `entry`. */
export interface Place extends Hot {
  readonly code: number;
  readonly entry: number;
  readonly generation: number;
  /** Guest instructions and blocks of the function, at its first entry; else 0. */
  readonly insns: number;
  readonly blocks: number;
}

export interface Compiled {
  readonly bytes: Uint8Array;
  readonly functions: number;
  readonly places: readonly Place[];
}

/** A module whose regions are all tight loops, or none is (structure.ts). */
export interface Emitted extends Compiled {
  readonly tight: boolean;
}

/** Translations on their way into one module. */
class Batch {
  readonly bodies: Translation[] = [];
  readonly #places: Place[] = [];

  add(translation: Translation, flushes: number): void {
    const { entries, generation, insns, blocks } = translation;
    entries.forEach((block, entry) => {
      this.#places.push({ block, flushes, code: this.bodies.length, entry, generation, insns: entry === 0 ? insns : 0, blocks: entry === 0 ? blocks : 0 });
    });
    this.bodies.push(translation);
  }

  made(): Compiled {
    return { bytes: makeModule(this.bodies), functions: this.bodies.length, places: this.#places };
  }
}

/** A chain of the hash table is followed no further: it may change meanwhile. */
const CHAIN_MAX = 64;

export class Compiler {
  readonly #words: Words;
  readonly #offsets: Offsets;
  readonly #translator: Translator;
  /** Blocks that stay interpreted. */
  refused = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Words(memory);
    this.#offsets = readOffsets(memory);
    this.#translator = new Translator(this.#words, UOPS, this.#offsets);
  }

  /** Translates blocks of vCPU `vcpu`, until it is `over`: what comes of them, two modules at most. */
  compile(vcpu: number, hot: readonly Hot[], over = (): boolean => false): Emitted[] {
    const [straight, tight] = [new Batch(), new Batch()];
    const wanted = new Set(hot.map(({ block }) => block));
    const done = new Set<number>();
    for (const { block, flushes } of hot) {
      if (done.has(block) || over()) continue;
      const translation = this.#translate(vcpu, block, wanted);
      if (translation === undefined) {
        this.refused++;
        continue;
      }
      for (const at of translation.entries) done.add(at);
      (translation.tight ? tight : straight).add(translation, flushes);
    }
    return [straight, tight].filter(({ bodies }) => bodies.length > 0).map((batch) => ({ ...batch.made(), tight: batch === tight }));
  }

  /** The vCPU may drop its blocks while they are read: what comes out then is not installed, but must not fail either. */
  #translate(vcpu: number, block: number, wanted: ReadonlySet<number>): Translation | undefined {
    try {
      return this.#translator.translate(CPU_BASE + vcpu * CPU_STRIDE, block, { blocks: BLOCKS_MAX }, (offset) => this.#find(vcpu, block, offset), wanted);
    } catch {
      return undefined;
    }
  }

  /** The block at `offset` of the page of `block`, 0 when none is known (assembly/cpu/uop/blocks.ts has the hash). */
  #find(vcpu: number, block: number, offset: number): number {
    const { u32 } = this.#words;
    const cpu = CPU_BASE + vcpu * CPU_STRIDE;
    const mode = u32[(block + B_MODE) >>> 2] as number;
    const pa = (((u32[(block + B_PA) >>> 2] as number) & ~0xfff) | offset) >>> 0;
    if (offset > 0xfff) return 0;
    const hash = (Math.imul(pa, 0x9e37_79b1) >>> 12) ^ (pa >>> 3) ^ (mode << 5);
    const mask = u32[(cpu + this.#offsets.blockHashMask) >>> 2] as number;
    let at = (u32[(cpu + this.#offsets.blockHash) >>> 2] as number) + ((hash & mask) << 2);
    for (let i = 0; i < CHAIN_MAX; i++) {
      at = u32[at >>> 2] as number;
      if (at === 0) return 0;
      if (u32[(at + B_PA) >>> 2] === pa && u32[(at + B_MODE) >>> 2] === mode && u32[(at + B_GEN_AT) >>> 2] === u32[(block + B_GEN_AT) >>> 2]) return at;
    }
    return 0;
  }
}

/** The ring of hot blocks that a vCPU fills (assembly/cpu/jit/translation.ts). One reader. */
import { HOT_LIST, HOT_LOST, HOT_NEAR, HOT_PUT, HOT_TAKEN, HOT_THRESHOLD, JIT_HOT_MAX, USED_LIST } from '../../assembly/contract/translator.ts';
import { JIT_HOT_BASE, JIT_HOT_STRIDE } from '../../assembly/core/layout.ts';
import type { Hot } from './compiler.ts';

const ENTRIES = JIT_HOT_MAX;
const [TAKEN, PUT, LOST, NEAR, LIST, USED, THRESHOLD] = [HOT_TAKEN, HOT_PUT, HOT_LOST, HOT_NEAR, HOT_LIST, USED_LIST, HOT_THRESHOLD].map((at) => at / 4) as [number, number, number, number, number, number, number];
/** Bit 0 of a hot block's word. */
const URGENT = 1;

const NONE = new Int32Array(0);

export class HotList {
  readonly #words: Int32Array;

  constructor(memory: WebAssembly.Memory, vcpu: number) {
    this.#words = new Int32Array(memory.buffer, JIT_HOT_BASE + vcpu * JIT_HOT_STRIDE, JIT_HOT_STRIDE / 4);
  }

  get length(): number {
    return (Atomics.load(this.#words, PUT) - Atomics.load(this.#words, TAKEN)) | 0;
  }

  /** How many there have been. */
  get put(): number {
    return Atomics.load(this.#words, PUT);
  }

  /** How far a block has come to being hot, in eighths. */
  get near(): number {
    return this.#words[NEAR] as number;
  }

  /** Samples that make a block hot at present. */
  get threshold(): number {
    return this.#words[THRESHOLD] as number;
  }

  /** Blocks that found no room. */
  get lost(): number {
    return (this.#words[LOST] as number) >>> 0;
  }

  /** The vCPU does little else than what waits here. */
  get urgent(): boolean {
    const from = Atomics.load(this.#words, TAKEN);
    for (let i = 0; i < this.length; i++) if (((this.#words[LIST + ((from + i) & (ENTRIES - 1)) * 2] as number) & URGENT) !== 0) return true;
    return false;
  }

  /** Table indices of translations that samples have found at work since the last call. On the vCPU's own thread. */
  takeUsed(): Int32Array {
    const n = this.#words[USED] as number;
    if (n === 0) return NONE;
    this.#words[USED] = 0;
    return this.#words.subarray(USED + 1, USED + 1 + n);
  }

  /** Takes at most `most` entries. */
  take(most: number): Hot[] {
    const from = Atomics.load(this.#words, TAKEN);
    const n = Math.min(this.length, most);
    const out: Hot[] = [];
    for (let i = 0; i < n; i++) {
      const at = LIST + ((from + i) & (ENTRIES - 1)) * 2;
      out.push({ block: ((this.#words[at] as number) & ~URGENT) >>> 0, flushes: (this.#words[at + 1] as number) >>> 0 });
    }
    Atomics.store(this.#words, TAKEN, (from + n) | 0);
    return out;
  }
}

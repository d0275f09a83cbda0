/** The ring of hot blocks that a vCPU fills (assembly/cpu/jit/translation.ts). One reader. */
import { JIT_HOT_BASE, JIT_HOT_STRIDE } from '../../assembly/core/layout.ts';
import type { Hot } from './compiler.ts';

const ENTRIES = 256;
const TAKEN = 0;
const PUT = 1;
const LOST = 2;
const SOON = 3;
const LIST = 4;

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

  /** The first hot block is not far. */
  get soon(): boolean {
    return this.#words[SOON] !== 0;
  }

  /** Blocks that found no room. */
  get lost(): number {
    return (this.#words[LOST] as number) >>> 0;
  }

  /** Takes at most `most` entries. */
  take(most: number): Hot[] {
    const from = Atomics.load(this.#words, TAKEN);
    const n = Math.min(this.length, most);
    const out: Hot[] = [];
    for (let i = 0; i < n; i++) {
      const at = LIST + ((from + i) & (ENTRIES - 1)) * 2;
      out.push({ block: (this.#words[at] as number) >>> 0, flushes: (this.#words[at + 1] as number) >>> 0 });
    }
    Atomics.store(this.#words, TAKEN, (from + n) | 0);
    return out;
  }
}

/**
 * A vCPU's mailbox in the linear memory: one finished module at a time, from the translator's thread. Words: state, length in bytes, number of
 * functions, number of places, then PLACE_WORDS for each of those, then, at MODULE_AT, the module's bytes.
 */
import { JIT_MAIL_BASE, JIT_MAIL_SIZE } from '../../assembly/core/layout.ts';
import type { Compiled, Place } from './compiler.ts';

const EMPTY = 0;
const FULL = 1;
const STATE = 0;
const LENGTH = 1;
const FUNCTIONS = 2;
const COUNT = 3;
const PLACES = 4;
const PLACE_WORDS = 7;
/** Functions of a module at most. */
export const BATCH_MAX = 50;
/** Room for all entries of all of them (structure.ts). */
const MODULE_AT = 0x1_0000;
const PLACES_MAX = 2048;

export class Mailbox {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory, vcpu: number, cpus: number) {
    const size = Math.floor(JIT_MAIL_SIZE / cpus) & ~0xffff;
    const at = JIT_MAIL_BASE + vcpu * size;
    this.#words = new Int32Array(memory.buffer, at, MODULE_AT / 4);
    this.#bytes = new Uint8Array(memory.buffer, at + MODULE_AT, size - MODULE_AT);
  }

  /** Before the translator's thread is there: the memory may be another machine's old one. */
  clear(): void {
    Atomics.store(this.#words, STATE, EMPTY);
  }

  get full(): boolean {
    return Atomics.load(this.#words, STATE) === FULL;
  }

  /** False: it is larger than the box. The box is empty. */
  put({ bytes, functions, places }: Compiled): boolean {
    if (bytes.length > this.#bytes.length || places.length > PLACES_MAX) return false;
    const words = this.#words;
    this.#bytes.set(bytes);
    words[LENGTH] = bytes.length;
    words[FUNCTIONS] = functions;
    words[COUNT] = places.length;
    places.forEach((place, i) => {
      words.set([place.block, place.flushes, place.code, place.entry, place.generation, place.insns, place.blocks], PLACES + i * PLACE_WORDS);
    });
    Atomics.store(words, STATE, FULL);
    return true;
  }

  /** What lies in it; then it is empty. */
  take(): Compiled | undefined {
    const words = this.#words;
    if (Atomics.load(words, STATE) !== FULL) return undefined;
    const bytes = this.#bytes.slice(0, words[LENGTH]);
    const places: Place[] = [];
    for (let i = 0; i < (words[COUNT] as number); i++) {
      const [block = 0, flushes = 0, code = 0, entry = 0, generation = 0, insns = 0, blocks = 0] = words.subarray(PLACES + i * PLACE_WORDS, PLACES + (i + 1) * PLACE_WORDS);
      places.push({ block: block >>> 0, flushes: flushes >>> 0, code, entry, generation: generation >>> 0, insns, blocks });
    }
    Atomics.store(words, STATE, EMPTY);
    return { bytes, functions: words[FUNCTIONS] as number, places };
  }
}

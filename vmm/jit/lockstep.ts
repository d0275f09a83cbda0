/** What the core tells of lockstep runs (assembly/cpu/jit/check.ts). */
import { JIT_CHECK_BASE } from '../../assembly/core/layout.ts';

const KINDS = ['register', 'rip', 'flags', 'fault', 'floating point', 'memory', 'instruction count'];
const NAMES = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI', 'R8', 'R9', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15'];

export class Lockstep {
  readonly #view: DataView;

  constructor(memory: WebAssembly.Memory) {
    this.#view = new DataView(memory.buffer, JIT_CHECK_BASE, 64);
  }

  #word(n: number): number {
    return this.#view.getUint32(n * 4, true);
  }

  #long(n: number): string {
    return `0x${this.#view.getBigUint64(n * 4, true).toString(16)}`;
  }

  /** Runs of translations that were compared, those that could not be, those that differed. */
  get compared(): number {
    return this.#word(0);
  }

  get skipped(): number {
    return this.#word(1);
  }

  get different(): number {
    return this.#word(2);
  }

  /** The first difference in words. */
  get difference(): string | undefined {
    if (this.different === 0) return undefined;
    const what = this.#word(3);
    const at = this.#word(4);
    const kinds = KINDS.filter((_, i) => (what & (1 << i)) !== 0).join(', ');
    const parts = [`a translation and the interpreter differ in ${kinds}: block at ${this.#long(6)} (physical 0x${this.#word(5).toString(16)})`];
    if ((what & 8) !== 0) parts.push(`fault ${this.#long(8)}, interpreted ${this.#long(10)}`);
    else if ((what & 1) !== 0) parts.push(`${NAMES[at]} ${this.#long(8)}, interpreted ${this.#long(10)}`);
    else if ((what & 32) !== 0) parts.push(`page 0x${at.toString(16)}`);
    if ((what & 4) !== 0) parts.push(`flags 0x${this.#word(12).toString(16)}, interpreted 0x${this.#word(13).toString(16)}`);
    if ((what & 2) !== 0) parts.push(`RIP …${this.#word(14).toString(16)}, interpreted …${this.#word(15).toString(16)}`);
    return parts.join('; ');
  }
}

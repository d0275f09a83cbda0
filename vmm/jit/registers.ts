/** Which registers a micro-op reads and writes, as bit sets over the register file. */
import { REG_BLOCK, REG_ZERO } from '../../assembly/contract/translator.ts';
import { genericForm } from './generic.ts';
import { sseFlags, sseForm, sseGeneral } from './sse.ts';
import { REG_COUNT, type Uop, type Words } from './uop.ts';

/** All registers that can have a local. */
export const ALL_REGISTERS = ((1 << REG_COUNT) - 1) & ~((1 << REG_ZERO) | (1 << REG_BLOCK));

const FIXED: Readonly<Record<string, number>> = { rax: 1, rcx: 2, rdx: 4, rbx: 8, rsp: 16, rbp: 32, all: ALL_REGISTERS };

/** Words of `uses` and `sets` by what they name, decided once a micro-op. */
interface Operands {
  readonly fixed: number;
  readonly a: boolean;
  readonly b: boolean;
  readonly m: boolean;
}

function operands(words: string | undefined): Operands {
  const list = words === undefined || words === '' ? [] : words.split(' ');
  let fixed = 0;
  for (const word of list) fixed |= FIXED[word] ?? 0;
  return { fixed, a: list.includes('a'), b: list.includes('b'), m: list.includes('m') };
}

/** The sets of one kind of micro-op. */
export class RegisterUse {
  readonly #uses: Operands;
  readonly #sets: Operands;
  /** All registers must be in memory for it. */
  readonly all: boolean;
  readonly #sse: boolean;
  readonly #inline: boolean;
  readonly #uop: Uop;

  constructor(uop: Uop) {
    this.#sse = uop.call === 'sse_exec';
    this.#inline = uop.call === undefined;
    this.#uop = uop;
    this.#uses = operands(uop.uses);
    this.#sets = operands(uop.sets);
    this.all = this.#uses.fixed === ALL_REGISTERS;
  }

  uses(words: Words, u: number): number {
    const set = resolve(this.#uses, words, u);
    return this.#sse && this.inline(words, u) ? set | sseGeneral(words, u, false) : set;
  }

  sets(words: Words, u: number): number {
    const set = resolve(this.#sets, words, u);
    return this.#sse && this.inline(words, u) ? set | sseGeneral(words, u, true) : set;
  }

  /** What it sets, it sets in locals: no function of the core does it. */
  inline(words: Words, u: number): boolean {
    return this.#sse ? sseForm(words, u) !== undefined : this.#inline || genericForm(this.#uop, words, u) !== undefined;
  }

  /** It may leave the flags different from memory. */
  changesFlags(words: Words, u: number): boolean {
    return this.#uop.flags === true || (this.#sse ? sseFlags(words, u) : genericForm(this.#uop, words, u) !== undefined);
  }
}

function resolve(o: Operands, words: Words, u: number): number {
  let set = o.fixed;
  if (o.a) set |= bit(words.a(u));
  if (o.b) set |= bit(words.b(u));
  if (o.m) set |= bit(words.base(u)) | bit(words.index(u));
  return set;
}

/** The register at `place` of the file, if it can have a local. */
function bit(place: number): number {
  const n = place >>> 3;
  return n < REG_COUNT ? (1 << n) & ALL_REGISTERS : 0;
}

/**
 * Assembles a seccomp filter: classic BPF over struct seccomp_data (Linux, Documentation/userspace-api/seccomp_filter.rst;
 * <linux/filter.h>). Calls are found by a binary search, so that a filter of a hundred calls costs a handful of instructions.
 */
import {
  AUDIT_ARCH_X86_64, BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, seccomp_data,
} from '../uapi/lockdown.ts';

/** `(args[arg] & mask) == equals`, on the argument's low 32 bits: descriptors, flags, ids. */
export interface ArgumentTest {
  readonly arg: number;
  readonly mask: number;
  readonly equals: number;
}

/** What becomes of a call: allowed always; allowed when one of the lists of tests holds as a whole; or an errno. */
export type Verdict = 'allow' | { readonly anyOf: readonly (readonly ArgumentTest[])[]; readonly otherwise: number } | { readonly errno: number };

/** A jump goes to an instruction that is not there yet: by its label. */
interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly jt?: number;
  readonly jf?: number;
  readonly to?: number;
}

/** The most instructions of a filter: BPF_MAXINSNS. */
const INSTRUCTIONS_MAX = 4096;
/** Calls of the x32 ABI have this bit: another table, so none of them is meant by a rule. */
const X32_BIT = 0x4000_0000;
const FILTER_BYTES = 8;

class Assembler {
  readonly #code: Instruction[] = [];
  readonly #labels: number[] = [];

  label(): number {
    return this.#labels.push(-1) - 1;
  }

  here(label: number): void {
    this.#labels[label] = this.#code.length;
  }

  load(offset: number): void {
    this.#code.push({ code: BPF_LD | BPF_W | BPF_ABS, k: offset });
  }

  and(mask: number): void {
    this.#code.push({ code: BPF_ALU | BPF_AND | BPF_K, k: mask });
  }

  /** On to the next instruction when it holds; else to the label. */
  unless(test: number, k: number, label: number): void {
    this.#code.push({ code: BPF_JMP | test | BPF_K, k, jt: 1, jf: 0 }, { code: BPF_JMP | BPF_JA, k: 0, to: label });
  }

  result(value: number): void {
    this.#code.push({ code: BPF_RET | BPF_K, k: value });
  }

  /** struct sock_filter[]: code u16, jt u8, jf u8, k u32. */
  bytes(): Uint8Array {
    if (this.#code.length > INSTRUCTIONS_MAX) throw new RangeError(`a seccomp filter of ${this.#code.length} instructions, the most is ${INSTRUCTIONS_MAX}`);
    const view = new DataView(new ArrayBuffer(this.#code.length * FILTER_BYTES));
    this.#code.forEach(({ code, k, jt = 0, jf = 0, to }, index) => {
      const at = index * FILTER_BYTES;
      view.setUint16(at, code, true);
      view.setUint8(at + 2, jt);
      view.setUint8(at + 3, jf);
      view.setUint32(at + 4, to === undefined ? k : (this.#labels[to] as number) - index - 1, true);
    });
    return new Uint8Array(view.buffer);
  }
}

const errnoResult = (errno: number): number => (SECCOMP_RET_ERRNO | errno) >>> 0;

/** A filter for x86-64. `rules`: number of the call → verdict; every other call gets `otherwise`, an errno. */
export function seccompFilter(rules: ReadonlyMap<number, Verdict>, otherwise: number): Uint8Array {
  const out = new Assembler();
  const refuse = out.label();
  out.load(seccomp_data.arch);
  out.unless(BPF_JEQ, AUDIT_ARCH_X86_64, refuse);
  out.load(seccomp_data.nr);
  const numbers = [...rules.keys()].filter((number) => number < X32_BIT).sort((a, b) => a - b);
  search(out, numbers, rules, refuse);
  out.here(refuse);
  out.result(errnoResult(otherwise));
  return out.bytes();
}

/** The accumulator holds the call's number, which is one of `numbers` or none of any. */
function search(out: Assembler, numbers: readonly number[], rules: ReadonlyMap<number, Verdict>, refuse: number): void {
  const [first, second] = numbers;
  if (first === undefined) return;
  if (second === undefined) {
    out.unless(BPF_JEQ, first, refuse);
    answer(out, rules.get(first) as Verdict);
    return;
  }
  const middle = numbers.length >> 1;
  const lower = out.label();
  out.unless(BPF_JGE, numbers[middle] as number, lower);
  search(out, numbers.slice(middle), rules, refuse);
  out.here(lower);
  search(out, numbers.slice(0, middle), rules, refuse);
}

function answer(out: Assembler, verdict: Verdict): void {
  if (verdict === 'allow') {
    out.result(SECCOMP_RET_ALLOW);
    return;
  }
  if ('errno' in verdict) {
    out.result(errnoResult(verdict.errno));
    return;
  }
  for (const tests of verdict.anyOf) {
    const next = out.label();
    for (const { arg, mask, equals } of tests) {
      out.load(seccomp_data.args + 8 * arg);
      out.and(mask);
      out.unless(BPF_JEQ, equals, next);
    }
    out.result(SECCOMP_RET_ALLOW);
    out.here(next);
  }
  out.result(errnoResult(verdict.otherwise));
}

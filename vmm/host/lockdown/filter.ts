/** The process's own seccomp filter. Calls are found by a binary search, so that a filter of a hundred calls costs a handful of instructions. */
import { and, branch, filterBytes, type Instruction, jump, load, result } from '../../seccomp/bpf.ts';
import { AUDIT_ARCH_X86_64, BPF_JEQ, BPF_JGE, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, seccomp_data } from '../../seccomp/generated/bpf.ts';

/** `(args[arg] & mask) == equals`, on the argument's low 32 bits: descriptors, flags, ids. */
export interface ArgumentTest {
  readonly arg: number;
  readonly mask: number;
  readonly equals: number;
}

/** What becomes of a call: allowed always; allowed when one of the lists of tests holds as a whole; or an errno. */
export type Verdict = 'allow' | { readonly anyOf: readonly (readonly ArgumentTest[])[]; readonly otherwise: number } | { readonly errno: number };

/** Calls of the x32 ABI have this bit: another table, so none of them is meant by a rule. */
const X32_BIT = 0x4000_0000;

const refusal = (errno: number): Instruction => result(SECCOMP_RET_ERRNO | errno);

/** A filter for x86-64, struct sock_filter[]. `rules`: number of the call → verdict; every other call gets `otherwise`, an errno. */
export function seccompFilter(rules: ReadonlyMap<number, Verdict>, otherwise: number): Uint8Array {
  const refuse = [refusal(otherwise)];
  const numbers = [...rules.keys()].filter((number) => number < X32_BIT).sort((a, b) => a - b);
  return filterBytes([load(seccomp_data.arch), ...branch(BPF_JEQ, AUDIT_ARCH_X86_64, refuse, [load(seccomp_data.nr), ...search(numbers, rules, refuse)])]);
}

/** The accumulator holds the call's number, which is one of `numbers` or none of any. */
function search(numbers: readonly number[], rules: ReadonlyMap<number, Verdict>, refuse: readonly Instruction[]): readonly Instruction[] {
  const [first, second] = numbers;
  if (first === undefined) return refuse;
  if (second === undefined) return branch(BPF_JEQ, first, refuse, answer(rules.get(first) as Verdict));
  const middle = numbers.length >> 1;
  return branch(BPF_JGE, numbers[middle] as number, search(numbers.slice(0, middle), rules, refuse), search(numbers.slice(middle), rules, refuse));
}

function answer(verdict: Verdict): readonly Instruction[] {
  if (verdict === 'allow') return [result(SECCOMP_RET_ALLOW)];
  if ('errno' in verdict) return [refusal(verdict.errno)];
  let code: readonly Instruction[] = [refusal(verdict.otherwise)];
  // The last list first: where a test fails, what is left of its list is skipped.
  for (const tests of verdict.anyOf.toReversed()) {
    let holds: readonly Instruction[] = [result(SECCOMP_RET_ALLOW)];
    for (const { arg, mask, equals } of tests.toReversed()) holds = [load(seccomp_data.args + 8 * arg), and(mask), jump(BPF_JEQ, equals, 0, holds.length), ...holds];
    code = [...holds, ...code];
  }
  return code;
}

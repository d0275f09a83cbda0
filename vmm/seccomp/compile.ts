/**
 * Profiles as classic BPF over struct seccomp_data (Linux, Documentation/userspace-api/seccomp_filter.rst). Numbers with the
 * same outcome that follow each other are one range, and the range of a call is found by a binary search: six or seven
 * comparisons for any call. No argument is read on the way to an outcome that depends on none, so that the kernel can keep
 * a bitmap of the calls that are always allowed (kernel/seccomp.c, seccomp_cache_prepare) and run no filter for them.
 */
import { ENOSYS } from '../../assembly/contract/generated/errno.ts';
import { and, branch, filterBytes, type Instruction, jump, load, result, SHORT } from './bpf.ts';
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, BPF_JEQ, BPF_JGE, BPF_JGT, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_THREAD, seccomp_data } from './generated/bpf.ts';
import { type ArgumentTest, type Profile, type Rule, syscallNumbers } from './rules.ts';

/** Calls of the x32 ABI have this bit; the guest's kernel has no x32. */
const X32_BIT = 0x4000_0000;
const LOW = 0xffff_ffffn;

/** A filter, struct sock_filter[]. Throws RangeError when it has more instructions than the kernel takes. */
export function compileProfile(profile: Profile): Uint8Array {
  const bad = [result(SECCOMP_RET_KILL_THREAD)];
  const native = profile.architectures.includes('x86_64') ? table(profile, 'x86_64') : bad;
  const x32 = profile.architectures.includes('x32') ? [result(SECCOMP_RET_ERRNO | ENOSYS)] : bad;
  const i386 = profile.architectures.includes('i386') ? [load(seccomp_data.nr), ...table(profile, 'i386')] : bad;
  const code = [
    load(seccomp_data.arch),
    ...branch(BPF_JEQ, AUDIT_ARCH_X86_64, branch(BPF_JEQ, AUDIT_ARCH_I386, bad, i386), [load(seccomp_data.nr), ...branch(BPF_JGE, X32_BIT, native, x32)]),
  ];
  return filterBytes(code);
}

interface Range {
  readonly start: number;
  /** One action, or rules with tests of which the first that holds counts. */
  readonly outcome: number | readonly Rule[];
}

/** The search for one architecture; the accumulator holds the call's number. */
function table(profile: Profile, architecture: 'x86_64' | 'i386'): Instruction[] {
  const numbers = syscallNumbers(architecture);
  const outcomes = new Map<number, number | Rule[]>();
  for (const rule of profile.rules) {
    for (const name of rule.names) {
      const number = numbers.get(name);
      // A name of another architecture, or of a later kernel.
      if (number === undefined) continue;
      const before = outcomes.get(number);
      if (rule.args === undefined || rule.args.length === 0) outcomes.set(number, typeof before === 'number' ? before : rule.action);
      else if (before === undefined) outcomes.set(number, [rule]);
      else if (typeof before !== 'number') before.push(rule);
    }
  }
  const ranges: Range[] = [];
  const add = (start: number, outcome: number | readonly Rule[]): void => {
    if (ranges.at(-1)?.outcome !== outcome) ranges.push({ start, outcome });
  };
  const end = Math.max(...numbers.values()) + 1;
  for (let number = 0; number < end; number++) add(number, outcomes.get(number) ?? profile.defaultAction);
  // A call that is newer than the table: a program must be able to do without it, as with an older kernel.
  const refuses = (profile.defaultAction & ~0xffff) === SECCOMP_RET_ERRNO;
  add(end, refuses ? SECCOMP_RET_ERRNO | ENOSYS : profile.defaultAction);
  return search(ranges, profile.defaultAction);
}

function search(ranges: readonly Range[], otherwise: number): Instruction[] {
  const [first] = ranges as [Range];
  if (ranges.length === 1) return typeof first.outcome === 'number' ? [result(first.outcome)] : conditions(first.outcome, otherwise);
  const middle = ranges.length >> 1;
  const upper = ranges.slice(middle) as [Range, ...Range[]];
  return branch(BPF_JGE, upper[0].start, search(ranges.slice(0, middle), otherwise), search(upper, otherwise));
}

/** The argument and the action that all rules have in common, when each only compares its low half with one number. */
function oneOf(rules: readonly Rule[]): { readonly index: number; readonly action: number; readonly tests: readonly ArgumentTest[] } | undefined {
  const tests = rules.map(({ args = [] }) => (args.length === 1 ? args[0] : undefined));
  const [first] = tests;
  const action = (rules[0] as Rule).action;
  const alike = (test: ArgumentTest | undefined): test is ArgumentTest => test !== undefined && test.index === first?.index && (test.op === 'EQ' || test.op === 'LT') && test.value <= LOW;
  return first !== undefined && rules.length < SHORT && tests.every(alike) && rules.every((rule) => rule.action === action) ? { index: first.index, action, tests } : undefined;
}

function conditions(rules: readonly Rule[], otherwise: number): Instruction[] {
  const set = oneOf(rules);
  if (set !== undefined) {
    const left = set.tests.length;
    return [
      load(seccomp_data.args + 8 * set.index + 4), jump(BPF_JEQ, 0, 0, left + 1),
      load(seccomp_data.args + 8 * set.index),
      ...set.tests.map(({ op, value }, i) => (op === 'EQ' ? jump(BPF_JEQ, Number(value), left - i, 0) : jump(BPF_JGE, Number(value), 0, left - i))),
      result(otherwise), result(set.action),
    ];
  }
  let code: Instruction[] = [result(otherwise)];
  for (const rule of [...rules].reverse()) {
    let holds: Instruction[] = [result(rule.action)];
    // Behind the instructions of a rule lie those of the next one: where a test fails, all that is left of the rule is skipped.
    for (const test of [...(rule.args ?? [])].reverse()) holds = [...compare(test, holds.length), ...holds];
    code = [...holds, ...code];
  }
  return code;
}

/** Goes on to the next instruction when the test holds; else skips `rest` instructions more. */
function compare(test: ArgumentTest, rest: number): Instruction[] {
  const low = load(seccomp_data.args + 8 * test.index);
  const high = load(seccomp_data.args + 8 * test.index + 4);
  const value = { low: Number(test.value & LOW), high: Number(test.value >> 32n & LOW) };
  const none = 0;
  switch (test.op) {
    case 'EQ':
      return [high, jump(BPF_JEQ, value.high, none, 2 + rest), low, jump(BPF_JEQ, value.low, none, rest)];
    case 'NE':
      return [high, jump(BPF_JEQ, value.high, none, 2), low, jump(BPF_JEQ, value.low, rest, none)];
    case 'MASKED_EQ': {
      const wanted = test.valueTwo ?? 0n;
      return [
        high, and(value.high), jump(BPF_JEQ, Number(wanted >> 32n & LOW), none, 3 + rest),
        low, and(value.low), jump(BPF_JEQ, Number(wanted & LOW), none, rest),
      ];
    }
    case 'GT':
    case 'GE':
      return [high, jump(BPF_JGT, value.high, 3, none), jump(BPF_JEQ, value.high, none, 2 + rest), low, jump(test.op === 'GT' ? BPF_JGT : BPF_JGE, value.low, none, rest)];
    case 'LT':
    case 'LE':
      return [high, jump(BPF_JGT, value.high, 3 + rest, none), jump(BPF_JEQ, value.high, none, 2), low, jump(test.op === 'LT' ? BPF_JGE : BPF_JGT, value.low, rest, none)];
  }
}

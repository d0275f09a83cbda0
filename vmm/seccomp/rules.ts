/**
 * Seccomp rules as the OCI runtime specification has them (config-linux.md, "Seccomp"), by names of calls, and the table of
 * names. What becomes of a call: a value that a filter returns (SECCOMP_RET_*, errno in the low 16 bits).
 */
import { SYSCALLS_I386, SYSCALLS_X86_64 } from './generated/syscalls.ts';

export type Operator = 'EQ' | 'NE' | 'LT' | 'LE' | 'GE' | 'GT' | 'MASKED_EQ';

/** A comparison of an argument, 0 to 5, as an unsigned number of 64 bits. MASKED_EQ: `(argument & value) == valueTwo`. */
export interface ArgumentTest {
  readonly index: number;
  readonly op: Operator;
  readonly value: bigint;
  readonly valueTwo?: bigint;
}

/** The action holds when all tests do. Of several rules for one call the one without tests wins, then the first that holds. */
export interface Rule {
  readonly names: readonly string[];
  readonly action: number;
  readonly args?: readonly ArgumentTest[];
}

export type Architecture = 'x86_64' | 'i386' | 'x32';

export interface Profile {
  readonly defaultAction: number;
  /** Calls of the others end the thread, as libseccomp has it. */
  readonly architectures: readonly Architecture[];
  readonly rules: readonly Rule[];
}

const tables = new Map<string, ReadonlyMap<string, number>>();

/** Name → number. */
export function syscallNumbers(architecture: 'x86_64' | 'i386'): ReadonlyMap<string, number> {
  const made = tables.get(architecture);
  if (made !== undefined) return made;
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of (architecture === 'x86_64' ? SYSCALLS_X86_64 : SYSCALLS_I386).trim().split(/\s+/)) {
    if (/^\d+$/.test(word)) next = Number(word);
    else numbers.set(word, next++);
  }
  tables.set(architecture, numbers);
  return numbers;
}

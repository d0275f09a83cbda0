/** Levels of x86-64 (psABI 1.0, 3.1.1), by the names that Linux has for CPUID's bits in /proc/cpuinfo. */
import { readFileSync } from 'node:fs';

const LEVELS: readonly (readonly [string, string])[] = [
  ['x86-64-v2', 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3'],
  ['x86-64-v3', 'avx avx2 bmi1 bmi2 f16c fma abm movbe xsave'],
  ['x86-64-v4', 'avx512f avx512bw avx512cd avx512dq avx512vl'],
];

/** The highest level of which a CPU has all, by its `flags` line; the host's when none is given. */
export function cpuLevel(flags = hostFlags()): string {
  const has = new Set(flags.split(/\s+/));
  let level = 'x86-64';
  for (const [name, features] of LEVELS) {
    if (!features.split(' ').every((feature) => has.has(feature))) break;
    level = name;
  }
  return level;
}

function hostFlags(): string {
  return /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1] ?? '';
}

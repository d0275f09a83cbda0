/** The levels of x86-64, against the dynamic loader's own view of this machine. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { cpuLevel } from '../../../vmm/accel/levels.ts';

const LOADER = '/lib64/ld-linux-x86-64.so.2';

it.skipIf(!existsSync(LOADER))('the host\'s level is what glibc\'s loader supports', () => {
  const supported = [...execFileSync(LOADER, ['--help'], { encoding: 'utf8' }).matchAll(/^ {2}(x86-64-v\d) \(supported/gm)].map(([, name]) => name);
  expect(cpuLevel()).toBe(supported.sort().at(-1) ?? 'x86-64');
});

it.each([
  ['', 'x86-64'],
  ['cx16 lahf_lm popcnt pni sse4_1 sse4_2', 'x86-64'],
  ['cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3', 'x86-64-v2'],
  ['avx avx2 bmi1 bmi2 f16c fma abm movbe xsave', 'x86-64'],
  ['cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave', 'x86-64-v3'],
])('flags "%s": %s', (flags, level) => {
  expect(cpuLevel(flags)).toBe(level);
});

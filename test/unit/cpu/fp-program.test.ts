/** Compiled floating-point code: what it computes natively, it computes on the software CPU, bit for bit. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasAssembler, coreModule, runGuest } from '../../support/cpu/guest.ts';

const root = new URL('../../..', import.meta.url).pathname;
const source = join(root, 'test', 'programs', 'cpu');
const out = join(root, '.cache', 'test', 'programs');

const gcc = (...args: string[]) => execFileSync('gcc', ['-w', ...args], { cwd: source });

/** Native output of fpmath.c compiled with `flags`. */
function native(name: string, flags: string[]): string {
  const program = join(out, `${name}.native.${process.pid}`);
  gcc('-DNATIVE', '-fno-math-errno', ...flags, '-o', program, 'fpmath.c', '-lm');
  return execFileSync(program).toString();
}

function guest(name: string, flags: string[]): string {
  const base = join(out, `${name}.${process.pid}`);
  gcc('-c', '-m64', '-o', `${base}.start.o`, 'fpmath.S');
  gcc('-c', '-ffreestanding', '-fno-pic', '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-mno-red-zone', '-fno-math-errno', ...flags, '-o', `${base}.o`, 'fpmath.c');
  execFileSync('ld', ['-n', '--no-warn-rwx-segments', '-T', 'guest.ld', '-o', base, `${base}.start.o`, `${base}.o`], { cwd: source });
  return base;
}

beforeAll(() => {
  mkdirSync(out, { recursive: true });
  coreModule();
}, 600_000);

describe.skipIf(!hasAssembler)('fpmath.c gives its native output', () => {
  it.each([
    ['O2', ['-O2', '-march=x86-64'], 'baseline'],
    ['O3', ['-O3', '-march=x86-64'], 'baseline'],
    ['x87', ['-O2', '-march=x86-64', '-mfpmath=387'], 'baseline'],
    ['v2', ['-O3', '-march=x86-64-v2'], 'x86-64-v2'],
  ] as const)('%s', (name, flags, model) => {
    const expected = native(`fpmath-${name}`, [...flags]);
    expect(expected.trim().split('\n')).toHaveLength(8);
    const run = runGuest(guest(`fpmath-${name}`, [...flags]), { model });
    expect(run.output).toBe(expected);
    expect(run.end).toBe(0);
  });
});

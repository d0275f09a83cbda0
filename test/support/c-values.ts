/** Prints C expressions as the compiler sees them: layouts are checked against the system's headers. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../scripts/lib.mjs';

export function cValues(includes: string[], expressions: string[]): number[] {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-c-'));
  try {
    const lines = expressions.map((e) => `printf("%llu\\n", (unsigned long long)(${e}));`);
    const source = ['#include <stdio.h>', '#include <stddef.h>', ...includes.map((i) => `#include <${i}>`), `int main(void) { ${lines.join(' ')} return 0; }`];
    writeFileSync(join(dir, 'values.c'), source.join('\n'));
    execFileSync('gcc', ['-o', join(dir, 'values'), join(dir, 'values.c')]);
    return execFileSync(join(dir, 'values')).toString().trim().split('\n').map(Number);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The numeric constants of a source file whose names match. */
export function constants(file: string, name: RegExp): Map<string, number> {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [...text.matchAll(/^(?:export )?const (\w+)(?:: \w+)? = (0x[\da-fA-F_]+|\d+|1 << \d+);/gm)].filter(([, id]) => name.test(id!));
  return new Map(found.map(([, id, value]) => [id!, value!.startsWith('1 <<') ? 2 ** Number(value!.slice(5)) : Number(value!.replaceAll('_', ''))]));
}

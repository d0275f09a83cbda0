import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../support/cli/cli.ts';

/** Codes of errors as the sources write them: `new VmmError('CODE'`, `super('CODE'`, and agent's table. */
function codesOfSources(): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of ['vmm', 'image']) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const text = readFileSync(join(ROOT, folder, name), 'utf8');
      for (const [, code] of text.matchAll(/(?:new VmmError\(|super\(|\]: |\?\? )\s*'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)'/g)) {
        const isCode = text.includes(`VmmError('${code}'`) || text.includes(`super('${code}'`) || /^(AGENT|HOST)_/.test(code as string);
        if (isCode) found.set(code as string, join(folder, name));
      }
    }
  }
  return found;
}

/** Codes in the first column of the table. */
function codesOfDocs(): Set<string> {
  const text = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').split('## Codes')[1] ?? '';
  const codes = new Set<string>();
  for (const [, first] of text.matchAll(/^\| ([A-Z0-9_, ]+) \|/gm)) for (const code of (first as string).split(', ')) codes.add(code);
  return codes;
}

describe('docs/errors.md', () => {
  it('has every code that the sources have', () => {
    const documented = codesOfDocs();
    const codes = codesOfSources();
    expect(codes.size).toBeGreaterThan(60);
    expect([...codes].filter(([code]) => !documented.has(code))).toEqual([]);
  });

  it('has no code that no source has', () => {
    const codes = codesOfSources();
    expect([...codesOfDocs()].filter((code) => !codes.has(code))).toEqual([]);
  });
});

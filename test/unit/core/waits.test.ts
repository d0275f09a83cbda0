/** V8's baseline compiler clears the stack slot below a wait's operands: it has to be a constant's (docs/decisions/0010-waits.md). */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { buildCore } from '../../../scripts/build-core.mjs';
import { root } from '../../support/guests/programs.ts';

beforeAll(() => buildCore());

test('all waits of the sources go through wait32', () => {
  const files = (readdirSync(join(root, 'assembly'), { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'));
  const waits = files.filter((name) => /\batomic\.wait\s*</.test(readFileSync(join(root, 'assembly', name), 'utf8')));
  expect(waits).toEqual(['core/wait.ts']);
});

test.each(['core', 'core-kvm'])('in dist/%s.wasm each wait has a constant address for its result below it', (name) => {
  const text = execFileSync(join(root, 'node_modules/.bin/wasm-dis'), [join(root, 'dist', `${name}.wasm`)], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const waits = text.match(/memory\.atomic\.wait/g) ?? [];
  const guarded = text.match(/\(i32\.store\s+\(i32\.const \d+\)\s+\(memory\.atomic\.wait32/g) ?? [];
  expect(waits.length).toBeGreaterThan(0);
  expect(guarded).toHaveLength(waits.length);
});

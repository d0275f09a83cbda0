/** The committed files under assembly/cpu/generated are what the opcode map and the templates give now. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { generateAll } from '../../../assembly/cpu/generate.mjs';

it.each(Object.entries(generateAll()))('generated/%s is up to date', (name, text) => {
  expect(readFileSync(new URL(`../../../assembly/cpu/generated/${name}`, import.meta.url), 'utf8') === text).toBe(true);
});

/** The committed files in generated/ of assembly/cpu's rooms are what the opcode map and the templates give now. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { generateAll } from '../../../assembly/cpu/generate/generate.mjs';

it.each(Object.entries(generateAll()))('%s is up to date', (path, text) => {
  expect(readFileSync(new URL(`../../../assembly/cpu/${path}`, import.meta.url), 'utf8') === text).toBe(true);
});

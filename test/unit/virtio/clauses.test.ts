import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../../..', import.meta.url).pathname;
const here = join(root, 'test/unit/virtio');

const titles = readdirSync(here)
  .filter((name) => name.endsWith('.test.ts'))
  .flatMap((name) => [...readFileSync(join(here, name), 'utf8').matchAll(/(?:\btest|\]\))\((['"])(.+?)\1/g)].map(([, , title]) => title!));
const clauseTitles = titles.filter((title) => /^\d+(\.\d+)+ /.test(title));
const listed = [...readFileSync(join(root, 'docs/virtio-clauses.md'), 'utf8').matchAll(/^\| (\d+(?:\.\d+)+) \| .+ \| (.+?) \|$/gm)].map(([, section, title]) => ({ section: section!, title: title! }));

test('each clause of docs/virtio-clauses.md has its test', () => {
  expect(listed.length).toBeGreaterThan(60);
  expect(listed.filter(({ title }) => !titles.includes(title))).toEqual([]);
  expect(listed.filter(({ section, title }) => !title.startsWith(`${section} `))).toEqual([]);
});

test('each test with a section number is in docs/virtio-clauses.md', () => {
  const known = new Set(listed.map(({ title }) => title));
  expect(clauseTitles.filter((title) => !known.has(title))).toEqual([]);
});

test('no two tests have the same name', () => {
  expect(new Set(clauseTitles).size).toBe(clauseTitles.length);
});

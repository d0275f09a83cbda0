// Writes constants, ioctl numbers and structure layouts of the Linux UAPI (scripts/uapi-tables.mjs) as TypeScript, as the C
// compiler sees them in the system's headers. `node scripts/uapi.mjs` writes; with --check it compares, as a test does.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './lib.mjs';
import { FILES } from './uapi-tables.mjs';

export { FILES };

const words = (text) => text.split(/\s+/).filter(Boolean);
/** `NAME=EXPRESSION`, or a name that is its own expression. */
const named = (word) => (word.includes('=') ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word, word]);
const constantsOf = (list) => words(list ?? '').map(named).map(([name, expression]) => ({ name, expression: `(${expression})` }));
const fieldOf = (struct, field) => ({ name: field.replaceAll('.', '_'), expression: `offsetof(${struct}, ${field})` });

/** What a file of the table is made of: groups of values, each with the lines around them. */
function groupsOf({ constants, typed = [], fields = {}, structs = {} }) {
  const line = (type) => ({ name, value }) => `export const ${name}${type} = ${value};`;
  return [
    { values: constantsOf(constants), line: line('') },
    ...typed.map(([type, list, heading]) => ({ head: heading === undefined ? [] : ['', `// ${heading}`], values: constantsOf(list), line: line(`: ${type}`) })),
    ...Object.entries(fields).map(([prefix, [struct, names]]) => ({
      head: ['', `// Byte offsets in \`${struct}\`.`],
      values: words(names).map((field) => fieldOf(struct, field)).map(({ name, expression }) => ({ name: prefix + name.toUpperCase(), expression })),
      line: line(': u32'),
    })),
    ...Object.entries(structs).map(([struct, names]) => ({
      head: ['', `/** Byte offsets in \`${struct}\`, and its size. */`, `export const ${struct.split(' ')[1]} = {`],
      values: [{ name: 'sizeof', expression: `sizeof(${struct})` }, ...words(names).map((field) => fieldOf(struct, field))],
      line: ({ name, value }) => `  ${name}: ${value},`,
      tail: ['} as const;'],
    })),
  ];
}

/** Compiles and runs a C program that prints the values of expressions. */
function valuesOf({ headers, defines = [] }, expressions) {
  const lines = [
    ...defines.map((define) => `#define ${define} 1`), '#include <stddef.h>', '#include <stdio.h>', ...headers.map((header) => `#include <${header}>`),
    'int main(void) {',
    ...expressions.map((expression) => `  printf("%llu\\n", (unsigned long long)(${expression}) & ((long long)(${expression}) < 0 ? 0xffffffffull : ~0ull));`),
    '  return 0;', '}',
  ];
  const dir = mkdtempSync(join(tmpdir(), 'uapi-'));
  try {
    writeFileSync(join(dir, 'a.c'), lines.join('\n'));
    const made = spawnSync('gcc', ['-w', '-o', join(dir, 'a'), join(dir, 'a.c')], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`uapi: gcc: ${made.error?.message ?? made.stderr}`);
    return spawnSync(join(dir, 'a'), { encoding: 'utf8' }).stdout.trim().split('\n');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The TypeScript text of one file of the table. */
export function uapiText(path) {
  const file = FILES[path];
  const groups = groupsOf(file);
  const values = valuesOf(file, groups.flatMap((group) => group.values.map(({ expression }) => expression)));
  const shown = (text) => (BigInt(text) > 0xffffn ? `0x${BigInt(text).toString(16)}` : text);
  const out = [`// Made by scripts/uapi.mjs from ${file.source}; do not edit.`, ''];
  for (const { head = [], values: wanted, line, tail = [] } of groups) {
    out.push(...head, ...wanted.map(({ name }) => line({ name, value: shown(values.shift()) })), ...tail);
  }
  return `${out.join('\n').replace(/\n{3,}/g, '\n\n')}\n`;
}

export const uapiPath = (path) => join(root, path);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const path of Object.keys(FILES)) {
    const text = uapiText(path);
    mkdirSync(dirname(uapiPath(path)), { recursive: true });
    if (!process.argv.includes('--check')) writeFileSync(uapiPath(path), text);
    else if (readFileSync(uapiPath(path), 'utf8') !== text) {
      process.stderr.write(`${path} does not agree with this system's headers: run node scripts/uapi.mjs\n`);
      process.exitCode = 1;
    }
  }
}

// The core's half of unused.mjs: what AssemblyScript's files export, and what the modules export to the host. Names are found by
// text, since the TypeScript compiler does not read AssemblyScript's types; within assembly/ an exported name is used in one sense.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { filesBelow, root } from '../lib.mjs';

const ENTRIES = ['assembly/index.ts', 'assembly/devices.ts', 'assembly/cpu/jit/index.ts'];
/** The host's declarations of what it calls; the translator's code imports by name. */
const EXPORTS = 'vmm/core/exports.ts';
const TRANSLATOR = 'vmm/jit';
/** Tests' entries, what the host reads too (unused.mjs looks at that), and what scripts/ generates whole. */
const FOREIGN = /^assembly\/(test|contract)\/|^assembly\/core\/layout\.ts$|\/generated\//;

const parse = (file) => ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true);

/** Identifiers of a file and how often they are there; those of imports and of exports of other files' names do not count. */
function wordsOf(source) {
  const words = new Map();
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isIdentifier(node)) words.set(node.text, (words.get(node.text) ?? 0) + 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return words;
}

const commentOf = (node, source) => (ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? []).map(({ pos, end }) => source.text.slice(pos, end)).join('\n');

/** Functions that a file exports: {name, line, comment}. Constants are lists of a specification's numbers, whole on purpose. */
function exportsOf(source) {
  return source.statements
    .filter((node) => ts.isFunctionDeclaration(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))
    .map((node) => ({ name: node.name?.text ?? '', line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1, comment: commentOf(node, source) }));
}

/** Names that the entries export: those of before `as` and after; `tests`: the export's comment says that tests call it. */
function entryNames() {
  const names = [];
  for (const file of ENTRIES) {
    const source = parse(file);
    for (const node of source.statements) {
      if (!ts.isExportDeclaration(node) || node.exportClause === undefined || !ts.isNamedExports(node.exportClause)) continue;
      for (const { name, propertyName } of node.exportClause.elements) names.push({ name: name.text, from: (propertyName ?? name).text, file, tests: /\btests?\b/i.test(commentOf(node, source)) });
    }
  }
  return names;
}

export function unusedCore(report) {
  const sources = filesBelow('assembly', (name) => name.endsWith('.ts')).map((path) => parse(relative(root, path)));
  const words = new Map(sources.map((source) => [source.fileName, wordsOf(source)]));
  const entries = entryNames();
  const inEntries = new Set(entries.map(({ from }) => from));
  for (const source of sources) {
    const file = source.fileName;
    if (FOREIGN.test(file)) continue;
    for (const { name, line, comment } of exportsOf(source)) {
      if (inEntries.has(name)) continue;
      const users = [...words].filter(([user, found]) => (found.get(name) ?? 0) > (user === file ? 1 : 0)).map(([user]) => user);
      const at = `${file}:${line}: ${name}`;
      if (users.length === 0) report(`${at} is used by nothing`);
      else if (users.every((user) => user.startsWith('assembly/test/')) && !/\btests?\b/i.test(comment)) report(`${at} is used by tests only, and its comment does not say so`);
    }
  }
  const declared = new Set([...readFileSync(join(root, EXPORTS), 'utf8').matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name));
  for (const path of filesBelow(TRANSLATOR, (name) => name.endsWith('.ts'))) for (const [word] of readFileSync(path, 'utf8').matchAll(/\w+/g)) declared.add(word);
  for (const { name, file, tests } of entries) {
    if (!declared.has(name) && !tests) report(`${file}: exports ${name}, which the host (${EXPORTS}) does not know; what tests alone call stands under a comment that says so`);
  }
}

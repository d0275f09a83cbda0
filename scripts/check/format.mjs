// The form of assembly/: TypeScript's own formatter (white space within lines and in front of them; where a line ends is the
// author's), single quotes, at most 160 columns. `node scripts/check/format.mjs` puts white space and quotes right.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { filesBelow, root } from '../lib.mjs';

const WIDTH = 160;

/** @type {ts.FormatCodeSettings} */
const SETTINGS = {
  ...ts.getDefaultFormatCodeSettings('\n'),
  indentSize: 2,
  tabSize: 2,
  convertTabsToSpaces: true,
  insertSpaceAfterOpeningAndBeforeClosingEmptyBraces: false,
};

/** `text` as it should be. The formatter also says what needs no change, and would write `for (;;)` with a blank. */
function formatted(service, path, text) {
  const edits = service.getFormattingEditsForDocument(path, SETTINGS).filter(({ span }) => !inForHead(text, span.start));
  let out = text;
  for (const { span, newText } of edits.sort((a, b) => b.span.start - a.span.start)) {
    out = out.slice(0, span.start) + newText + out.slice(span.start + span.length);
  }
  return singleQuoted(out.replace(/[ \t]+$/gm, ''));
}

/** String literals in single quotes, but for those that hold one. */
function singleQuoted(text) {
  let out = text;
  const visit = (node) => {
    const literal = ts.isStringLiteral(node) ? node.getText() : '';
    if (/^"[^'\\]*"$/.test(literal)) out = `${out.slice(0, node.getStart())}'${node.text}'${out.slice(node.end)}`;
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('', text, ts.ScriptTarget.Latest, true));
  return out;
}

/** Beside a semicolon that ends an empty part of a `for`. */
function inForHead(text, at) {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, text.indexOf('\n', at));
  return /^\s*for \((;|.*; \))/.test(line);
}

/** [path, text, text as it should be] of each file of assembly/ that is not generated. */
function files() {
  const texts = new Map();
  for (const path of filesBelow('assembly', (name) => name.endsWith('.ts'))) {
    if (!path.includes('/generated/')) texts.set(path, readFileSync(path, 'utf8'));
  }
  const service = ts.createLanguageService({
    getScriptFileNames: () => [...texts.keys()],
    getScriptVersion: () => '1',
    getScriptSnapshot: (path) => (texts.has(path) ? ts.ScriptSnapshot.fromString(texts.get(path)) : undefined),
    getCurrentDirectory: () => root,
    getCompilationSettings: () => ({ noLib: true, noResolve: true }),
    getDefaultLibFileName: () => join(root, 'lib.d.ts'),
    fileExists: (path) => texts.has(path),
    readFile: (path) => texts.get(path),
  }, ts.createDocumentRegistry(), ts.LanguageServiceMode.Syntactic);
  return [...texts].map(([path, text]) => [path, text, formatted(service, path, text)]);
}

export function format(report) {
  for (const [path, text, right] of files()) {
    const name = relative(root, path);
    const lines = text.split('\n');
    const rightLines = right.split('\n');
    const wrong = lines.findIndex((line, i) => line !== rightLines[i]);
    if (wrong >= 0) report(`${name}:${wrong + 1}: not formatted (node scripts/check/format.mjs): ${rightLines[wrong]}`);
    const long = lines.findIndex((line) => line.length > WIDTH);
    if (long >= 0) report(`${name}:${long + 1}: over ${WIDTH} columns`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, text, right] of files()) if (right !== text) writeFileSync(path, right);
}

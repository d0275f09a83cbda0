// How long functions are, by the compiler's own syntax tree. A function that only dispatches may be longer than it is deep:
// the lines of its dispatch switch do not count.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';
import { filesBelow, root } from '../lib.mjs';

const AREAS = ['assembly', 'vmm', 'image', 'stage1', 'oci', 'bench', 'scripts', 'bin'];
/** Lines of a function. */
const MOST = 80;
/** Above this only a few may be, and none in these folders. */
const LONG = 60;
const LONG_MOST = 12;
const LONG_NEVER = ['vmm/machine/', 'vmm/accel/', 'vmm/core/', 'vmm/devices/', 'vmm/cli/'];
/** A dispatch switch has at least so many cases, of so few lines each. */
const CASES_LEAST = 8;
const CASE_LINES = 8;

/** {file, name, lines} of each function of the project, without generated files. */
export function functionLengths() {
  const found = [];
  for (const area of AREAS) {
    for (const path of filesBelow(area, (name) => /\.(ts|mjs|js)$/.test(name) && !name.endsWith('.d.ts'))) {
      const file = relative(root, path);
      if (file.includes('/generated/')) continue;
      const source = ts.createSourceFile(file, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
      const visit = (node) => {
        if (ts.isFunctionLike(node) && node.body !== undefined) found.push({ file, name: nameOf(node), lines: linesOf(source, node) - dispatchLines(source, node.body) });
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
  }
  return found;
}

const nameOf = (node) => node.name?.getText() ?? node.parent?.name?.getText?.() ?? 'a function';
const lineOf = (source, position) => source.getLineAndCharacterOfPosition(position).line;
const linesOf = (source, node) => lineOf(source, node.end) - lineOf(source, node.getStart(source)) + 1;

/** Lines of the longest dispatch switch below `node`. */
function dispatchLines(source, node) {
  let most = 0;
  const visit = (at) => {
    if (ts.isSwitchStatement(at)) {
      const cases = at.caseBlock.clauses.length;
      const lines = linesOf(source, at);
      if (cases >= CASES_LEAST && lines <= cases * CASE_LINES) most = Math.max(most, lines);
    }
    if (!ts.isFunctionLike(at)) ts.forEachChild(at, visit);
  };
  visit(node);
  return most;
}

export function functions(report) {
  const long = functionLengths().filter(({ lines }) => lines > LONG).sort((a, b) => b.lines - a.lines);
  const say = ({ file, name, lines }, why) => report(`${file}: ${name} has ${lines} lines${why}`);
  for (const one of long) {
    if (one.lines > MOST) say(one, `, the most is ${MOST}`);
    else if (LONG_NEVER.some((folder) => one.file.startsWith(folder))) say(one, `, the most in this folder is ${LONG}`);
  }
  if (long.length > LONG_MOST) for (const one of long) say(one, `: one of ${long.length} above ${LONG}, of which ${LONG_MOST} may be`);
}

// Which C file of the guest's init uses what another one defines.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { filesBelow, root } from '../lib.mjs';

/** A definition that other files can see begins in the first column, is not static, and is no declaration. */
const FUNCTION = /^(?!static|typedef|#|extern|return|else)[A-Za-z_][\w\s*]*?\b(\w+)\([^;{}]*\)\s*\{/gm;
const VARIABLE = /^(?!static|typedef|#|extern|return|else)[A-Za-z_][\w\s*]*?\b(\w+)(?:\[[^\]]*\])*\s*(?:=[^;]*)?;/gm;

const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/\/\/.*/g, '').replace(/"(?:\\.|[^"\\\n])*"/g, '""');

/** As scripts/check/imports.mjs has them: one arrow for each pair of files. Excused: the using line ends in a comment that begins with "circle:". */
export function initArrows() {
  const files = filesBelow('guest-kernel/init', (name) => name.endsWith('.c')).map((path) => {
    const raw = readFileSync(path, 'utf8');
    return { name: relative(root, path), raw, text: withoutComments(raw) };
  });
  const owner = new Map();
  for (const { name, text } of files) {
    for (const pattern of [FUNCTION, VARIABLE]) for (const match of text.matchAll(pattern)) owner.set(match[1], name);
  }
  const arrows = [];
  for (const { name, raw, text } of files) {
    const used = new Map();
    const own = new Set([...text.matchAll(/^static[^;{(]*?\b(\w+)\s*[([=;]/gm)].map((match) => match[1]));
    for (const [word] of text.matchAll(/(?<![.>\w])[A-Za-z_]\w*/g)) {
      const to = owner.get(word);
      if (to === undefined || to === name || own.has(word)) continue;
      used.set(to, [...(used.get(to) ?? []), word]);
    }
    for (const [to, words] of used) {
      const excused = words.every((word) => new RegExp(`\\b${word}\\b[^\\n]*/\\* circle: \\S`).test(raw));
      arrows.push({ from: name, to, spec: [...new Set(words)].join(' '), excused });
    }
  }
  return arrows;
}

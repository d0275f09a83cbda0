// What the documents name must be there: files and folders of this tree, headings behind a link's #, commands of vmm, scripts of package.json. A document
// that sends its reader to what was moved or renamed is worse than none.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { root } from '../lib.mjs';

/** The first part of a path of this tree, in a document's `code`. */
const FOLDERS = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !/^(\.|node_modules$|dist$)/.test(entry.name)).map(({ name }) => name);
/** Told of, and no file of a checkout: what building makes, and what stands for any name. */
const MADE = /^guest-kernel\/build\b|\bNAME\b/;

function documents() {
  const below = (folder) => readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? below(join(folder, entry.name)) : entry.name.endsWith('.md') ? [join(folder, entry.name)] : []));
  return [...readdirSync(root).filter((name) => name.endsWith('.md')), ...['docs', 'examples', 'guest-kernel', 'bench', 'test', 'stage1'].flatMap(below)];
}

/** GitHub's names of a document's headings. */
function anchors(text) {
  const seen = new Map();
  return new Set([...text.matchAll(/^#{1,6} +(.*)$/gm)].map(([, heading]) => {
    const name = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/`/g, '').trim().toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-');
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    return before === 0 ? name : `${name}-${before}`;
  }));
}

function brokenLinks(path, text) {
  return [...text.matchAll(/\]\(([^()\s]+)\)/g)].flatMap(([, target]) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file, anchor] = target.split('#');
    const to = file === '' ? path : normalize(join(dirname(path), file));
    if (!existsSync(join(root, to))) return [`${path}: a link to ${target}, which is not there`];
    if (anchor === undefined || !to.endsWith('.md')) return [];
    return anchors(readFileSync(join(root, to), 'utf8')).has(anchor) ? [] : [`${path}: a link to ${target}: no such heading`];
  });
}

/** Paths in `code`: whole, or with * and {a,b} for a part; a name of a test without .test.ts; a file without its ending. */
function missingPaths(path, text) {
  const words = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code.split(/[\s,;()]+/)).map((word) => word.replace(/^\.\//, '').replace(/[.:]+$/, ''));
  const found = words.filter((word) => FOLDERS.some((folder) => word.startsWith(`${folder}/`)) && /^[\w./-]+$/.test(word) && !MADE.test(word));
  return [...new Set(found)].filter((word) => !['', '.ts', '.mjs', '.test.ts', '.md', '.c'].some((ending) => existsSync(join(root, word + ending)))).map((word) => `${path}: names ${word}, which is not there`);
}

function unknownScripts(path, text) {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const named = [...text.matchAll(/\bnpm (?:run )?(start|test|run [\w:]+|[\w:]+:[\w:]+)\b/g)].map(([, name]) => name.replace(/^run /, ''));
  return [...new Set([...named, ...[...text.matchAll(/\bnpm run ([\w:]+)/g)].map(([, name]) => name)])].filter((name) => !(name in scripts)).map((name) => `${path}: names npm run ${name}, which package.json has not`);
}

/** By name, with the long options that each takes; words that begin several commands stand for themselves. */
async function commands() {
  const { commandTables } = await import('../../vmm/cli/commands.ts');
  const { nameOf } = await import('../../vmm/cli/help.ts');
  const tables = await commandTables();
  return new Map(tables.map(({ name, options }) => [name, new Set(['help', ...Object.entries(options).flatMap(([key, option]) => [/--([\w-]+)/.exec(nameOf(key, option))?.[1], ...(option.alias ?? [])])])]));
}

/** Docker's other names of commands, which have no table of their own. */
const dockers = () => [...readFileSync(join(root, 'vmm/cli/main.ts'), 'utf8').matchAll(/^ *case '([a-z-]+)':/gm)].map(([, name]) => name);
/** What its options end at is another program's line. */
const RUNS = new Set(['run', 'create', 'exec', 'bench']);

/** Words that are options of vmm's own, or their values: all, but before a program's line the first ones only. */
function optionsOf(name, words) {
  const end = RUNS.has(name) ? words.findIndex((word, i) => !word.startsWith('-') && !/^-/.test(words[i - 1] ?? '')) : -1;
  return (end < 0 ? words : words.slice(0, end)).flatMap((word) => /^--(\w[\w-]*)/.exec(word)?.[1] ?? []);
}

const fenced = (text) => text.split('```').filter((_, i) => i % 2 === 1).join('\n');

/** Lines of code that begin with vmm: a command that there is, with options that it has. */
function unknownCommands(path, text, known) {
  const lines = [...text.matchAll(/`((?:npx (?:--no )?)?vmm [^`\n]+)`/g), ...fenced(text).matchAll(/^((?:npx (?:--no )?)?vmm .+)$/gm)].map(([, line]) => line.replace(/^npx (?:--no )?/, '').replace(/\\\|.*|[;#&>].*$/, ''));
  return lines.flatMap((line) => {
    const words = line.split(/\s+/).slice(1).map((word) => word.replace(/^\[/, ''));
    const name = [3, 2, 1].map((length) => words.slice(0, length).join(' ')).find((each) => known.has(each));
    if (name === undefined) return /^[a-z][a-z-]*$/.test(words[0] ?? '') && ![...known.keys(), ...dockers()].some((each) => each.split(' ')[0] === words[0]) ? [`${path}: vmm has no command ${words[0]}`] : [];
    return optionsOf(name, words.slice(name.split(' ').length)).filter((option) => !known.get(name).has(option)).map((option) => `${path}: vmm ${name} has no --${option}`);
  });
}

/** Says what is wrong to `report`. */
export async function docs(report) {
  const known = await commands();
  for (const path of documents()) {
    const text = readFileSync(join(root, path), 'utf8');
    for (const finding of [...brokenLinks(path, text), ...missingPaths(path, text), ...unknownScripts(path, text), ...unknownCommands(path, text, known)]) report(finding);
  }
}

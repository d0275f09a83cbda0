/** Values of templates as Go prints and compares them, and functions: those of text/template, and Docker's (cli/templates). */
import { VmmError } from '../api/errors.ts';

export function templateError(what: string): VmmError {
  return new VmmError('USAGE', `--format: ${what}`, { hint: 'Go’s templates as with docker: {{.Name}}, {{json .}}, {{range .Mounts}}{{.Source}} {{end}}' });
}

/** Go's maps are gone through in the order of their keys' bytes. */
export function orderedKeys(value: object): string[] {
  return Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** text/template, "Actions": what is empty is false. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As fmt's %v. `whole`: an action's own value, of which none is told. */
export function show(value: unknown, whole: boolean): string {
  if (value === null || value === undefined) return whole ? '<no value>' : '<nil>';
  if (Array.isArray(value)) return `[${value.map((one) => show(one, false)).join(' ')}]`;
  if (typeof value === 'object') return `map[${orderedKeys(value).map((key) => `${key}:${show((value as Record<string, unknown>)[key], false)}`).join(' ')}]`;
  return `${value}`;
}

const FUNCTIONS: Readonly<Record<string, { readonly least: number; readonly most: number; readonly run: (args: readonly unknown[]) => unknown }>> = {
  and: { least: 1, most: 255, run: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1) },
  or: { least: 1, most: 255, run: (args) => args.find(isTrue) ?? args.at(-1) },
  not: { least: 1, most: 1, run: ([arg]) => !isTrue(arg) },
  len: { least: 1, most: 1, run: ([arg]) => lengthOf(arg) },
  index: { least: 1, most: 255, run: ([first, ...keys]) => keys.reduce(indexOf, first) },
  slice: { least: 1, most: 3, run: ([of, from, to]) => sliceOf(of, from, to) },
  print: { least: 0, most: 255, run: printed },
  println: { least: 0, most: 255, run: (args) => `${args.map((arg) => show(arg, false)).join(' ')}\n` },
  printf: { least: 1, most: 255, run: ([format, ...args]) => formatted(textOf(format, 'printf'), args) },
  eq: { least: 2, most: 255, run: ([first, ...others]) => others.some((other) => same(first, other)) },
  ne: { least: 2, most: 2, run: ([a, b]) => !same(a, b) },
  lt: { least: 2, most: 2, run: ([a, b]) => order(a, b) < 0 },
  le: { least: 2, most: 2, run: ([a, b]) => order(a, b) <= 0 },
  gt: { least: 2, most: 2, run: ([a, b]) => order(a, b) > 0 },
  ge: { least: 2, most: 2, run: ([a, b]) => order(a, b) >= 0 },
  json: { least: 1, most: 1, run: ([arg]) => JSON.stringify(arg ?? null) },
  split: { least: 2, most: 2, run: ([text, by]) => textOf(text, 'split').split(textOf(by, 'split')) },
  join: { least: 2, most: 2, run: ([list, by]) => joined(list, textOf(by, 'join')) },
  title: { least: 1, most: 1, run: ([text]) => textOf(text, 'title').replace(/(?<![\p{L}\p{N}_'’])\p{L}/gu, (letter) => letter.toUpperCase()) },
  lower: { least: 1, most: 1, run: ([text]) => textOf(text, 'lower').toLowerCase() },
  upper: { least: 1, most: 1, run: ([text]) => textOf(text, 'upper').toUpperCase() },
  pad: { least: 3, most: 3, run: ([text, before, after]) => padded(textOf(text, 'pad'), numberOf(before, 'pad'), numberOf(after, 'pad')) },
  truncate: { least: 2, most: 2, run: ([text, length]) => textOf(text, 'truncate').slice(0, Math.max(0, numberOf(length, 'truncate'))) },
};

/** Spaces that a template may ask for at once. */
const MOST_SPACES = 1000;

/** Throws USAGE. */
export function call(name: string, args: readonly unknown[]): unknown {
  const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (known === undefined) throw templateError(`there is no function ${name} (${Object.keys(FUNCTIONS).join(' ')})`);
  if (args.length < known.least || args.length > known.most) throw templateError(`${name} takes ${known.least === known.most ? known.least : `${known.least} or more`} arguments, and not ${args.length}`);
  return known.run(args);
}

function textOf(value: unknown, whose: string): string {
  if (typeof value !== 'string') throw templateError(`${whose} wants a string, and not ${show(value, false)}`);
  return value;
}

function numberOf(value: unknown, whose: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw templateError(`${whose} wants a whole number, and not ${show(value, false)}`);
  return value;
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw templateError(`len of ${show(value, false)}`);
}

function indexOf(of: unknown, key: unknown): unknown {
  if (Array.isArray(of)) {
    const at = numberOf(key, 'index');
    if (at < 0 || at >= of.length) throw templateError(`index ${at} is not in a list of ${of.length}`);
    return of[at];
  }
  if (typeof of !== 'object' || of === null) throw templateError(`index of ${show(of, false)}`);
  const name = textOf(key, 'index');
  if (Object.hasOwn(of, name)) return (of as Record<string, unknown>)[name];
  // A map of strings has the empty one where it has nothing.
  return Object.values(of).every((value) => typeof value === 'string') ? '' : undefined;
}

function sliceOf(of: unknown, from: unknown, to: unknown): unknown {
  if (typeof of !== 'string' && !Array.isArray(of)) throw templateError(`slice of ${show(of, false)}`);
  const [start, end] = [from === undefined ? 0 : numberOf(from, 'slice'), to === undefined ? of.length : numberOf(to, 'slice')];
  if (start < 0 || start > end || end > of.length) throw templateError(`slice ${start} to ${end} is not in ${of.length}`);
  return of.slice(start, end);
}

/** fmt.Sprint: a space between two neighbours of which none is a string. */
function printed(args: readonly unknown[]): string {
  return args.map((arg, i) => `${i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string' ? ' ' : ''}${show(arg, false)}`).join('');
}

function formatted(format: string, args: readonly unknown[]): string {
  let at = 0;
  return format.replace(/%(-?)(\d{0,3})([a-zA-Z%])/g, (all, left: string, width: string, verb: string) => {
    if (verb === '%') return '%';
    const arg = args[at++];
    const text = verb === 'q' ? JSON.stringify(textOf(arg, 'printf %q')) : verb === 'd' ? `${numberOf(arg, 'printf %d')}` : verb === 's' || verb === 'v' || verb === 't' ? show(arg, false) : undefined;
    if (text === undefined) throw templateError(`printf knows %s %v %d %q %t, and not ${all}`);
    return left === '' ? text.padStart(Number(width)) : text.padEnd(Number(width));
  });
}

function joined(list: unknown, by: string): string {
  if (!Array.isArray(list)) throw templateError(`join wants a list, and not ${show(list, false)}`);
  return list.map((one) => textOf(one, 'join')).join(by);
}

function padded(text: string, before: number, after: number): string {
  if (text === '') return text;
  if (before < 0 || after < 0 || before + after > MOST_SPACES) throw templateError(`pad with ${before} and ${after} spaces`);
  return `${' '.repeat(before)}${text}${' '.repeat(after)}`;
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) throw templateError('lists and maps are not compared');
  if (typeof a !== typeof b && a !== null && b !== null) throw templateError(`${show(a, false)} and ${show(b, false)} are of different kinds`);
  return a === b;
}

function order(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  throw templateError(`${show(a, false)} and ${show(b, false)} have no order`);
}

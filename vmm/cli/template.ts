import { VmmError } from '../api/errors.ts';
import { call, templateError } from './go-functions.ts';
import { parseTemplate } from './go-parse.ts';
import { type Meaning, runTemplate } from './go-template.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * Docker's --format of a list: `json`, a template of Go's, or `table` and a template whose columns tabs divide; `\t` and `\n` are what they are in
 * Go. `titles` are of columns that are not called as their fields. Throws USAGE.
 */
export function formatRows(format: string, rows: readonly Row[], titles: Readonly<Record<string, string>> = {}): string {
  const table = /^table(\s+|$)/.exec(format);
  const text = (table === null ? format : format.slice(table[0].length)).replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  if (table === null) return formatEach(text, rows);
  const template = parseTemplate(text);
  return columns([runTemplate(template, {}, headingOf(titles)), ...rows.map((row) => runTemplate(template, row, OF_ROWS))]);
}

/** Docker's --format of what is inspected: `json`, or a template as it stands. Throws USAGE. */
export function formatEach(format: string, rows: readonly Row[]): string {
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const template = parseTemplate(format);
  return rows.map((row) => `${runTemplate(template, row, OF_ROWS)}\n`).join('');
}

const OF_ROWS: Meaning = { field: fieldOf, method: labelOf, call };

function fieldOf(row: unknown, name: string): unknown {
  if (typeof row !== 'object' || row === null) throw templateError(`there is no field .${name} in a value`);
  if (!Object.hasOwn(row, name)) throw new VmmError('USAGE', `--format: there is no field .${name}`, { hint: Object.keys(row).map((key) => `.${key}`).join(' ') });
  return (row as Row)[name];
}

/** `.Label "x"` of a list's rows. */
function labelOf(row: unknown, name: string, args: readonly unknown[]): { readonly value: unknown } | undefined {
  return name === 'Label' ? { value: call('index', [fieldOf(row, 'Labels'), ...args]) } : undefined;
}

/** A heading is the template with fields' titles in their places; functions leave them as they are. */
function headingOf(titles: Readonly<Record<string, string>>): Meaning {
  const title = (name: string): string => titles[name] ?? name.toUpperCase();
  return {
    field: (_, name) => title(name),
    method: (_, name) => ({ value: title(name) }),
    // A format is no title.
    call: (name, args) => (/^print/.test(name) ? call(name, args) : (args.find((arg) => typeof arg === 'string') ?? '')),
  };
}

/** Lines whose columns tabs divide, at least ten wide and three spaces apart, as Go's tabwriter sets them for Docker. */
function columns(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split('\t'));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(Math.max(10, (widths[i] ?? 0) + 3)))).join('')}\n`).join('');
}

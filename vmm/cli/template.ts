import { VmmError } from '../api/errors.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * Docker's --format over rows: `json`, a template of fields ({{.Name}}, {{json .Labels}}, {{json .}}, {{index .Labels "key"}}), or `table` and a
 * template whose columns tabs divide. `titles` are of columns that are not called as their fields. Throws USAGE.
 */
export function formatRows(format: string, rows: readonly Row[], titles: Readonly<Record<string, string>> = {}): string {
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const table = /^table(\s+|$)/.exec(format);
  const text = (table === null ? format : format.slice(table[0].length)).replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  const pieces = text.split(/(\{\{.*?\}\})/);
  const render = (field: (expression: string) => string): string => pieces.map((piece) => (piece.startsWith('{{') ? field(piece.slice(2, -2).trim()) : piece)).join('');
  const lines = rows.map((row) => render((expression) => evaluate(expression, row)));
  if (table === null) return lines.map((line) => `${line}\n`).join('');
  const heading = render((expression) => {
    const name = /\.(\w+)/.exec(expression)?.[1] ?? '';
    return titles[name] ?? name.toUpperCase();
  });
  return columns([heading, ...lines]);
}

function evaluate(expression: string, row: Row): string {
  const json = /^json (\.|(?:\.\w+)+)$/.exec(expression);
  if (json !== null) return JSON.stringify(json[1] === '.' ? row : pathOf(row, json[1] as string));
  const index = /^index \.(\w+) "([^"]*)"$/.exec(expression);
  if (index !== null) {
    const map = fieldOf(row, index[1] as string);
    return typeof map === 'object' && map !== null && Object.hasOwn(map, index[2] as string) ? `${(map as Row)[index[2] as string]}` : '';
  }
  const label = /^\.Label "([^"]*)"$/.exec(expression);
  if (label !== null) return evaluate(`index .Labels "${label[1]}"`, row);
  const field = /^((?:\.\w+)+)$/.exec(expression);
  if (field === null) throw new VmmError('USAGE', `--format: {{${expression}}} is not understood`, { hint: 'fields {{.Name}}, {{.State.Status}}, {{json .}} and {{index .Labels "key"}} are' });
  const value = pathOf(row, field[1] as string);
  return typeof value === 'object' ? JSON.stringify(value) : `${value}`;
}

/** `.State.Status`. */
function pathOf(row: Row, path: string): unknown {
  return path.slice(1).split('.').reduce<unknown>(fieldOf, row);
}

function fieldOf(row: unknown, name: string): unknown {
  if (typeof row !== 'object' || row === null) throw new VmmError('USAGE', `--format: there is no field .${name} in a value`, { hint: 'see {{json .}}' });
  if (!Object.hasOwn(row, name)) throw new VmmError('USAGE', `--format: there is no field .${name}`, { hint: Object.keys(row).map((key) => `.${key}`).join(' ') });
  return (row as Row)[name];
}

/** Lines whose columns tabs divide, three spaces apart, as Go's tabwriter sets them for Docker. */
function columns(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split('\t'));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 3))).join('')}\n`).join('');
}

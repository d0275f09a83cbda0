import { type Command, longName, type Option } from './options.ts';

const WIDEST_LEFT = 34;

/** The help text of one command, its options below their headings. */
export function helpText(command: Command): string {
  const rows = Object.entries(command.options).map(([key, option]) => [option.group ?? 'Options', `  ${nameOf(key, option)}`, option.help] as const);
  const width = Math.min(WIDEST_LEFT, Math.max(...rows.map(([, left]) => left.length)) + 2);
  const parts = [`Usage: vmm ${command.name} ${command.synopsis}`.trimEnd(), command.about];
  for (const heading of new Set(rows.map(([name]) => name))) {
    const lines = rows.filter(([name]) => name === heading).map(([, left, right]) => (left.length < width ? left.padEnd(width) + right : `${left}\n${' '.repeat(width)}${right}`));
    parts.push(`${heading}:\n${lines.join('\n')}`);
  }
  if (command.examples !== undefined) parts.push(`Examples:\n${command.examples.map(([line, what]) => `  ${line}\n      ${what}`).join('\n')}`);
  parts.push(...(command.notes ?? []));
  return `${parts.join('\n\n')}\n`;
}

/** `-m, --memory SIZE`. */
export function nameOf(key: string, option: Option<unknown>): string {
  const short = option.short === undefined ? '    ' : `-${option.short}, `;
  const value = option.kind === 'flag' ? '' : option.kind === 'optional' ? `[=${option.value ?? 'VALUE'}]` : ` ${option.value ?? 'VALUE'}`;
  return `${short}--${longName(key)}${value}`;
}

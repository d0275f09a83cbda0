import { VmmError } from '../../base/errors.ts';

/** One option of a command. */
export interface OptionSpec {
  /** Long name without dashes; its key in the result. */
  readonly name: string;
  /** One letter, without dash. */
  readonly short?: string;
  /** Other long names for it. */
  readonly alias?: readonly string[];
  /** `flag`: no value (`--x`, `--x=false`); `value`: one, the last wins; `list`: may be given again; `optional`: `--x` or `--x=V`. */
  readonly kind: 'flag' | 'value' | 'list' | 'optional';
  /** What stands for the value in the help text. */
  readonly value?: string;
  readonly help: string;
}

export interface ParsedArgs {
  readonly flags: ReadonlyMap<string, boolean>;
  readonly values: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

export interface ParseOptions {
  /** True: options end at the first positional, the rest is the container's command. */
  readonly stopAtPositional: boolean;
  readonly command: string;
}

/** Parses GNU-style options: `--name value`, `--name=value`, `-n value`, `-nvalue`, bundled short flags, `--` ends them. */
export function parseArgs(argv: readonly string[], specs: readonly OptionSpec[], options: ParseOptions): ParsedArgs {
  const byLong = new Map<string, OptionSpec>();
  const byShort = new Map<string, OptionSpec>();
  for (const spec of specs) {
    byLong.set(spec.name, spec);
    for (const alias of spec.alias ?? []) byLong.set(alias, spec);
    if (spec.short !== undefined) byShort.set(spec.short, spec);
  }
  const flags = new Map<string, boolean>();
  const values = new Map<string, string>();
  const lists = new Map<string, string[]>();
  const positionals: string[] = [];
  const usage = (message: string): VmmError => new VmmError('USAGE', message, { hint: `see \`vmm ${options.command} --help\`` });
  const put = (spec: OptionSpec, value: string): void => {
    if (spec.kind === 'list') lists.set(spec.name, [...(lists.get(spec.name) ?? []), value]);
    else values.set(spec.name, value);
  };

  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === '--') {
      positionals.push(...argv.slice(i + 1));
      break;
    }
    if (arg.startsWith('--')) {
      const eq = arg.indexOf('=');
      const name = eq < 0 ? arg.slice(2) : arg.slice(2, eq);
      const inline = eq < 0 ? undefined : arg.slice(eq + 1);
      const spec = byLong.get(name);
      if (spec === undefined) throw usage(`unknown option --${name}${nearest(name, byLong.keys())}`);
      if (spec.kind === 'flag') {
        if (inline !== undefined && inline !== 'true' && inline !== 'false') throw usage(`option --${name} takes true or false, not ${inline}`);
        flags.set(spec.name, inline !== 'false');
      } else if (inline !== undefined) {
        if (inline === '' && spec.kind === 'optional') throw usage(`option --${name}= needs a value, or no =`);
        put(spec, inline);
      } else if (spec.kind === 'optional') {
        put(spec, '');
      } else {
        i += 1;
        if (i >= argv.length) throw usage(`option --${name} needs a value`);
        put(spec, argv[i] as string);
      }
    } else if (arg.startsWith('-') && arg !== '-') {
      for (let j = 1; j < arg.length; j++) {
        const letter = arg[j] as string;
        const spec = byShort.get(letter);
        if (spec === undefined) throw usage(`unknown option -${letter}`);
        if (spec.kind === 'flag') {
          flags.set(spec.name, true);
          continue;
        }
        let value = arg.slice(j + 1);
        if (value.startsWith('=')) value = value.slice(1);
        if (value === '') {
          i += 1;
          if (i >= argv.length) throw usage(`option -${letter} needs a value`);
          value = argv[i] as string;
        }
        put(spec, value);
        break;
      }
    } else {
      positionals.push(arg);
      if (options.stopAtPositional) {
        positionals.push(...argv.slice(i + 1));
        break;
      }
    }
  }
  return { flags, values, lists, positionals };
}

/** A suggestion for a mistyped option, when one is two edits away or less. */
function nearest(name: string, known: Iterable<string>): string {
  let best = '';
  let bestDistance = 3;
  for (const candidate of known) {
    const d = distance(name, candidate);
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best === '' ? '' : `, did you mean --${best}?`;
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The help text of one command. */
export function helpText(usageLine: string, about: string, specs: readonly OptionSpec[]): string {
  const rows = specs.map((spec) => {
    const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
    const value = spec.kind === 'flag' ? '' : spec.kind === 'optional' ? `[=${spec.value ?? 'VALUE'}]` : ` ${spec.value ?? 'VALUE'}`;
    return [`  ${short}--${spec.name}${value}`, spec.help] as const;
  });
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)) + 2);
  const lines = rows.map(([left, right]) => (left.length < width ? left.padEnd(width) + right : `${left}\n${' '.repeat(width)}${right}`));
  return `Usage: ${usageLine}\n\n${about}\n\nOptions:\n${lines.join('\n')}\n`;
}

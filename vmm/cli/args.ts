import { VmmError } from '../api/errors.ts';
import { type Command, longName, type Option, type OptionTable, type OptionValues } from './options.ts';

/** A command line as its command understands it. */
export interface Parsed<T extends OptionTable> {
  readonly options: OptionValues<T>;
  /** What is no option, in order. */
  readonly operands: readonly string[];
}

/** Parses GNU-style options: `--name value`, `--name=value`, `-n value`, `-nvalue`, bundled short flags, `--` ends them. Throws USAGE. */
export function parseArgs<T extends OptionTable>(argv: readonly string[], command: Command<T>): Parsed<T> {
  const reader = new Reader(command);
  const operands: string[] = [];
  reader.todo = [...argv];
  for (let arg = reader.todo.shift(); arg !== undefined; arg = reader.todo.shift()) {
    if (arg === '--') operands.push(...reader.todo.splice(0));
    else if (arg.startsWith('--')) reader.long(arg);
    else if (arg.startsWith('-') && arg !== '-') reader.short(arg);
    else {
      operands.push(arg);
      if (command.stopAtArgument) operands.push(...reader.todo.splice(0));
    }
  }
  return { options: reader.values as OptionValues<T>, operands };
}

type Named = readonly [key: string, option: Option<unknown>];

/** Options on their way from words to values. */
class Reader {
  /** Words that are still to be read; an option takes its value from here. */
  todo: string[] = [];
  readonly values: Record<string, unknown>;
  readonly #command: Command;
  readonly #byLong = new Map<string, Named>();
  readonly #byShort = new Map<string, Named>();

  constructor(command: Command) {
    this.#command = command;
    this.values = {};
    for (const named of Object.entries(command.options)) {
      const [key, option] = named;
      this.values[key] = option.initial;
      for (const name of [longName(key), ...(option.alias ?? [])]) this.#byLong.set(name, named);
      if (option.short !== undefined) this.#byShort.set(option.short, named);
    }
  }

  /** `--name`, `--name=value`. */
  long(arg: string): void {
    const eq = arg.indexOf('=');
    const name = eq < 0 ? arg.slice(2) : arg.slice(2, eq);
    const inline = eq < 0 ? undefined : arg.slice(eq + 1);
    const named = this.#byLong.get(name);
    if (named === undefined) throw this.#unknown(name);
    const [key, { kind }] = named;
    if (kind === 'flag') {
      if (inline !== undefined && inline !== 'true' && inline !== 'false') throw this.#usage(`option --${name} takes true or false, not ${inline}`);
      this.values[key] = inline !== 'false';
      return;
    }
    if (inline === '' && kind === 'optional') throw this.#usage(`option --${name}= needs a value, or no =`);
    this.#put(named, inline ?? (kind === 'optional' ? '' : this.#next(`--${name}`)));
  }

  /** `-abc`: flags, the last of which may be an option with its value behind it. */
  short(arg: string): void {
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i] as string;
      const named = this.#byShort.get(letter);
      if (named === undefined) throw this.#foreign(letter) ?? this.#usage(`unknown option -${letter}`);
      if (named[1].kind === 'flag') {
        this.values[named[0]] = true;
        continue;
      }
      const rest = arg.slice(i + 1).replace(/^=/, '');
      this.#put(named, rest === '' ? this.#next(`-${letter}`) : rest);
      return;
    }
  }

  #next(option: string): string {
    const value = this.todo.shift();
    if (value === undefined) throw this.#usage(`option ${option} needs a value`);
    return value;
  }

  #put([key, option]: Named, text: string): void {
    const value = option.read(text, `--${longName(key)}`);
    this.values[key] = option.kind === 'list' ? [...(this.values[key] as readonly unknown[]), value] : value;
  }

  #unknown(name: string): VmmError {
    const near = nearest(name, this.#byLong.keys());
    return this.#foreign(name) ?? this.#usage(`unknown option --${name}${near === undefined ? '' : `, did you mean --${near}?`}`);
  }

  /** For an option that the user knows from elsewhere. */
  #foreign(name: string): VmmError | undefined {
    const known = this.#command.foreign?.(name);
    return known === undefined ? undefined : new VmmError('USAGE', known.message, { hint: known.hint });
  }

  #usage(message: string): VmmError {
    return new VmmError('USAGE', message, { hint: `see \`vmm ${this.#command.name.split(' ')[0]} --help\`` });
  }
}

/** The known name that is two edits away or less from a mistyped one. */
function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    const d = distance(name, candidate);
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
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

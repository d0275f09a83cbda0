/** Command lines as Go's package flag reads them: rkt's stage0 writes for that. */

/** How stage0 writes a pod's. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A flag's kind: of a boolean the value may be missing. */
export type FlagKinds = Readonly<Record<string, 'boolean' | 'string'>>;

export interface Flags {
  readonly values: ReadonlyMap<string, string>;
  /** Names that are not among the known ones, in order. */
  readonly unknown: readonly string[];
  readonly rest: readonly string[];
}

/**
 * `-x`, `--x`, `--x=v`, `--x v` (not for booleans), up to the first argument that is no flag, or `--`. An unknown flag is skipped, with a value of its own
 * only where that stands behind `=`: later versions of rkt may send what this one does not know.
 */
export function parseFlags(args: readonly string[], kinds: FlagKinds): Flags {
  const values = new Map<string, string>();
  const unknown: string[] = [];
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] as string;
    if (arg === '--') {
      at += 1;
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(arg);
    if (match === null) break;
    const [, name = '', value] = match;
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) unknown.push(name);
    else if (value !== undefined) values.set(name, value);
    else if (kind === 'boolean') values.set(name, 'true');
    else {
      at += 1;
      values.set(name, args[at] ?? '');
    }
  }
  return { values, unknown, rest: args.slice(at) };
}

/** strconv.ParseBool; what it does not know counts as not given. */
export function isTrue({ values }: Flags, name: string): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(values.get(name) ?? '');
}

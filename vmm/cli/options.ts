import { VmmError } from '../api/errors.ts';

/** Makes a value of what the user wrote; `option` is how errors name it (`--memory`). Throws USAGE. */
export type Read<T> = (text: string, option: string) => T;

/** One option of a command and the type of its value. Its key in the table, `capAdd`, is its long name, `--cap-add`. */
export interface Option<T> {
  /** `flag`: no value (`--x`, `--x=false`); `value`: one, the last wins; `list`: may be given again; `optional`: `--x` or `--x=V`. */
  readonly kind: 'flag' | 'value' | 'list' | 'optional';
  readonly help: string;
  /** What it is when nobody gives it. */
  readonly initial: T;
  /** Of one text: the value, or an element of a list. */
  readonly read: Read<unknown>;
  /** One letter, without dash. */
  readonly short?: string | undefined;
  /** Other long names, without dashes. */
  readonly alias?: readonly string[] | undefined;
  /** What stands for the value in the help text. */
  readonly value?: string | undefined;
  /** The heading below which --help lists it. */
  readonly group?: string | undefined;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** What a table's options are after parsing. */
export type OptionValues<T extends OptionTable> = { readonly [K in keyof T]: T[K] extends Option<infer V> ? V : never };

/** A command: what parsing, --help and whatever else tells of options is made from. */
export interface Command<T extends OptionTable = OptionTable> {
  /** As behind `vmm`: `run`, `image ls`. */
  readonly name: string;
  /** What follows the name: `[OPTIONS] IMAGE`. */
  readonly synopsis: string;
  readonly about: string;
  readonly options: T;
  /** Options end at the first argument; the rest is the container's. */
  readonly stopAtArgument?: boolean;
  /** What to say about an option of another program that users may expect: its name without dashes. */
  readonly foreign?: (name: string) => { readonly message: string; readonly hint: string } | undefined;
  /** Commands with a few words on each. */
  readonly examples?: readonly (readonly [command: string, what: string])[];
  /** Paragraphs behind the options. */
  readonly notes?: readonly string[];
}

interface Names {
  readonly short?: string;
  readonly alias?: readonly string[];
}

const text: Read<string> = (given) => given;

export function flag(help: string, names: Names = {}): Option<boolean> {
  return { kind: 'flag', help, initial: false, read: text, ...names };
}

/** Without a reader an option's value is its text. */
export function value(placeholder: string, help: string, read?: undefined, names?: Names): Option<string | undefined>;
export function value<T>(placeholder: string, help: string, read: Read<T>, names?: Names): Option<T | undefined>;
export function value(placeholder: string, help: string, read: Read<unknown> = text, names: Names = {}): Option<unknown> {
  return { kind: 'value', help, initial: undefined, read, value: placeholder, ...names };
}

/** `--x`, read as the empty text, or `--x=V`. */
export function optional<T>(placeholder: string, help: string, read: Read<T>, names: Names = {}): Option<T | undefined> {
  return { kind: 'optional', help, initial: undefined, read, value: placeholder, ...names };
}

export function list(placeholder: string, help: string, read?: undefined, names?: Names): Option<readonly string[]>;
export function list<T>(placeholder: string, help: string, read: Read<T>, names?: Names): Option<readonly T[]>;
export function list(placeholder: string, help: string, read: Read<unknown> = text, names: Names = {}): Option<readonly unknown[]> {
  return { kind: 'list', help, initial: [], read, value: placeholder, ...names };
}

/** The same options below a heading of --help. */
export function group<T extends OptionTable>(heading: string, table: T): T {
  return Object.fromEntries(Object.entries(table).map(([key, option]) => [key, { ...option, group: heading }])) as unknown as T;
}

/** One of a fixed list of words. */
export function oneOf<const T extends string>(...words: readonly T[]): Read<T> {
  return (given, option) => {
    const word = words.find((candidate) => candidate === given);
    if (word === undefined) throw new VmmError('USAGE', `${option}: ${given} is not one of ${words.join(', ')}`, { hint: `for example ${option} ${words[0]}` });
    return word;
  };
}

/** `capAdd` → `cap-add`. */
export function longName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

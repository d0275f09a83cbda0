import { type Context, shown } from './context.ts';

/** Largest manifest that is read, bytes; real ones have some KiB. */
export const MANIFEST_MAX = 1 << 20;
/** Deepest nesting; isolators may hold any JSON. */
const MAX_DEPTH = 100;

/**
 * An object of a manifest as Go's decoder sees it: keys in any case, the last of equal ones counts, null is nothing, and what
 * nobody asks for is left alone.
 */
export class Fields {
  readonly context: Context;
  readonly path: string;
  readonly #byKey = new Map<string, { key: string; value: unknown }>();

  constructor(value: unknown, path: string, context: Context) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw context.bad(path, 'is not an object');
    this.context = context;
    this.path = path;
    for (const [key, field] of Object.entries(value)) this.#byKey.set(key.toLowerCase(), { key, value: field });
  }

  /** The path of a field, for messages. */
  at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }

  /** The value as it stands there; undefined when it is absent or null. `alias`: another spelling that the specification itself uses. */
  raw(key: string, alias?: string): unknown {
    const found = this.#byKey.get(key.toLowerCase());
    if (found !== undefined && found.key !== key && found.key !== alias) this.context.warn(this.at(key), `is spelled ${shown(found.key)}`);
    return found?.value ?? undefined;
  }

  /** A string; '' when it is absent, as in Go. */
  string(key: string): string {
    const value = this.raw(key);
    if (value === undefined) return '';
    if (typeof value !== 'string') throw this.bad(key, 'is not a string');
    if (value.includes('\0')) throw this.bad(key, 'has a NUL byte in it');
    return value;
  }

  optionalString(key: string): string | undefined {
    return this.raw(key) === undefined ? undefined : this.string(key);
  }

  boolean(key: string): boolean {
    const value = this.raw(key) ?? false;
    if (typeof value !== 'boolean') throw this.bad(key, 'is not true or false');
    return value;
  }

  /** A whole number; `least` 0 for Go's unsigned ones. */
  integer(key: string, least = 0): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    return this.#checkInteger(value, key, least);
  }

  integers(key: string, least: number, alias?: string): number[] {
    return this.list(key, alias).map((value) => this.#checkInteger(value, key, least));
  }

  strings(key: string): string[] {
    return this.list(key).map((value, i) => {
      if (typeof value !== 'string') throw this.bad(`${key}[${i}]`, 'is not a string');
      if (value.includes('\0')) throw this.bad(`${key}[${i}]`, 'has a NUL byte in it');
      return value;
    });
  }

  list(key: string, alias?: string): readonly unknown[] {
    const value = this.raw(key, alias);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.bad(key, 'is not a list');
    return value;
  }

  object(key: string): Fields | undefined {
    const value = this.raw(key);
    return value === undefined ? undefined : new Fields(value, this.at(key), this.context);
  }

  objects(key: string): Fields[] {
    return this.list(key).map((value, i) => new Fields(value, `${this.at(key)}[${i}]`, this.context));
  }

  /** An object of strings, its keys as they are. */
  stringMap(key: string): Readonly<Record<string, string>> | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || Array.isArray(value)) throw this.bad(key, 'is not an object');
    for (const [name, text] of Object.entries(value as object)) if (typeof text !== 'string') throw this.bad(key, `${shown(name)} is not a string`);
    return value as Record<string, string>;
  }

  bad(key: string, what: string): Error {
    return this.context.bad(this.at(key), what);
  }

  warn(key: string, what: string): void {
    this.context.warn(this.at(key), what);
  }

  #checkInteger(value: unknown, key: string, least: number): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) throw this.bad(key, `is not a whole number${least === 0 ? ' of 0 or more' : ''}`);
    return value;
  }
}

/** The top object of a manifest. Throws ACI_MANIFEST. */
export function parseDocument(bytes: Uint8Array, context: Context): Fields {
  if (bytes.length > MANIFEST_MAX) throw context.bad('', `has ${bytes.length} bytes; at most ${MANIFEST_MAX} are read`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw context.bad('', 'is not UTF-8');
  }
  checkDepth(text, context);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw context.bad('', 'is not JSON');
  }
  return new Fields(value, '', context);
}

/** What walks a value later would run out of stack. */
function checkDepth(text: string, context: Context): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{' || c === '[') {
      if (++depth > MAX_DEPTH) throw context.bad('', `is nested more than ${MAX_DEPTH} deep`);
    } else if (c === '}' || c === ']') depth--;
  }
}

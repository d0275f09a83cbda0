import { VmmError } from '../../base/errors.ts';

/** Largest JSON document of an image that is read, bytes: real ones are below 100 KiB. */
export const JSON_MAX = 4 << 20;

/** A JSON object of an untrusted document, with checked access. `where` leads every message. */
export class JsonObject {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(where, 'is not an object');
    this.#fields = value as Record<string, unknown>;
    this.#where = where;
  }

  static parse(bytes: Uint8Array, where: string): JsonObject {
    return new JsonObject(parseJson(bytes, where), where);
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  string(key: string): string {
    const value = this.optionalString(key);
    if (value === undefined) throw bad(this.#where, `has no ${key}`);
    return value;
  }

  optionalString(key: string): string | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw bad(this.#where, `${key} is not a string`);
    return value;
  }

  optionalNumber(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(this.#where, `${key} is not a size`);
    return value;
  }

  optionalBoolean(key: string): boolean | undefined {
    const value = this.#get(key);
    if (value !== undefined && typeof value !== 'boolean') throw bad(this.#where, `${key} is neither true nor false`);
    return value;
  }

  /** A whole number, which may be negative. */
  optionalInteger(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw bad(this.#where, `${key} is not a whole number`);
    return value;
  }

  strings(key: string): string[] {
    return this.#array(key).map((value) => {
      if (typeof value !== 'string') throw bad(this.#where, `${key} is not a list of strings`);
      return value;
    });
  }

  /** Keys of the object there; none where it is absent. */
  keysOf(key: string): string[] {
    const value = this.object(key);
    return value === undefined ? [] : Object.keys(value.#fields);
  }

  object(key: string): JsonObject | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : new JsonObject(value, `${this.#where}: ${key}`);
  }

  objects(key: string): JsonObject[] {
    return this.#array(key).map((value, i) => new JsonObject(value, `${this.#where}: ${key}[${i}]`));
  }

  #array(key: string): readonly unknown[] {
    const value = this.#get(key);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw bad(this.#where, `${key} is not a list`);
    return value;
  }

  /** Own fields only; null counts as absent, as Go's encoders write it. */
  #get(key: string): unknown {
    return Object.hasOwn(this.#fields, key) ? (this.#fields[key] ?? undefined) : undefined;
  }
}

export function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new VmmError('IMAGE_BAD', `${where} is not JSON`, { cause, hint: 'the image is damaged' });
  }
}

function bad(where: string, what: string): VmmError {
  return new VmmError('IMAGE_BAD', `${where} ${what}`, { hint: 'the image is damaged' });
}

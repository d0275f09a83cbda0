/** CBOR (RFC 8949) as COSE has it: no floats, no lengths that are told at the end only. */
export type Cbor = number | bigint | string | boolean | null | Buffer | readonly Cbor[] | CborMap | CborTag;
export type CborMap = ReadonlyMap<Cbor, Cbor>;

export class CborTag {
  readonly tag: number;
  readonly value: Cbor;

  constructor(tag: number, value: Cbor) {
    this.tag = tag;
    this.value = value;
  }
}

const MAX_DEPTH = 16;

/** Reads one item that is all of `bytes`. Throws RangeError. */
export function decodeCbor(bytes: Buffer): Cbor {
  const reader = new Reader(bytes);
  const value = reader.item(0);
  if (reader.at !== bytes.length) throw new RangeError('bytes behind the item');
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  item(depth: number): Cbor {
    if (depth > MAX_DEPTH) throw new RangeError('nested too deep');
    const head = this.#take(1).readUInt8();
    const major = head >> 5;
    if (major === 7) return simple(head);
    const count = this.#argument(head & 0x1f);
    switch (major) {
      case 0:
        return count;
      case 1:
        return typeof count === 'bigint' ? -1n - count : -1 - count;
      case 2:
        return this.#take(small(count));
      case 3:
        return new TextDecoder('utf-8', { fatal: true }).decode(this.#take(small(count)));
      case 4:
        return Array.from({ length: this.#items(count) }, () => this.item(depth + 1));
      case 5:
        return this.#map(this.#items(count), depth);
      default:
        return new CborTag(small(count), this.item(depth + 1));
    }
  }

  #map(count: number, depth: number): CborMap {
    const map = new Map<Cbor, Cbor>();
    for (let i = 0; i < count; i++) {
      const key = this.item(depth + 1);
      if (map.has(key)) throw new RangeError('a key twice');
      map.set(key, this.item(depth + 1));
    }
    return map;
  }

  /** Items to come: each has at least one byte. */
  #items(count: number | bigint): number {
    const items = small(count);
    if (items > this.#bytes.length - this.at) throw new RangeError('more items than bytes');
    return items;
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info === 24) return this.#take(1).readUInt8();
    if (info === 25) return this.#take(2).readUInt16BE();
    if (info === 26) return this.#take(4).readUInt32BE();
    if (info !== 27) throw new RangeError('a length that is not told');
    const value = this.#take(8).readBigUInt64BE();
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.at) throw new RangeError('cut off');
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
}

function simple(head: number): Cbor {
  if (head === 0xf4 || head === 0xf5) return head === 0xf5;
  if (head === 0xf6) return null;
  throw new RangeError('a value of an unknown kind');
}

function small(count: number | bigint): number {
  if (typeof count === 'bigint') throw new RangeError('too long');
  return count;
}

/** The array of text and byte strings that a COSE signature signs (RFC 9052, 4.4). */
export function encodeStrings(items: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat([head(4, items.length), ...items.flatMap((item) => {
    const bytes = typeof item === 'string' ? Buffer.from(item) : item;
    return [head(typeof item === 'string' ? 3 : 2, bytes.length), bytes];
  })]);
}

function head(major: number, count: number): Buffer {
  if (count < 24) return Buffer.from([(major << 5) | count]);
  if (count < 0x100) return Buffer.from([(major << 5) | 24, count]);
  if (count < 0x1_0000) return Buffer.from([(major << 5) | 25, count >> 8, count & 0xff]);
  const bytes = Buffer.from([(major << 5) | 26, 0, 0, 0, 0]);
  bytes.writeUInt32BE(count, 1);
  return bytes;
}

import { VmmError } from '../../base/errors.ts';

/*
 * bzip2 has no specification by its author; the format as Joe Tsai's "BZIP2: Format
 * Specification" (2016) describes it, section numbers in the comments.
 *
 *   stream: "BZh" level | blocks | end magic, CRC of all blocks | padding to a byte
 *   block:  magic, CRC, randomised (1), origin (24) | symbol map | Huffman tables | symbols
 *   data:   run lengths -> Burrows-Wheeler -> move to front -> zero runs -> Huffman
 */
const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const LEVEL_SIZE = 100_000;
const GROUP_SIZE = 50;
const MAX_CODE_LENGTH = 20;
const MAX_SELECTORS = 18002;
const RUNA = 0;
const RUNB = 1;
/** More than any block takes compressed: 900,001 symbols of 20 bits, and its tables. */
const MAX_COMPRESSED_BLOCK = 2_400_000;
const OUTPUT_CHUNK = 256 * 1024;

/** CRC-32 with the most significant bit first, as bzip2 uses it (2.2.1). */
const CRC_TABLE = makeCrcTable();

function makeCrcTable(): Int32Array {
  const table = new Int32Array(256);
  for (let i = 0; i < 256; i++) {
    let c = i << 24;
    for (let bit = 0; bit < 8; bit++) c = c < 0 ? (c << 1) ^ 0x04c11db7 : c << 1;
    table[i] = c;
  }
  return table;
}

/**
 * Decompresses bzip2 data, several streams in a row too. Memory: about 7 MB, whatever the
 * data says. Throws IMAGE_COMPRESSED. A chunk is the reader's to keep.
 */
export async function* bunzip2(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const input = new BitInput(source);
  for (let first = true; ; first = false) {
    await input.fill(4);
    if (input.available === 0 && !first) return;
    yield* stream(input);
  }
}

async function* stream(input: BitInput): AsyncGenerator<Uint8Array> {
  if (input.bits(24) !== 0x425a68) throw damaged('no stream where one should start');
  const level = input.bits(8) - 0x30;
  if (level < 1 || level > 9) throw damaged('unknown block size');
  const block = new BlockDecoder(level * LEVEL_SIZE);
  let combined = 0;
  for (;;) {
    // A block is decoded in one go, so all of it must be at hand.
    await input.fill(MAX_COMPRESSED_BLOCK);
    const magic = input.bits(24) * 2 ** 24 + input.bits(24);
    const crc = (input.bits(16) << 16) | input.bits(16);
    if (magic === END_MAGIC) {
      if (crc !== combined) throw damaged('its checksum is wrong');
      input.align();
      return;
    }
    if (magic !== BLOCK_MAGIC) throw damaged('no block where one should start');
    block.decode(input);
    yield* block.output(crc);
    combined = ((combined << 1) | (combined >>> 31)) ^ crc;
  }
}

/** Bits of the input, most significant first, refilled between blocks. */
class BitInput {
  readonly #source: AsyncIterator<Uint8Array>;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #hold = 0;
  #held = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  get available(): number {
    return this.#bytes.length - this.#at;
  }

  /** Has `length` bytes at hand, fewer only at the end. */
  async fill(length: number): Promise<void> {
    if (this.available >= length) return;
    const parts: Uint8Array[] = [this.#bytes.subarray(this.#at)];
    let have = this.available;
    while (have < length) {
      const next = await this.#source.next();
      if (next.done === true) break;
      parts.push(next.value);
      have += next.value.length;
    }
    this.#bytes = Buffer.concat(parts);
    this.#at = 0;
  }

  /** The next `count` bits, at most 24. */
  bits(count: number): number {
    while (this.#held < count) {
      if (this.#at >= this.#bytes.length) throw damaged('it ends early');
      this.#hold = ((this.#hold << 8) | (this.#bytes[this.#at++] as number)) >>> 0;
      this.#held += 8;
    }
    this.#held -= count;
    return (this.#hold >>> this.#held) & ((1 << count) - 1);
  }

  /** Drops the bits up to the next byte; whole bytes are never held. */
  align(): void {
    this.#held = 0;
  }
}

/** A canonical Huffman code: symbols by length, then by value (2.2.5). */
interface HuffmanTable {
  minLength: number;
  maxLength: number;
  /** Largest code of each length, -1 if none. */
  limit: Int32Array;
  /** What to subtract from a code of a length to get its place in `symbols`. */
  base: Int32Array;
  symbols: Uint16Array;
}

class BlockDecoder {
  readonly #size: number;
  /** Low byte: the data in BWT order; upper 24 bits: where the next byte is. */
  readonly #chain: Uint32Array;
  #length = 0;
  #origin = 0;

  constructor(size: number) {
    this.#size = size;
    this.#chain = new Uint32Array(size);
  }

  /** Reads a block behind its CRC. */
  decode(input: BitInput): void {
    if (input.bits(1) !== 0) throw damaged('a randomised block (bzip2 0.9.0 and before)');
    this.#origin = input.bits(24);
    const alphabet = readAlphabet(input);
    const groups = input.bits(3);
    const selectorCount = input.bits(15);
    if (groups < 2 || groups > 6 || selectorCount < 1) throw damaged('unusable Huffman groups');
    const selectors = readSelectors(input, groups, selectorCount);
    const tables = Array.from({ length: groups }, () => readTable(input, alphabet.length + 2));
    this.#readSymbols(input, alphabet, selectors, tables);
    if (this.#origin >= this.#length) throw damaged('an origin beyond its block');
    this.#link();
  }

  /** Huffman, zero runs and move-to-front undone (2.2.2, 2.2.3). */
  #readSymbols(input: BitInput, alphabet: Uint8Array, selectors: Uint8Array, tables: HuffmanTable[]): void {
    const front = Uint8Array.from(alphabet);
    const end = alphabet.length + 1;
    const chain = this.#chain;
    let length = 0;
    let run = 0;
    let weight = 1;
    let selector = 0;
    for (let left = 0; ; left--) {
      if (left === 0) {
        left = GROUP_SIZE;
        if (selector >= selectors.length) throw damaged('too few selectors');
        selector++;
      }
      const symbol = readSymbol(input, tables[selectors[selector - 1] as number] as HuffmanTable);
      if (symbol === RUNA || symbol === RUNB) {
        // A run's length in bijective base 2; the check keeps the weight bounded, too.
        run += weight << symbol;
        weight <<= 1;
        if (length + run > this.#size) throw damaged('a block larger than it may be');
        continue;
      }
      if (run > 0) {
        chain.fill(front[0] as number, length, length + run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === end) break;
      if (length >= this.#size) throw damaged('a block larger than it may be');
      const place = symbol - 1;
      const byte = front[place] as number;
      front.copyWithin(1, 0, place);
      front[0] = byte;
      chain[length++] = byte;
    }
    this.#length = length;
  }

  /** Builds the chain that undoes the Burrows-Wheeler transform (2.2.4). */
  #link(): void {
    const chain = this.#chain;
    const starts = new Uint32Array(257);
    for (let i = 0; i < this.#length; i++) starts[((chain[i] as number) & 0xff) + 1]!++;
    for (let i = 0; i < 256; i++) starts[i + 1]! += starts[i] as number;
    for (let i = 0; i < this.#length; i++) {
      const byte = (chain[i] as number) & 0xff;
      const place = starts[byte]!++;
      chain[place] = ((chain[place] as number) | (i << 8)) >>> 0;
    }
  }

  /** The block's bytes, run lengths undone (2.2.1), in chunks; checks the CRC at the end. */
  *output(expected: number): Generator<Uint8Array> {
    const chain = this.#chain;
    let out = new Uint8Array(OUTPUT_CHUNK);
    let used = 0;
    let crc = -1;
    let at = (chain[this.#origin] as number) >>> 8;
    let previous = -1;
    let same = 0;
    for (let i = 0; i < this.#length; i++) {
      const entry = chain[at] as number;
      const byte = entry & 0xff;
      at = entry >>> 8;
      let count = 1;
      let value = byte;
      if (same === 4) {
        // After four equal bytes comes the count of further ones.
        count = byte;
        value = previous;
        same = 0;
        previous = -1;
      } else if (byte === previous) {
        same++;
      } else {
        previous = byte;
        same = 1;
      }
      for (; count > 0; count--) {
        if (used === OUTPUT_CHUNK) {
          yield out;
          out = new Uint8Array(OUTPUT_CHUNK);
          used = 0;
        }
        out[used++] = value;
        crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ value] as number);
      }
    }
    if (~crc !== expected) throw damaged('the checksum of a block is wrong');
    if (used > 0) yield out.subarray(0, used);
  }
}

/** The byte values that occur: 16 bits for groups of 16, then 16 for each group that has any (2.2.3). */
function readAlphabet(input: BitInput): Uint8Array {
  const groups = input.bits(16);
  const alphabet: number[] = [];
  for (let group = 0; group < 16; group++) {
    if ((groups & (0x8000 >> group)) === 0) continue;
    const used = input.bits(16);
    for (let i = 0; i < 16; i++) if ((used & (0x8000 >> i)) !== 0) alphabet.push(group * 16 + i);
  }
  if (alphabet.length === 0) throw damaged('a block without symbols');
  return Uint8Array.from(alphabet);
}

/** Which table each group of 50 symbols uses: unary numbers, moved to front. */
function readSelectors(input: BitInput, groups: number, count: number): Uint8Array {
  const front = Array.from({ length: groups }, (_, i) => i);
  const selectors: number[] = [];
  for (let i = 0; i < count; i++) {
    let place = 0;
    while (input.bits(1) === 1) if (++place >= groups) throw damaged('a selector of no table');
    const [table] = front.splice(place, 1) as [number];
    front.unshift(table);
    // Some writers give more than a block can use; the rest is ignored, as bzip2 does since 1.0.8.
    if (i < MAX_SELECTORS) selectors.push(table);
  }
  return Uint8Array.from(selectors);
}

/** Code lengths, each as a difference to the one before (2.2.5). */
function readTable(input: BitInput, symbols: number): HuffmanTable {
  const lengths = new Uint8Array(symbols);
  let length = input.bits(5);
  for (let i = 0; i < symbols; i++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_LENGTH) throw damaged('a code length out of range');
      if (input.bits(1) === 0) break;
      length += input.bits(1) === 0 ? 1 : -1;
    }
    lengths[i] = length;
  }
  return makeTable(lengths);
}

function makeTable(lengths: Uint8Array): HuffmanTable {
  const limit = new Int32Array(MAX_CODE_LENGTH + 1).fill(-1);
  const base = new Int32Array(MAX_CODE_LENGTH + 1);
  const symbols = new Uint16Array(lengths.length);
  let code = 0;
  let placed = 0;
  for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
    const first = placed;
    base[length] = code - first;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      symbols[placed++] = symbol;
      code++;
    }
    if (placed > first) limit[length] = code - 1;
    code <<= 1;
  }
  return { minLength: Math.min(...lengths), maxLength: Math.max(...lengths), limit, base, symbols };
}

function readSymbol(input: BitInput, table: HuffmanTable): number {
  let code = input.bits(table.minLength);
  for (let length = table.minLength; ; ) {
    if (code <= (table.limit[length] as number)) {
      const symbol = table.symbols[code - (table.base[length] as number)];
      if (symbol === undefined) break;
      return symbol;
    }
    if (++length > table.maxLength) break;
    code = (code << 1) | input.bits(1);
  }
  throw damaged('a code of no symbol');
}

function damaged(why: string): VmmError {
  return new VmmError('IMAGE_COMPRESSED', `bzip2 data is damaged or incomplete: ${why}`);
}

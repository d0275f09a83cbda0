import { VmmError } from '../../base/errors.ts';
import type { SparseExtent } from './header.ts';

/** Longest decimal number in a map: 2^53 has 16 digits. */
const MAX_DIGITS = 16;

/**
 * The map of GNU sparse format 1.0: decimal numbers, one a line, in blocks of 512 bytes before
 * the data: the count of stretches, then offset and length of each (GNU tar manual, "PAX
 * Format, Version 1.0").
 */
export class SparseMapReader {
  readonly #max: number;
  readonly #numbers: number[] = [];
  #digits = '';
  #wanted = 1;

  constructor(maxExtents: number) {
    this.#max = maxExtents;
  }

  /** Takes one block; the stretches once the map is complete. Throws IMAGE_TAR_HEADER. */
  push(block: Buffer): SparseExtent[] | undefined {
    for (const byte of block) {
      if (byte !== 0x0a) {
        if (byte < 0x30 || byte > 0x39 || this.#digits.length === MAX_DIGITS) throw bad('holds something that is no number');
        this.#digits += String.fromCharCode(byte);
        continue;
      }
      if (this.#digits === '') throw bad('has an empty line');
      this.#numbers.push(Number(this.#digits));
      this.#digits = '';
      if (this.#numbers.length === 1) {
        const count = this.#numbers[0] as number;
        if (count > this.#max) {
          throw new VmmError('IMAGE_LIMIT', `a sparse file has ${count} stretches of data; at most ${this.#max} are accepted`);
        }
        this.#wanted = 1 + 2 * count;
      }
      if (this.#numbers.length === this.#wanted) return this.#extents();
    }
    return undefined;
  }

  #extents(): SparseExtent[] {
    const extents: SparseExtent[] = [];
    for (let i = 1; i < this.#numbers.length; i += 2) {
      extents.push({ offset: this.#numbers[i] as number, length: this.#numbers[i + 1] as number });
    }
    return extents;
  }
}

/**
 * The stretches without empty ones, once they ascend, lie inside the file and add up to the
 * stored bytes. Throws IMAGE_TAR_HEADER otherwise.
 */
export function checkSparse(extents: SparseExtent[], size: number, stored: number): SparseExtent[] {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    if (offset < end || length < 0 || offset + length > size) throw bad('has stretches that overlap or leave the file');
    end = offset + length;
    sum += length;
  }
  if (sum !== stored || size < 0 || !Number.isSafeInteger(size)) throw bad(`describes ${sum} bytes of data, but ${stored} are stored`);
  return extents.filter((extent) => extent.length > 0);
}

function bad(why: string): VmmError {
  return new VmmError('IMAGE_TAR_HEADER', `the map of a sparse file ${why}`);
}

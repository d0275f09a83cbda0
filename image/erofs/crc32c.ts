/** Reflected Castagnoli polynomial (RFC 3720 appendix B.4). */
const POLYNOMIAL = 0x82f63b78;

const TABLE = makeTable();

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    table[i] = c >>> 0;
  }
  return table;
}

/**
 * The CRC register after `bytes`, started from all ones and not inverted at the end: what
 * Linux's crc32c(~0, ...) returns, and EROFS stores.
 */
export function crc32cRaw(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return crc >>> 0;
}

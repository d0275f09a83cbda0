/** Numbers in network order, and the Internet checksum (RFC 1071). */

export function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function get32(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Adds the 16-bit words of a range to a sum; an odd last byte counts as the high half. */
export function sum16(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum;
  const even = start + ((end - start) & ~1);
  for (let at = start; at < even; at += 2) total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return even < end ? total + ((bytes[even] as number) << 8) : total;
}

/** The sum with its carries added in: 16 bits. */
function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** What goes into a header for a sum. */
export function checksum(sum: number): number {
  return ~fold(sum) & 0xffff;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Does `bytes` hold `wanted` from `at` on? */
export function holds(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

/** IP addresses as their bytes: 4 or 16. */

export function addressText(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((address[2 * i] as number) << 8) | (address[2 * i + 1] as number));
  return shortened(groups);
}

/** RFC 5952: the longest run of two zero groups or more, the first of those, becomes `::`. */
function shortened(groups: readonly number[]): string {
  let [best, length] = [0, 0];
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > length) [best, length] = [start, end - start];
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + length))}`;
}

/** The bytes of a text that `isIP` takes, without a zone. */
export function parseIp(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.').map(Number));
  const v4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = (high: string | undefined, low: string | undefined): string => ((Number(high) << 8) | Number(low)).toString(16);
  const plain = v4 === null ? text : `${v4[1]}${hex(v4[2], v4[3])}:${hex(v4[4], v4[5])}`;
  const [before = '', after] = plain.split('::');
  const words = (part: string | undefined): number[] => (part === undefined || part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [head, tail] = [words(before), words(after)];
  const groups = after === undefined ? head : [...head, ...new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** Is `address` in the network that the first `prefix` bits of `network` name? Of one family. */
export function inPrefix(address: Uint8Array, network: Uint8Array, prefix: number): boolean {
  if (address.length !== network.length) return false;
  const whole = prefix >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== network[i]) return false;
  const rest = prefix & 7;
  return rest === 0 || (((address[whole] as number) ^ (network[whole] as number)) & (0xff00 >> rest) & 0xff) === 0;
}

/** An IPv4 address within one of IPv6 (RFC 4291 2.5.5, 6052, 3056), where the whole is only another spelling of it or leads to it. */
export function embeddedV4(address: Uint8Array): Uint8Array | undefined {
  if (address.length !== 16) return undefined;
  const zero = (from: number, to: number): boolean => address.subarray(from, to).every((byte) => byte === 0);
  const last = address.subarray(12);
  // ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated (RFC 2765), ::/96 compatible.
  if (zero(0, 10) && address[10] === 0xff && address[11] === 0xff) return last;
  if (zero(0, 8) && address[8] === 0xff && address[9] === 0xff && zero(10, 12)) return last;
  if (zero(0, 12)) return last;
  if (address[0] === 0 && address[1] === 0x64 && address[2] === 0xff && address[3] === 0x9b && zero(4, 12)) return last;
  if (address[0] === 0x20 && address[1] === 2) return address.subarray(2, 6);
  return undefined;
}

/** The IPv4 address of an IPv4-mapped one (RFC 4291 2.5.5.2), as a socket for both families says it; others as they are. */
export function unmapped(address: Uint8Array): Uint8Array {
  const mapped = address.length === 16 && address.subarray(0, 10).every((byte) => byte === 0) && address[10] === 0xff && address[11] === 0xff;
  return mapped ? address.subarray(12) : address;
}

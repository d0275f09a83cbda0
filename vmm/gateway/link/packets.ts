/** Headers of the guest's link: Ethernet, IPv4 (RFC 791), IPv6 (RFC 8200). */
import { checksum, get16, get32, put16, put32, sum16 } from './wire.ts';

export const ETHER = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
export const IPV4_HEADER = 20;
export const IPV6_HEADER = 40;
export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_ICMPV6 = 58;
const PROTO_FRAGMENT = 44;
const TTL = 64;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
/** Of IPv6: headers that may stand before the one above (hop-by-hop, routing, destination). */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60]);
const EXTENSIONS_MAX = 8;

/** One packet of the guest's: where its parts lie in `bytes`. */
export interface Packet {
  bytes: Uint8Array;
  /** Of the IP header. */
  start: number;
  source: Uint8Array;
  target: Uint8Array;
  protocol: number;
  /** What the protocol's header begins at, and where the packet ends. */
  at: number;
  end: number;
  /** Its protocol's checksum need not be looked at: it is not made yet, or has been looked at. */
  checked: boolean;
  /** A part of a longer one. */
  fragment: { readonly id: number; readonly offset: number; readonly more: boolean } | undefined;
}

/** Undefined: it makes no sense. `end`: of the frame. */
export function parseIpv4(bytes: Uint8Array, start: number, end: number, checked: boolean): Packet | undefined {
  if (end - start < IPV4_HEADER || (bytes[start] as number) >> 4 !== 4) return undefined;
  const header = ((bytes[start] as number) & 15) * 4;
  const length = get16(bytes, start + 2);
  if (header < IPV4_HEADER || length < header || length > end - start || checksum(sum16(bytes, start, start + header)) !== 0) return undefined;
  const flags = get16(bytes, start + 6);
  const [offset, more] = [(flags & 0x1fff) * 8, (flags & MORE_FRAGMENTS) !== 0];
  return {
    bytes, start, checked,
    source: bytes.subarray(start + 12, start + 16),
    target: bytes.subarray(start + 16, start + 20),
    protocol: bytes[start + 9] as number,
    at: start + header,
    end: start + length,
    fragment: offset > 0 || more ? { id: get16(bytes, start + 4), offset, more } : undefined,
  };
}

export function parseIpv6(bytes: Uint8Array, start: number, end: number, checked: boolean): Packet | undefined {
  if (end - start < IPV6_HEADER || (bytes[start] as number) >> 4 !== 6) return undefined;
  const stop = start + IPV6_HEADER + get16(bytes, start + 4);
  if (stop > end) return undefined;
  const packet: Packet = {
    bytes, start, checked,
    source: bytes.subarray(start + 8, start + 24),
    target: bytes.subarray(start + 24, start + 40),
    protocol: bytes[start + 6] as number,
    at: start + IPV6_HEADER,
    end: stop,
    fragment: undefined,
  };
  return skipExtensions(packet) ? packet : undefined;
}

function skipExtensions(packet: Packet): boolean {
  const { bytes, end } = packet;
  for (let count = 0; EXTENSIONS.has(packet.protocol) || packet.protocol === PROTO_FRAGMENT; count++) {
    const { at } = packet;
    if (count === EXTENSIONS_MAX || end - at < 8) return false;
    const next = bytes[at] as number;
    if (packet.protocol === PROTO_FRAGMENT) {
      const field = get16(bytes, at + 2);
      const [offset, more] = [field & 0xfff8, (field & 1) !== 0];
      packet.protocol = next;
      packet.at += 8;
      // A fragment that is all of it is a packet (RFC 6946).
      if (offset === 0 && !more) continue;
      packet.fragment = { id: get32(bytes, at + 4), offset, more };
      return true;
    }
    packet.protocol = next;
    packet.at += 8 + (bytes[at + 1] as number) * 8;
    if (packet.at > end) return false;
  }
  return true;
}

/** Puts an IP header at `at` for `length` bytes behind it; returns where those begin. */
export function putIp(bytes: Uint8Array, at: number, protocol: number, source: Uint8Array, target: Uint8Array, length: number, fragment?: { id: number; offset: number; more: boolean }): number {
  if (source.length === 16) return putIpv6(bytes, at, protocol, source, target, length);
  bytes[at] = 0x45;
  bytes[at + 1] = 0;
  put16(bytes, at + 2, IPV4_HEADER + length);
  put16(bytes, at + 4, fragment?.id ?? 0);
  put16(bytes, at + 6, fragment === undefined ? DONT_FRAGMENT : (fragment.offset >> 3) | (fragment.more ? MORE_FRAGMENTS : 0));
  bytes[at + 8] = TTL;
  bytes[at + 9] = protocol;
  put16(bytes, at + 10, 0);
  bytes.set(source, at + 12);
  bytes.set(target, at + 16);
  put16(bytes, at + 10, checksum(sum16(bytes, at, at + IPV4_HEADER)));
  return at + IPV4_HEADER;
}

function putIpv6(bytes: Uint8Array, at: number, protocol: number, source: Uint8Array, target: Uint8Array, length: number): number {
  put32(bytes, at, 0x6000_0000);
  put16(bytes, at + 4, length);
  bytes[at + 6] = protocol;
  // Neighbour discovery is not valid with less (RFC 4861).
  bytes[at + 7] = protocol === PROTO_ICMPV6 ? 255 : TTL;
  bytes.set(source, at + 8);
  bytes.set(target, at + 24);
  return at + IPV6_HEADER;
}

/** IPv6's header for a fragment (RFC 8200 4.5), behind its IP header; returns where the payload goes. */
export function putFragmentHeader(bytes: Uint8Array, at: number, protocol: number, id: number, offset: number, more: boolean): number {
  bytes[at] = protocol;
  bytes[at + 1] = 0;
  put16(bytes, at + 2, offset | (more ? 1 : 0));
  put32(bytes, at + 4, id);
  return at + 8;
}

/** The sum of TCP's, UDP's and ICMPv6's pseudo header. */
export function pseudoSum(source: Uint8Array, target: Uint8Array, protocol: number, length: number): number {
  return sum16(target, 0, target.length, sum16(source, 0, source.length, protocol + length));
}

/** Does the protocol's own checksum hold? */
export function sumHolds({ bytes, source, target, protocol, at, end }: Packet): boolean {
  return checksum(sum16(bytes, at, end, pseudoSum(source, target, protocol, end - at))) === 0;
}

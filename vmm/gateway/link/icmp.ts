/** ICMP (RFC 792, 1812) and ICMPv6 (RFC 4443): the gateway's own echo, and what it refuses. */
import type { Link } from './link.ts';
import { IPV4_HEADER, IPV6_HEADER, type Packet, PROTO_ICMP, PROTO_ICMPV6, pseudoSum, sumHolds } from './packets.ts';
import { checksum, put16, put32, sum16 } from './wire.ts';

const ICMP_HEADER = 8;
/** RFC 1812 4.3.2.3 and RFC 4443 2.4: not more than this. */
const QUOTE_V4 = 576 - IPV4_HEADER - ICMP_HEADER;
const QUOTE_V6 = 1280 - IPV6_HEADER - ICMP_HEADER;

export type Unreachable = 'network' | 'host' | 'protocol' | 'port' | 'prohibited';
const CODES_V4: Readonly<Record<Unreachable, number>> = { network: 0, host: 1, protocol: 2, port: 3, prohibited: 13 };
const CODES_V6: Readonly<Record<Unreachable, number>> = { network: 0, host: 3, protocol: 0, port: 4, prohibited: 1 };

/** Puts the answer to an echo request into link.out; false: it is none, or a damaged one. */
export function answerEcho(link: Link, packet: Packet): boolean {
  const { bytes, at, end, source, target } = packet;
  const v4 = source.length === 4;
  const length = end - at;
  if (length < ICMP_HEADER || length > link.config.mtu || bytes[at] !== (v4 ? 8 : 128) || bytes[at + 1] !== 0) return false;
  if (v4 ? checksum(sum16(bytes, at, end)) !== 0 : !sumHolds(packet)) return false;
  const to = link.begin(packet.protocol, target, source, length);
  link.out.bytes.set(bytes.subarray(at, end), to);
  link.out.bytes[to] = v4 ? 0 : 129;
  putSum(link, to, target, source);
  return true;
}

/** Puts a refusal of `packet` into link.out. */
export function refuse(link: Link, packet: Packet, why: Unreachable): void {
  const { bytes, start, end, source, target } = packet;
  const v4 = source.length === 4;
  const quoted = Math.min(end - start, v4 ? QUOTE_V4 : QUOTE_V6);
  // RFC 4443 3.4: a next header that is not known is a parameter problem.
  const problem = !v4 && why === 'protocol';
  const from = link.isOwn(target) ? target : (link.family(source)?.gateway ?? target);
  const to = link.begin(v4 ? PROTO_ICMP : PROTO_ICMPV6, from, source, ICMP_HEADER + quoted);
  const out = link.out.bytes;
  out[to] = v4 ? 3 : problem ? 4 : 1;
  out[to + 1] = v4 ? CODES_V4[why] : problem ? 1 : CODES_V6[why];
  put32(out, to + 4, problem ? 6 : 0);
  out.set(bytes.subarray(start, start + quoted), to + ICMP_HEADER);
  putSum(link, to, from, source);
}

export function putSum(link: Link, at: number, source: Uint8Array, target: Uint8Array): void {
  const { bytes, length } = link.out;
  put16(bytes, at + 2, 0);
  const pseudo = source.length === 4 ? 0 : pseudoSum(source, target, PROTO_ICMPV6, length - at);
  put16(bytes, at + 2, checksum(sum16(bytes, at, length, pseudo)));
}

/** Neighbour discovery (RFC 4861): the gateway's address, and that it is a router. */
import { putSum } from './icmp.ts';
import { GATEWAY_MAC, type FamilyConfig, type Link } from './link.ts';
import { type Packet, PROTO_ICMPV6, sumHolds } from './packets.ts';
import { holds, put16, put32 } from './wire.ts';

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
/** The gateway's own on the link, from its Ethernet address (RFC 4291 A): an advertisement of a router comes from one. */
const LINK_LOCAL = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x55, 0x0a, 0xff, 0xfe, 0, 2, 2);
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const LIFETIME_S = 1800;
const DAY_S = 86_400;

/** Answers what asks for the gateway, in link.out; false: there is nothing to answer. */
export function answerNeighbour(link: Link, packet: Packet): boolean {
  const { bytes, at, end } = packet;
  const family = link.config.v6;
  if (family === undefined || bytes[packet.start + 7] !== 255 || end - at < 8 || bytes[at + 1] !== 0 || !sumHolds(packet)) return false;
  if (bytes[at] === NEIGHBOUR_SOLICITATION) return advertise(link, packet);
  if (bytes[at] !== ROUTER_SOLICITATION || !link.config.asks) return false;
  advertiseRouter(link, family);
  return true;
}

function advertise(link: Link, { bytes, at, end, source }: Packet): boolean {
  if (end - at < 24) return false;
  const asked = bytes.slice(at + 8, at + 24);
  if (!link.isOwn(asked) && !holds(asked, 0, LINK_LOCAL)) return false;
  // Whoever has no address yet asks whether one is free (RFC 4862 5.4.3).
  const unspecified = source.every((byte) => byte === 0);
  const target = unspecified ? ALL_NODES : source;
  const to = link.begin(PROTO_ICMPV6, asked, target, 32);
  const out = link.out.bytes;
  out[to] = NEIGHBOUR_ADVERTISEMENT;
  out[to + 1] = 0;
  put32(out, to + 4, unspecified ? 0xa000_0000 : 0xe000_0000); // router, solicited, override
  out.set(asked, to + 8);
  out[to + 24] = 2;
  out[to + 25] = 1;
  out.set(GATEWAY_MAC, to + 26);
  putSum(link, to, asked, target);
  return true;
}

function advertiseRouter(link: Link, { gateway, prefix, resolver }: FamilyConfig): void {
  const { out } = link;
  const to = link.begin(PROTO_ICMPV6, LINK_LOCAL, ALL_NODES, 16 + 8 + 8 + 32 + 24);
  const { bytes } = out;
  bytes.fill(0, to, out.length);
  bytes[to] = ROUTER_ADVERTISEMENT;
  bytes[to + 4] = 64;
  put16(bytes, to + 6, LIFETIME_S);
  let at = to + 16;
  bytes.set([1, 1, ...GATEWAY_MAC], at); // source link-layer address
  at += 8;
  bytes.set([5, 1], at); // MTU
  put32(bytes, at + 4, link.config.mtu);
  at += 8;
  bytes.set([3, 4, prefix, 0xc0], at); // prefix: on the link, and for addresses of one's own making
  put32(bytes, at + 4, DAY_S);
  put32(bytes, at + 8, DAY_S);
  bytes.set(gateway.subarray(0, prefix >> 3), at + 16);
  at += 32;
  bytes.set([25, 3], at); // RDNSS (RFC 8106)
  put32(bytes, at + 4, LIFETIME_S);
  bytes.set(resolver, at + 8);
  putSum(link, to, LINK_LOCAL, ALL_NODES);
}

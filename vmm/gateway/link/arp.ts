/** ARP for IPv4 over Ethernet (RFC 826). */
import type { Link } from './link.ts';
import { GATEWAY_MAC, putEthernet } from './link.ts';
import { ETHER, ETHERTYPE_ARP } from './packets.ts';
import { get16, get32, put16, put32 } from './wire.ts';

const LENGTH = 28;
const REQUEST = 1;
const REPLY = 2;
/** Ethernet, IPv4, their lengths. */
const TYPES = [1, 0x0800, 0x0604] as const;

/** Answers a question for one of the gateway's addresses, in link.out; false: there is nothing to answer. */
export function answerArp(link: Link, bytes: Uint8Array, end: number): boolean {
  const at = ETHER;
  if (end < at + LENGTH || TYPES.some((type, i) => get16(bytes, at + 2 * i) !== type) || get16(bytes, at + 6) !== REQUEST) return false;
  const asked = bytes.subarray(at + 24, at + 28);
  if (!link.isOwn(asked)) return false;
  const { out } = link;
  const to = putEthernet(out.bytes, bytes.subarray(6, 12), ETHERTYPE_ARP);
  TYPES.forEach((type, i) => put16(out.bytes, to + 2 * i, type));
  put16(out.bytes, to + 6, REPLY);
  out.bytes.set(GATEWAY_MAC, to + 8);
  put32(out.bytes, to + 14, get32(asked, 0));
  out.bytes.set(bytes.subarray(at + 8, at + 18), to + 18);
  out.length = to + LENGTH;
  out.segment = 0;
  out.sumAt = 0;
  return true;
}

/** DHCP (RFC 2131, 2132), for a guest that asks: there is one address to give, and it is the guest's. */
import type { FamilyConfig, Link } from './link.ts';
import { type Packet, PROTO_UDP, pseudoSum } from './packets.ts';
import { checksum, get16, get32, put16, put32, sum16 } from './wire.ts';

const UDP_HEADER = 8;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const BOOTREQUEST = 1;
const BOOTREPLY = 2;
/** Where the options begin, behind the cookie. */
const OPTIONS = 240;
const COOKIE = 0x6382_5363;
const LENGTH = 300;
const LEASE_S = 86_400;
const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const ACKNOWLEDGED = 5;
const REFUSED = 6;
const INFORM = 8;
const EVERYBODY = Uint8Array.of(255, 255, 255, 255);

/** Is it a message to a server of DHCP's? */
export function isDhcp({ bytes, at, end, protocol, source }: Packet): boolean {
  return source.length === 4 && protocol === PROTO_UDP && end - at >= UDP_HEADER && get16(bytes, at + 2) === SERVER_PORT;
}

/** Puts the answer into link.out; false: it makes no sense, or has none. */
export function answerDhcp(link: Link, { bytes, at, end }: Packet): boolean {
  const family = link.config.v4;
  const from = at + UDP_HEADER;
  if (family === undefined || end - from < OPTIONS || bytes[from] !== BOOTREQUEST || bytes[from + 1] !== 1 || bytes[from + 2] !== 6 || get32(bytes, from + 236) !== COOKIE) return false;
  const asked = readOptions(bytes.subarray(from + OPTIONS, end));
  const wanted = asked.get(50) ?? bytes.subarray(from + 12, from + 16);
  const kind = asked.get(53)?.[0];
  if (kind !== DISCOVER && kind !== REQUEST && kind !== INFORM) return false;
  const good = kind !== REQUEST || wanted.every((byte, i) => byte === family.guest[i]);
  putReply(link, family, bytes.slice(from, from + OPTIONS), kind === DISCOVER ? OFFER : good ? ACKNOWLEDGED : REFUSED, kind === INFORM);
  return true;
}

function readOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length && bytes[at] !== 255;) {
    const [code = 0, length = 0] = bytes.subarray(at, at + 2);
    at += code === 0 ? 1 : 2 + length;
    if (code !== 0 && at <= bytes.length) found.set(code, bytes.subarray(at - length, at));
  }
  return found;
}

function putReply(link: Link, family: FamilyConfig, request: Uint8Array, kind: number, informs: boolean): void {
  const at = link.begin(PROTO_UDP, family.gateway, EVERYBODY, UDP_HEADER + LENGTH);
  const { bytes, length } = link.out;
  bytes.fill(0, at, length);
  put16(bytes, at, SERVER_PORT);
  put16(bytes, at + 2, CLIENT_PORT);
  put16(bytes, at + 4, UDP_HEADER + LENGTH);
  const to = at + UDP_HEADER;
  bytes.set([BOOTREPLY, 1, 6, 0], to);
  bytes.set(request.subarray(4, 8), to + 4); // xid
  bytes.set(request.subarray(10, 16), to + 10); // flags, and the address that it has
  if (kind !== REFUSED && !informs) bytes.set(family.guest, to + 16);
  bytes.set(request.subarray(28, 44), to + 28); // its Ethernet address
  put32(bytes, to + 236, COOKIE);
  let next = to + OPTIONS;
  const option = (code: number, ...value: readonly number[]): void => {
    bytes.set([code, value.length, ...value], next);
    next += 2 + value.length;
  };
  option(53, kind);
  option(54, ...family.gateway);
  if (kind !== REFUSED) {
    const mask = family.prefix === 0 ? 0 : (0xffff_ffff << (32 - family.prefix)) >>> 0;
    if (!informs) option(51, 0, LEASE_S >>> 16, (LEASE_S >>> 8) & 255, LEASE_S & 255);
    option(1, mask >>> 24, (mask >>> 16) & 255, (mask >>> 8) & 255, mask & 255);
    option(3, ...family.gateway);
    option(6, ...family.resolver);
    option(26, link.config.mtu >>> 8, link.config.mtu & 255);
  }
  bytes[next] = 255;
  put16(bytes, at + 6, checksum(sum16(bytes, at, length, pseudoSum(family.gateway, EVERYBODY, PROTO_UDP, length - at))));
}

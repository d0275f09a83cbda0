/** Where no guest gets to unless a rule names it: places that are the host's own, or a cloud's, or nobody's. */
import { embeddedV4, inPrefix, parseIp } from '../link/address.ts';
import type { Prefix } from './config.ts';

const LISTED: Readonly<Record<string, readonly string[]>> = {
  // RFC 1122, 6890: "this" network reaches the host itself.
  'this host': ['0.0.0.0/8', '::/128'],
  loopback: ['127.0.0.0/8', '::1/128'],
  'link-local': ['169.254.0.0/16', 'fe80::/10', 'fec0::/10'],
  // Of clouds that do not have it at 169.254.169.254, or not there alone; fd00:ec2::/32 has a cloud's other services for its machines, too.
  'cloud metadata': ['100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32', 'fd00:ec2::/32', 'fd20:ce::254/128'],
  multicast: ['224.0.0.0/4', 'ff00::/8'],
  reserved: ['240.0.0.0/4'],
  // Other spellings of IPv4, which a socket of IPv6 takes for the address within; Teredo, and a translator of the host's own network (RFC 8215), have one that is not to be
  // read at sight.
  'IPv4 in IPv6': ['::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '2001::/32', '64:ff9b:1::/48'],
};

const RANGES = Object.entries(LISTED).flatMap(([name, prefixes]) => prefixes.map((text) => ({ name, prefix: parsePrefix(text) })));

function parsePrefix(text: string): Prefix {
  const [address = '', bits = ''] = text.split('/');
  return { network: parseIp(address), bits: Number(bits) };
}

export interface Reserved {
  readonly name: string;
  readonly prefix: Prefix;
}

/** What an address is reserved as, all of it. `own`: is it one of the host's? */
export function reservedAs(address: Uint8Array, own: (address: Uint8Array) => boolean): Reserved[] {
  const found: Reserved[] = RANGES.filter(({ prefix }) => inPrefix(address, prefix.network, prefix.bits));
  if (own(address)) found.push({ name: 'an address of the host', prefix: { network: address, bits: address.length * 8 } });
  return found;
}

/** The address behind one that a translator or a tunnel leads to: it is judged, too (RFC 6052, 3056). */
export function behind(address: Uint8Array): Uint8Array | undefined {
  const inner = embeddedV4(address);
  return inner === undefined || RANGES.some(({ name, prefix }) => name === 'IPv4 in IPv6' && inPrefix(address, prefix.network, prefix.bits)) ? undefined : inner;
}

/** Does a rule for `prefix` name the reserved range: is all of it within? */
export function names(prefix: Prefix, { prefix: range }: Reserved): boolean {
  return prefix.bits >= range.bits && inPrefix(prefix.network, range.network, range.bits);
}

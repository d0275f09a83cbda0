import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { VmmError } from '../../base/errors.ts';

/** Addresses of no host on the open internet (RFC 6890 and its registries): this machine, local networks, reserved ones. */
const PRIVATE = new BlockList();
for (const [net, bits] of [['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.0.0.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['224.0.0.0', 4], ['240.0.0.0', 4]] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv4');
  // An IPv4 address within IPv6: mapped, and by NAT64.
  for (const prefix of ['::ffff:', '64:ff9b::']) PRIVATE.addSubnet(`${prefix}${net}`, 96 + bits, 'ipv6');
}
for (const [net, bits] of [['::', 127], ['fc00::', 7], ['fe80::', 10], ['fec0::', 10], ['ff00::', 8]] as const) PRIVATE.addSubnet(net, bits, 'ipv6');

export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && PRIVATE.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** A URL's host as an address or name, without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** True for a host that needs no name service to be known as one of this machine or network. */
export function isPrivateHost(host: string): boolean {
  return isPrivateAddress(host) || host === 'localhost' || host.endsWith('.localhost');
}

export function refusePrivate(what: string): VmmError {
  return new VmmError('REGISTRY_ANSWER', `a registry sends us to ${what}, an address of this machine or network`, { hint: 'a registry may do so only where it has such an address itself, or is marked insecure in registries.conf' });
}

/** Looks a name up, as Node does, but for addresses that are not of the open internet: a name may change between a check and its use. */
export const publicLookup: LookupFunction = (name, options, done) => {
  lookup(name, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, '');
    if (addresses.some(({ address }) => isPrivateAddress(address))) return done(refusePrivate(name) as Error, '');
    if (options.all === true) done(null, addresses);
    else done(null, addresses[0]?.address ?? '', addresses[0]?.family);
  });
};

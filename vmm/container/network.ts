/** A container's network, from what the user says of it: addresses, routes, and the files that name hosts. */
import { ipVersion } from '../agent/ip-version.ts';
import { addressBytes, type InterfaceConfig, type NetAddress } from '../agent/network.ts';
import { VmmError } from '../../base/errors.ts';
import type { GuestConfig } from '../guest/guest.ts';

/** One card of a container's guest, and what init gives it. */
export interface ContainerCard {
  readonly card: NonNullable<GuestConfig['cards']>[number] & { readonly mac: Uint8Array };
  readonly interface: Omit<InterfaceConfig, 'mac' | 'mtu'>;
}

export interface ContainerNetwork {
  readonly cards: readonly ContainerCard[];
  /** Lines of /etc/hosts: a name and its address. */
  readonly hosts: readonly (readonly [name: string, address: string])[];
  /** For /etc/resolv.conf; undefined: the image's stays. */
  readonly resolver?: Resolver | undefined;
}

export interface Resolver {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

export const NO_NETWORK: ContainerNetwork = { cards: [], hosts: [] };

/** Docker's: what a container without a network has too. */
const LOCAL_HOSTS = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n';

/** /etc/hosts as Docker writes it; without a network the host name is 127.0.1.1. */
export function hostsFile(hostname: string, { cards, hosts }: ContainerNetwork): string {
  const own = cards.flatMap((card) => card.interface.addresses.map(({ address }) => address));
  const lines = [...hosts.map(([name, address]) => `${address}\t${name}\n`), ...(own.length > 0 ? own : ['127.0.1.1']).map((address) => `${address}\t${hostname}\n`)];
  return LOCAL_HOSTS + lines.join('');
}

export function resolvFile({ servers, search, options }: Resolver): string {
  const lines = servers.map((server) => `nameserver ${server}\n`);
  if (search.length > 0) lines.push(`search ${search.join(' ')}\n`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}\n`);
  return lines.join('');
}

/** What a resolv.conf of the host's says; without `local`: no servers that are only the host's own. */
export function hostResolver(text: string, local = false): Resolver {
  const words = (key: string): string[][] => [...text.matchAll(new RegExp(`^\\s*${key}\\s+(.*?)\\s*$`, 'gm'))].map(([, rest]) => (rest ?? '').split(/\s+/));
  const servers = words('nameserver').flatMap(([server]) => (server !== undefined && ipVersion(server) !== 0 && (local || !/^(127\.|::1$)/.test(server)) ? [server] : []));
  return { servers, search: words('search').at(-1) ?? [], options: words('options').flat() };
}

/** `ADDRESS/PREFIX`. Throws USAGE. */
export function parseNetAddress(text: string, option: string): NetAddress {
  const [address = '', bits = ''] = text.split('/');
  const most = ipVersion(address) === 4 ? 32 : 128;
  if (ipVersion(address) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) {
    throw new VmmError('USAGE', `${option}: ${text} is not an address with its network`, { hint: 'for example 10.0.0.2/24 or fd00::2/64' });
  }
  return { address, prefix: Number(bits) };
}

/** Each card's default routes. A gateway must be in a network of the card's. Throws USAGE. */
export function defaultRoutes(addresses: readonly NetAddress[], gateways: readonly string[], option: string): InterfaceConfig['routes'] {
  return gateways.map((gateway) => {
    const version = ipVersion(gateway);
    const reachable = version === 6 && /^fe80:/i.test(gateway) ? addresses.some(({ address }) => ipVersion(address) === 6) : addresses.some((own) => ipVersion(own.address) === version && inNetwork(gateway, own));
    if (!reachable) throw new VmmError('USAGE', `${option}: the gateway ${gateway} is in no network of the card`, { hint: 'give an address whose network it is in' });
    return { to: version === 4 ? { address: '0.0.0.0', prefix: 0 } : { address: '::', prefix: 0 }, gateway };
  });
}

/** Is `address` in the network of `of`? Both of one family. */
export function inNetwork(address: string, of: NetAddress): boolean {
  const [a, b] = [addressBytes(address), addressBytes(of.address)];
  if (a.length !== b.length) return false;
  for (let bit = 0; bit < of.prefix; bit++) {
    const mask = 0x80 >> (bit % 8);
    if (((a[bit >> 3] as number) & mask) !== ((b[bit >> 3] as number) & mask)) return false;
  }
  return true;
}

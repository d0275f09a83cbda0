/** The network of `vmm run` as its options describe it. */
import { randomBytes } from '../../base/random.ts';
import { type ContainerCard, type ContainerNetwork, defaultRoutes, hostResolver, inNetwork, ipVersion, type NetAddress, type Resolver } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { type CableSpec, hostAddresses, passtCard, type PublishedPort, type Rule, standardFamilies, type UserFamily } from '../api/machine.ts';
import { joinedName, joinedNetwork } from './joined-network.ts';
import { type CardText, parseAddress, parseExpose } from './net-options.ts';
import { asksForPolicy, HOST_GATEWAY, hostResolvConf, type NetworkEvents, userFamilies, userNetwork } from './user-network.ts';

/** Docker's options that matter here. */
export interface NetworkOptions {
  readonly network: readonly (CardText | undefined)[];
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  readonly macAddress: Uint8Array | undefined;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOption: readonly string[];
  readonly publish: readonly (readonly PublishedPort[])[];
  readonly addHost: readonly (readonly [name: string, address: string])[];
  readonly egress: 'allow' | 'deny' | undefined;
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
  readonly egressPolicy: string | undefined;
  readonly strictSni: boolean;
  readonly networkAlias: readonly string[];
  readonly events?: NetworkEvents | undefined;
}

/** Each is a descriptor, or two. */
const PUBLISHED_MAX = 1024;

/** What a container has that is not told otherwise. A counted run has none: what comes from outside comes when it comes. */
const DEFAULT: CardText = { cable: 'user', mac: undefined, mtu: undefined, capture: undefined, rate: undefined, addresses: [], gateways: [] };

export function networksOf({ network, icount }: Pick<NetworkOptions, 'network'> & { readonly icount: unknown }): NetworkOptions['network'] {
  return network.length > 0 || icount !== undefined ? network : [DEFAULT];
}

/** What is asked of the host: each once for a container. */
interface HostNetwork {
  addresses(name: string): readonly NetAddress[];
  resolvConf(): string;
  families(): readonly UserFamily[];
}

function hostNetwork(): HostNetwork {
  return { addresses: hostAddresses, resolvConf: once(hostResolvConf), families: once(standardFamilies) };
}

function once<Value>(ask: () => Value): () => Value {
  let answer: { readonly value: Value } | undefined;
  return () => {
    answer ??= { value: ask() };
    return answer.value;
  };
}

/** Throws USAGE. */
export function containerNetwork(options: NetworkOptions, note: (text: string) => void = () => {}, host: HostNetwork = hostNetwork()): ContainerNetwork {
  if (joinedName(options.network) !== undefined) return joinedNetwork(options);
  const cards = options.network.filter((card) => card !== undefined);
  if (cards.length > 0 && cards.length < options.network.length) throw new VmmError('USAGE', 'conflicting options: cannot attach both user-defined and non-user-defined network-modes: none and another', { hint: 'leave --network none away' });
  refusePublished(options, cards);
  const first = cards[0];
  const publisher = cards.find(({ cable }) => cable === 'passt' || cable === 'user');
  const given = givenAddresses(options);
  if (first === undefined) refuseWithout(options);
  // What goes by another card is not seen.
  if (asksForPolicy(options) && (first === undefined || !cards.every(({ cable }) => cable === 'user'))) throw new VmmError('USAGE', '--egress, --allow, --deny and their kin need --network user, and no other network beside it', { hint: 'leave --network away' });
  const made = cards.flatMap((card, index) => {
    const mac = card.mac ?? (index === 0 ? options.macAddress : undefined) ?? randomMac();
    const { cable } = card;
    const ports = card === publisher ? publishedPorts(options) : [];
    if (cable === 'passt') return passt(card, mac, { ...options, ports }, note);
    const own = index === 0 ? given : [];
    return cable === 'user' ? [userNetwork(card, own, mac, { ...options, ports, note }, host)] : [containerCard({ ...card, cable: cable as CableSpec }, own, mac, host)];
  });
  const { hosts, resolver } = namesOf(options, cards, host);
  return { cards: made, hosts: [...hosts, ...aliasesOf(options, made)], resolver };
}

/** Nobody else is in the network of a container's machine: its other names are for itself. */
function aliasesOf({ networkAlias: names }: NetworkOptions, [card]: readonly ContainerCard[]): (readonly [string, string])[] {
  if (names[0] !== undefined && card === undefined) throw new VmmError('USAGE', `--network-alias ${names[0]} needs a network`, { hint: 'leave --network none away' });
  return names.flatMap((name) => (card?.interface.addresses ?? []).map(({ address }) => [name, address] as const));
}

/** /etc/hosts and /etc/resolv.conf. With a user-mode network names are asked of its gateway, which asks whom the options say. */
function namesOf(options: NetworkOptions, cards: readonly CardText[], host: HostNetwork): Pick<ContainerNetwork, 'hosts' | 'resolver'> {
  const user = cards.find(({ cable }) => cable === 'user');
  const resolver = resolverOf(options, cards.length === 0 ? undefined : host);
  const gateway = user === undefined ? undefined : userFamilies(user, user === cards[0] ? givenAddresses(options) : [], host.families());
  return {
    hosts: options.addHost.flatMap(([name, address]) => {
      if (address !== HOST_GATEWAY) return [[name, address] as const];
      if (gateway === undefined) throw new VmmError('USAGE', `--add-host ${name}:${HOST_GATEWAY} needs --network user`, { hint: 'add it, or give an address' });
      return gateway.map((family) => [name, family.gateway] as const);
    }),
    resolver: resolver === undefined || gateway === undefined ? resolver : { ...resolver, servers: gateway.map((family) => family.resolver) },
  };
}

/** The ports to publish. Where passt does it, one whose number is not said has the container's. */
export function publishedPorts({ network, publish }: Pick<NetworkOptions, 'network' | 'publish'>): PublishedPort[] {
  const byPasst = network.find((card) => card !== undefined && /^(user|passt)$/.test(`${card.cable}`))?.cable === 'passt';
  return bounded(publish.flat(), '-p').map((port) => (byPasst && port.host === 0 ? { ...port, host: port.guest } : port));
}

function bounded(ports: PublishedPort[], option: string): PublishedPort[] {
  if (ports.length > PUBLISHED_MAX) throw new VmmError('USAGE', `${option}: ${ports.length} ports, of which ${PUBLISHED_MAX} at most can be published`, { hint: 'name those that matter with -p' });
  return ports;
}

/** -p's ports, and with -P those that the image or --expose names and -p does not. Names of an image that are none, or of other protocols, are left out. */
export function publishedOf({ publish, publishAll, expose }: Pick<NetworkOptions, 'publish'> & { readonly publishAll: boolean; readonly expose: NetworkOptions['publish'] }, { exposed = [] }: { readonly exposed?: readonly string[] | undefined }): PublishedPort[] {
  const all = publish.flat();
  if (!publishAll) return all;
  const name = ({ protocol, guest }: PublishedPort): string => `${guest}/${protocol}`;
  const seen = new Set(all.map(name));
  // An image may name all ports, and often.
  for (const ports of [...exposed.map(exposedPorts), ...expose]) {
    for (const port of ports) if (!seen.has(name(port))) bounded(all, '-P').push(port);
    for (const port of ports) seen.add(name(port));
  }
  return bounded(all, '-P');
}

function exposedPorts(text: string): readonly PublishedPort[] {
  try {
    return parseExpose(text, '-P');
  } catch {
    return [];
  }
}

/** Ports are the gateway's or passt's to publish: of the first card that can. passt takes each of the host's once. */
function refusePublished(options: NetworkOptions, cards: readonly CardText[]): void {
  if (options.publish.flat().length === 0) return;
  const publisher = cards.find(({ cable }) => cable === 'passt' || cable === 'user');
  if (publisher === undefined) throw new VmmError('USAGE', '-p needs --network user or passt: of other networks ports are the caller’s', { hint: 'leave --network away, or add --network user' });
  if (publisher.cable === 'user') return;
  const seen = new Set<string>();
  for (const { protocol, host, hostLast } of publishedPorts(options)) {
    if (hostLast !== undefined) throw new VmmError('USAGE', `passt takes one port, and not one of ${host}-${hostLast}`, { hint: 'name one, or use --network user' });
    const port = `${host}/${protocol}`;
    if (seen.has(port)) throw new VmmError('NET_PORT', `port ${port} is published twice: passt takes a port of the host once, whatever the address`, { hint: 'give each its own port' });
    seen.add(port);
  }
}

function givenAddresses({ ip, ip6 }: NetworkOptions): string[] {
  return [ip, ip6].filter((address) => address !== undefined);
}

function refuseWithout({ ip, ip6, macAddress }: NetworkOptions): void {
  const option = ip !== undefined ? '--ip' : ip6 !== undefined ? '--ip6' : macAddress !== undefined ? '--mac-address' : undefined;
  if (option !== undefined) throw new VmmError('USAGE', `${option} needs a network`, { hint: 'leave --network none and --icount away' });
}

/** A card of passt's; none on a host without a way out, which is said. */
function passt(text: CardText, mac: Uint8Array, { ip, ip6, ports }: NetworkOptions & { readonly ports: readonly PublishedPort[] }, note: (text: string) => void): ContainerCard[] {
  if (ip !== undefined || ip6 !== undefined || text.addresses.length + text.gateways.length > 0) throw new VmmError('USAGE', '--network passt gives the container its addresses itself', { hint: 'leave --ip, --ip6, ip= and gw= away' });
  const { cable, mtu } = passtCard(ports, text.mtu);
  if (cable.addresses.length === 0) {
    if (ports.length > 0) throw new VmmError('NET_PASST', 'no port can be published: the host has no external interface, without which passt does not work', { hint: 'give the host a default route, or use --network tap=NAME' });
    note('the host has no external interface: the container has its loopback only');
    return [];
  }
  const routes = defaultRoutes(cable.addresses, cable.gateways, '--network');
  return [{ card: { cable, mac, mtu, capture: text.capture, rate: text.rate }, interface: { addresses: cable.addresses, routes } }];
}

function containerCard(text: CardText & { readonly cable: CableSpec }, given: readonly string[], mac: Uint8Array, host: HostNetwork): ContainerCard {
  const near = text.cable.kind === 'tap' ? host.addresses(text.cable.name) : [];
  const addresses = [...given.map((address) => withNetwork(address, near)), ...text.addresses];
  // The host's own end of a tap is the way out, unless it is told.
  const gateways = text.gateways.length > 0 ? text.gateways : addresses.flatMap((own) => {
    const gateway = near.find(({ address }) => ipVersion(address) === ipVersion(own.address) && inNetwork(address, own));
    return gateway === undefined ? [] : [gateway.address];
  });
  return {
    card: { cable: text.cable, mac, mtu: text.mtu, capture: text.capture, rate: text.rate },
    interface: { addresses, routes: defaultRoutes(addresses, [...new Set(gateways)], '--network') },
  };
}

/** Docker's --ip has no network: it is that of the tap's address on the host. */
function withNetwork(address: string, near: readonly NetAddress[]): NetAddress {
  const network = near.find((one) => ipVersion(one.address) === ipVersion(address) && inNetwork(address, one));
  const option = ipVersion(address) === 4 ? '--ip' : '--ip6';
  if (network === undefined) throw new VmmError('USAGE', `${option}: ${address} is in no network of the card’s other end`, { hint: `give it with its network: --network tap=NAME,ip=${address}/${ipVersion(address) === 4 ? 24 : 64}` });
  return { address, prefix: network.prefix };
}

function randomMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(6));
  mac[0] = ((mac[0] as number) & 0xfc) | 2;
  return mac;
}

/** What is said, else the host's where there is a network. */
function resolverOf({ dns, dnsSearch, dnsOption }: NetworkOptions, host: HostNetwork | undefined): Resolver | undefined {
  if (host === undefined && dns.length + dnsSearch.length + dnsOption.length === 0) return undefined;
  const theirs = host === undefined ? { servers: [], search: [], options: [] } : hostResolver(host.resolvConf());
  const search = dnsSearch.length > 0 ? dnsSearch.filter((name) => name !== '.') : theirs.search;
  return { servers: dns.length > 0 ? dns : theirs.servers, search, options: dnsOption.length > 0 ? dnsOption : theirs.options };
}

/** Docker's `--add-host NAME:ADDRESS` (or NAME=ADDRESS), and `NAME:host-gateway`. */
export function parseAddHost(text: string, option: string): readonly [name: string, address: string] {
  const match = /^([^:=\s]+)[:=]\[?([^\]\s]+?)\]?$/.exec(text);
  if (match === null) throw new VmmError('USAGE', `${option}: ${text} is not NAME:ADDRESS`, { hint: 'for example db:10.0.0.7' });
  const [, name = '', address = ''] = match;
  return [name, address === HOST_GATEWAY ? address : parseAddress(address, option)];
}

/** A word of resolv.conf. */
export function parseWord(text: string, option: string): string {
  if (!/^[\w.:-]{1,255}$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is not one word of resolv.conf`, { hint: 'for example example.org, or ndots:2' });
  return text;
}

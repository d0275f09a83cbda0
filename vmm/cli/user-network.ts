/** The user-mode network as options describe it: addresses, and where names are asked. */
import { readFileSync } from 'node:fs';
import { type ContainerCard, defaultRoutes, hostResolver, inNetwork, ipVersion, type NetAddress, optionText } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { type CardRate, type CardSpec, type Denied, OPEN_POLICY, parsePolicyFile, type PolicyConfig, type PublishedPort, type Rule, standardFamilies, type UserFamily, type UserSpec } from '../api/machine.ts';

/** Docker's word for an address at which the host is reached: here its loopback. */
export const HOST_GATEWAY = 'host-gateway';
const MTU = 1500;
const POLICY_MAX = 1 << 20;
const DENIALS_TOLD = 20;

/** What `--network user,…` says. */
interface UserText {
  readonly mtu: number | undefined;
  readonly capture: string | undefined;
  readonly rate: CardRate | undefined;
  readonly addresses: readonly NetAddress[];
  readonly gateways: readonly string[];
}

/** What a network tells whoever keeps its container. */
export interface NetworkEvents {
  /** A port is the container's, whose number or addresses the host has chosen; without this it is a note. */
  published(port: PublishedPort, host: number): void;
  /** A connection was refused; without this it is a note, where rules were asked for. */
  denied(denied: Denied): void;
}

/** Docker's options that matter here. */
interface UserOptions {
  readonly dns: readonly string[];
  readonly addHost: readonly (readonly [name: string, address: string])[];
  readonly ports: readonly PublishedPort[];
  readonly egress: PolicyConfig['egress'] | undefined;
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
  readonly egressPolicy: string | undefined;
  readonly strictSni: boolean;
  readonly note: (text: string) => void;
  readonly events?: NetworkEvents | undefined;
}

export function hostResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return '';
  }
}

/** Servers of names that this process can ask: those on the host's loopback, too. */
function hostServers(text: string): readonly string[] {
  return hostResolver(text, true).servers;
}

/** A card of `vmm boot`, whose guest finds out for itself. */
export function bootUserCard(mtu = MTU): Pick<CardSpec, 'cable' | 'mtu'> {
  return { cable: { kind: 'user', families: standardFamilies(), mtu, asks: true, servers: hostServers(hostResolvConf()), policy: OPEN_POLICY, hostLoopback: false, ports: [] }, mtu };
}

/** A container's. `given`: the addresses of Docker's --ip and --ip6, in the network that is there without. */
export function userNetwork(text: UserText, given: readonly string[], mac: Uint8Array, options: UserOptions, host: { resolvConf(): string; families(): readonly UserFamily[] }): ContainerCard {
  const { dns, addHost, ports, note } = options;
  const families = userFamilies(text, given, host.families());
  const mtu = text.mtu ?? MTU;
  const servers = dns.length > 0 ? dns : hostServers(host.resolvConf());
  const cable: UserSpec = { kind: 'user', families, mtu, asks: false, servers, policy: policyOf(options), hostLoopback: addHost.some(([, address]) => address === HOST_GATEWAY), ports, published: chosen(ports, note, options.events), denied: options.events?.denied ?? (asksForPolicy(options) ? denials(note) : undefined) };
  const addresses = families.map(({ address, prefix }) => ({ address, prefix }));
  return { card: { cable, mac, mtu, capture: text.capture, rate: text.rate }, interface: { addresses, routes: defaultRoutes(addresses, families.map(({ gateway }) => gateway), '--network') } };
}

/** --deny, then --allow, then the file's lines; the first that matches holds. Throws USAGE. */
function policyOf({ egress, allow, deny, egressPolicy, strictSni }: UserOptions): PolicyConfig {
  const file = egressPolicy === undefined ? undefined : parsePolicyFile(optionText(egressPolicy, '--egress-policy', POLICY_MAX, 'give fewer rules'), egressPolicy);
  return { egress: egress ?? file?.egress ?? 'allow', rules: [...deny, ...allow, ...(file?.rules ?? [])], strictSni: strictSni || file?.strictSni === true };
}

/** Does any option ask for rules, which only a user-mode network has? */
export function asksForPolicy({ egress, allow, deny, egressPolicy, strictSni }: Pick<UserOptions, 'egress' | 'allow' | 'deny' | 'egressPolicy' | 'strictSni'>): boolean {
  return egress !== undefined || allow.length + deny.length > 0 || egressPolicy !== undefined || strictSni;
}

/** Tells of the first refusals: whoever scans a network has thousands. */
function denials(note: (text: string) => void): (denied: Denied) => void {
  const told = new Set<string>();
  return ({ protocol, target, why }) => {
    const text = `${target}/${protocol} is refused: ${why}`;
    if (told.size >= DENIALS_TOLD || told.has(text)) return;
    told.add(text);
    note(told.size < DENIALS_TOLD ? text : `${text}; what else is refused is not told`);
  };
}

/** Tells of ports that were left to the host, in the words of `docker port`: any address is of both families where the host has both. */
function chosen(ports: readonly PublishedPort[], note: (text: string) => void, events: NetworkEvents | undefined): UserSpec['published'] {
  if (events !== undefined) return (port, host) => events.published(port, host);
  const left = ({ host, hostLast }: PublishedPort): boolean => host === 0 || hostLast !== undefined;
  if (!ports.some(left)) return undefined;
  return (port, host) => {
    const { guest, protocol, address } = port;
    if (!left(port)) return;
    for (const one of address === undefined ? ['0.0.0.0', '[::]'] : [address.includes(':') ? `[${address}]` : address]) note(`${guest}/${protocol} -> ${one}:${host}`);
  };
}

/** Of each family once: what `ip=` or --ip says, else the standard. Throws USAGE. */
export function userFamilies({ addresses, gateways }: Pick<UserText, 'addresses' | 'gateways'>, given: readonly string[], standard: readonly UserFamily[]): UserFamily[] {
  const own = [...given.map((address) => standardNetwork(address, standard)), ...addresses];
  const families = [4, 6].flatMap((version) => {
    const [address, second] = own.filter((one) => ipVersion(one.address) === version);
    if (second !== undefined) throw new VmmError('USAGE', `--network user: ${second.address} is one address too many of its family`, { hint: 'give one of IPv4 and one of IPv6 at most' });
    const usual = standard.find((one) => ipVersion(one.address) === version);
    if (address === undefined) return usual === undefined ? [] : [usual];
    refuseTaken(address, given.includes(address.address) ? usual : undefined);
    return [familyOf(address, gateways.find((one) => ipVersion(one) === version), usual)];
  });
  for (const gateway of gateways) if (!families.some((family) => family.gateway === gateway)) throw new VmmError('USAGE', `--network user: the gateway ${gateway} has no address of the guest’s beside it`, { hint: 'give one: ip=10.1.0.15/24,gw=10.1.0.1' });
  return families;
}

/** The network's own addresses (RFC 1122 3.2.1.3, RFC 4291 2.6.1) are nobody's, and in the standard network two are the gateway's. Throws USAGE. */
function refuseTaken(own: NetAddress, usual: UserFamily | undefined): void {
  const says = ipVersion(own.address) === 4 ? '--ip' : '--ip6';
  const whose = usual === undefined ? undefined : sameAddress(own.address, usual.gateway) ? 'the gateway’s address' : sameAddress(own.address, usual.resolver) ? 'the resolver’s address' : undefined;
  if (whose !== undefined) throw new VmmError('USAGE', `${says}: ${own.address} is ${whose} in the user-mode network`, { hint: 'leave it away, or give another' });
  const v4 = ipVersion(own.address) === 4;
  const last = v4 ? [within(own, 2 ** (32 - own.prefix) - 1)] : [];
  if (own.prefix <= (v4 ? 30 : 126) && [within(own, 0), ...last].some((one) => sameAddress(one, own.address))) throw new VmmError('USAGE', `${says}: ${own.address} is an address of its network ${own.address}/${own.prefix} as a whole`, { hint: 'give one of the addresses within it' });
}

function sameAddress(one: string, other: string): boolean {
  const bits = ipVersion(one) === 4 ? 32 : 128;
  return ipVersion(one) === ipVersion(other) && inNetwork(one, { address: other, prefix: bits });
}

/** --ip has no network: it is the standard one. */
function standardNetwork(address: string, standard: readonly UserFamily[]): NetAddress {
  const family = standard.find((one) => ipVersion(one.address) === ipVersion(address) && inNetwork(address, one));
  if (family === undefined) throw new VmmError('USAGE', `${ipVersion(address) === 4 ? '--ip' : '--ip6'}: ${address} is not in the user-mode network${standard.map((one) => ` ${one.gateway}/${one.prefix}`).join(' or')}`, { hint: `give it with its network: --network user,ip=${address}/${ipVersion(address) === 4 ? 24 : 64}` });
  return { address, prefix: family.prefix };
}

/** The guest's address with a gateway and a resolver beside it. */
function familyOf(own: NetAddress, gateway: string | undefined, usual: UserFamily | undefined): UserFamily {
  if (usual !== undefined && gateway === undefined && own.prefix === usual.prefix && inNetwork(own.address, usual) && own.address !== usual.gateway && own.address !== usual.resolver) return { ...usual, ...own };
  const most = ipVersion(own.address) === 4 ? 29 : 125;
  if (own.prefix < 8 || own.prefix > most) throw new VmmError('USAGE', `--network user: ${own.address}/${own.prefix} leaves no room for a gateway and a resolver`, { hint: `a prefix from 8 to ${most} does` });
  if (gateway !== undefined && (gateway === own.address || !inNetwork(gateway, own))) throw new VmmError('USAGE', `--network user: the gateway ${gateway} is not another address of the guest’s network`, { hint: 'leave gw= away' });
  const free = [2, 3, 1, 4].map((number) => within(own, number)).filter((one) => one !== own.address && one !== gateway);
  const [first = '', second = ''] = gateway === undefined ? free : [gateway, free[0]];
  return { ...own, gateway: first, resolver: second };
}

/** The address of that number in a network whose prefix leaves three bits at least. */
function within({ address, prefix }: NetAddress, number: number): string {
  if (ipVersion(address) === 4) {
    const bits = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - prefix);
    const all = Math.floor(bits / size) * size + number;
    return [24, 16, 8, 0].map((shift) => Math.floor(all / 2 ** shift) % 256).join('.');
  }
  const whole = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = whole.split('::');
  const [before, after] = [head.split(':').filter((one) => one !== ''), (tail ?? '').split(':').filter((one) => one !== '')];
  const groups = [...before, ...new Array<string>(8 - before.length - after.length).fill('0'), ...after].map((group) => Number.parseInt(group, 16));
  const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
  const low = BigInt(128 - prefix);
  const all = ((value >> low) << low) | BigInt(number);
  const text = Array.from({ length: 8 }, (_, i) => ((all >> BigInt(16 * (7 - i))) & 0xffffn).toString(16)).join(':');
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

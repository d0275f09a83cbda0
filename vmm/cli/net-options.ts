import { ipVersion, type NetAddress, parseNetAddress } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { type CableSpec, type CardRate, type CardSpec, passtCard, type PublishedPort } from '../api/machine.ts';
import { bootUserCard } from './user-network.ts';
import { parseLimit } from './sizes.ts';

const HINT = 'write user, tap=NAME, fd=N, unix=PATH, passt or none, then perhaps ,mac=02:00:00:00:00:01 and ,mtu=1500';

/** The network of another container, whose machine this one joins. */
export interface JoinedNetwork {
  readonly kind: 'container';
  readonly name: string;
}

/** A card as one option describes it; of a container's card its addresses, too. */
export interface CardText {
  /** `passt`, `user`: what they take the guest for is not said yet. */
  readonly cable: CableSpec | JoinedNetwork | 'passt' | 'user';
  readonly mac: Uint8Array | undefined;
  readonly mtu: number | undefined;
  readonly capture: string | undefined;
  readonly rate: CardRate | undefined;
  readonly addresses: readonly NetAddress[];
  readonly gateways: readonly string[];
}

/** `user|passt|tap=NAME|fd=N|unix=PATH|none[,mac=MAC][,mtu=N]`; a comma in a path is written twice. Undefined: no card. */
export function parseCard(text: string, option: string): CardSpec | undefined {
  const card = parseText(text, option, false);
  if (card === undefined) return undefined;
  const { cable } = card;
  return { ...card, ...(cable === 'passt' ? passtCard([], card.mtu) : cable === 'user' ? bootUserCard(card.mtu) : { cable: cable as CableSpec }) };
}

/** As parseCard, with `ip=ADDRESS/PREFIX` and `gw=ADDRESS`, each for both families. */
export function parseNetwork(text: string, option: string): CardText | undefined {
  if (text === 'default') return parseText('user', option, true);
  if (text === 'host') throw new VmmError('USAGE', `${option} host: the container has a machine of its own, which cannot be in the host’s network`, { hint: 'leave it away: -p publishes ports, --add-host host.vmm.internal:host-gateway leads to the host’s loopback' });
  if (text.startsWith('container:')) {
    const name = text.slice('container:'.length);
    // Docker's words.
    if (name === '') throw new VmmError('USAGE', 'invalid container format container:<name|id>', { hint: 'for example --network container:web' });
    return { cable: { kind: 'container', name }, mac: undefined, mtu: undefined, capture: undefined, rate: undefined, addresses: [], gateways: [] };
  }
  if (/^[a-zA-Z0-9][\w.-]*$/.test(text) && !/^(none|passt|user)$/.test(text)) throw new VmmError('USAGE', `${option} ${text}: machines here are in no network with each other`, { hint: 'leave it away for one of its own, with -p to publish ports; tap=NAME is for a bridge of the host’s' });
  return parseText(text, option, true);
}

function parseText(text: string, option: string, container: boolean): CardText | undefined {
  const [first = '', ...rest] = text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));
  const card = { mac: undefined as Uint8Array | undefined, mtu: undefined as number | undefined, capture: undefined as string | undefined, rate: undefined as CardRate | undefined, addresses: [] as NetAddress[], gateways: [] as string[] };
  for (const part of rest) {
    const value = part.slice(part.indexOf('=') + 1);
    if (part.startsWith('mac=')) card.mac = parseMac(value, option);
    else if (part.startsWith('mtu=')) card.mtu = parseMtu(value, option);
    else if (part.startsWith('pcap=') && value !== '') card.capture = value;
    else if (/^[rt]x-(bw|ops)=/.test(part)) card.rate = withLimit(card.rate, part.slice(0, 2) as 'rx' | 'tx', part.slice(3), option);
    else if (container && part.startsWith('ip=')) card.addresses.push(parseNetAddress(value, option));
    else if (container && part.startsWith('gw=')) card.gateways.push(parseAddress(value, option));
    else throw new VmmError('USAGE', `${option}: ${part} is not an option of a card`, { hint: HINT });
  }
  if (first === 'none') {
    if (rest.length > 0) throw new VmmError('USAGE', `${option}: ${text} has options of a card that is not there`, { hint: HINT });
    return undefined;
  }
  return { ...card, cable: parseCable(first, option, container ? `${HINT}; or container:NAME` : HINT) };
}

function withLimit(rate: CardRate | undefined, way: 'rx' | 'tx', text: string, option: string): CardRate {
  return { ...rate, [way]: parseLimit(rate?.[way], text, option) };
}

export function parseAddress(text: string, option: string): string {
  if (ipVersion(text) === 0 || text.includes('%')) throw new VmmError('USAGE', `${option}: ${text} is not an IP address`, { hint: 'for example 10.0.0.2 or fd00::2' });
  return text;
}

function parseCable(text: string, option: string, hint: string): CardText['cable'] {
  if (text === 'passt' || text === 'user') return text;
  const at = text.indexOf('=');
  const [kind, what] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  if (what !== '') {
    if (kind === 'tap') return { kind, name: what };
    if (kind === 'unix') return { kind, path: what };
    if (kind === 'fd' && /^\d{1,6}$/.test(what) && Number(what) > 2) return { kind, fd: Number(what) };
  }
  throw new VmmError('USAGE', `${option}: ${text} is not a network`, { hint });
}

/** A unicast address. */
export function parseMac(text: string, option: string): Uint8Array {
  const bytes = text.split(/[:-]/).map((part) => (/^[0-9a-fA-F]{1,2}$/.test(part) ? Number.parseInt(part, 16) : Number.NaN));
  if (bytes.length !== 6 || bytes.some(Number.isNaN)) throw new VmmError('USAGE', `${option}: ${text} is not an Ethernet address`, { hint: 'for example 02:00:00:00:00:01' });
  if (((bytes[0] as number) & 1) !== 0) throw new VmmError('USAGE', `${option}: ${text} is a group’s address, not a card’s`, { hint: 'its first byte must be even, for example 02:00:00:00:00:01' });
  if (bytes.every((byte) => byte === 0)) throw new VmmError('USAGE', `${option}: ${text} is no card’s address`, { hint: 'for example 02:00:00:00:00:01' });
  return Uint8Array.from(bytes);
}

function parseMtu(text: string, option: string): number {
  const mtu = Number(text);
  if (!/^\d{1,5}$/.test(text) || mtu < 68 || mtu > 65535) throw new VmmError('USAGE', `${option}: an mtu of ${text} is not a number from 68 to 65535`, { hint: '1500 is Ethernet’s' });
  return mtu;
}

/**
 * Docker's `-p [ADDRESS:][HOST[-END]:]PORT[-END][/tcp|udp]`, or in words `target=PORT,published=HOST,protocol=tcp`. Without a port of the host's, or
 * with 0, `host` is 0; a range of the host's for one port is any of them.
 */
export function parsePublish(text: string, option: string): readonly PublishedPort[] {
  const match = /^(?:(?:\[([^\]]+)\]|(\d+\.[\d.]+)):)?(?:(\d{1,5}(?:-\d{1,5})?)?:)?(\d{1,5}(?:-\d{1,5})?)(?:\/(\w+))?$/.exec(text.includes('=') ? inShort(text, option) : text);
  if (match === null) throw new VmmError('USAGE', `${option}: ${text} is not a port`, { hint: PUBLISH_HINT });
  const [, v6, v4, hostText = '0', guestText = '', given = 'tcp'] = match;
  const protocol = given.toLowerCase();
  if (protocol !== 'tcp' && protocol !== 'udp') throw new VmmError('USAGE', `${option}: ${text}: ${given} is not tcp or udp`, { hint: PUBLISH_HINT });
  const address = v6 ?? v4;
  if (address !== undefined) parseAddress(address, option);
  const guest = parseRange(guestText, option);
  const host = /^0+$/.test(hostText) ? guest.map(() => 0) : parseRange(hostText, option);
  const [only] = guest;
  if (guest.length === 1 && only !== undefined && host.length > 1) return [{ protocol, address, host: host[0] as number, hostLast: host.at(-1) as number, guest: only }];
  if (host.length !== guest.length) throw new VmmError('USAGE', `${option}: ${text} has ${host.length} ports of the host for ${guest.length} of the guest`, { hint: PUBLISH_HINT });
  return guest.map((port, i) => ({ protocol, address, host: host[i] as number, guest: port }));
}

/** Docker's long form of `-p` as its short one. Throws USAGE. */
function inShort(text: string, option: string): string {
  const words = new Map(text.split(',').map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));
  const unknown = [...words.keys()].find((word) => !/^(target|published|protocol|mode)$/.test(word));
  const target = words.get('target');
  if (unknown !== undefined || target === undefined) throw new VmmError('USAGE', `${option}: ${text}: ${unknown === undefined ? 'target= is missing' : `${unknown} is not a word of it`}`, { hint: 'for example target=80,published=8080,protocol=tcp' });
  return `${words.get('published') ?? ''}:${target}/${words.get('protocol') ?? 'tcp'}`.replace(/^:/, '');
}

/** Docker's `--expose PORT[-END][/tcp|udp]`. */
export function parseExpose(text: string, option: string): readonly PublishedPort[] {
  const match = /^(\d{1,5}(?:-\d{1,5})?)(?:\/(tcp|udp))?$/.exec(text.toLowerCase());
  if (match === null) throw new VmmError('USAGE', `${option}: ${text} is not a port`, { hint: 'for example 80, 8000-8010 or 53/udp' });
  const [, ports = '', protocol = 'tcp'] = match;
  return parseRange(ports, option).map((guest) => ({ protocol: protocol as 'tcp' | 'udp', host: 0, guest }));
}

const PUBLISH_HINT = 'for example 8080:80, 127.0.0.1:8080:80, 8000-8010:8000-8010 or 5353:53/udp';

function parseRange(text: string, option: string): number[] {
  const [first = 0, last = first] = text.split('-').map(Number);
  if (first < 1 || last > 65535 || last < first) throw new VmmError('USAGE', `${option}: ${text} are no ports from 1 to 65535`, { hint: PUBLISH_HINT });
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** What docs/networks.md says of a policy, written down a second time: by texts, BigInt and Node's own lists of networks. */
import { BlockList, isIPv4 } from 'node:net';

export interface PlainRule {
  readonly action: 'allow' | 'deny';
  /** `*`, a network as ADDRESS/BITS, a name, or `*.` and a name. */
  readonly where: string;
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  readonly protocol?: 'tcp' | 'udp' | undefined;
}

export interface PlainAnswer {
  readonly name: string;
  readonly address: string;
  readonly until: number;
}

const RESERVED = [
  '0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32', '224.0.0.0/4', '240.0.0.0/4',
  '::/128', '::1/128', 'fe80::/10', 'fec0::/10', 'fd00:ec2::/32', 'fd20:ce::254/128', 'ff00::/8', '::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '2001::/32', '64:ff9b:1::/48',
];

const family = (address: string): 'ipv4' | 'ipv6' => (isIPv4(address) ? 'ipv4' : 'ipv6');

const known = new Map<string, boolean>();

/** The same few addresses are asked for again and again. */
function within(address: string, network: string): boolean {
  const key = `${address} ${network}`;
  const answer = known.get(key) ?? isWithin(address, network);
  known.set(key, answer);
  return answer;
}

function isWithin(address: string, network: string): boolean {
  const [base = '', bits = ''] = network.split('/');
  // A list of Node's takes an IPv4 address within one of IPv6 for itself: that is asked elsewhere.
  if (family(address) !== family(base)) return false;
  return number(address) >> BigInt((isIPv4(base) ? 32 : 128) - Number(bits)) === number(base) >> BigInt((isIPv4(base) ? 32 : 128) - Number(bits));
}

function number(address: string): bigint {
  if (isIPv4(address)) return BigInt(address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0));
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const split = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const missing = 8 - split(head).length - split(tail ?? '').length;
  const all = tail === undefined ? split(head) : [...split(head), ...new Array<string>(missing).fill('0'), ...split(tail)];
  return BigInt(`0x${all.map((group) => group.padStart(4, '0')).join('')}`);
}

const v4 = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => `${(value >> shift) & 255n}`).join('.');

/** Where a translator's or a tunnel's address leads to. */
function inner(address: string): string | undefined {
  if (isIPv4(address)) return undefined;
  const value = number(address);
  if (value >> 32n === 0x64_ff9bn << 64n) return v4(value & 0xffff_ffffn);
  if (value >> 112n === 0x2002n) return v4((value >> 80n) & 0xffff_ffffn);
  return undefined;
}

export interface World {
  readonly egress: 'allow' | 'deny';
  readonly rules: readonly PlainRule[];
  readonly strictSni: boolean;
  /** The host's. */
  readonly own: readonly string[];
}

function reserved(address: string, { own }: World): string[] {
  return [...RESERVED.filter((network) => within(address, network)), ...own.filter((one) => one === address).map((one) => `${one}/${isIPv4(one) ? 32 : 128}`)];
}

/** All of network `a` in network `b`. */
function inside(a: string, b: string): boolean {
  return Number(a.split('/')[1]) >= Number(b.split('/')[1]) && within(a.split('/')[0] as string, b);
}

const isName = (where: string): boolean => where !== '*' && !where.includes('/');

function names(where: string, name: string): boolean {
  return where.startsWith('*.') ? name.endsWith(where.slice(1)) : name === where;
}

/** May an answer with this address be seen by the guest? */
export function visible(address: string, world: World): boolean {
  return [address, ...(inner(address) === undefined ? [] : [inner(address) as string])].every((one) => {
    const walls = reserved(one, world);
    return walls.length === 0 || world.rules.some(({ action, where }) => action === 'allow' && where.includes('/') && within(one, where) && walls.every((wall) => inside(where, wall)));
  });
}

export function admits(world: World, answers: readonly PlainAnswer[], now: number, protocol: 'tcp' | 'udp', address: string, port: number): boolean {
  const one = (where: string): boolean => {
    const walls = reserved(where, world);
    const called = answers.filter((answer) => answer.address === where && answer.until > now).map(({ name }) => name);
    for (const rule of world.rules) {
      if (rule.protocol !== undefined && rule.protocol !== protocol) continue;
      if (rule.first !== undefined && (port < rule.first || port > (rule.last ?? rule.first))) continue;
      const fits = rule.where === '*' || (isName(rule.where) ? called.some((name) => names(rule.where, name)) : within(where, rule.where));
      if (!fits) continue;
      if (rule.action === 'deny') return false;
      if (walls.length > 0 && (isName(rule.where) || rule.where === '*' || !walls.every((wall) => inside(rule.where, wall)))) continue;
      if (isName(rule.where) && world.strictSni && protocol === 'udp') continue;
      return true;
    }
    return walls.length === 0 && world.egress === 'allow';
  };
  const behind = inner(address);
  return one(address) && (behind === undefined || one(behind));
}

/** Is a name asked for? Where one of its addresses, of which nothing else is known, could be let in by any port. */
export function asked(world: World, name: string): boolean {
  const rules = world.rules.filter(({ where }) => !where.includes('/'));
  const ports = rules.flatMap(({ first = 7, last = first }) => [first, last + 1]);
  return (['tcp', 'udp'] as const).some((protocol) => [7, ...ports].some((port) => admits({ ...world, rules, strictSni: false }, [{ name, address: '203.0.113.9', until: 1 }], 0, protocol, '203.0.113.9', port)));
}

/** Is it of a network that Node's own list holds? For the reference's own test. */
export function nodeSays(address: string, network: string): boolean {
  const list = new BlockList();
  const [base = '', bits = ''] = network.split('/');
  list.addSubnet(base, Number(bits), family(base));
  return list.check(address, family(address));
}

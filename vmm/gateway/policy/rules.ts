/** Rules of egress as users write them: `TARGET[:PORT[-PORT]][/tcp|udp]`, and files of them. */
import { isIP } from 'node:net';
import { VmmError } from '../../../base/errors.ts';
import { parseIp } from '../link/address.ts';
import type { PolicyConfig, Prefix, Protocol, Rule, Target } from './config.ts';

const HINT = 'for example api.example.org:443, *.example.org, 10.0.0.0/8, [fd00::1]:53/udp or *:443';
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Throws USAGE. */
export function parseRule(action: 'allow' | 'deny', text: string, where: string): Rule {
  const wrong = (why: string): VmmError => new VmmError('USAGE', `${where}: ${text} ${why}`, { hint: HINT });
  const match = /^(?:\[([^\]]+)\](\/\d+)?|([^[\]]+?))(?::(\d{1,5})(?:-(\d{1,5}))?)?(?:\/(tcp|udp))?$/.exec(text);
  if (match === null) throw wrong('is not a rule');
  const [, bracketed, bits, plain, first, last = first, protocol] = match;
  // An IPv6 address without brackets has colons of its own, and no port.
  const bare = bracketed === undefined && plain !== undefined && (text.match(/:/g)?.length ?? 0) > 1;
  const target = bare ? text.replace(/\/(tcp|udp)$/, '') : bracketed === undefined ? (plain as string) : `${bracketed}${bits ?? ''}`;
  const ports = bare || first === undefined ? undefined : ([Number(first), Number(last)] as const);
  if (ports !== undefined && (ports[0] < 1 || ports[1] > 65535 || ports[1] < ports[0])) throw wrong('has no ports from 1 to 65535');
  return { action, target: parseTarget(target, wrong), ports, protocol: protocol as Protocol | undefined, text };
}

function parseTarget(text: string, wrong: (why: string) => VmmError): Target {
  if (text === '*') return { kind: 'any' };
  const [address = '', bits, ...rest] = text.split('/');
  if (isIP(address) !== 0 && !address.includes('%')) {
    const network = parseIp(address);
    const most = network.length * 8;
    if (rest.length > 0 || (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most))) throw wrong(`is no network: its prefix is not 0 to ${most}`);
    return { kind: 'prefix', prefix: masked(network, bits === undefined ? most : Number(bits)) };
  }
  if (bits !== undefined) throw wrong('is no network');
  const suffix = /^\*?\./.test(text);
  const name = text.toLowerCase().replace(/^\*?\./, '').replace(/\.$/, '');
  const labels = name.split('.');
  // What is all digits looks like an address that is none.
  if (name.length > 253 || labels.some((label) => !LABEL.test(label)) || /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) as string)) throw wrong('is neither an address nor a name');
  return { kind: 'domain', name, suffix };
}

/** The bits behind the prefix are none of it. */
function masked(network: Uint8Array, bits: number): Prefix {
  const own = network.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, bits - 8 * i))) & 0xff);
  return { network: own, bits };
}

/** A file of rules: a line each, `allow RULE`, `deny RULE`, `egress allow|deny`, `strict-sni`; what follows # is a remark. Throws USAGE. */
export function parsePolicyFile(text: string, file: string): Partial<PolicyConfig> & Pick<PolicyConfig, 'rules'> {
  const rules: Rule[] = [];
  let egress: 'allow' | 'deny' | undefined;
  let strictSni = false;
  for (const [index, line] of text.split('\n').entries()) {
    const [word, value, ...rest] = line.replace(/#.*/, '').trim().split(/\s+/);
    const where = `${file}:${index + 1}`;
    if (word === '' || word === undefined) continue;
    if ((word === 'allow' || word === 'deny') && value !== undefined && rest.length === 0) rules.push(parseRule(word, value, where));
    else if (word === 'egress' && (value === 'allow' || value === 'deny') && rest.length === 0) egress = value;
    else if (word === 'strict-sni' && value === undefined) strictSni = true;
    else throw new VmmError('USAGE', `${where}: ${line.trim()} is no line of a policy`, { hint: 'write allow RULE, deny RULE, egress allow, egress deny or strict-sni' });
  }
  return { rules, strictSni, ...(egress === undefined ? {} : { egress }) };
}

/** Is a name the rule's? */
export function nameMatches(name: string, { name: wanted, suffix }: Target & { kind: 'domain' }): boolean {
  return suffix ? name.endsWith(`.${wanted}`) : name === wanted;
}

export function portMatches({ ports, protocol }: Rule, asked: Protocol, port: number): boolean {
  return (protocol === undefined || protocol === asked) && (ports === undefined || (port >= ports[0] && port <= ports[1]));
}

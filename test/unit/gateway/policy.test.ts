/** Rules of egress: generated ones against a reference, and what people try to get around them. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { parseQuestion } from '../../../vmm/gateway/dns/message.ts';
import { addressText, parseIp } from '../../../vmm/gateway/link/address.ts';
import { Policy } from '../../../vmm/gateway/policy/policy.ts';
import { parsePolicyFile, parseRule } from '../../../vmm/gateway/policy/rules.ts';
import { NameGate, serverName } from '../../../vmm/gateway/policy/sni.ts';
import { answer, type Zone } from '../../support/gateway/names.ts';
import { randomNumbers } from '../../support/gateway/random.ts';
import { admits, asked, nodeSays, type PlainAnswer, type PlainRule, visible, type World } from '../../support/gateway/reference.ts';

const OWN = ['192.0.2.1', '2001:db8::1', '10.7.7.7'];
const ADDRESSES = [
  ...OWN, '192.0.2.2', '198.51.100.7', '10.0.0.1', '10.255.255.255', '10.7.7.8', '127.0.0.1', '127.9.9.9', '0.0.0.0', '0.1.2.3', '169.254.169.254', '224.0.0.1', '255.255.255.255', '240.1.1.1', '100.100.100.200', '8.8.8.8',
  '2001:db8::2', '2600::1', '::', '::1', '::2', '::7f00:1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:0:7f00:1', 'fe80::1', 'fec0::1', 'ff02::1', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00::1', '64:ff9b:1::a9fe:a9fe', '64:ff9b::127.0.0.1', '64:ff9b::8.8.8.8', '64:ff9b::c000:201', '2002:7f00:1::1',
  '2002:808:808::1', '2001::1', '2001:0:ffff::1',
].map((text) => addressText(parseIp(text)));
const NETWORKS = ['10.0.0.0/8', '10.7.7.7/32', '0.0.0.0/0', '::/0', '127.0.0.0/8', '127.0.0.1/32', '0.0.0.0/8', '169.254.169.254/32', '192.0.2.0/24', '192.0.2.1/32', '8.8.8.8/32', '2001:db8::/32', '2001:db8::1/128', '::1/128', '::/128', '64:ff9b::/96', 'fe80::/10', '::ffff:0:0/96', '224.0.0.0/4', '2002::/16', '0.0.0.0/1', '128.0.0.0/1', '2001::/32'];
const NAMES = ['a.example.org', 'b.example.org', 'example.org', 'deep.a.example.org', 'example.net', 'badexample.org'];
const WHERE = [...NETWORKS, '*', ...NAMES, '*.example.org', '*.a.example.org', '*.org'];

function query(name: string, type: number): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1]);
}

function text({ where, first, last, protocol }: PlainRule): string {
  const shown = where.includes(':') ? `[${where.split('/')[0]}]/${where.split('/')[1]}` : where;
  return `${shown}${first === undefined ? '' : `:${first}${last === undefined ? '' : `-${last}`}`}${protocol === undefined ? '' : `/${protocol}`}`;
}

describe('a policy', () => {
  it('says of 200 generated rule sets what the reference says, with answers that come, go stale and lie', () => {
    let [admitted, denied] = [0, 0];
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomNumbers(seed);
      const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      const rules: PlainRule[] = Array.from({ length: Math.floor(random() * 8) }, () => {
        const first = one([undefined, undefined, 443, 53, 1000]);
        return { action: one(['allow', 'allow', 'deny'] as const), where: one(WHERE), first, last: first === undefined ? undefined : one([undefined, first + 1000]), protocol: one([undefined, undefined, 'tcp', 'udp'] as const) };
      });
      const world: World = { egress: one(['allow', 'deny'] as const), rules, strictSni: random() < 0.2, own: OWN };
      let now = 0;
      const policy = new Policy({ egress: world.egress, rules: rules.map((rule) => parseRule(rule.action, text(rule), 'test')), strictSni: world.strictSni }, { now: () => now, own: (address) => OWN.includes(addressText(address)) });
      for (const name of [...NAMES, 'x.example.org', 'example.com']) expect([seed, name, policy.asks(name)]).toEqual([seed, name, asked(world, name)]);
      const answers: PlainAnswer[] = [];
      for (let step = 0; step < 150; step++) {
        now += random() * 3000;
        if (random() < 0.2) tell(policy, world, answers, now, one, random);
        const [protocol, address, port] = [one(['tcp', 'udp'] as const), one(ADDRESSES), one([443, 53, 80, 1443, 2000, 65535])];
        const wanted = admits(world, answers, now, protocol, address, port);
        const verdict = policy.connect(protocol, parseIp(address), port);
        // One by one they would take most of the test's time.
        if (verdict.allowed !== wanted) expect.fail(`rule set ${seed}, step ${step}: ${address} ${port}/${protocol}: ${verdict.why}, and the reference ${wanted ? 'lets it in' : 'does not'}`);
        if (wanted) admitted++;
        else denied++;
      }
    }
    expect(Math.min(admitted, denied)).toBeGreaterThan(3000);
  });

  /** An answer with a chain of aliases, some of which lead to places of the host's; and what the reference makes of it. */
  function tell(policy: Policy, world: World, answers: PlainAnswer[], now: number, one: <T>(list: readonly T[]) => T, random: () => number): void {
    const asked = one(NAMES);
    const v6 = random() < 0.5;
    const [ttl, aliasTtl] = [one([0, 1, 30, 300]), one([0, 1, 30, 300])];
    const aliases = Array.from({ length: Math.floor(random() * 4) }, (_, i) => `alias${i}.example.com`);
    const last = aliases.at(-1) ?? asked;
    const addresses = Array.from({ length: 1 + Math.floor(random() * 3) }, () => one(ADDRESSES.filter((address) => address.includes(':') === v6)));
    // Records that are nobody's in the chain are no answer to it.
    const stray = random() < 0.3 ? [{ type: v6 ? ('AAAA' as const) : ('A' as const), value: v6 ? '2600::1' : '8.8.8.8', owner: 'stray.example.com', ttl: 300 }] : [];
    const zone: Zone = {
      [asked]: [
        ...aliases.map((value, i) => ({ type: 'CNAME' as const, value, owner: aliases[i - 1] ?? asked, ttl: aliasTtl })),
        ...addresses.map((value) => ({ type: v6 ? ('AAAA' as const) : ('A' as const), value, owner: last, ttl })),
        ...stray,
      ],
    };
    const message = Uint8Array.from(answer(zone, query(asked, v6 ? 28 : 1), 65_535));
    const question = parseQuestion(message);
    if (question === undefined) throw new Error('no question');
    expect(policy.answered(message, question)).toBe(true);
    // A host must be able to make use of what it has been told: five seconds at least.
    const life = Math.max(5000, Math.min(ttl, aliases.length === 0 ? ttl : aliasTtl) * 1000);
    for (const address of addresses) if (visible(address, world)) answers.push({ name: asked, address, until: now + life });
  }

  it('the reference’s networks are those of Node’s own lists', () => {
    for (const network of NETWORKS) {
      for (const address of ADDRESSES.filter((one) => one.includes(':') === network.includes(':') && !one.startsWith('::ffff:'))) {
        const world: World = { egress: 'deny', rules: [{ action: 'deny', where: network }, { action: 'allow', where: '*' }], strictSni: false, own: [] };
        if (nodeSays(address, network)) expect(admits(world, [], 0, 'tcp', address, 1), `${address} ${network}`).toBe(false);
      }
    }
  });

  it('a name that leads elsewhere the second time is followed only where the answer may lead', () => {
    let now = 0;
    const policy = new Policy({ egress: 'deny', rules: [parseRule('allow', 'a.example.org:443', 'test')], strictSni: false }, { now: () => now, own: () => false });
    const say = (address: string, ttl: number): Uint8Array => {
      const message = Uint8Array.from(answer({ 'a.example.org': [{ type: 'A', value: address, ttl }] }, query('a.example.org', 1), 512));
      policy.answered(message, parseQuestion(message) as NonNullable<ReturnType<typeof parseQuestion>>);
      return message;
    };
    say('198.51.100.7', 60);
    expect(policy.connect('tcp', parseIp('198.51.100.7'), 443).allowed).toBe(true);
    expect(policy.connect('tcp', parseIp('198.51.100.7'), 80).allowed).toBe(false);
    expect(policy.connect('tcp', parseIp('198.51.100.8'), 443).allowed).toBe(false);
    // Rebinding: the answer is hidden from the guest, and nothing is let in.
    const message = say('127.0.0.1', 60);
    expect(Buffer.from(message).includes(Buffer.from([127, 0, 0, 1]))).toBe(false);
    expect(policy.connect('tcp', parseIp('127.0.0.1'), 443).allowed).toBe(false);
    now = 61_000;
    expect(policy.connect('tcp', parseIp('198.51.100.7'), 443).allowed).toBe(false);
    expect([policy.asks('a.example.org'), policy.asks('b.example.org'), policy.asks('x.a.example.org')]).toEqual([true, false, false]);
  });
});

describe('rules as they are written', () => {
  it.each([
    ['10.0.0.0/33', /prefix is not 0 to 32/], ['', /is not a rule/], ['a b', /neither an address nor a name/], ['api.example.org:0', /no ports/], ['api.example.org:70000', /no ports/], ['api.example.org:90-80', /no ports/],
    ['300.1.1.1', /neither/], ['1.2.3', /neither/], ['0x7f000001', /neither/], ['example.org/icmp', /is no network/], ['-x.org', /neither/], ['*.*.org', /neither/], ['[::1', /is not a rule/], ['fe80::1%eth0', /neither/],
  ])('%s is refused', (rule, says) => {
    expect(() => parseRule('allow', rule, '--allow')).toThrow(says);
  });

  it('a file has a line each, and a wrong one is named', () => {
    const policy = parsePolicyFile('# what it may\negress deny\nallow *.example.org:443/tcp # the site\n\ndeny 10.0.0.0/8\nstrict-sni\n', 'rules');
    expect([policy.egress, policy.strictSni, policy.rules.map(({ action, text: shown }) => `${action} ${shown}`)]).toEqual(['deny', true, ['allow *.example.org:443/tcp', 'deny 10.0.0.0/8']]);
    expect(() => parsePolicyFile('egress deny\nallow a b\n', 'rules')).toThrow(/rules:2: allow a b is no line/);
  });
});

describe('the name in TLS', () => {
  /** What Node's own client begins with. */
  async function hello(servername: string | undefined): Promise<Buffer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', ...(servername === undefined ? {} : { servername }), ALPNProtocols: ['h2', 'http/1.1'] });
    client.on('error', () => {});
    const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    client.destroy();
    server.close();
    return bytes;
  }

  /** The same in records of `size` bytes. */
  function cut(bytes: Buffer, size: number): Buffer {
    const body = bytes.subarray(5);
    const parts: Buffer[] = [];
    for (let at = 0; at < body.length; at += size) {
      const part = body.subarray(at, at + size);
      parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
    }
    return Buffer.concat(parts);
  }

  it('is read of a real client’s first bytes, whole, cut anywhere, and in many records', async () => {
    const bytes = await hello('API.example.org');
    expect(serverName(bytes)).toBe('api.example.org');
    for (let length = 0; length < bytes.length; length++) expect(serverName(bytes.subarray(0, length))).toBe('more');
    for (const size of [1, 3, 50, 200]) expect(serverName(cut(bytes, size))).toBe('api.example.org');
    expect(serverName(await hello(undefined))).toBe(undefined);
    expect(serverName(Buffer.from('GET / HTTP/1.1\r\n'))).toBe(undefined);
  });

  it('damaged ones are no name, or another, and never an error', async () => {
    const bytes = await hello('api.example.org');
    const random = randomNumbers(3);
    for (let i = 0; i < 20_000; i++) {
      const damaged = Buffer.from(bytes);
      for (let n = 1 + Math.floor(random() * 4); n > 0; n--) damaged[Math.floor(random() * damaged.length)] = random() * 256;
      const name = serverName(damaged.subarray(0, Math.floor(random() * (damaged.length + 1))));
      expect(name === undefined || /^[a-z0-9_.-]+$/.test(name)).toBe(true);
    }
  });

  it('a gate lets through what names the rule’s name, from its first byte on, and nothing else', async () => {
    for (const [servername, passes] of [['api.example.org', true], ['other.example.org', false], [undefined, false]] as const) {
      const bytes = await hello(servername);
      const written: Buffer[] = [];
      const denied: (string | undefined)[] = [];
      const inner = { waiting: 0, write: (part: Uint8Array) => void written.push(Buffer.from(part)), end: () => {}, pause: () => {}, reset: () => {}, resume: () => {} };
      const gate = new NameGate(inner, { allows: (name) => name === 'api.example.org', denied: (name) => void denied.push(name) });
      gate.write(bytes.subarray(0, 20));
      expect(written).toEqual([]);
      gate.write(bytes.subarray(20));
      if (passes) gate.write(Buffer.from('more'));
      expect([Buffer.concat(written).equals(passes ? Buffer.concat([bytes, Buffer.from('more')]) : Buffer.alloc(0)), denied]).toEqual([true, passes ? [] : [servername]]);
    }
  });
});

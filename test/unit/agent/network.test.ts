import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressBytes, encodeNetwork, type NetworkConfig } from '../../../vmm/agent/network.ts';
import { container, type Guest, Reader, reasonToSkip, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();
const MAC = Uint8Array.from([2, 0, 0, 0, 0, 1]);

describe('addresses', () => {
  it.each([
    ['10.0.0.255', '0a0000ff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fd09::2', 'fd090000000000000000000000000002'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['fe80::', 'fe800000000000000000000000000000'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['64:ff9b::10.1.2.3', '0064ff9b00000000000000000a010203'],
  ])('%s', (text, hex) => {
    expect(Buffer.from(addressBytes(text)).toString('hex')).toBe(hex);
  });

  it.each(['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', ':::', 'x'])('%j is refused', (text) => {
    expect(() => addressBytes(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it('a message of nothing is empty', () => {
    expect(encodeNetwork({ interfaces: [] }).finish().length).toBe(0);
  });
});

describe.skipIf(skip !== undefined)(`init: networks${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  /** In init's own network namespace. */
  const ip = (...args: string[]): string => execFileSync('nsenter', ['-t', `${guest.child.pid}`, '-n', 'ip', ...args], { encoding: 'utf8' });
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
    ip('link', 'add', 'card0', 'address', '02:00:00:00:00:01', 'type', 'veth', 'peer', 'name', 'other0');
    ip('link', 'set', 'other0', 'up');
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  const WHOLE: NetworkConfig = {
    interfaces: [{
      mac: MAC, mtu: 1400,
      addresses: [{ address: '10.9.0.2', prefix: 24 }, { address: '10.8.0.2', prefix: 31 }, { address: 'fd09::2', prefix: 64 }],
      routes: [{ to: { address: '0.0.0.0', prefix: 0 }, gateway: '10.9.0.1' }, { to: { address: '192.0.2.0', prefix: 24 }, metric: 7 }, { to: { address: '::', prefix: 0 }, gateway: 'fd09::1' }],
    }],
  };

  it('lo is up from the start', () => {
    expect(JSON.parse(ip('-j', 'addr', 'show', 'lo'))[0].flags).toContain('UP');
  });

  it('a card gets MTU, addresses, routes, and is up; the same again changes nothing', async () => {
    const look = (): string => ip('addr', 'show', 'card0') + ip('route', 'show') + ip('-6', 'route', 'show');
    await guest.session.network(WHOLE);
    const first = look();
    const [link] = JSON.parse(ip('-j', 'addr', 'show', 'card0'));
    expect(link).toMatchObject({ mtu: 1400, flags: expect.arrayContaining(['UP']) });
    expect(link.addr_info.filter(({ scope }: { scope: string }) => scope === 'global').map(({ local, prefixlen, broadcast }: Record<string, unknown>) => [local, prefixlen, broadcast])).toEqual([
      ['10.9.0.2', 24, '10.9.0.255'], ['10.8.0.2', 31, undefined], ['fd09::2', 64, undefined],
    ]);
    expect(ip('route', 'show')).toMatch(/^default via 10\.9\.0\.1 dev card0/m);
    expect(ip('route', 'show')).toMatch(/^192\.0\.2\.0\/24 dev card0 scope link metric 7/m);
    expect(ip('-6', 'route', 'show')).toMatch(/^default via fd09::1 dev card0/m);
    await guest.session.network(WHOLE);
    expect(look()).toBe(first);
  });

  it('a card with addresses takes none from a router, one without does', async () => {
    const settings = (name: string): string => execFileSync('nsenter', ['-t', `${guest.child.pid}`, '-n', 'sh', '-c', `cat /proc/sys/net/ipv6/conf/${name}/accept_ra /proc/sys/net/ipv6/conf/${name}/autoconf`], { encoding: 'utf8' });
    ip('link', 'add', 'card2', 'address', '02:00:00:00:00:03', 'type', 'veth', 'peer', 'name', 'other2');
    await guest.session.network({ interfaces: [{ mac: Uint8Array.from([2, 0, 0, 0, 0, 3]), addresses: [], routes: [] }] });
    expect([settings('card0'), settings('card2')]).toEqual(['0\n0\n', '1\n1\n']);
  });

  it('SLOT of a card: there is one with this address, or it waits until there is; REMOVE switches it off', async () => {
    await guest.session.cardAttached(0, '02:00:00:00:00:01');
    const late = guest.session.cardAttached(1, '02:00:00:00:00:02');
    await guest.session.ping();
    ip('link', 'add', 'card1', 'address', '02:00:00:00:00:02', 'type', 'veth', 'peer', 'name', 'other1');
    await late;
    await guest.session.network({ interfaces: [{ mac: Uint8Array.from([2, 0, 0, 0, 0, 2]), addresses: [], routes: [] }] });
    expect(JSON.parse(ip('-j', 'link', 'show', 'card1'))[0].flags).toContain('UP');
    await guest.session.cardDetaching(1, '02:00:00:00:00:02');
    expect(JSON.parse(ip('-j', 'link', 'show', 'card1'))[0].flags).not.toContain('UP');
  });

  it('a gateway that cannot be reached is refused by name', async () => {
    const config: NetworkConfig = { interfaces: [{ mac: MAC, addresses: [], routes: [{ to: { address: '198.51.100.0', prefix: 24 }, gateway: '203.0.113.1' }] }] };
    await expect(guest.session.network(config)).rejects.toMatchObject({ code: 'AGENT_SYSTEM', message: expect.stringMatching(/card0 cannot have a route: .*unreachable/i) });
  });

  it.each([
    ['an address of five bytes', { mac: MAC.subarray(0, 5) }],
    ['a prefix of 33 bits', { addresses: [{ address: '10.0.0.1', prefix: 33 }] }],
    ['a route to 129 bits', { routes: [{ to: { address: '::', prefix: 129 } }] }],
    ['a gateway of another family', { routes: [{ to: { address: '0.0.0.0', prefix: 0 }, gateway: 'fd09::1' }] }],
  ])('%s is malformed', async (_name, part) => {
    await expect(guest.session.network({ interfaces: [{ mac: MAC, addresses: [], routes: [], ...part }] })).rejects.toMatchObject({ code: 'AGENT_INVALID' });
  });

  it('files that init keeps: the container sees what the host writes later, and may write to them itself', async () => {
    const files = [{ target: '/etc/hosts', content: 'before\n', kept: true }, { target: '/etc/resolv.conf', content: '', kept: true, mode: 0o640, uid: 1000 }];
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'cat /etc/hosts; stat -c %a:%u /etc/resolv.conf; echo ready; read line; cat /etc/hosts /etc/resolv.conf; echo mine > /etc/hosts; cat /etc/hosts'], { files, stdin: true, readOnly: true }));
    const reader = new Reader(process);
    await reader.until('ready\n');
    await guest.session.network({ interfaces: [], files: { container: process.container, files: [{ target: '/etc/hosts', content: 'after, and longer\n' }, { target: '/etc/resolv.conf', content: 'nameserver 10.0.0.1\n' }] } });
    await process.stdin.write(Buffer.from('\n'));
    await process.wait();
    expect(reader.text).toBe('before\n640:1000\nready\nafter, and longer\nnameserver 10.0.0.1\nmine\n');
    await expect(guest.session.network({ interfaces: [], files: { container: process.container, files: [{ target: '/etc/hosts', content: 'x' }] } })).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });

  it('a kept file whose place in the image is a dangling link is inside the root', async () => {
    symlinkSync('../../../../run/stub.conf', join(guest.root, 'opt/kept'));
    const result = await sh(guest, 'cat /opt/kept /run/stub.conf', { files: [{ target: '/opt/kept', content: 'kept\n', kept: true }] });
    expect(result.stdout).toBe('kept\nkept\n');
  });
});

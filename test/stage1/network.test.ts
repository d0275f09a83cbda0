/** A pod's networks, with the real plugins, in a network namespace that plays the host, joined to one that plays the world outside. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';
import { type AppSpec, buildStage1, ended, type PodSpec, Stage0 } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const HOST = `vmm-rkt-${process.pid}`;
const WORLD = `vmm-world-${process.pid}`;
let stage0: Stage0;
let dir: string;
let config: string;
let rootfs: string;

const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { timeout: HANG_MS });
const leases = (name: string): string[] => {
  const folder = join(dir, 'leases', name);
  return existsSync(folder) ? readdirSync(folder).filter((file) => /^\d/.test(file)) : [];
};
/** All rules of the host's, and its links. */
const traces = (): string => {
  const run = (program: string, args: readonly string[]): string => execFileSync('nsenter', [`--net=/run/netns/${HOST}`, program, ...args], { encoding: 'utf8', timeout: HANG_MS });
  // portmap's own chains, and a bridge, outlive their pods.
  const rules = run('iptables', ['-t', 'nat', '-S']).split('\n').filter((line) => !line.includes('CNI-HOSTPORT') || line.includes('DNAT --to')).join('\n');
  return `${rules}${run('ip', ['-o', 'link'])}${run('ip', ['route'])}`.replace(/^.*cni7.*\n/gm, '');
};

beforeAll(() => {
  if (!ROOT) return;
  dir = mkdtempSync(join(tmpdir(), 'vmm-stage1-net-'));
  rootfs = busyboxImage(join(dir, 'rootfs'));
  config = join(dir, 'etc');
  mkdirSync(join(config, 'net.d'), { recursive: true });
  const define = (file: string, network: Record<string, unknown>): void => writeFileSync(join(config, 'net.d', file), JSON.stringify(network));
  const ipam = (subnet: string): Record<string, unknown> => ({ type: 'host-local', subnet, dataDir: join(dir, 'leases') });
  // As rkt's own, but for the place of the leases.
  define('99-default.conf', { cniVersion: '0.1.0', name: 'default', type: 'ptp', ipMasq: true, ipam: { ...ipam('172.16.28.0/24'), routes: [{ dst: '0.0.0.0/0' }] } });
  define('10-chain.conflist', { cniVersion: '0.4.0', name: 'chain', plugins: [{ type: 'bridge', bridge: 'cni7', isGateway: true, ipam: ipam('10.77.0.0/24') }, { type: 'tuning', mtu: 1400 }] });
  define('20-lies.conf', { cniVersion: '0.4.0', name: 'lies', type: 'lies' });
  writeFileSync(join(config, 'net.d', 'lies'), '#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] && echo \'{"cniVersion":"0.4.0","ips":[{"version":"4","address":"not-an-address"}]}\'\nexit 0\n', { mode: 0o755 });
  for (const name of [HOST, WORLD]) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', HOST, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'down0', 'netns', WORLD);
  ip('-n', HOST, 'addr', 'add', '10.8.0.1/24', 'dev', 'up0');
  ip('-n', WORLD, 'addr', 'add', '10.8.0.2/24', 'dev', 'down0');
  ip('-n', HOST, 'link', 'set', 'up0', 'up');
  ip('-n', WORLD, 'link', 'set', 'down0', 'up');
  stage0 = new Stage0(buildStage1(), HOST);
});
afterAll(() => {
  if (!ROOT) return;
  stage0.close();
  for (const name of [HOST, WORLD]) spawnSync('ip', ['netns', 'del', name], { timeout: HANG_MS });
  rmSync(dir, { recursive: true, force: true });
});

const shell = (script: string, more: Record<string, unknown> = {}): AppSpec => ({ name: 'app', rootfs, app: { exec: ['/bin/busybox', 'sh', '-c', script], user: '0', group: '0', ...more } });
const flags = (net: string): string[] => [`--net=${net}`, `--local-config=${config}`];

async function run(net: string, script: string, spec: Partial<PodSpec> = {}): ReturnType<ReturnType<ReturnType<Stage0['prepare']>['run']>['end']> {
  const before = traces();
  const pod = stage0.prepare({ apps: [shell(script)], ...spec });
  const end = await pod.run(flags(net)).end();
  expect((await pod.gc()).stderr).toBe('');
  expect((await pod.gc()).status).toBe(0);
  pod.remove();
  // Nothing is left outside the pod.
  expect(traces()).toBe(before);
  for (const name of ['default', 'chain']) expect(leases(name)).toEqual([]);
  return end;
}

describe.skipIf(!ROOT)('a pod', () => {
  it('has the default network, and reaches a world that knows no way back to it', async () => {
    const server = ended(spawn('nsenter', [`--net=/run/netns/${WORLD}`, 'busybox', 'nc', '-l', '-p', '7000'], { stdio: 'pipe' }));
    const end = await run('default', 'busybox ip -4 -o addr show eth0 | busybox awk "{print \\$4}"; busybox ip route | busybox head -1; echo from the pod | busybox nc -w 5 10.8.0.2 7000');
    expect(end).toMatchObject({ status: 0, stdout: expect.stringMatching(/^172\.16\.28\.\d+\/24\ndefault via 172\.16\.28\.1 dev eth0 \n$/) });
    expect((await server).stdout).toBe('from the pod\n');
  });

  it('is reached by its published port from outside', async () => {
    const pod = stage0.prepare({ apps: [shell('echo ready; echo from the pod | busybox nc -l -p 80', { ports: [{ name: 'web', protocol: 'tcp', port: 80 }] })], pod: { ports: [{ name: 'web', hostPort: 8080 }] } });
    const running = pod.run(flags('default'));
    await running.said('ready');
    const info = JSON.parse(readFileSync(join(pod.dir, 'net-info.json'), 'utf8')) as Record<string, string>[];
    expect(info).toEqual([{ netName: 'default', netConf: expect.stringContaining('99-default.conf'), pluginPath: expect.stringMatching(/\/ptp$/), ifName: 'eth0', ip: expect.stringMatching(/^172\.16\.28\./), args: '', mask: '255.255.255.0' }]);
    // The server may not listen yet: then the pod's kernel refuses, and it is asked again.
    let answer = '';
    while (answer === '') answer = (await ended(spawn('nsenter', [`--net=/run/netns/${WORLD}`, 'busybox', 'nc', '-w', '5', '10.8.0.1', '8080'], { stdio: 'pipe' }))).stdout;
    expect(answer).toBe('from the pod\n');
    expect((await running.end()).status).toBe(0);
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
    expect(traces()).not.toContain('8080');
  });

  it('has several networks, a chain of plugins among them', async () => {
    const end = await run('chain,default', 'for i in eth0 eth1; do busybox ip -4 -o addr show $i | busybox awk "{print \\$4}"; done; cat /sys/class/net/eth0/mtu');
    expect(end).toMatchObject({ status: 0, stdout: expect.stringMatching(/^10\.77\.0\.\d+\/24\n172\.16\.28\.\d+\/24\n1400\n$/) });
  });

  it.each([
    ['nosuch', /networks not found: nosuch/],
    ['lies', /CNI plugin lies: its result: "not-an-address" is no address with a prefix/],
  ])('with the network %s does not start, in one line', async (net, message) => {
    const end = await run(net, 'echo must not run');
    expect(end).toMatchObject({ status: 254, stdout: '' });
    expect(end.stderr).toMatch(message);
    expect(end.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('that is killed while it has a network is cleaned by gc', async () => {
    const before = traces();
    const pod = stage0.prepare({ apps: [shell('echo ready; sleep 1000', { ports: [{ name: 'web', protocol: 'tcp', port: 80 }] })], pod: { ports: [{ name: 'web', hostPort: 8081 }] } });
    const running = pod.run(flags('default'));
    await running.said('ready');
    running.child.kill('SIGKILL');
    await running.end();
    expect(pod.locked).toBe(false);
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
    expect(traces()).toBe(before);
    expect(leases('default')).toEqual([]);
  });
});

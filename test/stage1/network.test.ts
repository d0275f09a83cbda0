/** A pod's networks, with the real plugins, in a network namespace that plays the host, joined to one that plays the world outside. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { playedHost } from './played-host.ts';
import { type AppSpec, ended, type PodSpec, type Stage0 } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const host = playedHost();

const shell = (script: string, more: Record<string, unknown> = {}): AppSpec => ({ name: 'app', rootfs: host.rootfs, app: { exec: ['/bin/busybox', 'sh', '-c', script], user: '0', group: '0', ...more } });
const flags = (net: string): string[] => [`--net=${net}`, `--local-config=${host.played.config}`];

async function run(net: string, script: string, spec: Partial<PodSpec> = {}): ReturnType<ReturnType<ReturnType<Stage0['prepare']>['run']>['end']> {
  const before = host.played.traces();
  const pod = host.stage0.prepare({ apps: [shell(script)], ...spec });
  const end = await pod.run(flags(net)).end();
  expect((await pod.gc()).stderr).toBe('');
  expect((await pod.gc()).status).toBe(0);
  pod.remove();
  // Nothing is left outside the pod.
  expect(host.played.traces()).toBe(before);
  for (const name of ['default', 'chain']) expect(host.played.leases(name)).toEqual([]);
  return end;
}

describe.skipIf(!ROOT)('a pod', () => {
  it('has the default network, and reaches a world that knows no way back to it', async () => {
    const server = ended(spawn('nsenter', [`--net=/run/netns/${host.played.world}`, 'busybox', 'nc', '-l', '-p', '7000'], { stdio: 'pipe' }));
    const end = await run('default', 'busybox ip -4 -o addr show eth0 | busybox awk "{print \\$4}"; busybox ip route | busybox head -1; echo from the pod | busybox nc -w 5 10.8.0.2 7000');
    expect(end).toMatchObject({ status: 0, stdout: expect.stringMatching(/^172\.16\.28\.\d+\/24\ndefault via 172\.16\.28\.1 dev eth0 \n$/) });
    expect((await server).stdout).toBe('from the pod\n');
  });

  it('is reached by its published port from outside', async () => {
    const pod = host.stage0.prepare({ apps: [shell('echo ready; echo from the pod | busybox nc -l -p 80', { ports: [{ name: 'web', protocol: 'tcp', port: 80 }] })], pod: { ports: [{ name: 'web', hostPort: 8080 }] } });
    const running = pod.run(flags('default'));
    await running.said('ready');
    const info = JSON.parse(readFileSync(join(pod.dir, 'net-info.json'), 'utf8')) as Record<string, string>[];
    expect(info).toEqual([{ netName: 'default', netConf: expect.stringContaining('99-default.conf'), pluginPath: expect.stringMatching(/\/ptp$/), ifName: 'eth0', ip: expect.stringMatching(/^172\.16\.28\./), args: '', mask: '255.255.255.0' }]);
    // The server may not listen yet: then the pod's kernel refuses, and it is asked again.
    let answer = '';
    while (answer === '') answer = (await ended(spawn('nsenter', [`--net=/run/netns/${host.played.world}`, 'busybox', 'nc', '-w', '5', '10.8.0.1', '8080'], { stdio: 'pipe' }))).stdout;
    expect(answer).toBe('from the pod\n');
    expect((await running.end()).status).toBe(0);
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
    expect(host.played.traces()).not.toContain('8080');
  });

  it('is told where rkt’s metadata service is', async () => {
    const pod = host.stage0.prepare({ apps: [shell('echo $AC_METADATA_URL')] });
    const end = await pod.run([...flags('default'), '--mds-token=0123456789abcdef0123456789abcdef']).end();
    expect(end).toMatchObject({ status: 0, stdout: 'http://172.16.28.1:18112/0123456789abcdef0123456789abcdef\n' });
    expect(readFileSync(join(pod.s1, 'rkt/env/app'), 'utf8')).toContain(`AC_METADATA_URL=${end.stdout}`);
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
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

  it('is stopped while a plugin does not answer: the plugin is killed, no app runs, gc cleans up', async () => {
    const before = host.played.traces();
    const pod = host.stage0.prepare({ apps: [shell('echo must not run')] });
    const running = pod.run(flags('hangs'));
    const hanging = join(host.played.dir, 'hanging');
    await running.shows('the plugin hangs', () => existsSync(hanging));
    expect(existsSync(join(pod.dir, 'pid'))).toBe(false);
    expect((await pod.stop()).status).toBe(0);
    expect(await running.end()).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(existsSync(`/proc/${readFileSync(hanging, 'utf8').trim()}`)).toBe(false);
    expect(await pod.gc()).toMatchObject({ status: 0, stderr: '' });
    pod.remove();
    expect(host.played.traces()).toBe(before);
  });

  it.each([
    ['twice', [{ name: 'web', hostPort: 8081 }, { name: 'web', hostPort: 8081 }]],
    ['for all addresses and one', [{ name: 'web', hostPort: 8081, hostIP: '10.8.0.1' }, { name: 'web', hostPort: 8081 }]],
    ['for 0.0.0.0 and one', [{ name: 'web', hostPort: 8081, hostIP: '0.0.0.0' }, { name: 'web', hostPort: 8081, hostIP: '10.8.0.1' }]],
  ])('with a port of the host given %s is refused', async (_what, ports) => {
    const end = await host.stage0.prepare({ apps: [shell('echo must not run', { ports: [{ name: 'web', protocol: 'tcp', port: 80 }] })], pod: { ports } }).run(flags('default')).end();
    expect(end).toMatchObject({ status: 254, stdout: '', stderr: 'stage1: port web: the host’s tcp port 8081 is given twice\n' });
  });

  it.each<[how: string, spoil: (pod: { readonly dir: string }) => void]>([
    // After a reboot there is no namespace any more; gc was killed behind its umount.
    ['its namespace is gone', ({ dir }) => void execFileSync('umount', [join(dir, 'netns')], { timeout: 60_000 })],
    // A gc was killed within the plugin's DEL, whose next one stumbles over that.
    ['a chain of its rules is gone', () => {
      const iptables = (...args: readonly string[]): string => execFileSync('nsenter', [`--net=/run/netns/${host.played.host}`, 'iptables', '-w', '-t', 'nat', ...args], { encoding: 'utf8', timeout: 60_000 });
      const [rule = ''] = /-A POSTROUTING -s 172\.16\.28\S+ .*-j CNI-[0-9a-f]{24}$/m.exec(iptables('-S')) ?? [];
      const chain = rule.split(' ').at(-1) ?? '';
      execFileSync('sh', ['-c', `nsenter --net=/run/netns/${host.played.host} iptables -w -t nat ${rule.replace('-A', '-D')}`], { timeout: 60_000 });
      iptables('-F', chain);
      iptables('-X', chain);
    }],
  ])('that is killed while it has a network is cleaned by gc: %s', async (_how, spoil) => {
    const before = host.played.traces();
    const pod = host.stage0.prepare({ apps: [shell('echo ready; sleep 1000', { ports: [{ name: 'web', protocol: 'tcp', port: 80 }] })], pod: { ports: [{ name: 'web', hostPort: 8081 }] } });
    const running = pod.run(flags('default'));
    await running.said('ready');
    running.child.kill('SIGKILL');
    await running.end();
    expect(pod.locked).toBe(false);
    spoil(pod);
    expect(await pod.gc()).toMatchObject({ status: 0, stderr: '' });
    pod.remove();
    expect(host.played.traces()).toBe(before);
    expect(host.played.leases('default')).toEqual([]);
  });

  it('of rkt 0.8 is cleaned after a reboot, though nothing of its image is mounted any more', async () => {
    const before = host.played.traces();
    const pod = host.stage0.prepare({ apps: [shell('echo ready; sleep 1000', { ports: [{ name: 'web', protocol: 'tcp', port: 80 }] })], pod: { ports: [{ name: 'web', hostPort: 8082 }] } });
    const running = pod.run(flags('default'));
    await running.said('ready');
    running.child.kill('SIGKILL');
    await running.end();
    execFileSync('umount', [join(pod.dir, 'netns')], { timeout: 60_000 });
    expect(await pod.gcOf08()).toMatchObject({ status: 0, stderr: '' });
    expect(host.played.traces()).toBe(before);
    expect(host.played.leases('default')).toEqual([]);
  });
});

import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';
import { Watched } from '../support/watched.ts';

const { image, root, cli, close } = ownContainers('figures');
afterAll(close);
beforeAll(async () => {
  const counts = 'trap "exit 3" TERM; i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; done';
  expect(await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'box', '--label', 'a=b', image, 'sh', '-c', counts)).toMatchObject({ status: 0 });
});
const count = async () => Number((await cli('exec', 'box', 'cat', '/tmp/count')).stdout.toString());
const text = async (command: string, ...rest: string[]) => (await cli(command, ...rest)).stdout.toString();

describe('ps', () => {
  it('Docker’s columns; several of one filter choose either, labels all', async () => {
    expect(await text('ps')).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n[0-9a-f]{12} .* "sh -c trap .*…" .* (\d+ seconds?|Less than a second|About a minute|\d+ minutes) ago +Up .* box\n$/);
    expect(await text('ps', '--filter', 'name=none', '--filter', 'name=bo', '--format', '{{.Names}} {{.State}} {{.Label "a"}}')).toBe('box running b\n');
    expect(await text('ps', '--filter', 'label=a', '--filter', 'label=c', '-q')).toBe('');
    expect(await text('ps', '-l', '--format', '{{json .Names}}')).toBe('"box"\n');
  });
});

describe('ps -s, inspect -s', () => {
  it('what its disk takes, and with its image', async () => {
    const [rw = 0, all = 0] = (await text('inspect', '-s', '-f', '{{.SizeRw}} {{.SizeRootFs}}', 'box')).split(' ').map(Number);
    expect(rw).toBeGreaterThan(0);
    expect(all).toBeGreaterThan(rw);
    expect(await text('ps', '-s')).toMatch(/NAMES +SIZE\n.* box +[\d.]+ [KM]iB \(virtual [\d.]+ MiB\)\n$/);
  });
});

describe('inspect of what is no container', () => {
  it('images and volumes by --type, images also without; the others are printed all the same', async () => {
    const { Image } = JSON.parse(await text('inspect', '-f', '{{json .}}', 'box')) as { Image: string };
    expect(JSON.parse(await text('inspect', Image.slice(7, 19)))).toMatchObject([{ Id: Image, Os: 'linux', Architecture: 'amd64' }]);
    const some = await cli('inspect', '-f', '{{.Id}}', 'none', Image);
    expect([some.status, some.stdout.toString()]).toEqual([1, `${Image}\n`]);
    expect(some.stderr).toMatch(/^vmm: [^\n]*\[CONTAINER_NOT_FOUND\]\n$/);
    expect(await cli('inspect', '--type', 'image', 'box')).toMatchObject({ status: 1, stdout: Buffer.from('[]\n'), stderr: expect.stringMatching(/\[IMAGE_NOT_FOUND\]\n$/) });
    expect(await cli('inspect', '--type', 'volume', 'none')).toMatchObject({ status: 1, stderr: expect.stringMatching(/\[VOLUME_NOT_FOUND\]\n$/) });
  });
});

describe('pause', () => {
  it('nothing of it runs until unpause; exec is refused; a second one, too', async () => {
    expect(await cli('pause', 'box')).toMatchObject({ status: 0, stdout: Buffer.from('box\n') });
    expect(await text('ps', '--format', '{{.State}} {{.Status}}')).toMatch(/^paused Up .* \(Paused\)\n$/);
    expect((await cli('exec', 'box', 'true')).stderr).toMatch(/paused.*\[CONTAINER_STATE\]/);
    expect(await cli('pause', 'box')).toMatchObject({ status: 1, stderr: expect.stringContaining('[CONTAINER_STATE]') });
    const one = await text('stats', '--no-stream', '--format', '{{.CPUPerc}}');
    expect(one).toBe('0.00%\n');
    expect(await cli('unpause', 'box')).toMatchObject({ status: 0 });
    expect(await cli('unpause', 'box')).toMatchObject({ status: 1, stderr: expect.stringContaining('[CONTAINER_STATE]') });
    const before = await count();
    while ((await count()) === before);
    expect(JSON.parse(await text('inspect', 'box'))).toMatchObject([{ State: { Status: 'running', Paused: false, Running: true } }]);
  });
});

describe('stats', () => {
  it('CPU, memory and processes of a busy one', async () => {
    const row = (JSON.parse(await text('stats', '--no-stream', '--format', 'json', 'box'))) as Record<string, string | number>;
    expect(row).toMatchObject({ Name: 'box', PIDs: 1, CPUPerc: expect.stringMatching(/^\d+\.\d\d%$/), MemUsage: expect.stringMatching(/^[\d.]+[KM]iB \/ [\d.]+MiB$/) });
    expect(Number.parseFloat(row['CPUPerc'] as string)).toBeGreaterThan(1);
    expect(await cli('stats', '--no-stream', 'none')).toMatchObject({ status: 125, stderr: expect.stringContaining('[CONTAINER_NOT_FOUND]') });
  });
});

describe('port', () => {
  it('a port that was left to the host is told, and leads to the container', async () => {
    const serve = 'mkdir /w; echo from the container > /w/index.html; busybox httpd -p 80 -h /w; echo serves; exec sleep 1000';
    expect(await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'web', '-h', 'web-host', '--network', 'user', '-p', '127.0.0.1::80', '-p', '127.0.0.1::81/udp', image, 'sh', '-c', serve)).toMatchObject({ status: 0, stderr: '' });
    const logs = new Watched(spawn(process.execPath, ['--', BIN, 'logs', '-f', '--root', root, 'web'], { stdio: ['ignore', 'pipe', 'pipe'] }));
    await logs.until('serves');
    logs.child.kill();
    const [, tcp, udp] = /^80\/tcp -> (127\.0\.0\.1:\d+)\n81\/udp -> (127\.0\.0\.1:\d+)\n$/.exec(await text('port', 'web')) ?? [];
    expect(await text('ps', '--filter', 'name=web', '--format', '{{.Ports}}')).toBe(`${tcp}->80/tcp, ${udp}->81/udp\n`);
    expect(await text('port', 'web', '80')).toBe(`${tcp}\n`);
    expect(await (await fetch(`http://${tcp}/`)).text()).toBe('from the container\n');
    // What the guest has, by its own kernel.
    const [mac = '', address = '', route = ''] = (await text('exec', 'web', 'sh', '-c', 'cat /sys/class/net/eth0/address; grep web-host /etc/hosts | head -n 1 | cut -f 1; busybox ip route | busybox awk \'$1 == "default" { print $3 }\'')).trim().split('\n');
    expect(await text('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}} {{.MacAddress}}{{end}}', 'web')).toBe(`${address} ${route} ${mac}\n`);
    expect(await text('inspect', '-f', '{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}} {{(index .NetworkSettings.Ports "80/tcp" 0).HostPort}}', 'web')).toBe(`${address}/24 ${tcp?.split(':')[1]}\n`);
    // A request and its answer are a few hundred bytes each way, with headers of Ethernet, IP and TCP.
    const { NetIO } = JSON.parse(await text('stats', '--no-stream', '--format', 'json', 'web')) as { readonly NetIO: string };
    const bytes = /^([\d.]+)(k?)B \/ ([\d.]+)(k?)B$/.exec(NetIO)?.slice(1).map((word) => (word === 'k' ? 1000 : word === '' ? 1 : Number(word))) ?? [];
    const [received = 0, thousand = 0, sent = 0, more = 0] = bytes;
    for (const count of [received * thousand, sent * more]) expect([NetIO, count >= 200 && count < 100_000]).toEqual([NetIO, true]);
    expect(await cli('rm', '-f', 'web')).toMatchObject({ status: 0 });
  });

  it('none is published', async () => {
    expect(await cli('port', 'box')).toMatchObject({ status: 0, stdout: Buffer.alloc(0) });
    expect(await cli('port', 'box', '80')).toMatchObject({ status: 125, stderr: expect.stringContaining('[CONTAINER_PORT]') });
  });
});

describe('stop', () => {
  it('ends a paused one by its stop signal', async () => {
    expect(await cli('pause', 'box')).toMatchObject({ status: 0 });
    expect(await cli('stop', '-t', '60', 'box')).toMatchObject({ status: 0 });
    expect(await text('ps', '-a', '--format', '{{.Status}}')).toMatch(/^Exited \(3\) .* ago\n$/);
  });
});

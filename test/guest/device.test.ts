/** `vmm device`: what a container that runs in a bound process is given by another process, and what is taken away. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { BIN, ROOT } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';
import { HANG_MS } from '../support/limits.ts';

const { image, root, cli, close } = ownContainers('device');
const dir = mkdtempSync(join(tmpdir(), 'vmm-device-'));
afterAll(async () => {
  await close();
  rmSync(dir, { recursive: true });
});
const SMALL = ['--accel', 'wasm', '-m', '128m'];
const add = (...rest: string[]) => cli('device', 'add', ...rest);
const inside = async (name: string, script: string) => {
  const { status, stdout, stderr } = await cli('exec', name, 'sh', '-c', script);
  return `${stdout.toString()}${stderr}${status === 0 ? '' : `[${status}]`}`;
};
const refused = (code: string) => ({ status: 125, stdout: Buffer.alloc(0), stderr: expect.stringMatching(new RegExp(`^vmm: [^\\n]*\\[${code}\\]\\n$`)) });
const SLEEP = 'trap exit TERM; while :; do sleep 1; done';

/** An empty file system, made by others' tools. */
function ext4(name: string): string {
  const path = join(dir, name);
  writeFileSync(path, '');
  truncateSync(path, 8 << 20);
  expect(spawnSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', path], { timeout: HANG_MS }).status).toBe(0);
  return path;
}
const onDisk = (path: string, file: string): string => spawnSync('debugfs', ['-R', `cat ${file}`, path], { encoding: 'utf8', timeout: HANG_MS }).stdout;

describe('vmm device', () => {
  // As root: what only its owner may enter, which the container's process, without capabilities, could not open.
  const share = join(dir, 'share');
  beforeAll(async () => {
    mkdirSync(share);
    writeFileSync(join(share, 'file'), 'of the host\n');
    if (process.getuid?.() === 0) chownSync(share, 1000, 1000);
    chmodSync(share, 0o700);
    expect(await cli('run', '-d', ...SMALL, '--name', 'runs', '--hotplug', 'mounts', '--hotplug', 'disks', '--hotplug', 'cards', image, 'sh', '-c', SLEEP)).toMatchObject({ status: 0 });
  });

  it('directories and files: mounted at once, read-only where that is said, seen by inspect and ls, gone with their descriptors', async () => {
    expect(await add('-v', `${share}:/in/a`, '--mount', `type=bind,src=${share}/file,dst=/one,readonly`, 'runs')).toMatchObject({ status: 0, stdout: Buffer.from('/in/a\n/one\n'), stderr: '' });
    expect(await inside('runs', 'cat /in/a/file /one; echo new >/in/a/made; echo no >/one')).toBe('of the host\nof the host\nsh: can\'t create /one: Read-only file system\n[1]');
    expect(readFileSync(join(share, 'made'), 'utf8')).toBe('new\n');
    expect((await cli('inspect', '-f', '{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.RW}},{{end}}', 'runs')).stdout.toString()).toBe(`bind ${share} /in/a true,bind ${share}/file /one false,\n`);
    expect((await cli('device', 'ls', 'runs')).stdout.toString()).toMatch(new RegExp(`^NAME +TYPE +SOURCE +DETAILS\n/in/a +bind +${share} +rw\n/one +bind +${share}/file +ro\neth0 +card +user +[0-9a-f:]{17} 10\\.0\\.2\\.15/24`));
    const { pid } = JSON.parse(readFileSync(join(root, 'containers', (await cli('inspect', '-f', '{{.Id}}', 'runs')).stdout.toString().trim(), 'life.json'), 'utf8')) as { pid: number };
    const held = () => spawnSync('ls', ['-l', `/proc/${pid}/fd`], { encoding: 'utf8', timeout: HANG_MS }).stdout.split('\n').filter((line) => line.includes(dir)).length;
    expect(held()).toBeGreaterThan(0);
    expect(await cli('device', 'rm', 'runs', '/in/a', '/one')).toMatchObject({ status: 0, stdout: Buffer.from('/in/a\n/one\n') });
    expect(await inside('runs', 'ls /in/a; grep -c virtiofs /proc/mounts')).toBe('0\n[1]');
    expect(held()).toBe(0);
  });

  it('what is in use stays, with one clear line; --force takes it away, and who has it open meets an error', async () => {
    expect(await add('-v', `${share}:/used`, 'runs')).toMatchObject({ status: 0 });
    await cli('exec', '-d', 'runs', 'sh', '-c', 'exec 3</used/file; echo held >/tmp/held; until [ -e /tmp/stop ]; do sleep 1; cat /proc/self/fd/3 >/tmp/out 2>&1; done');
    expect(await inside('runs', 'until [ -e /tmp/held ]; do sleep 0.1; done')).toBe('');
    expect(await cli('device', 'rm', 'runs', '/used')).toMatchObject({ status: 1, stdout: Buffer.alloc(0), stderr: expect.stringMatching(/^vmm: \/used is in use in the container \([^\n]*\) \[DEVICE_BUSY\]\n$/) });
    expect(await inside('runs', 'cat /used/file')).toBe('of the host\n');
    expect(await cli('device', 'rm', '-f', 'runs', '/used')).toMatchObject({ status: 0 });
    expect(await inside('runs', 'ls /used; until grep -qs "Stale\\|No such" /tmp/out; do sleep 0.1; done; touch /tmp/stop')).toBe('');
    expect(await cli('device', 'rm', 'runs', '/used')).toMatchObject({ status: 1, stderr: expect.stringContaining('[DEVICE_NOT_FOUND]') });
  });

  it('a disk: its file system is mounted, all is on it once it is taken away, and nobody else has it meanwhile', async () => {
    const disk = ext4('disk.img');
    expect(await add('--disk', `${disk}:/data`, 'runs')).toMatchObject({ status: 0, stdout: Buffer.from('/data\n') });
    expect(await inside('runs', 'echo kept >/data/file; grep /data /proc/mounts')).toMatch(/^\S+ \/data ext4 rw/);
    expect(await add('--disk', `${disk}:/again`, 'runs')).toMatchObject(refused('DISK_BUSY'));
    const other = ext4('other.img');
    expect(await add('--disk', `${other}:/again`, 'runs')).toMatchObject({ status: 125, stderr: expect.stringContaining('[DISK_SPARE]') });
    expect(await cli('device', 'rm', 'runs', '/data')).toMatchObject({ status: 0 });
    expect(onDisk(disk, '/file')).toBe('kept\n');
    // Mounted, but not to be attached there: it is unmounted again.
    expect(await add('--disk', `${disk}:/etc/passwd`, 'runs')).toMatchObject(refused('AGENT_MOUNT'));
    expect(spawnSync('dumpe2fs', ['-h', disk], { encoding: 'utf8', timeout: HANG_MS }).stdout).toMatch(/Filesystem state: +clean\n/);
    // The drive is free again, and what is read-only stays as it was.
    expect(await add('--disk', `${disk}:/data:ro`, 'runs')).toMatchObject({ status: 0 });
    expect(await inside('runs', 'cat /data/file; echo no >/data/file')).toBe('kept\nsh: can\'t create /data/file: Read-only file system\n[1]');
    expect(await cli('device', 'rm', 'runs', '/data')).toMatchObject({ status: 0 });
    // Of what is still mounted at the end nothing is lost.
    expect(await add('--disk', `${other}:/data`, 'runs')).toMatchObject({ status: 0 });
    expect(await inside('runs', 'echo last >/data/file')).toBe('');
  });

  it.skipIf(process.getuid?.() !== 0)('a tap: a card with its address and route, by Linux at the other end; its address goes with it', () => {
    const vmm = `${process.execPath} ${BIN}`;
    const at = `--root ${root}`;
    const script = [
      'ip tuntap add t0 mode tap', 'ip addr add 10.9.0.1/24 dev t0', 'ip link set t0 up',
      `${vmm} device add ${at} --network tap=t0,ip=10.9.0.2/24 runs`, `${vmm} exec ${at} runs sh -c 'ping -c1 -W5 10.9.0.1 | grep -o "1 packets received"'`,
      `${vmm} inspect ${at} -f '{{.NetworkSettings.Networks.tap.IPAddress}}' runs`, `${vmm} device rm ${at} runs eth1`, `${vmm} exec ${at} runs sh -c 'ip addr show eth1 | grep -c inet'`,
      // Another address, on the same card.
      'ip addr add 10.8.0.1/24 dev t0', `${vmm} device add ${at} --network tap=t0,ip=10.8.0.2/24 runs`, `${vmm} exec ${at} runs sh -c 'ip -o -4 addr show eth1 | grep -o "10.[89].0.2/"'`, `${vmm} device rm ${at} runs eth1`,
    ];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_|VITEST)/.test(name)));
    const { stdout, stderr } = spawnSync('unshare', ['-n', 'sh', '-c', script.join('\n')], { encoding: 'utf8', env, timeout: HANG_MS });
    expect({ stdout, stderr }).toEqual({ stdout: 'eth1\n1 packets received\n10.9.0.2\neth1\n0\neth1\n10.8.0.2/\neth1\n', stderr: '' });
  });

  it('the network that it began with is taken away, and comes back as it was', async () => {
    expect(await cli('device', 'rm', 'runs', 'eth0')).toMatchObject({ status: 0 });
    expect(await inside('runs', 'ip route | wc -l; ip -4 addr show eth0 | grep -c inet')).toBe('0\n0\n[1]');
    expect((await cli('inspect', '-f', '{{len .NetworkSettings.Networks}}', 'runs')).stdout.toString()).toBe('0\n');
    expect(await add('--network', 'user', 'runs')).toMatchObject({ status: 0, stdout: Buffer.from('eth0\n') });
    expect(await inside('runs', 'ping -c1 -W5 10.0.2.2 | grep -o "1 packets received"')).toBe('1 packets received\n');
    expect(await add('--network', 'user', 'runs')).toMatchObject(refused('DEVICE_ROOM'));
  });

  it('a name that the container makes lead elsewhere leads nowhere else, and what is not of the host stays', async () => {
    expect(await inside('runs', 'mkdir /real; ln -s /../../real /trick')).toBe('');
    expect(await add('-v', `${share}:/trick/x`, 'runs')).toMatchObject({ status: 0 });
    expect(await inside('runs', 'cat /real/x/file')).toBe('of the host\n');
    expect(await inside('runs', 'rm /trick; ln -s /proc /trick')).toBe('');
    // Its name leads to what covers a file of the guest's now, and nothing is unmounted there.
    expect(await cli('device', 'rm', 'runs', '/trick/x')).toMatchObject({ status: 0 });
    expect(await inside('runs', 'ls /real/x 2>&1 | grep -c "Stale\\|No such"')).toBe('1\n');
    for (const name of ['/proc/kcore', '/proc', '/dev', '/', 'eth7', '']) expect(await cli('device', 'rm', 'runs', name)).toMatchObject({ status: 1, stderr: expect.stringContaining('[DEVICE_NOT_FOUND]') });
  });

  it('bad input: one line, and nothing is changed', async () => {
    symlinkSync('/nowhere', join(dir, 'broken'));
    const lines: readonly (readonly [readonly string[], string])[] = [
      [[], 'USAGE'], [['-v', '/x'], 'USAGE'], [['--mount', 'type=tmpfs,dst=/x'], 'USAGE'], [['-v', `${share}:/x:watch`], 'USAGE'], [['--mount', `type=bind,src=${dir}/missing,dst=/x`], 'MOUNT_SOURCE'],
      [['--mount', 'type=bind,src=/dev/null,dst=/x'], 'MOUNT_SOURCE'], [['--disk', 'x'], 'USAGE'], [['--disk', `${dir}:/x`], 'DISK_OPEN'], [['--disk', `${dir}/missing:/x`], 'DISK_OPEN'], [['--disk', `${BIN}:/x`], 'DISK_FORMAT'],
      [['--network', 'none'], 'USAGE'], [['--network', 'container:web'], 'USAGE'], [['--network', 'tap=x,mac=02:00:00:00:00:01'], 'USAGE'], [['--network', `unix=${dir}/none`], 'NET_OPEN'], [['--network', 'fd=77'], 'NET_OPEN'], [['-v', `${share}:/proc/x`], 'USAGE'],
      [['-v', `${share}:/dev`], 'MOUNT_TARGET'], [['-v', `${share}/file:/etc`], 'AGENT_MOUNT'],
    ];
    const before = (await cli('device', 'ls', 'runs')).stdout.toString();
    for (const [words, code] of lines) expect([words, await add(...words, 'runs')]).toMatchObject([words, refused(code)]);
    expect((await cli('device', 'ls', 'runs')).stdout.toString()).toBe(before);
    expect(await cli('device', 'what', 'runs')).toMatchObject(refused('USAGE'));
    expect(await cli('run', ...SMALL, '--hotplug', 'disks=9', image, 'true')).toMatchObject(refused('USAGE'));
  });

  it('its end writes what is on its disks, and leaves no socket, also when its process was killed', async () => {
    expect(await cli('stop', 'runs')).toMatchObject({ status: 0 });
    expect(onDisk(join(dir, 'other.img'), '/file')).toBe('last\n');
    expect(await add('-v', `${share}:/x`, 'runs')).toMatchObject(refused('CONTAINER_STATE'));
    expect(readdirSync(join(root, 'sockets'))).toEqual([]);
    expect(await cli('start', 'runs')).toMatchObject({ status: 0 });
    const pid = Number((await cli('inspect', '-f', '{{.State.Pid}}', 'runs')).stdout.toString());
    process.kill(pid, 'SIGKILL');
    await cli('wait', 'runs');
    expect(await cli('rm', 'runs')).toMatchObject({ status: 0 });
    expect(readdirSync(join(root, 'sockets'))).toEqual([]);
  });
});

it('--hotplug mounts=DIR: what lies there and nothing else; a restart in the same machine keeps it, a new start does not', async () => {
  const folder = join(dir, 'folder');
  mkdirSync(join(folder, 'a'), { recursive: true });
  writeFileSync(join(folder, 'a', 'file'), 'of the folder\n');
  const script = 'if [ -e /again ]; then cat /later/file; exec sleep 1000; fi; touch /again; until [ -e /later/file ]; do sleep 0.1; done; exit 3';
  expect(await cli('run', '-d', ...SMALL, '--name', 'held', '--restart', 'on-failure:1', '--hotplug', `mounts=${folder}`, image, 'sh', '-c', script)).toMatchObject({ status: 0 });
  expect(await add('-v', `${dir}:/later`, 'held')).toMatchObject(refused('DEVICE_ROOM'));
  // More than the socket holds unread; and what was refused is let go at once.
  const third = ext4('third.img');
  for (let n = 0; n < 12; n++) expect(await add('--disk', `${third}:/x`, 'held')).toMatchObject(refused('DEVICE_ROOM'));
  expect(await add('-v', `${join(folder, 'a')}:/later`, 'held')).toMatchObject({ status: 0 });
  const logged = async (): Promise<string> => {
    for (;;) {
      const text = (await cli('logs', 'held')).stdout.toString();
      if (text !== '') return text;
    }
  };
  expect(await logged()).toBe('of the folder\n');
  expect(await cli('restart', '-t', '0', 'held')).toMatchObject({ status: 0 });
  expect(await inside('held', 'ls /later')).toBe('');
  expect(existsSync(join(folder, 'a', 'file'))).toBe(true);
});

it('the share mounted once more by a container that may: its own export of last, with what may be done there; of one that was taken away nothing', async () => {
  const [own, later] = ['own', 'later'].map((name) => join(dir, name)) as [string, string];
  for (const folder of [own, later]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), `${folder}\n`);
  }
  expect(await cli('run', '-d', ...SMALL, '--name', 'may', '--privileged', '--network', 'none', '--hotplug', 'mounts', '-v', `${own}:/own`, image, 'sh', '-c', SLEEP)).toMatchObject({ status: 0 });
  expect(await add('-v', `${later}:/later:ro`, 'may')).toMatchObject({ status: 0 });
  expect(await inside('may', 'mkdir /m; mount -t virtiofs vmm /m; cat /m/file; mount -o remount,rw /m; echo no >/m/file')).toBe(`${later}\nsh: can't create /m/file: Read-only file system\n[1]`);
  expect(await cli('device', 'rm', 'may', '/later')).toMatchObject({ status: 0 });
  expect(await inside('may', 'cat /m/file 2>&1 | grep -c "Stale\\|No such"; cat /own/file')).toBe(`1\n${own}\n`);
});

it('a guest that answers nothing holds nobody up: with force the host lets go of what it had', async () => {
  const { ContainerRun, LiveDevices, hostFs, resolveImage } = (await import(join(ROOT, 'dist/vmm.js'))) as typeof Library;
  const { rootfs, config } = await resolveImage(image, { host: hostFs });
  const ignored = (): void => {};
  const run = new ContainerRun({ rootfs, config }, { command: ['sh', '-c', SLEEP] }, { memoryMib: 128, accel: 'wasm', sharesLater: true }, { stdout: ignored, stderr: ignored });
  const silent = join(dir, 'silent');
  mkdirSync(silent);
  const held = (): number => readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === silent;
    } catch {
      return false;
    }
  }).length;
  const stop = new AbortController();
  const ended = run.run({ signal: stop.signal });
  try {
    await run.process.started;
    await new LiveDevices(run).mount({ path: silent, target: '/silent' });
    expect(held()).toBeGreaterThan(0);
    // A frozen container holds no change of its mounts up, and cannot reach who makes it.
    await run.container.pause();
    await new LiveDevices(run).mount({ path: silent, target: '/frozen' });
    await new LiveDevices(run).remove('/frozen', false);
    await run.container.resume();
    await run.guest.machine.pause();
    const live = new LiveDevices(run, { guestMs: 300 });
    await expect(live.remove('/silent', false)).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    await expect(live.mount({ path: silent, target: '/other' })).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    await live.remove('/silent', true);
    expect(held()).toBe(0);
  } finally {
    await run.guest.machine.resume();
    stop.abort();
    await ended;
  }
});

it('without room, or without a container that is kept, it is said what to do', async () => {
  expect(await cli('run', '-d', ...SMALL, '--network', 'none', '--name', 'plain', image, 'sleep', '1000')).toMatchObject({ status: 0 });
  expect(await add('-v', `${dir}:/x`, 'plain')).toMatchObject(refused('DEVICE_ROOM'));
  expect(await add('--network', 'user', 'plain')).toMatchObject(refused('DEVICE_ROOM'));
  expect(await cli('pause', 'plain')).toMatchObject({ status: 0 });
  expect(await cli('device', 'rm', 'plain', '/x')).toMatchObject({ status: 1, stderr: expect.stringContaining('paused') });
  expect(await cli('run', ...SMALL, '--hotplug', 'mounts', image, 'true')).toMatchObject(refused('USAGE'));
  expect(await add('-v', `${dir}:/x`, 'nobody')).toMatchObject(refused('CONTAINER_NOT_FOUND'));
});

/** `vmm run --network container:NAME`: a container in the machine of another, owned by a process of its own. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';

const { image, root, cli, close } = ownContainers('joined');
const shared = mkdtempSync(join(tmpdir(), 'vmm-joined-'));
const other = mkdtempSync(join(tmpdir(), 'vmm-joined-'));
const SERVES = 'trap "exit 3" TERM; echo from-web >/data/hello; while :; do echo served | busybox nc -l -p 8080; done & while :; do sleep 0.1; done';
const web = (name = 'web') => cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', name, '-h', 'webhost', '-v', `${shared}:/data`, image, 'sh', '-c', SERVES);
const beside = (...rest: string[]) => cli('run', '--network', 'container:web', ...rest);
const seen = async (name: string, format: string) => (await cli('inspect', '-f', format, name)).stdout.toString().trim();
const idOf = (name: string) => readFileSync(join(root, 'names', name), 'utf8');
const readId = (name: string) => (existsSync(join(root, 'names', name)) ? idOf(name) : 'none');
const linkOf = (path: string) => {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
};
const pidOf = (name: string): number => JSON.parse(readFileSync(join(root, 'containers', idOf(name), 'life.json'), 'utf8')).pid;
/** As a first process: nothing but SIGKILL ends it. */
const IGNORES = ['sh', '-c', 'trap "" TERM; echo written >/late; while :; do sleep 1; done'];
const SLEEPS = ['sh', '-c', 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.1; done'];

beforeAll(async () => {
  mkdirSync(join(shared, 'below'));
  writeFileSync(join(other, 'file'), 'x');
  expect(await web()).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await close();
  for (const folder of [shared, other]) rmSync(folder, { recursive: true });
});

describe('--network container:NAME', () => {
  it('has the other’s network, host name and files of names, and processes, files and limits of its own', async () => {
    const script = 'busybox nc 127.0.0.1 8080; hostname; echo $HOSTNAME; grep -c webhost /etc/hosts; ls /proc/1/task | wc -l; cat /proc/1/comm; cat /sys/fs/cgroup/memory.max; ls /data 2>&1';
    const { status, stdout, stderr } = await beside('--rm', '-m', '64m', image, 'sh', '-c', script);
    expect({ status, stderr, lines: stdout.toString().split('\n') }).toMatchObject({ status: 1, stderr: '', lines: ['served', 'webhost', 'webhost', expect.stringMatching(/^[1-9]/), '1', 'sh', `${64 << 20}`, 'ls: /data: No such file or directory', ''] });
    // Nothing of it stays, in the other's folder neither.
    expect(readdirSync(join(root, 'containers'))).toEqual([idOf('web')]);
    expect(readdirSync(join(root, 'containers', idOf('web'))).filter((file) => file.startsWith('join'))).toEqual([]);
  });

  it('input, output, status, log and changes are its own, from start to start', async () => {
    expect(await vmm(['run', '--root', root, '-i', '--network', 'container:web', '--name', 'side', image, 'sh', '-c', 'echo run >>/runs; cat /runs -; echo err >&2; exit 7'], { stdin: 'in\n' })).toMatchObject({ status: 7, stdout: Buffer.from('run\nin\n'), stderr: 'err\n' });
    expect(await vmm(['start', '--root', root, '-ai', 'side'], { stdin: '' })).toMatchObject({ status: 7, stdout: Buffer.from('run\nrun\n') });
    expect((await cli('logs', 'side')).stdout.toString()).toBe('run\nin\nrun\nrun\n');
    expect(await seen('side', '{{.State.Status}} {{.State.ExitCode}} {{.HostConfig.NetworkMode}}')).toBe(`exited 7 container:${idOf('web')}`);
    // Its disk is whole: read on the host, and by a machine of its own.
    expect((await cli('diff', 'side')).stdout.toString()).toBe('A /runs\n');
    expect(await cli('rm', 'side')).toMatchObject({ status: 0 });
  });

  it('exec, top, stats, pause, update, cp, kill and stop are of it alone', async () => {
    expect(await cli('run', '-d', '--network', 'container:web', '--name', 'bg', image, ...SLEEPS)).toMatchObject({ status: 0 });
    expect(await cli('exec', 'bg', 'sh', '-c', 'echo x >/y; exit 4')).toMatchObject({ status: 4 });
    expect(await cli('exec', 'bg', '/no/such')).toMatchObject({ status: 127 });
    expect((await cli('top', 'bg')).stdout.toString().split('\n')[1]).toMatch(/^0 +1 +0 /);
    expect((await cli('stats', '--no-stream', '--format', '{{.PIDs}}', 'bg')).stdout.toString()).toMatch(/^[12]\n$/);
    await cli('pause', 'bg');
    expect([await seen('bg', '{{.State.Status}}'), await seen('web', '{{.State.Status}}')]).toEqual(['paused', 'running']);
    await cli('unpause', 'bg');
    expect(await cli('update', '-m', '32m', 'bg')).toMatchObject({ status: 0 });
    expect((await cli('exec', 'bg', 'cat', '/sys/fs/cgroup/memory.max')).stdout.toString()).toBe(`${32 << 20}\n`);
    expect((await cli('diff', 'bg')).stdout.toString()).toBe('A /y\n');
    expect(await cli('cp', 'bg:/y', join(other, 'y'))).toMatchObject({ status: 0 });
    expect(readFileSync(join(other, 'y'), 'utf8')).toBe('x\n');
    await cli('stop', 'bg');
    expect(await seen('bg', '{{.State.Status}} {{.State.ExitCode}}')).toBe('exited 5');
    await cli('rm', 'bg');
    expect(await seen('web', '{{.State.Status}}')).toBe('running');
  });

  it('has what is mounted in the other, and nothing else of the host’s', async () => {
    expect(await beside('--rm', '-v', `${shared}:/mine:ro`, image, 'sh', '-c', 'cat /mine/hello; touch /mine/no')).toMatchObject({ status: 1, stdout: Buffer.from('from-web\n'), stderr: expect.stringMatching(/Read-only/) });
    expect((await beside('--rm', '--volumes-from', 'web', image, 'cat', '/data/hello')).stdout.toString()).toBe('from-web\n');
    expect(await beside('--rm', '-v', `${other}:/mine`, image, 'true')).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: [^\n]*what is mounted in that one[^\n]*\[USAGE\]\n$/) });
  });

  it('a command that is not there is 127; whom it does not find, and who does not run, is told in Docker’s words', async () => {
    expect(await beside('--rm', image, '/no/such')).toMatchObject({ status: 127 });
    expect(await cli('run', '--network', 'container:nope', image, 'true')).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: No such container: nope .*\[CONTAINER_NOT_FOUND\]\n$/) });
    await cli('create', '--name', 'made', image, 'true');
    expect(await cli('run', '--rm', '--network', 'container:made', image, 'true')).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: cannot join network of a non running container: .*\[CONTAINER_STATE\]\n$/) });
    await cli('rm', 'made');
  });

  it('two at once, each with its disk; a third is refused until one has ended', async () => {
    const names = ['a', 'b'];
    expect(await Promise.all(names.map((name) => cli('run', '-d', '--network', 'container:web', '--name', name, image, ...SLEEPS)))).toMatchObject(names.map(() => ({ status: 0 })));
    expect(await beside('--rm', image, 'true')).toMatchObject({ status: 125, stderr: expect.stringMatching(/no drive left .*\[CONTAINER_BUSY\]\n$/) });
    await cli('rm', '-f', 'a');
    expect(await beside('--rm', image, 'true')).toMatchObject({ status: 0 });
    // The kill of its own process ends it in the machine, too: its next start has its drives and its disk.
    process.kill(pidOf('b'), 'SIGKILL');
    await expect.poll(() => seen('b', '{{.State.Status}} {{.State.ExitCode}}')).toBe('dead 137');
    expect(await cli('start', 'b')).toMatchObject({ status: 0 });
    expect(await beside('--rm', image, 'true')).toMatchObject({ status: 0 });
    expect(await cli('rm', '-f', ...names.slice(1))).toMatchObject({ status: 0 });
  });

  it('while the other’s process answers nothing its disks have no second name, and it can be stopped and removed', async () => {
    process.kill(pidOf('web'), 'SIGSTOP');
    try {
      const starts = cli('run', '-d', '--network', 'container:web', '--name', 'waits', image, ...SLEEPS);
      await expect.poll(() => existsSync(join(root, 'containers', readId('waits'), 'life.json'))).toBe(true);
      const folder = join(root, 'containers', idOf('waits'));
      const named = () => readdirSync(join(root, 'containers', idOf('web'))).filter((name) => name.startsWith('join'));
      const open = () => readdirSync(`/proc/${pidOf('waits')}/fd`).map((fd) => linkOf(`/proc/${pidOf('waits')}/fd/${fd}`));
      await expect.poll(() => named().length > 0 || open().includes(join(folder, 'disk'))).toBe(true);
      expect([named(), statSync(join(folder, 'disk')).nlink]).toEqual([[], 1]);
      expect(await cli('rm', '-f', 'waits')).toMatchObject({ status: 0 });
      expect((await starts).status).not.toBe(0);
    } finally {
      process.kill(pidOf('web'), 'SIGCONT');
    }
    // What it had asked for is not left in the machine.
    await expect.poll(async () => (await beside('--rm', image, 'true')).status, { timeout: 60_000 }).toBe(0);
  });

  it('what it has mounted is not taken from under it', async () => {
    expect(await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--hotplug', 'mounts', '--name', 'lends', image, ...SLEEPS)).toMatchObject({ status: 0 });
    const aside = (...rest: string[]) => cli('run', '--network', 'container:lends', ...rest);
    expect(await aside('--rm', '-v', `${other}:/mine`, image, 'true')).toMatchObject({ status: 125 });
    expect(await cli('device', 'add', '-v', `${other}:/lent`, 'lends')).toMatchObject({ status: 0 });
    expect(await aside('-d', '-v', `${other}:/mine`, '--name', 'uses', image, ...SLEEPS)).toMatchObject({ status: 0 });
    expect(await cli('device', 'rm', 'lends', '/lent')).toMatchObject({ stderr: expect.stringMatching(/joined this one.*\[DEVICE_BUSY\]\n$/) });
    expect((await cli('exec', 'uses', 'cat', '/mine/file')).stdout.toString()).toBe('x');
    expect(await cli('rm', '-f', 'uses')).toMatchObject({ status: 0 });
    expect(await cli('device', 'rm', 'lends', '/lent')).toMatchObject({ status: 0 });
    expect(await aside('--rm', '-v', `${other}:/mine`, image, 'true')).toMatchObject({ status: 125, stderr: expect.stringMatching(/mounted in that one/) });
    expect(await cli('rm', '-f', 'lends')).toMatchObject({ status: 0 });
  });

  it('both ignore the stop signal: what the joined one has written is on its disk all the same', async () => {
    expect(await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'deaf', image, ...IGNORES)).toMatchObject({ status: 0 });
    expect(await cli('run', '-d', '--network', 'container:deaf', '--stop-timeout', '60', '--name', 'deafer', image, ...IGNORES)).toMatchObject({ status: 0 });
    expect((await cli('exec', 'deafer', 'sh', '-c', 'until [ -s /late ]; do sleep 0.1; done')).status).toBe(0);
    // Longer than what is killed may take to go (10 s): a second such time after the first would be cut short.
    expect(await cli('stop', '-t', '11', 'deaf')).toMatchObject({ status: 0 });
    await cli('wait', 'deafer');
    expect([await seen('deafer', '{{.State.Status}} {{.State.ExitCode}}'), (await cli('diff', 'deafer')).stdout.toString(), (await cli('logs', 'deafer')).stderr]).toEqual(['exited 137', 'A /late\n', '']);
    expect(await cli('rm', 'deafer', 'deaf')).toMatchObject({ status: 0 });
  });

  it('ends with the other: stopped in order, or told when that was killed; and starts again with it', async () => {
    await cli('run', '-d', '--restart', 'always', '--network', 'container:web', '--name', 'last', image, ...SLEEPS);
    await cli('stop', '-t', '20', 'web');
    await cli('wait', 'last');
    expect([await seen('web', '{{.State.ExitCode}}'), await seen('last', '{{.State.Status}} {{.State.ExitCode}}')]).toEqual(['3', 'exited 5']);
    expect(await cli('start', 'last')).toMatchObject({ status: 1, stderr: expect.stringMatching(/non running container/) });
    expect(await cli('start', 'web')).toMatchObject({ status: 0 });
    expect(await cli('start', 'last')).toMatchObject({ status: 0 });
    const waits = cli('wait', 'last');
    process.kill(pidOf('web'), 'SIGKILL');
    expect((await waits).stdout.toString()).toBe('137\n');
    expect([await seen('web', '{{.State.Status}}'), await seen('last', '{{.State.Status}}')]).toEqual(['dead', 'exited']);
    expect(await cli('rm', '-f', 'web', 'last')).toMatchObject({ status: 0 });
    expect(['containers', 'names', 'sockets'].map((folder) => readdirSync(join(root, folder)))).toEqual([[], [], []]);
  });
});

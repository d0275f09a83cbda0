/** The library's guest: containers that come and go in one machine, as a pod or a runtime would use it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';

// The built library, as its users import it.
const { ContainerRun, Guest, resolveImage } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

let folder: string;
let rootfs: string;
let image: Awaited<ReturnType<typeof resolveImage>>;
beforeAll(async () => {
  folder = busyboxImage();
  const store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
  process.env['VMM_STORE'] = store;
  image = await resolveImage(folder);
  ({ rootfs } = image);
  return () => rmSync(store, { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

const newGuest = () => new Guest({ memoryMib: 128, accel: 'wasm', disks: [{ path: rootfs, readOnly: true, id: 'root' }] });
const spec = (script: string): Library.ContainerSpec => ({
  args: ['/bin/sh', '-c', script],
  env: ['PATH=/bin'],
  root: { kind: 'block', serial: 'root', fstype: 'erofs', readOnly: true },
  overlay: { kind: 'tmpfs' },
});

interface Outcome {
  readonly output: string;
  readonly status: number;
}

/** All of a process's output, and how it ended. */
async function outcome(process: Library.ProcessHandle): Promise<Outcome> {
  return (await told(process, '')).ended;
}

/** Resolves once the process has written `text` first: a shell's traps are there. */
async function told(process: Library.ProcessHandle, text: string): Promise<{ readonly ended: Promise<Outcome> }> {
  let output = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  const add = (bytes: Uint8Array): void => {
    output += Buffer.from(bytes).toString();
    if (output.startsWith(text)) resolve();
  };
  process.onStdout(add);
  process.onStderr(add);
  const ended = process.wait().then(({ status }) => ({ output, status }));
  if (text !== '') await Promise.race([promise, ended]);
  return { ended };
}

describe('a guest', () => {
  it('runs containers side by side, execs, tells figures, passes signals on, freezes, and is shut down in order', async () => {
    await using guest = newGuest();
    const ended = guest.run();
    expect(await guest.hello()).toMatchObject({ version: 1 });
    const long = guest.create(spec('trap "echo bye; exit 9" USR1; echo up; while :; do sleep 0.1; done'));
    const longOutcome = await told(long.process, 'up\n');
    expect(await long.process.started).toBeGreaterThan(0);
    const second = guest.create(spec('echo second; hostname x; exit 3'));
    expect(await outcome(second.process)).toMatchObject({ output: expect.stringMatching(/^second\n/), status: 3 });
    expect(second.id).not.toBe(long.id);

    // A process in the first container sees that container's processes.
    expect(await outcome(long.exec({ args: ['/bin/sh', '-c', 'ps -o args | grep -c "[t]rap"'], env: ['PATH=/bin'] }))).toEqual({ output: '1\n', status: 0 });
    expect((await long.stats()).get('cpu.stat')).toMatch(/^usage_usec \d+/m);
    expect((await guest.stats()).get('/proc/meminfo')).toMatch(/^MemTotal:/);
    await long.update(['pids.max=17']);
    expect(await outcome(long.exec({ args: ['/bin/cat', '/sys/fs/cgroup/pids.max'], env: ['PATH=/bin'] }))).toEqual({ output: '17\n', status: 0 });
    expect(Number((await long.stats()).get('pids.current'))).toBeGreaterThan(0);

    await long.pause();
    await long.signal(10);
    await long.resume();
    // Each process gets it, the shell's sleep too.
    expect(await longOutcome.ended).toEqual({ output: expect.stringMatching(/bye\n$/), status: 9 });

    const last = guest.create(spec('trap "echo stopped; exit 0" TERM; echo up; while :; do sleep 0.1; done'));
    const lastOutcome = await told(last.process, 'up\n');
    await guest.sync();
    const result = await guest.shutdown('poweroff', 5000);
    expect(result).toEqual({ kind: 'poweroff' });
    expect(await lastOutcome.ended).toEqual({ output: 'up\nstopped\n', status: 0 });
    expect(await ended).toEqual(result);
  });

  it('holds a sandbox whose namespaces containers share: a pod', async () => {
    await using guest = newGuest();
    void guest.run();
    const sandbox = guest.createSandbox({ hostname: 'pod' });
    await sandbox.process.started;
    const join = { uts: { container: sandbox.id }, ipc: { container: sandbox.id } };
    const outcomes = await Promise.all([1, 2].map((n) => outcome(guest.create({ ...spec(`hostname; exit ${n}`), namespaces: join }).process)));
    expect(outcomes).toEqual([{ output: 'pod\n', status: 1 }, { output: 'pod\n', status: 2 }]);
    await guest.shutdown();
  });

  it('that is killed before it runs, or while it does, ends as stopped', async () => {
    await using early = newGuest();
    early.kill();
    expect(await early.run()).toEqual({ kind: 'stopped' });
    await using late = newGuest();
    const ended = late.run();
    const container = late.create(spec('sleep 1000'));
    await container.process.started;
    late.kill();
    expect(await ended).toEqual({ kind: 'stopped' });
    await expect(container.process.wait()).rejects.toMatchObject({ code: expect.stringMatching(/^AGENT_/) });
  });

  it('prepares a container, and starts its command when it is told to', async () => {
    await using guest = newGuest();
    const ended = guest.run();
    const held = guest.create({ ...spec('echo runs; exit 4'), hold: true });
    await held.process.prepared;
    await expect(held.exec({ args: ['/bin/true'], env: [] }).started).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    const running = outcome(held.process);
    await held.start();
    expect(await running).toEqual({ output: 'runs\n', status: 4 });
    await guest.shutdown();
    await ended;
  });

  it('takes a disk while it runs, and a container that is made then mounts it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'vmm-disk-'));
    const disk = join(directory, 'disk');
    execFileSync('mke2fs', ['-q', '-t', 'ext4', disk, '8M']);
    try {
      await using guest = new Guest({ memoryMib: 128, accel: 'wasm', disks: [{ path: rootfs, readOnly: true, id: 'root' }], spareDisks: 1 });
      void guest.run();
      await guest.hello();
      const mount = { target: '/mnt', source: { kind: 'block', serial: 'later', fstype: 'ext4' } } as const;
      await guest.addDisk({ path: disk, readOnly: false, id: 'later' });
      const container = guest.create({ ...spec('echo kept > /mnt/file; sync; df /mnt | tail -n 1'), mounts: [mount] });
      expect(await outcome(container.process)).toMatchObject({ status: 0, output: expect.stringContaining('/mnt') });
      await expect(guest.addDisk({ path: disk, readOnly: false, id: 'third' })).rejects.toMatchObject({ code: 'DISK_SPARE' });
      // Out again: no descriptor of this process leads to it, another machine may have it, and the drive takes the next.
      await guest.removeDisk('later');
      expect(openFiles()).not.toContain(disk);
      expect(execFileSync('flock', ['-n', disk, 'echo', 'free'], { encoding: 'utf8' })).toBe('free\n');
      expect(() => guest.machine.removeDisk('later')).toThrow('no drive has a disk later');
      expect(() => guest.machine.removeDisk('root')).toThrow('no drive has a disk root');
      const second = join(directory, 'second');
      execFileSync('mke2fs', ['-q', '-t', 'ext4', second, '16M']);
      for (const round of [1, 2, 3]) {
        await guest.addDisk({ path: second, readOnly: false, id: 'second' });
        const again = guest.create({ ...spec(`echo ${round} >> /mnt/file; sync; cat /mnt/file`), mounts: [{ ...mount, source: { ...mount.source, serial: 'second' } }] });
        expect(await outcome(again.process)).toEqual({ status: 0, output: '1\n2\n3\n'.slice(0, 2 * round) });
        await guest.removeDisk('second');
      }
      await guest.shutdown();
      expect(execFileSync('debugfs', ['-R', 'cat file', disk], { encoding: 'utf8', stdio: 'pipe' })).toBe('kept\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

const openFiles = (): string[] => readdirSync('/proc/self/fd').flatMap((fd) => {
  try {
    return [readlinkSync(`/proc/self/fd/${fd}`)];
  } catch {
    return []; // the listing's own
  }
});

describe('a container run of the library', () => {
  it('needs an image, a command and where the output goes: the rest has defaults', async () => {
    let output = '';
    const add = (bytes: Uint8Array): void => { output += Buffer.from(bytes).toString(); };
    const run = new ContainerRun(image, { command: ['/bin/sh', '-c', 'echo $PATH; id -u; exit 4'] }, { accel: 'wasm' }, { stdout: add, stderr: add });
    expect(await run.run()).toMatchObject({ kind: 'exited', status: { status: 4 } });
    expect(output).toBe('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n0\n');
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProcessHandle } from '../../../vmm/agent/index.ts';
import { container, finish, type Guest, Reader, reasonToSkip, startGuest } from './harness.ts';

const skip = reasonToSkip();
const env = ['PATH=/bin'];

describe.skipIf(skip !== undefined)(`init: exec channel${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  let main: ProcessHandle;
  beforeAll(async () => {
    guest = startGuest();
    main = guest.session.start(container(guest, ['/bin/sh', '-c', 'echo main >/where; exec sleep 100000']));
    main.onStdout(() => {});
    main.onStderr(() => {});
    await main.started;
    // execve gives a process its name, then its arguments: until then /proc tells the shell's, or none.
    await exec('until [ "$(cat /proc/1/comm)" = sleep ] && [ -n "$(cat /proc/1/cmdline)" ]; do sleep 0.01; done');
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  const exec = (script: string, more = {}) =>
    finish(guest.session.exec(main.container, { args: ['/bin/sh', '-c', script], env, ...more }));

  it('sees the container: its root, processes, host name, mounts', async () => {
    const result = await exec('cat /where; hostname; ps -o args | grep -c "sleep 10000[0]"; cat /proc/1/comm; exit 5');
    expect(result).toMatchObject({ stdout: 'main\nbox\n1\nsleep\n', stderr: '', status: { status: 5 } });
  });

  it('is in the namespaces and the cgroup of the container', async () => {
    const names = ['pid', 'mnt', 'uts', 'ipc', 'net', 'cgroup'];
    const result = await exec(names.map((name) => `readlink /proc/1/ns/${name}; readlink /proc/self/ns/${name}`).join(';'), {
      capabilities: undefined,
    });
    const lines = result.stdout.trim().split('\n');
    expect(lines).toHaveLength(12);
    for (let i = 0; i < 12; i += 2) expect(lines[i]).toBe(lines[i + 1]);
    expect((await exec('cat /proc/self/cgroup')).stdout).toMatch(guest.cgroup === undefined ? /./ : /^0::\/$/m);
  });

  it('user, working directory, stdin and environment of its own', async () => {
    const process = guest.session.exec(main.container, { args: ['/bin/sh', '-c', 'id -un; pwd; cat; echo $V'], env: [...env, 'V=1'], user: 'alice', cwd: '/tmp', stdin: true });
    const done = finish(process);
    await process.stdin.write(Buffer.from('in\n'));
    await process.stdin.end();
    expect((await done).stdout).toBe('alice\n/tmp\nin\n1\n');
  });

  it('a terminal of its own, of the container\'s devpts', async () => {
    const process = guest.session.exec(main.container, { args: ['/bin/sh', '-c', 'tty; stty size'], env, tty: true, size: { rows: 7, columns: 8 } });
    const reader = new Reader(process);
    expect((await process.wait()).status).toBe(0);
    expect(reader.text).toBe('/dev/pts/0\r\n7 8\r\n');
  });

  it('a background child that writes for ever does not keep it', async () => {
    const result = await exec('(trap "" PIPE; while echo spam; do :; done) & echo done');
    expect(result.status.status).toBe(0);
    expect(result.stdout).toContain('done\n');
    await exec('killall -9 sh');
  });

  it('killed by a signal: 128 + n', async () => {
    const process = guest.session.exec(main.container, { args: ['sleep', '1000'], env });
    const done = finish(process);
    await process.started;
    await process.signal(15);
    expect((await done).status).toMatchObject({ signal: 15, status: 143 });
  });

  it('a missing command: 127, and no EXIT', async () => {
    const process = guest.session.exec(main.container, { args: ['nope'], env });
    await expect(process.started).rejects.toMatchObject({ exitStatus: 127 });
    await expect(process.wait()).rejects.toMatchObject({ exitStatus: 127 });
  });

  it('an unknown container: refused', async () => {
    await expect(guest.session.exec(4000, { args: ['true'], env }).started).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });

  it('pause and resume: nothing runs in between', async () => {
    if (guest.cgroup === undefined) return;
    const process = guest.session.exec(main.container, { args: ['/bin/sh', '-c', 'while :; do echo tick; sleep 0.01; done'], env });
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('tick');
    await guest.session.pause(main.container);
    const files = await guest.session.stats(main.container);
    expect(files.get('cpu.stat')).toMatch(/^usage_usec \d+/);
    let ran = false;
    const frozen = guest.session.exec(main.container, { args: ['echo', 'ran'], env });
    frozen.started.then(() => {
      ran = true;
    });
    for (let i = 0; i < 20; i++) await guest.session.ping();
    expect(ran).toBe(false);
    await guest.session.resume(main.container);
    expect((await finish(frozen)).stdout).toBe('ran\n');
    await process.signal(9);
    expect((await process.wait()).signal).toBe(9);
  });

  it('200 at once: each its own output and status', async () => {
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => exec(`echo ${i}; exit ${i % 100}`)));
    results.forEach((result, i) => {
      expect(result).toMatchObject({ stdout: `${i}\n`, status: { status: i % 100 } });
    });
  });

  it('ends with the container', async () => {
    const process = guest.session.exec(main.container, { args: ['sleep', '1000'], env });
    const done = finish(process);
    await process.started;
    await main.signal(9);
    expect((await main.wait()).status).toBe(137);
    expect((await done).status).toMatchObject({ signal: 9 });
    await expect(guest.session.exec(main.container, { args: ['true'], env }).started).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });
});

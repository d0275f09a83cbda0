import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { container, finish, type Guest, Reader, reasonToSkip, run, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();

describe.skipIf(skip !== undefined)(`init: processes${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  it('HELLO: names version, build and kernel', async () => {
    const info = await guest.session.hello();
    expect(info.version).toBe(1);
    expect(info.build).toMatch(/^[0-9a-f]{12}$/);
    expect(info.kernel).toMatch(/^\d+\.\d+/);
    await guest.session.ping();
  });

  it('echo: stdout and stderr apart, status 0', async () => {
    const result = await sh(guest, 'echo out; echo err >&2');
    expect(result.stdout).toBe('out\n');
    expect(result.stderr).toBe('err\n');
    expect(result.status).toMatchObject({ code: 0, signal: undefined, status: 0 });
  });

  it('exit 42: status 42', async () => {
    expect((await sh(guest, 'exit 42')).status).toMatchObject({ code: 42, status: 42 });
  });

  it('killed by SIGKILL of its own: process 1 cannot, a child of it gives 137', async () => {
    expect((await sh(guest, 'sh -c "kill -9 \\$\\$"; echo $?')).stdout).toBe('137\n');
  });

  it('all byte values on stdout: unchanged', async () => {
    const process = guest.session.start(
      container(guest, ['/bin/sh', '-c', 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done']),
    );
    const parts: Buffer[] = [];
    process.onStdout((chunk) => {
      parts.push(Buffer.from(chunk));
    });
    process.onStderr(() => {});
    await process.wait();
    expect([...Buffer.concat(parts)]).toEqual(Array.from({ length: 256 }, (_, i) => i));
  });

  it('the command is process 1, sees only its own, and /dev/stdout can be opened', async () => {
    const result = await sh(guest, 'echo $$; echo /proc/[0-9]*; echo via >/dev/stdout; echo err >/dev/stderr');
    expect(result.stdout).toBe('1\n/proc/1\nvia\n');
    expect(result.stderr).toBe('err\n');
  });

  it('a user without privileges can open /dev/stdout', async () => {
    const result = await sh(guest, 'echo via >/dev/stdout', { user: 'alice' });
    expect(result).toMatchObject({ stdout: 'via\n', stderr: '' });
  });

  it('stdin: passed on with its end', async () => {
    const process = guest.session.start(container(guest, ['cat'], { stdin: true }));
    const done = finish(process);
    await process.stdin.write(Buffer.from('first '));
    await process.stdin.write(Buffer.from('second'));
    await process.stdin.end();
    expect(await done).toMatchObject({ stdout: 'first second', status: { status: 0 } });
  });

  it('stdin: without it the process reads /dev/null', async () => {
    expect(await run(guest, ['cat'])).toMatchObject({ stdout: '', status: { status: 0 } });
  });

  it('stdin: a process that does not read it ends, and writing then says so', async () => {
    const process = guest.session.start(container(guest, ['true'], { stdin: true }));
    expect((await finish(process)).status.status).toBe(0);
    expect(await process.stdin.write(Buffer.from('late'))).toBe(false);
  });

  it('stdin: 8 MB come back whole through cat', async () => {
    const process = guest.session.start(container(guest, ['cat'], { stdin: true }));
    let received = 0;
    let sum = 0;
    process.onStdout((chunk) => {
      received += chunk.length;
      for (const byte of chunk) sum = (sum + byte) | 0;
    });
    process.onStderr(() => {});
    const block = Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * 7) & 0xff));
    for (let i = 0; i < 128; i++) await process.stdin.write(block);
    await process.stdin.end();
    expect((await process.wait()).status).toBe(0);
    expect(received).toBe(128 * 65536);
    expect(sum).toBe((128 * block.reduce((total, byte) => total + byte, 0)) | 0);
  });

  it('100 MB on stdout with a slow reader: all of it, then the status', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'dd if=/dev/zero bs=1M count=100 2>/dev/null; exit 7']));
    let received = 0;
    let chunks = 0;
    process.onStdout(async (chunk) => {
      received += chunk.length;
      if (++chunks % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    });
    process.onStderr(() => {});
    expect((await process.wait()).status).toBe(7);
    expect(received).toBe(100 * 1024 * 1024);
  });

  it('output that nobody has read yet when the process ends: kept', async () => {
    const process = guest.session.start(container(guest, ['echo', 'late']));
    await process.started;
    expect(await finish(process)).toMatchObject({ stdout: 'late\n', status: { status: 0 } });
  });

  it('a background child that holds stdout: the container ends with its process 1', async () => {
    const result = await sh(guest, '(while :; do sleep 1000; done) & echo main');
    expect(result).toMatchObject({ stdout: 'main\n', status: { status: 0 } });
  });

  it('the host closes stdout: the process gets SIGPIPE', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'yes; echo "status $?" >&2']));
    process.onStdout(() => process.closeStdout());
    let stderr = '';
    process.onStderr((chunk) => {
      stderr += Buffer.from(chunk).toString();
    });
    await process.wait();
    expect(stderr).toContain('status 141');
  });

  it('signals: a handler sees them; without one process 1 ignores SIGTERM and dies of SIGKILL', async () => {
    const handled = guest.session.start(
      container(guest, ['/bin/sh', '-c', 'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.05; done']),
    );
    const reader = new Reader(handled);
    handled.onStderr(() => {});
    await reader.until('ready');
    await handled.signal(15);
    expect((await handled.wait()).status).toBe(3);
    expect(reader.text).toBe('ready\ngot\n');

    const deaf = guest.session.start(container(guest, ['/bin/sh', '-c', 'echo ready; exec sleep 1000']));
    const deafReader = new Reader(deaf);
    deaf.onStderr(() => {});
    await deafReader.until('ready');
    await deaf.signal(15);
    await deaf.signal(9);
    expect(await deaf.wait()).toMatchObject({ code: undefined, signal: 9, status: 137 });
    await expect(deaf.signal(9)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });

  it('signalContainer: reaches each process', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'sleep 1000 & trap : USR1; echo ready; wait; echo $?']));
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('ready');
    if (guest.cgroup === undefined) {
      await process.signal(9);
      return;
    }
    await guest.session.signalContainer(process.container, 9);
    expect((await process.wait()).status).toBe(137);
  });

  it('--init: the command is not process 1, orphans are reaped, SIGTERM kills it', async () => {
    const zombies = 'sh -c "sh -c \\"exit 0\\" & exec sleep 0.1" & wait; sleep 0.2; ps -o stat | grep -c Z; echo $$';
    const result = await sh(guest, zombies, { init: true });
    expect(result.stdout).toBe('0\n2\n');
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'echo ready; exec sleep 1000'], { init: true }));
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('ready');
    await process.signal(15);
    expect((await process.wait()).status).toBe(143);
  });

  it('orphans of a container are reaped by process 1 or vanish with it; init keeps none', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'echo ready; exec sleep 1000']));
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('ready');
    // The exec'ed shell dies before its child, which then belongs to the container's process 1.
    const exec = await finish(guest.session.exec(process.container, { args: ['/bin/sh', '-c', 'sleep 1000 & echo $!'], env: ['PATH=/bin'] }));
    expect(exec.status.status).toBe(0);
    await process.signal(9);
    expect((await process.wait()).status).toBe(137);
    await guest.session.ping();
    expect(guest.child.exitCode).toBeNull();
  });
});

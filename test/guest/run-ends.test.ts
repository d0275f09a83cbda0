/** How `vmm run` behaves when it is ended from outside, or its guest has too little of something. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { BIN, vmm } from '../support/cli/cli.ts';
import { Terminal } from '../support/cli/terminal.ts';
import { Watched } from '../support/watched.ts';

let image: string;
let dir: string;
const started: ChildProcess[] = [];
beforeAll(() => {
  image = busyboxImage();
  dir = mkdtempSync(join(tmpdir(), 'vmm-ends-'));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(dir, { recursive: true });
});

const env = (): Record<string, string> => ({ VMM_STORE: join(dir, 'store') });

/** A running vmm: what it wrote so far, and its end. */
class Run {
  readonly child: ChildProcess;
  readonly status: Promise<number | string | null>;
  readonly #watched: Watched;

  constructor(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, ['--', BIN, 'run', '--accel', 'wasm', '-m', '128m', ...args], { env: { ...process.env, NODE_OPTIONS: '', ...env(), ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
    started.push(this.child);
    this.#watched = new Watched(this.child);
    this.status = this.#watched.ended.then(({ status, signal }) => status ?? signal);
  }

  get text(): string {
    return this.#watched.text;
  }

  until(pattern: RegExp): Promise<string> {
    return this.#watched.until(pattern);
  }
}

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)('%s before the command has started ends the run with 128 + n', async (signal) => {
    // The debugger holds the guest before its first instruction.
    const socket = join(dir, signal);
    const run = new Run(['--gdb', `unix:${socket}`, '--wait', image, 'true']);
    await run.until(/target remote/);
    const gdb = connect(socket);
    // Why it stands, it tells once there is a guest; from then on the signal is the run's end.
    gdb.write('$?#3f');
    await Promise.race([once(gdb, 'data'), run.status.then((status) => Promise.reject(new Error(`it ended with ${status}: ${run.text}`)))]);
    run.child.kill(signal);
    expect(await run.status).toBe({ SIGTERM: 143, SIGHUP: 129, SIGINT: 130 }[signal]);
    gdb.destroy();
  });

  it('that the command does not heed is followed by a line on how to end it', async () => {
    const run = new Run([image, 'sh', '-c', 'trap "" TERM; echo up; while :; do sleep 1; done']);
    await run.until(/up/);
    run.child.kill('SIGTERM');
    await run.until(/vmm: the command goes on after SIGTERM: .*three times.*kill -9 \d+/);
    run.child.kill('SIGTERM');
    run.child.kill('SIGKILL');
    expect(await run.status).toBe('SIGKILL');
    expect(run.text.match(/goes on after/g)).toHaveLength(1);
  });
});

describe('a machine that ends abnormally', () => {
  it('shows what the guest wrote to hvc0 escaped, and none of it as vmm’s own', async () => {
    // A container that may panic the guest's kernel; another one's machine ends so by a defect.
    const evil = String.raw`printf '\033]0;owned\007\033[2Jone\nvmm: forged [USAGE]\r\n\033[6n\302\2331m\342\200\256end\n' > /dev/hvc0; echo 2 > /proc/sys/vm/panic_on_oom; dd if=/dev/zero of=/dev/null bs=76M count=1`;
    const run = new Run(['--privileged', '-m', '96m', image, 'sh', '-c', evil]);
    expect(await run.status).toBe(132);
    expect(run.text).toContain('guest: \\u{1b}]0;owned\\u{7}\\u{1b}[2Jone\nguest: vmm: forged [USAGE]\nguest: \\u{1b}[6nÂ\\u{9b}1mâ\\u{80}®end\n');
    expect(run.text).toMatch(/^guest: .*Kernel panic.*panic_on_oom/m);
    expect(run.text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(run.text).not.toMatch(/^vmm: forged/m);
    for (const line of run.text.trimEnd().split('\n')) expect(line).toMatch(/^(guest|vmm): /);
  }, 180_000);
});

describe('the scratch disk', () => {
  it('has no name while it is used, so that SIGKILL leaves nothing', async () => {
    const folder = mkdtempSync(join(dir, 'scratch-'));
    const run = new Run(['--scratch', '64m', image, 'sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; echo up; sleep 1000'], { VMM_TMPDIR: folder });
    await run.until(/up/);
    expect(readdirSync(folder)).toEqual([]);
    run.child.kill('SIGKILL');
    await run.status;
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the place for changes', () => {
  const room = async (env: Record<string, string>, ...options: string[]) => {
    const { status, stdout, stderr } = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', ...options, image, 'sh', '-c', 'df -m / | tail -n 1; grep -c volatile /proc/mounts'], { env: { VMM_STORE: join(dir, 'store'), ...env } });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return Number(/^overlay +(\d+)/.exec(stdout.toString())?.[1]);
  };

  it('is a disk as large as the host has room for: more than the guest has memory', async () => {
    const { bavail, bsize } = statfsSync(dir);
    expect(bavail * bsize).toBeGreaterThan(2 ** 30);
    expect(await room({ VMM_TMPDIR: dir })).toBeGreaterThan(900);
  });

  it('is guest memory when that is asked for, in a counted run, and where the host has no room or no folder', async () => {
    for (const [env, options] of [[{ VMM_TMPDIR: dir }, ['--scratch', 'tmpfs']], [{ VMM_TMPDIR: dir }, ['--icount']], [{ VMM_TMPDIR: '/nowhere' }, []], [{ VMM_TMPDIR: '/dev/shm' }, []]] as const) {
      expect(await room(env, ...options)).toBeLessThan(100);
    }
  });
});

describe('a shortage is told with what to do', () => {
  const shell = (script: string, ...options: string[]) => vmm(['run', '-q', '--accel', 'wasm', '-m', '96m', ...options, image, 'sh', '-c', script], { env: env() });

  it('of memory: 137', async () => {
    const { status, stderr } = await shell('exec dd if=/dev/zero of=/dev/null bs=76M count=1');
    expect({ status, stderr }).toEqual({ status: 137, stderr: expect.stringMatching(/vmm: the kernel killed a process for lack of memory: the guest has 96m \(give more with --memory\)\n/) });
  });

  it('of room in the root', async () => {
    const { stderr } = await shell('exec cat /dev/zero >/big', '--scratch', 'tmpfs');
    expect(stderr).toMatch(/vmm: the container’s root is full: .* half of the guest’s memory .*--scratch SIZE/);
    expect((await shell('exec cat /dev/zero >/big', '--scratch', '64m')).stderr).toMatch(/its changes are on a disk of 64m in \S+ \(give a larger --scratch SIZE\)/);
    expect((await shell('echo x >/small')).stderr).toBe('');
  });
});

describe('--record and --replay', () => {
  it('take limits, and a replay names the option that is another', async () => {
    const record = join(dir, 'limits');
    const run = (...options: string[]) => vmm(['run', '-q', '-m', '128m', '--icount', ...options, image, 'true'], { env: env() });
    expect(await run('--record', record, '--ulimit', 'nofile=100')).toMatchObject({ status: 0, stderr: '' });
    expect(await run('--replay', record, '--ulimit', 'nofile=100')).toMatchObject({ status: 0, stderr: '' });
    expect(await run('--replay', record, '--ulimit', 'nofile=101')).toMatchObject({ status: 125, stderr: expect.stringMatching(/recorded with another --ulimit.*\[REPLAY_OTHER\]/) });
  });
});

describe('--replay on a terminal', () => {
  it('what the output makes the terminal answer does not reach the shell', async () => {
    const record = join(dir, 'record');
    const script = 'printf "\\033[6n"; sleep 1';
    const options = ['run', '-q', '-m', '128m', '--icount'];
    expect((await vmm([...options, '--record', record, image, 'sh', '-c', script], { env: env() })).status).toBe(0);
    const shell = new Terminal("PS1='host> ' exec bash --norc --noprofile -i", env());
    try {
      await shell.until(/host> $/);
      shell.type(`${process.execPath} -- ${BIN} ${options.join(' ')} --replay ${record} ${image} sh -c '${script}'; read -t 1 -n 9 left; echo "left:[$left]"\n`);
      await shell.until(/\x1b\[6n/);
      shell.type('\x1b[5;7R');
      await shell.until(/left:\[\]\r\n/);
    } finally {
      shell.kill();
    }
  });
});

/** The CLI's process while its guest runs: what the kernel says of each of its threads, and what it leaves behind. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { BIN, ROOT } from '../support/cli/cli.ts';
import { buildGuest } from '../support/guests/programs.ts';

const FREE = /^0 0 /;
/** no_new_privs, seccomp's filter, no capability. */
const BOUND = '1 2 0000000000000000';

let dir: string;
let image: string;
let child: ChildProcessWithoutNullStreams | undefined;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-confine-'));
  image = busyboxImage();
});
afterEach(() => {
  child?.kill('SIGKILL');
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
  rmSync(image, { recursive: true, force: true });
});

/** Starts vmm and waits for `sign` on one of its streams. */
function start(args: readonly string[], sign: RegExp, env: Readonly<Record<string, string>> = {}): Promise<ChildProcessWithoutNullStreams> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_|VITEST)/.test(name)));
  const started = spawn(process.execPath, ['--', BIN, ...args], { cwd: ROOT, env: { ...clean, VMM_STORE: join(dir, 'store'), ...env } });
  child = started;
  return new Promise((resolve, reject) => {
    let text = '';
    const look = (bytes: Buffer): void => {
      text += bytes.toString('latin1');
      if (sign.test(text)) resolve(started);
    };
    started.stdout.on('data', look);
    started.stderr.on('data', look);
    started.on('close', (status) => reject(new Error(`ended with ${status}: ${text}`)));
  });
}

/** Of every thread of a process: no_new_privs, seccomp mode, effective capabilities; each kind once. */
function threads(pid: number | undefined): string[] {
  const kinds = readdirSync(`/proc/${pid}/task`).map((tid) => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1');
    return ['NoNewPrivs', 'Seccomp', 'CapEff'].map((name) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1]).join(' ');
  });
  return [...new Set(kinds)];
}

const run = (...command: string[]): string[] => ['run', '-q', '--accel', 'wasm', '-m', '128m', '--cpus', '2', image, ...command];

describe('a process whose guest runs', () => {
  it('vmm run: no thread has a privilege left', async () => {
    const { pid } = await start(run('sh', '-c', 'echo is up; sleep 100'), /is up/);
    expect(threads(pid)).toEqual([BOUND]);
  });

  it('VMM_CONFINE=off leaves it as it was', async () => {
    const { pid } = await start(run('sh', '-c', 'echo is up; sleep 100'), /is up/, { VMM_CONFINE: 'off' });
    expect(threads(pid).every((kind) => FREE.test(kind))).toBe(true);
  });

  it.each(existsSync('/dev/kvm') ? (['wasm', 'kvm'] as const) : (['wasm'] as const))('vmm boot on %s, before the guest has said a word', async (accel) => {
    const { pid } = await start(['boot', '-q', '--accel', accel, '--memory', '32', '--kernel', buildGuest('chatter')], /./s);
    expect(threads(pid)).toContain(BOUND);
    // KVM has a thread of the kernel's own in the process, which runs no code of it.
    expect(threads(pid).filter((kind) => kind !== BOUND).length).toBeLessThanOrEqual(accel === 'kvm' ? 1 : 0);
  });

  it("gdb's socket goes at the end", async () => {
    const socket = join(dir, 'gdb.sock');
    const started = await start(['boot', '--accel', 'wasm', '--memory', '32', '--gdb', `unix:${socket}`, '--kernel', buildGuest('chatter')], /vmm: gdb[^\n]*\n[\s\S]*./);
    expect(existsSync(socket)).toBe(true);
    expect(threads(started.pid)).toEqual([BOUND]);
    started.removeAllListeners('close');
    const ended = new Promise((resolve) => started.on('close', resolve));
    started.kill('SIGTERM');
    await ended;
    expect(existsSync(socket)).toBe(false);
  });
});

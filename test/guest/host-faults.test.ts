/** What befalls vmm from outside while a guest runs: signals, a reader that goes away, a full disk, a defect of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';
import { buildGuest } from '../support/guests/programs.ts';

const BIN = process.env['VMM_BIN'] ?? join(ROOT, 'bin', 'vmm.js');
let dir: string;
let image: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-faults-'));
  image = busyboxImage();
});
afterAll(() => {
  rmSync(dir, { recursive: true });
  rmSync(image, { recursive: true });
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program; `onOutput` is called at each piece of its output, `ended` resolves when it is over. */
function start(command: readonly string[], onOutput: (child: ChildProcess, pieces: number) => void): Promise<Ended> {
  const env = Object.fromEntries(Object.entries({ ...process.env, VMM_STORE: join(dir, 'store'), VMM_TMPDIR: join(dir, 'small') }).filter(([name]) => !/^(NODE_|VITEST)/.test(name)));
  const child = spawn(command[0] as string, command.slice(1), { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let pieces = 0;
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString('latin1');
    onOutput(child, ++pieces);
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString('latin1');
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}
const node = (...args: string[]): string[] => [process.execPath, '--', BIN, ...args];
/** A guest that writes to COM1 for ever. */
const chatter = (): string[] => ['boot', '-q', '--accel', 'wasm', '--memory', '32', '--kernel', buildGuest('chatter')];
const container = (...args: string[]): string[] => ['run', '-q', '--accel', 'wasm', '-m', '128m', ...args];

describe('vmm boot', () => {
  it.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)('%s ends it with 128 + n, and no word', async (signal) => {
    const ended = await start(node(...chatter()), (child, pieces) => pieces === 1 && child.kill(signal));
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 128 + constants.signals[signal], stderr: '' });
  });

  it('SIGPIPE does not', async () => {
    const ended = await start(node(...chatter()), (child, pieces) => {
      if (pieces === 1) child.kill('SIGPIPE');
      if (pieces === 20) child.kill('SIGTERM');
    });
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 143, stderr: '' });
  });

  it('a reader that comes back late gets the output that follows: COM1 waits, and goes on', async () => {
    let bytes = 0;
    let pauses = 0;
    const child = spawn(process.execPath, node(...chatter()).slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (data: Buffer) => {
      bytes += data.length;
      // Long enough for the ring between the threads and for all that may wait in the main thread to fill.
      if (bytes > (pauses + 1) * 4 * 1024 ** 2) {
        if (++pauses === 4) child.kill('SIGTERM');
        child.stdout.pause();
        setTimeout(() => child.stdout.resume(), 500);
      }
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect({ status, pauses }).toEqual({ status: 143, pauses: 4 });
  });

  it('a reader that goes away ends it, as SIGPIPE ends a pipeline’s other commands', async () => {
    const ended = await start(node(...chatter()), (child) => child.stdout?.destroy());
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 141, stderr: '' });
  });

  it('an error that nobody caught ends it at once, whatever the guest does, and says what', async () => {
    const preload = fileURLToPath(new URL('../support/cli/late-throw.cjs', import.meta.url));
    const ended = await start([process.execPath, '--require', preload, '--', BIN, ...chatter()], (child, pieces) => pieces === 1 && child.kill('SIGUSR2'));
    expect(ended.status).toBe(125);
    expect(ended.stderr).toMatch(/^vmm: internal error: Error: a defect, for a test\n/);
  });
});

describe('vmm run', () => {
  it.each(['SIGTERM', 'SIGHUP'] as const)('%s goes to the command, whose status comes back', async (signal) => {
    const script = 'trap "exit 9" TERM HUP; echo ready; while :; do sleep 0.1; done';
    const ended = await start(node(...container(image, 'sh', '-c', script)), (child) => child.kill(signal));
    expect(ended).toEqual({ status: 9, stdout: 'ready\n', stderr: '' });
  });

  it('a reader that goes away ends it', async () => {
    const ended = await start(node(...container(image, 'yes')), (child) => child.stdout?.destroy());
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 141, stderr: '' });
  });

  it.skipIf(process.getuid?.() !== 0)('a full disk below the scratch: an I/O error in the guest, and one word of it', async () => {
    mkdirSync(join(dir, 'small'));
    const script = 'dd if=/dev/zero of=/big bs=1M count=48 conv=fsync 2>&1 | grep -v records; echo over';
    const args = ['run', '--accel', 'wasm', '-m', '128m', '--scratch', '256m', image, 'sh', '-c', script].map((word) => `'${word}'`).join(' ');
    const ended = await start(['unshare', '-m', 'sh', '-c', `mount -t tmpfs -o size=24m small ${join(dir, 'small')} && exec ${process.execPath} -- ${BIN} ${args}`], () => {});
    expect(ended.stdout).toMatch(/dd: .*Input\/output error\n[\s\S]*over\n$/);
    expect(ended.stderr.split('\n').filter((line) => line.includes('ENOSPC'))).toEqual([expect.stringMatching(/^vmm: the scratch disk in \S+: ENOSPC: the guest gets I\/O errors$/)]);
    expect(ended.status).toBe(0);
  });
});

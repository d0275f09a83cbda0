/** Runs in virtual time: the same inputs give the same run, instruction for instruction. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPrograms } from '../../bench/cpu/programs.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { type CliResult, ROOT, vmm } from '../support/cli/cli.ts';
import { buildGuest } from '../support/guests/programs.ts';
import { Watched } from '../support/watched.ts';

let image: string;
let dir: string;
beforeAll(() => {
  image = busyboxImage();
  dir = mkdtempSync(join(tmpdir(), 'vmm-counted-'));
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(dir, { recursive: true });
});

const BUDGET = 30_000_000;
const env = (): Record<string, string> => ({ VMM_STORE: join(dir, 'store') });
const run = (options: readonly string[], script: string, stdin?: string, more: Readonly<Record<string, string>> = {}): Promise<CliResult> => vmm(['run', '-q', '--icount', '--timeline', '-m', '128m', ...options, image, '/bin/sh', '-c', script], { env: { ...env(), ...more }, stdin });
const boot = (...options: string[]): Promise<CliResult> => vmm(['boot', '-q', '--icount', '--timeline', '-m', '128m', '--initrd', join(ROOT, '.cache/guest/initramfs.cpio'), '--append', 'quiet panic=-1 reboot=t', ...options]);

/** As `run`, with the process in hand. */
function start(options: readonly string[], script: string): ChildProcessWithoutNullStreams {
  const args = ['run', '-q', '--icount', '--timeline', '-m', '128m', ...options, image, '/bin/sh', '-c', script];
  const all: Record<string, string | undefined> = { ...process.env, ...env() };
  for (const name of Object.keys(all)) if (name.startsWith('NODE_') || name.startsWith('VITEST')) delete all[name];
  return spawn(process.execPath, ['--', process.env['VMM_BIN'] ?? join(ROOT, 'bin/vmm.js'), ...args], { cwd: ROOT, env: all, stdio: 'pipe' });
}

/** Gives each line of `lines` once the one before has been answered with "got". */
async function typed(options: readonly string[], script: string, lines: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = start(options, script);
  const output = { stdout: '', stderr: '' };
  let given = 0;
  const next = (): void => {
    while (given < lines.length && output.stdout.split('got ').length > given) child.stdin.write(lines[given++] as string);
    if (output.stdout.split('got ').length > lines.length) child.stdin.end();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (bytes: Buffer) => {
      output[name] += bytes.toString('latin1');
      next();
    });
  }
  next();
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, ...output };
}

/** The last line of --timeline. */
function totals(stderr: string): { count: number; repetitions: number; hash: string } {
  const match = /^(\d+) instructions, (\d+) REP iterations beyond the first; trace hash ([0-9a-f]{16})$/m.exec(stderr);
  if (match === null) throw new Error(`no totals in:\n${stderr}`);
  return { count: Number(match[1]), repetitions: Number(match[2]), hash: match[3] as string };
}

/** Instructions and REP iterations from the guest's first to the point `name`. */
function until(stderr: string, name: string): number {
  let sum = 0;
  for (const [, count, repetitions, point] of stderr.matchAll(/^ +\d+ +\+ *(\d+) +REP \+ *(\d+) +[\d.]+ ms {2}(.+)$/gm)) {
    sum += Number(count) + Number(repetitions);
    if (point === name) return sum;
  }
  throw new Error(`no ${name} in:\n${stderr}`);
}

const BUSY = 'date +%s; cat /proc/uptime; head -c 32 /dev/urandom | md5sum; hostname; seq 1 2000 | md5sum & seq 1 1000 | sort | md5sum; wait; sleep 2; date +%s; seq 1 3000; echo end >&2';

describe.each([1, 2, 4])('two runs on %i vCPUs', (cpus) => {
  it('of a container have the same output, counts and trace hash', async () => {
    const [first, second] = await Promise.all([run(['--cpus', String(cpus)], BUSY), run(['--cpus', String(cpus)], BUSY)]);
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout.toString()).toMatch(/\n3000\n$/);
    expect(second).toEqual(first);
    expect(totals(first.stderr).count).toBeGreaterThan(40_000_000);
  });

  it('of a kernel have the same output, counts and trace hash', async () => {
    const [first, second] = await Promise.all([boot('--cpus', String(cpus)), boot('--cpus', String(cpus))]);
    expect(first.status, first.stderr).toBe(132); // without a host for it init gives up
    expect(second).toEqual(first);
    expect(totals(first.stderr).count).toBeGreaterThan(10_000_000);
  });
});

// Each block as soon as it is found; what is hot, as the host finds time
describe.each([[1, '0'], [2, '1'], [4, '0']] as const)('translated on %i vCPUs, threshold %s', (cpus, threshold) => {
  /** What repeats, and regions that were translated. */
  const told = (result: CliResult): { run: unknown; regions: number } => {
    const regions = Number(/^translated: .*?; (\d+) regions/m.exec(result.stderr)?.[1] ?? 0);
    return { run: { ...result, stdout: result.stdout.toString(), stderr: result.stderr.replace(/^translated: .*\n/m, '') }, regions };
  };
  const options = ['--cpus', String(cpus)];

  it('a run is the interpreted one, to the last register, whenever the translations come', async () => {
    const interpreted = told(await run([...options, '--jit', 'off'], BUSY));
    expect(interpreted.regions).toBe(0);
    const translated = told(await run([...options, '--jit', 'on'], BUSY, undefined, { VMM_JIT_THRESHOLD: threshold }));
    expect(translated.run).toEqual(interpreted.run);
    expect(translated.regions).toBeGreaterThan(threshold === '0' ? 100 : 0);
  });
});

describe('what decides about a run', () => {
  it('the kernel reaches init within its budget of instructions, REP by iteration', async () => {
    const result = await run([], 'true');
    const spent = until(result.stderr, 'init: main');
    expect(spent).toBeGreaterThan(10_000_000);
    expect(spent).toBeLessThanOrEqual(BUDGET);
    expect(result.stderr).toMatch(/first guest entry\n(?:.*process confined\n)?.*init: main\n.*container: command executed\n.*container: command ended\n/);
  });

  it('seed and wall clock are inputs, host names too', async () => {
    const script = 'date +%s; hostname; head -c 16 /dev/urandom | md5sum';
    const [plain, seeded, later] = await Promise.all([run([], script), run(['--seed', '0x10'], script), run(['--rtc', '2026-01-02T03:04:05Z'], script)]);
    const lines = [plain, seeded, later].map(({ stdout }) => stdout.toString().split('\n'));
    expect(lines.map(([seconds]) => seconds)).toEqual(['0', '0', '1767323045']);
    expect(lines[1]?.[1]).not.toBe(lines[0]?.[1]);
    expect(lines[1]?.[2]).not.toBe(lines[0]?.[2]);
    expect(lines[2]?.[1]).toBe(lines[0]?.[1]);
    expect(totals(seeded.stderr).hash).not.toBe(totals(plain.stderr).hash);
    expect(totals(later.stderr).hash).not.toBe(totals(plain.stderr).hash);
  });

  it('--icount=N makes an instruction last 2^N ns', async () => {
    const result = await run(['--icount=4'], 'true');
    const match = /^ +(\d+) .* ([\d.]+) ms {2}init: main$/m.exec(result.stderr);
    // Nothing waits before init, so all of that time is instructions; it is shown in whole microseconds.
    expect(Number(match?.[2]) * 1e6).toBeGreaterThanOrEqual(Number(match?.[1]) * 16 - 500);
    expect(Number(match?.[2]) * 1e6).toBeLessThan(Number(match?.[1]) * 16 * 1.1);
  });

  it('a slow reader of both outputs changes nothing', async () => {
    const script = 'seq 1 30000; seq 1 30000 >&2; cat /proc/uptime';
    const slow = async (): Promise<{ status: number | null; stdout: string; stderr: string }> => {
      const child = start([], script);
      child.stdin.end();
      const output = { stdout: '', stderr: '' };
      // Nothing is read before the guest has filled the pipe: whoever writes waits for us.
      const status = new Promise<number | null>((resolve) => child.on('close', resolve));
      await new Promise((resolve) => child.stderr.once('readable', resolve));
      for (const name of ['stderr', 'stdout'] as const) child[name].on('data', (bytes: Buffer) => { output[name] += bytes.toString('latin1'); });
      return { status: await status, ...output };
    };
    const [quick, late] = await Promise.all([run([], script), slow()]);
    expect(quick.status, quick.stderr.slice(-500)).toBe(0);
    expect({ status: late.status, stdout: late.stdout, stderr: late.stderr }).toEqual({ status: 0, stdout: quick.stdout.toString(), stderr: quick.stderr });
  });
});

describe('--record and --replay', () => {
  const script = 'date +%s; while read x; do echo got $x; cat /proc/uptime; done; echo over';

  it('give standard input back at the same instructions', async () => {
    const file = join(dir, 'record');
    const recorded = await typed(['-i', '--record', file], script, ['one\n', 'two\n']);
    expect(recorded.status, recorded.stderr).toBe(0);
    expect(recorded.stdout).toMatch(/^0\ngot one\n.*\ngot two\n.*\nover\n$/);
    const text = readFileSync(file, 'latin1');
    expect(text).toMatch(/^vmm-record 1\nconfig \{.*\}\n(input \d+ \d+ stdin [\w+/=]+\n)+input \d+ \d+ stdin-end \nend \d+ \d+ \d+ [0-9a-f]+\n$/);

    const replayed = await run(['-i', '--replay', file], script);
    expect({ status: replayed.status, stdout: replayed.stdout.toString('latin1'), stderr: replayed.stderr }).toEqual(recorded);

    // Another command is another run; a place that this run does not have is missed
    const other = await run(['-i', '--replay', file], `${script}; true`);
    expect(other).toMatchObject({ status: 125, stderr: expect.stringMatching(/recorded with another command.*\[REPLAY_OTHER\]\n$/) });
    const moved = join(dir, 'moved');
    writeFileSync(moved, text.replaceAll(/^input (\d+) /gm, (_all, count: string) => `input ${BigInt(count) + 1n} `));
    const diverged = await run(['-i', '--replay', moved], script);
    expect(diverged).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[REPLAY_DIVERGED\]\n$/) });
  });

  it('give a kernel’s console input back', async () => {
    const file = join(dir, 'console');
    const options = ['boot', '-q', '--icount', '--timeline', '-m', '32m', '--kernel', buildGuest('ports')];
    const recorded = await vmm([...options, '--record', file], { stdin: 'typed' });
    expect(recorded.status, recorded.stderr).toBe(0);
    expect(existsSync(file)).toBe(true);
    const replayed = await vmm([...options, '--replay', file]);
    expect(replayed).toEqual(recorded);
    // A look at the way there is no other run
    const looked = await vmm([...options, '--replay', file, '--stop-at', '5']);
    expect(looked.status, looked.stderr).toBe(135);
  });

  it('a run that an error ends says so in its record, and its error is the one that is told', async () => {
    const [kernel, file] = [join(dir, 'no-kernel'), join(dir, 'error')];
    writeFileSync(kernel, 'text');
    const ended = await vmm(['boot', '-q', '--icount', '-m', '32m', '--kernel', kernel, '--record', file]);
    expect(ended).toMatchObject({ status: 125, stderr: expect.stringMatching(/^[^\n]*\[KERNEL_BAD\]\n$/) });
    expect(readFileSync(file, 'latin1')).toMatch(/\ncut 0 0\n$/);
  });

  it('a record that nobody reads any more ends the run with its own error', async () => {
    const fifo = join(dir, 'record-fifo');
    execFileSync('mkfifo', [fifo]);
    const held = openSync(fifo, 'r+');
    const child = start(['-i', '--record', fifo], 'echo ready; cat');
    const run = new Watched(child);
    await run.until('ready');
    closeSync(held);
    child.stdin.write('typed\n');
    const { status, stderr } = await run.ended;
    expect(status).toBe(125);
    expect(stderr).toMatch(/^vmm: cannot write the record to .*: EPIPE.*\[RECORD_WRITE\]$/m);
  });
});

describe('signals', () => {
  const script = 'trap "cat /proc/uptime; exit 9" TERM; echo ready; while :; do seq 1 50 >/dev/null; done';

  it('are recorded and come again at the same instruction', async () => {
    const file = join(dir, 'signal');
    const child = start(['--cpus', '2', '--record', file], script);
    child.stdin.end();
    const recorded = new Watched(child);
    await recorded.until('ready');
    child.kill('SIGTERM');
    const { status, stdout, stderr } = await recorded.ended;
    expect({ status, stdout }).toEqual({ status: 9, stdout: expect.stringMatching(/^ready\n[\d. ]+\n$/) });
    const replayed = await run(['--cpus', '2', '--replay', file], script);
    expect({ status: replayed.status, stdout: replayed.stdout.toString(), stderr: replayed.stderr }).toEqual({ status, stdout, stderr });
  });

  it('end a run that is not recorded', async () => {
    const child = start([], script);
    child.stdin.end();
    const ends = new Watched(child);
    await ends.until('ready');
    child.kill('SIGTERM');
    expect((await ends.ended).status).toBe(143);
  });

  it('break a recorded run off, and a replay ends at the same instruction', async () => {
    const file = join(dir, 'broken-off');
    const child = start(['-i', '--record', file], 'echo ready; cat');
    const ends = new Watched(child);
    await ends.until('ready');
    // Signals of a busy process fall together: three are meant to arrive, and none while it writes the record's end.
    let over = false;
    void ends.ended.then(() => { over = true; });
    while (!over) {
      for (let press = 0; press < 3; press++) {
        child.kill('SIGINT');
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await Promise.race([ends.ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
    }
    expect((await ends.ended).status).toBe(137);
    const cut = /\ncut (\d+) \d+\n$/.exec(readFileSync(file, 'latin1'))?.[1];
    expect(cut).toBeDefined();
    const replayed = await run(['-i', '--replay', file], 'echo ready; cat');
    expect(replayed).toMatchObject({ status: 135, stderr: expect.stringMatching(/broken off/) });
    expect(replayed.stdout.toString('latin1')).toBe('ready\n');
    expect(totals(replayed.stderr).count).toBe(Number(cut));
  });
});

describe('a guest that never ends', () => {
  it.each(['spin', 'flood'])('but does nothing but %s ends at its time-out', async (guest) => {
    const result = await vmm(['boot', '-q', '--icount', '--memory', '32', '--kernel', buildGuest(guest), '--timeout', '1s']);
    expect(result.status).toBe(124);
  });

  it('for want of anything that could wake it ends with the reason and a dump', async () => {
    const file = join(dir, 'halted');
    const result = await vmm(['boot', '-q', '--icount', '--memory', '32', '--kernel', buildGuest('halt'), '--record', file]);
    expect(result.status, result.stderr).toBe(134);
    expect(result.stderr).toMatch(/waits for ever: no timer, device or input will wake it\n[\s\S]*rip=/);
    expect(readFileSync(file, 'latin1')).toMatch(/\nend \d+ /);
  });

  it('and is reset for ever counts on through its lives', async () => {
    // Multiboot 1: out 0xcf9, al with AL = 6
    const code = [0xb0, 6, 0x66, 0xba, 0xf9, 0x0c, 0xee, 0xf4];
    const load = 0x10_0000;
    const kernel = new DataView(new ArrayBuffer(64));
    [0x1badb002, 0x10000, -(0x1badb002 + 0x10000), load, load, load + 64, 0, load + 32].forEach((word, i) => kernel.setUint32(i * 4, word >>> 0, true));
    code.forEach((byte, i) => kernel.setUint8(32 + i, byte));
    writeFileSync(join(dir, 'reset.bin'), new Uint8Array(kernel.buffer));
    const result = await vmm(['boot', '-q', '--icount', '--timeline', '--memory', '32', '--kernel', join(dir, 'reset.bin'), '--stop-at', '10']);
    expect(result.status, result.stderr).toBe(135);
    expect(totals(result.stderr).count).toBe(10);
    expect(result.stderr.split('reset by the guest')).toHaveLength(4);
  });
});

describe('--stop-at and --trace exec', () => {
  it('the run ends at that very instruction, with status 135 and registers', async () => {
    const [one, two] = await Promise.all([boot('--stop-at', '15268'), boot('--stop-at', '15269')]);
    expect(one.status, one.stderr).toBe(135);
    expect(totals(one.stderr).count).toBe(15268);
    expect(totals(two.stderr).count).toBe(15269);
    const rip = ({ stderr }: CliResult): string | undefined => /rip=([0-9a-f]{16})/.exec(stderr)?.[1];
    expect(rip(one)).toMatch(/^ffffffff8/);
    expect(rip(two)).not.toBe(rip(one));
    expect(one.stderr).toMatch(/ {2}in [\w.]+\+0x[0-9a-f]+\n/);
  });

  it('translated and interpreted runs end at the same place, with the same registers and memory', async () => {
    const kernel = buildPrograms();
    for (const place of ['150000001', '290123457']) {
      const dumps = await Promise.all(['off', 'on'].map(async (jit) => {
        const { stderr, status } = await vmm(['boot', '-q', '--icount', '--timeline', '-m', '64m', '--kernel', kernel, '--console', 'serial', '--stop-at', place, '--jit', jit], { env: { VMM_JIT_THRESHOLD: '0' } });
        expect(status, stderr).toBe(135);
        return { regions: Number(/; (\d+) regions/.exec(stderr)?.[1] ?? 0), text: stderr.replace(/^translated: .*\n/m, '') };
      }));
      expect(dumps[1]?.text).toBe(dumps[0]?.text);
      expect(dumps[1]?.regions).toBeGreaterThan(0);
      expect(totals(dumps[0]?.text ?? '').count).toBe(Number(place));
    }
  });

  it('executed blocks are written with names, gapless, and tracing does not change the run', async () => {
    const file = join(dir, 'exec.txt');
    const [traced, plain] = await Promise.all([boot('--stop-at', '40000', '--trace', 'exec', '--trace-file', file), boot('--stop-at', '40000')]);
    expect(traced).toEqual(plain);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines[0]).toMatch(/^0\.0 vcpu0 exec 0 [0-9a-f]+ \d+ $/);
    expect(lines.some((line) => / exec \d+ ffffffff8[0-9a-f]+ \d+ start_kernel\+0x0$/.test(line))).toBe(true);
    let next = 0;
    for (const line of lines) {
      const [us, , , count, , insns] = line.split(' ');
      expect(Number(count)).toBeLessThanOrEqual(next); // less where a fault cut the block before short
      expect(us).toBe((Number(count) / 1000).toFixed(1));
      next = Number(count) + Number(insns);
    }
    expect(next).toBeGreaterThanOrEqual(40000);
  });

  it('a FIFO gets the same lines as a file, however slow its reader is', async () => {
    const [file, fifo, out] = [join(dir, 'exec-file'), join(dir, 'exec-fifo'), join(dir, 'exec-out')];
    execFileSync('mkfifo', [fifo]);
    const held = openSync(fifo, 'r+'); // so that vmm finds a reader
    const reader = spawn('dd', [`if=${fifo}`, `of=${out}`, 'bs=512', 'status=none']);
    const over = new Promise((resolve) => reader.once('exit', resolve));
    const traced = (to: string): Promise<CliResult> => boot('--stop-at', '400000', '--trace', 'exec', '--trace-file', to);
    const results = await Promise.all([traced(file), traced(fifo)]);
    closeSync(held);
    expect(await over).toBe(0);
    expect(results[1]).toEqual(results[0]);
    expect(readFileSync(out).equals(readFileSync(file))).toBe(true);
  });

  it.skipIf(process.getuid?.() !== 0)('a disk that takes half of the last write is told as a lost trace', async () => {
    const small = join(dir, 'small');
    mkdirSync(small);
    const options = ['boot', '-q', '--icount', '-m', '32m', '--kernel', buildGuest('count'), '--stop-at', '9000', '--trace', 'exec', '--trace-file', join(small, 'trace')];
    const command = `mount -t tmpfs -o size=4k small ${small} && exec ${process.execPath} -- ${process.env['VMM_BIN'] ?? join(ROOT, 'bin/vmm.js')} ${options.join(' ')}`;
    const child = spawn('unshare', ['-m', 'sh', '-c', command], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString('latin1'); });
    expect(await new Promise((resolve) => child.on('close', resolve)), stderr).toBe(135);
    expect(stderr.match(/the trace cannot be written: ENOSPC/g)).toHaveLength(1);
  });
});

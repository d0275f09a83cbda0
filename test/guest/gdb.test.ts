// Debian's gdb on a guest of our own (test/guests/gdb.c), run by the software CPU.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/cli.ts';

const CFLAGS = ['-m64', '-O0', '-g', '-ffreestanding', '-fno-pic', '-no-pie', '-nostdlib', '-static', '-mno-red-zone', '-fno-stack-protector', '-fcf-protection=none', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments'];
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-gdb-'));
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  const source = (name: string): string => join(ROOT, 'test', 'guests', name);
  for (const cpus of [1, 2]) {
    execFileSync('gcc', [...CFLAGS, `-DCPUS=${cpus}`, '-T', source('gdb.ld'), '-o', join(dir, `guest${cpus}`), source('gdb-start.S'), source('gdb.c')]);
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

interface Session {
  /** What gdb printed. */
  readonly text: string;
  /** Exit status of vmm, and the guest's console. */
  readonly status: number | null;
  readonly console: string;
}

/** Boots the guest held for gdb, runs gdb's commands in batch mode, and waits for both ends. */
async function debug(cpus: number, commands: readonly string[]): Promise<Session> {
  const elf = join(dir, `guest${cpus}`);
  const socket = join(dir, `s${cpus}-${Math.floor(performance.now())}`);
  const args = ['boot', '--accel', 'wasm', '-m', '32', '--cpus', String(cpus), '--exit-on', 'port', '--kernel', elf, '--gdb', `unix:${socket}`, '--wait'];
  const vmm = spawn(process.execPath, [join(ROOT, 'bin', 'vmm.js'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let console = '';
  vmm.stdout.on('data', (chunk: Buffer) => {
    console += chunk.toString();
  });
  const ended = status(vmm);
  try {
    await told(vmm, 'target remote');
    const script = join(dir, 'script');
    writeFileSync(script, ['set pagination off', 'set confirm off', `target remote ${socket}`, ...commands].join('\n'));
    const gdb = spawn('gdb', ['-nx', '-batch', '-x', script, elf], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [gdb.stdout, gdb.stderr]) stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const limit = setTimeout(() => gdb.kill('SIGKILL'), 45_000);
    await status(gdb);
    clearTimeout(limit);
    return { text, status: await ended, console };
  } finally {
    vmm.kill('SIGKILL');
  }
}

function status(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

function told(child: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(words)) resolve();
    });
    child.once('close', () => reject(new Error(`vmm ended: ${text}`)));
  });
}

/** The guest writes counter + 2 to port 0xf4 when its own results are right: (v << 1) | 1. */
const GOOD = ((42 + 2) << 1) | 1;

describe('gdb on the software CPU', () => {
  it('break, back trace, step, next, registers; detach, and the guest goes on to its status', async () => {
    const { text, status: code, console } = await debug(1, [
      'break inner if a == 2', 'continue', 'bt', 'p/x $pc', 'stepi', 'p/x $pc', 'next', 'p sum', 'finish', 'delete', 'info registers cr0 efer cs', 'break scale', 'continue', 'finish', 'p half',
      'set var go_on = 0', 'detach',
    ]);
    expect(text).toMatch(/Breakpoint 1, inner \(a=2, b=4\)/);
    expect(text).toMatch(/#0 {2}inner \(a=2, b=4\).*\n#1 .* in outer \(n=4\).*\n#2 .* in main \(\)/);
    const [, before, after] = /\$1 = (0x\w+)[\s\S]*?\$2 = (0x\w+)/.exec(text) ?? [];
    expect(Number(after)).toBeGreaterThan(Number(before));
    expect(text).toContain('$3 = 6');
    expect(text).toContain('Value returned is $4 = 18');
    expect(text).toMatch(/cr0 +0x80000011/);
    expect(text).toMatch(/efer +0x500/);
    expect(text).toContain('Value returned is $5 = 2.5');
    expect(code, text).toBe(GOOD);
    expect(console).toBe('before the loop\nafter the loop\n');
  });

  it('watchpoints on writes, reads and both stop where the access was; others’ accesses to the page do not', async () => {
    const { text, status: code } = await debug(1, [
      'watch counter', 'continue', 'continue', 'delete', 'awatch go_on', 'continue', 'delete', 'rwatch go_on', 'continue', 'set var go_on = 0', 'delete', 'detach',
    ]);
    expect(text).toMatch(/Old value = 0\nNew value = 1\n(0x\w+ in )?bump \(by=1\)/);
    expect(text).toMatch(/Old value = 1\nNew value = 42\n(0x\w+ in )?bump \(by=41\)/);
    expect(text).toMatch(/Hardware access \(read\/write\) watchpoint 2: go_on\n\nValue = 1/);
    expect(text).toMatch(/Hardware read watchpoint 3: go_on\n\nValue = 1/);
    expect(code, text).toBe(GOOD);
  });

  it('memory and register writes count: code, data, SSE, rip', async () => {
    const { text, status: code } = await debug(1, [
      'break scale', 'continue', 'set var $xmm0.v2_double[0] = 9', 'p $xmm0.v2_double[0]', 'finish', 'break bump', 'continue', 'set var by = 100', 'continue',
      // the second call returns at once
      'set var *(unsigned char *)$pc = 0x90', 'x/1xb $pc', 'p counter', 'return', 'set var counter = 7', 'set var go_on = 0', 'delete', 'detach',
    ]);
    expect(text).toContain('$1 = 9');
    expect(text).toMatch(/Breakpoint 2, bump \(by=1\)/);
    expect(text).toMatch(/bump.*:\t0x90/);
    expect(text).toMatch(/\$\d+ = 100/);
    // 7, one point for the integers, none for the double that was changed
    expect([((7 + 2) << 1) | 1, ((7 + 1) << 1) | 1]).toContain(code);
  });

  it('Ctrl-C stops a loop; hardware breakpoints; monitor commands', async () => {
    const { text, status: code } = await debug(1, [
      'python import os, signal, threading', 'hbreak wait_for_gdb', 'continue', 'delete',
      'python threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()', 'continue', 'bt',
      'monitor help', 'monitor info mem', 'monitor info irq', 'monitor dump', 'set var go_on = 0', 'detach',
    ]);
    expect(text).toMatch(/Breakpoint 1, wait_for_gdb \(\)/);
    expect(text).toMatch(/received signal SIGINT[\s\S]*#0 .*wait_for_gdb \(\)[\s\S]*#1 .*main \(\)/);
    expect(text).toContain('0000000000000000-0000000100000000 0000000100000000 -wx');
    expect(text).toContain('IOAPIC:');
    expect(text).toMatch(/vCPU 0:\n {2} +rax=/);
    expect(code, text).toBe(GOOD);
  });

  it('two vCPUs are two threads that step and stop apart', async () => {
    const { text, status: code } = await debug(2, [
      'break wait_for_gdb', 'continue', 'info threads', 'thread 2', 'stepi', 'stepi', 'p ready', 'thread 1', 'delete',
      'watch table[15] if table[15] % 500 == 0', 'continue', 'delete', 'set var go_on = 0', 'detach',
    ]);
    expect(text).toMatch(/\* 1 +Thread 1 \(vCPU 0\) wait_for_gdb/);
    expect(text).toMatch(/ 2 +Thread 2 \(vCPU 1\) .*second/);
    expect(text).toMatch(/Thread 2 hit Hardware watchpoint 2[\s\S]*New value = \d+[05]00\n.*second/);
    expect(code, text).toBe(GOOD);
  });

  it('kill ends the run', async () => {
    const { status: code } = await debug(2, ['break inner', 'continue', 'kill']);
    expect(code).toBe(0);
  });
});

/**
 * Sessions of Debian's gdb on a guest of our own (test/programs/gdb.c), one table for both accelerators: the software CPU
 * here (test/guest), KVM in the nested machine (test/nested).
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { root } from './programs.ts';

export interface GdbSession {
  /** What gdb printed. */
  readonly text: string;
  /** Exit status of vmm, and the guest's console. */
  readonly status: number | null;
  readonly console: string;
}

export interface GdbCase {
  readonly name: string;
  readonly cpus: 1 | 2;
  /** Absent: both. */
  readonly accel?: 'wasm';
  /**
   * Works on QEMU's TCG, too. The others need a processor that hands KVM a guest's INT3 and has its debug registers, as Bochs's has
   * (test/long/bochs-kvm.test.ts): TCG (7.2) takes INT3 for INT n, which KVM does not intercept, and loads DR7 for show only.
   */
  readonly nested?: true;
  readonly commands: readonly string[];
  readonly check: (session: GdbSession) => void;
}

const CFLAGS = ['-m64', '-O0', '-g', '-ffreestanding', '-fno-pic', '-no-pie', '-nostdlib', '-static', '-mno-red-zone', '-fno-stack-protector', '-fcf-protection=none', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments'];

/** Builds the guest for 1 and for 2 vCPUs into `dir`. */
export function buildGdbGuests(dir: string): void {
  const source = (name: string): string => join(root, 'test', 'programs', name);
  for (const cpus of [1, 2]) {
    execFileSync('gcc', [...CFLAGS, `-DCPUS=${cpus}`, '-T', source('gdb.ld'), '-o', gdbGuest(dir, cpus), source('gdb-start.S'), source('gdb.c')]);
  }
}

export function gdbGuest(dir: string, cpus: number): string {
  return join(dir, `guest${cpus}`);
}

/** Arguments of vmm for a guest that is held for gdb. */
export function gdbArgs(dir: string, cpus: number, accel: 'kvm' | 'wasm', socket: string): readonly string[] {
  return ['boot', '--accel', accel, '-m', '32', '--cpus', String(cpus), '--exit-on', 'port', '--kernel', gdbGuest(dir, cpus), '--gdb', `unix:${socket}`, '--wait'];
}

/** gdb's script of a case. */
export function gdbScript(socket: string, commands: readonly string[]): string {
  return ['set pagination off', 'set confirm off', `target remote ${socket}`, ...commands, ''].join('\n');
}

/**
 * A shell script that runs case `i`: vmm on KVM, and gdb beside it. `dir` has the guests; what both print goes to the files `console`,
 * `err` and `text`, the script's status is vmm's.
 */
export function gdbJob(dir: string, i: number, gdb: string, out: { readonly console: string; readonly err: string; readonly text: string }): string {
  const { cpus, commands } = GDB_CASES[i] as GdbCase;
  const socket = join(dir, `socket${i}`);
  const script = join(dir, `script${i}`);
  writeFileSync(script, gdbScript(socket, commands));
  const { console, err, text } = out;
  return `: >${err}; ${['node', 'bin/vmm.js', ...gdbArgs(dir, cpus, 'kvm', socket)].join(' ')} </dev/null >${console} 2>${err} & vmm=$!
while ! grep -q 'target remote' ${err} && kill -0 $vmm 2>/dev/null; do sleep 0.1; done
timeout 100 ${gdb} -x ${script} ${gdbGuest(dir, cpus)} >${text} 2>&1
# Without the job's output: what is left of it when it is killed would hold that open.
( sleep 30; kill -9 $vmm ) >/dev/null 2>&1 & killer=$!
wait $vmm; status=$?; kill $killer 2>/dev/null`;
}

/** The guest writes counter + 2 to port 0xf4 when its own results are right: (v << 1) | 1. */
const GOOD = ((42 + 2) << 1) | 1;

export const GDB_CASES: readonly GdbCase[] = [
  {
    name: 'break, back trace, step, next, registers; detach, and the guest goes on to its status',
    cpus: 1,
    commands: [
      'break inner if a == 2', 'continue', 'bt', 'p/x $pc', 'stepi', 'p/x $pc', 'next', 'p sum', 'finish', 'delete', 'info registers cr0 efer cs', 'break scale', 'continue', 'finish', 'p half',
      'set var go_on = 0', 'detach',
    ],
    check: ({ text, status: code, console }) => {
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
    },
  },
  {
    name: 'watchpoints on writes and on accesses stop where the access was; others’ accesses to the page do not',
    cpus: 1,
    commands: ['watch counter', 'continue', 'continue', 'delete', 'awatch go_on', 'continue', 'delete', 'set var go_on = 0', 'detach'],
    check: ({ text, status: code }) => {
      expect(text).toMatch(/Old value = 0\nNew value = 1\n(0x\w+ in )?bump \(by=1\)/);
      expect(text).toMatch(/Old value = 1\nNew value = 42\n(0x\w+ in )?bump \(by=41\)/);
      expect(text).toMatch(/Hardware access \(read\/write\) watchpoint 2: go_on\n\nValue = 1/);
      expect(code, text).toBe(GOOD);
    },
  },
  {
    name: 'a watchpoint on reads',
    cpus: 1,
    // x86 has none: on KVM it is refused.
    accel: 'wasm',
    commands: ['rwatch go_on', 'continue', 'delete', 'set var go_on = 0', 'detach'],
    check: ({ text, status: code }) => {
      expect(text).toMatch(/Hardware read watchpoint 1: go_on\n\nValue = 1/);
      expect(code, text).toBe(GOOD);
    },
  },
  {
    name: 'memory and register writes count: code, data, SSE, rip',
    cpus: 1,
    commands: [
      'break scale', 'continue', 'set var $xmm0.v2_double[0] = 9', 'p $xmm0.v2_double[0]', 'finish', 'break bump', 'continue', 'set var by = 100', 'continue',
      // the second call returns at once
      'set var *(unsigned char *)$pc = 0x90', 'x/1xb $pc', 'p counter', 'return', 'set var counter = 7', 'set var go_on = 0', 'delete', 'detach',
    ],
    check: ({ text, status: code }) => {
      expect(text).toContain('$1 = 9');
      expect(text).toMatch(/Breakpoint 2, bump \(by=1\)/);
      expect(text).toMatch(/bump.*:\t0x90/);
      expect(text).toMatch(/\$\d+ = 100/);
      // 7, one point for the integers, none for the double that was changed
      expect([((7 + 2) << 1) | 1, ((7 + 1) << 1) | 1]).toContain(code);
    },
  },
  {
    name: 'without breakpoints: steps, Ctrl-C, registers and memory, detach',
    cpus: 1,
    nested: true,
    commands: [
      'python import os, signal, threading', 'p/x $pc', 'stepi', 'p/x $pc', 'stepi', 'p/x $pc', 'p/x *(unsigned char *)$pc',
      'python threading.Timer(3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()', 'continue', 'info registers cr0 efer', 'p counter', 'p $xmm0.v2_double[0] = 9', 'p $xmm0.v2_double[0]',
      'set var go_on = 0', 'monitor info irq', 'detach',
    ],
    check: ({ text, status: code, console }) => {
      const [first = 0, second = 0, third = 0] = [1, 2, 3].map((n) => Number(new RegExp(`\\$${n} = (0x\\w+)`).exec(text)?.[1]));
      expect(second, text).toBeGreaterThan(first);
      expect(third).toBeGreaterThan(second);
      expect(text).toMatch(/\$4 = 0x\w+/);
      expect(text).toContain('received signal SIGINT');
      expect(text).toMatch(/cr0 +0x80000011/);
      expect(text).toMatch(/efer +0x500/);
      expect(text).toContain('$5 = 42');
      expect(text).toContain('$7 = 9');
      expect(text).toContain('IOAPIC:');
      expect(code, text).toBe(GOOD);
      expect(console).toBe('before the loop\nafter the loop\n');
    },
  },
  {
    name: 'Ctrl-C stops a loop; hardware breakpoints; monitor commands',
    cpus: 1,
    commands: [
      'python import os, signal, threading', 'hbreak wait_for_gdb', 'continue', 'delete',
      'python threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()', 'continue', 'bt',
      'monitor help', 'monitor info mem', 'monitor info irq', 'monitor dump', 'set var go_on = 0', 'detach',
    ],
    check: ({ text, status: code }) => {
      expect(text).toMatch(/Breakpoint 1, wait_for_gdb \(\)/);
      expect(text).toMatch(/received signal SIGINT[\s\S]*#0 .*wait_for_gdb \(\)[\s\S]*#1 .*main \(\)/);
      expect(text).toContain('0000000000000000-0000000100000000 0000000100000000 -wx');
      expect(text).toContain('IOAPIC:');
      expect(text).toMatch(/vCPU 0:\n {2} +rax=/);
      expect(code, text).toBe(GOOD);
    },
  },
  {
    name: 'two vCPUs are two threads that step and stop apart',
    cpus: 2,
    commands: [
      'break wait_for_gdb', 'continue', 'info threads', 'thread 2', 'stepi', 'stepi', 'p ready', 'thread 1', 'delete',
      'watch table[15] if table[15] % 500 == 0', 'continue', 'delete', 'set var go_on = 0', 'detach',
    ],
    check: ({ text, status: code }) => {
      expect(text).toMatch(/\* 1 +Thread 1 \(vCPU 0\) wait_for_gdb/);
      expect(text).toMatch(/ 2 +Thread 2 \(vCPU 1\) .*second/);
      expect(text).toMatch(/Thread 2 hit Hardware watchpoint 2[\s\S]*New value = \d+[05]00\n.*second/);
      expect(code, text).toBe(GOOD);
    },
  },
  {
    name: 'kill ends the run',
    cpus: 2,
    commands: ['break inner', 'continue', 'kill'],
    check: ({ status: code }) => {
      expect(code).toBe(0);
    },
  },
];

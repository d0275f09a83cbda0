/** test/programs/cpubench.c: the same C functions natively and on the software CPU in flat 64-bit ring 0. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import type { SysMachine } from './sys.ts';

const root = new URL('../../..', import.meta.url).pathname;
const dir = join(root, '.cache', 'test');
const FLAGS = ['-O2', '-mgeneral-regs-only', '-ffreestanding', '-fno-stack-protector', '-fcf-protection=none', '-fno-pic', '-no-pie'];
const NATIVE = `#include <stdio.h>
#include <stdlib.h>
unsigned long cpubench(unsigned, unsigned long);
int main(int c, char **v) { return c == 3 && printf("%lu", cpubench(atoi(v[1]), atol(v[2]))) > 0 ? 0 : 1; }
`;

export const PROGRAMS = ['registers', 'crc32', 'sieve', 'quicksort', 'sha256'] as const;

/** Compiles both; call once. */
export function compilePrograms(): void {
  mkdirSync(dir, { recursive: true });
  const source = join(root, 'test', 'programs', 'cpubench.c');
  const layout = ['-nostdlib', '-static', '-Wl,-Ttext=0x100000', '-Wl,--build-id=none', '-Wl,--section-start=.text.start=0x100000'];
  execFileSync('gcc', [...FLAGS, '-fno-asynchronous-unwind-tables', ...layout, '-o', join(dir, 'cpubench.elf'), source]);
  execFileSync('gcc', [...FLAGS, '-DNATIVE', '-c', '-o', join(dir, 'cpubench.o'), source]);
  execFileSync('gcc', ['-O2', '-no-pie', '-o', join(dir, 'cpubench'), '-x', 'c', '-', '-x', 'none', join(dir, 'cpubench.o')], { input: NATIVE });
}

export function native(program: number, turns: number): bigint {
  return BigInt(execFileSync(join(dir, 'cpubench'), [String(program), String(turns)], { encoding: 'utf8' }));
}

export interface Outcome {
  readonly result: bigint;
  readonly instructions: number;
  /** CPU time of this process, so a busy machine does not count. */
  readonly milliseconds: number;
}

/** `call`'s own type is never, after which TypeScript takes the rest for unreachable. */
type Machine = Omit<SysMachine, 'call'> & { call(name: string, ...args: (number | bigint)[]): number | bigint };

/** Runs to HLT on a fresh vCPU; `machine` keeps its compiled code between calls. */
export function software(machine: Machine, program: number, turns: number): Outcome {
  const elf = readFileSync(join(dir, 'cpubench.elf'));
  const ram = Buffer.from(machine.memory.buffer, RAM_BASE, machine.ramBytes);
  const headers = Number(elf.readBigUInt64LE(32));
  for (let i = 0; i < elf.readUInt16LE(56); i++) {
    const p = headers + i * 56;
    if (elf.readUInt32LE(p) !== 1) continue;
    const [offset, address, filed, size] = [8, 16, 32, 40].map((at) => Number(elf.readBigUInt64LE(p + at))) as [number, number, number, number];
    ram.fill(0, address, address + size);
    elf.copy(ram, address, offset, offset + filed);
  }
  machine.call('cpu_reset', 0, 0, 0);
  // identity map of 16 MiB by 2 MiB pages
  ram.writeBigUInt64LE(0x2007n, 0x1000);
  ram.writeBigUInt64LE(0x3007n, 0x2000);
  for (let i = 0; i < 8; i++) ram.writeBigUInt64LE(BigInt(i) * 0x20_0000n + 0x87n, 0x3000 + i * 8);
  machine.call('enter_long64', 0, elf.readBigUInt64LE(24), BigInt(turns), 0x1000, 0, 0);
  machine.setGpr(7, BigInt(program));
  machine.setGpr(4, 0x8_0000n);
  const before = process.cpuUsage();
  let reason: number;
  do reason = Number(machine.call('cpu_run', machine.cpu(), 100_000_000));
  while (reason === 0);
  const used = process.cpuUsage(before);
  if (reason !== 1) throw new Error(`${PROGRAMS[program]}: cpu_run ended with ${reason}`);
  return { result: machine.gpr(0), instructions: Number(machine.get64(10)), milliseconds: (used.user + used.system) / 1000 };
}

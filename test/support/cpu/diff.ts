/** Runs cases natively (cpudiff.c) and on the software CPU, and says where they differ. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { CASE_SIZE, COMPARED_FLAGS, type CaseInfo, RESULT_SIZE } from './cases.ts';

const root = new URL('../../..', import.meta.url).pathname;

/** Builds test/support/cpu/NAME.c once per change; returns the program's path. */
export function nativeTool(name: string, libraries: string[] = []): string {
  const source = join(root, 'test', 'support', 'cpu', `${name}.c`);
  const out = join(root, '.cache', 'test', name);
  if (!existsSync(out) || statSync(out).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, '.cache', 'test'), { recursive: true });
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', out, source, ...libraries]);
  }
  return out;
}

export interface CpuUnderTest {
  readonly memory: WebAssembly.Memory;
  call(name: string, ...args: (number | bigint)[]): number | bigint;
  cpu(): number;
}

const CASES_AT = RAM_BASE + (4 << 20);
const RESULTS_AT = RAM_BASE + (6 << 20);
/** Cases that fit between the two, and results in what is left of 16 MiB. */
export const BATCH = 8000;

/** Ring 3 of a 64-bit process, as cpudiff.c has it. */
export function setUp(m: CpuUnderTest): void {
  m.call('enter_long64', 0, 0n, 0n, 0x1000, 0, 0);
  m.call('t_diff_setup', m.cpu());
}

export interface Difference {
  readonly index: number;
  readonly text: string;
}

const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'];

/** A result with the parts blanked that need not agree; vector, error code and CR2 count only where they mean something. */
function normalize(result: Buffer, undefinedFlags: number, narrow: boolean): void {
  if (narrow) {
    // upper halves and R8 … R15 do not exist
    for (let i = 0; i < 17; i++) result.writeUInt32LE(0, i * 8 + 4);
    result.fill(0, 64, 128);
  }
  const flags = result.readUInt32LE(136) & COMPARED_FLAGS & ~undefinedFlags;
  result.writeBigUInt64LE(BigInt(flags), 136);
  const vector = result.readUInt32LE(144);
  if (vector !== 14) result.writeBigUInt64LE(0n, 152);
  // the host kernel hides whether its own addresses are mapped: P always reads 1
  if (vector === 14 && result.readBigUInt64LE(152) >= 0x7fff_ffff_f000n) result.writeUInt32LE(result.readUInt32LE(148) | 1, 148);
  if (![10, 11, 12, 13, 14, 17].includes(vector)) result.writeUInt32LE(0, 148);
}

const isAmd = /^vendor_id\s*:\s*AuthenticAMD$/m.test(readFileSync('/proc/cpuinfo', 'latin1'));

/**
 * Where the vendors' processors differ ours is Intel's (CPUID says so): a near call to a bad target pushes first; CMPS tells the
 * fault at ES:DI first; under REP a fault takes the flags back, and the upper halves of registers with 32-bit addresses.
 */
function otherOnAmd({ mnemonic }: CaseInfo, vector: number): boolean {
  return (mnemonic === 'CALLN' && vector === 13) || (/^(?:MOVS|CMPS|STOS|LODS|SCAS)$/.test(mnemonic) && (vector === 13 || vector === 14));
}

function explain(input: Buffer, native: Buffer, mine: Buffer, info: CaseInfo): string {
  const bytes = input.subarray(16, 16 + (input[0] as number)).toString('hex');
  const parts: string[] = [];
  for (let i = 0; i < 17; i++) {
    const a = native.readBigUInt64LE(i * 8);
    const b = mine.readBigUInt64LE(i * 8);
    const before = i < 16 ? input.readBigUInt64LE(64 + i * 8).toString(16) : '';
    if (a !== b) parts.push(`${NAMES[i]} ${before} -> native ${a.toString(16)}, here ${b.toString(16)}`);
  }
  const f = native.readUInt32LE(136);
  const g = mine.readUInt32LE(136);
  if (f !== g) parts.push(`flags ${input.readUInt32LE(192).toString(16)} -> native ${f.toString(16)}, here ${g.toString(16)}`);
  for (const [name, at] of [['vector', 144], ['error', 148]] as const) {
    const a = native.readUInt32LE(at);
    const b = mine.readUInt32LE(at);
    if (a !== b) parts.push(`${name} native ${a}, here ${b}`);
  }
  if (native.readBigUInt64LE(152) !== mine.readBigUInt64LE(152)) parts.push(`cr2 native ${native.readBigUInt64LE(152).toString(16)}, here ${mine.readBigUInt64LE(152).toString(16)}`);
  for (let i = 160; i < RESULT_SIZE; i++) {
    if (native[i] !== mine[i]) {
      parts.push(`window+${i - 160} native ${native[i]}, here ${mine[i]}`);
      break;
    }
  }
  return `${info.mnemonic} ${bytes} (vector ${native.readUInt32LE(144)}, CR2 ${native.readBigUInt64LE(152).toString(16)}): ${parts.join('; ')}`;
}

/** Compares `infos.length` ≤ BATCH cases; `step`: the software CPU takes blocks of one instruction. */
export function compare(m: CpuUnderTest, cases: Buffer, infos: readonly CaseInfo[], step: boolean): Difference[] {
  const n = infos.length;
  const native = execFileSync(nativeTool('cpudiff'), { input: cases, maxBuffer: n * RESULT_SIZE + 4096 });
  if (native.length !== n * RESULT_SIZE) throw new Error(`cpudiff gave ${native.length} bytes for ${n} cases`);
  const ram = Buffer.from(m.memory.buffer);
  cases.copy(ram, CASES_AT);
  m.call('t_diff', m.cpu(), CASES_AT, RESULTS_AT, n, step ? 1 : 0);
  const found: Difference[] = [];
  for (let i = 0; i < n; i++) {
    const a = native.subarray(i * RESULT_SIZE, (i + 1) * RESULT_SIZE);
    const b = ram.subarray(RESULTS_AT + i * RESULT_SIZE, RESULTS_AT + (i + 1) * RESULT_SIZE);
    const info = infos[i] as CaseInfo;
    if (isAmd && otherOnAmd(info, a.readUInt32LE(144))) continue;
    const narrow = cases[i * CASE_SIZE + 1] === 1;
    normalize(a, info.undefinedFlags, narrow);
    normalize(b, info.undefinedFlags, narrow);
    if (Buffer.compare(a, b) !== 0) found.push({ index: i, text: explain(cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE), a, b, info) });
  }
  return found;
}

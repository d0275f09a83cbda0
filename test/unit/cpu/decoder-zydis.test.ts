/** The decoder against Zydis: lengths, memory operands and immediates on random bytes and on the text of real programs. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { Rng } from '../../support/cpu/cases.ts';
import { nativeTool } from '../../support/cpu/diff.ts';
import { intMachine } from '../../support/cpu/int.ts';

const RESULT = 40;
const MODES = { 64: 0x2e, 32: 0x2d, 16: 0x20 } as const; // MODE_* of modes.ts: protected, flat, stack width
type Bits = keyof typeof MODES;

/** Zydis's instruction sets that the x86-64-v2 model offers (eight letters, as zydis-decode.c gives them). */
const OFFERED =
  /^(I86|I186|I286|I386|I486|PENTIUM|PPRO|CMOV|LONGMODE|X87|FCMOV|SSE$|SSE2|SSE3|SSE4$|SSE42|SSSE3|SSEMXCSR|SSE_PREF|FXSAVE|FAT_NOP|PAUSE|POPCNT|CMPXCHG1|RDTSCP|RDRAND|LAHF|CLFSH|PREFETCH|RDPMC)/;

/** Opcodes where the two may differ on what exists, and why. Prefix bytes are skipped before the match. */
const EXEMPT: readonly (readonly [RegExp, string])[] = [
  [/^d[89a-f]/, 'x87 rows: sub-opcodes are refused at execution'],
  [/^0f(0b|b9|ff)/, 'UD0, UD1, UD2 are valid for Zydis'],
  [/^0faa/, 'RSM outside SMM is undefined'],
  [/^0f0d/, 'PREFETCHW with a register'],
  [/^0f(18|19|1[a-f])/, 'hint space: MPX, CET and CLDEMOTE are no-operations here'],
  [/^0f2[0-3]/, 'control and debug register numbers are checked at execution'],
  [/^0fb[cd]/, 'F3: TZCNT and LZCNT are BSF and BSR where BMI is not offered'],
  [/^0f01c1/, 'VMCALL is the hypercall of the paravirtual interface'],
  [/^0f01/, 'group 7 register forms of extensions not offered'],
  [/^63/, 'ARPL outside 64-bit mode'],
];

function opcodeOf(bytes: Buffer, bits: Bits): string {
  let i = 0;
  for (;;) {
    const b = bytes[i] as number;
    if ([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(b) || (bits === 64 && (b & 0xf0) === 0x40)) i++;
    else return bytes.subarray(i).toString('hex');
    if (i === bytes.length) return '';
  }
}

interface Report {
  instructions: number;
  compared: number;
  differences: string[];
}

function check(input: Buffer, bits: Bits, kind: 'records' | 'sweep'): Report {
  const m = intMachine(1);
  const out = execFileSync(nativeTool('zydis-decode', ['-lZydis']), [String(bits), kind], { input, maxBuffer: 1 << 30 });
  const ram = Buffer.from(m.memory.buffer);
  const report: Report = { instructions: 0, compared: 0, differences: [] };
  const operand = (what: number): bigint => m.call('t_operand', m.cpu(), what) as bigint;
  for (let i = 0; i < out.length; i += RESULT) {
    const at = out.readUInt32LE(i);
    const length = out[i + 4] as number;
    const isa = out.toString('latin1', i + 32, i + 40).replace(/\0.*/, '');
    const bytes = input.subarray(at, at + 16);
    bytes.copy(ram, RAM_BASE);
    const mine = Number(m.call('t_parse', m.cpu(), MODES[bits], RAM_BASE, Math.min(15, bytes.length)));
    report.instructions++;
    const opcode = opcodeOf(bytes, bits);
    const note = (text: string): void => {
      if (report.differences.length < 20) report.differences.push(`${bytes.toString('hex')} (${isa}): ${text}`);
    };
    const exempt = EXEMPT.some(([pattern]) => pattern.test(opcode));
    const here = mine === 255 ? 0 : mine;
    if (length === 0 || !OFFERED.test(isa)) {
      if (here !== 0 && !exempt) note(`length ${mine} here, not in the model or invalid there`);
      continue;
    }
    if (here === 0 && exempt) continue;
    report.compared++;
    if (here !== length) {
      note(`length ${mine} here, ${length} there`);
      continue;
    }
    if (out[i + 5]) {
      const disp = out.readBigInt64LE(i + 16);
      const got = [operand(1), operand(2), operand(4)];
      // SIB base 101 with mod 00 is no base whatever REX.B says; Zydis 4.0 calls it R13D with 67 (the real CPU agrees with us)
      if (got[0] === 16n && out[i + 6] === 13) continue;
      const want = [BigInt(out[i + 6] as number), BigInt(out[i + 7] as number), BigInt.asIntN(32, disp)];
      if (out[i + 11] === 2) want[2] = BigInt.asIntN(16, disp);
      if (out[i + 5] && (got[0] !== want[0] || got[1] !== want[1] || BigInt.asIntN(out[i + 11] === 2 ? 16 : 32, got[2] as bigint) !== want[2])) {
        note(`operand ${got.join(' ')} here, ${want.join(' ')} there`);
      }
      if (out[i + 7] !== 16 && operand(3) !== BigInt(out[i + 8] as number)) note(`scale ${operand(3)} here, ${out[i + 8]} there`);
    }
    // SSE rows keep their immediate byte in the micro-op
    if (out[i + 9] === 1 && !/^0f/.test(opcode)) {
      const want = out.readBigUInt64LE(i + 24);
      const got = operand(5);
      const equal = [8, 16, 32, 64].some((n) => BigInt.asUintN(n, got) === want || BigInt.asIntN(n, got) === BigInt.asIntN(64, want));
      if (!equal) note(`immediate ${got.toString(16)} here, ${want.toString(16)} there`);
    }
  }
  return report;
}

/** Random records, prefixes and two-byte opcodes favoured. */
function records(count: number, seed: number): Buffer {
  const r = new Rng(seed);
  const b = Buffer.alloc(count * 16);
  const prefixes = [0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x48, 0x41, 0x64, 0x2e, 0x4f, 0x44];
  for (let i = 0; i < b.length; i += 4) b.writeUInt32LE(r.next(), i);
  for (let i = 0; i < b.length; i += 16) {
    let k = i;
    for (let n = r.below(4); n > 0; n--) b[k++] = r.pick(prefixes);
    if (r.chance(1)) for (let n = 0; n < 12; n++) b[k++ % 16 ? k - 1 : k] = r.pick(prefixes); // towards and over 15 bytes
    if (r.chance(50)) {
      b[k++] = 0x0f;
      if (r.chance(12)) b[k++] = r.pick([0x38, 0x3a]);
    }
  }
  return b;
}

/** The .text section of an ELF file. */
function text(path: string): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-text-'));
  try {
    const out = join(dir, 'text');
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', path, out]);
    return readFileSync(out);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const root = new URL('../../..', import.meta.url).pathname;
const programs = [
  ['libc', '/lib/x86_64-linux-gnu/libc.so.6'],
  ['libcrypto', '/usr/lib/x86_64-linux-gnu/libcrypto.so.3'],
  ['vmlinux', join(root, '.cache/guest/vmlinux')],
].filter(([, path]) => existsSync(path as string)) as [string, string][];

beforeAll(() => void intMachine(1), 400_000);

describe('decoder equals Zydis on what the model offers', () => {
  for (const bits of [64, 32, 16] as const) {
    it(`40,000 random instructions of ${bits}-bit code`, () => {
      const report = check(records(40_000, bits), bits, 'records');
      expect(report.differences).toEqual([]);
      expect(report.compared).toBeGreaterThan(15_000);
    });
  }

  it.each(programs)('the text of %s (its first 600 kB)', (_name, path) => {
    const report = check(text(path).subarray(0, 600_000), 64, 'sweep');
    expect(report.differences).toEqual([]);
    expect(report.compared).toBeGreaterThan(50_000);
  });
});

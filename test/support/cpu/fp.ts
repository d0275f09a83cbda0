/**
 * The floating-point part of the software CPU for tests: records of instructions as the real CPU ran them
 * (test/unit/cpu/fp/vectors.c), run against assembly/test/fp.ts.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CPU_BASE, RAM_BASE } from '../../../assembly/core/layout.ts';
import { testCore } from './sys.ts';

const root = new URL('../../..', import.meta.url).pathname;
const dir = join(root, 'test', 'unit', 'cpu', 'fp');
const STORED = join(dir, 'vectors.bin');

/** Bytes of a record, and of the state before and after in it. */
export const RECORD = 480;
export const STATE = 240;
const S = { head: 0, mxcsr: 4, rcx: 8, rdx: 16, eflags: 24, fcw: 28, fsw: 30, ftw: 32, kind: 33, a: 34, b: 35, imm2: 36, xmm1: 48, xmm2: 64, mem: 80, st: 96 };
const PARTS_OF_STATE = ['fault', 'mxcsr', 'gpr', 'flags', 'xmm1', 'xmm2', 'memory', 'x87 control', 'st', 'xmm0'];
/** Where a record is run: the spare space below guest RAM. */
const REC = RAM_BASE - 0x10_0000;

export const PROFILE = { baseline: 0, v2: 1 } as const;

/** Compiles test/unit/cpu/fp/NAME.c into .cache/test/ and returns the program's path. */
export function buildNative(name: string, libraries: string[]): string {
  const source = join(dir, `${name}.c`);
  const out = join(root, '.cache', 'test', `fp-${name}`);
  if (!existsSync(out) || statSync(out).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, '.cache', 'test'), { recursive: true });
    const temp = `${out}.${process.pid}`;
    execFileSync('gcc', ['-O2', '-o', temp, source, ...libraries], { stdio: ['ignore', 'ignore', 'inherit'] });
    renameSync(temp, out);
  }
  return out;
}

export interface Part {
  name: string;
  seed: number;
  cases: number;
}

/** Arguments of vectors.c for one part. */
export function vectorArgs(name: string, seed: number, cases: number): string[] {
  return name === 'x87' ? ['x87', '-', `${seed}`, `${cases}`] : ['sse', join(dir, `${name}-forms.txt`), `${seed}`, `${cases}`];
}

/** Cases with a hash of what the real CPU made of each: the cases come from vectors.c again, the hashes from the stored file. */
export interface Vectors {
  /** The CPU that made them, as /proc/cpuinfo names it. */
  cpu: string[];
  parts: (Part & { records: Buffer; hashes: Uint32Array })[];
}

/** This machine's CPU, in the same words. */
export function thisCpu(): string[] {
  return execFileSync(buildNative('vectors', []), ['cpu']).toString().trim().replaceAll('\t', '').split('\n');
}

function cases(part: Part, inputsOnly: boolean): Buffer {
  const env = inputsOnly ? { ...process.env, INPUTS: '1' } : process.env;
  return execFileSync(buildNative('vectors', []), vectorArgs(part.name, part.seed, part.cases), { maxBuffer: 1 << 30, env });
}

/** FNV-1a of a state after an instruction; the exception counts as the signal that it is natively. */
export function stateHash(bytes: Uint8Array, at: number, signal: number): number {
  let h = Math.imul(0x811c_9dc5 ^ signal, 0x0100_0193);
  for (let i = at + 4; i < at + STATE; i++) h = Math.imul(h ^ bytes[i]!, 0x0100_0193);
  return h >>> 0;
}

/** Signal of an exception vector in a native program. */
function signalOf(vector: number): number {
  if (vector === 16 || vector === 19) return 8;
  return vector === 6 ? 4 : vector === 13 ? 11 : vector;
}

/** Runs the cases on this CPU and stores their hashes: a JSON line, padded to 4 bytes, then u32 after u32. */
export function storeVectors(): void {
  const parts: Part[] = [
    { name: 'sse', seed: 101, cases: 50_000 },
    { name: 'v2', seed: 103, cases: 15_000 },
    { name: 'x87', seed: 102, cases: 40_000 },
  ];
  const hashes = parts.map((p) => {
    const records = cases(p, false);
    const list = new Uint32Array(p.cases);
    for (let i = 0; i < p.cases; i++) list[i] = stateHash(records, i * RECORD + STATE, records.readUInt32LE(i * RECORD + STATE));
    return Buffer.from(list.buffer);
  });
  const header = JSON.stringify({ cpu: thisCpu(), parts });
  writeFileSync(STORED, Buffer.concat([Buffer.from(`${header.padEnd(Math.ceil((Buffer.byteLength(header) + 1) / 4) * 4 - 1)}\n`), ...hashes]));
}

export function loadVectors(): Vectors {
  const bytes = readFileSync(STORED);
  const end = bytes.indexOf(10);
  const { cpu, parts } = JSON.parse(bytes.subarray(0, end).toString()) as { cpu: string[]; parts: Part[] };
  let at = end + 1;
  return {
    cpu,
    parts: parts.map((p) => {
      const hashes = new Uint32Array(Uint8Array.from(bytes.subarray(at, at + 4 * p.cases)).buffer);
      at += 4 * p.cases;
      return { ...p, records: cases(p, true), hashes };
    }),
  };
}

interface Exports {
  fp_test_init: (cpu: number, profile: number) => void;
  fp_test_uop: (cpu: number) => number;
  fp_test: (cpu: number, record: number) => number;
  sse_exec: (cpu: number, uop: number) => void;
  x87_exec: (cpu: number, uop: number) => void;
  x87_fwait: (cpu: number) => void;
  fninit: (cpu: number) => void;
  fp_test_load: (cpu: number, state: number) => void;
  fp_test_save: (cpu: number, state: number) => void;
  fp_test_control: (cpu: number, cr0: number, cr4: number, mode: number) => void;
}

/** Registers of a test of one instruction; what is left out is 0 (MXCSR and FCW: their reset values, tags: empty). */
export interface Registers {
  mxcsr?: number;
  fcw?: number;
  fsw?: number;
  ftw?: number;
  rcx?: bigint;
  rdx?: bigint;
  xmm1?: bigint;
  xmm2?: bigint;
  /** ST0 … as sign and exponent, significand. */
  st?: [number, bigint][];
}

export interface Outcome {
  fault: number;
  mxcsr: number;
  fcw: number;
  fsw: number;
  /** One bit a physical register, 1: in use. */
  ftw: number;
  rcx: bigint;
  xmm1: bigint;
  xmm2: bigint;
  st: [number, bigint][];
}

/** Sub-operations for `exec`. */
export const MEM = 0x1000;
export const REX_W = 0x2000;

/** One CPU with nothing but registers and a little memory. */
export class FpMachine {
  readonly memory = new WebAssembly.Memory({ initial: RAM_BASE / 0x1_0000 + 16, maximum: 65536, shared: true });
  readonly bytes = new Uint8Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  readonly x: Exports;
  readonly cpu = CPU_BASE;

  constructor(profile: number = PROFILE.v2) {
    const host = new Proxy({}, { get: () => () => 0 });
    this.x = new WebAssembly.Instance(testCore(), { env: { memory: this.memory, abort: () => undefined }, host }).exports as unknown as Exports;
    this.x.fp_test_init(CPU_BASE, profile);
  }

  /** Runs the record at `offset` of `records`: 0 when everything came out as on the real CPU. */
  run(records: Uint8Array, offset: number): number {
    this.bytes.set(records.subarray(offset, offset + RECORD), REC);
    return this.x.fp_test(CPU_BASE, REC);
  }

  /** Vector of the fault that the last record ended with, 0 for none. */
  fault(): number {
    return this.view.getUint32(REC + RECORD, true);
  }

  /** Runs all records; the first few differences, in words. */
  differences(records: Uint8Array, limit = 5): string[] {
    const out: string[] = [];
    for (let at = 0; at < records.length && out.length < limit; at += RECORD) {
      const mask = this.run(records, at);
      if (mask) out.push(this.describe(mask));
    }
    return out;
  }

  /** As `differences` for cases of which only the outcome's hash is known. */
  hashDifferences(records: Uint8Array, hashes: Uint32Array, limit = 5): string[] {
    const out: string[] = [];
    for (let i = 0; i < hashes.length && out.length < limit; i++) {
      this.run(records, i * RECORD);
      const hash = stateHash(this.bytes, REC + RECORD, signalOf(this.fault()));
      if (hash !== hashes[i]) out.push(`case ${i}: ${this.words(REC)}\n  ours ${this.words(REC + RECORD)}`);
    }
    return out;
  }

  private describe(mask: number): string {
    const parts = PARTS_OF_STATE.filter((_, i) => (mask >> i) & 1).join(', ');
    return [`case ${parts}: ${this.words(REC)}`, `real ${this.words(REC + STATE)}`, `ours ${this.words(REC + RECORD)}`].join('\n  ');
  }

  private words(at: number): string {
    const hex = (from: number, n: number) => Buffer.from(this.bytes.slice(at + from, at + from + n)).reverse().toString('hex');
    const st = Array.from({ length: 8 }, (_, i) => `${hex(S.st + 16 * i + 8, 2)}:${hex(S.st + 16 * i, 8)}`).join(' ');
    return `head ${hex(S.head, 4)} op ${hex(S.imm2, 4)} mxcsr ${hex(S.mxcsr, 4)} rcx ${hex(S.rcx, 8)} rdx ${hex(S.rdx, 8)} flags ${hex(S.eflags, 4)} fcw ${hex(S.fcw, 2)} fsw ${hex(S.fsw, 2)} ftw ${hex(S.ftw, 1)} xmm1 ${hex(S.xmm1, 16)} xmm2 ${hex(S.xmm2, 16)} mem ${hex(S.mem, 16)} st ${st}`;
  }

  /** CR0, CR4 and the mode for `exec`; without arguments 64-bit mode with SSE on. */
  control(cr0 = 0x21, cr4 = 0x600, mode = 2 | 32): void {
    this.x.fp_test_control(CPU_BASE, cr0, cr4, mode);
  }

  /** Loads registers. Guest memory keeps its contents. */
  load(r: Registers): void {
    const state = Buffer.alloc(STATE);
    state.writeUInt32LE(r.mxcsr ?? 0x1f80, S.mxcsr);
    state.writeUInt16LE(r.fcw ?? 0x37f, S.fcw);
    state.writeUInt16LE(r.fsw ?? 0, S.fsw);
    state[S.ftw] = r.ftw ?? 0;
    state.writeBigUInt64LE(r.rcx ?? 0n, S.rcx);
    state.writeBigUInt64LE(r.rdx ?? 0n, S.rdx);
    for (const [v, at] of [[r.xmm1 ?? 0n, S.xmm1], [r.xmm2 ?? 0n, S.xmm2]] as const) {
      state.writeBigUInt64LE(v & 0xffff_ffff_ffff_ffffn, at);
      state.writeBigUInt64LE(v >> 64n, at + 8);
    }
    r.st?.forEach(([se, sig], i) => {
      state.writeBigUInt64LE(sig, S.st + 16 * i);
      state.writeUInt16LE(se, S.st + 16 * i + 8);
    });
    const kept = Buffer.from(this.guest(0x2000, 16).toString('hex'), 'hex');
    this.bytes.set(state, REC);
    this.x.fp_test_load(CPU_BASE, REC);
    this.guest(0x2000, 16).set(kept);
  }

  /** Guest memory. */
  guest(gpa: number, len: number): Buffer {
    return Buffer.from(this.memory.buffer as unknown as ArrayBuffer, RAM_BASE + gpa, len);
  }

  /** Runs one micro-op on the loaded registers; its memory operand is at `gpa`. */
  exec(kind: 'sse' | 'x87', imm2: number, gpa = 0x2000, a = 1, b = 2): Outcome {
    const u = this.x.fp_test_uop(CPU_BASE);
    this.view.setUint32(u, 0x0004_0000, true);
    this.view.setUint8(u + 4, a);
    this.view.setUint8(u + 5, b);
    this.view.setUint16(u + 6, 0x8080, true); // no base, no index
    this.view.setInt32(u + 8, gpa, true);
    this.view.setUint32(u + 12, imm2, true);
    if (kind === 'x87') this.x.x87_exec(CPU_BASE, u);
    else this.x.sse_exec(CPU_BASE, u);
    return this.outcome();
  }

  outcome(): Outcome {
    const o = REC + RECORD;
    this.x.fp_test_save(CPU_BASE, o);
    const wide = (at: number) => this.view.getBigUint64(at, true) | (this.view.getBigUint64(at + 8, true) << 64n);
    return {
      fault: this.view.getUint32(o, true),
      mxcsr: this.view.getUint32(o + S.mxcsr, true),
      fcw: this.view.getUint16(o + S.fcw, true),
      fsw: this.view.getUint16(o + S.fsw, true),
      ftw: this.view.getUint8(o + S.ftw),
      rcx: this.view.getBigUint64(o + S.rcx, true),
      xmm1: wide(o + S.xmm1),
      xmm2: wide(o + S.xmm2),
      st: Array.from({ length: 8 }, (_, i) => [this.view.getUint16(o + S.st + 16 * i + 8, true), this.view.getBigUint64(o + S.st + 16 * i, true)]),
    };
  }

  /** Runs x87 instruction `opcode` `modrm` (register form) on ST0 and ST1 with default control word; the registers afterwards, ST0 first. */
  x87(opcode: number, modrm: number, st0: Uint8Array, st1: Uint8Array): { sig: bigint; se: number }[] {
    const record = Buffer.alloc(RECORD);
    record.writeUInt32LE(0x1f80, S.mxcsr);
    record.writeUInt16LE(0x37f, S.fcw);
    record.writeUInt16LE(0x3000, S.fsw); // TOP 6: two registers in use
    record[S.ftw] = 0xc0;
    record[S.kind] = 1;
    record.writeUInt32LE(((opcode & 7) << 8) | modrm, S.imm2);
    record.set(st0.subarray(0, 10), S.st);
    record.set(st1.subarray(0, 10), S.st + 16);
    this.run(record, 0);
    const at = REC + RECORD + S.st;
    return Array.from({ length: 8 }, (_, i) => ({ sig: this.view.getBigUint64(at + 16 * i, true), se: this.view.getUint16(at + 16 * i + 8, true) }));
  }

  /** Runs one SSE micro-op between xmm1 and xmm2; xmm1 afterwards as four u32. */
  sse(imm2: number, xmm1: number[], xmm2: number[], mxcsr = 0x1f80): { xmm1: number[]; mxcsr: number; fault: number } {
    const record = Buffer.alloc(RECORD);
    record.writeUInt32LE(mxcsr, S.mxcsr);
    record.writeUInt16LE(0x37f, S.fcw);
    record[S.a] = 1;
    record[S.b] = 2;
    record.writeUInt32LE(imm2, S.imm2);
    for (let i = 0; i < 4; i++) {
      record.writeUInt32LE(xmm1[i]! >>> 0, S.xmm1 + 4 * i);
      record.writeUInt32LE(xmm2[i]! >>> 0, S.xmm2 + 4 * i);
    }
    this.run(record, 0);
    const at = REC + RECORD;
    return {
      xmm1: [0, 4, 8, 12].map((i) => this.view.getUint32(at + S.xmm1 + i, true)),
      mxcsr: this.view.getUint32(at + S.mxcsr, true),
      fault: this.view.getUint32(at, true),
    };
  }
}

/** A record of mpfr.c. */
export const MPFR_RECORD = 64;

/** Distance of our result from the true one, in units of our last place, for the record of mpfr.c at `at`. */
export function ulpError(machine: FpMachine, records: Buffer, at: number): { modrm: number; ulp: number } {
  const r = records.subarray(at, at + MPFR_RECORD);
  const modrm = r.readUInt32LE(0);
  const second = r.readUInt32LE(4);
  const stack = machine.x87(0xd9, modrm, r.subarray(8, 18), r.subarray(24, 34));
  const { sig, se } = stack[(modrm === 0xfb && second === 0) || modrm === 0xf2 ? 1 : 0]!;
  const true128 = (r.readBigUInt64LE(40) << 64n) | r.readBigUInt64LE(48);
  const exp = r.readInt32LE(56);
  if (exp > 16383) return { modrm, ulp: (se & 0x7fff) === 0x7fff ? 0 : Infinity };
  const ours = Math.max(se & 0x7fff, 1) - 16383;
  if (se >> 15 !== r.readUInt32LE(60) && (sig !== 0n || true128 !== 0n)) return { modrm, ulp: Infinity };
  // both in units of 2^-200 of our last place
  const shift = exp - ours - 64 + 200;
  const expected = shift >= 0 ? true128 << BigInt(shift) : true128 >> BigInt(-shift);
  const distance = (sig << 200n) - expected;
  return { modrm, ulp: Number((distance < 0n ? -distance : distance) >> 140n) / 2 ** 60 };
}

/**
 * Random cases for the integer instructions, made from the opcode map: every row, operand size, prefix and operand kind,
 * edge values, and addresses that fault. For ring 3, 64-bit and 32-bit; the layout is test/support/cpu/cpudiff.c's.
 */
import { type OpmapRow, readOpmap } from '../../../assembly/cpu/generate/generate.mjs';

export const CASE_SIZE = 208;
export const RESULT_SIZE = 672;
export const CODE = 0x1000_0000n;
const DATA = 0x2000_1000n;
const WINDOW = DATA + 4096n - 256n;
const READONLY = 0x2001_0000n;
const GS_BASE = DATA + 3584n;
const INSN_MAX = 15;
const M64 = (1n << 64n) - 1n;
const M32 = 0xffff_ffffn;

export const FLAGS = { CF: 1, PF: 4, AF: 0x10, ZF: 0x40, SF: 0x80, DF: 0x400, OF: 0x800 } as const;
const ARITH = 0x8d5;
export const COMPARED_FLAGS = ARITH | FLAGS.DF;

/** Not in ring 3, not the same on every CPU, or covered elsewhere: the rest of the integer rows is generated. */
const LEFT_OUT = new Set([
  'PUSHSEG', 'POPSEG', 'INS', 'OUTS', 'POPF', 'CALLF', 'FWAIT', 'MOVTOSEG', 'LSEG', 'RETF', 'INT3', 'INT', 'INTO', 'IRET', 'X87', 'IN',
  'OUT', 'JMPF', 'INT1', 'HLT', 'CLI', 'STI', 'CALLFM', 'JMPFM', 'SLDT', 'STR', 'LLDT', 'LTR', 'VERR', 'VERW', 'GRP7', 'LAR', 'LSL',
  'SYSCALL', 'CLTS', 'SYSRET', 'INVD', 'WBINVD', 'PREFETCH', 'MOVFROMCR', 'MOVFROMDR', 'MOVTOCR', 'MOVTODR', 'WRMSR', 'RDTSC', 'RDMSR',
  'RDPMC', 'SYSENTER', 'SYSEXIT', 'CPUID', 'GRP15', 'GRP9', 'UD0', 'UD1', 'UD2',
]);
const BRANCHES = new Set(['JCC', 'JMP', 'CALL', 'RET', 'LOOP', 'CALLN', 'JMPN']);

export class Rng {
  private s: number;
  constructor(seed: number) {
    this.s = (seed ^ 0x9e3779b9) | 1;
  }
  next(): number {
    let s = this.s;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.s = s;
    return s >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  big(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const EDGES = [
  0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, M64, M64 - 1n, 0xffff_ffff_8000_0000n, 0xffff_ff80n, 0x0123_4567_89ab_cdefn,
];

function value(r: Rng): bigint {
  const k = r.below(8);
  if (k < 4) return r.pick(EDGES);
  if (k < 6) return r.big();
  if (k === 6) return BigInt(r.next());
  return BigInt(r.below(70));
}

export interface CaseInfo {
  readonly mnemonic: string;
  /** Flags that the manual leaves undefined here. */
  readonly undefinedFlags: number;
}

const MODRM = /^[EGMR]/;
const NOT_MODRM = new Set(['ES', 'GS', 'DS', 'CS', 'SS']);

function hasModrm(row: OpmapRow): boolean {
  return row.digit >= 0 || row.operands.some((o) => (MODRM.test(o) || o === 'Sw') && !NOT_MODRM.has(o));
}

/** Where an operand lies: mostly in the window, sometimes where it faults. */
function address(r: Rng): bigint {
  const k = r.below(40);
  if (k === 0) return DATA + 8192n - BigInt(1 + r.below(16)); // over the end into nothing
  if (k === 1) return DATA - BigInt(r.below(16)); // before the start
  if (k === 2) return READONLY + BigInt(r.below(4096 - 16));
  if (k === 3) return 0x8000_0000_0000n + BigInt(r.below(12)); // just beyond the canonical border
  if (k === 4) return r.pick([0x1234_5678_0000_0000n, 0xdead_beef_0000_1000n, 0x8000_0000_0000_0000n]);
  if (k === 5) return r.pick([0x3000_0000n, 0x7ffe_0000n]);
  if (k < 16) return DATA + 4096n - BigInt(r.below(20)); // over the page border
  const a = WINDOW + 16n + BigInt(r.below(512 - 48));
  return r.chance(50) ? a & ~7n : a;
}

function writeImmediate(out: number[], r: Rng, bytes: number): void {
  let v = r.chance(60) ? r.pick(EDGES) : r.big();
  for (let i = 0; i < bytes; i++) {
    out.push(Number(v & 0xffn));
    v >>= 8n;
  }
}

function writeSigned(out: number[], v: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) out.push((v >> (8 * i)) & 0xff);
}

export class CaseMaker {
  private readonly rows: OpmapRow[];
  private readonly bytes: number[] = [];
  readonly regs = new BigUint64Array(16);

  private readonly r: Rng;
  private readonly bits: 32 | 64;
  /** Where in the code pages the instruction lies. */
  private offset = 0;

  constructor(r: Rng, bits: 32 | 64 = 64) {
    this.r = r;
    this.bits = bits;
    const other = bits === 64 ? 'i64' : 'o64';
    this.rows = readOpmap().filter(
      (w) =>
        w.prefix === '-' && (w.map === '1' || w.map === '2') && !w.attributes.includes(other) &&
        // ARPL, and what differs only in segment loads
        (!LEFT_OUT.has(w.mnemonic) || (bits === 32 && w.mnemonic === 'PUSHSEG')) && !(bits === 32 && w.mnemonic === 'MOVSXD'),
    );
    // CMPXCHG8B and CMPXCHG16B share their row with RDRAND
    this.rows.push({ map: '2', prefix: '-', lo: 0xc7, hi: 0xc7, digit: 1, mnemonic: 'CMPXCHG8B', operands: ['M'], attributes: ['lock'] });
  }

  get mnemonics(): string[] {
    return [...new Set(this.rows.map((w) => w.mnemonic))];
  }

  private address(): bigint {
    const a = address(this.r);
    return this.bits === 64 || a <= M32 ? a : WINDOW + 64n;
  }

  private reset(): void {
    for (let i = 0; i < 16; i++) this.regs[i] = this.bits === 64 ? value(this.r) : i < 8 ? value(this.r) & M32 : 0n;
    this.regs[4] = WINDOW + 128n + BigInt(8 * this.r.below(32));
  }

  /** One instruction at `to` (CASE_SIZE bytes). */
  single(to: Buffer): CaseInfo {
    const r = this.r;
    this.reset();
    this.bytes.length = 0;
    const offset = r.chance(10) ? 4096 - 1 - r.below(14) : 64 + r.below(1024);
    this.offset = offset;
    const info = this.instruction(r.pick(this.rows), offset);
    this.write(to, offset, r.chance(25) ? FLAGS.DF : 0);
    return info;
  }

  /**
   * Three to six instructions without memory faults that set and read flags, then perhaps a branch: what the block builder
   * fuses and drops. `undefinedFlags`: AF, which logic leaves undefined.
   */
  sequence(to: Buffer): CaseInfo {
    const r = this.r;
    this.reset();
    const out = this.bytes;
    out.length = 0;
    const offset = 64 + r.below(1024);
    const n = 2 + r.below(4);
    const reg = (): number => {
      const x = r.below(16);
      return x === 4 ? 3 : x;
    };
    const rexed = (wide: boolean, g: number, b: number, force: boolean): void => {
      const rex = 0x40 | (wide ? 8 : 0) | (g > 7 ? 4 : 0) | (b > 7 ? 1 : 0);
      if (rex !== 0x40 || force) out.push(rex);
    };
    for (let i = 0; i < n; i++) {
      const g = reg();
      const b = reg();
      const wide = r.chance(50);
      const k = r.below(12);
      if (k < 4) { // ALU r/m, r in 32, 64, 16 or 8 bits
        if (r.chance(12)) out.push(0x66);
        const byte = r.chance(15);
        rexed(wide, g, b, byte);
        out.push((r.below(8) << 3) | (byte ? 0 : 1), 0xc0 | ((g & 7) << 3) | (b & 7));
      } else if (k < 6) { // ALU r/m, imm8
        rexed(wide, 0, b, false);
        out.push(0x83, 0xc0 | (r.below(8) << 3) | (b & 7), r.next() & 0xff);
      } else if (k === 6) { // INC, DEC
        rexed(wide, 0, b, false);
        out.push(0xff, 0xc0 | (r.below(2) << 3) | (b & 7));
      } else if (k === 7) { // TEST
        rexed(wide, g, b, false);
        out.push(0x85, 0xc0 | ((g & 7) << 3) | (b & 7));
      } else if (k === 8) { // NEG, NOT
        rexed(wide, 0, b, false);
        out.push(0xf7, 0xc0 | (r.pick([2, 3]) << 3) | (b & 7));
      } else if (k === 9) { // SHL, SHR, SAR, ROL, RCL by one
        rexed(wide, 0, b, false);
        out.push(0xd1, 0xc0 | (r.pick([0, 1, 2, 4, 5, 7]) << 3) | (b & 7));
      } else if (k === 10) { // SETcc
        rexed(false, 0, b, true);
        out.push(0x0f, 0x90 | r.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]), 0xc0 | (b & 7));
      } else { // CMOVcc
        rexed(wide, g, b, false);
        out.push(0x0f, 0x40 | r.below(16), 0xc0 | ((g & 7) << 3) | (b & 7));
      }
    }
    if (r.chance(60)) out.push(0x70 | r.below(16), 60 + r.below(60));
    this.write(to, offset, 0);
    return { mnemonic: 'sequence', undefinedFlags: FLAGS.AF };
  }

  private write(to: Buffer, offset: number, extraFlags: number): void {
    to.fill(0);
    to[0] = this.bytes.length;
    to[1] = this.bits === 32 ? 1 : 0;
    to.writeBigUInt64LE(BigInt(offset), 8);
    Buffer.from(this.bytes).copy(to, 16);
    for (let i = 0; i < 16; i++) to.writeBigUInt64LE((this.regs[i] as bigint) & (this.bits === 32 ? M32 : M64), 64 + i * 8);
    to.writeBigUInt64LE(BigInt((this.r.next() & ARITH) | 0x202 | extraFlags), 192);
    to.writeBigUInt64LE(this.r.big(), 200);
  }

  private instruction(row: OpmapRow, offset: number): CaseInfo {
    const r = this.r;
    const out = this.bytes;
    const branch = BRANCHES.has(row.mnemonic);
    const string = ['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS'].includes(row.mnemonic);
    const modrm = hasModrm(row);
    const opcode = row.lo + r.below(row.hi - row.lo + 1);
    const memory = modrm && (row.operands.some((o) => o[0] === 'M') || r.chance(55)) && !row.operands.some((o) => o[0] === 'R');

    // prefixes
    const data16 = !branch && row.mnemonic !== 'BSWAP' && row.mnemonic !== 'MOVSXD' && r.chance(22);
    const address32 = r.chance(6);
    const gs = r.chance(6);
    const lock = row.attributes.includes('lock') && memory ? r.chance(25) : r.chance(1);
    const rep = string ? r.below(3) : 0;
    const legacy: number[] = [];
    if (data16) legacy.push(0x66);
    if (address32) legacy.push(0x67);
    if (gs) legacy.push(0x65);
    if (lock) legacy.push(0xf0);
    if (rep) legacy.push(rep === 1 ? 0xf3 : 0xf2);
    if (row.mnemonic === 'POPCNT') legacy.push(0xf3);
    for (let i = legacy.length - 1; i > 0; i--) {
      const j = r.below(i + 1);
      [legacy[i], legacy[j]] = [legacy[j] as number, legacy[i] as number];
    }
    if (r.chance(1)) legacy.push(r.pick([0x2e, 0x36, 0x3e, 0x26]));
    out.push(...legacy);
    let rex = 0;
    if (this.bits === 64 && r.chance(55)) rex = 0x40 | r.below(16);
    if (row.mnemonic === 'POPCNT' && this.bits === 64 && rex === 0 && r.chance(50)) rex = 0x48;
    if (rex) out.push(rex);
    const wide = (rex & 8) !== 0;
    const byte = /^([EGOZ]b|AL|b)$/.test(row.operands[0] ?? '') || row.operands[1] === 'AL';
    const d64 = row.attributes.includes('d64') || row.attributes.includes('f64');
    const size = byte ? 1 : wide ? 8 : data16 ? 2 : d64 && this.bits === 64 ? 8 : 4;

    if (row.map === '2') out.push(0x0f);
    out.push(opcode);

    let ripFixup = -1;
    let ripTarget = 0n;
    let rmReg = -1;
    const reg = row.digit >= 0 ? row.digit : row.operands.includes('Sw') ? r.below(6) : r.below(8);
    const bitOffset = row.mnemonic.startsWith('BT') && row.operands[1] === 'Gv' && memory;
    if (bitOffset) {
      const full = reg | ((rex & 4) << 1);
      if (full !== 4) this.regs[full] = BigInt.asUintN(64, BigInt(r.below(600) - 300));
    }
    if (memory) {
      // the kernel cannot return to a non-canonical RSP, so as a base it stays near what it points to
      const sp = (rex & 1) === 0;
      let target = this.address();
      if ((sp || bitOffset) && target >= 0x7fff_ffff_0000n) target = WINDOW + 64n;
      const goal = BigInt.asUintN(64, target - (gs && this.bits === 64 ? GS_BASE : 0n));
      const form = r.below(10);
      if (this.bits === 32 && address32) {
        // 16-bit addressing: nothing is mapped there, so only CR2 and LEA tell
        const mod = r.below(3);
        const rm = r.below(8);
        out.push((mod << 6) | (reg << 3) | rm);
        if (mod === 1) out.push(r.below(256));
        else if (mod === 2 || rm === 6) out.push(r.below(256), r.below(256));
      } else
      if (form === 0 && !gs && this.bits === 64) {
        // RIP-relative: only near
        out.push((reg << 3) | 5);
        ripFixup = out.length;
        ripTarget = WINDOW + 16n + BigInt(r.below(400));
        out.push(0, 0, 0, 0);
      } else if (form === 1 && goal < 0x8000_0000n) {
        out.push((reg << 3) | 4, 0x25);
        for (let i = 0n; i < 4n; i++) out.push(Number((goal >> (8n * i)) & 0xffn));
      } else {
        const base3 = r.below(8);
        const base = base3 | ((rex & 1) << 3);
        let indexValue = 0n;
        const disp8 = r.chance(50);
        const near = sp && base3 === 4;
        const disp = disp8 ? r.below(256) - 128 : near || r.chance(50) ? r.below(4096) - 2048 : r.next() | 0;
        const mod = disp8 ? 1 : 2;
        if (base3 === 4 || r.chance(40)) {
          const index3 = r.below(8);
          const index = index3 | ((rex & 2) << 2);
          const scale = r.below(4);
          out.push((mod << 6) | (reg << 3) | 4, (scale << 6) | (index3 << 3) | base3);
          if (index !== 4) {
            if (index !== base) {
              if (index === (reg | ((rex & 4) << 1)) && bitOffset) indexValue = (this.regs[index] as bigint) << BigInt(scale);
              else {
                this.regs[index] = near || r.chance(70) ? BigInt(r.below(1000)) : r.big();
                indexValue = (this.regs[index] as bigint) << BigInt(scale);
              }
            } else {
              // base + base × scale: take what comes
              indexValue = 0n;
            }
          }
        } else out.push((mod << 6) | (reg << 3) | base3);
        writeSigned(out, disp, disp8 ? 1 : 4);
        const want = BigInt.asUintN(64, goal - BigInt(disp) - indexValue);
        if (!(bitOffset && base === (reg | ((rex & 4) << 1)))) {
          this.regs[base] = near ? want : address32 ? (want & 0xffff_ffffn) | (r.big() & ~0xffff_ffffn & M64) : want;
        }
      }
    } else if (modrm) {
      const rm = r.below(8);
      out.push(0xc0 | (reg << 3) | rm);
      rmReg = rm | ((rex & 1) << 3);
    }

    this.implicit(row, size, address32, gs, rep, rmReg);

    // a 16-bit double shift by more than 16 is undefined, result and all
    const shxd16 = size === 2 && (row.mnemonic === 'SHLD' || row.mnemonic === 'SHRD');
    if (shxd16 && row.operands.includes('CL')) this.regs[1] = ((this.regs[1] as bigint) & ~0xffn) | BigInt(r.below(17));

    // immediates
    let shiftCount = -1;
    for (const o of row.operands) {
      if (o === 'Ib') writeImmediate(out, r, 1);
      else if (o === 'Ub') {
        const n = row.mnemonic === 'ENTER' ? r.below(4) : shxd16 ? r.below(17) : r.chance(70) ? r.below(66) : r.below(256);
        shiftCount = n;
        out.push(n);
      } else if (o === 'Iw') {
        if (row.mnemonic === 'ENTER' || row.mnemonic === 'RET') writeSigned(out, r.below(64), 2);
        else writeImmediate(out, r, 2);
      } else if (o === 'Iz') writeImmediate(out, r, size === 2 ? 2 : 4);
      else if (o === 'Iv') writeImmediate(out, r, size);
      else if (o === 'Ob' || o === 'Ov') {
        let a = BigInt.asUintN(64, this.address() - (gs ? GS_BASE : 0n));
        for (let i = 0; i < (this.bits === 32 ? (address32 ? 2 : 4) : address32 ? 4 : 8); i++) {
          out.push(Number(a & 0xffn));
          a >>= 8n;
        }
      } else if (o === 'Jb' || o === 'Jz') {
        const n = o === 'Jb' ? 1 : 4;
        // somewhere else in the code pages, not in this case's own bytes
        const here = offset + out.length + n;
        let disp = n === 1 ? (r.chance(50) ? 50 + r.below(77) : -60 - r.below(60)) : r.below(8000) - here;
        if (n === 4 && disp > -64 && disp < 64) disp = 200;
        if (here + disp < 0) disp = 100;
        writeSigned(out, disp, n);
      }
    }
    if (ripFixup >= 0) {
      const end = CODE + BigInt(offset + out.length);
      const disp: number[] = [];
      writeSigned(disp, Number(BigInt.asIntN(32, ripTarget - end)), 4);
      for (let i = 0; i < 4; i++) out[ripFixup + i] = disp[i] as number;
    }
    return { mnemonic: row.mnemonic, undefinedFlags: this.undefinedFlags(row, size, shiftCount) };
  }

  /** Registers that an instruction uses without naming them. */
  private implicit(row: OpmapRow, size: number, address32: boolean, gs: boolean, rep: number, rmReg: number): void {
    const r = this.r;
    const g = this.regs;
    const place = (segmented: boolean): bigint => {
      let at = this.address();
      // an element over the canonical border: CPUs differ in which fault they see first
      if (at >= 0x7fff_ffff_0000n && at <= 0x8000_0000_ffffn) at = WINDOW + 200n;
      const a = BigInt.asUintN(64, at - (segmented && gs ? GS_BASE : 0n));
      return address32 ? (a & 0xffff_ffffn) | (r.big() & ~0xffff_ffffn & M64) : a;
    };
    switch (row.mnemonic) {
      case 'MOVS': case 'CMPS': case 'STOS': case 'LODS': case 'SCAS': {
        g[6] = place(true);
        g[7] = place(false);
        if (rep) {
          const n = BigInt(r.chance(90) ? r.below(24) : r.below(600));
          g[1] = address32 ? n | (BigInt(r.below(4)) << 32n) : n;
        }
        if (r.chance(30) && !address32) g[7] = BigInt.asUintN(64, (g[6] as bigint) + BigInt(r.below(33) - 16) + (gs ? GS_BASE : 0n)); // overlapping
        break;
      }
      case 'XLAT': {
        const a = BigInt.asUintN(64, this.address() - (gs ? GS_BASE : 0n) - ((g[0] as bigint) & 0xffn));
        g[3] = address32 ? (a & 0xffff_ffffn) | (r.big() & ~0xffff_ffffn & M64) : a;
        break;
      }
      case 'PUSH': case 'POP': case 'PUSHM': case 'POPM': case 'PUSHF': case 'CALL': case 'RET':
        if (r.chance(30)) g[4] = this.address();
        if ((g[4] as bigint) >= 0x7fff_ffff_0000n) g[4] = WINDOW + 256n;
        break;
      case 'ENTER': case 'LEAVE':
        g[5] = r.chance(80) ? WINDOW + 128n + BigInt(r.below(200)) : this.address();
        if ((g[5] as bigint) >= 0x7fff_ffff_0000n) g[5] = WINDOW + 256n;
        break;
      case 'MULDIV': case 'DIV': case 'IDIV':
        if (r.chance(70)) {
          const a = value(r);
          g[0] = a;
          const top = BigInt.asIntN(size * 8, a) < 0n;
          g[2] = r.chance(50) ? 0n : r.chance(50) && top ? M64 : BigInt(r.below(5));
          if (size === 1) g[0] = BigInt(r.below(2000)) - (r.chance(30) ? 1000n : 0n) & M64;
        }
        if (rmReg >= 0 && rmReg !== 0 && rmReg !== 2 && rmReg !== 4 && r.chance(40)) g[rmReg] = r.big() >> BigInt(r.below(60));
        break;
      case 'LOOP':
        if (r.chance(50)) g[1] = BigInt(r.below(3)) | (r.chance(50) ? 0n : 1n << 32n);
        break;
    }
    // CALL RSP keeps its stack: it would push into the code, which only the native side makes new for each case
    const target = row.mnemonic === 'JMPN' ? rmReg >= 0 : row.mnemonic === 'CALLN' && rmReg >= 0 && rmReg !== 4;
    if (target && (rmReg === 4 || r.chance(80))) {
      // not into this instruction: it would jump for ever
      const to = 2000 + r.below(4000);
      g[rmReg] = CODE + BigInt(to >= this.offset && to < this.offset + INSN_MAX ? to + INSN_MAX : to);
    }
  }

  private undefinedFlags(row: OpmapRow, size: number, count: number): number {
    const { CF, PF, AF, ZF, SF, OF } = FLAGS;
    let n = count;
    if (row.operands.includes('CL')) n = Number((this.regs[1] as bigint) & 0xffn);
    if (row.operands.includes('1')) n = 1;
    n &= size === 8 ? 63 : 31;
    switch (row.mnemonic) {
      case 'AND': case 'OR': case 'XOR': case 'TEST': return AF;
      case 'AAA': case 'AAS': return OF | SF | ZF | PF;
      case 'AAD': case 'AAM': return OF | AF | CF;
      case 'DAA': case 'DAS': return OF;
      case 'MUL': case 'IMUL1': case 'IMUL2': case 'IMUL3': return SF | ZF | AF | PF;
      case 'DIV': case 'IDIV': return CF | PF | AF | ZF | SF | OF;
      case 'BT': case 'BTS': case 'BTR': case 'BTC': return OF | SF | AF | PF;
      case 'BSF': case 'BSR': return CF | OF | SF | AF | PF;
      case 'ROL': case 'ROR': case 'RCL': case 'RCR': return n === 1 ? 0 : n === 0 ? 0 : OF;
      case 'SHL': case 'SHR': case 'SAR':
        if (n === 0) return 0;
        return AF | (n === 1 ? 0 : OF) | (row.mnemonic !== 'SAR' && n >= size * 8 ? CF : 0);
      case 'SHLD': case 'SHRD':
        if (n === 0) return 0;
        return n > size * 8 ? CF | PF | AF | ZF | SF | OF : AF | (n === 1 ? 0 : OF);
      default: return 0;
    }
  }
}

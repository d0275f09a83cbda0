/**
 * Random SSE cases in the layout of cpu-cases.ts: MXCSR and two registers are set, one instruction of the opcode map's SSE rows follows, and
 * its registers and MXCSR go to memory, where they are compared. Values are edges of the number formats more often than not.
 */
import { CODE, type CaseInfo, type Rng } from './cases.ts';

const WINDOW = 0x2000_1000n + 4096n - 256n;
/** RBX: what is addressed lies 0 … 127 bytes behind it. */
const BASE = WINDOW + 64n;

const DOUBLES = [
  0n, 1n, 0x000f_ffff_ffff_ffffn, 0x0010_0000_0000_0000n, 0x0010_0000_0000_0001n, 0x001f_ffff_ffff_ffffn, 0x0020_0000_0000_0000n, 0x3ff0_0000_0000_0000n,
  0x3ff0_0000_0000_0001n, 0x4000_0000_0000_0000n, 0x4008_0000_0000_0000n, 0x41df_ffff_ffc0_0000n, 0x41e0_0000_0000_0000n, 0x43df_ffff_ffff_ffffn,
  0x43e0_0000_0000_0000n, 0x7fdf_ffff_ffff_ffffn, 0x7fe0_0000_0000_0000n, 0x7fef_ffff_ffff_ffffn, 0x7ff0_0000_0000_0000n, 0x7ff0_0000_0000_0001n,
  0x7ff8_0000_0000_0000n, 0x3fd5_5555_5555_5555n, 0x2000_0000_0000_0000n, 0x5fe0_0000_0000_0000n,
];
const SINGLES = [
  0, 1, 0x007f_ffff, 0x0080_0000, 0x0080_0001, 0x00ff_ffff, 0x0100_0000, 0x3f80_0000, 0x3f80_0001, 0x4000_0000, 0x4040_0000, 0x4eff_ffff, 0x4f00_0000,
  0x5eff_ffff, 0x5f00_0000, 0x7eff_ffff, 0x7f00_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_0000, 0x3eaa_aaab, 0x2000_0000, 0x5f80_0000,
];
/** Rounding to nearest with all masked comes up most, with and without PE. */
const MXCSR = [0x1fa0, 0x1fa0, 0x1fa0, 0x1fa0, 0x1f80, 0x1f80, 0x3fa0, 0x5fa0, 0x7f80, 0x9fe0, 0x1fe0, 0x0fa0, 0x1f20, 0x0000];
const OPCODES = [
  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
  0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, ...Array.from({ length: 0x17 }, (_, i) => 0x60 + i), 0x7e, 0x7f, 0xc2, 0xc4, 0xc5, 0xc6,
  ...Array.from({ length: 0x2f }, (_, i) => 0xd0 + i),
];
/** Those of maps 0F 38 and 0F 3A, with 66; the latter have an immediate. */
const MAP_38 = [...Array.from({ length: 12 }, (_, i) => i), 0x10, 0x14, 0x15, 0x17, 0x17, 0x1c, 0x1d, 0x1e, ...[0x20, 0x30].flatMap((n) => [0, 1, 2, 3, 4, 5].map((i) => n + i)),
  ...Array.from({ length: 4 }, (_, i) => 0x28 + i), ...Array.from({ length: 11 }, (_, i) => 0x37 + i)];
const MAP_3A = [0x08, 0x09, 0x0a, 0x0a, 0x0b, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x14, 0x15, 0x16, 0x17, 0x20, 0x21, 0x22, 0x40, 0x41, 0x42, 0x60, 0x61, 0x62, 0x63];
const ARITHMETIC = [0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f, 0x2a, 0x2c, 0x2e, 0x2f];
/** With an immediate behind. */
const IMMEDIATE = new Set([0x70, 0x71, 0x72, 0x73, 0xc2, 0xc4, 0xc5, 0xc6]);

export class SseCases {
  readonly #r: Rng;

  constructor(r: Rng) {
    this.#r = r;
  }

  #number(): bigint {
    const r = this.#r;
    const sign = BigInt(r.below(2));
    switch (r.below(6)) {
      case 0: return r.big();
      case 1: return BigInt.asUintN(64, BigInt(r.below(2000) - 1000));
      case 2:
      case 3: return r.pick(DOUBLES) | (sign << 63n);
      default: return (BigInt(r.pick(SINGLES)) << 32n) | BigInt(r.pick(SINGLES)) | (sign << 63n) | (BigInt(r.below(2)) << 31n);
    }
  }

  /** The bytes of one SSE instruction on XMM1 and XMM2, or memory near RBX. */
  #instruction(): number[] {
    const r = this.#r;
    if (r.chance(30)) return this.#later();
    const op = r.chance(45) ? r.pick(ARITHMETIC) : r.pick(OPCODES);
    const out: number[] = [];
    let prefix = r.pick([0, 0x66, 0xf3, 0xf2]);
    if (isMmx(op, prefix)) prefix = op < 0x60 ? 0xf2 : 0x66;
    if (prefix !== 0) out.push(prefix);
    if (r.chance(25)) out.push(0x48);
    out.push(0x0f, op);
    const group = op >= 0x71 && op <= 0x73;
    const reg = group ? r.pick([2, 3, 4, 6, 7]) : 1;
    if (r.chance(50)) out.push(0xc0 | (reg << 3) | 2);
    else out.push(0x43 | (reg << 3), r.chance(70) ? 16 * r.below(7) : r.below(112));
    if (IMMEDIATE.has(op)) out.push(group && r.chance(70) ? r.below(66) : r.below(256));
    return out;
  }

  /** The same of SSSE3 and SSE4. */
  #later(): number[] {
    const r = this.#r;
    const immediate = r.chance(50);
    const modrm = r.chance(50) ? [0xc0 | (1 << 3) | 2] : [0x43 | (1 << 3), r.chance(70) ? 16 * r.below(7) : r.below(112)];
    const rex = r.chance(25) ? [0x48] : [];
    return [0x66, ...rex, 0x0f, ...(immediate ? [0x3a, r.pick(MAP_3A)] : [0x38, r.pick(MAP_38)]), ...modrm, ...(immediate ? [r.chance(60) ? r.below(34) : r.below(256)] : [])];
  }

  /** One case at `to` (CASE_SIZE bytes). */
  make(to: Buffer): CaseInfo {
    const r = this.#r;
    const offset = 64 + r.below(1024);
    const keep = r.pick([1, 2]);
    const bytes = [
      0x68, ...le32(r.pick(MXCSR)), 0x0f, 0xae, 0x14, 0x24, // push MXCSR; ldmxcsr (%rsp)
      0x66, 0x48, 0x0f, 0x6e, 0xc8, 0x66, 0x48, 0x0f, 0x6e, 0xc2, 0x66, 0x0f, 0x6c, 0xc8, // movq %rax, %xmm1; movq %rdx, %xmm0; punpcklqdq %xmm0, %xmm1
      0x66, 0x48, 0x0f, 0x6e, 0xd1, // movq %rcx, %xmm2
      ...this.#instruction(),
      0x0f, 0x90 + r.below(16), 0xc0, // setcc %al
      0x0f, 0x11, 0x43 | (keep << 3), 0x60, // movups %xmm1 or 2, 0x60(%rbx)
      0x0f, 0xae, 0x5b, 0x70, // stmxcsr 0x70(%rbx)
    ];
    to.fill(0);
    to[0] = bytes.length;
    to.writeBigUInt64LE(BigInt(offset), 8);
    Buffer.from(bytes).copy(to, 16);
    for (let i = 0; i < 16; i++) to.writeBigUInt64LE(this.#number(), 64 + i * 8);
    to.writeBigUInt64LE(BASE + BigInt(r.chance(3) ? 8 : 0), 64 + 3 * 8);
    to.writeBigUInt64LE(WINDOW + 48n, 64 + 4 * 8);
    to.writeBigUInt64LE(0x202n, 192);
    to.writeBigUInt64LE(r.big(), 200);
    return { mnemonic: `at ${(CODE + BigInt(offset)).toString(16)}`, undefinedFlags: 0 };
  }
}

/** MMX registers keep what the run before left in them. */
function isMmx(op: number, prefix: number): boolean {
  if (op === 0x2a || op === 0x2c || op === 0x2d) return prefix === 0 || prefix === 0x66;
  return op === 0xd6 ? prefix !== 0x66 : op >= 0x60 && op !== 0xc2 && op !== 0xc6 && prefix === 0;
}

function le32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

/**
 * Random cases in the layout of cases.ts for what the translator writes in forms of its own: an instruction that sets flags, then a multiplication, division,
 * bit operation, shift, locked or exchanging one, then some that read flags: what made them is known in the middle, and must be right.
 */
import { CODE, type CaseInfo, type Rng } from './cases.ts';

const WINDOW = 0x2000_1000n + 4096n - 256n;
/** RBX: operands in memory lie 0 … 111 bytes behind it. */
const BASE = WINDOW + 64n;
/** RAX, RCX, RDX, RSI, RDI. */
const REGISTERS = [0, 1, 2, 6, 7];
const EDGES = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn];

export class OpCases {
  readonly #r: Rng;

  constructor(r: Rng) {
    this.#r = r;
  }

  /** Prefixes, opcode, ModRM and what follows it: `reg` is ModRM's field, absent a random register. Opcodes are those of bytes, the lowest bit chooses more. */
  #coded(opcode: readonly number[], options: { memory?: boolean; lock?: boolean; reg?: number; sized?: boolean; rep?: boolean; most?: number } = {}): number[] {
    const r = this.#r;
    const size = options.sized === false ? 1 + r.below(3) : r.below(4);
    const out: number[] = [];
    if (options.lock === true) out.push(0xf0);
    if (size === 1) out.push(0x66);
    if (options.rep === true) out.push(0xf3);
    if (size === 3) out.push(0x48);
    const last = opcode.at(-1) as number;
    out.push(...opcode.slice(0, -1), options.sized === false || size === 0 ? last : last | 1);
    const reg = options.reg ?? r.pick(REGISTERS);
    if (options.memory ?? r.chance(40)) {
      const bytes = 1 << size;
      out.push(0x43 | (reg << 3), r.chance(70) ? bytes * r.below(Math.floor(104 / bytes)) : r.below(104));
    } else out.push(0xc0 | (reg << 3) | r.pick(REGISTERS));
    return out;
  }

  #setter(): number[] {
    const r = this.#r;
    const k = r.below(9);
    if (k < 5) return this.#coded([r.pick([0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x84])], { memory: false });
    if (k === 5) return this.#coded([0xfe], { memory: false, reg: r.below(2) });
    if (k === 6) return [...this.#coded([0xc0], { memory: false, reg: r.pick([0, 1, 4, 5, 7]) }), r.below(66)];
    if (k === 7) return this.#coded([0x0f, r.pick([0xaf, 0xa3])], { memory: false, sized: false });
    return [r.pick([0xf8, 0xf9, 0xf5])]; // CLC, STC, CMC
  }

  #operation(): number[] {
    const r = this.#r;
    switch (r.below(10)) {
      case 0:
      case 1: return this.#coded([0xf6], { reg: 4 + r.below(4) });
      case 2: return r.chance(50) ? this.#coded([0x0f, 0xaf], { sized: false }) : [...this.#coded([0x6b], { sized: false }), r.below(256)];
      case 3: return this.#coded([0x0f, r.pick([0xbc, 0xbd, 0xb8])], { sized: false, rep: r.chance(30) });
      case 4: {
        const op = r.below(4);
        const lock = op > 0 && r.chance(30);
        if (r.chance(50)) return [...this.#coded([0x0f, 0xba], { sized: false, reg: 4 + op, lock, ...(lock ? { memory: true } : {}) }), r.below(256)];
        // the number reaches 16 bytes to both sides, and never the code
        const reg = r.pick(REGISTERS);
        return [0x48, 0x0f, 0xbe, 0xc0 | (reg << 3) | r.below(3), ...this.#coded([0x0f, 0xa3 + op * 8], { sized: false, lock, reg, ...(lock ? { memory: true } : {}) })];
      }
      case 5:
        if (r.chance(40)) return [...this.#coded([0xc0], { reg: r.below(8) }), r.chance(70) ? r.below(34) : r.below(256)];
        return this.#coded([r.pick([0xd0, 0xd2])], { reg: r.below(8) });
      case 6: {
        const cl = r.chance(50);
        const bytes = this.#coded([0x0f, r.pick([0xa4, 0xac]) + (cl ? 1 : 0)], { sized: false });
        return cl ? bytes : [...bytes, r.below(70)];
      }
      case 7: {
        const form = r.below(3);
        const op = r.below(7);
        if (form === 0) return this.#coded([op * 8], { memory: true, lock: true });
        if (form === 1) return [...this.#coded([0x83], { memory: true, lock: true, reg: op, sized: false }), r.below(256)];
        return this.#coded([r.pick([0xfe, 0xf6])], { memory: true, lock: true, reg: r.below(2) + (r.chance(50) ? 2 : 0) });
      }
      case 8: return this.#coded(r.pick([[0x86], [0x0f, 0xc0], [0x0f, 0xb0]]), { memory: true, lock: r.chance(80) });
      default: return r.chance(60) ? [0x0f, 0x90 + r.below(16), 0x43, r.below(104)] : [0xff, 0x73, 8 * r.below(12), 0x8f, 0x43, 8 * r.below(12)];
    }
  }

  #reader(): number[] {
    const r = this.#r;
    const cc = r.below(16);
    switch (r.below(5)) {
      case 0: return [0x0f, 0x90 + cc, 0xc0 | r.pick([0, 1, 2])];
      case 1: return [0x48, 0x0f, 0x40 + cc, 0xc0 | (r.pick(REGISTERS) << 3) | r.pick(REGISTERS)];
      case 2: return [0x70 + cc, 0x03, 0x48, 0xff, 0xc0 | r.pick(REGISTERS)]; // jcc over INC
      case 3: return this.#coded([r.pick([0x10, 0x18])], { memory: false });
      default: return [0x0f, 0x90 + cc, 0x43, 0x68 + r.below(4)];
    }
  }

  /** One case at `to` (CASE_SIZE bytes). */
  make(to: Buffer): CaseInfo {
    const r = this.#r;
    const offset = 64 + r.below(1024);
    const parts = r.chance(80) ? [this.#setter(), this.#operation(), this.#reader(), this.#reader()] : [this.#operation(), this.#operation(), this.#reader()];
    if (r.chance(40)) parts.push(this.#reader());
    const bytes = parts.flat();
    to.fill(0);
    to[0] = bytes.length;
    to.writeBigUInt64LE(BigInt(offset), 8);
    Buffer.from(bytes).copy(to, 16);
    for (let i = 0; i < 16; i++) to.writeBigUInt64LE(r.chance(50) ? r.pick(EDGES) : r.chance(50) ? r.big() : r.big() & 0xffn, 64 + i * 8);
    if (r.chance(40)) to.writeBigUInt64LE(BigInt.asUintN(64, BigInt(r.below(3) - 1)), 64 + 2 * 8); // RDX, for divisions that do not fault
    to.writeBigUInt64LE(BASE + BigInt(r.chance(3) ? 8 : 0), 64 + 3 * 8);
    to.writeBigUInt64LE(WINDOW + 48n, 64 + 4 * 8);
    to.writeBigUInt64LE(0x202n | (r.big() & 0x8d5n), 192);
    to.writeBigUInt64LE(r.chance(30) ? r.pick(EDGES) : r.big(), 200);
    return { mnemonic: `at ${(CODE + BigInt(offset)).toString(16)}`, undefinedFlags: 0 };
  }
}

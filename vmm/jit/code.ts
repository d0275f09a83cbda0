/** Writes WebAssembly instructions: opcodes, LEB128 numbers, labels by nesting depth (WebAssembly core specification 2.0, section 5). */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const VOID = 0x40;

/** Opcodes that have no immediates. */
export const OP = {
  unreachable: 0x00, return: 0x0f, drop: 0x1a, select: 0x1b,
  i32Eqz: 0x45, i32Eq: 0x46, i32Ne: 0x47, i32LtS: 0x48, i32LtU: 0x49, i32GtS: 0x4a, i32GtU: 0x4b, i32LeS: 0x4c, i32LeU: 0x4d, i32GeS: 0x4e, i32GeU: 0x4f,
  i64Eqz: 0x50, i64Eq: 0x51, i64Ne: 0x52, i64LtS: 0x53, i64LtU: 0x54, i64GtS: 0x55, i64GtU: 0x56, i64LeS: 0x57, i64LeU: 0x58, i64GeS: 0x59, i64GeU: 0x5a,
  i32Clz: 0x67, i32Ctz: 0x68, i32Popcnt: 0x69,
  i32Add: 0x6a, i32Sub: 0x6b, i32Mul: 0x6c, i32And: 0x71, i32Or: 0x72, i32Xor: 0x73, i32Shl: 0x74, i32ShrS: 0x75, i32ShrU: 0x76, i32Rotl: 0x77, i32Rotr: 0x78,
  i64Clz: 0x79, i64Ctz: 0x7a, i64Popcnt: 0x7b,
  i64Add: 0x7c, i64Sub: 0x7d, i64Mul: 0x7e, i64DivS: 0x7f, i64DivU: 0x80, i64And: 0x83, i64Or: 0x84, i64Xor: 0x85, i64Shl: 0x86, i64ShrS: 0x87, i64ShrU: 0x88, i64Rotl: 0x89, i64Rotr: 0x8a,
  f64Add: 0xa0, f64Sub: 0xa1, f64Mul: 0xa2, f64Div: 0xa3,
  wrap: 0xa7, extendS: 0xac, extendU: 0xad, f64Bits: 0xbd, bitsF64: 0xbf,
  i32Extend8: 0xc0, i32Extend16: 0xc1, i64Extend8: 0xc2, i64Extend16: 0xc3, i64Extend32: 0xc4,
} as const;

/** Loads and stores: opcode, then alignment and offset. */
export const MEM = {
  i32Load: 0x28, i64Load: 0x29, f64Load: 0x2b, i32Load8S: 0x2c, i32Load8U: 0x2d, i32Load16S: 0x2e, i32Load16U: 0x2f,
  i64Load8S: 0x30, i64Load8U: 0x31, i64Load16S: 0x32, i64Load16U: 0x33, i64Load32S: 0x34, i64Load32U: 0x35,
  i32Store: 0x36, i64Store: 0x37, f64Store: 0x39, i32Store8: 0x3a, i32Store16: 0x3b, i64Store8: 0x3c, i64Store16: 0x3d, i64Store32: 0x3e,
} as const;

const TWO32 = 4294967296;

/** For `get`: no local but the address of the vCPU's state, a constant (so that V8 keeps it in no register and an access needs no sum). */
export const CPU = -1;

/** A growing run of bytes. Numbers for `i64` are integers that a double holds exactly. */
export class Code {
  bytes: Uint8Array;
  length = 0;
  /** Labels open at this point. */
  depth = 0;
  /** Branches that nearly always go the same way, for V8 to keep what lies on the other one out of the way: places and 1 for taken, 0 else. */
  readonly hints: number[] = [];
  /** The vCPU's address. */
  cpu = 0;

  constructor(room = 16384) {
    this.bytes = new Uint8Array(room);
  }

  clear(): void {
    this.length = 0;
    this.depth = 0;
    this.hints.length = 0;
  }

  /** Makes room for `n` more bytes. */
  #room(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const more = new Uint8Array(Math.max(this.bytes.length * 2, this.length + n));
    more.set(this.bytes.subarray(0, this.length));
    this.bytes = more;
  }

  op(a: number): this {
    if (this.length + 1 > this.bytes.length) this.#room(1);
    this.bytes[this.length++] = a;
    return this;
  }

  op2(a: number, b: number): this {
    return this.op(a).op(b);
  }

  append(other: Uint8Array): this {
    this.#room(other.length);
    this.bytes.set(other, this.length);
    this.length += other.length;
    return this;
  }

  u(value: number): this {
    let n = value >>> 0;
    while (n > 0x7f) {
      this.op((n & 0x7f) | 0x80);
      n >>>= 7;
    }
    return this.op(n);
  }

  s(value: number): this {
    let n = value | 0;
    while (n < -64 || n > 63) {
      this.op((n & 0x7f) | 0x80);
      n >>= 7;
    }
    return this.op(n & 0x7f);
  }

  get(local: number): this {
    return local === CPU ? this.i32(this.cpu) : this.op(0x20).u(local);
  }

  set(local: number): this {
    return this.op(0x21).u(local);
  }

  tee(local: number): this {
    return this.op(0x22).u(local);
  }

  i32(value: number): this {
    return this.op(0x41).s(value);
  }

  i64(value: number): this {
    this.op(0x42);
    if (value === (value | 0)) return this.s(value);
    return this.#s64(Math.floor(value / TWO32), value >>> 0);
  }

  /** A 64-bit constant by its halves. */
  i64Halves(high: number, low: number): this {
    return this.op(0x42).#s64(high | 0, low >>> 0);
  }

  #s64(high: number, low: number): this {
    let h = high | 0;
    let l = low >>> 0;
    for (;;) {
      const byte = l & 0x7f;
      l = ((l >>> 7) | (h << 25)) >>> 0;
      h >>= 7;
      const sign = (byte & 0x40) !== 0;
      if ((h === 0 && l === 0 && !sign) || (h === -1 && l === 0xffff_ffff && sign)) return this.op(byte);
      this.op(byte | 0x80);
    }
  }

  /** A load or store at the address on the stack plus `offset`. */
  mem(op: number, offset = 0): this {
    return this.op2(op, 0).u(offset);
  }

  /** An atomic load of a byte, whose alignment V8 need not check. */
  atomicLoad8(offset: number): this {
    return this.op(0xfe).op2(0x12, 0).u(offset);
  }

  /** A vector instruction without immediates. */
  simd(op: number): this {
    return this.op(0xfd).u(op);
  }

  /** A vector load or store. */
  simdMem(op: number, offset = 0): this {
    return this.op(0xfd).u(op).op(0).u(offset);
  }

  call(index: number): this {
    return this.op(0x10).u(index);
  }

  /** Tail call through table 0 of a function of `type`. */
  returnCallIndirect(type: number): this {
    return this.op(0x13).u(type).u(0);
  }

  block(type = VOID): number {
    this.op2(0x02, type);
    return ++this.depth;
  }

  loop(type = VOID): number {
    this.op2(0x03, type);
    return ++this.depth;
  }

  if(type = VOID): this {
    this.op2(0x04, type);
    this.depth++;
    return this;
  }

  /** The `if` or `brIf` that comes next is hardly ever taken. */
  rarely(): this {
    this.hints.push(this.length, 0);
    return this;
  }

  /** It nearly always is. */
  mostly(): this {
    this.hints.push(this.length, 1);
    return this;
  }

  else(): this {
    return this.op(0x05);
  }

  end(): this {
    this.depth--;
    return this.op(0x0b);
  }

  br(label: number): this {
    return this.op(0x0c).u(this.depth - label);
  }

  /** Branches to the label at the place of the number on the stack, beyond the last one to `other`. */
  brTable(labels: readonly number[], other: number): this {
    this.op(0x0e).u(labels.length);
    for (const label of labels) this.u(this.depth - label);
    return this.u(this.depth - other);
  }

  brIf(label: number): this {
    return this.op(0x0d).u(this.depth - label);
  }
}

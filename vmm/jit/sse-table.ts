/** Which WebAssembly vector instructions do packed SSE operations, by prefix << 8 | opcode of the 0F map (Intel SDM Vol. 2). */

/** The mandatory prefixes 66, F3 and F2. */
export const P66 = 0x100;
export const PF3 = 0x200;
export const PF2 = 0x300;

/** Vector opcodes behind 0xFD that are used by name. */
export const VEC = {
  load: 0x00, store: 0x0b, constant: 0x0c, shuffle: 0x0d, load32Zero: 0x5c, load64Zero: 0x5d, load64Splat: 0x0a,
  not: 0x4d, and: 0x4e, andnot: 0x4f, or: 0x50, xor: 0x51,
  bitmask8: 0x64, bitmask32: 0xa4, bitmask64: 0xc4, allTrue32: 0xa3, allTrue64: 0xc3,
  i64Lane: 0x1d, i8MaxU: 0x79, i8MinU: 0x77, i8Sub: 0x71, pairs16: 0x7d, pairs32: 0x7f, i64ShrU: 0xcd, i64Add: 0xce,
  swizzle: 0x0e, i8Splat: 0x0f, i16Splat: 0x10, bitselect: 0x52, anyTrue: 0x53, i16Eq: 0x2d, i16Q15: 0x82, i16Shl: 0x8b, i16ShrS: 0x8c, i16ShrU: 0x8d, i16AddSatS: 0x8f, i16Mul: 0x95,
  i64Mul: 0xd5, i32Splat: 0x11, i64Splat: 0x12,
  f32Eq: 0x41, f32Ge: 0x46, f32Le: 0x45, f32Abs: 0xe0, f64Eq: 0x47, f64Ge: 0x4c, f64Le: 0x4b, f64Abs: 0xec,
} as const;

/** Operations of destination and source. */
export const PACKED: Readonly<Record<number, number>> = {
  [P66 | 0x63]: 0x65, [P66 | 0x64]: 0x27, [P66 | 0x65]: 0x31, [P66 | 0x66]: 0x3b, [P66 | 0x67]: 0x66, [P66 | 0x6b]: 0x85,
  [P66 | 0x74]: 0x23, [P66 | 0x75]: 0x2d, [P66 | 0x76]: 0x37, [P66 | 0xd4]: 0xce, [P66 | 0xd5]: 0x95, [P66 | 0xd8]: 0x73, [P66 | 0xd9]: 0x93,
  [P66 | 0xda]: 0x77, [P66 | 0xdb]: VEC.and, [P66 | 0xdc]: 0x70, [P66 | 0xdd]: 0x90, [P66 | 0xde]: 0x79, [P66 | 0xe0]: 0x7b, [P66 | 0xe3]: 0x9b,
  [P66 | 0xe8]: 0x72, [P66 | 0xe9]: 0x92, [P66 | 0xea]: 0x96, [P66 | 0xeb]: VEC.or, [P66 | 0xec]: 0x6f, [P66 | 0xed]: 0x8f, [P66 | 0xee]: 0x98,
  [P66 | 0xef]: VEC.xor, [P66 | 0xf5]: 0xba, [P66 | 0xf8]: 0x71, [P66 | 0xf9]: 0x91, [P66 | 0xfa]: 0xb1, [P66 | 0xfb]: 0xd1, [P66 | 0xfc]: 0x6e,
  [P66 | 0xfd]: 0x8e, [P66 | 0xfe]: 0xae,
  [P66 | 0x54]: VEC.and, [P66 | 0x56]: VEC.or, [P66 | 0x57]: VEC.xor, 0x54: VEC.and, 0x56: VEC.or, 0x57: VEC.xor,
};

/** Those that take the complement of the destination: PANDN and its relatives. */
export const AND_NOT: ReadonlySet<number> = new Set([P66 | 0xdf, P66 | 0x55, 0x55]);

/** Unpacking: elements of `size` bytes of both operands in turns, from the low or the high halves. */
export const UNPACK: Readonly<Record<number, { readonly size: number; readonly high: boolean }>> = {
  [P66 | 0x60]: { size: 1, high: false }, [P66 | 0x61]: { size: 2, high: false }, [P66 | 0x62]: { size: 4, high: false }, [P66 | 0x6c]: { size: 8, high: false },
  [P66 | 0x68]: { size: 1, high: true }, [P66 | 0x69]: { size: 2, high: true }, [P66 | 0x6a]: { size: 4, high: true }, [P66 | 0x6d]: { size: 8, high: true },
  0x14: { size: 4, high: false }, 0x15: { size: 4, high: true }, [P66 | 0x14]: { size: 8, high: false }, [P66 | 0x15]: { size: 8, high: true },
};

/** Shifts by an immediate, by opcode and ModRM.reg: the instruction and the bits of an element. */
export const SHIFTS: Readonly<Record<number, { readonly op: number; readonly bits: number; readonly arithmetic: boolean }>> = {
  0x712: { op: 0x8d, bits: 16, arithmetic: false }, 0x714: { op: 0x8c, bits: 16, arithmetic: true }, 0x716: { op: 0x8b, bits: 16, arithmetic: false },
  0x722: { op: 0xad, bits: 32, arithmetic: false }, 0x724: { op: 0xac, bits: 32, arithmetic: true }, 0x726: { op: 0xab, bits: 32, arithmetic: false },
  0x732: { op: 0xcd, bits: 64, arithmetic: false }, 0x736: { op: 0xcb, bits: 64, arithmetic: false },
};

/** Shifts by a register, by opcode. */
export const SHIFTS_BY_REGISTER: Readonly<Record<number, { readonly op: number; readonly bits: number; readonly arithmetic: boolean }>> = {
  0xd1: { op: 0x8d, bits: 16, arithmetic: false }, 0xd2: { op: 0xad, bits: 32, arithmetic: false }, 0xd3: { op: 0xcd, bits: 64, arithmetic: false },
  0xe1: { op: 0x8c, bits: 16, arithmetic: true }, 0xe2: { op: 0xac, bits: 32, arithmetic: true },
  0xf1: { op: 0x8b, bits: 16, arithmetic: false }, 0xf2: { op: 0xab, bits: 32, arithmetic: false }, 0xf3: { op: 0xcb, bits: 64, arithmetic: false },
};

/** Float arithmetic by opcode: which of the six, as the last digits of the WebAssembly opcodes have them. */
export const ARITHMETIC: Readonly<Record<number, 'add' | 'mul' | 'sub' | 'min' | 'div' | 'max' | 'sqrt'>> = {
  0x51: 'sqrt', 0x58: 'add', 0x59: 'mul', 0x5c: 'sub', 0x5d: 'min', 0x5e: 'div', 0x5f: 'max',
};

/** Operand access of the integer operations. Values are sign-extended from the operand size; `size` is log2 of bytes. */
import { ptr_direct } from './mem';

export function sx(v: u64, size: u32): u64 {
  switch (size) {
    case 0: return <u64><i64><i8>v;
    case 1: return <u64><i64><i16>v;
    case 2: return <u64><i64><i32>v;
    default: return v;
  }
}

@inline
export function zx(v: u64, size: u32): u64 {
  return size == 3 ? v : v & ((<u64>1 << (8 << size)) - 1);
}

/** The value at linear-memory offset `p`, sign-extended. */
export function get_sx(p: usize, size: u32): u64 {
  switch (size) {
    case 0: return <u64><i64>load<i8>(p);
    case 1: return <u64><i64>load<i16>(p);
    case 2: return <u64><i64>load<i32>(p);
    default: return load<u64>(p);
  }
}

/** Stores without touching neighbours. */
export function put(p: usize, size: u32, v: u64): void {
  switch (size) {
    case 0: store<u8>(p, <u8>v); break;
    case 1: store<u16>(p, <u16>v); break;
    case 2: store<u32>(p, <u32>v); break;
    default: store<u64>(p, v);
  }
}

/** Writes a register operand: 32 bits clear the upper half. */
export function put_reg(p: usize, size: u32, v: u64): void {
  if (size == 2) store<u64>(p, <u64><u32>v);
  else put(p, size, v);
}

/** Compare-and-swap at an aligned place in RAM. True: it was `old`. */
export function swap_if(p: usize, size: u32, old: u64, v: u64): bool {
  switch (size) {
    case 0: return atomic.cmpxchg<u8>(p, <u8>old, <u8>v) == <u8>old;
    case 1: return atomic.cmpxchg<u16>(p, <u16>old, <u16>v) == <u16>old;
    case 2: return atomic.cmpxchg<u32>(p, <u32>old, <u32>v) == <u32>old;
    default: return atomic.cmpxchg<u64>(p, old, v) == old;
  }
}

/** True when a WASM atomic can do it: RAM itself and aligned. */
@inline
export function atomic_ok(p: usize, size: u32): bool {
  return ptr_direct(p) && (p & ((1 << size) - 1)) == 0;
}

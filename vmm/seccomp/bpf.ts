/** Classic BPF over struct seccomp_data (Linux, Documentation/userspace-api/seccomp_filter.rst; <linux/filter.h>): what filters are put together from. */
import { BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JMP, BPF_K, BPF_LD, BPF_MAXINSNS, BPF_RET, BPF_W } from './generated/bpf.ts';

/** struct sock_filter. A jump says how many instructions it skips. */
export interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly jt?: number;
  readonly jf?: number;
}

/** What a conditional jump can skip. */
export const SHORT = 255;
const FILTER_BYTES = 8;

/** A word of struct seccomp_data into the accumulator. */
export const load = (offset: number): Instruction => ({ code: BPF_LD | BPF_W | BPF_ABS, k: offset });
export const and = (mask: number): Instruction => ({ code: BPF_ALU | BPF_AND | BPF_K, k: mask });
export const result = (value: number): Instruction => ({ code: BPF_RET | BPF_K, k: value });
/** `jt`, `jf`: instructions skipped where the accumulator meets the test, and where it does not. */
export const jump = (test: number, k: number, jt: number, jf: number): Instruction => ({ code: BPF_JMP | test | BPF_K, k, jt, jf });

/** When the test holds what is behind `no`, else `no`, which must not go on behind its end. */
export function branch(test: number, k: number, no: readonly Instruction[], yes: readonly Instruction[]): Instruction[] {
  if (no.length <= SHORT) return [jump(test, k, no.length, 0), ...no, ...yes];
  return [jump(test, k, 0, 1), { code: BPF_JMP | BPF_JA, k: no.length }, ...no, ...yes];
}

/** struct sock_filter[]: code u16, jt u8, jf u8, k u32. Throws RangeError for more than the kernel takes. */
export function filterBytes(code: readonly Instruction[]): Uint8Array {
  if (code.length > BPF_MAXINSNS) throw new RangeError(`a seccomp filter of ${code.length} instructions; the kernel takes ${BPF_MAXINSNS}`);
  const view = new DataView(new ArrayBuffer(code.length * FILTER_BYTES));
  code.forEach(({ code: operation, k, jt = 0, jf = 0 }, i) => {
    view.setUint16(FILTER_BYTES * i, operation, true);
    view.setUint8(FILTER_BYTES * i + 2, jt);
    view.setUint8(FILTER_BYTES * i + 3, jf);
    view.setUint32(FILTER_BYTES * i + 4, k >>> 0, true);
  });
  return new Uint8Array(view.buffer);
}

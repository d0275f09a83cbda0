/** x87 and SSE registers of struct kvm_fpu, by the debugger's names. */
import { kvm_fpu } from '../host/uapi/kvm.ts';

/** name, offset, bytes. The tag word is kept abridged there: see `ftag`. */
const FIELDS: readonly (readonly [string, number, number])[] = [
  ['fctrl', kvm_fpu.fcw, 2],
  ['fstat', kvm_fpu.fsw, 2],
  ['fop', kvm_fpu.last_opcode, 2],
  ['fioff', kvm_fpu.last_ip, 4],
  ['fiseg', kvm_fpu.last_ip + 4, 2],
  ['fooff', kvm_fpu.last_dp, 4],
  ['foseg', kvm_fpu.last_dp + 4, 2],
  ['mxcsr', kvm_fpu.mxcsr, 4],
  ...Array.from({ length: 8 }, (_, i) => [`st${i}`, kvm_fpu.fpr + 16 * i, 10] as const),
  ...Array.from({ length: 16 }, (_, i) => [`xmm${i}`, kvm_fpu.xmm + 16 * i, 16] as const),
];
const BY_NAME = new Map(FIELDS.map(([name, at, size]) => [name, { at, size }]));
const INTEGER_BIT = 1n << 63n;

export function readFpu(fpu: DataView, into: Map<string, bigint>): void {
  for (const [name, at, size] of FIELDS) into.set(name, number(fpu, at, size));
  into.set('ftag', BigInt(fullTag(fpu)));
}

/** False: not a register of the FPU. */
export function writeFpu(fpu: DataView, name: string, value: bigint): boolean {
  if (name === 'ftag') {
    let abridged = 0;
    for (let i = 0; i < 8; i++) if (((value >> BigInt(2 * i)) & 3n) !== 3n) abridged |= 1 << i;
    fpu.setUint8(kvm_fpu.ftwx, abridged);
    return true;
  }
  const field = BY_NAME.get(name);
  if (field === undefined) return false;
  for (let i = 0; i < field.size; i++) fpu.setUint8(field.at + i, Number((value >> BigInt(8 * i)) & 0xffn));
  return true;
}

function number(view: DataView, at: number, size: number): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i));
  return value;
}

/** Two bits a physical register: valid, zero, special, empty (SDM Vol. 1 §8.1.7, table 10-1 of FXSAVE). */
function fullTag(fpu: DataView): number {
  const abridged = fpu.getUint8(kvm_fpu.ftwx);
  const top = (fpu.getUint16(kvm_fpu.fsw, true) >> 11) & 7;
  let tag = 0;
  for (let physical = 0; physical < 8; physical++) {
    const at = kvm_fpu.fpr + 16 * ((physical - top) & 7);
    const significand = fpu.getBigUint64(at, true);
    const exponent = fpu.getUint16(at + 8, true) & 0x7fff;
    const kind = (abridged & (1 << physical)) === 0 ? 3 : exponent === 0 && significand === 0n ? 1 : exponent === 0 || exponent === 0x7fff || (significand & INTEGER_BIT) === 0n ? 2 : 0;
    tag |= kind << (2 * physical);
  }
  return tag;
}

/** Decimal adjustments (32- and 16-bit code only). */
import { raise, X_DE } from '../vcpu/fault';
import { AF, CF, flags_materialize, PF, set_flags_explicit, SF, ZF } from '../vcpu/flags';

/** op: 0 AAA, 1 AAS, 2 DAA, 3 DAS. */
export function decimal_adjust(cpu: usize, op: u32): void {
  const f = flags_materialize(cpu);
  const al: u32 = load<u8>(cpu);
  let cf: u32 = 0;
  let af: u32 = 0;
  if (op < 2) {
    if ((al & 15) > 9 || f & AF) {
      const ax: u32 = load<u16>(cpu);
      store<u16>(cpu, <u16>(op == 0 ? ax + 0x106 : ax - 0x106));
      cf = CF;
      af = AF;
    }
    const r: u32 = load<u8>(cpu) & 15;
    store<u8>(cpu, <u8>r);
    decimal_flags(cpu, r, cf | af);
    return;
  }
  let r = al;
  if ((al & 15) > 9 || f & AF) {
    r = op == 2 ? r + 6 : r - 6;
    cf = f & CF || (op == 2 ? al > 0xf9 : al < 6) ? CF : 0;
    af = AF;
  }
  if (al > 0x99 || f & CF) {
    r = op == 2 ? r + 0x60 : r - 0x60;
    cf = CF;
  }
  store<u8>(cpu, <u8>r);
  decimal_flags(cpu, r, cf | af);
}

function decimal_flags(cpu: usize, r: u32, bits: u32): void {
  let f = bits;
  if ((r & 0xff) == 0) f |= ZF;
  if (r & 0x80) f |= SF;
  if (!(popcnt(r & 0xff) & 1)) f |= PF;
  set_flags_explicit(cpu, f);
}

/** AAM by `base`; #DE for 0. */
export function aam(cpu: usize, base: u32): void {
  if (base == 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  const al: u32 = load<u8>(cpu);
  store<u8>(cpu, <u8>(al / base), 1);
  store<u8>(cpu, <u8>(al % base));
  decimal_flags(cpu, al % base, 0);
}

export function aad(cpu: usize, base: u32): void {
  const r: u32 = (load<u8>(cpu) + load<u8>(cpu, 1) * base) & 0xff;
  store<u16>(cpu, <u16>r);
  decimal_flags(cpu, r, 0);
}

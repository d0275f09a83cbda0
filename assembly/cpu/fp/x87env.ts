/**
 * FLDCW, FLDENV, FNSTENV, FRSTOR, FNSAVE, FNINIT. Images of Intel SDM Vol. 1, figures 8-9 … 8-12: 28 bytes with 32-bit
 * operand size (64-bit mode uses it too), 14 with 16-bit; FSAVE adds eight registers of ten bytes.
 */
import { CPU_FPR, CPU_SCRATCH, Cpu } from '../vcpu/state';
import { MODE_PE } from '../vcpu/modes';
import { X87_O16, copy_in, copy_out, ea, ptr_r, u_imm2 } from './env';
import { FSW_B, FSW_ES } from './x87stack';
import { TOP64 } from './softfloat';
import { fsw_load } from './fxstate';

/** The state after FNINIT (Intel SDM Vol. 3, table 10-1). Registers keep their contents. */
export function fninit(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  c.fcw = 0x37f;
  c.fsw = 0;
  c.ftw = 0xffff;
  c.fop = 0;
  c.fip = 0;
  c.fdp = 0;
  c.fip_sel = 0;
  c.fdp_sel = 0;
}

/** Tags as FNSTENV shows them: 0 valid, 1 zero, 2 special, 3 empty; found from the registers. */
export function full_tags(cpu: usize): u32 {
  const tags = changetype<Cpu>(cpu).ftw;
  let r: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    let tag = (tags >> (i << 1)) & 3;
    if (tag != 3) {
      const p = cpu + CPU_FPR + (i << 4);
      const e = <u32>load<u16>(p, 8) & 0x7fff;
      const m = load<u64>(p);
      tag = e == 0 && m == 0 ? 1 : e == 0 || e == 0x7fff || !(m & TOP64) ? 2 : 0;
    }
    r |= tag << (i << 1);
  }
  return r;
}

/** Unmasked flags make ES and B; called when the control word changed. */
export function update_es(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  if (c.fsw & ~c.fcw & 0x3f) c.fsw |= FSW_ES | FSW_B;
  else c.fsw &= ~(FSW_ES | FSW_B);
}

@inline
function control_word(v: u32): u32 {
  return (v & 0x1f3f) | 0x40;
}

export function fldcw(cpu: usize, u: usize): void {
  const p = ptr_r(cpu, ea(cpu, u), 2);
  if (!p) return;
  changetype<Cpu>(cpu).fcw = control_word(load<u16>(p));
  update_es(cpu);
}

function env_size(u: usize): u32 {
  return u_imm2(u) & X87_O16 ? 14 : 28;
}

function put_env(cpu: usize, p: usize, small: bool): void {
  const c = changetype<Cpu>(cpu);
  const protected_mode = (c.mode & MODE_PE) != 0;
  if (small) {
    store<u16>(p, <u16>c.fcw);
    store<u16>(p, <u16>c.fsw, 2);
    store<u16>(p, <u16>full_tags(cpu), 4);
    store<u16>(p, <u16>c.fip, 6);
    store<u16>(p, <u16>c.fdp, 10);
    if (protected_mode) {
      store<u16>(p, <u16>c.fip_sel, 8);
      store<u16>(p, <u16>c.fdp_sel, 12);
    } else {
      store<u16>(p, <u16>((<u32>(c.fip >> 16) << 12) | (c.fop & 0x7ff)), 8);
      store<u16>(p, <u16>(<u32>(c.fdp >> 16) << 12), 12);
    }
    return;
  }
  store<u32>(p, c.fcw | 0xffff_0000);
  store<u32>(p, c.fsw | 0xffff_0000, 4);
  store<u32>(p, full_tags(cpu) | 0xffff_0000, 8);
  if (protected_mode) {
    store<u32>(p, <u32>c.fip, 12);
    store<u32>(p, (c.fip_sel & 0xffff) | ((c.fop & 0x7ff) << 16), 16);
    store<u32>(p, <u32>c.fdp, 20);
    store<u32>(p, (c.fdp_sel & 0xffff) | 0xffff_0000, 24);
  } else {
    store<u32>(p, (<u32>c.fip & 0xffff) | 0xffff_0000, 12);
    store<u32>(p, (<u32>(c.fip >> 16) << 12) | (c.fop & 0x7ff), 16);
    store<u32>(p, (<u32>c.fdp & 0xffff) | 0xffff_0000, 20);
    store<u32>(p, <u32>(c.fdp >> 16) << 12, 24);
  }
}

function get_env(cpu: usize, p: usize, small: bool): void {
  const c = changetype<Cpu>(cpu);
  const protected_mode = (c.mode & MODE_PE) != 0;
  const s: usize = small ? 2 : 4; // distance of the fields
  c.fcw = control_word(load<u16>(p));
  fsw_load(cpu, <u32>load<u16>(p + s));
  const tags = <u32>load<u16>(p + 2 * s);
  let ftw: u32 = 0;
  for (let i: u32 = 0; i < 16; i += 2) if (((tags >> i) & 3) == 3) ftw |= 3 << i;
  c.ftw = ftw;
  const a = small ? <u32>load<u16>(p + 3 * s) : load<u32>(p + 3 * s);
  const b = small ? <u32>load<u16>(p + 4 * s) : load<u32>(p + 4 * s);
  const d = small ? <u32>load<u16>(p + 5 * s) : load<u32>(p + 5 * s);
  const e = small ? <u32>load<u16>(p + 6 * s) : load<u32>(p + 6 * s);
  if (protected_mode) {
    c.fip = <u64>a;
    c.fip_sel = b & 0xffff;
    if (!small) c.fop = (b >> 16) & 0x7ff;
    c.fdp = <u64>d;
    c.fdp_sel = e & 0xffff;
  } else {
    c.fip = <u64>((a & 0xffff) | ((b >> 12) << 16));
    c.fop = b & 0x7ff;
    c.fdp = <u64>((d & 0xffff) | ((e >> 12) << 16));
  }
}

export function fnstenv(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const p = cpu + CPU_SCRATCH;
  put_env(cpu, p, (u_imm2(u) & X87_O16) != 0);
  if (!copy_out(cpu, ea(cpu, u), p, env_size(u))) return;
  // all exceptions are masked afterwards
  c.fcw |= 0x3f;
  c.fsw &= ~(FSW_ES | FSW_B);
}

export function fldenv(cpu: usize, u: usize): void {
  const p = cpu + CPU_SCRATCH;
  if (copy_in(cpu, ea(cpu, u), p, env_size(u))) get_env(cpu, p, (u_imm2(u) & X87_O16) != 0);
}

export function fnsave(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const p = cpu + CPU_SCRATCH;
  const n = env_size(u);
  put_env(cpu, p, (u_imm2(u) & X87_O16) != 0);
  const top = (c.fsw >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) memory.copy(p + n + i * 10, cpu + CPU_FPR + (((top + i) & 7) << 4), 10);
  if (copy_out(cpu, ea(cpu, u), p, n + 80)) fninit(cpu);
}

export function frstor(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const p = cpu + CPU_SCRATCH;
  const n = env_size(u);
  if (!copy_in(cpu, ea(cpu, u), p, n + 80)) return;
  get_env(cpu, p, (u_imm2(u) & X87_O16) != 0);
  const top = (c.fsw >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) memory.copy(cpu + CPU_FPR + (((top + i) & 7) << 4), p + n + i * 10, 10);
}

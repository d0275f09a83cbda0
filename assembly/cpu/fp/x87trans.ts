import { VEC_UD, raise } from './env';
export function f2xm1(cpu: usize): void { raise(cpu, VEC_UD); }
export function fyl2x(cpu: usize, plus1: bool): void { raise(cpu, VEC_UD); }
export function fptan(cpu: usize): void { raise(cpu, VEC_UD); }
export function fpatan(cpu: usize): void { raise(cpu, VEC_UD); }
export function fsincos(cpu: usize, which: u32): void { raise(cpu, VEC_UD); }

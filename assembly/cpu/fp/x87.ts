import { VEC_UD, raise } from './env';
export function x87_exec(cpu: usize, u: usize): void { raise(cpu, VEC_UD); }

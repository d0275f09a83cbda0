import { VEC_UD, raise } from './env';
export function sse_map38(cpu: usize, u: usize): void { raise(cpu, VEC_UD); }
export function sse_map3a(cpu: usize, u: usize): void { raise(cpu, VEC_UD); }

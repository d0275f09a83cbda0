/**
 * How any part of the CPU reports an exception: it sets `fault`, `fault_vector`, `fault_error` and returns; the
 * interpreter looks at `fault` before it commits the instruction. The first exception of an instruction wins.
 */
import { Cpu, FAULT_EXCEPTION, FAULT_LEAVE, FAULT_NONE, FAULT_TRAP } from './state';

// Vectors: Intel SDM Vol. 3A, table 6-1.
export const X_DE: u32 = 0;
export const X_DB: u32 = 1;
export const X_NMI: u32 = 2;
export const X_BP: u32 = 3;
export const X_OF: u32 = 4;
export const X_BR: u32 = 5;
export const X_UD: u32 = 6;
export const X_NM: u32 = 7;
export const X_DF: u32 = 8;
export const X_TS: u32 = 10;
export const X_NP: u32 = 11;
export const X_SS: u32 = 12;
export const X_GP: u32 = 13;
export const X_PF: u32 = 14;
export const X_MF: u32 = 16;
export const X_AC: u32 = 17;
export const X_XM: u32 = 19;

/** Raises exception `vector` as a fault: rip stays at the instruction. `error` is ignored for vectors without an error code. */
export function raise(cpu: usize, vector: u32, error: u32): void {
  const c = changetype<Cpu>(cpu);
  if (c.fault != FAULT_NONE && c.fault != FAULT_LEAVE) return;
  c.fault = FAULT_EXCEPTION;
  c.fault_vector = vector;
  c.fault_error = error;
}

/** #GP(0). Returns 0, so that readers can `return raise_gp(cpu)`. */
export function raise_gp(cpu: usize): u32 {
  raise(cpu, X_GP, 0);
  return 0;
}

export function raise_ud(cpu: usize): u32 {
  raise(cpu, X_UD, 0);
  return 0;
}

/** The instruction commits, but the rest of its block must not run: state, mappings or code changed. */
export function leave_block(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_NONE) c.fault = FAULT_LEAVE;
}

/** True when an exception is pending: the instruction did not happen. */
@inline
export function excepted(cpu: usize): bool {
  return changetype<Cpu>(cpu).fault == FAULT_EXCEPTION;
}

/** True when an exception or trap is pending: what was just done did not happen. */
@inline
export function faulted(cpu: usize): bool {
  const f = changetype<Cpu>(cpu).fault;
  return f == FAULT_EXCEPTION || f == FAULT_TRAP;
}

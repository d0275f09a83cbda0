import type { DebugMachine } from '../machine/debugger.ts';

const PAGE = 4096;

/** A piece of a linear range within one page of guest RAM. */
interface Piece {
  readonly gpa: number;
  readonly length: number;
}

/** The pages of RAM behind [address, address + length), up to the first that is not mapped to RAM. */
function pieces(machine: DebugMachine, vcpu: number, address: bigint, length: number): Piece[] {
  const found: Piece[] = [];
  let left = length;
  let at = address;
  while (left > 0) {
    const gpa = machine.translate(vcpu, BigInt.asUintN(64, at));
    if (gpa === undefined || gpa >= BigInt(machine.ram.length)) break;
    const n = Math.min(left, PAGE - Number(at & 0xfffn));
    found.push({ gpa: Number(gpa), length: n });
    at += BigInt(n);
    left -= n;
  }
  return found;
}

/** Guest memory by the page tables of a vCPU; shorter than asked for where a page is missing. */
export function readMemory(machine: DebugMachine, vcpu: number, address: bigint, length: number): Uint8Array {
  const parts = pieces(machine, vcpu, address, length).map(({ gpa, length: n }) => machine.ram.slice(gpa, gpa + n));
  return Uint8Array.from(Buffer.concat(parts));
}

/** Writes all of it, or nothing where a page is missing (false). Page permissions do not count for a debugger. */
export function writeMemory(machine: DebugMachine, vcpu: number, address: bigint, bytes: Uint8Array): boolean {
  const parts = pieces(machine, vcpu, address, bytes.length);
  if (parts.reduce((sum, part) => sum + part.length, 0) < bytes.length) return false;
  let done = 0;
  for (const { gpa, length } of parts) {
    machine.ram.set(bytes.subarray(done, done + length), gpa);
    machine.written(gpa, length);
    done += length;
  }
  return true;
}

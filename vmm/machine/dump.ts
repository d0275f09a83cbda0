import type { SymbolNames } from '../boot/symbols.ts';
import type { Registers } from '../accel/vcpu.ts';

const ROWS: readonly (readonly string[])[] = [
  ['rax', 'rbx', 'rcx', 'rdx'],
  ['rsi', 'rdi', 'rbp', 'rsp'],
  ['r8', 'r9', 'r10', 'r11'],
  ['r12', 'r13', 'r14', 'r15'],
  ['rip', 'rflags', 'cs', 'ss'],
  ['cr0', 'cr2', 'cr3', 'cr4'],
  ['efer', 'gdtr', 'idtr', 'tr'],
  ['fs_base', 'gs_base', 'kernel_gs_base', 'cpl'],
];
const PAGE = 4096;
/** A kernel stack is 16 KiB; the newest calls are in its first part. */
const STACK_SEARCH = 2048;
const STACK_NAMES = 24;
const ADDRESS = 0x000f_ffff_ffff_f000n;

/**
 * Registers of one vCPU, the bytes at RIP and the top of its stack, as text. `ram` is guest memory from address 0. With
 * `symbols`, the functions of the kernel that RIP and the stack's words point into.
 */
export function dumpRegisters(index: number, registers: Registers, ram: Uint8Array, symbols?: SymbolNames): string {
  const lines = [`vCPU ${index}:`];
  for (const row of ROWS) {
    const cells = row.flatMap((name) => {
      const value = registers.get(name);
      return value === undefined ? [] : [`${name.padStart(6)}=${value.toString(16).padStart(16, '0')}`];
    });
    if (cells.length > 0) lines.push(`  ${cells.join(' ')}`);
  }
  const rip = (registers.get('cs_base') ?? 0n) + (registers.get('rip') ?? 0n);
  const where = symbols?.nameOf(BigInt.asUintN(64, rip));
  if (where !== undefined) lines.push(`  in ${where}`);
  const code = readLinear(registers, ram, rip, 16);
  lines.push(code === undefined ? '  code: not mapped' : `  code: ${hex(code)}`);
  const rsp = registers.get('rsp') ?? 0n;
  const stack = readLinear(registers, ram, rsp, 64);
  if (stack === undefined) lines.push('  stack: not mapped');
  else {
    const view = new DataView(stack.buffer, stack.byteOffset, stack.length);
    for (let at = 0; at + 8 <= stack.length; at += 32) {
      const words: string[] = [];
      for (let i = at; i < at + 32 && i + 8 <= stack.length; i += 8) words.push(view.getBigUint64(i, true).toString(16).padStart(16, '0'));
      lines.push(`  stack+${at.toString(16).padStart(2, '0')}: ${words.join(' ')}`);
    }
  }
  if (symbols !== undefined) lines.push(...stackNames(registers, ram, rsp, symbols));
  return `${lines.join('\n')}\n`;
}

/** Words of the stack that point into the kernel's text: return addresses, with some that are left from earlier calls. */
function stackNames(registers: Registers, ram: Uint8Array, rsp: bigint, symbols: SymbolNames): string[] {
  const lines: string[] = [];
  for (let at = 0; at < STACK_SEARCH && lines.length < STACK_NAMES; at += 8) {
    const word = readLinear(registers, ram, rsp + BigInt(at), 8);
    if (word === undefined || word.length < 8) break;
    const value = new DataView(word.buffer, word.byteOffset, 8).getBigUint64(0, true);
    const name = symbols.nameOf(value);
    if (name !== undefined) lines.push(`  stack+${at.toString(16).padStart(2, '0')}: ${value.toString(16)} ${name}`);
  }
  return lines;
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Up to `length` bytes at a linear address, cut at the page's end; undefined when it is not mapped to RAM. */
function readLinear(registers: Registers, ram: Uint8Array, address: bigint, length: number): Uint8Array | undefined {
  const gpa = translate(registers, ram, BigInt.asUintN(64, address));
  if (gpa === undefined || gpa >= BigInt(ram.length)) return undefined;
  const at = Number(gpa);
  return ram.slice(at, Math.min(ram.length, at + length, (Math.floor(at / PAGE) + 1) * PAGE));
}

/** Walks 4-level or 32-bit page tables (SDM Vol. 3, chapter 4) in guest memory; no permissions are checked. */
function translate(registers: Registers, ram: Uint8Array, address: bigint): bigint | undefined {
  const cr0 = registers.get('cr0') ?? 0n;
  const cr3 = registers.get('cr3') ?? 0n;
  const cr4 = registers.get('cr4') ?? 0n;
  if ((cr0 & (1n << 31n)) === 0n) return address & 0xffff_ffffn;
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  const inRam = (gpa: bigint, size: number): boolean => gpa + BigInt(size) <= BigInt(ram.length);
  if ((cr4 & 0x20n) === 0n) {
    let table = cr3 & 0xffff_f000n;
    for (const shift of [22n, 12n]) {
      const at = table + ((address >> shift) & 0x3ffn) * 4n;
      if (!inRam(at, 4)) return undefined;
      const entry = BigInt(view.getUint32(Number(at), true));
      if ((entry & 1n) === 0n) return undefined;
      if (shift === 22n && (entry & 0x80n) !== 0n) return (entry & 0xffc0_0000n) | (address & 0x3f_ffffn);
      table = entry & 0xffff_f000n;
    }
    return table | (address & 0xfffn);
  }
  let table = cr3 & ADDRESS;
  for (const shift of [39n, 30n, 21n, 12n]) {
    const at = table + ((address >> shift) & 0x1ffn) * 8n;
    if (!inRam(at, 8)) return undefined;
    const entry = view.getBigUint64(Number(at), true);
    if ((entry & 1n) === 0n) return undefined;
    const large = shift !== 12n && (entry & 0x80n) !== 0n;
    if (large || shift === 12n) {
      const mask = (1n << shift) - 1n;
      return (entry & ADDRESS & ~mask) | (address & mask);
    }
    table = entry & ADDRESS;
  }
  return undefined;
}

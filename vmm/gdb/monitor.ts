/** What gdb's `monitor` commands print. */
import { CR0_PG, CR4_PAE, EFER_LMA } from '../../assembly/contract/x86.ts';
import type { DebugMachine } from '../machine/debugger.ts';

export const MONITOR_HELP = `help        this text
info mem    mapped ranges of the current vCPU's page tables: start-end, bytes, rights (u user, w write, x execute)
info irq    IOAPIC entries in use, and what each local APIC has pending and in service
dump        registers, code and stack of all vCPUs
reset       start the guest anew, before its first instruction
`;

/**
 * Ranges told of each entry of the top table (512 GiB with four levels): Linux's ESPFIX aliases alone are tens of thousands in one,
 * and what lies above is to be seen all the same.
 */
const RANGES_MAX = 256;
/** Ranges that are walked in one of them, in all: a guest's tables may be made to be endless. */
const WALKED_MAX = 1 << 22;
const ENTRIES = 512;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const P = 1n;
const W = 2n;
const U = 4n;
const PS = 0x80n;
const NX = 1n << 63n;
const PAGING = BigInt(CR0_PG);
const PHYSICAL_ADDRESS_EXTENSION = BigInt(CR4_PAE);
const LONG_MODE = BigInt(EFER_LMA);

interface Range {
  start: bigint;
  end: bigint;
  readonly rights: string;
}

/** Of one entry of the top table. */
interface Part {
  readonly ranges: Range[];
  /** Ranges beyond those told. */
  more: number;
}

/** `info mem`: neighbouring pages with the same rights are one line. */
export function infoMem(machine: DebugMachine, vcpu: number): string {
  const registers = machine.registers(vcpu);
  const register = (name: string): bigint => registers.get(name) ?? 0n;
  if ((register('cr0') & PAGING) === 0n) return 'paging is off: linear addresses are physical\n';
  const walker = new Walker(machine.ram);
  const cr3 = register('cr3');
  if ((register('cr4') & PHYSICAL_ADDRESS_EXTENSION) === 0n) walker.table(cr3 & 0xffff_f000n, [22n, 12n], 4, 0n, 'uwx', true);
  else if ((register('efer') & LONG_MODE) === 0n) walker.table(cr3 & 0xffff_ffe0n, [30n, 21n, 12n], 8, 0n, 'uwx', true);
  else walker.table(cr3 & ADDRESS, [39n, 30n, 21n, 12n], 8, 0n, 'uwx', true);
  return walker.text();
}

class Walker {
  readonly #view: DataView;
  readonly #parts: Part[] = [];
  #walked = 0;

  constructor(ram: Uint8Array) {
    this.#view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  }

  /** Walks one table; `shifts` has the address bits of this level first. */
  table(base: bigint, shifts: readonly bigint[], size: number, prefix: bigint, rights: string, top: boolean): void {
    const [shift, ...rest] = shifts;
    if (shift === undefined) return;
    const pae3 = top && size === 8 && shift === 30n;
    const count = pae3 ? 4 : size === 4 ? 1024 : ENTRIES;
    for (let i = 0; i < count && this.#walked < WALKED_MAX; i++) {
      const at = Number(base) + i * size;
      if (at + size > this.#view.byteLength) return;
      const entry = size === 4 ? BigInt(this.#view.getUint32(at, true)) : this.#view.getBigUint64(at, true);
      if ((entry & P) === 0n) continue;
      let address = prefix + (BigInt(i) << shift);
      if (top && shift === 39n && i >= ENTRIES / 2) address |= 0xffff_0000_0000_0000n;
      if (top) this.#next();
      const own = pae3 ? rights : narrow(rights, entry, size === 8);
      if (rest.length === 0 || ((entry & PS) !== 0n && shift <= 30n && !pae3)) this.#add(address, 1n << shift, own);
      else this.table(entry & (size === 4 ? 0xffff_f000n : ADDRESS), rest, size, address, own, false);
    }
  }

  /** A new part, but where the last one's end may go on in it. */
  #next(): void {
    const last = this.#parts.at(-1);
    if (last === undefined || last.ranges.length > 0) this.#parts.push({ ranges: [], more: 0 });
  }

  #add(start: bigint, length: bigint, rights: string): void {
    this.#walked++;
    const part = this.#parts.at(-1) as Part;
    const last = part.ranges.at(-1) ?? this.#parts.at(-2)?.ranges.at(-1);
    if (part.more === 0 && last !== undefined && last.end === start && last.rights === rights) last.end += length;
    else if (part.ranges.length < RANGES_MAX) part.ranges.push({ start, end: start + length, rights });
    else part.more++;
  }

  text(): string {
    const hex = (n: bigint): string => n.toString(16).padStart(16, '0');
    const line = ({ start, end, rights }: Range): string => `${hex(start)}-${hex(end)} ${hex(end - start)} ${rights}\n`;
    const told = this.#parts.map(({ ranges, more }) => ranges.map(line).join('') + (more > 0 ? `… and ${more} more ranges behind it\n` : ''));
    return told.join('') + (this.#walked >= WALKED_MAX ? 'and more: the walk was cut\n' : '');
  }
}

/** Rights that an entry leaves of those that the levels above it give. */
function narrow(rights: string, entry: bigint, nx: boolean): string {
  const keep = (letter: string, allowed: boolean): string => (rights.includes(letter) && allowed ? letter : '-');
  return keep('u', (entry & U) !== 0n) + keep('w', (entry & W) !== 0n) + keep('x', !nx || (entry & NX) === 0n);
}

const DELIVERY = ['fixed', 'lowest', 'smi', 'mode 3', 'nmi', 'init', 'mode 6', 'extint'];

/** `info irq`: redirection entries that are not masked (82093AA datasheet §3.2.4), IRR and ISR (SDM Vol. 3A §11.8.4). */
export function infoIrq(machine: DebugMachine): string {
  let text = 'IOAPIC:\n';
  let used = 0;
  machine.ioapic().forEach((entry, pin) => {
    if ((entry & 0x1_0000n) !== 0n) return;
    used++;
    const mode = DELIVERY[Number((entry >> 8n) & 7n)];
    const how = `${(entry & 0x8000n) !== 0n ? 'level' : 'edge'} ${(entry & 0x800n) !== 0n ? 'logical' : 'physical'} ${entry >> 56n}`;
    text += `  pin ${pin}: vector 0x${(entry & 0xffn).toString(16)} ${mode} ${how}\n`;
  });
  if (used === 0) text += '  all pins are masked\n';
  for (let vcpu = 0; vcpu < machine.cpus; vcpu++) {
    const page = machine.lapic(vcpu);
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    text += `vCPU ${vcpu}: TPR 0x${view.getUint32(0x80, true).toString(16)}, pending ${vectors(view, 0x200)}, in service ${vectors(view, 0x100)}, timer LVT 0x${view.getUint32(0x320, true).toString(16)}\n`;
  }
  return text;
}

function vectors(view: DataView, at: number): string {
  const found: string[] = [];
  for (let vector = 0; vector < 256; vector++) {
    if ((view.getUint32(at + (vector >> 5) * 16, true) & (1 << (vector & 31))) !== 0) found.push(`0x${vector.toString(16)}`);
  }
  return found.length === 0 ? 'none' : found.join(' ');
}

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { isElf } from './elf.ts';

/** Names of addresses in a guest's kernel. */
export interface SymbolNames {
  /** `name+0x1b` for an address within the kernel's text, else undefined. */
  nameOf(address: bigint): string | undefined;
}

/** A whole System.map is 1.5 to 8 MB, a symbol table with its names about as much. */
const MAX_BYTES = 256 * 2 ** 20;
const SHT_SYMTAB = 2;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const STT_FUNC = 2;
const MAX_NAME = 512;
/** What lies farther behind the last symbol is not of its function. */
const MAX_FUNCTION = 0x10_0000n;

/** Of data only the address is kept: it ends the text before it. */
type KernelSymbol = readonly [address: bigint, name: string | undefined];

/** Text symbols of a kernel by address. */
class SymbolTable implements SymbolNames {
  readonly #addresses: BigUint64Array;
  readonly #names: readonly (string | undefined)[];

  constructor(symbols: readonly KernelSymbol[]) {
    const sorted = [...symbols].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#addresses = BigUint64Array.from(sorted, ([address]) => address);
    this.#names = sorted.map(([, name]) => name);
  }

  nameOf(address: bigint): string | undefined {
    let low = 0;
    let high = this.#addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#addresses[middle] as bigint) <= address) low = middle + 1;
      else high = middle;
    }
    const at = this.#addresses[low - 1];
    if (at === undefined || address - at >= MAX_FUNCTION) return undefined;
    // Of several names at one address the first in the file.
    while (low > 1 && this.#addresses[low - 2] === at) low -= 1;
    const name = this.#names[low - 1];
    return name === undefined ? undefined : `${name}+0x${(address - at).toString(16)}`;
  }
}

/**
 * Reads text symbols from a System.map or from the symbol table of an ELF kernel (System V gABI, chapter 4). Undefined
 * for an ELF file that is stripped and for a file of another kind. Throws VmmError SYMBOLS_OPEN, SYMBOLS_BAD.
 */
export function readSymbols(path: string): SymbolNames | undefined {
  let fd: number;
  try {
    // Without waiting for a FIFO's writer.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new VmmError('SYMBOLS_OPEN', `cannot read symbols from ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'name a System.map or a vmlinux' });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new VmmError('SYMBOLS_OPEN', `${path} is not a regular file`, { hint: 'name a System.map or a vmlinux' });
    const { size } = stat;
    const read = (position: number, length: number, what: string): Buffer => {
      if (length > MAX_BYTES || position + length > size) throw new VmmError('SYMBOLS_BAD', `${path}: its ${what} lies beyond the file's end or is too large`, { hint: 'the file is damaged' });
      const bytes = Buffer.alloc(length);
      let got = 0;
      while (got < length) {
        const n = readSync(fd, bytes, got, length - got, position + got);
        if (n === 0) throw new VmmError('SYMBOLS_BAD', `${path}: its ${what} is cut off`, { hint: 'the file is damaged' });
        got += n;
      }
      return bytes;
    };
    const head = read(0, Math.min(64, size), 'head');
    if (isElf(head)) return fromElf(head, read);
    return looksLikeMap(head) ? fromMap(read(0, size, 'text').toString('latin1')) : undefined;
  } finally {
    closeSync(fd);
  }
}

function looksLikeMap(head: Buffer): boolean {
  return /^[0-9a-f]{8,16} [A-Za-z?] \S/.test(head.toString('latin1'));
}

/** Lines "ADDRESS TYPE NAME" as nm(1) prints them; types t, T, w and W are text. */
function fromMap(text: string): SymbolNames {
  const symbols: KernelSymbol[] = [];
  for (const [, address, type = '', name] of text.matchAll(/^([0-9a-f]{8,16}) ([A-Za-z?]) (\S+)/gm)) {
    symbols.push([BigInt(`0x${address}`), /[tTwW]/.test(type) ? name?.slice(0, MAX_NAME) : undefined]);
  }
  return new SymbolTable(symbols);
}

type Read = (position: number, length: number, what: string) => Buffer;

interface Section {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

function fromElf(head: Buffer, read: Read): SymbolNames | undefined {
  const wide = head[4] === 2;
  if (head.length < 64 || head[5] !== 1) return undefined;
  // Fields of 8 bytes in a 64-bit file, of 4 in a 32-bit one.
  const word = (bytes: Buffer, at64: number, at32: number): number => (wide ? Number(bytes.readBigUInt64LE(at64)) : bytes.readUInt32LE(at32));
  const sectionBytes = wide ? 64 : 40;
  const symbolBytes = wide ? 24 : 16;
  const at = word(head, 40, 32);
  const count = head.readUInt16LE(wide ? 60 : 48);
  if (at === 0 || count === 0 || head.readUInt16LE(wide ? 58 : 46) !== sectionBytes) return undefined;
  const table = read(at, count * sectionBytes, 'section table');
  const sections = Array.from({ length: count }, (_, i): Section => {
    const s = table.subarray(i * sectionBytes, (i + 1) * sectionBytes);
    return { type: s.readUInt32LE(4), flags: s.readUInt32LE(8), offset: word(s, 24, 16), size: word(s, 32, 20), link: s.readUInt32LE(wide ? 40 : 24) };
  });
  const symtab = sections.find(({ type }) => type === SHT_SYMTAB);
  const names = symtab && sections[symtab.link];
  if (symtab === undefined || names === undefined) return undefined;
  const entries = read(symtab.offset, symtab.size, 'symbol table');
  const strings = read(names.offset, names.size, 'string table');
  const symbols: KernelSymbol[] = [];
  for (let i = 0; i + symbolBytes <= entries.length; i += symbolBytes) {
    const home = sections[entries.readUInt16LE(i + (wide ? 6 : 14))];
    // Symbols of what is loaded, not of sections or files.
    if (home === undefined || (home.flags & SHF_ALLOC) === 0 || (entries.readUInt8(i + (wide ? 4 : 12)) & 0xf) > STT_FUNC) continue;
    const code = (home.flags & SHF_EXECINSTR) !== 0;
    const from = entries.readUInt32LE(i);
    const to = strings.indexOf(0, from);
    if (to <= from) continue;
    const value = wide ? entries.readBigUInt64LE(i + 8) : BigInt(entries.readUInt32LE(i + 4));
    symbols.push([value, code ? strings.toString('latin1', from, Math.min(to, from + MAX_NAME)) : undefined]);
  }
  return new SymbolTable(symbols);
}

/** A kernel's text without KALLSYMS has bare addresses: `0xffffffff8103738a` gets its name behind it. */
export function nameAddresses(text: string, symbols: SymbolNames): string {
  return text.replace(/\b0x[0-9a-f]{16}\b(?! \()/g, (word) => {
    const name = symbols.nameOf(BigInt(word));
    return name === undefined ? word : `${word} (${name})`;
  });
}

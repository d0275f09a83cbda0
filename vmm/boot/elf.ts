import { VmmError } from '../../base/errors.ts';

/** One PT_LOAD segment, checked against the file's size. */
export interface ElfSegment {
  readonly offset: number;
  readonly fileSize: number;
  readonly memSize: number;
  readonly paddr: bigint;
  readonly vaddr: bigint;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

export interface ElfFile {
  readonly bits: 32 | 64;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

/** Reads `length` bytes at `position` of the image; shorter at the file's end. */
export type ReadAt = (position: number, length: number) => Uint8Array;

const PT_LOAD = 1;
const PT_NOTE = 4;
const EM_386 = 3;
const EM_X86_64 = 62;
const MAX_PROGRAM_HEADERS = 256;
/** Note segments of real kernels are below 1 KiB; this bounds what a hostile one makes us read. */
const MAX_NOTE_BYTES = 64 * 1024;

export function isElf(head: Uint8Array): boolean {
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

/**
 * Parses an x86 ELF executable's header, PT_LOAD segments and notes (System V gABI, chapters 4 and 5).
 * Throws VmmError KERNEL_BAD with the field that is wrong.
 */
export function parseElf(read: ReadAt, fileSize: number, path: string): ElfFile {
  const bad = (what: string): VmmError => new VmmError('KERNEL_BAD', `${path}: ${what}`, { hint: 'the file is damaged or not an x86 kernel' });
  const head = read(0, 64);
  if (head.length < 52 || !isElf(head)) throw bad('not an ELF file');
  const bits = head[4] === 2 ? 64 : head[4] === 1 ? 32 : undefined;
  if (bits === undefined || head[5] !== 1) throw bad('ELF class or byte order is not x86');
  if (bits === 64 && head.length < 64) throw bad('ELF header is cut off');
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const type = view.getUint16(16, true);
  const machine = view.getUint16(18, true);
  if (type !== 2 && type !== 3) throw bad(`ELF type ${type} is not an executable`);
  if (machine !== EM_386 && machine !== EM_X86_64) throw bad(`ELF machine ${machine} is not x86`);
  const wide = bits === 64;
  const entry = wide ? view.getBigUint64(24, true) : BigInt(view.getUint32(24, true));
  const phoff = wide ? toSafe(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const phentsize = view.getUint16(wide ? 54 : 42, true);
  const phnum = view.getUint16(wide ? 56 : 44, true);
  if (phentsize !== (wide ? 56 : 32)) throw bad(`program header size ${phentsize} is wrong`);
  if (phnum === 0 || phnum > MAX_PROGRAM_HEADERS) throw bad(`${phnum} program headers, 1 to ${MAX_PROGRAM_HEADERS} are accepted`);
  if (phoff + phnum * phentsize > fileSize) throw bad('program headers lie beyond the end of the file');
  const table = read(phoff, phnum * phentsize);
  if (table.length < phnum * phentsize) throw bad('program headers are cut off');

  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  const ph = new DataView(table.buffer, table.byteOffset, table.byteLength);
  for (let i = 0; i < phnum; i++) {
    const at = i * phentsize;
    const kind = ph.getUint32(at, true);
    if (kind !== PT_LOAD && kind !== PT_NOTE) continue;
    const offset = wide ? toSafe(ph.getBigUint64(at + 8, true)) : ph.getUint32(at + 4, true);
    const vaddr = wide ? ph.getBigUint64(at + 16, true) : BigInt(ph.getUint32(at + 8, true));
    const paddr = wide ? ph.getBigUint64(at + 24, true) : BigInt(ph.getUint32(at + 12, true));
    const filesz = wide ? toSafe(ph.getBigUint64(at + 32, true)) : ph.getUint32(at + 16, true);
    const memsz = wide ? toSafe(ph.getBigUint64(at + 40, true)) : ph.getUint32(at + 20, true);
    if (offset + filesz > fileSize) throw bad(`segment ${i} ends at byte ${offset + filesz} of a file of ${fileSize}`);
    if (kind === PT_NOTE) {
      if (filesz <= MAX_NOTE_BYTES) parseNotes(read(offset, filesz), notes);
      continue;
    }
    if (memsz < filesz) throw bad(`segment ${i}: size in memory is below its size in the file`);
    if (memsz > 0) segments.push({ offset, fileSize: filesz, memSize: memsz, paddr, vaddr });
  }
  if (segments.length === 0) throw bad('no loadable segment');
  return { bits, entry, segments, notes };
}

/** Fields above 2^53 are never valid here; they become a number that fails the bounds checks. */
function toSafe(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

function parseNotes(bytes: Uint8Array, out: ElfNote[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 12 <= bytes.length) {
    const namesz = view.getUint32(at, true);
    const descsz = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const nameAt = at + 12;
    const descAt = nameAt + align4(namesz);
    const end = descAt + align4(descsz);
    // The last note's padding may be missing.
    if (descAt + descsz > bytes.length) return;
    const name = Buffer.from(bytes.subarray(nameAt, nameAt + Math.max(0, namesz - 1))).toString('latin1');
    out.push({ name, type, desc: bytes.slice(descAt, descAt + descsz) });
    at = end;
  }
}

function align4(n: number): number {
  return Math.ceil(n / 4) * 4;
}

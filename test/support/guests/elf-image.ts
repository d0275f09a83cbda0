/** Builds small ELF files for loader tests. */
export interface ImageSegment {
  readonly paddr: number;
  readonly vaddr?: bigint;
  readonly data: Uint8Array;
  readonly memSize?: number;
}

export function elf64(options: { entry: bigint; segments: readonly ImageSegment[]; pvhEntry?: number; machine?: number; type?: number }): Uint8Array {
  const note = options.pvhEntry === undefined ? new Uint8Array(0) : xenNote(options.pvhEntry);
  const phnum = options.segments.length + (note.length > 0 ? 1 : 0);
  let at = 64 + 56 * phnum;
  const parts: Array<{ offset: number; bytes: Uint8Array }> = [];
  const header = new DataView(new ArrayBuffer(at));
  const bytes = new Uint8Array(header.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.setUint16(16, options.type ?? 2, true);
  header.setUint16(18, options.machine ?? 62, true);
  header.setUint32(20, 1, true);
  header.setBigUint64(24, options.entry, true);
  header.setBigUint64(32, 64n, true);
  header.setUint16(52, 64, true);
  header.setUint16(54, 56, true);
  header.setUint16(56, phnum, true);
  const put = (index: number, type: number, paddr: number, vaddr: bigint, data: Uint8Array, memSize: number): void => {
    const p = 64 + 56 * index;
    header.setUint32(p, type, true);
    header.setBigUint64(p + 8, BigInt(at), true);
    header.setBigUint64(p + 16, vaddr, true);
    header.setBigUint64(p + 24, BigInt(paddr), true);
    header.setBigUint64(p + 32, BigInt(data.length), true);
    header.setBigUint64(p + 40, BigInt(memSize), true);
    parts.push({ offset: at, bytes: data });
    at += data.length;
  };
  options.segments.forEach((s, i) => put(i, 1, s.paddr, s.vaddr ?? BigInt(s.paddr), s.data, s.memSize ?? s.data.length));
  if (note.length > 0) put(phnum - 1, 4, 0, 0n, note, note.length);
  const file = new Uint8Array(at);
  file.set(bytes);
  for (const part of parts) file.set(part.bytes, part.offset);
  return file;
}

function xenNote(entry: number): Uint8Array {
  const note = new Uint8Array(12 + 4 + 8);
  const view = new DataView(note.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, 8, true);
  view.setUint32(8, 18, true);
  note.set(Buffer.from('Xen\0', 'latin1'), 12);
  view.setUint32(16, entry, true);
  return note;
}

/**
 * The truth of decoded code under writes, in tables beside guest memory (layout.ts): a mark a page, a bit a 64-byte line,
 * a generation a page.
 *
 * Who reads code bytes first notes the generation, then marks the page and the 64-byte lines, then reads. Who writes
 * code stores, looks at the marks, clears them, then bumps the generation. So bytes that change after they were read
 * always end in a generation that differs from the block's.
 */
import { CODE_MARK_BASE, LINE_MASK_BASE, PAGE_GEN_BASE, RAM_MAX } from './layout';

/** Linear offset of the generation of the page that holds guest physical address `pa`. */
@inline
export function gen_at(pa: u32): usize {
  return PAGE_GEN_BASE + ((pa >> 12) << 2);
}

/** Marks the lines of [pa, pa + len), inside one page, as read by the decoder. */
export function code_mark(pa: u32, len: u32): void {
  const page = pa >> 12;
  atomic.store<u8>(CODE_MARK_BASE + page, 1);
  atomic.or<u64>(LINE_MASK_BASE + (page << 3), line_bits(pa & 0xfff, len));
}

/** Bits of the 64-byte lines that [off, off + len) touches; off + len ≤ 4096, len ≥ 1. */
@inline
function line_bits(off: u32, len: u32): u64 {
  const first: u64 = off >> 6;
  const last: u64 = (off + len - 1) >> 6;
  return (<u64>-1 >> (63 - (last - first))) << first;
}

/** Kills the decoded code of a page if [off, off + len) holds some. True: it did. */
export function kill_lines(page: u32, off: u32, len: u32): bool {
  if (!load<u8>(CODE_MARK_BASE + page)) return false;
  const mask: usize = LINE_MASK_BASE + (page << 3);
  if (!(load<u64>(mask) & line_bits(off, len))) return false;
  atomic.store<u64>(mask, 0);
  atomic.store<u8>(CODE_MARK_BASE + page, 0);
  atomic.add<u32>(PAGE_GEN_BASE + (page << 2), 1);
  return true;
}

/** A device or the host wrote [pa, pa + len) of guest RAM: call after the bytes are there, from any thread. */
export function guest_written_code(pa: u32, len: u32): void {
  if (isDefined(NO_CPU)) return; // the build for KVM decodes nothing
  if (pa >= RAM_MAX) return;
  if (len > RAM_MAX - pa) len = RAM_MAX - pa;
  let at = pa;
  while (len) {
    const off = at & 0xfff;
    const n = len < 4096 - off ? len : 4096 - off;
    kill_lines(at >> 12, off, n);
    at += n;
    len -= n;
  }
}

/**
 * Decoded blocks that come with our own kernel: dist/kernel-blocks.bin, which the build makes of a boot (scripts/kept-blocks/main.ts). A boot decodes
 * 57,000 blocks, which took two fifths of the guest's part of a start (docs/decisions/0054). The core holds each page's bytes against the guest's before
 * it uses its blocks (assembly/cpu/uop/kept.ts), so that nothing depends on which kernel runs; without the file, or with another core's, all is decoded.
 *
 * The file: MAGIC, then u32 at NUMBERS_AT: CRC-32 of the core, length of what goes to KEPT_BASE, CRC-32 of that without its first word; then that. The first
 * word in memory is set last: any thread may load it while vCPU 0 runs.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { KEPT_BLOCKS_USED, KEPT_USED } from '../../assembly/contract/kept.ts';
import { KEPT_BASE, KEPT_SIZE } from '../../assembly/core/layout.ts';

const MAGIC = 'vmm blocks 1\n';
const NUMBERS_AT = 16;
const HEADER = 32;
const WORD = 4;

/** The file of `content`, for the core with the CRC-32 `core`: for the build, and for tests. */
export function keptFile(content: Uint8Array, core: number): Uint8Array {
  const header = Buffer.alloc(HEADER);
  header.write(MAGIC, 'latin1');
  [core, content.length, crc32(content.subarray(WORD))].forEach((value, i) => header.writeUInt32LE(value, NUMBERS_AT + i * 4));
  return Buffer.concat([header, content]);
}

/** How many of them vCPU 0 has used; those of a page that was written to count again. */
export function keptBlocks(memory: WebAssembly.Memory): number {
  return new DataView(memory.buffer).getUint32(KEPT_BASE + KEPT_BLOCKS_USED, true);
}

/** `url`: of the file, beside this bundle; `core`: CRC-32 of the core that is to run them. False: there is none for it, or it is damaged. */
export function loadKeptBlocks(memory: WebAssembly.Memory, core: number, url = new URL('./kernel-blocks.bin', import.meta.url)): boolean {
  let fd: number | undefined;
  try {
    fd = openSync(url, 'r');
    const header = Buffer.alloc(HEADER);
    if (readSync(fd, header, 0, HEADER, 0) !== HEADER || header.toString('latin1', 0, MAGIC.length) !== MAGIC) return false;
    const [made, length, sum] = [0, 4, 8].map((at) => header.readUInt32LE(NUMBERS_AT + at)) as [number, number, number];
    if (made !== core || length <= WORD || length > KEPT_SIZE || fstatSync(fd).size !== HEADER + length) return false;
    const bytes = new Uint8Array(memory.buffer, KEPT_BASE + WORD, length - WORD);
    for (let at = 0; at < bytes.length; ) {
      const n = readSync(fd, bytes, at, bytes.length - at, HEADER + WORD + at);
      if (n === 0) return false;
      at += n;
    }
    if (crc32(bytes) !== sum) return false;
    Atomics.store(new Int32Array(memory.buffer), (KEPT_BASE + KEPT_USED) >>> 2, 1);
    return true;
  } catch {
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

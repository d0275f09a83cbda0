import { VmmError } from '../../base/errors.ts';
import { addressOf } from './ffi.ts';
import { madvise, mmap, mmapAnonymousFixed } from './sys.ts';
import { MADV_DONTNEED, MADV_HUGEPAGE, MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE } from './uapi/linux.ts';

const PAGE = 4096;

/**
 * A shared WebAssembly.Memory seen from the host: where its bytes lie, and what is mapped over them. V8 never moves a
 * shared memory, so the address holds for its life. Everything that hands an address to the kernel goes through
 * `hostAddress`, which is the check that keeps it inside.
 */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly byteLength: number;
  #address: bigint | undefined;

  constructor(memory: WebAssembly.Memory) {
    if (!(memory.buffer instanceof SharedArrayBuffer)) throw new VmmError('INTERNAL', 'a machine needs a shared WebAssembly.Memory');
    this.memory = memory;
    this.byteLength = memory.buffer.byteLength;
  }

  /** Asked for late: a machine on the software CPU may never need it, nor the FFI library. */
  get #base(): bigint {
    this.#address ??= addressOf(new Uint8Array(this.memory.buffer));
    return this.#address;
  }

  /** Host address of `length` bytes at linear offset `offset`. Throws RANGE when they are not inside. */
  hostAddress(offset: number, length: number): bigint {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > this.byteLength) {
      throw new VmmError('RANGE', `linear offset 0x${offset.toString(16)} with ${length} bytes is outside the memory of ${this.byteLength} bytes`);
    }
    return this.#base + BigInt(offset);
  }

  /** Maps a descriptor's pages (vCPU state, memfd) over `length` bytes at `offset`, both whole pages. */
  mapOver(offset: number, length: number, fd: number, fileOffset = 0, flags = MAP_SHARED): void {
    mmap(this.#pages(offset, length), length, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, fileOffset);
  }

  /** Puts fresh zero pages there: what was mapped over is gone, and its object let go. */
  mapAnonymous(offset: number, length: number): void {
    mmapAnonymousFixed(this.#pages(offset, length), length);
  }

  /**
   * Gives private anonymous pages back to the host; they read as zeros afterwards. Safe while a guest uses the memory: a
   * write that comes later finds a fresh page, one that comes at the same time is lost or kept, and both are the guest's own.
   */
  discard(offset: number, length: number): void {
    madvise(this.#pages(offset, length), length, MADV_DONTNEED);
  }

  /** Large pages there where the host has them: fewer faults, on the host's side and for KVM's tables. */
  preferLargePages(offset: number, length: number): void {
    madvise(this.#pages(offset, length), length, MADV_HUGEPAGE);
  }

  /** All bytes zero and private again. Nothing may be using the memory: no vCPU, no slot, no I/O. */
  reset(): void {
    mmapAnonymousFixed(this.#base, this.byteLength);
  }

  #pages(offset: number, length: number): bigint {
    if (offset % PAGE !== 0 || length % PAGE !== 0 || length === 0) throw new VmmError('RANGE', `linear offset 0x${offset.toString(16)} with ${length} bytes is not whole pages`);
    return this.hostAddress(offset, length);
  }
}

const POOL_MAX = 8;
const pool: LinearMemory[] = [];

/**
 * A memory of exactly `pages` WebAssembly pages, all zero: a returned one of that size if there is one. V8 frees dropped
 * shared memories so late that a process which makes many machines would run out of memory.
 */
export function acquireLinearMemory(pages: number): LinearMemory {
  const at = pool.findIndex((entry) => entry.byteLength === pages * 65536);
  const pooled = at >= 0 ? pool.splice(at, 1)[0] : undefined;
  return pooled ?? new LinearMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
}

/** Gives a memory back; only after everything that maps or uses it has ended. Its pages go to the host at once. */
export function releaseLinearMemory(linear: LinearMemory): void {
  linear.reset();
  if (pool.length >= POOL_MAX) pool.shift();
  pool.push(linear);
}

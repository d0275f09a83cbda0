import { NET_HDR_SIZE, RX_PIECES_MAX } from '../../../assembly/contract/devices.ts';
import { EINVAL } from '../../../assembly/contract/generated/errno.ts';
import { DEVICE_BASE, DEVICE_MAX, DEVICE_STRIDE, RAM_BASE } from '../../../assembly/core/layout.ts';
import { addressOf } from '../../host/ffi.ts';
import type { LinearMemory } from '../../host/linear-memory.ts';
import { iovec } from '../../host/uapi/linux.ts';

/** Most vectors of a frame: its pieces, and what goes before and behind. */
const VECTORS = RX_PIECES_MAX + 2;
const VECTOR_WORDS = iovec.sizeof / 4;

/**
 * Where one frame lies, for the length of one call of `host_net`: pieces of guest memory, each checked here whatever the core has
 * checked, and the virtio_net_hdr in the device's own memory. A back end copies, or has the kernel copy by `vectors`.
 */
export class Frame {
  readonly #buffer: Uint8Array;
  readonly #words: Uint32Array;
  readonly #ramEnd: number;
  #hdr = 0;
  #first = 0;
  #count = 0;
  /** Of the frame that is sent; room for one that is received. Without the header. */
  bytes = 0;

  constructor(memory: WebAssembly.Memory, ramSize: number) {
    this.#buffer = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#ramEnd = RAM_BASE + ramSize;
  }

  /** Takes the arguments of `host_net`: 0, or -EINVAL. */
  set(hdr: number, iov: number, count: number, bytes: number): number {
    this.#hdr = hdr;
    this.#first = iov >>> 2;
    this.#count = count;
    this.bytes = bytes;
    if (hdr < DEVICE_BASE || hdr + NET_HDR_SIZE > DEVICE_BASE + DEVICE_MAX * DEVICE_STRIDE || count > VECTORS - 2) return -EINVAL;
    let total = 0;
    for (let i = this.#first, end = i + 2 * count; i < end; i += 2) {
      const at = this.#words[i] as number;
      const length = this.#words[i + 1] as number;
      if (at < RAM_BASE || at + length > this.#ramEnd) return -EINVAL;
      total += length;
    }
    return total < bytes ? -EINVAL : 0;
  }

  /** The header, in place. */
  get header(): Uint8Array {
    return this.#buffer.subarray(this.#hdr, this.#hdr + NET_HDR_SIZE);
  }

  /** Copies the first `length` bytes out. The guest may change them meanwhile. */
  copyTo(target: Uint8Array, offset = 0, length = this.bytes): void {
    let to = offset;
    for (let i = this.#first, left = length; left > 0; i += 2) {
      const at = this.#words[i] as number;
      const part = Math.min(left, this.#words[i + 1] as number);
      target.set(this.#buffer.subarray(at, at + part), to);
      to += part;
      left -= part;
    }
  }

  /** Puts a frame in, which fits: no longer than `bytes`. */
  copyFrom(source: Uint8Array): void {
    let from = 0;
    for (let i = this.#first; from < source.length; i += 2) {
      const at = this.#words[i] as number;
      const part = Math.min(source.length - from, this.#words[i + 1] as number);
      this.#buffer.set(source.subarray(from, from + part), at);
      from += part;
    }
  }

  /** Fills vectors with the header, if it is wanted, and the pieces; returns how many. */
  vectors(into: Vectors, header: boolean): void {
    if (header) into.addLinear(this.#hdr, NET_HDR_SIZE);
    for (let i = this.#first, end = i + 2 * this.#count; i < end; i += 2) into.addLinear(this.#words[i] as number, this.#words[i + 1] as number);
  }
}

/** An array of struct iovec in memory of the host's own: an address never enters the linear memory. */
export class Vectors {
  readonly #words = new Uint32Array(VECTORS * VECTOR_WORDS);
  /** Host address of the array. */
  readonly address = Number(addressOf(this.#words));
  /** Host address of linear offset 0: the lower 32 bits, and the upper. */
  readonly #low: number;
  readonly #high: number;
  count = 0;

  constructor(linear: LinearMemory) {
    const base = Number(linear.hostAddress(0, linear.byteLength));
    [this.#low, this.#high] = [base % 2 ** 32, Math.floor(base / 2 ** 32)];
  }

  clear(): void {
    this.count = 0;
  }

  /** A checked range of the linear memory. */
  addLinear(offset: number, length: number): void {
    const at = this.count * VECTOR_WORDS;
    const low = this.#low + offset;
    this.#words[at] = low; // of which the array takes 32 bits: a division for each piece of each frame would show
    this.#words[at + 1] = low < 2 ** 32 ? this.#high : this.#high + 1;
    this.#words[at + 2] = length;
    this.count++;
  }

  /** `address`: of memory of the host's own that stays where it is. */
  add(address: number, length: number): void {
    const at = this.count * VECTOR_WORDS;
    this.#words[at] = address % 2 ** 32;
    this.#words[at + 1] = address / 2 ** 32;
    this.#words[at + 2] = length;
    this.count++;
  }
}

/** The least virtio-blk driver (virtio 1.2, §3.1, §4.2, §5.2): one queue, requests of one data buffer, no event index. */
import { RAM_BASE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_STRIDE } from '../../../assembly/core/layout.ts';

export interface Bus {
  bus_mmio_write(gpa: bigint, size: number, value: bigint): void;
}

const QUEUE_SIZE = 128;
const RINGS_GPA = 0x1_0000;
const AVAIL_GPA = RINGS_GPA + QUEUE_SIZE * 16;
const USED_GPA = AVAIL_GPA + 0x1000;
const HEADERS_GPA = USED_GPA + 0x1000;
const DATA_GPA = 0x10_0000;
export const BUFFER = 1 << 20;
const VIRTIO_F_VERSION_1 = 1;
const DESC_NEXT = 1;
const DESC_WRITE = 2;

export class BlkDriver {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #indices: Uint16Array;
  readonly #write: (register: number, value: number) => void;
  #avail = 0;
  #used = 0;

  constructor(memory: WebAssembly.Memory, core: Bus, slot: number) {
    this.#view = new DataView(memory.buffer, RAM_BASE);
    this.#bytes = new Uint8Array(memory.buffer, RAM_BASE);
    this.#indices = new Uint16Array(memory.buffer, RAM_BASE);
    this.#write = (register, value) => core.bus_mmio_write(BigInt(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + register), 4, BigInt(value));
    this.start();
    this.ready();
  }

  /** Resets the device and sets it up, all but DRIVER_OK. */
  start(): void {
    const write = this.#write;
    write(0x70, 0);
    this.#bytes.fill(0, AVAIL_GPA, HEADERS_GPA);
    this.#avail = 0;
    this.#used = 0;
    write(0x70, 1);
    write(0x70, 3);
    write(0x24, 1);
    write(0x20, VIRTIO_F_VERSION_1);
    write(0x24, 0);
    write(0x20, 1 << 9); // VIRTIO_BLK_F_FLUSH: a write-back cache
    write(0x70, 11);
    write(0x30, 0);
    write(0x38, QUEUE_SIZE);
    [[0x80, RINGS_GPA], [0x90, AVAIL_GPA], [0xa0, USED_GPA]].forEach(([register, gpa]) => write(register as number, gpa as number));
    write(0x44, 1);
  }

  ready(): void {
    this.#write(0x70, 15);
  }

  /** Makes request `n` (one of 32 with buffers of BUFFER bytes) available. `type`: VIRTIO_BLK_T_*, `offset`: bytes. */
  submit(n: number, type: number, offset: number, length: number): void {
    const header = HEADERS_GPA + n * 32;
    this.#view.setUint32(header, type, true);
    this.#view.setBigUint64(header + 8, BigInt(offset / 512), true);
    this.#bytes[header + 16] = 0xff;
    const pieces = [[header, 16, 0], ...(length > 0 ? [[DATA_GPA + n * BUFFER, length, type === 0 ? DESC_WRITE : 0]] : []), [header + 16, 1, DESC_WRITE]];
    pieces.forEach(([gpa, size, flags], i) => {
      const at = RINGS_GPA + (3 * n + i) * 16;
      this.#view.setBigUint64(at, BigInt(gpa as number), true);
      this.#view.setUint32(at + 8, size as number, true);
      this.#view.setUint16(at + 12, (flags as number) | (i + 1 < pieces.length ? DESC_NEXT : 0), true);
      this.#view.setUint16(at + 14, 3 * n + i + 1, true);
    });
    this.#view.setUint16(AVAIL_GPA + 4 + (this.#avail % QUEUE_SIZE) * 2, 3 * n, true);
    this.#avail = (this.#avail + 1) & 0xffff;
    Atomics.store(this.#indices, (AVAIL_GPA + 2) / 2, this.#avail);
  }

  /** The device asks for notifications (VIRTQ_USED_F_NO_NOTIFY is not set). */
  get wantsKick(): boolean {
    return (Atomics.load(this.#indices, USED_GPA / 2) & 1) === 0;
  }

  /** Calls `done` for each request that ended since the last call: its number, status byte. Returns how many. */
  take(done: (n: number, status: number) => void): number {
    let count = 0;
    while (Atomics.load(this.#indices, (USED_GPA + 2) / 2) !== this.#used) {
      const id = this.#view.getUint32(USED_GPA + 4 + (this.#used % QUEUE_SIZE) * 8, true);
      this.#used = (this.#used + 1) & 0xffff;
      count++;
      done(id / 3, this.#bytes[HEADERS_GPA + (id / 3) * 32 + 16] as number);
    }
    return count;
  }

  /** Request `n`'s data buffer. */
  buffer(n: number): Uint8Array {
    return this.#bytes.subarray(DATA_GPA + n * BUFFER, DATA_GPA + (n + 1) * BUFFER);
  }
}

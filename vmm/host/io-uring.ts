/**
 * io_uring (io_uring(7), io_uring_setup(2), io_uring_enter(2)): submission and completion rings shared with the kernel.
 * One thread makes a ring and is the only one to use it.
 */
import { EAGAIN, EBUSY, EINTR } from '../../assembly/contract/generated/errno.ts';
import { ffi } from './ffi.ts';
import { close, ioUringEnter, ioUringSetup, mmap, munmap } from './sys.ts';
import {
  IORING_CQE_F_MORE, IORING_ENTER_GETEVENTS, IORING_FEAT_NODROP, IORING_FEAT_SINGLE_MMAP, IORING_OFF_SQES, IORING_OFF_SQ_RING, IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_TASKRUN_FLAG, IORING_SQ_TASKRUN, SYS_io_uring_enter, SYS_io_uring_setup, io_uring_cqe, io_uring_params, io_uring_sqe,
} from './uapi/io_uring.ts';
import { MAP_POPULATE, MAP_SHARED, PROT_READ, PROT_WRITE } from './uapi/linux.ts';
import { VmmError } from '../../base/errors.ts';

/** What an entry asks for; fields as struct io_uring_sqe has them, those left out are 0. */
export interface Sqe {
  readonly opcode: number;
  readonly fd: number;
  /** Comes back with the completion; 0 … 2^32 - 1. */
  readonly userData: number;
  /** IOSQE_*. */
  readonly flags?: number;
  /** Bytes. */
  readonly off?: number;
  /** Host address, range-checked by the caller, who keeps it valid until the completion. */
  readonly addr?: number;
  readonly len?: number;
  /** The operation's own flags: RWF_*, IORING_FSYNC_*, POLL*. */
  readonly opFlags?: number;
}

const SQE_WORDS = io_uring_sqe.sizeof / 4;
const CQE_WORDS = io_uring_cqe.sizeof / 4;
const HIGH = 2 ** 32;

export class IoUring {
  /** How many entries can wait for `enter`. */
  readonly entries: number;
  readonly #fd: number;
  /** Where the kernel put the rings, and their lengths. It refuses a place of our choice (MAP_FIXED), so not in a Memory of ours. */
  readonly #mappings: readonly (readonly [bigint, number])[];
  readonly #ring: Int32Array;
  readonly #sqes: Int32Array;
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqFlags: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqes: number;
  readonly #sqMask: number;
  readonly #cqMask: number;
  /** Our end of the submission ring, as an i32 that wraps; the kernel has seen it up to `#shown`. */
  #tail = 0;
  #shown = 0;

  /**
   * A ring of `entries` (a power of two) submissions and twice as many completions; completions are only delivered in
   * `enter`. Throws HOST_CALL where the kernel has no io_uring of Linux 6.1's kind, or forbids it.
   */
  constructor(entries: number) {
    const params = new DataView(new ArrayBuffer(io_uring_params.sizeof));
    params.setUint32(io_uring_params.flags, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG, true);
    this.#fd = ioUringSetup(SYS_io_uring_setup, entries, params);
    const at = (field: keyof typeof io_uring_params): number => params.getUint32(io_uring_params[field], true);
    const mappings: [bigint, number][] = [];
    this.#mappings = mappings;
    try {
      const wanted = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP;
      if ((at('features') & wanted) !== wanted) throw new VmmError('HOST_CALL', 'io_uring without IORING_FEAT_SINGLE_MMAP or IORING_FEAT_NODROP');
      this.entries = at('sq_entries');
      const map = (length: number, offset: number): Int32Array => {
        const address = mmap(0n, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, this.#fd, offset);
        mappings.push([address, length]);
        return new Int32Array(ffi().view(address as never, length));
      };
      this.#ring = map(Math.max(at('sq_off_array') + 4 * this.entries, at('cq_off_cqes') + io_uring_cqe.sizeof * at('cq_entries')), IORING_OFF_SQ_RING);
      this.#sqes = map(io_uring_sqe.sizeof * this.entries, IORING_OFF_SQES);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#sqHead = at('sq_off_head') / 4;
    this.#sqTail = at('sq_off_tail') / 4;
    this.#sqFlags = at('sq_off_flags') / 4;
    this.#cqHead = at('cq_off_head') / 4;
    this.#cqTail = at('cq_off_tail') / 4;
    this.#cqes = at('cq_off_cqes') / 4;
    this.#sqMask = this.#ring[at('sq_off_ring_mask') / 4] as number;
    this.#cqMask = this.#ring[at('cq_off_ring_mask') / 4] as number;
    // Entry n of the ring is always SQE n.
    for (let i = 0; i < this.entries; i++) this.#ring[at('sq_off_array') / 4 + i] = i;
  }

  /** Entries that `push` still takes. */
  get room(): number {
    return this.entries - ((this.#tail - Atomics.load(this.#ring, this.#sqHead)) | 0);
  }

  /** Entries that the kernel has not seen. */
  get pending(): boolean {
    return this.#tail !== this.#shown;
  }

  /** The kernel has completions to deliver: `enter` would not wait. */
  get ready(): boolean {
    return (Atomics.load(this.#ring, this.#sqFlags) & IORING_SQ_TASKRUN) !== 0;
  }

  /** Puts an entry into the ring; the kernel sees it at the next `enter`. False when the ring is full. */
  push(sqe: Sqe): boolean {
    if (this.room === 0) return false;
    const words = this.#sqes;
    const base = (this.#tail & this.#sqMask) * SQE_WORDS;
    words.fill(0, base, base + SQE_WORDS);
    words[base + io_uring_sqe.opcode / 4] = sqe.opcode | ((sqe.flags ?? 0) << 8);
    words[base + io_uring_sqe.fd / 4] = sqe.fd;
    put64(words, base + io_uring_sqe.off / 4, sqe.off ?? 0);
    put64(words, base + io_uring_sqe.addr / 4, sqe.addr ?? 0);
    words[base + io_uring_sqe.len / 4] = sqe.len ?? 0;
    words[base + io_uring_sqe.rw_flags / 4] = sqe.opFlags ?? 0;
    words[base + io_uring_sqe.user_data / 4] = sqe.userData;
    this.#tail = (this.#tail + 1) | 0;
    return true;
  }

  /**
   * Submits what was pushed, waits for `wait` completions (0: only collects what is there) and calls `done` for each
   * there is. `more`: further completions of this entry will come. A signal ends the wait early. Throws HOST_CALL.
   */
  enter(wait: number, done: (userData: number, result: number, more: boolean) => void): void {
    Atomics.store(this.#ring, this.#sqTail, this.#tail);
    const pending = (this.#tail - this.#shown) | 0;
    const result = ioUringEnter(SYS_io_uring_enter, this.#fd, pending, wait, IORING_ENTER_GETEVENTS);
    // EBUSY and EAGAIN: completions have to be taken first; the entries stay in the ring for the next call.
    if (result >= 0) this.#shown = (this.#shown + result) | 0;
    else if (result !== -EINTR && result !== -EAGAIN && result !== -EBUSY) throw new VmmError('HOST_CALL', `io_uring_enter(${pending}, ${wait}): errno ${-result}`);
    let head = this.#ring[this.#cqHead] as number;
    for (const tail = Atomics.load(this.#ring, this.#cqTail); head !== tail; ) {
      const base = this.#cqes + (head & this.#cqMask) * CQE_WORDS;
      const userData = (this.#ring[base + io_uring_cqe.user_data / 4] as number) >>> 0;
      const res = this.#ring[base + io_uring_cqe.res / 4] as number;
      const more = ((this.#ring[base + io_uring_cqe.flags / 4] as number) & IORING_CQE_F_MORE) !== 0;
      head = (head + 1) | 0;
      Atomics.store(this.#ring, this.#cqHead, head);
      done(userData, res, more);
    }
  }

  /** Lets the ring go. The caller has waited for its requests: the kernel ends those that are left when it likes. */
  close(): void {
    for (const [address, length] of this.#mappings) munmap(address, length);
    close(this.#fd);
  }
}

function put64(words: Int32Array, at: number, value: number): void {
  words[at] = value % HIGH;
  words[at + 1] = Math.floor(value / HIGH);
}

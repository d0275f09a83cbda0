import { constants, openSync } from 'node:fs';
import {
  HOST_EV_TRACE_ERROR, MACHINE_EV_TRACE_IRQ, MACHINE_EV_TRACE_MMIO, MACHINE_EV_TRACE_PIO, MACHINE_EV_TRACE_VIRTIO, TRACE_EXEC, TRACE_IRQ,
  TRACE_MMIO, TRACE_PIO, TRACE_VIRTIO,
} from '../../assembly/contract/machine.ts';
import { VmmError } from '../../base/errors.ts';
import { writeWhole } from '../host/write-whole.ts';

/** What can be traced. */
const TRACE_BITS: Readonly<Record<string, number>> = { pio: TRACE_PIO, mmio: TRACE_MMIO, irq: TRACE_IRQ, virtio: TRACE_VIRTIO, exec: TRACE_EXEC };
const TRACE_EVENTS = TRACE_PIO | TRACE_MMIO | TRACE_IRQ | TRACE_VIRTIO;

/** Words such as `pio,irq`; `all` names all but `exec`. */
export function traceMask(text: string): number {
  let mask = 0;
  for (const word of text.split(',')) {
    const bits = word === 'all' ? TRACE_EVENTS : TRACE_BITS[word];
    if (bits === undefined) throw new VmmError('USAGE', `--trace: ${word} cannot be traced`, { hint: `words: ${Object.keys(TRACE_BITS).join(', ')}, all` });
    mask |= bits;
  }
  return mask;
}

/** An open trace file; several threads write it. */
export interface SharedTrace {
  readonly fd: number;
  /** What they share: a lock (i32 at 0), the time that counts as zero and the last line's (f64 at 8 and 16; NaN: none yet). */
  readonly order: SharedArrayBuffer;
}

/** A trace on an open descriptor, whose times count from `startTrace`. */
export function sharedTrace(fd: number): SharedTrace {
  const order = new SharedArrayBuffer(24);
  new Float64Array(order).fill(Number.NaN, 1);
  return { fd, order };
}

/** The machine starts at `now`: from here on the trace's times count, unless it has been started before. */
export function startTrace(trace: SharedTrace, now: number): void {
  const times = new Float64Array(trace.order);
  if (Number.isNaN(times[ORIGIN])) times.fill(now, ORIGIN);
}

// Indices of a SharedTrace's times.
const ORIGIN = 1;
const LAST = 2;

export function openTrace(path: string): SharedTrace {
  try {
    // Appending, for several threads write it; not waiting for the reader of a FIFO.
    return sharedTrace(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND | constants.O_NONBLOCK, 0o666));
  } catch (cause) {
    throw new VmmError('TRACE_OPEN', `cannot write the trace to ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check --trace-file' });
  }
}

/**
 * A trace file as one thread writes it. A failure (a full disk, a FIFO whose reader stands) ends that thread's
 * tracing, not the run, and is told once.
 */
export class TraceFile {
  readonly #fd: number;
  readonly #onError: (errno: number) => void;
  #broken = false;

  constructor(fd: number, onError: (errno: number) => void) {
    this.#fd = fd;
    this.#onError = onError;
  }

  write(text: string): void {
    if (this.#broken) return;
    try {
      writeWhole(this.#fd, text);
    } catch (error) {
      this.#broken = true;
      this.#onError(Math.abs((error as NodeJS.ErrnoException).errno ?? 0));
    }
  }
}

const hex = (n: number | bigint): string => n.toString(16);

/** How long a line waits for another thread's, ms: a thread that was ended within a write must not stop the others. */
const TURN_MS = 100;

/**
 * Writes trace events as lines, "MICROSECONDS vTHREAD WHAT", in the order of their times. Every thread has its own over the
 * same descriptor; a line is one write to a file opened for appending, and shorter than what a FIFO takes as one (PIPE_BUF),
 * so lines never mix.
 */
export class TraceWriter {
  readonly #file: TraceFile;
  readonly #who: () => string;
  readonly #now: () => number;
  readonly #lock: Int32Array;
  readonly #times: Float64Array;

  /** `now`: nanoseconds, of one clock in all threads but for their reading of it. */
  constructor(file: TraceFile, order: SharedArrayBuffer, who: string | (() => string), now: () => number) {
    this.#lock = new Int32Array(order, 0, 1);
    this.#times = new Float64Array(order);
    this.#file = file;
    this.#who = typeof who === 'string' ? () => who : who;
    this.#now = now;
  }

  /** True when the event was one of tracing. */
  event(kind: number, a: number, b: bigint): boolean {
    const text = describe(kind, a, b);
    if (text === undefined) return false;
    const mine = this.#take();
    const [, origin = 0, last = 0] = this.#times;
    const now = Math.max(this.#now(), last);
    this.#times[LAST] = now;
    this.#file.write(`${((now - origin) / 1000).toFixed(1)} ${this.#who()} ${text}\n`);
    if (mine) this.#release();
    return true;
  }

  /** False: the lock is somebody's who may have ended. */
  #take(): boolean {
    for (let waited = 0; Atomics.compareExchange(this.#lock, 0, 0, 1) !== 0; waited += 1) {
      if (waited >= TURN_MS) return false;
      Atomics.wait(this.#lock, 0, 1, 1);
    }
    return true;
  }

  #release(): void {
    Atomics.store(this.#lock, 0, 0);
    Atomics.notify(this.#lock, 0, 1);
  }
}

/** The trace of one thread, `who`, when there is one. That it is lost is told as a machine event: the machine tells it once. */
export function traceOf(trace: SharedTrace | undefined, who: string, now: () => number, onEvent: (kind: number, a: number, b: bigint) => void): TraceWriter | undefined {
  return trace === undefined ? undefined : new TraceWriter(new TraceFile(trace.fd, (errno) => onEvent(HOST_EV_TRACE_ERROR, 0, BigInt(errno))), trace.order, who, now);
}

function describe(kind: number, a: number, b: bigint): string | undefined {
  switch (kind) {
    case MACHINE_EV_TRACE_PIO: {
      const size = (a >>> 16) & 0xff;
      return `pio ${a >>> 24 ? 'out' : 'in'} port=${hex(a & 0xffff)} size=${size} value=${hex(b)}`;
    }
    case MACHINE_EV_TRACE_MMIO: {
      const top = Number(b >> 56n);
      return `mmio ${top & 0x80 ? 'write' : 'read'} gpa=${hex(a)} size=${top & 0x7f} value=${hex(b & 0xff_ffff_ffff_ffffn)}`;
    }
    case MACHINE_EV_TRACE_IRQ:
      return `irq line=${a}`;
    case MACHINE_EV_TRACE_VIRTIO:
      return `virtio slot=${a & 0xff} queue=${a >>> 8} head=${b}`;
    default:
      return undefined;
  }
}

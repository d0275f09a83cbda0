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

export function openTrace(path: string): number {
  try {
    // Appending, for several threads write it; not waiting for the reader of a FIFO.
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND | constants.O_NONBLOCK, 0o666);
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

/**
 * Writes trace events as lines, "MICROSECONDS vTHREAD WHAT". Every thread has its own over the same descriptor; a line is
 * one write to a file opened for appending, and shorter than what a FIFO takes as one (PIPE_BUF), so lines never mix.
 */
export class TraceWriter {
  readonly #file: TraceFile;
  readonly #who: () => string;
  readonly #now: () => number;

  constructor(file: TraceFile, who: string | (() => string), now: () => number) {
    this.#file = file;
    this.#who = typeof who === 'string' ? () => who : who;
    this.#now = now;
  }

  /** True when the event was one of tracing. */
  event(kind: number, a: number, b: bigint): boolean {
    const text = describe(kind, a, b);
    if (text === undefined) return false;
    this.#file.write(`${(this.#now() / 1000).toFixed(1)} ${this.#who()} ${text}\n`);
    return true;
  }
}

/** The trace of one thread, `who`, when there is one. That it is lost is told as a machine event: the machine tells it once. */
export function traceOf(fd: number | undefined, who: string, now: () => number, onEvent: (kind: number, a: number, b: bigint) => void): TraceWriter | undefined {
  return fd === undefined ? undefined : new TraceWriter(new TraceFile(fd, (errno) => onEvent(HOST_EV_TRACE_ERROR, 0, BigInt(errno))), who, now);
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

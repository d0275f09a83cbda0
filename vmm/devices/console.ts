import { CONSOLE_QUEUES } from '../../assembly/contract/devices.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import type { CoreExports } from '../core/exports.ts';
import type { HostDevice } from './device.ts';

/** The core's functions for one console device: virtio-console or COM1. */
export interface ConsolePort {
  /** Offers input bytes at a linear offset; returns how many were taken. */
  input(ptr: number, length: number): number;
  /** The host can take output again. */
  drained(): void;
  /** How long the machine's first driver needs, from its first buffers on, until it no longer throws input away, milliseconds; its first output says so, too. */
  readonly settleMs: number;
}

/** Output that may wait for the user before the guest is held up, in bytes. */
const HIGH_WATER = 1 << 20;
/** While so many bytes wait for the guest, no more is taken. */
const INPUT_MAX = 1 << 20;

/** Input that waits for the guest to take it. It is the machine's: what came before its console was there, or a reset, is not lost. */
export class ConsoleInput {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #waiting: (() => void)[] = [];
  #closed = false;
  /** Called when there is something to take. */
  onInput: () => void = () => {};

  /** Resolves when more is welcome. Of those who do not wait for that, what comes while 1 MiB waits is dropped, as a terminal does. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.#bytes < INPUT_MAX && bytes.length > 0) {
      this.#chunks.push(Uint8Array.from(bytes));
      this.#bytes += bytes.length;
      this.onInput();
    }
    return this.#bytes < INPUT_MAX ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The piece that is next, if there is one. */
  get first(): Uint8Array | undefined {
    return this.#chunks[0];
  }

  /** The guest has taken `n` bytes of `first`. */
  took(n: number): void {
    const first = this.#chunks[0];
    if (first === undefined) return;
    if (n < first.length) this.#chunks[0] = first.subarray(n);
    else this.#chunks.shift();
    this.#bytes -= n;
    if (this.#bytes < INPUT_MAX) this.#welcome();
  }

  /** Nobody takes any more: nobody is kept waiting. */
  close(): void {
    this.#closed = true;
    this.#chunks = [];
    this.#bytes = 0;
    this.#welcome();
  }

  #welcome(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Host side of a console: output goes to a sink with back-pressure, input is offered until the guest takes it. */
export class HostConsole {
  readonly #port: ConsolePort;
  readonly #scratch: { readonly bytes: Uint8Array; readonly offset: number };
  #sink: ((bytes: Uint8Array) => Promise<void>) | undefined;
  #queued = 0;
  #stalled = false;
  readonly #input: ConsoleInput;
  #settled: boolean;
  #settling: NodeJS.Timeout | undefined;

  constructor(port: ConsolePort, scratch: { readonly bytes: Uint8Array; readonly offset: number }, input: ConsoleInput) {
    this.#port = port;
    this.#scratch = scratch;
    this.#input = input;
    this.#settled = port.settleMs === 0;
    input.onInput = () => this.#pump();
    // There is no driver yet: this takes nothing, and has the device say when it can take something.
    port.input(scratch.offset, 1);
  }

  /** Where output goes; without one it is dropped. */
  setSink(sink: (bytes: Uint8Array) => Promise<void>): void {
    this.#sink = sink;
  }

  /** Output of the guest; returns how many bytes were taken, 0 when the sink is behind and more can wait in the device. */
  output(bytes: Uint8Array, last = false): number {
    if (!this.#settled) this.#settle();
    if (this.#sink === undefined) return bytes.length;
    if (this.#queued >= HIGH_WATER && !last) {
      this.#stalled = true;
      return 0;
    }
    this.#queued += bytes.length;
    void this.#sink(bytes).finally(() => {
      this.#queued -= bytes.length;
      if (this.#stalled && this.#queued < HIGH_WATER / 2) {
        this.#stalled = false;
        this.#port.drained();
      }
    });
    return bytes.length;
  }

  /** The device can take input (MACHINE_EV_INPUT). */
  ready(): void {
    if (!this.#settled) this.#settling ??= setTimeout(() => this.#settle(), this.#port.settleMs);
    this.#pump();
  }

  /** The device neither took nor gave anything for a while. */
  goesOn(): void {
    this.#port.drained();
    this.#pump();
  }

  /** Nothing more is offered. */
  close(): void {
    clearTimeout(this.#settling);
    this.#input.onInput = () => {};
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settled = true;
    // Not within the device's own call.
    setImmediate(() => this.#input.onInput());
  }

  /** Offers waiting input to the guest. */
  #pump(): void {
    if (!this.#settled) return;
    for (let first = this.#input.first; first !== undefined; first = this.#input.first) {
      const length = Math.min(first.length, this.#scratch.bytes.length);
      this.#scratch.bytes.set(first.subarray(0, length));
      const n = this.#port.input(this.#scratch.offset, length);
      if (n <= 0) return;
      this.#input.took(n);
      if (n < length) return;
    }
  }
}

/**
 * Linux's virtio console throws away what comes between its first receive buffers and the set-up of its terminal
 * (drivers/char/virtio_console.c, in_intr): a few milliseconds of guest time.
 */
const SETTLE_MS = 200;

/** The virtio console (virtio 1.2 §5.3): its slot, and what it is to a HostConsole. */
export class VirtioConsole implements HostDevice {
  readonly name = 'the console';
  readonly queues = CONSOLE_QUEUES;
  #slot = 0;

  add({ core, slot }: { readonly core: CoreExports; readonly slot: number }): number {
    this.#slot = slot;
    return core.console_add(slot, 80, 24);
  }

  port(core: CoreExports): ConsolePort {
    const slot = this.#slot;
    return { input: (ptr, length) => core.console_input(slot, ptr, length), drained: () => core.console_drained(slot), settleMs: SETTLE_MS };
  }

  resize(core: CoreExports, columns: number, rows: number): void {
    core.console_resize(this.#slot, columns, rows);
  }
}

/** COM1 as a HostConsole has it. */
export function serialPort(core: CoreExports): ConsolePort {
  return { input: (ptr, length) => core.serial_input(ptr, length), drained: () => core.console_drained(HOST_SERIAL), settleMs: 0 };
}

/** The core's functions for one console device: virtio-console or COM1. */
export interface ConsolePort {
  /** Offers input bytes at a linear offset; returns how many were taken. */
  input(ptr: number, length: number): number;
  /** The host can take output again. */
  drained(): void;
}

/** Output that may wait for the user before the guest is held up, in bytes. */
const HIGH_WATER = 1 << 20;
const INPUT_MAX = 1 << 20;

/**
 * Host side of a console: output goes to a sink with back-pressure, input waits here until the guest takes it. Input
 * beyond 1 MiB is dropped from its end, as a terminal's line buffer does.
 */
export class HostConsole {
  readonly #port: ConsolePort;
  readonly #scratch: { readonly bytes: Uint8Array; readonly offset: number };
  #sink: ((bytes: Uint8Array) => Promise<void>) | undefined;
  #queued = 0;
  #stalled = false;
  #input: Uint8Array[] = [];
  #inputBytes = 0;

  constructor(port: ConsolePort, scratch: { readonly bytes: Uint8Array; readonly offset: number }) {
    this.#port = port;
    this.#scratch = scratch;
  }

  /** Where output goes; without one it is dropped. */
  setSink(sink: (bytes: Uint8Array) => Promise<void>): void {
    this.#sink = sink;
  }

  /** Output of the guest; returns how many bytes were taken, 0 when the sink is behind and more can wait in the device. */
  output(bytes: Uint8Array, last = false): number {
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

  write(bytes: Uint8Array): void {
    const room = INPUT_MAX - this.#inputBytes;
    if (room <= 0) return;
    const taken = bytes.length > room ? bytes.subarray(0, room) : bytes;
    this.#input.push(Uint8Array.from(taken));
    this.#inputBytes += taken.length;
    this.pump();
  }

  /** Offers waiting input to the guest; called again when the device can take more. */
  pump(): void {
    while (this.#input.length > 0) {
      const first = this.#input[0] as Uint8Array;
      const length = Math.min(first.length, this.#scratch.bytes.length);
      this.#scratch.bytes.set(first.subarray(0, length));
      const n = this.#port.input(this.#scratch.offset, length);
      if (n <= 0) return;
      this.#inputBytes -= n;
      if (n < first.length) this.#input[0] = first.subarray(n);
      else this.#input.shift();
      if (n < length) return;
    }
  }
}

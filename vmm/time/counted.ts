import { VmmError } from '../../base/errors.ts';
import type { MachineTime } from './machine-time.ts';
import { SeededStream } from './seeded.ts';
import type { Counts, InputEvent, InputSource } from './position.ts';

/** What a counted run is made of beside its machine: all of it decides about the run. */
export interface CountedConfig {
  /** An instruction takes 2^shift virtual nanoseconds, 0 … COUNT_SHIFT_MAX. */
  readonly shift: number;
  /** Of RDRAND, the entropy device, and what the host's side would take at random; 0 … 2^64 - 1. */
  readonly seed: bigint;
  /** The wall clock at virtual time 0: seconds since 1970. */
  readonly rtc: number;
  /** The run ends before the instruction with this number, counted over all vCPUs from 0. */
  readonly stopAt?: bigint | undefined;
  /** Input from outside the run; without it there is none. */
  readonly input?: InputSource | undefined;
  /** Called behind each slice, for tools that look at how the guest runs; it must not change anything. */
  readonly watch?: ((memory: WebAssembly.Memory) => void) | undefined;
}

export const COUNT_SHIFT_MAX = 10;
/** The CMOS clock has two digits for the century's years and counts on from here in 32 bits. */
export const RTC_MAX = 0xffff_ffff;

const NOTHING: Counts = { count: 0n, ns: 0n, repetitions: 0n, hash: 0n };

/** One counted run: its clock, its random streams, and what the host still has to take before the CPU may go on. */
export class CountedRun implements MachineTime {
  readonly config: CountedConfig;
  readonly parallel = false;
  readonly discards = false;
  readonly #random: SeededStream;
  #sample: (() => Counts) | undefined;
  #last = NOTHING;
  readonly #held = new Set<Promise<unknown>>();
  #ending = false;
  #wake: () => void = () => {};
  readonly #handlers = new Map<string, (data: Uint8Array) => unknown>();

  constructor(config: CountedConfig) {
    this.config = config;
    this.#random = new SeededStream(config.seed, 'guest');
  }

  /** Where the run is now, exact at port accesses, clock reads and between slices; where it ended, once it has. */
  readonly counts = (): Counts => this.#sample?.() ?? this.#last;

  /** Virtual nanoseconds since the start, and on the wall. */
  now(): number {
    return Number(this.counts().ns);
  }

  wall(): number {
    return this.config.rtc * 1e9 + this.now();
  }

  random(length: number): Uint8Array {
    return this.#random.bytes(length);
  }

  /** The guest's time stands while the host settles. */
  settle(): number {
    return 0;
  }

  taken(work: Promise<void>): Promise<void> {
    this.hold(work);
    return Promise.resolve();
  }

  admit(): never {
    throw new VmmError('ICOUNT_INPUT', 'input of a counted run has a place in it', { hint: 'give it to the InputRecorder of its configuration' });
  }

  wallNs(): bigint {
    return BigInt(this.config.rtc) * 1_000_000_000n + this.counts().ns;
  }

  /** A life of the machine begins: `sample` tells where it is, `counts` of the lives before included. */
  attach(sample: () => Counts): void {
    this.#sample = sample;
    this.#ending = false;
  }

  detach(last: Counts): void {
    this.#sample = undefined;
    this.#last = last;
  }

  /** The CPU waits until `work` is over, before the next instruction that could tell. */
  hold(work: Promise<unknown>): void {
    const done = (): void => void this.#held.delete(entry);
    const entry: Promise<void> = work.then(done, done);
    this.#held.add(entry);
  }

  /** There is work to wait for. */
  get holds(): boolean {
    return this.#held.size > 0;
  }

  /** Resolves when the host has nothing more to do for what the guest did (callbacks, promises, output that is taken), or at `end`. */
  async settled(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#held.size === 0 || this.#ending) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      void Promise.all(this.#held).then(() => resolve());
      await promise;
    }
  }

  /** The machine's life ends: nothing is waited for any more. */
  end(): void {
    this.#ending = true;
    this.#wake();
  }

  /** What input of one kind does to the guest. */
  onInput(kind: string, handler: (data: Uint8Array) => unknown): void {
    this.#handlers.set(kind, handler);
  }

  give(event: InputEvent): void {
    event.given(this.#handlers.get(event.kind)?.(event.data));
  }
}

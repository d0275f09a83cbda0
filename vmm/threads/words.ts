/**
 * Words that the threads of one machine share beside the linear memory: commands to vCPUs, kicks for
 * the main thread, and a ring for COM1's output. One SharedArrayBuffer, all words are i32 and used with Atomics.
 */
export const COMMAND_RUN = 0;
export const COMMAND_PAUSE = 1;
export const COMMAND_STOP = 2;

export const STATE_STARTING = 0;
export const STATE_RUNNING = 1;
export const STATE_PAUSED = 2;
export const STATE_ENDED = 3;

const VCPUS = 32;
const DEVICES = 32;
const COMMANDS = 0;
const STATES = COMMANDS + VCPUS;
/** Bit q of word d: queue q of device slot d was rung. */
const KICKS = STATES + VCPUS;
/** Counts up at each kick; the main thread waits on it. */
const BELL = KICKS + DEVICES;
const SERIAL_HEAD = BELL + 1;
const SERIAL_TAIL = BELL + 2;
const WORDS = BELL + 3;
const SERIAL_OFFSET = WORDS * 4;
const SERIAL_BYTES = 65536;

/** What each thread of a machine starts with. Descriptors are the process's. */
export interface MachineThread {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The buffer of SharedWords. */
  readonly words: SharedArrayBuffer;
  /** The trace file's, when events are traced. */
  readonly traceFd: number | undefined;
}

/** A machine event (MACHINE_EV_*, HOST_EV_*) on its way to the main thread. */
export interface EventMessage {
  readonly type: 'event';
  readonly kind: number;
  readonly a: number;
  readonly b: bigint;
}

export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #serial: Uint8Array;

  constructor(buffer = new SharedArrayBuffer(SERIAL_OFFSET + SERIAL_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS);
    this.#serial = new Uint8Array(buffer, SERIAL_OFFSET, SERIAL_BYTES);
  }

  command(vcpu: number): number {
    return Atomics.load(this.#words, COMMANDS + vcpu);
  }

  setCommand(vcpu: number, command: number): void {
    Atomics.store(this.#words, COMMANDS + vcpu, command);
    Atomics.notify(this.#words, COMMANDS + vcpu);
  }

  /** A vCPU's own wish to stand still, unless it was told something else meanwhile. */
  pauseSelf(vcpu: number): void {
    Atomics.compareExchange(this.#words, COMMANDS + vcpu, COMMAND_RUN, COMMAND_PAUSE);
  }

  /** Lets a vCPU that stands run again; one that was told to stop meanwhile stays told so. */
  release(vcpu: number): void {
    Atomics.compareExchange(this.#words, COMMANDS + vcpu, COMMAND_PAUSE, COMMAND_RUN);
    Atomics.notify(this.#words, COMMANDS + vcpu);
  }

  /** Blocks while the command of `vcpu` is `command`. */
  waitWhile(vcpu: number, command: number): void {
    while (this.command(vcpu) === command) Atomics.wait(this.#words, COMMANDS + vcpu, command);
  }

  /** Blocks until `vcpu` must stop. The command is read once a turn: a second look could see the stop, and wait for its end. */
  waitForStop(vcpu: number): void {
    for (let command = this.command(vcpu); command !== COMMAND_STOP; command = this.command(vcpu)) this.waitWhile(vcpu, command);
  }

  state(vcpu: number): number {
    return Atomics.load(this.#words, STATES + vcpu);
  }

  setState(vcpu: number, state: number): void {
    Atomics.store(this.#words, STATES + vcpu, state);
    Atomics.notify(this.#words, STATES + vcpu);
  }

  /** Resolves once the state of `vcpu` is no longer `state`. */
  async stateChange(vcpu: number, state: number): Promise<void> {
    while (this.state(vcpu) === state) {
      const wait = waitAsync(this.#words, STATES + vcpu, state);
      if (wait.async) await wait.value;
    }
  }

  kick(device: number, queue: number): void {
    Atomics.or(this.#words, KICKS + device, queue < 31 ? 1 << queue : 1 << 31);
    this.ring();
  }

  ring(): void {
    Atomics.add(this.#words, BELL, 1);
    Atomics.notify(this.#words, BELL);
  }

  bell(): number {
    return Atomics.load(this.#words, BELL);
  }

  /** Resolves when the bell has rung since it read `seen`. */
  async nextRing(seen: number): Promise<void> {
    const wait = waitAsync(this.#words, BELL, seen);
    if (wait.async) await wait.value;
  }

  /** Takes the queues of `device` that were rung: a bit mask, bit 31 for a reset. */
  takeKicks(device: number): number {
    if (Atomics.load(this.#words, KICKS + device) === 0) return 0;
    return Atomics.exchange(this.#words, KICKS + device, 0);
  }

  /** Puts output bytes of COM1 into the ring (one writer at a time: the core's bus lock) and rings the bell; returns how many fitted. */
  putSerial(bytes: Uint8Array): number {
    const tail = Atomics.load(this.#words, SERIAL_TAIL);
    const room = SERIAL_BYTES - ((tail - Atomics.load(this.#words, SERIAL_HEAD)) >>> 0);
    const n = Math.min(room, bytes.length);
    for (let i = 0; i < n; i++) this.#serial[(tail + i) & (SERIAL_BYTES - 1)] = bytes[i] as number;
    Atomics.store(this.#words, SERIAL_TAIL, (tail + n) | 0);
    this.ring();
    return n;
  }

  /** Offers the ring's bytes to `sink`, which returns how many it takes. The main thread alone calls it. Returns that number. */
  passSerial(sink: (bytes: Uint8Array) => number): number {
    const head = Atomics.load(this.#words, SERIAL_HEAD);
    const n = (Atomics.load(this.#words, SERIAL_TAIL) - head) >>> 0;
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) out[i] = this.#serial[(head + i) & (SERIAL_BYTES - 1)] as number;
    const taken = n === 0 ? 0 : sink(out);
    Atomics.store(this.#words, SERIAL_HEAD, (head + taken) | 0);
    return taken;
  }
}

/** Atomics.waitAsync is in V8 since Node 16 but not in TypeScript's ES2022 library. */
function waitAsync(words: Int32Array, index: number, value: number): { async: false } | { async: true; value: Promise<string> } {
  const atomics = Atomics as unknown as { waitAsync(w: Int32Array, i: number, v: number): { async: boolean; value: Promise<string> | string } };
  const result = atomics.waitAsync(words, index, value);
  return result.async ? { async: true, value: result.value as Promise<string> } : { async: false };
}

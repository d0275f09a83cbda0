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

/** Who works on a device's queues: the main thread, or the thread that rings (the vCPU's, on the software CPU), or the device thread of that bell. */
export const OWNER_MAIN = 0;
export const OWNER_RINGER = -1;

/** Bells: the main thread's, then one for each thread of a device's own. */
export const BELL_MAIN = 0;
export const DEVICE_THREADS_MAX = 7;
const BELLS = 1 + DEVICE_THREADS_MAX;

const VCPUS = 32;
const DEVICES = 32;
const COMMANDS = 0;
const STATES = COMMANDS + VCPUS;
/** Thread id of the thread that runs a vCPU on KVM; 0 before it is ready to be kicked. */
const TIDS = STATES + VCPUS;
/** Bit q of word d: queue q of device slot d was rung. */
const KICKS = TIDS + VCPUS;
const OWNERS = KICKS + DEVICES;
/** Each counts up when it is rung; its thread waits on it. */
const BELL = OWNERS + DEVICES;
/** Eventfd that is signalled with a bell, plus one; 0: none. */
const BELL_FDS = BELL + BELLS;
/** 1: the thread of that bell must end. */
const ENDS = BELL_FDS + BELLS;
/** Not 0: the thread of that bell must stand; another number each time. */
const HOLDS = ENDS + BELLS;
/** The number by which the thread of that bell stands, or stood last; OVER: it has ended. */
const STOOD = HOLDS + BELLS;
const OVER = -1;
/** Counts up when the threads are to give back what they do not need at rest. */
const RESTS = STOOD + BELLS;
const SERIAL_HEAD = RESTS + 1;
const SERIAL_TAIL = SERIAL_HEAD + 1;
const WORDS = SERIAL_TAIL + 1;
const SERIAL_OFFSET = WORDS * 4;
const SERIAL_BYTES = 65536;

/** What each thread of a machine starts with. Descriptors are the process's. */
export interface MachineThread {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The buffer of SharedWords. */
  readonly words: SharedArrayBuffer;
  /** The trace file (vmm/core/trace.ts, SharedTrace), when events are traced. */
  readonly trace: { readonly fd: number; readonly order: SharedArrayBuffer } | undefined;
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

  tid(vcpu: number): number {
    return Atomics.load(this.#words, TIDS + vcpu);
  }

  setTid(vcpu: number, tid: number): void {
    Atomics.store(this.#words, TIDS + vcpu, tid);
  }

  /** OWNER_MAIN, OWNER_RINGER, or a device thread's bell. */
  owner(device: number): number {
    return Atomics.load(this.#words, OWNERS + device);
  }

  setOwner(device: number, owner: number): void {
    Atomics.store(this.#words, OWNERS + device, owner);
  }

  /** Notes that a queue was rung and rings for the device's owner. Returns the eventfd that has to be signalled too, or -1. */
  kick(device: number, queue: number): number {
    Atomics.or(this.#words, KICKS + device, queue < 31 ? 1 << queue : 1 << 31);
    const bell = Math.max(BELL_MAIN, this.owner(device));
    this.ring(bell);
    return this.bellFd(bell);
  }

  ring(bell = BELL_MAIN): void {
    Atomics.add(this.#words, BELL + bell, 1);
    Atomics.notify(this.#words, BELL + bell);
  }

  bell(bell = BELL_MAIN): number {
    return Atomics.load(this.#words, BELL + bell);
  }

  bellFd(bell: number): number {
    return Atomics.load(this.#words, BELL_FDS + bell) - 1;
  }

  setBellFd(bell: number, fd: number): void {
    Atomics.store(this.#words, BELL_FDS + bell, fd + 1);
  }

  /** Resolves when the main thread's bell has rung since it read `seen`. */
  async nextRing(seen: number): Promise<void> {
    const wait = waitAsync(this.#words, BELL + BELL_MAIN, seen);
    if (wait.async) await wait.value;
  }

  /** Blocks until `bell` has rung since it read `seen`; false: `ms` milliseconds (-1: for ever) are over before. */
  waitRing(bell: number, seen: number, ms = -1): boolean {
    return Atomics.wait(this.#words, BELL + bell, seen, ms < 0 ? Number.POSITIVE_INFINITY : ms) !== 'timed-out';
  }

  /** Has the thread of `bell` end; its eventfd, if it waits for one, has to be signalled too. */
  end(bell: number): void {
    Atomics.store(this.#words, ENDS + bell, 1);
    this.ring(bell);
  }

  ended(bell: number): boolean {
    return Atomics.load(this.#words, ENDS + bell) !== 0;
  }

  /** Has the thread of `bell` stand (`number`, above 0 and above that of the time before), or go on (0); its eventfd, if it waits for one, has to be signalled too. */
  hold(bell: number, number: number): void {
    Atomics.store(this.#words, HOLDS + bell, number);
    this.ring(bell);
  }

  /** Resolves once the thread of `bell` stands by `number` or a later one, or has ended. */
  async stands(bell: number, number: number): Promise<void> {
    for (;;) {
      const stood = Atomics.load(this.#words, STOOD + bell);
      if (stood >= number || stood === OVER) return;
      const wait = waitAsync(this.#words, STOOD + bell, stood);
      if (wait.async) await wait.value;
    }
  }

  /** The thread of `bell` has ended, in whatever way: it stands for good. */
  over(bell: number): void {
    Atomics.store(this.#words, STOOD + bell, OVER);
    Atomics.notify(this.#words, STOOD + bell);
  }

  /** The thread of `bell` is to stand: it has to finish what it is at, and call `stand`. */
  held(bell: number): boolean {
    return Atomics.load(this.#words, HOLDS + bell) !== 0;
  }

  /** Blocks the thread of `bell` for as long as it must stand; each ring meanwhile is for `rung`. */
  stand(bell: number, rung: () => void = () => {}): void {
    while (!this.ended(bell)) {
      const seen = this.bell(bell);
      const number = Atomics.load(this.#words, HOLDS + bell);
      if (number === 0) return;
      rung();
      Atomics.store(this.#words, STOOD + bell, number);
      Atomics.notify(this.#words, STOOD + bell);
      this.waitRing(bell, seen);
    }
  }

  /** The guest rests. Who waits at a bell has to be rung, too. */
  rest(): void {
    Atomics.add(this.#words, RESTS, 1);
  }

  /** How often it was told to. */
  get rests(): number {
    return Atomics.load(this.#words, RESTS);
  }

  /** A device was rung and nobody has taken that. */
  kicked(device: number): boolean {
    return Atomics.load(this.#words, KICKS + device) !== 0;
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
export function waitAsync(words: Int32Array, index: number, value: number): { async: false } | { async: true; value: Promise<string> } {
  const atomics = Atomics as unknown as { waitAsync(w: Int32Array, i: number, v: number): { async: boolean; value: Promise<string> | string } };
  const result = atomics.waitAsync(words, index, value);
  return result.async ? { async: true, value: result.value as Promise<string> } : { async: false };
}

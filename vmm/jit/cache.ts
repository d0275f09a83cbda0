/** The translations of one vCPU: places in its table, what is installed there, limits and counts. On the vCPU's own thread. */
import type { CoreExports } from '../core/exports.ts';
import type { Compiled, Place } from './compiler.ts';
import { HELPERS } from './helpers.ts';
import { ThreadClock } from './thread-clock.ts';

/** The core's exports that the translator uses (assembly/cpu/jit/index.ts). */
export interface JitExports {
  readonly table: WebAssembly.Table;
  jit_set(cpu: number, mode: number, threshold: number, young: number): void;
  jit_install(cpu: number, block: number, index: number, entry: number, generation: number, flushes: number): number;
  jit_remove(cpu: number, block: number, index: number, flushes: number): void;
  jit_offsets(): void;
  jit_close(cpu: number): void;
  jit_threshold(cpu: number, threshold: number): void;
}

/** What translations of a vCPU may hold. Beyond it those that are used least go, until a quarter is free. */
export interface CacheLimits {
  readonly modules: number;
  readonly regions: number;
  readonly bytes: number;
}

/** A machine's limits; vCPUs share them. */
export const MACHINE_LIMITS: CacheLimits = { modules: 1500, regions: 4000, bytes: 16 << 20 };
/** What is left of a limit once translations were given back. */
const KEPT = 0.75;
/** Modules that are given back between two slices. */
const AT_ONCE = 16;
/** Samples that a new module is taken to have: those that made its blocks hot. */
const NEW_USE = 4;

export interface JitCounts {
  /** All that there have been. */
  modules: number;
  regions: number;
  bytes: number;
  /** Guest blocks and instructions in all regions. */
  blocks: number;
  insns: number;
  /** Compiled but gone when they were ready, or refused by V8. */
  dropped: number;
  /** Regions given back, since their blocks were dropped, their code has changed or they were used least. */
  givenBack: number;
  /** On the vCPU's own thread, milliseconds of its CPU time. */
  installMs: number;
  longestMs: number;
  /** V8 has no room any more. */
  stopped: boolean;
}

/** A module's functions that are installed. */
interface Held {
  readonly bytes: number;
  /** By index in the table: where each can be entered. */
  readonly functions: Map<number, readonly Place[]>;
  /** Samples that found it at work, halved each time that translations are given back. */
  use: number;
}

const TABLE_STEP = 256;

export class Cache {
  readonly #core: CoreExports & JitExports;
  readonly #cpu: number;
  readonly #limits: CacheLimits;
  readonly #imports: Record<string, Record<string, unknown>>;
  /** By index in the table: whose it is. */
  readonly #installed = new Map<number, Held>();
  readonly #modules = new Set<Held>();
  readonly #free: number[] = [];
  /** What is to be given back, the next one last. */
  #leaving: Held[] = [];
  readonly #clock = new ThreadClock();
  #bytes = 0;
  #flushes = 0;
  #spent = 0;
  readonly counts: JitCounts = { modules: 0, regions: 0, bytes: 0, blocks: 0, insns: 0, dropped: 0, givenBack: 0, installMs: 0, longestMs: 0, stopped: false };

  constructor(core: CoreExports, memory: WebAssembly.Memory, cpu: number, limits: CacheLimits) {
    this.#core = core as CoreExports & JitExports;
    this.#cpu = cpu;
    this.#limits = limits;
    const functions = core as unknown as Record<string, unknown>;
    this.#imports = { c: { memory, table: this.#core.table, ...Object.fromEntries(HELPERS.map(({ name }) => [name, functions[name]])) } };
  }

  install({ bytes, functions, places }: Compiled): void {
    if (this.counts.stopped) {
      this.counts.dropped += functions;
      return;
    }
    this.#clock.start();
    let instance: WebAssembly.Instance;
    try {
      instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    } catch (error) {
      // V8 has no room for it, or refuses it: these blocks stay interpreted
      this.counts.stopped = error instanceof RangeError;
      this.counts.dropped += functions;
      return;
    }
    const held: Held = { bytes: bytes.length, functions: new Map(), use: NEW_USE };
    this.counts.modules++;
    this.counts.bytes += bytes.length;
    this.#spent += bytes.length;
    for (let f = 0; f < functions; f++) this.#put(held, instance.exports[`f${f}`], places.filter(({ code }) => code === f));
    if (held.functions.size > 0) {
      this.#modules.add(held);
      this.#bytes += held.bytes;
    }
    if (this.#leaving.length === 0 && this.#isOver(1)) this.#beginGivingBack();
    const took = this.#clock.passed();
    this.counts.installMs += took;
    this.counts.longestMs = Math.max(this.counts.longestMs, took);
  }

  /** What there is now. */
  get held(): CacheLimits {
    return { modules: this.#modules.size, regions: this.#installed.size, bytes: this.#bytes };
  }

  /** Bytes that have to be earned: all that there have been since blocks were dropped last. */
  get spent(): number {
    return this.#spent;
  }

  /** Between two slices. `flushes`: how often all blocks were dropped so far. What was installed before the last time is never entered again. */
  dropped(flushes: number): void {
    if (flushes === this.#flushes) return;
    this.#flushes = flushes;
    this.#spent = 0;
    this.#leaving = [];
    for (const held of [...this.#modules]) for (const index of [...held.functions.keys()]) this.#remove(held, index);
  }

  /** Samples found these translations at work, by index in the table. */
  used(indices: Int32Array): void {
    for (const index of indices) {
      const held = this.#installed.get(index);
      if (held !== undefined) held.use++;
    }
  }

  /** What is held is more than `part` of a limit. */
  #isOver(part: number): boolean {
    const { modules, regions, bytes } = this.#limits;
    const { held } = this;
    return held.modules > modules * part || held.regions > regions * part || held.bytes > bytes * part;
  }

  /** One function, at those of its entries that are still what they were and have no translation yet. */
  #put(held: Held, code: unknown, places: readonly Place[]): void {
    const index = this.#slot();
    this.#core.table.set(index, code);
    const entered = places.filter(({ block, entry, generation, flushes }) => this.#core.jit_install(this.#cpu, block, index, entry, generation, flushes) !== 0);
    if (entered.length === 0) {
      this.#vacate(index);
      this.counts.dropped++;
      return;
    }
    this.#installed.set(index, held);
    held.functions.set(index, entered);
    this.counts.regions++;
    for (const { blocks, insns } of places) {
      this.counts.blocks += blocks;
      this.counts.insns += insns;
    }
  }

  /** A free index of the table. */
  #slot(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const { table } = this.#core;
    const first = table.length;
    table.grow(TABLE_STEP);
    for (let i = TABLE_STEP - 1; i > 0; i--) this.#free.push(first + i);
    return first;
  }

  /** V8 gives a module back when nobody holds any function of it. */
  #vacate(index: number): void {
    this.#core.table.set(index, null);
    this.#free.push(index);
  }

  /** From now on the least used go. Those whose code has changed are among them: nothing finds them at work. */
  #beginGivingBack(): void {
    this.#leaving = [...this.#modules].sort((a, b) => b.use / b.bytes - a.use / a.bytes);
    for (const held of this.#modules) held.use /= 2;
  }

  /** Between two slices: some of what is to go. */
  giveBack(): void {
    for (let n = 0; n < AT_ONCE && this.#leaving.length > 0; n++) {
      if (!this.#isOver(KEPT)) {
        this.#leaving = [];
        return;
      }
      const held = this.#leaving.pop() as Held;
      for (const [index, places] of held.functions) {
        for (const { block, flushes } of places) this.#core.jit_remove(this.#cpu, block, index, flushes);
        this.#remove(held, index);
      }
    }
  }

  #remove(held: Held, index: number): void {
    this.#vacate(index);
    this.#installed.delete(index);
    held.functions.delete(index);
    this.counts.givenBack++;
    if (held.functions.size > 0) return;
    this.#modules.delete(held);
    this.#bytes -= held.bytes;
  }
}

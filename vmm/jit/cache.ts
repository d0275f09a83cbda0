/** The translations of one vCPU: places in its table, what is installed there, limits and counts. On the vCPU's own thread. */
import type { CoreExports } from '../core/exports.ts';
import type { Compiled, Place } from './compiler.ts';
import { HELPERS } from './helpers.ts';

/** The core's exports that the translator uses (assembly/cpu/jit/index.ts). */
export interface JitExports {
  readonly table: WebAssembly.Table;
  jit_set(cpu: number, mode: number, threshold: number, young: number): void;
  jit_install(cpu: number, block: number, index: number, entry: number, generation: number, flushes: number): number;
  jit_flushes(cpu: number): number;
  jit_alive(cpu: number, block: number, flushes: number): number;
  jit_offsets(): void;
  jit_close(cpu: number): void;
  jit_threshold(cpu: number, threshold: number): void;
}

/**
 * What translations may cost a vCPU. V8 gives little of it back while a thread does not return to its event loop, so at a limit translating
 * stops; a module is two memory mappings on Node 20, of which a process may have 65,530.
 */
export interface CacheLimits {
  readonly modules: number;
  readonly regions: number;
  readonly bytes: number;
}

/** A machine's limits; vCPUs share them. */
export const MACHINE_LIMITS: CacheLimits = { modules: 2000, regions: 6000, bytes: 24 << 20 };

export interface JitCounts {
  modules: number;
  regions: number;
  bytes: number;
  /** Guest blocks and instructions in all regions. */
  blocks: number;
  insns: number;
  /** Compiled but gone when they were ready, or refused by V8. */
  dropped: number;
  /** On the vCPU's own thread, milliseconds. */
  installMs: number;
  longestMs: number;
  /** A limit is reached. */
  stopped: boolean;
}

const TABLE_STEP = 256;

export class Cache {
  readonly #core: CoreExports & JitExports;
  readonly #cpu: number;
  readonly #limits: CacheLimits;
  readonly #imports: Record<string, Record<string, unknown>>;
  /** By index in the table: what is installed there. */
  readonly #installed = new Map<number, readonly Place[]>();
  readonly #free: number[] = [];
  readonly counts: JitCounts = { modules: 0, regions: 0, bytes: 0, blocks: 0, insns: 0, dropped: 0, installMs: 0, longestMs: 0, stopped: false };

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
    const start = performance.now();
    let instance: WebAssembly.Instance;
    try {
      instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    } catch {
      // V8 has no room for it, or refuses it: these blocks stay interpreted
      this.counts.dropped += functions;
      return;
    }
    this.counts.modules++;
    this.counts.bytes += bytes.length;
    for (let f = 0; f < functions; f++) this.#put(instance.exports[`f${f}`], places.filter(({ code }) => code === f));
    const { modules, regions, bytes: held } = this.counts;
    if (modules >= this.#limits.modules || regions >= this.#limits.regions || held >= this.#limits.bytes) this.counts.stopped = true;
    const took = performance.now() - start;
    this.counts.installMs += took;
    this.counts.longestMs = Math.max(this.counts.longestMs, took);
  }

  /** One function, at those of its entries that are still what they were and have no translation yet. */
  #put(code: unknown, places: readonly Place[]): void {
    const index = this.#slot();
    this.#core.table.set(index, code);
    const entered = places.filter(({ block, entry, generation, flushes }) => this.#core.jit_install(this.#cpu, block, index, entry, generation, flushes) !== 0);
    if (entered.length === 0) {
      this.#free.push(index);
      this.counts.dropped++;
      return;
    }
    this.#installed.set(index, entered);
    this.counts.regions++;
    for (const { blocks, insns } of places) {
      this.counts.blocks += blocks;
      this.counts.insns += insns;
    }
  }

  /** A free index of the table: a dead translation's, or a new one. */
  #slot(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#sweep();
    const swept = this.#free.pop();
    if (swept !== undefined) return swept;
    const { table } = this.#core;
    const first = table.length;
    table.grow(TABLE_STEP);
    for (let i = TABLE_STEP - 1; i > 0; i--) this.#free.push(first + i);
    return first;
  }

  /** Takes back the places of translations whose code has changed or was dropped. */
  #sweep(): void {
    for (const [index, places] of this.#installed) {
      const alive = places.filter(({ block, flushes }) => this.#core.jit_alive(this.#cpu, block, flushes) !== 0);
      if (alive.length > 0) {
        this.#installed.set(index, alive);
        continue;
      }
      this.#installed.delete(index);
      this.#free.push(index);
    }
  }
}

/** One vCPU's side of the translator, on the vCPU's own thread: takes finished translations, asks for the thread that makes them. */
import { FIELD_ICOUNT } from '../../assembly/contract/vcpu.ts';
import { CPU_BASE, CPU_STRIDE } from '../../assembly/core/layout.ts';
import type { CoreExports } from '../core/exports.ts';
import { keptBlocks } from '../core/kept-blocks.ts';
import { JitBell } from './bell.ts';
import { Cache, type CacheLimits, type JitCounts, type JitExports, MACHINE_LIMITS } from './cache.ts';
import type { Compiled } from './compiler.ts';
import { HotList } from './hot-list.ts';
import { type Offsets, readOffsets } from './layout.ts';
import { Lockstep } from './lockstep.ts';
import { Mailbox } from './mailbox.ts';
import type { VcpuReport } from './report.ts';
import { thresholdOf } from './threshold.ts';

export type JitMode = 'off' | 'on' | 'check';

export interface JitConfig {
  readonly mode: JitMode;
  /** Samples that make a block hot, whatever translations cost and gain. */
  readonly threshold?: number | undefined;
  /** A counted run's report tells of translations too, though that differs from run to run. */
  readonly asked?: boolean | undefined;
  /** The guest's kernel is ours: the loop of its start over the page structs has 70 of a young vCPU's 100 samples, and never runs again. */
  readonly ownKernel?: boolean | undefined;
}

/** What is run but once, as most of a start, must not be translated: none of its blocks has as many samples as a young vCPU's need. */
const THRESHOLD_YOUNG = 100;
/** The threshold is looked at anew after so many slices. */
const LOOK_POLLS = 16;
/** So many eighths of a hot block's samples let the translator's thread begin. */
const NEAR = 4;
const NEAR_OF_OWN_KERNEL = 6;
const MODES: Readonly<Record<JitMode, number>> = { off: 0, on: 1, check: 2 };

/** Limits of one of `cpus` vCPUs. */
function limitsOf(cpus: number): CacheLimits {
  const { modules, regions, bytes } = MACHINE_LIMITS;
  return { modules: Math.floor(modules / cpus), regions: Math.floor(regions / cpus), bytes: Math.floor(bytes / cpus) };
}

/** Where a vCPU's hot blocks go, and where translations come from. */
export interface Maker {
  /** There will be hot blocks soon: what is slow to begin may begin. */
  prepare(): void;
  /** Hot blocks wait in the list. */
  wanted(hot: HotList): void;
  take(): Compiled | undefined;
}

/** The translator's thread, which `start` begins when it is wanted first, or soon will be: a thread takes some 60 ms to begin. */
export class ThreadMaker implements Maker {
  readonly #bell: JitBell;
  readonly #mail: Mailbox;
  readonly #start: () => void;
  #started = false;
  #told = 0;

  constructor(memory: WebAssembly.Memory, bell: SharedArrayBuffer, vcpu: number, cpus: number, start: () => void) {
    this.#bell = new JitBell(bell);
    this.#mail = new Mailbox(memory, vcpu, cpus);
    this.#mail.clear();
    this.#start = start;
  }

  prepare(): void {
    if (!this.#started) this.#start();
    this.#started = true;
  }

  wanted(hot: HotList): void {
    if (hot.put === this.#told) return;
    this.#told = hot.put;
    this.prepare();
    this.#bell.ring();
  }

  take(): Compiled | undefined {
    return this.#mail.take();
  }
}

export class VcpuJit {
  readonly #core: CoreExports & JitExports;
  readonly #cpu: number;
  readonly #hot: HotList;
  readonly #cache: Cache;
  readonly #maker: Maker;
  readonly #lockstep: Lockstep | undefined;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #offsets: Offsets;
  readonly #fixed: boolean;
  readonly #near: number;
  #polls = 0;

  constructor(core: CoreExports, memory: WebAssembly.Memory, vcpu: number, cpus: number, config: JitConfig, maker: Maker, limits = limitsOf(cpus)) {
    this.#core = core as CoreExports & JitExports;
    this.#cpu = CPU_BASE + vcpu * CPU_STRIDE;
    this.#maker = maker;
    if (config.mode === 'check') this.#lockstep = new Lockstep(memory);
    this.#hot = new HotList(memory, vcpu);
    this.#cache = new Cache(core, memory, this.#cpu, limits);
    this.#core.jit_offsets();
    this.#offsets = readOffsets(memory);
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#fixed = config.threshold !== undefined;
    this.#near = config.ownKernel === true ? NEAR_OF_OWN_KERNEL : NEAR;
    this.#core.jit_set(this.#cpu, MODES[config.mode], config.threshold ?? thresholdOf(0, 0), config.threshold ?? THRESHOLD_YOUNG);
  }

  /** With `check`: what differed. */
  get difference(): string | undefined {
    return this.#lockstep?.difference;
  }

  get counts(): JitCounts {
    return this.#cache.counts;
  }

  /** Translations that there are now; for tests. */
  get held(): CacheLimits {
    return this.#cache.held;
  }

  /** At the end: what came of it. */
  report(): VcpuReport {
    const checked = this.#lockstep === undefined ? undefined : { compared: this.#lockstep.compared, skipped: this.#lockstep.skipped };
    return { counts: this.#cache.counts, insns: this.#insns, total: Number(this.#view.getBigUint64(this.#cpu + this.#core.cpu_field(FIELD_ICOUNT), true)), checked, kept: this.#cpu === CPU_BASE ? keptBlocks(this.#memory) : 0 };
  }

  /** Instructions that ran translated. */
  get #insns(): number {
    return Number(this.#view.getBigUint64(this.#cpu + this.#offsets.jitInsns, true));
  }

  /** Between two slices. */
  poll(): void {
    this.#cache.dropped(this.#view.getUint32(this.#cpu + this.#offsets.flushes, true));
    if (this.#hot.near >= this.#near) this.#maker.prepare();
    if (this.#hot.length !== 0) this.#maker.wanted(this.#hot);
    if (!this.#fixed && this.#polls++ % LOOK_POLLS === 0) this.#core.jit_threshold(this.#cpu, thresholdOf(this.#cache.spent, this.#insns));
    this.#cache.used(this.#hot.takeUsed());
    this.#cache.giveBack();
    const compiled = this.#maker.take();
    if (compiled === undefined) return;
    this.#cache.install(compiled);
    if (this.#cache.counts.stopped) this.#core.jit_close(this.#cpu);
  }
}

/** The translator without its thread: a vCPU's hot blocks are translated where the vCPU runs. */
import { CPU_BASE, CPU_STRIDE, JIT_CHECK_BASE } from '../../../assembly/core/layout.ts';
import type { CoreExports } from '../../../vmm/core/exports.ts';
import { type CacheLimits, type JitCounts, MACHINE_LIMITS } from '../../../vmm/jit/cache.ts';
import { Compiler, type Emitted } from '../../../vmm/jit/compiler.ts';
import { VcpuJit } from '../../../vmm/jit/driver.ts';
import { readOffsets } from '../../../vmm/jit/layout.ts';

export class InlineJit {
  readonly #jit: VcpuJit;
  readonly #view: DataView;
  readonly #insnsAt: number;

  /** `threshold` 0: each block is translated as soon as it is found. */
  constructor(core: CoreExports, memory: WebAssembly.Memory, vcpu: number, mode: 'on' | 'check', threshold = 0, limits = MACHINE_LIMITS) {
    let compiler: Compiler | undefined;
    const ready: Emitted[] = [];
    this.#jit = new VcpuJit(core, memory, vcpu, 1, { mode, threshold }, {
      prepare: () => {},
      wanted: (hot) => {
        compiler ??= new Compiler(memory);
        ready.push(...compiler.compile(vcpu, hot.take(50)));
      },
      take: () => ready.shift(),
    }, limits);
    this.#view = new DataView(memory.buffer);
    this.#insnsAt = CPU_BASE + vcpu * CPU_STRIDE + readOffsets(memory).jitInsns;
  }

  get counts(): JitCounts {
    return this.#jit.counts;
  }

  get held(): CacheLimits {
    return this.#jit.held;
  }

  /** Instructions that ran translated. */
  get insns(): bigint {
    return this.#view.getBigUint64(this.#insnsAt, true);
  }

  /** Runs that lockstep compared. */
  get compared(): number {
    return this.#view.getUint32(JIT_CHECK_BASE, true);
  }

  /** Between two calls of cpu_run; a difference is an error. */
  poll(): void {
    this.#jit.poll();
    if (this.#jit.difference !== undefined) throw new Error(this.#jit.difference);
  }
}

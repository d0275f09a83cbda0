import type { CoreExports } from '../core/exports.ts';
import { ThreadMaker, VcpuJit } from '../jit/driver.ts';
import { JitThread } from './jit-thread.ts';
import type { AcceleratorContext } from './types.ts';

/**
 * The translator of a counted run, whose vCPUs share a thread and an instance of the core, and so its table. When a translation is there depends on
 * the host; what the guest does must not: budgets are exact, and whatever reads the clock or sets something off leaves a translation first.
 */
export class CountedJit {
  readonly #thread: JitThread;
  readonly #vcpus: readonly VcpuJit[];

  /** The vCPUs have been reset. */
  constructor({ memory, cpus, jit = { mode: 'on' } }: AcceleratorContext, core: CoreExports) {
    this.#thread = new JitThread(memory, cpus);
    const { bell } = this.#thread;
    this.#vcpus = Array.from({ length: cpus }, (_, vcpu) => new VcpuJit(core, memory, vcpu, cpus, jit, new ThreadMaker(memory, bell.buffer, vcpu, cpus, () => this.#thread.start())));
  }

  /** Between two slices of `vcpu`; tells what `--jit check` found. */
  poll(vcpu: number): string | undefined {
    const jit = this.#vcpus[vcpu] as VcpuJit;
    jit.poll();
    return jit.difference;
  }

  async end(): Promise<void> {
    for (const jit of this.#vcpus) this.#thread.told(jit.report());
    await this.#thread.end();
  }

  text(): string {
    return this.#thread.text();
  }
}

import { JitBell } from '../jit/bell.ts';
import { reportText, type VcpuReport } from '../jit/report.ts';
import { threads } from '../threads/pool.ts';

/** The translator's thread of a machine, begun when a vCPU wants it, and what is known of its work. On the main thread. */
export class JitThread {
  readonly bell = new JitBell();
  readonly #memory: WebAssembly.Memory;
  readonly #cpus: number;
  readonly #reports: VcpuReport[] = [];
  #over: Promise<void> | undefined;

  constructor(memory: WebAssembly.Memory, cpus: number) {
    this.#memory = memory;
    this.#cpus = cpus;
  }

  start(): void {
    if (this.bell.over) return;
    // A translator that fails leaves the vCPUs to the interpreter.
    this.#over ??= threads.run({ kind: 'translate', ffi: false, data: { memory: this.#memory, cpus: this.#cpus, bell: this.bell.buffer } }, () => {}, () => this.bell.add('refused', 1));
  }

  /** The guest rests. */
  rest(): void {
    this.bell.rest();
  }

  /** A vCPU has ended. */
  told(report: VcpuReport): void {
    this.#reports.push(report);
  }

  /** After `end`. */
  text(): string {
    return reportText(this.#reports, this.bell);
  }

  async end(): Promise<void> {
    this.bell.end();
    await this.#over;
  }
}

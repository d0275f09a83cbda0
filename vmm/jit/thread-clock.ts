/** The kernel counts a running thread's CPU time up at its ticks, 250 a second on Debian. */
const TICK_MS = 4;

/** CPU time of the calling thread, milliseconds; undefined where there is no Node to tell it, as in a browser. */
function cpuMs(): number | undefined {
  const usage = (globalThis as { readonly process?: NodeJS.Process }).process?.threadCpuUsage?.();
  return usage === undefined ? undefined : (usage.user + usage.system) / 1000;
}

/**
 * How long the calling thread is kept from its work, whatever else the machine does: the real time, but no more than the thread's CPU time
 * can have been, for on a loaded machine most of the real time is other processes'.
 */
export class ThreadClock {
  #real = 0;
  #cpu: number | undefined;

  start(): void {
    this.#cpu = cpuMs();
    this.#real = performance.now();
  }

  /** Milliseconds since `start`. */
  passed(): number {
    const real = performance.now() - this.#real;
    // What is short is told by the real time alone; most installations are, and a call of the kernel is saved
    if (this.#cpu === undefined || real <= TICK_MS) return real;
    return Math.min(real, (cpuMs() ?? Infinity) - this.#cpu + TICK_MS);
  }
}

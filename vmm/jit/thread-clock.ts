/** CPU time of the calling thread: how long it was kept from its work, whatever else the machine does. Real time where Node cannot tell (before 23.9). */
export class ThreadClock {
  readonly #usage = (process as { threadCpuUsage?: () => { readonly user: number; readonly system: number } }).threadCpuUsage?.bind(process);

  /** Milliseconds since some time. */
  ms(): number {
    if (this.#usage === undefined) return performance.now();
    const { user, system } = this.#usage();
    return (user + system) / 1000;
  }
}

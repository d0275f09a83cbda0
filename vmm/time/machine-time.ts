import { type Clocks, hostClocks } from './clocks.ts';
import type { Counts } from './position.ts';

/**
 * A machine's time, and whatever has to come from it where runs shall repeat themselves. There are two: the host's
 * (`realTime`), and a counted run's (CountedRun). Which one is decided where the machine is made; the rest asks for what it needs.
 */
export interface MachineTime extends Clocks {
  /** Where the run is, in a run that is counted. */
  readonly counts: (() => Counts) | undefined;
  /** The host's threads may work for the guest side by side. */
  readonly parallel: boolean;
  /** What memory reads as that the guest gave up may depend on the host. */
  readonly discards: boolean;
  /** Milliseconds to wait for what takes the guest `ms` of its time. */
  settle(ms: number): number;
  /** The guest has made the host do `work`. Resolves when the guest may do more of the kind. */
  taken(work: Promise<void>): Promise<void>;
  /** Input that comes from outside at any time is welcome. Throws ICOUNT_INPUT where all input has a place in the run. */
  admit(): void;
  /** What recorded input of one kind does to the guest. */
  onInput(kind: string, handler: (data: Uint8Array) => unknown): void;
}

export function realTime(): MachineTime {
  return { ...hostClocks(), counts: undefined, parallel: true, discards: true, settle: (ms) => ms, taken: (work) => work, admit() {}, onInput() {} };
}

/** A place in a counted run: instructions retired by all vCPUs, and virtual nanoseconds. */
export interface Position {
  readonly count: bigint;
  readonly ns: bigint;
}

/** Where a counted run is. */
export interface Counts extends Position {
  /** REP iterations beyond each instruction's first; they are not in `count` and take no virtual time. */
  readonly repetitions: bigint;
  /** Running hash of registers, counts and whose turn it was, at each turn's end. */
  readonly hash: bigint;
}

/** Something that comes into a counted run from outside. */
export interface InputEvent {
  readonly kind: string;
  readonly data: Uint8Array;
  /** Called with what the handler gave back. */
  given(result: unknown): void;
}

/** Where a counted run's input comes from. */
export interface InputSource {
  /** More may come from outside at any time: an idle guest then waits in real time. */
  readonly live: boolean;
  /** Where the next known event lies. */
  readonly next: Position | undefined;
  /** The events for `at`; `fresh`: the run was not at this place before. Throws REPLAY_DIVERGED. */
  take(at: Position, fresh: boolean): readonly InputEvent[];
  /** Resolves when there is something to take that `next` did not tell. */
  arrived(): Promise<void>;
}

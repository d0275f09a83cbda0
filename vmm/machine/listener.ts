/** What a running machine tells its user. All are called on the main thread. */
export interface MachineListener {
  /** Bytes of the guest's console; the guest is held up while many promises are open. */
  console?(bytes: Uint8Array): Promise<void>;
  /** A note for the user, one line without its end. `about`: what it is of, where that may matter. */
  note?(text: string, about?: 'accelerator'): void;
  /** The trace file cannot be written any more, because of `code` (ENOSPC …); the run goes on. */
  traceLost?(code: string): void;
}

/** Of a console, in characters. */
export interface ConsoleSize {
  readonly columns: number;
  readonly rows: number;
}

import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmmError } from '../api/errors.ts';
import { oneLine } from './describe.ts';
import { onSignals } from './input.ts';
import { type OutputConsumer, outputLost, outputTo, tell } from './output.ts';
import type { Duration } from './sizes.ts';
import { STATUS_TIMEOUT } from './status.ts';
import { closeStandardInput } from './stdin.ts';
import type { RawTerminal } from './terminal.ts';

/** How long a terminal may take to answer the last query of a replayed run, ms. */
const ANSWER_MS = 100;
// What a query begins with, or is (ECMA-48: ESC; ESC [ in one byte; enquiry).
const ESC = 0x1b;
const CSI = 0x9b;
const ENQ = 0x05;

/** What ended a run from outside. */
type Ending =
  | { readonly kind: 'timeout'; readonly after: Duration }
  | { readonly kind: 'signal'; readonly number: number }
  /** Our output cannot be written any more: its errno's name. */
  | { readonly kind: 'output'; readonly code: string }
  | { readonly kind: 'quit' }
  | { readonly kind: 'refused'; readonly error: VmmError };

export interface SessionOptions {
  /** What runs, for messages: `the container`. */
  readonly what: string;
  readonly timeout: Duration | undefined;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly terminal: RawTerminal | undefined;
}

/**
 * What `vmm run` and `vmm boot` have around their guest: notes, standard output and error, the terminal, the time-out, and
 * the ways in which a run is ended from outside. The first of them counts.
 */
export class Session {
  readonly terminal: RawTerminal | undefined;
  readonly stdout: OutputConsumer;
  readonly stderr: OutputConsumer;
  readonly #options: SessionOptions;
  readonly #stop = new AbortController();
  #ending: Ending | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #acceleratorTold = false;
  /** The terminal may be about to answer something. */
  #asked = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.terminal = options.terminal;
    this.stdout = outputTo('stdout');
    this.stderr = outputTo('stderr');
    // Nobody can see the output any more, and there is no daemon to keep the guest for: the run ends as a pipeline's other
    // commands do.
    this.stdout.onBroken((code) => this.#end({ kind: 'output', code }));
  }

  /** Aborted when the run is to end. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The run has come to its end, or was told to. */
  get over(): boolean {
    return this.#over || this.#ending !== undefined;
  }

  /** One line for the user, shown as a line whatever is in it. */
  readonly note = (text: string, about?: 'accelerator'): void => {
    if (this.#options.quiet || (about === 'accelerator' && this.#acceleratorTold)) return;
    this.#acceleratorTold ||= about === 'accelerator';
    if (about === 'accelerator' && !this.#options.verbose) void import('./notes.ts').then(({ firstToday }) => firstToday('software-cpu') && this.#say(text));
    else this.#say(text);
  };

  /** A line for who has asked for all of them (-v). */
  readonly detail = (text: string): void => {
    if (this.#options.verbose) this.note(text);
  };

  #say(text: string): void {
    tell(`vmm: ${oneLine(text)}${this.terminal?.raw ? '\r' : ''}\n`);
  }

  /** The guest runs, and we have nothing to do. */
  readonly entered = (): void => {
    setImmediate(() => {
      this.stdout.open();
      this.stderr.open();
    });
  };

  endBySignal(number: number): void {
    this.#end({ kind: 'signal', number });
  }

  /** The user wants no more of it: status 0. */
  quit(): void {
    this.#end({ kind: 'quit' });
  }

  /** Ends the run with an error. */
  refuse(error: VmmError): void {
    this.#end({ kind: 'refused', error });
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#stop.abort();
  }

  onSignals(names: readonly NodeJS.Signals[], handler: (name: NodeJS.Signals, number: number) => void): void {
    onSignals(names, (name, number) => {
      if (!this.#over) handler(name, number);
    });
  }

  /** For a run whose terminal is mute: looks whether output asks the terminal for an answer. */
  watchQueries(bytes: Uint8Array): void {
    this.#asked ||= bytes.includes(ESC) || bytes.includes(ENQ) || bytes.includes(CSI);
  }

  /** Runs the guest, with the clock running, and leaves terminal and standard input as they were. */
  async around<T>(run: () => Promise<T>): Promise<T> {
    const after = this.#options.timeout;
    if (after !== undefined) this.#timer = setTimeout(() => this.#end({ kind: 'timeout', after }), after.ms);
    try {
      return await run();
    } finally {
      this.#over = true;
      clearTimeout(this.#timer);
      if (this.#asked) await sleep(ANSWER_MS);
      this.terminal?.restore();
      closeStandardInput();
    }
  }

  /**
   * The exit status of a run that was ended from outside, with what is to be said about it; undefined: the guest's own end
   * counts. `stopped`: it did not come to one. Throws what `refuse` was given, and OUTPUT_WRITE.
   */
  status(stopped: boolean): number | undefined {
    const ending = this.#ending;
    switch (ending?.kind) {
      case undefined:
        return undefined;
      case 'quit':
        return stopped ? 0 : undefined;
      case 'refused':
        throw ending.error;
      case 'timeout':
        tell(`vmm: ended after ${ending.after.text}, as --timeout says\n`);
        return STATUS_TIMEOUT;
      case 'output':
        if (ending.code !== 'EPIPE') throw outputLost(ending.code, this.#options.what);
        return stopped ? 128 + constants.signals.SIGPIPE : undefined;
      case 'signal':
        return stopped ? 128 + ending.number : undefined;
    }
  }
}

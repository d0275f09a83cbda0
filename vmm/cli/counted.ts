import { createHash } from 'node:crypto';
import { createReadStream, fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import { COUNT_SHIFT_MAX, type CountedConfig, type CountedRun, type InputKind, InputRecorder, InputReplay, RTC_MAX, type RunIdentity, SeededStream, sizeData } from '../api/counted.ts';
import { VmmError } from '../api/errors.ts';
import type { AccelName } from '../api/machine.ts';
import { group, longName, optional, type OptionValues, value } from './options.ts';
import type { Size } from './terminal.ts';

const U64_MAX = (1n << 64n) - 1n;
const COUNT_MAX = (1n << 62n) - 1n;

/** Options of `vmm boot` and `vmm run` for runs that repeat. */
export const COUNTED_OPTIONS = group('Runs that repeat', {
  icount: optional('N', 'virtual time from retired instructions, 2^N ns each (default 0): the same inputs give the same run', parseShift),
  seed: value('NUMBER', 'with --icount: what all random numbers come from (default 0)', (text, option) => parseWhole(text, option, U64_MAX)),
  rtc: value('TIME', 'with --icount: wall clock at the start, seconds since 1970 or YYYY-MM-DDThh:mm:ssZ (default 0)', parseRtc),
  record: value('FILE', 'with --icount: take input, and write it with its place in the run to a file'),
  replay: value('FILE', 'with --icount: give recorded input back at its places'),
});
export const STOP_AT_OPTION = group('Runs that repeat', {
  stopAt: value('COUNT', 'with --icount: end before this instruction, counted from 0, with a dump (status 135)', (text, option) => parseWhole(text, option, COUNT_MAX)),
});

/** A counted run as its options describe it. */
export interface CountedOptions {
  readonly shift: number;
  readonly seed: bigint;
  readonly rtc: number;
  readonly stopAt: bigint | undefined;
  readonly record: string | undefined;
  readonly replay: string | undefined;
}

/** What has a meaning only with --icount. */
type Given = OptionValues<typeof COUNTED_OPTIONS> & Partial<OptionValues<typeof STOP_AT_OPTION>> & { readonly accel: AccelName | undefined; readonly trace?: readonly string[] };

/** Undefined without --icount. Throws USAGE. */
export function countedOptions(given: Given): CountedOptions | undefined {
  const { icount, seed, rtc, record, replay, stopAt } = given;
  if (icount === undefined) {
    for (const [key, set] of Object.entries({ seed, rtc, record, replay, stopAt })) if (set !== undefined) throw new VmmError('USAGE', `--${longName(key)} needs --icount`, { hint: 'add --icount' });
    if ((given.trace ?? []).join(',').split(',').includes('exec')) throw new VmmError('USAGE', '--trace exec needs --icount', { hint: 'add --icount' });
    return undefined;
  }
  if (given.accel === 'kvm') throw new VmmError('USAGE', '--icount needs the software CPU: KVM does not count instructions', { hint: 'leave --accel kvm away' });
  if (record !== undefined && replay !== undefined) throw new VmmError('USAGE', '--record and --replay exclude each other', { hint: 'give one of them' });
  return { shift: icount, seed: seed ?? 0n, rtc: rtc ?? 0, stopAt, record, replay };
}

/** `--icount`, `--icount=N`. */
function parseShift(text: string): number {
  if (text !== '' && (!/^\d{1,2}$/.test(text) || Number(text) > COUNT_SHIFT_MAX)) {
    throw new VmmError('USAGE', `--icount: ${text} is not a number from 0 to ${COUNT_SHIFT_MAX}`, { hint: 'an instruction takes 2^N virtual nanoseconds: --icount=0 is 10^9 a second' });
  }
  return Number(text);
}

/** A whole number, decimal or with 0x. */
function parseWhole(text: string, option: string, most: bigint): bigint {
  if (/^(\d{1,20}|0x[0-9a-fA-F]{1,16})$/.test(text)) {
    const n = BigInt(text);
    if (n <= most) return n;
  }
  throw new VmmError('USAGE', `${option}: ${text} is not a whole number from 0 to ${most}`, { hint: `for example ${option} 42` });
}

/** Seconds since 1970, from such a number or from UTC. */
function parseRtc(text: string): number {
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : secondsOf(text);
  if (!(seconds >= 0 && seconds <= RTC_MAX)) throw new VmmError('USAGE', `--rtc: ${text} is not a time from 1970 to 2106`, { hint: 'for example 2026-01-31T12:00:00Z, or seconds since 1970' });
  return seconds;
}

/** NaN for what is no time, 31 February too, which Date.parse takes for 2 or 3 March. */
function secondsOf(text: string): number {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return Number.NaN;
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text.replace('Z', '.000Z') ? ms / 1000 : Number.NaN;
}

/** The host's side of a counted run: its input, recorded or replayed, and names that would be random else. */
export class CountedSession {
  readonly options: CountedOptions;
  readonly #names: SeededStream;
  #recorder: InputRecorder | undefined;
  #replay: InputReplay | undefined;

  constructor(options: CountedOptions) {
    this.options = options;
    this.#names = new SeededStream(options.seed, 'names');
    if (options.replay !== undefined) this.#replay = new InputReplay(options.replay);
  }

  get recorder(): InputRecorder | undefined {
    return this.#recorder;
  }

  /** Twelve hex digits, as container/options.ts gives at random. */
  readonly id = (): string => this.#names.bytes(6).toString('hex');

  /** The size that the terminal had when the replayed run was recorded. */
  recordedSize(): Size | undefined {
    const match = /^(\d{1,5})x(\d{1,5})$/.exec(String(this.#replay?.identity['terminal'] ?? ''));
    return match === null ? undefined : { columns: Number(match[1]) & 0xffff, rows: Number(match[2]) & 0xffff };
  }

  get replaying(): boolean {
    return this.#replay !== undefined;
  }

  /** No input at all: neither recorded nor given back. */
  get takesNothing(): boolean {
    return !this.recording && !this.replaying;
  }

  get recording(): boolean {
    return this.options.record !== undefined;
  }

  /** Opens the record or compares it; `identity` is what the run is made of beside the options here. */
  async config(identity: () => Promise<RunIdentity>, note: (text: string) => void): Promise<CountedConfig> {
    const { shift, seed, rtc, record, replay } = this.options;
    let { stopAt } = this.options;
    const cut = this.#replay?.cut?.count;
    if (cut !== undefined && (stopAt === undefined || cut < stopAt)) stopAt = cut;
    if (record !== undefined || this.#replay !== undefined) {
      const whole = { icount: shift, seed: seed.toString(), rtc, ...(await identity()) };
      this.#replay?.compare(whole);
      if (this.#replay?.whole === false) note(`${replay} has no end, vmm was killed: after its last input the run goes on without any`);
      if (record !== undefined) this.#recorder = new InputRecorder(record, whole);
    }
    return { shift, seed, rtc, stopAt, input: this.#recorder ?? this.#replay };
  }

  /** The run is over; `whole`: it came to its own end, and no debugger held vCPUs back. Throws REPLAY_DIVERGED. */
  finish(run: CountedRun | undefined, whole: boolean): void {
    const counts = run?.counts();
    this.#recorder?.finish(counts, whole);
    this.#recorder = undefined;
    if (counts !== undefined && whole) this.#replay?.finish(counts);
  }

  /** The run ended with an error, which the caller tells: whether the record can be ended, too, must not hide it. */
  abandon(run: CountedRun | undefined): void {
    try {
      this.finish(run, false);
    } catch {
      // the run's own error is the first
    }
  }

  /** A terminal's size as data of a record. */
  sizeData({ columns, rows }: Size): Uint8Array {
    return sizeData(columns, rows);
  }

  /** Input for the guest while recording; undefined when the run takes none. */
  input(): ((kind: InputKind, data: Uint8Array) => Promise<unknown>) | undefined {
    const recorder = this.#recorder;
    return recorder === undefined ? undefined : (kind, data) => recorder.submit(kind, data);
  }
}

/** Standard input that would reach the guest's console although nothing records it: refused at once, or watched. */
export function refuseConsoleInput(): 'nothing' | 'watch' {
  if (isatty(0)) throw inputRefused('standard input is a terminal');
  try {
    const stat = fstatSync(0);
    if (stat.isFile()) {
      if (stat.size > 0) throw inputRefused('standard input is a file with something in it');
      return 'nothing';
    }
    return stat.isFIFO() || stat.isSocket() ? 'watch' : 'nothing';
  } catch (error) {
    if (error instanceof VmmError) throw error;
    return 'nothing'; // closed
  }
}

export function inputRefused(why: string): VmmError {
  return new VmmError('ICOUNT_INPUT', `--icount takes no interactive input: ${why}`, { hint: 'record it with --record FILE, or redirect standard input from /dev/null' });
}

export function textDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** SHA-256 of a file, for a record's configuration; "" when it cannot be read, which whoever opens it will tell. */
export async function fileDigest(path: string | undefined): Promise<string> {
  if (path === undefined) return '';
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch {
    return '';
  }
  return hash.digest('hex');
}

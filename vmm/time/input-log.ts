import { closeSync, constants, fchmodSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { writeWhole } from '../host/write-whole.ts';
import type { Counts, InputEvent, InputSource, Position } from './position.ts';

/**
 * The file of `--record` and `--replay`: what came from outside into a counted run, and when. Text, one line each
 * (docs/deterministic-runs.md): `vmm-record 1`, `config {…}`, `input COUNT NS KIND BASE64` …, then `end COUNT NS REPS HASH`, or
 * `cut COUNT NS` for a run that was broken off; neither when vmm itself was killed.
 */
const RECORD_VERSION = 1;

/** Longest file that is read, and most bytes of an event. */
const FILE_MAX = 1 << 28;
const DATA_MAX = 1 << 20;
const CONFIG_MAX = 1 << 16;
const WRITE_HINTS: Readonly<Record<string, string>> = { ENOSPC: 'the disk is full', EAGAIN: 'whoever reads it takes nothing', EPIPE: 'whoever read it is gone' };
const NUMBER_MAX = (1n << 63n) - 1n;

/** A SHA-256 in hex: of a file or of many settings, it says nothing to a reader. */
const DIGEST = /^[0-9a-f]{64}$/;

/** Settings that decide about a run, by the name of their option. */
export type RunIdentity = Readonly<Record<string, string | number>>;

/** Kinds of input: bytes of the console or of a process's standard input and its end, a terminal's size, a signal. */
export const INPUT_KINDS = ['console', 'resize', 'stdin', 'stdin-end', 'signal'] as const;
export type InputKind = (typeof INPUT_KINDS)[number];

interface Waiting extends InputEvent {
  readonly kind: InputKind;
}

/** Takes input from outside, gives it to the guest at the next place that a replay will find again, and writes it down. */
export class InputRecorder implements InputSource {
  readonly next = undefined;
  readonly #path: string;
  readonly #fd: number;
  readonly #waiting: Waiting[] = [];
  #wake: () => void = () => {};
  #sources = 0;
  /** A write has failed, perhaps in mid-line: nothing may follow. */
  #broken = false;

  constructor(path: string, identity: RunIdentity) {
    this.#path = path;
    try {
      this.#fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK, 0o600);
      // An older file keeps its mode at O_CREAT, and what is typed may be secret.
      if (fstatSync(this.#fd).isFile()) fchmodSync(this.#fd, 0o600);
    } catch (cause) {
      throw new VmmError('RECORD_OPEN', `cannot write the record to ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check --record' });
    }
    this.#write(`vmm-record ${RECORD_VERSION}\nconfig ${JSON.stringify(identity)}\n`);
  }

  get live(): boolean {
    return this.#sources > 0;
  }

  /** A source of input is open (1) or has ended (-1). */
  sources(change: 1 | -1): void {
    this.#sources += change;
    this.#wake();
  }

  /** Resolves with what the guest's side made of it. */
  async submit(kind: InputKind, data: Uint8Array): Promise<unknown> {
    let last: unknown;
    for (let at = 0; at === 0 || at < data.length; at += DATA_MAX) {
      last = await new Promise((resolve) => {
        this.#waiting.push({ kind, data: new Uint8Array(data.subarray(at, at + DATA_MAX)), given: resolve });
        this.#wake();
      });
    }
    return last;
  }

  take(at: Position, fresh: boolean): readonly InputEvent[] {
    if (!fresh) return [];
    const events = this.#waiting.splice(0);
    for (const { kind, data } of events) this.#write(`input ${at.count} ${at.ns} ${kind} ${Buffer.from(data).toString('base64')}\n`);
    return events;
  }

  arrived(): Promise<void> {
    if (this.#waiting.length > 0) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  /** The run is over at `counts`; `whole`: by its own end, else it was broken off there. */
  finish(counts: Counts | undefined, whole: boolean): void {
    if (counts !== undefined && !this.#broken) this.#write(whole ? `end ${counts.count} ${counts.ns} ${counts.repetitions} ${counts.hash.toString(16)}\n` : `cut ${counts.count} ${counts.ns}\n`);
    closeSync(this.#fd);
  }

  #write(line: string): void {
    try {
      writeWhole(this.#fd, line);
    } catch (cause) {
      this.#broken = true;
      const code = (cause as NodeJS.ErrnoException).code ?? 'error';
      throw new VmmError('RECORD_WRITE', `cannot write the record to ${this.#path}: ${code}`, { cause, hint: WRITE_HINTS[code] ?? 'give --record another place' });
    }
  }
}

interface Recorded extends Position {
  readonly kind: InputKind;
  readonly data: Uint8Array;
}

/** Gives recorded input back at its places. */
export class InputReplay implements InputSource {
  readonly live = false;
  readonly identity: RunIdentity;
  /** Where the recorded run was broken off. */
  readonly cut: Position | undefined;
  /** The file says how the run ended, or where it was broken off. */
  readonly whole: boolean;
  readonly #path: string;
  readonly #events: readonly Recorded[];
  readonly #end: Counts | undefined;
  #at = 0;

  /** Reads and checks the whole file. Throws REPLAY_OPEN and REPLAY_BAD. */
  constructor(path: string) {
    this.#path = path;
    const { identity, events, end, cut } = parseRecord(readRecord(path), path);
    this.identity = identity;
    this.cut = cut;
    this.whole = end !== undefined || cut !== undefined;
    this.#events = events;
    this.#end = end;
  }

  /** Throws REPLAY_OTHER when this run is made of other things than the recorded one. */
  compare(identity: RunIdentity): void {
    for (const name of new Set([...Object.keys(identity), ...Object.keys(this.identity)])) {
      if (identity[name] === this.identity[name]) continue;
      const [then, now] = [this.identity[name], identity[name]];
      const values = [then, now].some((value) => DIGEST.test(String(value))) ? '' : `: ${shown(then)}, now ${shown(now)}`;
      throw new VmmError('REPLAY_OTHER', `${this.#path} was recorded with another ${name}${values}`, { hint: 'give the same options, files and image as with --record' });
    }
  }

  get next(): Position | undefined {
    return this.#events[this.#at];
  }

  take(at: Position): readonly InputEvent[] {
    if (this.#end !== undefined && at.count > this.#end.count) throw this.#diverged(`end at instruction ${this.#end.count}`, at.count);
    const found: InputEvent[] = [];
    for (let event = this.#events[this.#at]; event !== undefined && event.ns <= at.ns; event = this.#events[this.#at]) {
      if (event.ns !== at.ns || event.count !== at.count) throw this.#diverged(`input of instruction ${event.count}`, at.count);
      this.#at += 1;
      found.push({ kind: event.kind, data: event.data, given: (result) => void Promise.resolve(result).catch(() => {}) });
    }
    return found;
  }

  arrived(): Promise<void> {
    return new Promise(() => {});
  }

  /** Throws REPLAY_DIVERGED when the run did not end as the recorded one did. */
  finish(counts: Counts): void {
    const left = this.#events[this.#at];
    if (left !== undefined) throw this.#diverged(`input of instruction ${left.count}`, counts.count);
    const end = this.#end;
    if (end === undefined) return;
    if (end.count !== counts.count || end.ns !== counts.ns || end.repetitions !== counts.repetitions || end.hash !== counts.hash) throw this.#diverged(`end at instruction ${end.count}`, counts.count);
  }

  #diverged(what: string, count: bigint): VmmError {
    return new VmmError('REPLAY_DIVERGED', `this run is not the one of ${this.#path}: at instruction ${count} it differs from what is recorded, ${what}`, { hint: 'same version of vmm, same files, same options?' });
  }
}

function shown(value: string | number | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

function readRecord(path: string): string {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a FIFO in its place holds nobody
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new VmmError('REPLAY_OPEN', `${path} is not a regular file`, { hint: 'name a file that --record wrote' });
      if (stat.size > FILE_MAX) throw new VmmError('REPLAY_BAD', `${path}: ${stat.size} bytes, at most ${FILE_MAX} are read`, { hint: 'name a file that --record wrote' });
      return readFileSync(fd, 'latin1');
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('REPLAY_OPEN', `cannot read the record ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check --replay' });
  }
}

/** Checks each line of a record. Throws REPLAY_BAD with the line's number. */
export function parseRecord(text: string, path: string): { identity: RunIdentity; events: readonly Recorded[]; end: Counts | undefined; cut: Position | undefined } {
  const lines = text.split('\n');
  const bad = (line: number, what: string): VmmError => new VmmError('REPLAY_BAD', `${path}: line ${line + 1}: ${what}`, { hint: 'name a file that --record wrote, unchanged' });
  const version = /^vmm-record (\d{1,9})$/.exec(lines[0] ?? '');
  if (version === null) throw bad(0, 'not a record of vmm');
  if (Number(version[1]) !== RECORD_VERSION) throw bad(0, `version ${version[1]}, this vmm reads version ${RECORD_VERSION}`);
  const identity = parseIdentity(lines[1] ?? '', (what) => bad(1, what));
  if (lines.pop() !== '') throw bad(lines.length, 'the last line is cut off');
  const events: Recorded[] = [];
  let end: Counts | undefined;
  let cut: Position | undefined;
  let previous: Position = { count: 0n, ns: 0n };
  for (let i = 2; i < lines.length; i++) {
    const fields = (lines[i] as string).split(' ');
    const number = (field: string | undefined): bigint => {
      if (field === undefined || !/^\d{1,19}$/.test(field) || BigInt(field) > NUMBER_MAX) throw bad(i, `${JSON.stringify((field ?? '').slice(0, 40))} is not a count`);
      return BigInt(field);
    };
    if (end !== undefined || cut !== undefined) throw bad(i, 'something follows the end');
    const position = { count: number(fields[1]), ns: number(fields[2]) };
    if (position.count < previous.count || position.ns < previous.ns) throw bad(i, 'lies before the line above');
    previous = position;
    if (fields[0] === 'input' && fields.length === 5) {
      const kind = INPUT_KINDS.find((known) => known === fields[3]);
      if (kind === undefined) throw bad(i, `${JSON.stringify((fields[3] as string).slice(0, 40))} is no kind of input`);
      events.push({ ...position, kind, data: dataOf(kind, fields[4] as string, (what) => bad(i, what)) });
    } else if (fields[0] === 'end' && fields.length === 5 && /^[0-9a-f]{1,16}$/.test(fields[4] as string)) {
      end = { ...position, repetitions: number(fields[3]), hash: BigInt(`0x${fields[4]}`) };
    } else if (fields[0] === 'cut' && fields.length === 3) cut = position;
    else throw bad(i, 'neither input nor end');
  }
  return { identity, events, end, cut };
}

function parseIdentity(line: string, bad: (what: string) => VmmError): RunIdentity {
  if (!line.startsWith('config ') || line.length > CONFIG_MAX) throw bad('no configuration');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(line.slice(7), 'latin1').toString());
  } catch {
    throw bad('its configuration is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('its configuration is no object');
  for (const [name, setting] of Object.entries(value)) if (typeof setting !== 'string' && typeof setting !== 'number') throw bad(`its configuration has no plain ${JSON.stringify(name.slice(0, 40))}`);
  return value as RunIdentity;
}

/** Data of one event, as its handler wants it. */
function dataOf(kind: InputKind, text: string, bad: (what: string) => VmmError): Uint8Array {
  if (text.length > Math.ceil(DATA_MAX / 3) * 4) throw bad('its data is too long');
  const data = Buffer.from(text, 'base64');
  if (data.toString('base64') !== text) throw bad('its data is not base64');
  const sizes: Partial<Record<InputKind, number>> = { resize: 4, 'stdin-end': 0, signal: 1 };
  const size = sizes[kind];
  if (size !== undefined && data.length !== size) throw bad(`${data.length} bytes of data, ${kind} has ${size}`);
  if (kind === 'signal' && (data[0] === 0 || (data[0] as number) > 64)) throw bad(`signal ${data[0]} does not exist`);
  return data;
}

/** A terminal's size as data of `resize`. */
export function sizeData(columns: number, rows: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(4));
  data.setUint16(0, Math.min(0xffff, columns), true);
  data.setUint16(2, Math.min(0xffff, rows), true);
  return new Uint8Array(data.buffer);
}

export function sizeOf(data: Uint8Array): { columns: number; rows: number } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { columns: view.getUint16(0, true), rows: view.getUint16(2, true) };
}

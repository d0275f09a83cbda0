/** What was measured, as JSON lines that are only ever appended: whatever ends the suite, the lines before stay readable. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

export const SCHEMA = 1;

/** What has to be alike for two figures to be compared. */
export interface Conditions {
  readonly kernel: string;
  readonly memoryMib: number;
  readonly vcpus: number;
  /** Without what announces devices. */
  readonly commandLine: string;
  readonly root: string;
}

export interface Host {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  /** `hardware`, `not hardware` or `none`. */
  readonly kvm: string;
  readonly cgroup: string;
  readonly governor: string;
  /** NODE_* variables that were set; the measured processes do not get them. */
  readonly nodeVariables: readonly string[];
  readonly load: number;
}

export interface Header {
  readonly kind: 'header';
  readonly schema: number;
  readonly date: string;
  readonly revision: string;
  readonly rounds: number;
  readonly warmUp: number;
  readonly host: Host;
}

export interface Entrant {
  readonly kind: 'entrant';
  readonly scenario: string;
  readonly peer: string;
  readonly version: string;
  readonly command: readonly string[];
  readonly conditions: Conditions;
}

export interface Phase {
  readonly name: string;
  /** Since the one before. */
  readonly ms: number;
}

export interface Sample {
  readonly kind: 'sample';
  readonly scenario: string;
  readonly peer: string;
  /** Below 0: warm-up, not counted. */
  readonly round: number;
  /** By unit-bearing names: `output ms`, `end ms`, `CPU ms`, `PSS MiB`. */
  readonly figures: Readonly<Record<string, number>>;
  readonly phases?: readonly Phase[];
}

/** A peer that could not be measured, or a run of it that failed. */
export interface Trouble {
  readonly kind: 'trouble';
  readonly scenario: string;
  readonly peer: string;
  readonly what: 'missing' | 'unverified' | 'fails' | 'hangs' | 'wrong output';
  readonly detail: string;
}

/** The suite came to its end. A log without it was cut off. */
export interface End {
  readonly kind: 'end';
}

export type Line = Header | Entrant | Sample | Trouble | End;

export class Log {
  readonly #fd: number;
  /** Why lines are no longer written: a full disk. */
  lost: string | undefined;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx');
  }

  add(line: Line): void {
    if (this.lost !== undefined) return;
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      this.lost = (error as Error).message;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Lines of a log; a last one that was cut off is left out. Throws for other versions and for what is no log. */
export function readLog(text: string, name: string): Line[] {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean);
  const lines = whole.map((line, i) => {
    try {
      return JSON.parse(line) as Line;
    } catch {
      throw new Error(`${name}:${i + 1}: no line of JSON`);
    }
  });
  const [header] = lines;
  if (header?.kind !== 'header') throw new Error(`${name}: no header in its first line`);
  if (header.schema !== SCHEMA) throw new Error(`${name}: field schema is ${header.schema}, this version reads ${SCHEMA}`);
  return lines;
}

export function loadLog(path: string): Line[] {
  return readLog(readFileSync(path, 'utf8'), path);
}

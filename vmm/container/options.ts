import { randomBytes } from 'node:crypto';
import type { ImageProcessConfig } from '../../image/documents/config.ts';
import type { Rlimit } from './limits.ts';

export interface TmpfsMount {
  readonly target: string;
  /** Mount options as the user wrote them, comma separated. */
  readonly options: string;
}

/** A container as the user asked for it; everything is already checked. */
export interface ContainerOptions {
  readonly name: string;
  readonly hostname: string;
  readonly command: readonly string[];
  readonly entrypoint: readonly string[] | undefined;
  readonly env: readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly readOnly: boolean;
  readonly tmpfs: readonly TmpfsMount[];
  readonly rlimits: readonly Rlimit[];
  readonly capabilities: bigint;
  readonly init: boolean;
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly stopSignal: number;
  /** cpu.max as a fraction of one CPU's time, when `--cpus` was not whole. */
  readonly cpuQuota: number | undefined;
  /** Bytes of a scratch disk for the overlay's upper layer; undefined: guest memory. */
  readonly scratch: number | undefined;
}

/** Docker's rule: `--entrypoint` drops the image's command too; a command replaces the image's. */
export function processArguments(image: ImageProcessConfig, entrypoint: readonly string[] | undefined, command: readonly string[]): string[] {
  if (entrypoint !== undefined) return [...entrypoint, ...command];
  return [...image.entrypoint, ...(command.length > 0 ? command : image.cmd)];
}

/** Twelve hex digits, as Docker's short container ids and default host names. */
export function randomId(): string {
  return randomBytes(6).toString('hex');
}

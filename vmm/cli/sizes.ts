import { VmmError } from '../api/errors.ts';
import type { DiskRate, Rate } from '../api/machine.ts';

const UNITS: Readonly<Record<string, number>> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
export const MIB = 1024 ** 2;
const MEMORY_MAX_MIB = 3072;
const MEMORY_MIN_MIB = 16;
const CPUS_MAX = 32;

/**
 * A size in bytes: digits and a binary unit (`64m`, `1.5g`, `512MiB`). `bare` says what a number without a unit is:
 * MiB (boot), refused with a hint (run, where Docker would read bytes), or bytes.
 */
export function parseSize(text: string, option: string, bare: 'mib' | 'refuse' | 'bytes'): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([bkmgt])(?:i?b)?)?$/i.exec(text);
  if (match === null) throw new VmmError('USAGE', `${option}: ${text} is not a size`, { hint: 'write for example 512m or 1g' });
  const number = Number(match[1]);
  const unit = match[2]?.toLowerCase();
  if (unit === undefined) {
    if (bare === 'refuse') throw new VmmError('USAGE', `${option}: ${text} has no unit`, { hint: `write ${number === 0 ? '512m, for example' : `${text}m for MiB or ${text}b for bytes`}` });
    return Math.floor(bare === 'bytes' ? number : number * MIB);
  }
  return Math.floor(number * (UNITS[unit] as number));
}

/** Guest RAM in MiB, whole and within what a machine can have. */
export function parseMemory(text: string, option: string, bare: 'mib' | 'refuse'): number {
  const bytes = parseSize(text, option, bare);
  const mib = Math.ceil(bytes / MIB);
  if (mib < MEMORY_MIN_MIB) throw new VmmError('USAGE', `${option}: ${text} is too little, ${MEMORY_MIN_MIB}m is the least`, { hint: 'give at least 64m for a Linux guest' });
  if (mib > MEMORY_MAX_MIB) {
    throw new VmmError('USAGE', `${option}: ${text} is more than ${MEMORY_MAX_MIB}m: guest RAM lies in one 4 GiB WebAssembly memory`, { hint: `give ${MEMORY_MAX_MIB}m or less` });
  }
  return mib;
}

/** vCPUs of a machine: a whole number from 1 to CPUS_MAX. */
export function parseCpus(text: string, option: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < 1 || n > CPUS_MAX) throw new VmmError('USAGE', `${option}: ${text} is not a number from 1 to ${CPUS_MAX}`, { hint: 'give the number of vCPUs' });
  return n;
}

/** Docker's fractional `--cpus`: its ceiling in vCPUs, and a cpu.max quota when it is not whole. */
export function parseCpuShare(text: string, option: string): { vcpus: number; quota: number | undefined } {
  const n = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || !(n >= 0.01) || n > CPUS_MAX) {
    throw new VmmError('USAGE', `${option}: ${text} is not a number from 0.01 to ${CPUS_MAX}`, { hint: 'for example 1, 2 or 0.5' });
  }
  return { vcpus: Math.ceil(n), quota: Number.isInteger(n) ? undefined : n };
}

/** A time as the user wrote it, and in milliseconds. */
export interface Duration {
  readonly text: string;
  readonly ms: number;
}

/** Seconds, or with a unit as in `500ms`, `30s`, `5m`, `1h`. */
export function parseDuration(text: string, option: string): Duration {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] as number;
  const ms = match === null ? Number.NaN : Number(match[1]) * factor;
  if (!(ms > 0) || ms > 0x7fff_ffff) throw new VmmError('USAGE', `${option}: ${text} is not a time`, { hint: 'write for example 30, 30s, 500ms or 5m' });
  return { text, ms };
}

/** `bw=SIZE[:BURST]` (bytes a second) or `ops=N[:BURST]`, added to what was said before. A bare number of bw is bytes. */
export function parseLimit(rate: Rate | undefined, text: string, option: string): Rate {
  const [name, value = ''] = text.split('=');
  const [perSecond, burst] = value.split(':').map((part) => limitNumber(part, name === 'bw', option));
  return { ...rate, [name === 'bw' ? 'bytes' : 'operations']: { perSecond, burst } };
}

/** As parseLimit, of all that a disk does, or with `read-` or `write-` before it of one way. */
export function parseDiskLimit(rate: DiskRate | undefined, text: string, option: string): DiskRate {
  const [, way, limit = text] = /^(read|write)-(.*)$/.exec(text) ?? [];
  if (way !== 'read' && way !== 'write') return parseLimit(rate, limit, option);
  return { ...rate, [way]: parseLimit(rate?.[way], limit, option) };
}

function limitNumber(text: string, bytes: boolean, option: string): number {
  const number = bytes && !/^\d+$/.test(text) ? parseSize(text, option, 'refuse') : Number(text);
  if (!(number >= 1 && number <= 1e12) || (!bytes && !/^\d+$/.test(text))) throw new VmmError('USAGE', `${option}: ${text} is not a limit`, { hint: 'for example bw=10m, bw=10m:50m (a second, at once) or ops=1000' });
  return number;
}

/** Throws USAGE. */
export function parseSeconds(text: string, option: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is no number of seconds`, { hint: 'for example 10' });
  return Number(text);
}

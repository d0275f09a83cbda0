import { VmmError } from '../api/errors.ts';
import { goDuration } from './go-duration.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A moment as Docker takes it (20.10, api/types/time): RFC 3339, with less than all of it too; seconds since 1970, with a fraction; how long ago, as Go writes it. Ms since 1970. Throws USAGE. */
export function moment(text: string, option: string): number {
  if (/^\d{1,11}(\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  const ago = goDuration(text, UNITS);
  if (ago !== undefined) return Date.now() - ago;
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (match !== null) {
    const [, day, hour = '00', minute = '00', second = '00', zone = ''] = match;
    const ms = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`);
    if (!Number.isNaN(ms)) return ms;
  }
  throw new VmmError('USAGE', `${option}: ${text} is not a time`, { hint: 'for example 2026-11-30T12:00:00, 1764504000 or 10m for ten minutes ago' });
}

import type { IncomingHttpHeaders } from 'node:http';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';

/** How long what a URL held counts without being asked for, and how to ask whether it is still there (RFC 9111). */
export interface Freshness {
  /** ms since 1970. */
  readonly until: number;
  readonly etag: string | undefined;
}

const NOTHING: Freshness = { until: 0, etag: undefined };
/** No server may keep us from asking for longer, s. */
const MAX_AGE = 365 * 86_400;
const TAG_MAX = 1024;

/** What an answer says of itself, as the store notes it; "" when nothing. As with rkt, no-cache and no-store are an age of 0. */
export function freshnessNote(headers: IncomingHttpHeaders, now: number): string {
  const directives = (headers['cache-control'] ?? '').toLowerCase().split(',').map((text) => text.trim());
  const [, seconds = '0'] = /^max-age="?(\d{1,12})"?$/.exec(directives.find((text) => text.startsWith('max-age=')) ?? '') ?? [];
  const stale = directives.some((text) => /^no-(cache|store)\b/.test(text));
  const spent = /^\d{1,12}$/.test(headers.age ?? '') ? Number(headers.age) : 0;
  const age = stale ? 0 : Math.max(0, Math.min(Number(seconds), MAX_AGE) - spent);
  const etag = headers.etag !== undefined && headers.etag.length <= TAG_MAX ? headers.etag : undefined;
  if (age === 0 && etag === undefined) return '';
  return JSON.stringify({ until: age === 0 ? 0 : now + age * 1000, ...(etag === undefined ? {} : { etag }) });
}

/** Reads a note; one that cannot be understood says nothing. */
export function readFreshness(note: string): Freshness {
  if (note === '') return NOTHING;
  try {
    const fields = JsonObject.parse(Buffer.from(note), 'note');
    return { until: fields.optionalNumber('until') ?? 0, etag: fields.optionalString('etag') };
  } catch (error) {
    if (error instanceof VmmError) return NOTHING;
    throw error;
  }
}

/** A clock that was set back must not make an image fresh for longer than any server may ask for. */
export function isFresh({ until }: Freshness, now: number): boolean {
  return now < until && until - now <= MAX_AGE * 1000;
}

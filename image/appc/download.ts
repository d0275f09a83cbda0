import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../../base/errors.ts';
import { type HttpResponse, shownPath } from '../registry/http.ts';
import { writeFully } from '../tree/content.ts';
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import { openNameless } from '../tree/nameless.ts';
import type { Progress } from '../tree/progress.ts';
import { freshnessNote } from './freshness.ts';
import { ARMOUR_MAX } from './openpgp.ts';
import { answer, readDocument, type Web, webError } from './web.ts';

const MAX_TRIES = 5;
const RETRY_MS = 500;

/** A signature; 'later': the server wants the image to be fetched first (202); undefined: there is none. */
export async function downloadSignature(web: Web, url: URL, from: URL | undefined): Promise<Buffer | 'later' | undefined> {
  const got = await web.get(url, {}, from);
  const { status } = got.response;
  if (status === 200) return readDocument(got, ARMOUR_MAX);
  got.response.body.destroy();
  if (status === 202) return 'later';
  if (status === 404 || status === 410) return undefined;
  throw refused(got.url, status);
}

/** Whether a URL still holds what it held with this tag; what its answer says of its age. */
export async function isUnchanged(web: Web, url: URL, from: URL | undefined, etag: string): Promise<string | undefined> {
  const { response } = await web.get(url, { 'if-none-match': etag }, from);
  response.body.destroy();
  return response.status === 304 ? freshnessNote({ etag, ...response.headers }, Date.now()) : undefined;
}

/**
 * An image in a nameless file of `folder`, which is the caller's to close, and what its server says of its age. A connection that
 * breaks is taken up again where it broke.
 */
export async function downloadImage(web: Web, url: URL, from: URL | undefined, folder: string, progress: Progress | undefined): Promise<{ fd: number; freshness: string }> {
  const fd = openFile(folder);
  try {
    let at = 0;
    let tag: string | undefined;
    for (let failures = 0; ; ) {
      const before = at;
      const asked = Date.now();
      const range = at === 0 || tag === undefined ? {} : { range: `bytes=${at}-`, 'if-range': tag };
      const got = await web.get(url, range, from);
      if (got.response.status !== 206) at = 0;
      if (got.response.status === 416) {
        got.response.body.destroy();
        continueOrGiveUp(++failures, got.url);
        tag = undefined;
        continue;
      }
      checkStart(got, at);
      tag = strongTag(got.response);
      const end = await receive(got, fd, at, progress);
      if (!end.broken) return { fd, freshness: freshnessNote(got.response.headers, asked) };
      at = end.at;
      failures = at > before ? 0 : failures + 1;
      if (failures >= MAX_TRIES) throw webError(got.url, end.broken);
      await sleep(RETRY_MS * failures);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function continueOrGiveUp(failures: number, url: URL): void {
  if (failures >= MAX_TRIES) throw refused(url, 416);
}

function checkStart({ response, url }: { response: HttpResponse; url: URL }, at: number): void {
  const { status, headers } = response;
  if (status === 206 && !String(headers['content-range']).startsWith(`bytes ${at}-`)) throw answer(url, 'goes on at another place than it was asked for');
  if (status !== 200 && status !== 206) {
    response.body.destroy();
    throw refused(url, status);
  }
}

async function receive({ response, url }: { response: HttpResponse; url: URL }, fd: number, start: number, progress: Progress | undefined): Promise<{ at: number; broken?: unknown }> {
  let at = start;
  const length = Number(response.headers['content-length'] ?? Number.NaN);
  const total = Number.isSafeInteger(length) ? start + length : undefined;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      if (at + chunk.length > DEFAULT_LIMITS.maxTotalBytes) throw answer(url, `sends more than ${DEFAULT_LIMITS.maxTotalBytes} bytes`);
      writeFully(fd, chunk, at, 'the image to the store');
      at += chunk.length;
      progress?.({ stage: 'fetching', done: at, total });
    }
    return { at };
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    return { at, broken: cause };
  } finally {
    response.body.destroy();
  }
}

/** By which a server tells that a file is still the same; a weak one says nothing of its bytes. */
function strongTag({ headers }: HttpResponse): string | undefined {
  const tag = headers.etag;
  return tag === undefined || tag.startsWith('W/') ? headers['last-modified'] : tag;
}

function openFile(folder: string): number {
  try {
    return openNameless(folder);
  } catch (cause) {
    throw new VmmError('IMAGE_WRITE', `cannot fetch it to the store: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'free some space (vmm image prune) or set VMM_STORE' });
  }
}

function refused(url: URL, status: number): VmmError {
  if (status === 401 || status === 403) return new VmmError('ACI_ANSWER', `${url.host} refuses access to ${shownPath(url)} (${status})`, { hint: 'a login for it goes into auth.d, as rkt has it (docs/appc.md)' });
  if (status === 404 || status === 410) return new VmmError('IMAGE_NOT_FOUND', `${url.host} has no ${shownPath(url)}`, { hint: 'check name, version, os and arch' });
  return answer(url, `answers ${status} for ${shownPath(url)}`);
}

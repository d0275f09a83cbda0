import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeOwnFolder, userCache } from '../../../base/user-cache.ts';
import { VmmError } from '../../../base/errors.ts';
import type { Environment } from '../../registry/credentials.ts';
import { Http, readBody } from '../../registry/http.ts';
import type { Certificate } from '../certificate.ts';
import { ocspRequest, type Status, statusByAnswer, statusByList } from '../revocation.ts';

/** Bytes of a list of revoked certificates, and of an answer about one. */
const LIST_MAX = 8 << 20;
const ANSWER_MAX = 64 << 10;
/** Silence that is waited for, ms: whether an image runs hangs on it. */
const IDLE_MS = 5000;
/** All places together that are asked for one signature. */
const MOST_MS = 20_000;
/** An answer that was kept so long ago holds no more: authorities renew their lists within a year (CA/Browser Forum, Baseline Requirements, 4.9.7). */
const STALE_MS = 400 * 86_400_000;
/** Places that one certificate may name. */
const MAX_PLACES = 4;

interface Asking {
  readonly env: Environment;
  readonly signal: AbortSignal;
}

/**
 * Why chains, which were found to be trusted, must not be believed: one of their certificates was revoked, or whether it was cannot be told
 * (specifications, "Certificate Revocation Evaluation"). Servers (OCSP) are asked before lists (CRL) are read; answers are kept in the user's cache for
 * as long as they hold, so that nobody is asked twice. With each chain: when it signed for certain, where that is known.
 */
export async function revokedFault(chains: readonly (readonly [readonly Certificate[], Date | undefined])[], env: Environment): Promise<string | undefined> {
  const asking = { env, signal: AbortSignal.timeout(MOST_MS) };
  for (const [chain, signed] of chains) {
    const fault = await chainFault(chain, signed, asking);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

async function chainFault(chain: readonly Certificate[], signed: Date | undefined, asking: Asking): Promise<string | undefined> {
  for (const [i, certificate] of chain.entries()) {
    const issuer = chain[i + 1];
    if (issuer === undefined) break;
    const status = await statusOf(certificate, issuer, asking);
    if (status === 'good') continue;
    const who = JSON.stringify(certificate.x509.subject.split('\n').at(-1)?.slice(0, 100) ?? '');
    if ('unknown' in status) return `whether the certificate ${who} was revoked cannot be told: ${status.unknown}`;
    // What was signed before a key was lost stays signed, where both times are certain.
    if (signed !== undefined && status.invalid !== undefined && status.invalid > signed) continue;
    return `the certificate ${who} was revoked on ${status.revoked.toISOString().slice(0, 10)}`;
  }
  return undefined;
}

async function statusOf(certificate: Certificate, issuer: Certificate, asking: Asking): Promise<Status> {
  let places: { servers: string[]; lists: string[] };
  try {
    places = { servers: certificate.ocspUrls, lists: certificate.crlUrls };
  } catch {
    return { unknown: 'where that is told cannot be read' };
  }
  let status: Status = 'good';
  const request = ocspRequest(certificate, issuer);
  const asks: (() => Promise<Status>)[] = [
    ...places.servers.slice(0, MAX_PLACES).map((url) => () => answered(url, request, ANSWER_MAX, asking, (bytes) => statusByAnswer(bytes, certificate, issuer, new Date()))),
    ...places.lists.slice(0, MAX_PLACES).map((url) => () => answered(url, undefined, LIST_MAX, asking, (bytes) => statusByList(bytes, url, certificate, issuer, new Date()))),
  ];
  for (const ask of asks) {
    status = await ask();
    if (status === 'good' || 'revoked' in status) return status;
  }
  return status;
}

/** What was kept, where it tells anything, else what is answered. */
async function answered(text: string, request: Buffer | undefined, max: number, asking: Asking, read: (bytes: Buffer) => Status): Promise<Status> {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return { unknown: `${JSON.stringify(text.slice(0, 100))} is no place that is asked` };
  const file = createHash('sha256').update(text).update('\0').update(request ?? '').digest('hex');
  const kept = fromCache(file, max);
  const known = kept === undefined ? undefined : read(kept);
  if (known !== undefined && (known === 'good' || 'revoked' in known)) return known;
  if (kept !== undefined) removeKept(file);
  let bytes: Buffer;
  try {
    bytes = await ask(url, request, max, asking);
  } catch (error) {
    if (error instanceof VmmError) return { unknown: asking.signal.aborted ? `who was asked has not answered within ${MOST_MS / 1000} s` : error.message };
    throw error;
  }
  const status = read(bytes);
  if (status === 'good' || 'revoked' in status) intoCache(file, bytes);
  return status;
}

async function ask(url: URL, request: Buffer | undefined, max: number, { env, signal }: Asking): Promise<Buffer> {
  const http = new Http({ host: url.host, insecure: false, env, idleMs: IDLE_MS });
  const own = { 'user-agent': 'vmm' };
  try {
    const response = await http.send(request === undefined ? { method: 'GET', url, headers: own, signal } : { method: 'POST', url, headers: { ...own, 'content-type': 'application/ocsp-request', 'content-length': String(request.length) }, body: request, signal });
    if (response.status === 200) return await readBody(response, max, url);
    response.body.destroy();
    throw new VmmError('REGISTRY_ANSWER', `${url.host} answers ${response.status}`);
  } finally {
    http.close();
  }
}

const cachePath = (file: string): string => join(userCache('revocation'), file);

function fromCache(file: string, max: number): Buffer | undefined {
  try {
    return statSync(cachePath(file)).size > max ? undefined : readFileSync(cachePath(file));
  } catch {
    return undefined;
  }
}

/** As well as may be: without a cache the next one asks again. */
function intoCache(file: string, bytes: Buffer): void {
  const half = `${cachePath(file)}.${process.pid}`;
  try {
    makeOwnFolder(userCache('revocation'));
    writeFileSync(half, bytes, { mode: 0o600 });
    renameSync(half, cachePath(file));
    sweep();
  } catch {
    removeKept(`${file}.${process.pid}`);
  }
}

function removeKept(file: string): void {
  try {
    rmSync(cachePath(file), { force: true });
  } catch {
    // A cache that cannot be changed stays as it is.
  }
}

/** Removes answers that nobody has asked for since they have run out, and what killed processes have left. */
function sweep(): void {
  for (const file of readdirSync(userCache('revocation'))) {
    const { mtimeMs } = statSync(cachePath(file), { throwIfNoEntry: false }) ?? {};
    if (mtimeMs !== undefined && Date.now() - mtimeMs > STALE_MS) removeKept(file);
  }
}

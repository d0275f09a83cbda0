import { readFileSync, readdirSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { VmmError } from '../../base/errors.ts';
import { hostOf, isPrivateAddress, isPrivateHost, publicLookup, refusePrivate } from './addresses.ts';

/** A server that says nothing for so long is given up, ms. */
const IDLE_MS = 30_000;

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is made for each try. */
  readonly body?: Uint8Array | (() => AsyncIterable<Uint8Array>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** No address of this machine or network is connected to, whatever the host's name leads to by then. */
  readonly publicOnly?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Whether who answered is on this machine or network. */
  readonly isPrivate: boolean;
  /** Has to be read, or destroyed. */
  readonly body: http.IncomingMessage;
}

export interface HttpOptions {
  /** The registry, for its own certificates (`certs.d/HOST`). */
  readonly host: string;
  /** Certificates are not checked. */
  readonly insecure: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folders of certificates by host, beside those of containers' tools and Docker. */
  readonly folders?: readonly string[];
  readonly idleMs?: number;
}

/** One registry's connections: kept alive, through the environment's proxies, with the CAs of Node, the system, and the registry's own. */
export class Http {
  readonly #options: HttpOptions;
  /** True once anybody has answered at all. */
  answered = false;
  /** Whether the registry itself is on this machine or network; undefined before its first answer. */
  #isPrivate: boolean | undefined;
  #agents: { http: http.Agent; https: https.Agent } | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /**
   * Sends one request; no redirect is followed. `by` is the server that told us to ask there: a public one may not send us to an
   * address of this machine or network. Rejects with REGISTRY_CONNECT, REGISTRY_TLS, REGISTRY_ANSWER.
   */
  async send(request: HttpRequest, by?: URL): Promise<HttpResponse> {
    const { url, method, headers, signal } = request;
    const elsewhere = by !== undefined && by.host !== url.host;
    // A registry that was public once stays so: its name may lead elsewhere by now.
    const guarded = request.publicOnly === true || (!this.#options.insecure && (elsewhere ? this.#isPrivate !== true : this.#isPrivate === false));
    if (guarded && isPrivateHost(hostOf(url))) throw refusePrivate(url.host);
    this.#agents ??= this.#makeAgents();
    const secure = url.protocol === 'https:';
    const idleMs = this.#options.idleMs ?? IDLE_MS;
    const client = (secure ? https : http).request(url, { method, headers, agent: secure ? this.#agents.https : this.#agents.http, timeout: idleMs, ...(guarded && !this.#proxied ? { lookup: publicLookup } : {}), ...(signal === undefined ? {} : { signal }) });
    // A connection that was kept is not looked up again.
    if (guarded && !this.#proxied) client.on('socket', ({ remoteAddress = '' }) => isPrivateAddress(remoteAddress) && client.destroy(refusePrivate(url.host)));
    client.on('timeout', () => client.destroy(Object.assign(new Error(`no answer for ${idleMs / 1000} s`), { code: 'ETIMEDOUT' })));
    const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
      client.on('response', resolve);
      client.on('error', reject);
    });
    answer.catch(() => {});
    try {
      await this.#sendBody(client, request);
      const body = await answer;
      this.answered = true;
      // A proxy's address says nothing of the registry's.
      const isPrivate = isPrivateHost(hostOf(url)) || (!this.#proxied && isPrivateAddress(body.socket.remoteAddress ?? ''));
      if (by === undefined) this.#isPrivate ??= isPrivate;
      return { status: body.statusCode ?? 0, headers: body.headers, isPrivate, body };
    } catch (cause) {
      client.destroy();
      throw connectError(url, cause);
    }
  }

  get #proxied(): boolean {
    return ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].some((name) => Boolean(this.#options.env[name]));
  }

  close(): void {
    this.#agents?.http.destroy();
    this.#agents?.https.destroy();
  }

  async #sendBody(client: http.ClientRequest, { body }: HttpRequest): Promise<void> {
    if (body === undefined || body instanceof Uint8Array) {
      client.end(body);
      return;
    }
    let answered = false;
    client.once('response', () => {
      answered = true;
    });
    for await (const chunk of body()) {
      // Who answers before the end does not want the rest.
      if (client.destroyed || answered) break;
      if (!client.write(chunk)) await Promise.race([new Promise((resolve) => client.once('drain', resolve)), new Promise((resolve) => client.once('close', resolve))]);
    }
    if (answered) client.destroy();
    else client.end();
  }

  #makeAgents(): { http: http.Agent; https: https.Agent } {
    const { env, insecure } = this.#options;
    const common = { keepAlive: true, maxSockets: 8, proxyEnv: env as NodeJS.ProcessEnv };
    const own = this.#certificates();
    return {
      http: new http.Agent(common),
      https: new https.Agent({ ...common, rejectUnauthorized: !insecure, ca: [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...own.ca])], ...(own.client ?? {}) }),
    };
  }

  /** CAs of $SSL_CERT_FILE; CAs and a client's certificate of containers-certs.d(5) and Docker's folder. */
  #certificates(): { ca: string[]; client: { cert: string; key: string } | undefined } {
    const { env, host, folders = [] } = this.#options;
    const home = env['HOME'] || homedir();
    const ca = env['SSL_CERT_FILE'] ? [readConfig(env['SSL_CERT_FILE'])] : [];
    let client: { cert: string; key: string } | undefined;
    for (const base of [...folders, join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'containers/certs.d'), join(home, '.docker/certs.d'), '/etc/containers/certs.d', '/etc/docker/certs.d']) {
      const dir = join(base, host);
      for (const name of list(dir)) {
        if (name.endsWith('.crt')) ca.push(readConfig(join(dir, name)));
        else if (name.endsWith('.cert')) client ??= { cert: readConfig(join(dir, name)), key: readConfig(join(dir, name.replace(/cert$/, 'key'))) };
      }
    }
    return { ca, client };
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
}

/** A file of certificates or configuration that has to be readable. Throws REGISTRY_CONFIG. */
function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new VmmError('REGISTRY_CONFIG', `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
}

/** A body of at most `max` bytes. Throws REGISTRY_ANSWER. */
export async function readBody({ body }: HttpResponse, max: number, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > max) throw new VmmError('REGISTRY_ANSWER', `${url.host} sends more than ${max} bytes for ${shownPath(url)}`, { hint: 'the registry is damaged or hostile' });
      chunks.push(chunk);
    }
  } catch (cause) {
    throw connectError(url, cause);
  } finally {
    body.destroy();
  }
  return Buffer.concat(chunks);
}

/** A path without its query, which may hold signatures. */
export function shownPath(url: URL): string {
  return url.pathname.slice(0, 200);
}

const TLS_CODES = /^(CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/;

/** What a connection failed by. A VmmError stays as it is. */
export function connectError(url: URL, cause: unknown): VmmError {
  if (cause instanceof VmmError) return cause;
  const { code = 'error', message } = cause as NodeJS.ErrnoException;
  if (TLS_CODES.test(code)) {
    return new VmmError('REGISTRY_TLS', `${url.host}: ${code}`, { cause, hint: 'put its CA into /etc/containers/certs.d/HOST/ca.crt, or mark it insecure in registries.conf' });
  }
  const offline = ['ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH'].includes(code);
  return new VmmError('REGISTRY_CONNECT', `${url.host} cannot be reached: ${code === 'ETIMEDOUT' ? message : code}`, { cause, hint: offline ? 'is there a network? Stored images run without one' : 'the registry is down, or a proxy or firewall is in the way' });
}

/** What no honest registry answers. */
export function answer(url: URL, what: string): VmmError {
  return new VmmError('REGISTRY_ANSWER', `${url.host} ${what}`, { hint: 'the registry is damaged or hostile, or it is none' });
}

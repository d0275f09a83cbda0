import { VmmError } from '../../base/errors.ts';
import { hostOf, isPrivateHost } from '../registry/addresses.ts';
import { Http, type HttpResponse, shownPath } from '../registry/http.ts';
import type { Credentials } from './auth.ts';

const MAX_REDIRECTS = 10;
/** rkt's time to connect, ms; a server that says nothing for so long is given up. */
const IDLE_MS = 20_000;

export interface WebOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--insecure-options`: certificates are not checked; http is taken where https fails. */
  readonly insecureTls: boolean;
  readonly insecureHttp: boolean;
  /** The operator's logins (rkt's auth.d). */
  readonly credentials: (host: string) => Credentials | undefined;
  readonly idleMs?: number;
}

/** Gets what discovery and its hosts say. Nothing they say leads from https to http, or from a public host to a private address. Throws ACI_CONNECT, ACI_TLS, ACI_ANSWER. */
export class Web {
  readonly #options: WebOptions;
  readonly #hosts = new Map<string, Http>();
  /** Hosts that have answered, and whether from an address of this machine or network: their names may lead elsewhere by now. */
  readonly #private = new Map<string, boolean>();

  constructor(options: WebOptions) {
    this.#options = options;
  }

  get insecureHttp(): boolean {
    return this.#options.insecureHttp;
  }

  close(): void {
    for (const http of this.#hosts.values()) http.close();
  }

  /** The answer to a GET, redirects followed; its body has to be read or destroyed. `from`: who sent us there, if it is not the user. */
  async get(url: URL, headers: Readonly<Record<string, string>> = {}, from?: URL): Promise<{ response: HttpResponse; url: URL }> {
    let at = url;
    let sender = from;
    for (let hops = 0; ; hops++) {
      const publicOnly = this.#allow(at, sender);
      const login = at.protocol === 'https:' ? this.#options.credentials(at.host) : undefined;
      const response = await this.#send(at, { 'user-agent': 'vmm', ...headers, ...(login === undefined ? {} : { authorization: login.header }) }, publicOnly ? (sender ?? at) : undefined);
      const { location } = response.headers;
      if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return { response, url: at };
      response.body.destroy();
      const next = URL.parse(location, at.href);
      if (next === null) throw answer(at, 'redirects to what is no URL');
      if (hops >= MAX_REDIRECTS) throw answer(at, `redirects more than ${MAX_REDIRECTS} times`);
      sender = at;
      at = next;
    }
  }

  /** True when the URL may lead to a public address only. Throws ACI_ANSWER for one that is not to be asked at all. */
  #allow(url: URL, from: URL | undefined): boolean {
    const insecure = url.protocol === 'http:' && this.#options.insecureHttp;
    if (url.protocol !== 'https:' && !insecure) {
      throw new VmmError('ACI_ANSWER', `${from === undefined ? url.href.slice(0, 200) : `${from.host} sends us to ${url.href.slice(0, 200)}`}: not https`, { hint: url.protocol === 'http:' ? 'give --insecure-options=http if you must' : 'https is what is understood' });
    }
    if (url.username !== '' || url.password !== '') throw answer(url, 'is given with a login in its URL');
    if (from === undefined || from.host === url.host) return this.#private.get(url.host) === false;
    return !(this.#private.get(from.host) ?? isPrivateHost(hostOf(from)));
  }

  /** `by`: a public host that sends us there. */
  async #send(url: URL, headers: Readonly<Record<string, string>>, by: URL | undefined): Promise<HttpResponse> {
    let http = this.#hosts.get(url.host);
    if (http === undefined) {
      http = new Http({ host: url.host, insecure: this.#options.insecureTls, env: this.#options.env, idleMs: this.#options.idleMs ?? IDLE_MS });
      this.#hosts.set(url.host, http);
    }
    try {
      const response = await http.send({ method: 'GET', url, headers, publicOnly: by !== undefined });
      // Who was public once stays so: its name cannot make it one of us.
      this.#private.set(url.host, response.isPrivate && (this.#private.get(url.host) ?? true));
      return response;
    } catch (cause) {
      if (by !== undefined && cause instanceof VmmError && cause.code === 'REGISTRY_ANSWER') throw answer(by, `sends us to ${url.host}, a private address`);
      throw webError(url, cause);
    }
  }
}

/** A small document. Throws ACI_ANSWER when it is larger. */
export async function readDocument({ response, url }: { response: HttpResponse; url: URL }, max: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > max) throw answer(url, `sends more than ${max} bytes for ${shownPath(url)}`);
      chunks.push(chunk);
    }
  } catch (cause) {
    throw webError(url, cause);
  } finally {
    response.body.destroy();
  }
  return Buffer.concat(chunks);
}

/** What a connection failed by, as appc's own. */
export function webError(url: URL, cause: unknown): VmmError {
  if (cause instanceof VmmError) {
    const code = { REGISTRY_CONNECT: 'ACI_CONNECT', REGISTRY_TLS: 'ACI_TLS' }[cause.code];
    if (code === 'ACI_TLS') return new VmmError('ACI_TLS', cause.message, { cause: cause.cause, hint: 'put its CA into /etc/containers/certs.d/HOST/ca.crt or $SSL_CERT_FILE, or give --insecure-options=tls' });
    if (code === 'ACI_CONNECT') return new VmmError('ACI_CONNECT', cause.message, { cause: cause.cause, hint: 'is there a network? Stored images run without one' });
    return cause;
  }
  const { code = 'error' } = cause as NodeJS.ErrnoException;
  return new VmmError('ACI_CONNECT', `${url.host}: the connection broke: ${code}`, { cause, hint: 'try again' });
}

export function answer(url: URL, what: string): VmmError {
  return new VmmError('ACI_ANSWER', `${url.host} ${what}`, { hint: 'the server is set up wrongly, or hostile' });
}

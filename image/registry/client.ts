import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../../base/errors.ts';
import { type Descriptor, OCI_INDEX, type TypedDescriptor } from '../documents/descriptor.ts';
import { JSON_MAX, JsonObject } from '../documents/json.ts';
import { splitDigest } from '../sources/blobs.ts';
import type { IncomingBlob } from '../store/intake.ts';
import { Authorizer, denied } from './auth.ts';
import { type Credentials, type Environment, findCredentials } from './credentials.ts';
import { BlobFile, continues } from './blob-file.ts';
import { answer, connectError, Http, type HttpRequest, type HttpResponse, readBody, shownPath } from './http.ts';
import type { RegistryName } from './name.ts';

/** What we can read, best first (image-spec, media-types.md; Docker's schema 2). */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const MAX_REDIRECTS = 10;
/** Tries of a request that the server is too busy for, or that its connection was lost in. */
const MAX_TRIES = 5;
const RETRY_MS = 500;
/** Longest wait that a server may ask for, s; a longer one is told to the user. */
const MAX_RETRY_AFTER = 60;
/** Pages of a list of tags. */
const MAX_PAGES = 1000;

/** Where one registry answers. */
export interface Endpoint {
  /** `https://registry-1.docker.io` */
  readonly base: URL;
  /** The registry's name in configuration files. */
  readonly registry: string;
  readonly insecure: boolean;
}

export interface Manifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string | undefined;
  readonly digest: string;
}

/** What refers to a manifest (image-spec, `subject`). */
export interface Referrer extends TypedDescriptor {
  readonly artifactType: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

export interface ClientOptions {
  /** A server that says nothing for so long is given up, ms. */
  readonly idleMs?: number;
  /** For tokens: `pull`, `pull,push`. */
  readonly actions?: string;
  /** Whether certificates have to be good, and http is refused, whatever is configured (podman's --tls-verify). */
  readonly tlsVerify?: boolean | undefined;
  /** Instead of those of the configuration files. */
  readonly credentials?: Credentials;
}

/** One repository of a registry (OCI distribution-spec 1.1). Throws REGISTRY_*, IMAGE_DIGEST, IMAGE_NOT_FOUND. */
export class RegistryClient {
  readonly #endpoint: Endpoint;
  readonly #repository: string;
  readonly #http: Http;
  readonly #authorizer: Authorizer;
  #known = false;
  #keepsSignatures = false;

  constructor(endpoint: Endpoint, name: Pick<RegistryName, 'repository'>, env: Environment, options: ClientOptions = {}) {
    this.#endpoint = endpoint;
    this.#repository = name.repository;
    this.#http = new Http({ host: endpoint.registry, insecure: endpoint.insecure, env, ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }) });
    this.#authorizer = new Authorizer(this.#http, name.repository === '' ? '' : `repository:${name.repository}:${options.actions ?? 'pull'}`, async () => {
      const credentials = options.credentials ?? await findCredentials(endpoint.registry, name.repository, env);
      this.#known = credentials !== undefined;
      return credentials;
    });
  }

  /** True once anybody has answered at all. */
  get answered(): boolean {
    return this.#http.answered;
  }

  close(): void {
    this.#http.close();
  }

  /** A manifest or index by tag or digest, whose digest it then has. */
  async manifest(reference: string): Promise<Manifest> {
    const { response, url } = await this.#get(`manifests/${reference}`, { accept: MANIFEST_TYPES.join(', ') });
    const bytes = await readBody(response, JSON_MAX, url);
    const digest = reference.includes(':') ? reference : `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    checkDigest(bytes, digest, url);
    return { bytes, mediaType: response.headers['content-type']?.split(';')[0]?.trim(), digest };
  }

  /** A small blob, such as an image's configuration. */
  async document(descriptor: Pick<Descriptor, 'digest'>): Promise<Uint8Array> {
    const { response, url } = await this.#get(`blobs/${descriptor.digest}`, {});
    const bytes = await readBody(response, JSON_MAX, url);
    checkDigest(bytes, descriptor.digest, url);
    return bytes;
  }

  /**
   * Writes what is missing of a blob to its file, checking length and digest on the way; a connection that breaks is taken up
   * again where it broke. `received` is told how many bytes came, or (negative) are to come again.
   */
  async download(descriptor: Descriptor, into: Pick<IncomingBlob, 'fd' | 'at' | 'hash'>, received: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const { digest, size } = descriptor;
    const file = new BlobFile(descriptor, into, received);
    for (let failures = 0; ; ) {
      const before = file.at;
      const { response, url } = await this.#get(`blobs/${digest}`, before === 0 ? {} : { range: `bytes=${before}-` }, signal);
      if (before > 0 && !continues(response, before)) file.restart();
      const broken = await file.take(response, url, signal);
      if (broken === undefined && (size === 0 || file.at === size)) break;
      failures = file.at > before ? 0 : failures + 1;
      if (failures < MAX_TRIES) await sleep(RETRY_MS * failures, undefined, { signal });
      else throw broken === undefined ? answer(url, `ends ${digest} after ${file.at} of ${size} bytes`) : connectError(url, broken);
    }
    if (!file.matches()) throw wrongDigest(this.#endpoint.base.host, digest);
  }

  /** All tags, sorted as the registry has them. */
  async tags(): Promise<string[]> {
    const tags: string[] = [];
    let path: string | undefined = 'tags/list?n=1000';
    for (let page = 0; path !== undefined; page++) {
      const { response, url }: { response: HttpResponse; url: URL } = await this.#get(path, { accept: 'application/json' });
      if (page >= MAX_PAGES) throw answer(url, `has more than ${MAX_PAGES} pages of tags`);
      tags.push(...JsonObject.parse(await readBody(response, JSON_MAX, url), `${url.host}: list of tags`).strings('tags'));
      const next = /<([^>]+)>\s*;\s*rel="?next"?/.exec(String(response.headers['link'] ?? ''))?.[1];
      const target = next === undefined ? null : URL.parse(next, url.href);
      // The next page is a page of this list and of no other host.
      const prefix = this.#url('').href;
      if (target !== null && !target.href.startsWith(prefix)) throw answer(url, 'goes on with its tags somewhere else');
      path = target?.href.slice(prefix.length);
    }
    return tags;
  }

  /** The digest of what a tag stands for, by the registry's word; undefined when it does not say. */
  async digestOf(reference: string): Promise<string | undefined> {
    const url = this.#url(`manifests/${reference}`);
    const response = await this.#patient(() => this.#follow(url, { accept: MANIFEST_TYPES.join(', ') }, undefined, 'HEAD'), undefined);
    response.body.destroy();
    const digest = response.headers['docker-content-digest'];
    return response.status === 200 && typeof digest === 'string' ? digest : undefined;
  }

  /** What refers to a manifest, such as signatures: by the API of distribution-spec 1.1, else by the tag that stands in for it. */
  async referrers(digest: string): Promise<Referrer[]> {
    const { algorithm, hex } = splitDigest(digest, this.#endpoint.base.host);
    const url = this.#url(`referrers/${digest}`);
    const response = await this.#patient(() => this.#follow(url, { accept: OCI_INDEX }, undefined), undefined);
    const byApi = response.status === 200 && (response.headers['content-type'] ?? '').startsWith(OCI_INDEX);
    if (!byApi) response.body.destroy();
    if (response.status === 401 || response.status === 403) throw denied(url, this.#known);
    let bytes: Uint8Array;
    if (byApi) bytes = await readBody(response, JSON_MAX, url);
    else {
      try {
        ({ bytes } = await this.manifest(`${algorithm}-${hex}`));
      } catch (error) {
        if (error instanceof VmmError && error.code === 'IMAGE_NOT_FOUND') return [];
        throw error;
      }
    }
    return JsonObject.parse(bytes, `${url.host}: referrers`).objects('manifests').map((entry) => {
      const annotations = entry.object('annotations');
      return {
        digest: entry.string('digest'),
        size: entry.optionalNumber('size') ?? 0,
        mediaType: entry.string('mediaType'),
        artifactType: entry.optionalString('artifactType'),
        annotations: new Map(entry.keysOf('annotations').map((key) => [key, annotations?.optionalString(key) ?? ''])),
      };
    });
  }

  /** Whether it has said that it keeps simple signatures itself, as OpenShift's registry does (X-Registry-Supports-Signatures). */
  get keepsSignatures(): boolean {
    return this.#keepsSignatures;
  }

  /** The simple signatures that it keeps of a manifest (openshift/image-registry, docs/rest-api: extensions/v2). */
  async signatures(digest: string): Promise<Uint8Array[]> {
    const url = new URL(`/extensions/v2/${this.#repository}/signatures/${digest}`, this.#endpoint.base);
    const response = await this.#patient(() => this.#follow(url, { accept: 'application/json' }, undefined), undefined);
    if (response.status === 404) {
      response.body.destroy();
      return [];
    }
    if (response.status !== 200) throw await this.refused(response, url);
    const listed = JsonObject.parse(await readBody(response, JSON_MAX, url), `${url.host}: signatures`).objects('signatures');
    return listed.filter((entry) => entry.optionalNumber('schemaVersion') === 2 && entry.optionalString('type') === 'atomic').map((entry) => Buffer.from(entry.string('content'), 'base64'));
  }

  /** True when the repository has a blob. */
  async has({ digest }: Descriptor): Promise<boolean> {
    const url = this.#url(`blobs/${digest}`);
    const response = await this.#patient(() => this.#follow(url, {}, undefined, 'HEAD'), undefined);
    response.body.destroy();
    if (response.status === 401 || response.status === 403) throw denied(url, this.#known);
    return response.status === 200;
  }

  /** Puts a manifest under a tag or its digest. */
  async putManifest(reference: string, bytes: Uint8Array, mediaType: string): Promise<void> {
    const url = this.#url(`manifests/${reference}`);
    const response = await this.write({ method: 'PUT', url, headers: { 'content-type': mediaType, 'content-length': String(bytes.length) }, body: bytes });
    if (response.status !== 201) throw await this.refused(response, url);
    response.body.destroy();
  }

  /** For an upload: a path below the repository. */
  urlOf(path: string): URL {
    return this.#url(path);
  }

  /** For an upload: sends what changes something, with the login where it is the registry's own; no redirect is followed. */
  write(request: HttpRequest): Promise<HttpResponse> {
    const own = request.url.origin === this.#endpoint.base.origin;
    const full = { ...request, headers: { ...request.headers, 'user-agent': 'vmm' } };
    if (this.#endpoint.base.protocol === 'https:' && request.url.protocol !== 'https:') throw answer(this.#endpoint.base, `sends uploads to ${request.url.protocol}//${request.url.host}`);
    const send = (): Promise<HttpResponse> => (own ? this.#authorized(full) : this.#http.send(full, this.#endpoint.base));
    // A part of a blob that was lost on the way has to be asked about first.
    return request.method === 'PATCH' ? send() : this.#patient(send, request.signal);
  }

  /** What an answer that is no success says. */
  async refused(response: HttpResponse, url: URL): Promise<VmmError> {
    const reason = await errorOf(response, url);
    if (response.status === 401 || response.status === 403) return denied(url, this.#known);
    if (response.status === 404) {
      return new VmmError('IMAGE_NOT_FOUND', `${this.#endpoint.registry}/${this.#repository}: ${shownPath(url).split('/').slice(-2).join('/')} is not there${reason}`, { hint: 'see `vmm image tags NAME`' });
    }
    if (response.status === 429) return new VmmError('REGISTRY_LIMIT', `${url.host} takes no more requests for now${reason}`, { hint: `${after(response)}logged in, more may be allowed (vmm login)` });
    return answer(url, `answers ${response.status} for ${shownPath(url)}${reason}`);
  }

  /** True when the registry lets us in. */
  async check(): Promise<void> {
    const url = new URL('/v2/', this.#endpoint.base);
    const response = await this.#authorized({ method: 'GET', url, headers: {} });
    response.body.resume();
    if (response.status === 401 || response.status === 403) throw denied(url, this.#known);
    if (response.status !== 200) throw answer(url, `answers ${response.status}: it is no registry`);
  }

  #url(path: string): URL {
    return new URL(`/v2/${this.#repository}/${path}`, this.#endpoint.base);
  }

  async #get(path: string, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<{ response: HttpResponse; url: URL }> {
    const url = this.#url(path);
    const response = await this.#patient(() => this.#follow(url, headers, signal), signal);
    if (response.status === 200 || response.status === 206) return { response, url };
    throw await this.refused(response, url);
  }

  /** Repeats what a busy server or a lost connection has failed. */
  async #patient(send: () => Promise<HttpResponse>, signal: AbortSignal | undefined): Promise<HttpResponse> {
    for (let tries = 1; ; tries++) {
      let wait = RETRY_MS * tries;
      try {
        const response = await send();
        if (response.status !== 429 && response.status < 500) return response;
        const asked = retryAfter(response);
        if (tries >= MAX_TRIES || asked > MAX_RETRY_AFTER || (response.status === 429 && asked === 0)) return response;
        response.body.destroy();
        wait = Math.max(wait, asked * 1000);
      } catch (error) {
        signal?.throwIfAborted();
        const cause = (error as VmmError).cause as NodeJS.ErrnoException | undefined;
        if (tries >= MAX_TRIES || !(error instanceof VmmError) || error.code !== 'REGISTRY_CONNECT' || cause?.code !== 'ECONNRESET') throw error;
      }
      await sleep(wait, undefined, signal === undefined ? {} : { signal });
    }
  }

  /** Reads, following redirects: to another host without the login, and never from https to http. */
  async #follow(start: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined, method: 'GET' | 'HEAD' = 'GET'): Promise<HttpResponse> {
    let url = start;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const request: HttpRequest = { method, url, headers: { ...headers, 'user-agent': 'vmm' }, signal };
      const response = url.origin === start.origin ? await this.#authorized(request) : await this.#http.send(request, start);
      if (![301, 302, 303, 307, 308].includes(response.status)) return response;
      response.body.destroy();
      const next = URL.parse(response.headers.location ?? '', url.href);
      if (next === null || !/^https?:$/.test(next.protocol)) throw answer(url, 'redirects to nowhere');
      if (url.protocol === 'https:' && next.protocol !== 'https:') throw answer(url, `redirects from https to ${next.protocol}//${next.host}`);
      next.username = next.password = '';
      url = next;
    }
    throw answer(start, `redirects more than ${MAX_REDIRECTS} times`);
  }

  async #authorized(request: HttpRequest): Promise<HttpResponse> {
    const send = (): Promise<HttpResponse> => {
      const { header } = this.#authorizer;
      return this.#http.send(header === undefined ? request : { ...request, headers: { ...request.headers, authorization: header } });
    };
    const response = await send();
    this.#keepsSignatures ||= response.headers['x-registry-supports-signatures'] === '1';
    // A token may have run out; a second refusal is one.
    if (response.status !== 401 || !(await this.#authorizer.answer(request.url, response.headers['www-authenticate']))) return response;
    response.body.destroy();
    return send();
  }
}

function checkDigest(bytes: Uint8Array, digest: string, url: URL): void {
  const { algorithm, hex } = splitDigest(digest, url.host);
  if (createHash(algorithm).update(bytes).digest('hex') !== hex) throw wrongDigest(url.host, digest);
}

function wrongDigest(host: string, digest: string): VmmError {
  return new VmmError('IMAGE_DIGEST', `${host}: what it sends for ${digest} has another digest`, { hint: 'the registry, or a proxy, has damaged or changed it' });
}

/** Seconds that the server asks us to wait; 0 without a wish. */
function retryAfter({ headers }: HttpResponse): number {
  const text = headers['retry-after'] ?? '';
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}

function after(response: HttpResponse): string {
  const seconds = retryAfter(response);
  return seconds === 0 ? '' : `again in ${Math.ceil(seconds)} s; `;
}

/** The first message of an error's body (distribution-spec, "Error Codes"), as text that a terminal may show. */
async function errorOf(response: HttpResponse, url: URL): Promise<string> {
  try {
    const [first] = JsonObject.parse(await readBody(response, 65536, url), 'errors').objects('errors');
    const text = first?.optionalString('message') ?? first?.optionalString('code') ?? '';
    return text === '' ? '' : `: ${JSON.stringify(text.slice(0, 200)).slice(1, -1)}`;
  } catch {
    return '';
  }
}

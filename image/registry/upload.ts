import { readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../../base/errors.ts';
import type { Descriptor } from '../documents/descriptor.ts';
import type { RegistryClient } from './client.ts';
import { answer, type HttpResponse } from './http.ts';

const READ_CHUNK = 1 << 18;
const MAX_TRIES = 5;
const RETRY_MS = 500;

export interface UploadOptions {
  /** A repository of the same registry that has the blob, as far as we know. */
  readonly from: string | undefined;
  /** Told how many bytes went; negative for those that have to go again. */
  readonly sent: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Gives a blob to a repository (distribution-spec, "Pushing blobs"): taken over from another repository where that may be, else as
 * Docker sends it, a POST, one PATCH with all of it, a PUT with its digest. A connection that breaks is taken up where the registry
 * says that it broke. Throws REGISTRY_*.
 */
export async function uploadBlob(client: RegistryClient, descriptor: Descriptor, fd: number, options: UploadOptions): Promise<void> {
  const upload = new Upload(client, descriptor, fd, options);
  if (await upload.start(options.from)) return;
  for (let failures = 0; ; ) {
    const before = upload.at;
    try {
      await upload.send();
      await upload.finish();
      return;
    } catch (error) {
      options.signal.throwIfAborted();
      // Once a connection was lost, the registry may have forgotten the upload, or have finished it.
      const again = error instanceof VmmError && (error.code === 'REGISTRY_CONNECT' || (failures > 0 && /^(REGISTRY_ANSWER|IMAGE_NOT_FOUND)$/.test(error.code)));
      if (!again) throw error;
      failures = upload.at > before ? 1 : failures + 1;
      if (failures >= MAX_TRIES) throw error;
      await sleep(RETRY_MS * failures, undefined, { signal: options.signal });
      if (await client.has(descriptor)) return;
      await upload.resume();
    }
  }
}

class Upload {
  /** Bytes that the registry has. */
  at = 0;
  readonly #client: RegistryClient;
  readonly #descriptor: Descriptor;
  readonly #fd: number;
  readonly #options: UploadOptions;
  #location = new URL('https://unknown.invalid');
  #told = 0;

  constructor(client: RegistryClient, descriptor: Descriptor, fd: number, options: UploadOptions) {
    this.#client = client;
    this.#descriptor = descriptor;
    this.#fd = fd;
    this.#options = options;
  }

  /** True when nothing is left to do. */
  async start(from: string | undefined): Promise<boolean> {
    const url = this.#client.urlOf('blobs/uploads/');
    if (from !== undefined) {
      url.searchParams.set('mount', this.#descriptor.digest);
      url.searchParams.set('from', from);
    }
    const response = await this.#write('POST', url, { 'content-length': '0' });
    if (response.status === 201) {
      response.body.destroy();
      this.#tell(this.#descriptor.size);
      return true;
    }
    if (response.status !== 202) throw await this.#client.refused(response, url);
    this.#next(response, url);
    this.at = 0;
    return false;
  }

  /** All that the registry has not. */
  async send(): Promise<void> {
    const { size } = this.#descriptor;
    if (this.at === size) return;
    const from = this.at;
    const range = from === 0 ? {} : { 'content-range': `${from}-${size - 1}` };
    const url = this.#location;
    const response = await this.#client.write({
      method: 'PATCH', url, headers: { 'content-type': 'application/octet-stream', 'content-length': String(size - from), ...range }, body: () => this.#data(from), signal: this.#options.signal,
    });
    if (response.status !== 202) throw await this.#client.refused(response, url);
    this.#next(response, url);
    this.at = size;
  }

  async finish(): Promise<void> {
    const url = new URL(this.#location);
    url.searchParams.set('digest', this.#descriptor.digest);
    const response = await this.#write('PUT', url, { 'content-length': '0' });
    if (response.status !== 201) throw await this.#client.refused(response, url);
    response.body.destroy();
    this.#tell(this.#descriptor.size);
  }

  /** Asks where to go on; a registry that has forgotten the upload gets all of it again. */
  async resume(): Promise<void> {
    const response = await this.#write('GET', this.#location, {});
    if (response.status !== 204 && response.status !== 202) {
      response.body.destroy();
      await this.start(undefined);
    } else {
      const range = /^(?:bytes=)?0-(\d+)$/.exec(String(response.headers['range'] ?? ''));
      this.#next(response, this.#location);
      const has = range === null ? 0 : Number(range[1]) + 1;
      // Of nothing, too, some say 0-0.
      this.at = has <= 1 || has > this.#descriptor.size ? 0 : has;
      if (this.at === 0) await this.start(undefined);
    }
    this.#tell(this.at);
  }

  #write(method: 'GET' | 'POST' | 'PUT', url: URL, headers: Readonly<Record<string, string>>): Promise<HttpResponse> {
    return this.#client.write({ method, url, headers, signal: this.#options.signal });
  }

  /** Where the upload goes on: every answer may name another place. */
  #next(response: HttpResponse, url: URL): void {
    response.body.destroy();
    const next = URL.parse(response.headers.location ?? url.href, url.href);
    if (next === null || !/^https?:$/.test(next.protocol)) throw answer(url, 'sends an upload to nowhere');
    next.username = next.password = '';
    this.#location = next;
  }

  async *#data(from: number): AsyncGenerator<Uint8Array> {
    this.#tell(from);
    for (let at = from; at < this.#descriptor.size; ) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_CHUNK, this.#descriptor.size - at));
      const n = readSync(this.#fd, buffer, 0, buffer.length, at);
      if (n === 0) throw new VmmError('IMAGE_DIGEST', `the store’s ${this.#descriptor.digest} is cut off`, { hint: 'see `vmm image fsck --repair`, then pull or import the image again' });
      at += n;
      yield buffer.subarray(0, n);
      this.#tell(at);
    }
  }

  #tell(at: number): void {
    this.#options.sent(at - this.#told);
    this.#told = at;
  }
}

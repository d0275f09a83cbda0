import { createHash, type Hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import type { Descriptor } from '../documents/descriptor.ts';
import { splitDigest } from '../sources/blobs.ts';
import type { IncomingBlob } from '../store/intake.ts';
import { answer, type HttpResponse } from './http.ts';

/** A blob's file while it is filled. */
export class BlobFile {
  at: number;
  readonly #descriptor: Descriptor;
  readonly #fd: number;
  readonly #received: (bytes: number) => void;
  #hash: Hash;

  constructor(descriptor: Descriptor, { fd, at, hash }: Pick<IncomingBlob, 'fd' | 'at' | 'hash'>, received: (bytes: number) => void) {
    this.#descriptor = descriptor;
    this.#fd = fd;
    this.at = at;
    this.#hash = hash;
    this.#received = received;
  }

  /** The server does not go on: all comes again. */
  restart(): void {
    this.#received(-this.at);
    this.at = 0;
    this.#hash = createHash(splitDigest(this.#descriptor.digest, '').algorithm);
  }

  matches(): boolean {
    return this.#hash.copy().digest('hex') === splitDigest(this.#descriptor.digest, '').hex;
  }

  /** Takes an answer's bytes. What the connection broke by is returned, all else is thrown. */
  async take(response: HttpResponse, url: URL, signal: AbortSignal): Promise<unknown> {
    const { digest, size } = this.#descriptor;
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        if (this.at + chunk.length > size) throw answer(url, `sends more than the ${size} bytes of ${digest}`);
        for (let done = 0; done < chunk.length; ) done += writeSync(this.#fd, chunk, done, chunk.length - done, this.at + done);
        this.#hash.update(chunk);
        this.at += chunk.length;
        this.#received(chunk.length);
      }
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof VmmError || (cause as NodeJS.ErrnoException).syscall === 'write') throw cause;
      return cause;
    } finally {
      response.body.destroy();
    }
    return undefined;
  }
}

/** Whether a partial answer goes on at `at`; a whole one starts anew. Throws REGISTRY_ANSWER. */
export function continues(response: HttpResponse, at: number): boolean {
  if (response.status !== 206) return false;
  const range = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '');
  return Number(range?.[1] ?? -1) === at;
}

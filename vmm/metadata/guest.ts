/** The service of a pod's own guest: init listens on a link-local address there, and this process answers. */
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { Stream } from '../agent/transport.ts';
import type { PodDocument } from './answers.ts';

/**
 * Where clouds have theirs (RFC 3927 addresses never leave the guest), and at rkt's port. Init listens at the latter alone: at 80 it would keep each
 * app from port 80 of all addresses (docs/decisions/0042).
 */
export const METADATA_LISTEN = { address: '169.254.169.254', prefix: 32, port: 18_112, sharedPort: 80 } as const;

/** A connection that does nothing for so long is dropped, ms. */
const IDLE_MS = 10_000;

export class GuestMetadata {
  readonly #pod: () => PodDocument;
  readonly #key: Uint8Array;
  readonly #token = randomBytes(16).toString('hex');
  #server: Promise<Server> | undefined;

  /** `pod`: asked for each time, since apps come and go. */
  constructor(pod: () => PodDocument, key: Uint8Array) {
    this.#pod = pod;
    this.#key = key;
  }

  /** AC_METADATA_URL. */
  get url(): string {
    return `http://${METADATA_LISTEN.address}/${this.#token}`;
  }

  /** A connection of the guest's. */
  async take(stream: Stream): Promise<void> {
    this.#server ??= this.#made();
    const [server, { streamDuplex }] = await Promise.all([this.#server, import('./duplex.ts')]);
    server.emit('connection', streamDuplex(stream, IDLE_MS));
  }

  /** Node's HTTP is loaded with the first connection: most pods make none. */
  async #made(): Promise<Server> {
    const { metadataServer } = await import('./server.ts');
    return metadataServer((token) => (token === this.#token ? this.#pod() : undefined), this.#key);
  }
}

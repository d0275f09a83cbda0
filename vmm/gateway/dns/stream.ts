import type { Connection } from '../tcp/connection.ts';
import type { HostEnd } from '../tcp/ends.ts';
import { type Forwarder, MessageReader, withLength } from './forwarder.ts';

/** Questions of one connection that are not answered yet. */
const ASKED_MAX = 16;

/** The gateway's own end of a connection for DNS by TCP (RFC 7766). */
export class DnsStream implements HostEnd {
  #reader = new MessageReader();
  readonly #forwarder: Forwarder;
  readonly #connection: Connection;
  #asked = 0;
  #ended = false;

  constructor(forwarder: Forwarder, connection: Connection) {
    this.#forwarder = forwarder;
    this.#connection = connection;
  }

  get waiting(): number {
    return this.#reader.waiting;
  }

  write(bytes: Uint8Array): void {
    for (const query of this.#reader.add(bytes)) {
      this.#asked++;
      const asked = this.#asked <= ASKED_MAX && this.#forwarder.ask(query, true, (answer) => {
        this.#asked--;
        // Who asks and never reads is not to fill what others need.
        if (this.#connection.data(withLength(answer))) this.#over();
        else this.#connection.abort();
      });
      if (asked) continue;
      this.#connection.abort();
      return;
    }
  }

  end(): void {
    this.#ended = true;
    this.#reader = new MessageReader();
    this.#over();
  }

  #over(): void {
    if (this.#ended && this.#asked === 0) this.#connection.ended();
  }

  reset(): void {
    // Its answers find the connection closed.
  }

  pause(): void {
    // Nor to stop reading.
  }

  resume(): void {
    // It has nothing of its own to read.
  }
}

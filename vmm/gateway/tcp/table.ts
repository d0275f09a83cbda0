import { get16, sameBytes } from '../link/wire.ts';
import type { Connection } from './connection.ts';
import type { Tuple } from './ends.ts';

/** Connections by their tuple. */
export class ConnectionTable {
  readonly #chains = new Map<number, Connection>();
  size = 0;

  #hash({ remote, remotePort, guestPort }: Pick<Tuple, 'remote' | 'remotePort' | 'guestPort'>): number {
    const low = get16(remote, remote.length - 2) ^ get16(remote, remote.length - 4);
    return (((guestPort << 16) | remotePort) ^ Math.imul(low, 0x9e3779b1)) >>> 0;
  }

  get(tuple: Tuple): Connection | undefined {
    for (let one = this.#chains.get(this.#hash(tuple)); one !== undefined; one = one.following) {
      const { remote, remotePort, guest, guestPort } = one.tuple;
      if (remotePort === tuple.remotePort && guestPort === tuple.guestPort && sameBytes(remote, tuple.remote) && sameBytes(guest, tuple.guest)) return one;
    }
    return undefined;
  }

  add(connection: Connection): void {
    const hash = this.#hash(connection.tuple);
    connection.following = this.#chains.get(hash);
    this.#chains.set(hash, connection);
    this.size++;
  }

  delete(connection: Connection): void {
    const hash = this.#hash(connection.tuple);
    const first = this.#chains.get(hash);
    let before: Connection | undefined;
    for (let one = first; one !== undefined; before = one, one = one.following) {
      if (one !== connection) continue;
      if (before !== undefined) before.following = one.following;
      else if (one.following !== undefined) this.#chains.set(hash, one.following);
      else this.#chains.delete(hash);
      this.size--;
      return;
    }
  }

  *[Symbol.iterator](): Generator<Connection> {
    for (const first of this.#chains.values()) {
      for (let one: Connection | undefined = first; one !== undefined;) {
        const { following }: Connection = one; // it may go while it is looked at
        yield one;
        one = following;
      }
    }
  }
}

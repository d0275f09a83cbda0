/** Which addresses were answered for which names, and until when. */
import { addressText } from '../link/address.ts';
import type { DnsRecord, Question } from '../dns/message.ts';

const PINS_MAX = 4096;
/** Whoever has an answer needs a moment to make use of it, whatever its TTL. */
const FLOOR_MS = 5000;
const LONGEST_MS = 24 * 3600 * 1000;
const CHAIN_MAX = 16;

export class Pins {
  /** By address, then by name, when it ends; the addresses that were answered last come last. */
  readonly #byAddress = new Map<string, Map<string, number>>();
  #count = 0;

  /** Keeps what an answer says of the name that was asked for: addresses at the end of its chain of aliases. */
  add({ name }: Question, records: readonly DnsRecord[], now: number): void {
    let [owner, ttl] = [name, Number.POSITIVE_INFINITY];
    for (let step = 0; step < CHAIN_MAX; step++) {
      for (const { name: of, address, ttl: own } of records) {
        if (of === owner && address !== undefined) this.#pin(addressText(address), name, now + lifetime(Math.min(ttl, own)));
      }
      const alias = records.find(({ name: of, target }) => of === owner && target !== undefined);
      if (alias?.target === undefined) return;
      [owner, ttl] = [alias.target, Math.min(ttl, alias.ttl)];
    }
  }

  #pin(address: string, name: string, until: number): void {
    const names = this.#byAddress.get(address) ?? new Map<string, number>();
    if (!names.has(name)) this.#count++;
    names.set(name, Math.max(until, names.get(name) ?? 0));
    this.#byAddress.delete(address);
    this.#byAddress.set(address, names);
    while (this.#count > PINS_MAX) {
      const [oldest] = this.#byAddress.keys();
      this.#count -= this.#byAddress.get(oldest as string)?.size ?? 0;
      this.#byAddress.delete(oldest as string);
    }
  }

  /** The names whose address this is now. */
  names(address: Uint8Array, now: number): string[] {
    const text = addressText(address);
    const names = this.#byAddress.get(text);
    if (names === undefined) return [];
    for (const [name, until] of names) {
      if (until > now) continue;
      names.delete(name);
      this.#count--;
    }
    if (names.size === 0) this.#byAddress.delete(text);
    return [...names.keys()];
  }

  get size(): number {
    return this.#count;
  }
}

/** RFC 2181 8: a TTL with its highest bit set is 0. */
function lifetime(ttl: number): number {
  return Math.min(LONGEST_MS, Math.max(FLOOR_MS, ttl >= 2 ** 31 ? 0 : ttl * 1000));
}

/** The host's own addresses, as they are now. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { addressText, parseIp } from '../link/address.ts';

/** For so long a list is taken for what is. A connection that has come to be is looked at again. */
const FRESH_MS = 1000;

export class OwnAddresses {
  #at = Number.NEGATIVE_INFINITY;
  #known: ReadonlySet<string> = new Set();

  has(address: Uint8Array): boolean {
    const now = performance.now();
    if (now - this.#at > FRESH_MS) {
      this.#known = ownAddresses();
      this.#at = now;
    }
    return this.#known.has(addressText(address));
  }
}

/** The kernel's tables have those without a carrier, too; else Node's. */
function ownAddresses(): ReadonlySet<string> {
  try {
    return new Set([...localV4(readFileSync('/proc/self/net/fib_trie', 'latin1')), ...localV6()]);
  } catch {
    try {
      return new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => addressText(parseIp(address.split('%')[0] as string)))));
    } catch {
      return new Set();
    }
  }
}

/** Documentation/networking: leaves of the trie are `|-- ADDRESS`, then what is known of it: `/32 host LOCAL`. */
function localV4(trie: string): string[] {
  return [...trie.matchAll(/\|-- (\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/g)].map(([, address]) => address as string);
}

function localV6(): string[] {
  try {
    return readFileSync('/proc/self/net/if_inet6', 'latin1').split('\n').filter((line) => line !== '').map((line) => addressText(Uint8Array.from(Buffer.from(line.slice(0, 32), 'hex'))));
  } catch {
    return []; // a kernel without IPv6
  }
}

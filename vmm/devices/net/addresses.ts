import { readFileSync } from 'node:fs';
import { VmmError } from '../../../base/errors.ts';
import { interfaceAddress } from '../../host/net.ts';

/** The host's addresses on an interface, with how many bits name their network. Node lists only those that have a carrier, which a tap has not yet. */
export function hostAddresses(name: string): { readonly address: string; readonly prefix: number }[] {
  return [...v4(name), ...v6(name)];
}

function v4(name: string): { address: string; prefix: number }[] {
  try {
    const found = interfaceAddress(name);
    if (found === undefined) return [];
    const prefix = [...found.mask].map((byte) => byte.toString(2).replaceAll('0', '').length).reduce((sum, bits) => sum + bits, 0);
    return [{ address: found.address.join('.'), prefix }];
  } catch (error) {
    if (error instanceof VmmError) return []; // no FFI library: whoever opens the tap says so
    throw error;
  }
}

/** /proc/net/if_inet6: address, index, prefix length, scope, flags, name; all numbers in hexadecimal. */
function v6(name: string): { address: string; prefix: number }[] {
  let table: string;
  try {
    table = readFileSync('/proc/net/if_inet6', 'latin1');
  } catch {
    return []; // a kernel without IPv6
  }
  return table.split('\n').flatMap((line) => {
    const [digits = '', , bits = '', scope = '', , interfaceName] = line.trim().split(/\s+/);
    if (interfaceName !== name || scope === '20') return [];
    return [{ address: (digits.match(/.{4}/g) ?? []).join(':'), prefix: Number.parseInt(bits, 16) }];
  });
}

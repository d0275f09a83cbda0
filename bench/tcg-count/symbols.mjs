// Sums a plugin's "ADDRESS COUNT" file by the symbols of a System.map.
import { readFileSync } from 'node:fs';

const KERNEL_BASE = 0xffffffff80000000n;

/** Text symbols of a System.map, by address: [{ address, name }], and a lookup by name. */
export function readSystemMap(path) {
  const symbols = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const match = /^([0-9a-f]{16}) [tTwW] (\S+)$/.exec(line);
    if (match) symbols.push({ address: BigInt(`0x${match[1]}`), name: match[2] });
  }
  symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  return symbols;
}

export function addressOf(symbols, name) {
  const symbol = symbols.find((each) => each.name === name);
  if (!symbol) throw new Error(`System.map has no ${name}`);
  return symbol.address;
}

/** The address where the kernel's image puts `virtual` before paging is its own. */
export const physical = (virtual) => virtual - KERNEL_BASE;

/** Instructions by symbol: Map of name to count. Code at physical addresses (before paging) is named by its virtual one. */
export function bySymbol(symbols, countsPath) {
  const totals = new Map();
  for (const line of readFileSync(countsPath, 'utf8').split('\n')) {
    if (line === '') continue;
    const [hex, decimal] = line.split(' ');
    let address = BigInt(`0x${hex}`);
    if (address < 1n << 47n) address += KERNEL_BASE;
    const name = find(symbols, address);
    totals.set(name, (totals.get(name) ?? 0) + Number(decimal));
  }
  return totals;
}

function find(symbols, address) {
  let low = 0;
  let high = symbols.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (symbols[middle].address <= address) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? '(before the first symbol)' : symbols[low - 1].name;
}

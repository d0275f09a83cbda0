/** Arguments and variables whose bytes are not UTF-8: Node puts U+FFFD in their place. */
import { readFileSync } from 'node:fs';
import { VmmError } from '../api/errors.ts';

/** Arguments of Node itself come before ours, so words are counted from the end. Throws USAGE for the first that lost bytes. */
export function refuseLostArguments(): void {
  const words = split(readFileSync('/proc/self/cmdline'));
  const own = words.slice(words.length - process.argv.length + 2);
  own.forEach((word, index) => {
    if (!isUtf8(word)) throw new VmmError('USAGE', `argument ${index + 1} is not UTF-8: ${escaped(word)}`, { hint: 'texts and paths are taken in UTF-8' });
  });
}

/** Throws USAGE when this variable of our own environment is not UTF-8. */
export function refuseLostVariable(name: string): void {
  const prefix = Buffer.from(`${name}=`);
  const entry = split(readFileSync('/proc/self/environ')).find((candidate) => candidate.subarray(0, prefix.length).equals(prefix));
  if (entry !== undefined && !isUtf8(entry)) throw new VmmError('USAGE', `the variable ${name} is not UTF-8: ${escaped(entry.subarray(prefix.length))}`, { hint: 'texts and paths are taken in UTF-8' });
}

function split(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let from = 0, to = bytes.indexOf(0); to >= 0; from = to + 1, to = bytes.indexOf(0, from)) parts.push(bytes.subarray(from, to));
  return parts;
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes);
}

/** Printable ASCII as it is, other bytes as `\xHH`. */
function escaped(bytes: Buffer): string {
  return Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)).join('');
}

import { nameAddresses, readSymbols, type SymbolNames } from '../boot/symbols.ts';
import { guestFile } from './files.ts';

/** Once asked, the names from `path`: a System.map or an unstripped kernel; undefined when it has none or cannot be read. */
export function symbolsFrom(path: () => string): () => SymbolNames | undefined {
  let known: { readonly names: SymbolNames | undefined } | undefined;
  const read = (): SymbolNames | undefined => {
    try {
      return readSymbols(path());
    } catch {
      // What is to be told here is how the guest ended, with names or without.
      return undefined;
    }
  };
  return () => {
    known ??= { names: read() };
    return known.names;
  };
}

/** Names for our own kernel. */
export const ownSymbols = symbolsFrom(() => guestFile('System.map'));

/** The lines of the kernel's messages with addresses that have a name, each with its names; empty when there are none. */
export function namedLines(messages: string, symbols: SymbolNames): string[] {
  return messages.split(/\r?\n/).flatMap((line) => {
    const named = nameAddresses(line, symbols);
    return named === line ? [] : [named];
  });
}

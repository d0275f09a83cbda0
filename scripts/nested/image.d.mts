/** Those of a command's words that name host files which the nested root would not have, as absolute paths. */
export function pathsAmong(words: readonly string[], cwd?: string): string[];
/** A word as the shell reads it back. */
export function shellQuote(word: string): string;

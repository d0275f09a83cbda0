let opened = false;

/** Our standard input, from here on held open. */
export function standardInput(): typeof process.stdin {
  opened = true;
  return process.stdin;
}

/** Lets go of it. Where nobody has asked for it that would have Node make it first, with a dozen modules, at the end of each run. */
export function closeStandardInput(): void {
  if (opened) process.stdin.destroy();
}

/** Those of a command's words that name host files which the nested root would not have, as absolute paths. */
export function pathsAmong(words: readonly string[], cwd?: string): string[];
/** A word as the shell reads it back. */
export function shellQuote(word: string): string;
/** Makes the disk of one run with the built project, `take` and more; returns the paths to mount. */
export function makeProjectDisk(image: string, take?: readonly (string | { host: string; guest: string })[]): string[];
/** A shell command that mounts such a disk and what lies on it. */
export function mountProject(disk: string, tops: readonly string[]): string;
/** Makes what is missing of the nested machine and says where it is: bzImage, initramfs and root disk. */
export function prepare(): { readonly kernel: string; readonly initrd: string; readonly rootDisk: string };

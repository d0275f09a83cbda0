/** The user's cache: what can be made again, `$XDG_CACHE_HOME/vmm` or `~/.cache/vmm` (XDG Base Directory Specification 0.8). */
import { lstatSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { makeFolders } from './folders.ts';

export function userCache(...names: string[]): string {
  const set = process.env['XDG_CACHE_HOME'] ?? '';
  return join(isAbsolute(set) ? set : join(homedir(), '.cache'), 'vmm', ...names);
}

/** Whether nobody but this user (and root) can have put it there, or can change it. */
export function isOwn({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

/**
 * Makes a folder of the cache where it is missing. Throws what the system says, EPERM for a folder that is not the user's own, or that root
 * would make in somebody else's: `sudo` may keep HOME, and its owner could no longer write there; and ENOENT where the home would have to be made:
 * Debian's users without one have /nonexistent, which nothing may make.
 */
export function makeOwnFolder(path: string): void {
  const refuse = (at: string): never => {
    throw Object.assign(new Error(`EPERM: ${at} belongs to somebody else`), { code: 'EPERM' });
  };
  let above = path;
  while (lstatSync(above, { throwIfNoEntry: false }) === undefined) {
    if (above === homedir()) throw Object.assign(new Error(`ENOENT: there is no home ${above}`), { code: 'ENOENT' });
    above = dirname(above);
  }
  if (process.geteuid?.() === 0 && lstatSync(above).uid !== 0) refuse(above);
  makeFolders(path, 0o700);
  if (!isOwn(lstatSync(path))) refuse(path);
}

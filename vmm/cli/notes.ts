import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { makeOwnFolder, userCache } from '../../base/user-cache.ts';

const DAY_MS = 86_400_000;

/** Whether this user has not been told `name` within a day; from now on they have. Where no cache can be written: true. */
export function firstToday(name: string): boolean {
  const path = userCache(`told-${name}`);
  const now = new Date();
  try {
    const told = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (told !== undefined && told <= now.getTime() && now.getTime() - told < DAY_MS) return false;
    makeOwnFolder(userCache());
    writeFileSync(path, '', { flag: 'a' });
    utimesSync(path, now, now);
  } catch {
    // a read-only or full disk
  }
  return true;
}

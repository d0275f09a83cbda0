import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const DAY_MS = 86_400_000;

/** Whether this user has not been told `name` within a day; from now on they have. Where no cache can be written: true. */
export function firstToday(name: string): boolean {
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'vmm');
  const path = join(folder, `told-${name}`);
  const now = new Date();
  try {
    const told = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (told !== undefined && told <= now.getTime() && now.getTime() - told < DAY_MS) return false;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(path, '', { flag: 'a' });
    utimesSync(path, now, now);
  } catch {
    // a read-only or full disk
  }
  return true;
}

/** Small documents that appear whole, and locks on folders that end with their process. */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, lstatSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../../image/store/lock.ts';
import type { LoadHost } from '../../image/tree/host.ts';

const MAX_DOCUMENT = 1 << 20;
/** Between two tries for a lock, ms. */
const TRY_MS = 20;

/** Most documents fit. */
const usual = Buffer.alloc(16 << 10);

/** Without a look at the file's size first: `ps` reads many. */
export function readSmall(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const length = readSync(fd, usual, 0, usual.length, 0);
    if (length < usual.length) return usual.toString('utf8', 0, length);
    return fstatSync(fd).size > MAX_DOCUMENT ? undefined : readFileSync(fd, 'utf8');
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Undefined for what is no JSON. */
export function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The old document or the new one, whatever ends the process; `durable`: or the host. */
export function writeWhole(path: string, document: unknown, durable = false): void {
  const made = `${path}.new`;
  try {
    const fd = openSync(made, 'w', 0o600);
    try {
      writeFileSync(fd, JSON.stringify(document));
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(made, path);
  } catch (error) {
    rmSync(made, { force: true });
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    overwrite(path, JSON.stringify(document));
  }
}

/** On a full disk an older document's own room is there. */
function overwrite(path: string, text: string): void {
  const fd = openSync(path, 'r+');
  try {
    writeFileSync(fd, text);
    ftruncateSync(fd, Buffer.byteLength(text));
  } finally {
    closeSync(fd);
  }
}

/** A locked folder. The lock goes with the process, however it ends. */
export interface Held extends Disposable {
  release(): void;
}

/**
 * Locks a folder against others that do so. Undefined: somebody else has it after `patience` ms; 'gone': there is none, or it was removed
 * meanwhile. Throws STORE_LOCK.
 */
export async function hold(folder: string, host: LoadHost | undefined, patience: number): Promise<Held | 'gone' | undefined> {
  let fd: number;
  try {
    fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone';
    throw error;
  }
  const last = performance.now() + patience;
  try {
    while (!(await tryLock(fd, host))) {
      if (performance.now() >= last) {
        closeSync(fd);
        return undefined;
      }
      await sleep(TRY_MS);
    }
    if (lstatSync(folder, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) {
      closeSync(fd);
      return 'gone';
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const release = (): void => closeSync(fd);
  return { release, [Symbol.dispose]: release };
}

import { closeSync, constants, fchmodSync, fstatSync, linkSync, lstatSync, openSync, readdirSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { randomBytes } from '../../base/random.ts';
import { isOwnName } from './forms.ts';
import { STORE_FOLDERS, type StorePaths } from './paths.ts';

/** A folder with this file is a store; it also is what is locked. */
const MARKER = 'vmm-store';
const TEXT = 'vmm image store, version ';
const VERSION = 1;
/** What a file system has at its top by itself. */
const TOLERATED = new Set(['lost+found']);
/** A marker that is not whole yet; left by a crash it is never looked at again. */
const UNFINISHED = /^vmm-store\.[0-9a-f]{12}$/;

/**
 * Opens the marker of the store whose folder is open as `root`, or makes it: in an empty folder, or one that holds nothing but
 * files as vmm names them, as stores of versions before the marker do. Returns its descriptor.
 * Throws STORE_FOREIGN for any other folder, STORE_VERSION, or the file system's error.
 */
export function openMarker(root: number, paths: StorePaths): number {
  const path = `/proc/self/fd/${root}/${MARKER}`;
  for (;;) {
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        checkMarker(fd, paths);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      return fd;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ELOOP') throw foreign(paths, MARKER);
      if (code !== 'ENOENT') throw error;
    }
    const stranger = findStranger(root);
    if (stranger !== undefined) throw foreign(paths, stranger);
    makeMarker(root);
  }
}

/** Makes the store's folders where they are missing. */
export function makeStoreFolders(root: number): void {
  for (const folder of STORE_FOLDERS) makeFolders(`/proc/self/fd/${root}/${folder}`);
}

function checkMarker(fd: number, paths: StorePaths): void {
  const bytes = Buffer.alloc(TEXT.length + 12);
  const text = fstatSync(fd).isFile() ? bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0)) : '';
  const version = text.startsWith(TEXT) ? /^(\d{1,9})\n/.exec(text.slice(TEXT.length))?.[1] : undefined;
  if (version === undefined) throw foreign(paths, MARKER);
  if (Number(version) > VERSION) {
    throw new VmmError('STORE_VERSION', `${paths.root} is an image store of version ${version}, this vmm knows version ${VERSION}`, { hint: 'change it with the newer vmm, or set VMM_STORE' });
  }
}

/** Whole or not at all, and of two that make it at once the first one's stays: what is locked must not be replaced. */
function makeMarker(root: number): void {
  const marker = `/proc/self/fd/${root}/${MARKER}`;
  const temporary = `${marker}.${randomBytes(6).toString('hex')}`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    // Who may not write here need not be able to hold the lock.
    if ((fstatSync(root).mode & 0o020) !== 0) fchmodSync(fd, 0o660);
    writeSync(fd, `${TEXT}${VERSION}\n`);
    linkSync(temporary, marker);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    closeSync(fd);
    unlinkSync(temporary);
  }
}

/** Something in the folder that vmm did not write. */
function findStranger(root: number): string | undefined {
  const at = `/proc/self/fd/${root}`;
  for (const name of readdirSync(at)) {
    if (TOLERATED.has(name) || UNFINISHED.test(name)) continue;
    const folder = STORE_FOLDERS.find((own) => own === name);
    if (folder === undefined || !lstatSync(`${at}/${name}`).isDirectory()) return name;
    for (const entry of readdirSync(`${at}/${name}`, { withFileTypes: true })) {
      if (!entry.isFile() || !isOwnName(folder, entry.name)) return `${name}/${entry.name}`;
    }
  }
  return undefined;
}

function foreign(paths: StorePaths, what: string): VmmError {
  return new VmmError('STORE_FOREIGN', `${paths.root} is no image store: ${JSON.stringify(what.slice(0, 200))} in it is not vmm's`, { hint: 'nothing was changed; set VMM_STORE to an empty or new directory' });
}

import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { openRegular, readBounded } from './file.ts';
import { ARMOUR_MAX, type Key, readPublicKey } from './openpgp.ts';
import { isAcIdentifier } from './schema/names.ts';

/** `root.d/FINGERPRINT`, `prefix.d/PREFIX/FINGERPRINT`: 40 hexadecimal digits, an armoured key each; an empty file disables the key of its name. */
const FINGERPRINT = /^[0-9a-f]{40}$/;

export interface KeystorePaths {
  /** Read in this order; later ones count before earlier ones. */
  readonly read: readonly string[];
  readonly system: string;
  readonly user: string;
}

/** rkt's stores are read, ours too and written. */
export function keystorePaths(env: Readonly<Record<string, string | undefined>>): KeystorePaths {
  const config = env['XDG_CONFIG_HOME'] ?? '';
  const user = join(isAbsolute(config) ? config : join(env['HOME'] || homedir(), '.config'), 'vmm', 'trustedkeys');
  const system = '/etc/vmm/trustedkeys';
  return { read: ['/usr/lib/rkt/trustedkeys', '/etc/rkt/trustedkeys', system, user], system, user };
}

/** For which images a key is trusted: those whose name is the prefix, or goes on behind it with a slash. undefined: all. */
export type Prefix = string | undefined;

/** The keys that may sign images of a name. What cannot be used is left out, and told. */
export async function keysFor(paths: KeystorePaths, name: string, note: (text: string) => void): Promise<Key[]> {
  const parts = name.split('/');
  const folders = [
    ...paths.read.map((base) => join(base, 'root.d')),
    ...paths.read.flatMap((base) => parts.map((_, i) => join(base, 'prefix.d', ...parts.slice(0, i + 1)))),
  ];
  const files = new Map<string, string>();
  for (const folder of isAcIdentifier(name) && !parts.includes('..') && !parts.includes('.') ? folders : []) {
    for (const file of fingerprints(folder)) {
      // The later file of a name counts, and an empty one says: no.
      files.delete(file);
      files.set(file, join(folder, file));
    }
  }
  const keys: Key[] = [];
  for (const [fingerprint, path] of files) {
    try {
      const key = await readTrusted(path, fingerprint);
      if (key !== undefined) keys.push(key);
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      note(`key left out: ${error.message}`);
    }
  }
  return keys;
}

function fingerprints(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => FINGERPRINT.test(name));
  } catch {
    return []; // most of these folders are not there
  }
}

async function readTrusted(path: string, fingerprint: string): Promise<Key | undefined> {
  const fd = openRegular(path);
  try {
    const { size, mode, uid } = fstatSync(fd);
    if (size === 0) return undefined;
    if ((mode & 0o002) !== 0 || (uid !== 0 && uid !== process.geteuid?.())) throw new VmmError('ACI_KEY', `${path}: others may change it`, { hint: 'chmod 644, and give it to root or yourself' });
  } finally {
    closeSync(fd);
  }
  const key = await readPublicKey(readBounded(path, ARMOUR_MAX), path);
  if (key.getFingerprint() !== fingerprint) throw new VmmError('ACI_KEY', `${path}: holds the key ${key.getFingerprint()}`, { hint: 'its name must be its fingerprint' });
  return key;
}

/** Keeps a key as trusted for a prefix, or for all images. Returns its file. Throws ACI_KEY, USAGE. */
export function trustKey(store: string, prefix: Prefix, key: Key): string {
  if (prefix !== undefined && (!isAcIdentifier(prefix) || prefix.split('/').some((part) => part === '' || part === '.' || part === '..'))) {
    throw new VmmError('USAGE', `${JSON.stringify(prefix.slice(0, 200))} is no beginning of an image's name`, { hint: 'for example example.com/apps' });
  }
  const folder = prefix === undefined ? join(store, 'root.d') : join(store, 'prefix.d', ...prefix.split('/'));
  const path = join(folder, key.getFingerprint());
  const temporary = join(folder, `.${randomBytes(8).toString('hex')}`);
  try {
    makeFolders(folder, 0o755);
    writeFileSync(temporary, key.armor(), { mode: 0o644, flag: 'wx' });
    renameSync(temporary, path);
    return path;
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new VmmError('ACI_KEY', `cannot keep the key in ${folder}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
}

/** The key by which pods of this host sign for each other. */
import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { VmmError } from '../../base/errors.ts';

const SIZE = 64;

/** Of the whole host for root, of a user for others. */
function metadataKeyPath(uid = process.getuid?.() ?? 0, env: NodeJS.ProcessEnv = process.env): string {
  if (uid === 0) return '/var/lib/vmm/mds.key';
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'vmm/mds.key');
}

/** Reads the key, and makes it where there is none: whole, whoever else makes it at the same time. Throws METADATA_KEY. */
export function metadataKey(path = metadataKeyPath()): Uint8Array {
  try {
    return keyOf(path) ?? made(path);
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('METADATA_KEY', `${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'it has to be a file of 64 bytes, this user’s own, in a directory that can be written' });
  }
}

/** The same; where it cannot be had, one of the pod's own, and a line: nobody else verifies what it signs. */
export function podKey(note: (text: string) => void): Uint8Array {
  try {
    return metadataKey();
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    note(`signatures of this pod are of a key of its own: ${error.message}`);
    return randomBytes(SIZE);
  }
}

/** undefined: there is none. */
function keyOf(path: string): Uint8Array | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const bad = ((): string | undefined => {
    if (!stat.isFile() || stat.size !== SIZE) return `is no file of ${SIZE} bytes`;
    if (stat.uid !== process.getuid?.()) return 'is another user’s';
    return (stat.mode & 0o077) !== 0 ? 'can be read by others' : undefined;
  })();
  if (bad !== undefined) throw new VmmError('METADATA_KEY', `${path} ${bad}`, { hint: 'remove it: a new one is made, and signatures of before are not verified any more' });
  return readFileSync(path);
}

function made(path: string): Uint8Array {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, randomBytes(SIZE), { mode: 0o600, flag: 'wx' });
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const key = keyOf(path);
  if (key === undefined) throw new VmmError('METADATA_KEY', `${path}: it is gone again`, { hint: 'try again' });
  return key;
}

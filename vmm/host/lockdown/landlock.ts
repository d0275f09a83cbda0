/** Which files may still be opened (Linux, Documentation/userspace-api/landlock.rst). Descriptors that are open are not touched. */
import { HostCallError } from '../errno.ts';
import { close, open } from '../sys.ts';
import { O_PATH } from '../uapi/linux.ts';
import {
  LANDLOCK_ACCESS_FS_EXECUTE, LANDLOCK_ACCESS_FS_IOCTL_DEV, LANDLOCK_ACCESS_FS_MAKE_REG, LANDLOCK_ACCESS_FS_MAKE_SYM, LANDLOCK_ACCESS_FS_READ_DIR, LANDLOCK_ACCESS_FS_READ_FILE, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REMOVE_FILE,
  LANDLOCK_ACCESS_FS_TRUNCATE, LANDLOCK_ACCESS_FS_WRITE_FILE, LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET,
} from '../uapi/lockdown.ts';
import { landlockAllow, landlockCreate } from './calls.ts';

/** Files and folders that may be opened, with what is beneath; one that does not exist is left out. */
export interface OpenPaths {
  readonly read: readonly string[];
  /** Read, written and controlled by ioctl: /dev/kvm. */
  readonly device: readonly string[];
  /** Files in these folders may be removed: sockets of our own. */
  readonly remove: readonly string[];
  /** Folders for files of our own: made, written, renamed and removed there. */
  readonly write?: readonly string[] | undefined;
  /** Connections by TCP may be made, and taken. */
  readonly network?: boolean | undefined;
}

const OWN_FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_TRUNCATE;

/** All rights on files that a version of Landlock knows: the first has MAKE_SYM as its last. */
function fileRights(version: number): number {
  let rights = 2 * LANDLOCK_ACCESS_FS_MAKE_SYM - 1;
  if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
  if (version >= 5) rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
  return rights;
}

/** Descriptor of a rule set for a kernel with this version of Landlock (1 or above): all is refused but for `paths`. */
export function landlockRules(version: number, paths: OpenPaths): number {
  const handled = fileRights(version);
  const ruleset = emptyRules(version, paths.network);
  const read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  const device = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_IOCTL_DEV;
  for (const path of paths.read) allow(ruleset, path, read & handled);
  for (const path of paths.device) allow(ruleset, path, device & handled);
  for (const path of paths.remove) allow(ruleset, path, LANDLOCK_ACCESS_FS_REMOVE_FILE);
  for (const path of paths.write ?? []) allow(ruleset, path, OWN_FILES & handled);
  return ruleset;
}

/** A rule set that refuses all. */
function emptyRules(version: number, connections = false): number {
  const network = version >= 4 && !connections ? LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP : 0;
  const scoped = version >= 6 ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET : 0;
  const words = [fileRights(version), network, scoped].slice(0, version >= 6 ? 3 : version >= 4 ? 2 : 1);
  return landlockCreate(new BigUint64Array(words.map(BigInt)));
}

/** Something that is shared with a guest. */
export interface SharedRoot {
  readonly fd: number;
  readonly readOnly: boolean;
}

/** A rule set that allows files beneath these alone: all that can be done with files, but to run them; or only to read them. */
export function shareRules(version: number, roots: readonly SharedRoot[]): number {
  const handled = fileRights(version) & ~LANDLOCK_ACCESS_FS_IOCTL_DEV;
  const ruleset = emptyRules(version);
  for (const { fd, readOnly } of roots) {
    const read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const rights = readOnly ? read : handled & ~LANDLOCK_ACCESS_FS_EXECUTE;
    try {
      landlockAllow(ruleset, rights, fd);
    } catch (error) {
      // Rights on folders do not go with a file: EINVAL.
      if (!(error instanceof HostCallError)) throw error;
      landlockAllow(ruleset, rights & (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE), fd);
    }
  }
  return ruleset;
}

function allow(ruleset: number, path: string, rights: number): void {
  let fd: number;
  try {
    fd = open(path, O_PATH);
  } catch (error) {
    if (error instanceof HostCallError) return;
    throw error;
  }
  try {
    landlockAllow(ruleset, rights, fd);
  } catch (error) {
    // A right on folders does not go with a file: EINVAL.
    if (!(error instanceof HostCallError)) throw error;
    landlockAllow(ruleset, rights & ~LANDLOCK_ACCESS_FS_READ_DIR, fd);
  } finally {
    close(fd);
  }
}

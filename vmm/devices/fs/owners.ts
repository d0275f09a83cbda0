/**
 * Owners, modes and kinds of files for a user of the host who may not set them: the user and its group are the guest's 0, and what differs
 * from that is written beside the file, in the attribute and by the text of fuse-overlayfs and containers/storage:
 * `uid:gid:0mode:type`, type file, dir, pipe, socket, block-MAJOR-MINOR or char-MAJOR-MINOR. Links cannot have it: theirs is 0.
 */
import { ENODATA } from '../../../assembly/contract/generated/errno.ts';
import { placeOf } from '../../host/places.ts';
import { getNamedAttribute, setNamedAttribute } from '../../host/files.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID, S_ISUID, S_IXGRP } from '../../host/uapi/files.ts';

const OVERRIDE = 'user.containers.override_stat';
const TEXT_MAX = 128;
/** Who is neither the user nor the group. */
const NOBODY = 65534;
const TYPES: Readonly<Record<string, number>> = { file: S_IFREG, dir: S_IFDIR, pipe: S_IFIFO, socket: S_IFSOCK, block: S_IFBLK, char: S_IFCHR };

/** What the guest sees of a file. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
  /** With the type. */
  readonly mode: number;
  readonly rdev: number;
}

// Not on V8's heap, where they would move.
const memory = Buffer.from(new ArrayBuffer(4096));
const NAME = 1024;
memory.write(`${OVERRIDE}\0`, NAME);
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** Can it have an attribute? By its mode on the host. */
const holds = (mode: number): boolean => (mode & S_IFMT) === S_IFREG || (mode & S_IFMT) === S_IFDIR;

/** What the guest sees, where the host has `mode` and these owners. `name`: in the directory, or none: the descriptor itself. */
export function ownerOf(fd: number, name: Uint8Array | undefined, { uid, gid, mode, rdev }: Owner): Owner {
  const plain = { uid: uid === own.uid ? 0 : NOBODY, gid: gid === own.gid ? 0 : NOBODY, mode, rdev };
  if (!holds(mode)) return plain;
  const at = placeOf(memory);
  const length = getNamedAttribute(fd, name, at + NAME, at, TEXT_MAX);
  return length <= 0 ? plain : (parse(memory.toString('latin1', 0, length), mode) ?? plain);
}

function parse(text: string, hostMode: number): Owner | undefined {
  const found = /^(\d{1,10}):(\d{1,10}):([0-7]{1,7})(?::(\w+?)(?:-(\d+)-(\d+))?)?\0?$/.exec(text);
  if (found === null) return undefined;
  const [, uid, gid, mode, kind = '', major = '0', minor = '0'] = found;
  const bits = Number.parseInt(mode ?? '0', 8);
  const type = TYPES[kind] ?? ((bits & S_IFMT) || hostMode & S_IFMT);
  // A directory is one, whatever is written beside it, and nothing else is.
  const honest = (type === S_IFDIR) === ((hostMode & S_IFMT) === S_IFDIR) ? type : hostMode & S_IFMT;
  return { uid: Number(uid), gid: Number(gid), mode: honest | (bits & 0o7777), rdev: ((Number(minor) & 0xff) | (Number(major) << 8) | ((Number(minor) & ~0xff) << 12)) >>> 0 };
}

/** Writes down what the guest shall see. 0, -errno. */
export function setOwner(fd: number, name: Uint8Array | undefined, { uid, gid, mode, rdev }: Owner): number {
  const kind = Object.keys(TYPES).find((each) => TYPES[each] === (mode & S_IFMT)) ?? 'file';
  const device = kind === 'block' || kind === 'char' ? `-${(rdev >>> 8) & 0xfff}-${(rdev & 0xff) | ((rdev >>> 12) & ~0xff)}` : '';
  const length = memory.write(`${uid}:${gid}:${(mode & 0o7777).toString(8).padStart(4, '0')}:${kind}${device}`);
  const at = placeOf(memory);
  return setNamedAttribute(fd, name, at + NAME, at, length, 0);
}

/** The mode that a file has on the host, so that its user can always use it. */
export function hostMode(mode: number): number {
  return (mode & 0o777) | ((mode & S_IFMT) === S_IFDIR ? 0o700 : 0o600);
}

/** As the kernel does for a caller without CAP_FSETID: set-user-id goes, set-group-id too where the group may execute. */
export function withoutSetIds(mode: number): number {
  const group = (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) ? S_ISGID : 0;
  return mode & ~(S_ISUID | group);
}

/** Is this the attribute that is ours? `name`: a C string's bytes. */
export function isOverride(name: Uint8Array): boolean {
  return Buffer.from(name).toString('latin1') === OVERRIDE;
}

/** Takes our attribute's name out of a list of C strings; the new length. */
export function hideOverride(list: Uint8Array): number {
  const at = Buffer.from(list).indexOf(`${OVERRIDE}\0`, 0, 'latin1');
  if (at < 0 || (at > 0 && list[at - 1] !== 0)) return list.length;
  const end = at + OVERRIDE.length + 1;
  list.copyWithin(at, end);
  return list.length - (end - at);
}

export const HIDDEN = -ENODATA;

import { actAs, joinGroup } from '../../host/files.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID } from '../../host/uapi/files.ts';
import { hostMode, setOwner } from './owners.ts';
import type { Session } from './session.ts';
import type { Share } from './share.ts';

/** As root new files are their caller's: ids of this thread alone. */
const privileged = process.getuid?.() === 0;

/** Makes something as the caller of the request: its ids, and the one group that its kernel names. */
export function asCaller(s: Session, { mapped }: Share, work: () => number): number {
  const { uid, gid, group } = s.request;
  if (!privileged || mapped || (uid === 0 && gid === 0 && group === undefined)) return work();
  if (group !== undefined) joinGroup(group);
  actAs(uid, gid);
  try {
    return work();
  } finally {
    actAs(0, 0);
    if (group !== undefined) joinGroup(undefined);
  }
}

/** Something that was made, where owners are kept beside the files: an open file, or a name (its linear offset) in an open directory. */
export interface Made {
  readonly fd: number;
  readonly name?: number;
  /** As the caller wants it, with the type. */
  readonly mode: number;
  readonly rdev?: number;
}

/** Writes down whose it is, unless the host says the same: the caller's, but for the group of a directory that gives its own. */
export function adopt(s: Session, parent: number, { fd, name, mode: wanted, rdev = 0 }: Made): void {
  const share = s.share(parent);
  if (!share.mapped || (wanted & S_IFMT) === S_IFLNK) return;
  let { gid } = s.request;
  let mode = wanted;
  const dir = s.paths.of(parent);
  if (dir >= 0 && s.look(dir) === 0) {
    const above = s.owner(share);
    if ((above.mode & S_ISGID) !== 0) {
      gid = above.gid;
      if ((mode & S_IFMT) === S_IFDIR) mode |= S_ISGID;
    }
  }
  const kind = mode & S_IFMT;
  if (s.request.uid === 0 && gid === 0 && (kind === S_IFREG || kind === S_IFDIR) && (mode & 0o7777) === hostMode(mode)) return;
  const { bytes } = s.request;
  setOwner(fd, name === undefined ? undefined : bytes.subarray(name, bytes.indexOf(0, name)), { uid: s.request.uid, gid, mode, rdev });
}

import { actAs, joinGroup } from '../../host/files.ts';
import type { Session } from './session.ts';

/** As root new files are their caller's: ids of this thread alone. */
const privileged = process.getuid?.() === 0;

/** Makes something as the caller of the request: its ids, and the one group that its kernel names. */
export function asCaller(s: Session, work: () => number): number {
  const { uid, gid, group } = s.request;
  if (!privileged || (uid === 0 && gid === 0 && group === undefined)) return work();
  if (group !== undefined) joinGroup(group);
  actAs(uid, gid);
  try {
    return work();
  } finally {
    actAs(0, 0);
    if (group !== undefined) joinGroup(undefined);
  }
}

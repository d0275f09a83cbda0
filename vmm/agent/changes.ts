/** RAISE: what programs of the host have changed in a share. */
import * as P from './generated/protocol.ts';
import { FieldWriter } from './wire.ts';

/** What happened to a name, in the order in which it is raised. */
export type ChangeKind = 'delete' | 'create' | 'modify' | 'attrib' | 'close';

/** One name. */
export interface Change {
  readonly kinds: readonly ChangeKind[];
  /** S_IFMT >> 12. */
  readonly type: number;
  /** Below the root of the share's device, export first; a character a byte. */
  readonly path: string;
}

const KINDS: Readonly<Record<ChangeKind, number>> = { delete: P.CHANGE_DELETE, create: P.CHANGE_CREATE, modify: P.CHANGE_MODIFY, attrib: P.CHANGE_ATTRIB, close: P.CHANGE_CLOSE_WRITE };

export function encodeRaise(tag: string, changes: readonly Change[], raiser: number): FieldWriter {
  const w = new FieldWriter().u32(P.TAG_PID, raiser).string(P.TAG_SOURCE, tag);
  for (const { kinds, type, path } of changes) {
    const value = Buffer.concat([Buffer.alloc(8), Buffer.from(path, 'latin1')]);
    value.writeUInt32LE(kinds.reduce((bits, kind) => bits | KINDS[kind], 0), 0);
    value.writeUInt32LE(type << 12, 4);
    w.bytes(P.TAG_CHANGE, value);
  }
  return w;
}

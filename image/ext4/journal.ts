/**
 * The journal of a file system that was not unmounted (Linux, include/linux/jbd2.h; big-endian): which blocks its next mount would replace.
 * Nothing is written. A transaction counts when its commit block is there, which is written after all the others.
 */
import { corrupt, type Ext4Disk } from './disk.ts';
import { readInode, stretches } from './inode.ts';

const MAGIC = 0xc03b3998;
const DESCRIPTOR = 1;
const COMMIT = 2;
const REVOKE = 5;
const INCOMPAT_REVOKE = 1;
const INCOMPAT_64BIT = 2;
const INCOMPAT_CSUM_V3 = 16;
const HEADER = 12;
const FLAG_ESCAPE = 1;
const FLAG_SAME_UUID = 2;
const FLAG_LAST = 8;
/** Of our disks' journals: 16 MiB, with room for those of a larger --scratch. */
const MAX_BLOCKS = 65536;

interface Journal {
  readonly blocks: readonly number[];
  readonly first: number;
  readonly wide: boolean;
  readonly checksums: boolean;
}

interface Logged {
  /** Of the transaction. */
  readonly sequence: number;
  /** On the disk, and in the journal. */
  readonly block: number;
  readonly copy: number;
  readonly escaped: boolean;
}

/** Throws KEPT_DISK. */
export function replayJournal(disk: Ext4Disk): void {
  const { recover, journalInode } = disk.super;
  if (!recover) return;
  const blocks = stretches(disk, readInode(disk, journalInode)).flatMap(({ count, block }) => {
    if (count > MAX_BLOCKS) throw corrupt('its journal is too large');
    return Array.from({ length: count }, (_, i) => block + i);
  });
  const head = disk.stored(blocks[0] ?? 0);
  const incompat = head.readUInt32BE(0x28);
  const length = head.readUInt32BE(0x10);
  const first = head.readUInt32BE(0x14);
  const start = head.readUInt32BE(0x1c);
  if (head.readUInt32BE(0) !== MAGIC || (incompat & ~(INCOMPAT_REVOKE | INCOMPAT_64BIT | INCOMPAT_CSUM_V3)) !== 0 || length > blocks.length || first < 1 || first >= length || start >= length) {
    throw corrupt('its journal is not one of vmm’s');
  }
  if (start === 0) return;
  const journal: Journal = { blocks: blocks.slice(0, length), first, wide: (incompat & INCOMPAT_64BIT) !== 0, checksums: (incompat & INCOMPAT_CSUM_V3) !== 0 };
  const { logged, revoked } = scan(disk, journal, start, head.readUInt32BE(0x18));
  for (const { sequence, block, copy, escaped } of logged) {
    if ((revoked.get(block) ?? -1) >= sequence) continue;
    const bytes = disk.stored(copy);
    if (escaped) bytes.writeUInt32BE(MAGIC, 0);
    disk.replace(block, bytes);
  }
}

/** What whole transactions hold, in order. Sequence numbers are counted on from the first: they may wrap. */
function scan(disk: Ext4Disk, journal: Journal, start: number, firstSequence: number): { logged: Logged[]; revoked: Map<number, number> } {
  const logged: Logged[] = [];
  const revoked = new Map<number, number>();
  const { blocks, first } = journal;
  const next = (at: number): number => (at + 1 < blocks.length ? at + 1 : first);
  let open: Logged[] = [];
  let openRevoked: number[] = [];
  let sequence = 0;
  for (let at = start, seen = 0; seen < blocks.length; seen++) {
    const bytes = disk.stored(blocks[at] as number);
    at = next(at);
    if (bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(8) !== ((firstSequence + sequence) >>> 0)) break;
    const type = bytes.readUInt32BE(4);
    if (type === DESCRIPTOR) {
      for (const tag of tagsOf(bytes, journal)) {
        open.push({ sequence, ...tag, copy: blocks[at] as number });
        at = next(at);
        seen += 1;
      }
    } else if (type === REVOKE) openRevoked.push(...revokedOf(bytes, journal));
    else if (type === COMMIT) {
      logged.push(...open);
      for (const block of openRevoked) revoked.set(block, sequence);
      open = [];
      openRevoked = [];
      sequence += 1;
    } else break;
  }
  return { logged, revoked };
}

function* tagsOf(bytes: Buffer, { wide, checksums }: Journal): Generator<{ block: number; escaped: boolean }> {
  const size = checksums ? 16 : wide ? 12 : 8;
  for (let at = HEADER; at + size <= bytes.length; ) {
    const flags = checksums ? bytes.readUInt32BE(at + 4) : bytes.readUInt16BE(at + 6);
    yield { block: bytes.readUInt32BE(at) + (wide ? bytes.readUInt32BE(at + 8) * 2 ** 32 : 0), escaped: (flags & FLAG_ESCAPE) !== 0 };
    if ((flags & FLAG_LAST) !== 0) return;
    at += size + ((flags & FLAG_SAME_UUID) === 0 ? 16 : 0);
  }
}

function* revokedOf(bytes: Buffer, { wide }: Journal): Generator<number> {
  const end = Math.min(bytes.readUInt32BE(HEADER), bytes.length);
  const size = wide ? 8 : 4;
  for (let at = HEADER + 4; at + size <= end; at += size) yield wide ? bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4) : bytes.readUInt32BE(at);
}

import { F_RDLCK, F_UNLCK } from '../../host/uapi/files.ts';

/** Bytes `start` to `end`, both of them in it, as fcntl locks them. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
  /** F_RDLCK, F_WRLCK; F_UNLCK lets go. */
  readonly type: number;
  /** The guest's process that asked. */
  readonly pid: number;
}

/** May two owners not have these at a time? */
export function conflict(a: Range, b: Range): boolean {
  return a.start <= b.end && b.start <= a.end && (a.type !== F_RDLCK || b.type !== F_RDLCK);
}

/** What an owner has once it is given `added`: what that covers of its others goes (POSIX: a byte has one lock of an owner). */
export function withRange(ranges: readonly Range[], added: Range): Range[] {
  const rest = ranges.flatMap((range) => {
    if (range.start > added.end || range.end < added.start) return [range];
    const left = range.start < added.start ? [{ ...range, end: added.start - 1n }] : [];
    const right = range.end > added.end ? [{ ...range, start: added.end + 1n }] : [];
    return [...left, ...right];
  });
  return added.type === F_UNLCK ? rest : [...rest, added];
}

/** An image's directory copied into a volume, as rkt does for volumes that a Docker image implies. */
import { closeSync, constants, copyFileSync, fchmodSync, fchownSync, futimesSync, lchownSync, lstatSync, lutimesSync, mkdirSync, openSync, readdirSync, readlinkSync, type Stats, symlinkSync } from 'node:fs';

/** Below `to`, which is there and empty; it gets mode and owner of `from`. Links are copied as they are and never followed. Returns what could not be: neither files, directories nor links. */
export function copyTree(from: string, to: string): string[] {
  const skipped: string[] = [];
  for (const name of readdirSync(from)) copyEntry(`${from}/${name}`, `${to}/${name}`, skipped);
  restore(to, lstatSync(from));
  return skipped;
}

function copyEntry(from: string, to: string, skipped: string[]): void {
  const stat = lstatSync(from);
  if (stat.isSymbolicLink()) {
    symlinkSync(readlinkSync(from, { encoding: 'buffer' }), to);
    lchownSync(to, stat.uid, stat.gid);
    lutimesSync(to, stat.atime, stat.mtime);
  } else if (stat.isDirectory()) {
    mkdirSync(to, { mode: 0o700 });
    for (const name of readdirSync(from)) copyEntry(`${from}/${name}`, `${to}/${name}`, skipped);
    restore(to, stat);
  } else if (stat.isFile()) {
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    restore(to, stat);
  } else skipped.push(from);
}

function restore(path: string, { uid, gid, mode, atime, mtime }: Stats): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    fchownSync(fd, uid, gid);
    fchmodSync(fd, mode & 0o7777);
    futimesSync(fd, atime, mtime);
  } finally {
    closeSync(fd);
  }
}

/** What test/guest/quiet-program.ts works with, and what it must find. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endInitramfs } from './kernel-ends.ts';

/** Of a guest that stood still each time, and went on. */
export const QUIET = { kind: 'stopped', moved: 0, files: 0, answered: 0, lines: 0 };

/** Each work goes round and round, and says so; what is typed is answered. */
const WORK = `
/bin/busybox mkdir /share
/bin/busybox mount -t virtiofs share /share
/bin/busybox ifconfig eth0 10.0.0.2
work() { n=0; while :; do /bin/busybox dd if=/dev/urandom of=$2 bs=4k count=$3 conv=notrunc $4 2>/dev/null; n=$((n+1)); echo $1 $n; done; }
work disk /dev/vda 32 oflag=direct &
work limited /dev/vdb 8 oflag=direct &
work share /share/file 32 &
while read word; do echo heard $word; done </dev/console`;

/** Files and the guest's root in `folder`: the root's path. */
export function quietFolder(folder: string): string {
  mkdirSync(join(folder, 'share'), { recursive: true });
  writeFileSync(join(folder, 'share', 'file'), '');
  for (const name of ['disk', 'limited']) writeFileSync(join(folder, name), Buffer.alloc(1 << 20));
  return endInitramfs(folder, 'quiet', WORK);
}

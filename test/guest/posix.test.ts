/**
 * POSIX semantics of a share: one program (test/programs/posix, cases after pjdfstest's list) on a directory of this host natively, and on
 * another one by a share in a guest. What it is told must be the same, and so must what is left on the host.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { buildStatic } from '../support/guests/programs.ts';
import { HANG_MS } from '../support/limits.ts';

const LONG = process.env['VMM_LONG'] === '1';
const ROOT = process.getuid?.() === 0;
/** The program is told the same path in the guest as natively: /tmp/… */
let dir: string;
let image: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-posix-'));
  chmodSync(dir, 0o755);
  image = busyboxImage(join(dir, 'image'));
  copyFileSync(buildStatic('posix'), join(image, 'bin', 'posix'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** All that is left: kinds, modes, owners, links, sizes, contents. */
function left(at: string): string {
  const script = `cd "$1"; find . -printf '%p|%y|%m|%U:%G|%n|%l|%T@|' \\( -type d -printf '\\n' -o -printf '%s\\n' \\) | sed 's/|[0-9.]*|\\([0-9]*\\)$/|\\1/' | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort`;
  return execFileSync('sh', ['-c', script, 'sh', at], { encoding: 'latin1', maxBuffer: 1 << 26, timeout: HANG_MS / 5 });
}

/** Root in the guest is told EPERM for `trusted.` attributes: a vmm that runs has no CAP_SYS_ADMIN. */
const TRUSTED = /^l[gs]etxattr\("f", "trusted\.t".*\n/gm;

/**
 * A guest that holds writes back keeps a file's times itself, and Linux's FUSE (fs/fuse/dir.c) leaves them at a truncate to the size that the file has; POSIX asks for new ones only where the size
 * changes.
 */
function heldBack(text: string): string {
  const told = (how: string, size: number): string => `f ctime ${how}, mtime ${how} after truncate("f", ${size}): 0\n`;
  return text.replace(told('moved', 1), told('same', 1)).replace(told('moved', 0).repeat(2), told('moved', 0) + told('same', 0));
}

describe.skipIf(!ROOT)('a share, against the file system it is of', () => {
  for (const uid of [0, 1000]) {
    for (const cache of ['cached', 'consistent', 'delegated']) {
      it.skipIf(!LONG && cache !== 'cached')(`as ${uid === 0 ? 'root' : 'a user'}, ${cache}`, async () => {
        const [native, shared] = ['native', 'shared'].map((name) => mkdtempSync(join(dir, `${name}-`))) as [string, string];
        for (const at of [native, shared]) chmodSync(at, 0o777);
        const expected = execFileSync(join(image, 'bin', 'posix'), [native, `${uid}`], { encoding: 'latin1', maxBuffer: 1 << 26, timeout: HANG_MS / 5 });
        expect(expected.split('\n').length).toBeGreaterThan(1000);
        const args = ['run', '-q', '--accel', 'wasm', '-m', '256m', '--cap-add', 'SYS_ADMIN', '-v', `${shared}:${native}:${cache}`, image, 'posix', native, `${uid}`];
        const { status, stdout, stderr } = await vmm(args, { env: { VMM_STORE: join(dir, 'store') }, limit: HANG_MS / 4 });
        expect({ status, stderr, last: status === 0 ? '' : stdout.toString('latin1').slice(-500) }).toEqual({ status: 0, stderr: '', last: '' });
        expect(stdout.toString('latin1').replace(TRUSTED, '')).toBe((cache === 'delegated' ? heldBack(expected) : expected).replace(TRUSTED, ''));
        expect(left(shared)).toBe(left(native));
      });
    }
  }
});

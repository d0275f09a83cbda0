/** The Debian root of bench/real: made once by debootstrap, as a directory and an image in a store of its own. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../harness.ts';
import { PACKAGES } from './programs.ts';

export const IMAGE = 'bench-real:1';

export interface DebianRoot {
  readonly dir: string;
  /** VMM_STORE with IMAGE in it. */
  readonly store: string;
}

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 1_800_000, env: { ...process.env, ...env } });
}

/** Makes what is missing: as root, some minutes and 200 MB of packages the first time. */
export function debianRoot(): DebianRoot {
  const key = createHash('sha256').update(PACKAGES.join()).digest('hex').slice(0, 12);
  const cache = join(ROOT, '.cache', 'bench-real');
  const dir = join(cache, `root-${key}`);
  const store = join(cache, `store-${key}`);
  mkdirSync(cache, { recursive: true });
  if (!existsSync(dir)) {
    if (process.getuid?.() !== 0) throw new Error('debootstrap makes the Debian root, as root: run this as root once');
    const part = `${dir}.${process.pid}`;
    run('debootstrap', ['--variant=minbase', `--include=${PACKAGES.join()}`, 'bookworm', part], { DEBIAN_FRONTEND: 'noninteractive' });
    run('chroot', [part, 'apt-get', 'clean']);
    for (const name of ['resolv.conf', 'hostname']) writeFileSync(join(part, 'etc', name), '');
    renameSync(part, dir);
  }
  if (!existsSync(store)) {
    const part = `${store}.${process.pid}`;
    run(process.execPath, ['--', join(ROOT, 'bin', 'vmm.js'), 'image', 'import', '-q', `dir:${dir}`, IMAGE], { VMM_STORE: part });
    renameSync(part, store);
  }
  return { dir, store };
}

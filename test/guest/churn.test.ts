/** Random operations from a seed on a share (test/programs/churn): what the guest sees is what the host's own file system gives, and what is left is the same. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { buildStatic } from '../support/guests/programs.ts';

/** In test:long 10^6 operations, and more files than a process may have open by far. */
const LONG = process.env['VMM_LONG'] === '1';
const SEEDS = LONG ? 10 : 1;
const BYTES = LONG ? 30_000 : 2_000;
const NAMES = LONG ? 70_000 : 3_000;
const FILES = LONG ? 200_000 : 1_000;

let dir: string;
let image: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-churn-'));
  image = busyboxImage(join(dir, 'image'));
  copyFileSync(buildStatic('churn'), join(image, 'bin', 'churn'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function left(at: string): string {
  const script = `cd "$1"; find . \\( -type d -printf '%p|%y|%m|%U\\n' -o -printf '%p|%y|%m|%U|%n|%l|%s\\n' \\) | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort`;
  return execFileSync('sh', ['-c', script, 'sh', at], { encoding: 'latin1', maxBuffer: 1 << 28 });
}

async function guest(args: readonly string[], options: readonly string[], files?: number): Promise<string> {
  const run = ['run', '-q', '--accel', 'wasm', '-m', '512m', ...options, image, 'churn', ...args];
  const { status, stdout, stderr } = await vmm(run, { env: { VMM_STORE: join(dir, 'store') }, ...(files === undefined ? {} : { files }), limit: 6_600_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.toString();
}

describe.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('seed %i', (seed) => {
  it.each([['bytes', BYTES, ['cached', 'consistent', 'delegated'][seed % 3]], ['tree', NAMES, ['consistent', 'delegated', 'cached'][seed % 3]]] as const)('%s: %i operations, %s', { timeout: 7_200_000 }, async (kind, count, cache) => {
    const [native, shared] = ['native', 'shared'].map((name) => join(dir, `${name}-${kind}-${seed}`)) as [string, string];
    mkdirSync(native);
    mkdirSync(shared);
    const expected = execFileSync(join(image, 'bin', 'churn'), [kind, native, `${seed}`, `${count}`], { encoding: 'utf8', maxBuffer: 1 << 26 });
    expect(await guest([kind, '/share', `${seed}`, `${count}`], ['-v', `${shared}:/share:${cache}`])).toBe(expected);
    expect(left(shared)).toBe(left(native));
    rmSync(native, { recursive: true });
    rmSync(shared, { recursive: true });
  });
});

it(`${FILES} files under ulimit -n 1024`, { timeout: 7_200_000 }, async () => {
  const [native, shared] = [join(dir, 'many'), join(dir, 'many-shared')];
  mkdirSync(native);
  mkdirSync(shared);
  execFileSync(join(image, 'bin', 'churn'), ['many', native, '0', `${FILES}`]);
  expect(await guest(['many', '/share', '0', `${FILES}`], ['-v', `${shared}:/share`], 1024)).toBe(`${FILES}\n`);
  expect(left(shared)).toBe(left(native));
});

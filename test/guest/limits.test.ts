/** Limits of a container's disks and mounts: what it moves takes at least as long as they say, by its own clock. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';

const dir = mkdtempSync(join(tmpdir(), 'vmm-limits-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const SECOND = 2 ** 20;
const image = busyboxImage(join(dir, 'image'));
/** A tenth of a second's worth may come at once. */
const least = (bytes: number): number => (bytes - SECOND / 10) / SECOND;

it('reads and writes of the changes, and of a mount', async () => {
  const shared = join(dir, 'shared');
  mkdirSync(shared);
  writeFileSync(join(shared, 'data'), Buffer.alloc(2 * SECOND, 'x'));
  const script = [
    'took() { a=$(cut -d" " -f1 /proc/uptime); "$@" 2>/dev/null; b=$(cut -d" " -f1 /proc/uptime); echo $a $b; }',
    'took dd if=/dev/zero of=/changed bs=256k count=8 oflag=direct',
    'took dd if=/changed of=/dev/null bs=256k iflag=direct',
    'took dd if=/shared/data of=/dev/null bs=256k',
    'took dd if=/dev/zero of=/shared/new bs=256k count=8',
  ].join('\n');
  const args = ['run', '-q', '--accel', 'wasm', '-m', '128m', '-v', `${shared}:/shared:consistent`, '--device-write-bps', '/dev/vdb:1mb', '--device-read-bps', '/dev/vdb:2mb', '--mount-limit', 'bw=1m', image, 'sh', '-c', script];
  const { status, stdout, stderr } = await vmm(args, { env: { VMM_STORE: join(dir, 'store') } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const seconds = stdout.toString().trim().split('\n').map((line) => line.split(' ').map(Number)).map(([a = 0, b = 0]) => b - a + 0.02);
  expect(seconds.length).toBe(4);
  const [written = 0, read = 0, sharedRead = 0, sharedWritten = 0] = seconds;
  for (const each of [written, sharedRead, sharedWritten]) expect(each).toBeGreaterThanOrEqual(least(2 * SECOND) - 0.3);
  expect(read).toBeGreaterThanOrEqual(0.7);
});

it('a volume with a size: no more goes into it, and df says so', async () => {
  const env = { VMM_STORE: join(dir, 'store') };
  expect((await vmm(['volume', 'create', '-o', 'size=1m', 'small'], { env })).stdout.toString()).toBe('small\n');
  const script = ['df -k /v | tail -n 1 | cut -c20-60', 'dd if=/dev/zero of=/v/a bs=64k count=32 || echo full', 'rm /v/a', 'dd if=/dev/zero of=/v/b bs=64k count=8 2>/dev/null && echo room again'].join('\n');
  const { status, stdout, stderr } = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', '-v', 'small:/v', image, 'sh', '-c', script], { env });
  expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('No space left on device') });
  expect(stdout.toString()).toMatch(/\b1024 +\d+ +\d+[\s\S]*full\nroom again\n/);
  const inspected = JSON.parse((await vmm(['volume', 'inspect', 'small'], { env })).stdout.toString()) as { Options: unknown }[];
  expect(inspected[0]?.Options).toEqual({ size: '1048576' });
});

it.each([
  [['--scratch', 'tmpfs', '--device-write-bps', '/dev/vdb:1mb'], 'there is no disk /dev/vdb to be limited'],
  [['--mount-limit', 'bw=1m'], 'there is no mount of the host’s to be limited'],
  [['--icount', '--device-read-iops', '/dev/vda:5'], 'a counted run has no limits'],
])('%j: %s', async (options, message) => {
  const { status, stderr } = await vmm(['run', '-q', ...options, image, 'true'], { env: { VMM_STORE: join(dir, 'store') } });
  expect(status).toBe(125);
  expect(stderr).toContain(message);
});

/** Memory that the guest frees goes back to the host: free-page reporting (virtio 1.2, §5.5.6.7) with our own kernel. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostFs } from '../../vmm/guest/host-fs.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';
import { containerOptions } from '../support/cli/container.ts';
import type * as Library from '../../vmm/api/index.ts';

const { ContainerRun, resolveImage } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

const MIB = 1024 ** 2;
let image: string;
let store: string;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-balloon-'));
  process.env['VMM_STORE'] = store;
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

it('a guest that fills 64 MiB and frees them: the host has most of them back', async () => {
  const resolved = await resolveImage(image, { host: hostFs, note: () => {} });
  const command = ['sh', '-c', 'dd if=/dev/zero of=/big/x bs=1M count=64 2>/dev/null; echo full; read x; rm /big/x; read x'];
  const { promise: filled, resolve: full } = Promise.withResolvers<void>();
  const run = new ContainerRun(
    resolved,
    { ...containerOptions(command), interactive: true, tmpfs: [{ target: '/big', options: 'size=100m' }] },
    { memoryMib: 256, vcpus: 1, accel: 'wasm', cpuModel: undefined, kernel: join(ROOT, '.cache/guest/vmlinux'), initrd: join(ROOT, '.cache/guest/initramfs.cpio') },
    { stdout: () => full(), stderr: () => {}, size: undefined, note: () => {} },
  );
  const ended = run.run();
  await filled;
  const resident = process.memoryUsage.rss();
  const before = run.machine.discardedBytes;
  await run.process.stdin.write(Buffer.from('\n'));
  let over = false;
  void ended.finally(() => {
    over = true;
  });
  // Linux reports what has been free for two seconds, in blocks of 2 MiB; on a slow machine that may still be what it never used.
  const freed = (): boolean => run.machine.discardedBytes >= before + 48 * MIB && resident - process.memoryUsage.rss() > 32 * MIB;
  while (!over && !freed()) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(run.machine.discardedBytes - before).toBeGreaterThanOrEqual(48 * MIB);
  expect(resident - process.memoryUsage.rss()).toBeGreaterThan(32 * MIB);
  await run.process.stdin.end();
  expect(await ended).toMatchObject({ kind: 'exited' });
});

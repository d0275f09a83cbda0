/** Disks from the machine's side: who works for them, and drives that are filled while the guest runs. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildRing3 } from '../../bench/guest/build.mjs';
import type * as Library from '../../vmm/api/index.ts';
import { ROOT, vmm } from '../support/cli/cli.ts';
import { endInitramfs } from '../support/guests/kernel-ends.ts';
import { hasHardwareKvm, hasKvm } from '../support/nested/machine.ts';
import { HANG_MS } from '../support/limits.ts';

const { Machine } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

const MIB = 1 << 20;
const LIMIT_MS = HANG_MS;
/** Small guests run on a /dev/kvm without hardware, too. */
const ACCELS = hasKvm() && !hasHardwareKvm() ? (['wasm', 'kvm'] as const) : (['wasm'] as const);
const folder = mkdtempSync(join(tmpdir(), 'vmm-disks-'));
const driver = join(folder, 'disk.elf');
let count = 0;
/** 8 MiB, each of its own byte. */
const disk = (): string => {
  const path = join(folder, `disk${count++}.img`);
  writeFileSync(path, Buffer.concat(Array.from({ length: 8 }, (_, i) => Buffer.alloc(MIB, i + 1))));
  return path;
};
/** What the driver read last, the eighth MiB, it has written to all. */
const written = (path: string): boolean => readFileSync(path).equals(Buffer.alloc(8 * MIB, 8));
beforeAll(() => buildRing3('bench/io/ring3-disk.c', driver));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(ACCELS)('a driver that polls, on %s', (accel) => {
  test.each(['', 'thread', 'blocking'])('VMM_IO=%s', async (mode) => {
    const path = disk();
    const env = mode === '' ? {} : { VMM_IO: mode };
    const { status, stdout, stderr } = await vmm(['boot', '-q', '--accel', accel, '--memory', '32', '--exit-on', 'port', '--timeout', '600', '--kernel', driver, '--disk', path, '--append', 'io=50,8'], { env });
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.toString()).toMatch(/^io END/m);
    expect(written(path)).toBe(true);
  });

  test('an empty drive is filled while the driver waits for it', async () => {
    const path = disk();
    let output = '';
    const machine = new Machine({ kernel: driver, append: 'io=20,8', memoryMib: 32, cpus: 1, accel, console: 'serial', spareDisks: 1, exitOnPort: true }, {
      console: async (bytes) => {
        output += Buffer.from(bytes).toString('latin1');
        if (output.endsWith('io EMPTY\n')) machine.addDisk({ path, readOnly: false, id: 'late' });
      },
    });
    expect(await machine.run({ signal: AbortSignal.timeout(LIMIT_MS) })).toEqual({ kind: 'debug-exit', value: 0 });
    expect(output).toMatch(/^io EMPTY\n[\s\S]*^io END/m);
    expect(written(path)).toBe(true);
  });
});

test('Linux has the disk that is put into an empty drive: size, serial, bytes; there is no second drive', async () => {
  const path = disk();
  const script = [
    '/bin/busybox mount -t sysfs sysfs /sys',
    'b=/sys/block/vda; echo empty $(/bin/busybox cat $b/size)',
    'while [ $(/bin/busybox cat $b/size) = 0 ]; do /bin/busybox usleep 20000; done',
    'echo filled $(/bin/busybox cat $b/size $b/serial) $(/bin/busybox dd if=/dev/vda bs=1M skip=2 count=1 2>/dev/null | /bin/busybox md5sum)',
    '/bin/busybox poweroff -f',
  ].join('\n');
  let output = '';
  let refused: unknown;
  const machine = new Machine({ kernel: join(ROOT, '.cache/guest/vmlinux'), initrd: endInitramfs(folder, 'late', script), append: 'console=ttyS0 quiet panic=-1 reboot=t tsc=reliable', memoryMib: 128, cpus: 1, accel: 'wasm', console: 'serial', spareDisks: 1 }, {
    console: async (bytes) => {
      const before = output;
      output += Buffer.from(bytes).toString('latin1');
      if (/empty 0\r?\n/.test(before) || !/empty 0\r?\n/.test(output)) return;
      machine.addDisk({ path, readOnly: false, id: 'late' });
      try {
        machine.addDisk({ path: disk(), readOnly: false, id: 'later' });
      } catch (error) {
        refused = error;
      }
    },
  });
  expect(await machine.run({ signal: AbortSignal.timeout(LIMIT_MS) }), output).toEqual({ kind: 'poweroff' });
  expect(output).toContain(`filled 16384 late ${createHash('md5').update(Buffer.alloc(MIB, 3)).digest('hex')} -`);
  expect(refused).toMatchObject({ code: 'DISK_SPARE' });
});

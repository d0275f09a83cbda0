/** What a file or a pipe sends to the guest's console arrives whole, however early and however long it is. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { endInitramfs } from '../support/guests/kernel-ends.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-console-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([['serial', 300_000], ['hvc', 3_000_000]] as const)('--console %s', (console, length) => {
  test(`${length} bytes of standard input`, async () => {
    // Lines, since the guest's terminal is cooked until somebody changes that.
    const data = Buffer.from(randomBytes(length).toString('base64').replace(/.{75}/g, '$&\n').slice(0, length));
    const read = `exec </dev/console\n/bin/busybox stty raw -echo\n/bin/busybox head -c ${length} | /bin/busybox md5sum\n/bin/busybox poweroff -f`;
    const initrd = endInitramfs(folder, console, read);
    const { status, stdout, stderr } = await vmm(['boot', '-q', '--accel', 'wasm', '--memory', '128m', '--console', console, '--initrd', initrd, '--append', 'quiet panic=-1 reboot=t tsc=reliable', '--timeout', '60'], { stdin: data });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.toString()).toContain(createHash('md5').update(data).digest('hex'));
  });
});

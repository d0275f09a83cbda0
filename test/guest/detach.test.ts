import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { Terminal } from '../support/cli/terminal.ts';

let image: string;
let store: string;
let shell: Terminal;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
});
afterAll(() => {
  shell?.kill();
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

/** Resolves when the process's group has its terminal: proc(5), stat, fields pgrp and tpgid. */
async function foreground(pid: string): Promise<void> {
  for (;;) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, , group, , , owner] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (group === owner) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Resolves when the terminal of a process no longer has lines: it is attached. */
async function raw(pid: string): Promise<void> {
  while (/(?<!-)icanon/.test(execFileSync('stty', ['-F', readlinkSync(`/proc/${pid}/fd/0`), '-a'], { encoding: 'utf8' }))) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('detach keys in a shell with job control', () => {
  it('give the prompt back, the container goes on in the background; fg attaches it again at once', async () => {
    shell = new Terminal("PS1='host> ' exec bash --norc --noprofile -i", { VMM_STORE: store });
    await shell.until(/host> $/);
    shell.type(`${process.execPath} bin/vmm.js run -q -i -t --accel wasm -m 128m ${image} sh\n`);
    await shell.until(/\/ # /);
    // Output in the background shows that the container goes on.
    shell.type('(while sleep 1; do echo tick-$((6 * 7)); done) &\n');
    await shell.until(/\/ # /);
    shell.type('\x10\x11');
    const [, pid] = await shell.until(/vmm: detached.*kill (\d+)\).*host> /s);
    shell.type('until jobs | grep -q Running; do sleep 0.1; done; echo bg-$((1 + 1))\n');
    await shell.until(/bg-2/);
    await shell.until(/tick-42/);
    shell.type('fg\n');
    await shell.until(/vmm\.js run/);
    // The shell says so before it hands the terminal over, and a key until then would be the shell's.
    await foreground(pid as string);
    await raw(pid as string);
    shell.type('\n');
    await shell.until(/\/ # /);
    shell.type('echo again-$((40 + 2))\n');
    await shell.until(/again-42/);
    shell.type('exit 3\n');
    await shell.until(/host> $/);
    shell.type('echo status-$?; exit\n');
    await shell.until(/status-3/);
    expect(await shell.status).toBe(0);
  });
});

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';
import { Terminal } from '../support/cli/terminal.ts';

const BIN = process.env['VMM_BIN'] ?? join(ROOT, 'bin', 'vmm.js');

let image: string;
let store: string;
let shell: Terminal | undefined;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
});
afterEach(() => {
  shell?.kill();
  shell = undefined;
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

const run = (...options: string[]): string => `${process.execPath} ${BIN} run -q -i -t --accel wasm -m 128m ${options.join(' ')} ${image}`;

describe('vmm run -t', () => {
  it('the container has the terminal’s size and follows its changes; keys and Ctrl-C arrive; the terminal is as before', async () => {
    shell = new Terminal("PS1='host> ' exec bash --norc --noprofile -i", { VMM_STORE: store });
    await shell.until(/host> $/);
    shell.type('stty rows 31 cols 117; tty; stty -g\n');
    const [, tty = '', modes = ''] = await shell.until(/^(\/dev\/\S+)\r\n([0-9a-f:]+)\r\n/m);
    shell.type(`${run()} sh\n`);
    await shell.until(/\/ # /);
    shell.type('stty size\n');
    await shell.until(/31 117\r\n/);
    // One script, so one process group: SIGWINCH goes to the group in the foreground.
    shell.type(`sh -c 'trap "winch=yes" WINCH; echo armed-$((1 + 1)); until stty size | grep -q "42 99"; do sleep 0.1; done; echo sized-$((1 + 1))-$winch'\n`);
    await shell.until(/armed-2/);
    spawn('stty', ['-F', tty, 'rows', '42', 'cols', '99']);
    await shell.until(/sized-2-yes/);
    // A bare line feed stays one: what the guest's terminal does with lines is done once.
    shell.type("stty -opost; printf 'a\\nb-%d\\r\\n' $((40 + 2)); stty opost\n");
    await shell.until(/a\nb-42\r\n/);
    await shell.until(/\/ # /);
    shell.type('echo asleep-$((1 + 1)); sleep 1000\n');
    await shell.until(/asleep-2/);
    shell.type('\x03');
    await shell.until(/\/ # /);
    shell.type('echo status-$?\n');
    await shell.until(/status-130/);
    shell.type('exit 5\n');
    await shell.until(/host> $/);
    shell.type('echo status-$?; stty -g\n');
    const [, after] = await shell.until(/status-5\r\n([0-9a-f:]+)\r\n/);
    expect(after).toBe(modes);
  });

  it('a terminal that goes away ends the container', async () => {
    shell = new Terminal(`echo vmm-$$; exec ${run()} sh -c 'trap "" HUP TERM; echo up-$((40 + 2)); while :; do sleep 1; done'`, { VMM_STORE: store });
    const [, pid] = await shell.until(/vmm-(\d+)\r\n[\s\S]*up-42\r\n/);
    shell.kill();
    while (existsSync(`/proc/${pid}`)) await new Promise((done) => setTimeout(done, 50));
  });

  it('the third SIGINT within two seconds kills a container that goes on: 137, and the terminal is as before', async () => {
    shell = new Terminal("PS1='host> ' exec bash --norc --noprofile -i", { VMM_STORE: store });
    await shell.until(/host> $/);
    shell.type('stty -g\n');
    const [, modes = ''] = await shell.until(/^([0-9a-f:]{20,})\r\n/m);
    shell.type(`(echo vmm-$BASHPID; exec ${run()} sh -c 'trap "echo int" INT; echo up-$((40 + 2)); while :; do sleep 0.1; done')\n`);
    const [, pid] = await shell.until(/vmm-(\d+)\r\n[\s\S]*up-42\r\n/);
    // Each waits for the answer to the one before, so that none is lost; on a slow machine more than two may get one.
    let answers = 0;
    for (let ended = false; !ended; ) {
      shell.type('');
      process.kill(Number(pid), 'SIGINT');
      const [what] = await shell.until(/int\r\n|host> $/);
      ended = what.startsWith('host');
      if (!ended) answers += 1;
    }
    expect(answers).toBeGreaterThanOrEqual(2);
    shell.type('echo status-$?; stty -g\n');
    const [, after] = await shell.until(/status-137\r\n([0-9a-f:]+)\r\n/);
    expect(after).toBe(modes);
  });
});

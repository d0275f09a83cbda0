/** What a sandbox asks of its host: no rights, no FFI library; and what it leaves when its process is ended. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { Watched } from '../support/watched.ts';

const USER = 64321;
const LIBRARY = new URL('../../dist/vmm.js', import.meta.url).href;
const NO_FFI = fileURLToPath(new URL('../support/cli/no-ffi.cjs', import.meta.url));
let image: string;
let folder: string;
beforeAll(() => {
  image = busyboxImage();
  folder = mkdtempSync(join(tmpdir(), 'vmm-sandbox-host-'));
  chmodSync(folder, 0o755);
  for (const name of ['home', 'scratch']) {
    mkdirSync(join(folder, name), { mode: 0o700 });
    if (process.geteuid?.() === 0) chownSync(join(folder, name), USER, USER);
  }
});
afterAll(() => {
  for (const path of [image, folder]) rmSync(path, { recursive: true });
});

/** A program in a process of its own: of a user without rights, without the FFI library. */
function start(name: string, program: string): Watched {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, program);
  const env = { PATH: process.env['PATH'], HOME: join(folder, 'home'), VMM_STORE: join(folder, 'home', 'store'), VMM_TMPDIR: join(folder, 'scratch'), XDG_RUNTIME_DIR: join(folder, 'home') };
  const who = process.geteuid?.() === 0 ? { uid: USER, gid: USER } : {};
  return new Watched(spawn(process.execPath, ['--require', NO_FFI, path], { env, ...who, stdio: ['ignore', 'pipe', 'pipe'] }));
}

const CREATE = (): string => `import { Sandbox } from ${JSON.stringify(LIBRARY)};
const box = await Sandbox.create({ image: ${JSON.stringify(image)}, accel: 'wasm', memory: 128 });
`;

describe('a sandbox’s host', () => {
  it('is any user, without the FFI library', async () => {
    const program = start('anybody', `${CREATE()}
await box.files.write('/tmp/in', 'a file\\n');
const { stdout } = await box.shell('cat /tmp/in; id -u');
await using server = await box.execStream('sh', ['-c', 'printf served | busybox nc -l -p 80']);
await box.shell('while ! busybox netstat -ltn | grep -q :80; do :; done');
const port = await box.expose(80);
const { connect } = await import('node:net');
let text = '';
for await (const chunk of connect(port.port)) text += chunk;
console.log(process.getuid() === 0 ? 'root' : 'anybody', JSON.stringify(stdout), text);
await box.stop();
`);
    expect(await program.ended).toMatchObject({ status: 0, stdout: 'anybody "a file\\n0\\n" served\n', stderr: '' });
  });

  it('has nothing left of it after Ctrl-C', async () => {
    const program = start('interrupted', `${CREATE()}
const command = await box.execStream('sleep', ['1000']);
await box.expose(80);
console.log('runs');
`);
    await program.until('runs');
    program.child.kill('SIGINT');
    expect((await program.ended).signal).toBe('SIGINT');
    expect(readdirSync(join(folder, 'scratch'))).toEqual([]);
    const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(join(folder, 'scratch'));
      } catch {
        return false; // it is gone
      }
    });
    expect(left).toEqual([]);
  });
});

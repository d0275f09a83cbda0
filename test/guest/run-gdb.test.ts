// Debian's gdb on the kernel under a container: `vmm run --gdb`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { BIN, ROOT } from '../support/cli/cli.ts';
import { HANG_MS } from '../support/limits.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-run-gdb-'));
  busyboxImage(join(dir, 'image'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Address of a function of the guest's kernel. */
function kernel(name: string): string {
  const line = new RegExp(`^([0-9a-f]{16}) [tT] ${name}$`, 'm').exec(readFileSync(join(ROOT, '.cache/guest/System.map'), 'latin1'));
  if (line === null) throw new Error(`the guest's kernel has no ${name}`);
  return `0x${line[1]}`;
}

function collect(command: string, args: readonly string[], seen: (text: string) => void = () => {}): Promise<{ status: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '', VMM_STORE: join(dir, 'store') } });
    const limit = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      seen(text);
    });
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(limit);
      resolve({ status, text });
    });
  });
}

async function debug(options: readonly string[], commands: readonly string[]): Promise<{ gdb: string; vmm: string; status: number | null }> {
  const socket = join(dir, `socket-${options.length}-${commands.length}`);
  const script = join(dir, 'script');
  writeFileSync(script, [`target remote ${socket}`, ...commands].join('\n'));
  const { promise: listening, resolve: ready } = Promise.withResolvers<void>();
  const vmm = collect(process.execPath, ['--', BIN, 'run', '--accel', 'wasm', '-m', '128m', '--gdb', `unix:${socket}`, ...options, join(dir, 'image'), 'sh', '-c', 'echo from the container; exit 4'], (text) => {
    if (text.includes('target remote')) ready();
  });
  await Promise.race([listening, vmm]);
  const gdb = await collect('gdb', ['-nx', '-batch', '-ex', 'set pagination off', '-x', script]);
  const { text, status } = await vmm;
  return { gdb: gdb.text, vmm: text, status };
}

describe('vmm run --gdb', () => {
  it('--wait holds the kernel at its entry; breakpoints in it stop before and after paging; detached, the container ends as ever', async () => {
    const { gdb, vmm, status } = await debug(['--wait', '--cpus', '2'], [
      'printf "entry %#lx\\n", $rip', `hbreak *${kernel('start_kernel')}`, `break *${kernel('__x64_sys_sethostname')}`, 'continue', 'printf "first %#lx\\n", $rip', 'continue',
      'printf "second %#lx\\n", $rip', 'printf "cpl %d\\n", $cs & 3', 'stepi', 'printf "stepped %d\\n", $rip != ' + kernel('__x64_sys_sethostname'), 'monitor reset', 'monitor info mem', 'detach',
    ]);
    expect(gdb).toMatch(/^entry 0x1[0-9a-f]{6}$/m);
    expect(gdb).toContain(`first ${kernel('start_kernel')}\n`);
    expect(gdb).toContain(`second ${kernel('__x64_sys_sethostname')}\n`);
    expect(gdb).toMatch(/^cpl 0$/m);
    expect(gdb).toMatch(/^stepped 1$/m);
    expect(gdb).toContain('a container cannot be reset');
    expect(gdb).toMatch(/ffffffff81000000/);
    expect(vmm).toContain('from the container\n');
    expect(status, vmm).toBe(4);
  });

  it('gdb’s kill ends the run: 137', async () => {
    const { vmm, status } = await debug(['--wait'], ['kill']);
    expect(vmm).not.toContain('from the container');
    expect(status, vmm).toBe(137);
  });
});

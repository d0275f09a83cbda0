/** The lock-down by the kernel's own word: a process binds itself, then tries. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cache } from '../../../scripts/lib.mjs';
import { seccompFilter } from '../../../vmm/host/lockdown/filter.ts';

let child: string;
const dirs: string[] = [];

beforeAll(() => {
  // Inside the checkout, where the FFI library is found.
  child = join(cache, `lockdown-child.${process.pid}.cjs`);
  buildSync({
    entryPoints: [join(import.meta.dirname, '../../support/cli/lockdown-child.ts')], outfile: child, bundle: true, platform: 'node', format: 'cjs', external: ['koffi', '@koromix/*'],
    define: { 'import.meta.url': '__url' }, banner: { js: "const __url = require('node:url').pathToFileURL(__filename).href;" },
  });
});
afterAll(() => {
  rmSync(child, { force: true });
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

/** What came of each attempt. `user`: a uid to run as; else this process's. */
function attempts(args: readonly string[] = [], user?: number): Record<string, unknown> {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-lockdown-'));
  dirs.push(dir);
  for (const name of ['readable', 'sockets']) mkdirSync(join(dir, name));
  for (const name of ['opened', 'readable/file', 'sockets/own']) writeFileSync(join(dir, name), '');
  for (const name of ['', 'readable', 'sockets', 'opened', 'readable/file']) chmodSync(join(dir, name), 0o777);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')));
  const command = [process.execPath, child, dir, ...args];
  const [program = '', ...rest] = user === undefined ? command : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', ...command];
  const { stdout, stderr, status } = spawnSync(program, rest, { env, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const BOUND = {
  'read what is listed': 'ok', 'read what is not': 'EACCES', 'write to what was open': 'ok', 'open for writing': 'EPERM', 'open a device for writing': 'EPERM', 'create a file': 'EPERM', 'remove a file': 'EACCES',
  'remove a socket of ours': 'ok', 'run a program': 'EPERM', socket: 'EPERM', open_by_handle_at: 'EPERM', ptrace: 'EPERM', process_vm_readv: 'EPERM', mount: 'EPERM', unshare: 'EPERM', setns: 'EPERM', bpf: 'EPERM',
  io_uring_setup: 'EPERM', openat2: 'EPERM', fork: 'EPERM', 'clone of a process': 'EPERM', clone3: 'ENOSYS', 'signal to another process': 'EPERM', 'signal to this process': 'ok',
  'prlimit with a new limit': 'EPERM', 'x32 getpid': 'EPERM', listen: 'EPERM', 'a new thread creates a file': 'EPERM', 'made by the thread': false,
  threads: ['1 2 0000000000000000 0000000000000000'],
};

describe('a process that has locked itself down', () => {
  it('has no capability in any thread, opens what is listed, and makes no file, process or socket', () => {
    const { 'thread count': count, ...rest } = attempts();
    expect(rest).toEqual(BOUND);
    expect(count).toBeGreaterThan(5);
  });

  it('that may open anew opens listed devices for writing, and creates nothing', () => {
    const { 'thread count': _, ...rest } = attempts(['reopen']);
    expect(rest).toEqual({ ...BOUND, 'open for writing': 'EACCES', 'open a device for writing': 'ok' });
  });

  it.runIf(process.getuid?.() === 0)('works for a user without any privilege', () => {
    const { 'thread count': _, ...rest } = attempts([], 65534);
    expect(rest).toEqual(BOUND);
  });
});

it('twenty processes one after another: never a thread left out', () => {
  for (let i = 0; i < 20; i++) expect(attempts().threads).toEqual(BOUND.threads);
});

it('a filter finds each call in few steps', () => {
  const rules = new Map(Array.from({ length: 128 }, (_, i) => [2 * i, 'allow'] as const));
  const words = new DataView(seccompFilter(rules, 1).buffer);
  // The longest way through the jumps; those of a filter only go forward.
  const steps = (at: number): number => {
    const [code, jt, jf, k] = [words.getUint16(8 * at, true), words.getUint8(8 * at + 2), words.getUint8(8 * at + 3), words.getUint32(8 * at + 4, true)];
    if ((code & 7) === 6) return 1;
    if (code === 5) return 1 + steps(at + 1 + k);
    return (code & 7) === 5 ? 1 + Math.max(steps(at + 1 + jt), steps(at + 1 + jf)) : 1 + steps(at + 1);
  };
  expect(steps(0)).toBeLessThan(24);
});

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import { root } from '../../support/guests/programs.ts';

/** Signals belong to a process of their own, not to the test runner's. */
function run(program: string): string {
  const file = join(root, '.cache', 'test-dist', `signals-${process.pid}.mjs`);
  buildSync({ stdin: { contents: `import * as sys from './vmm/host/sys.ts';\n${program}`, resolveDir: root, loader: 'ts' }, bundle: true, format: 'esm', platform: 'node', external: ['koffi'], outfile: file, logLevel: 'error' });
  return execFileSync(process.execPath, [file], { encoding: 'utf8' }).trim();
}

test('a signal with a neutral handler does not end the process', () => {
  const out = run(`
    sys.handleWithNothing(sys.SIGRTMIN);
    for (let i = 0; i < 100; i++) sys.tgkill(sys.gettid(), sys.SIGRTMIN);
    sys.kill(process.pid, sys.SIGRTMIN);
    console.log('alive');`);
  expect(out).toBe('alive');
});

test('a thread that does not exist cannot be signalled', () => {
  expect(run('console.log(sys.tgkill(2 ** 22, 0));')).toBe('false');
});

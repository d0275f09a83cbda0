/** `diff`, `export` and `commit` of a container that runs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';

const { image, root, cli, close } = ownContainers('running');
const store = mkdtempSync(join(tmpdir(), 'vmm-running-'));
const env = { VMM_STORE: store };
afterAll(async () => {
  await close();
  rmSync(store, { recursive: true });
});
const own = (command: string, ...rest: string[]) => vmm([command, '--root', root, ...rest], { env });
/** Two files that are never more than one step apart, whenever it stands. */
const STEPS = 'i=0; while :; do i=$((i+1)); echo $i >/t; mv /t /a; echo $i >/t; mv /t /b; done';
const SMALL = ['--accel', 'wasm', '-m', '128m'];

it('gives its files as they were at one moment, and it goes on; stop and pause of the user count', async () => {
  expect(await own('run', '-d', ...SMALL, '--name', 'steps', image, 'sh', '-c', STEPS)).toMatchObject({ status: 0, stderr: '' });
  let before = 0;
  for (let round = 0; round < 3; round++) {
    const { stdout, stderr } = await own('export', 'steps');
    expect(stderr).toBe('');
    const read = (path: string): number => Number(execFileSync('tar', ['-xO', path], { input: stdout, encoding: 'utf8', timeout: 60_000, stdio: ['pipe', 'pipe', 'ignore'] }));
    const [a, b] = [read('a'), read('b')];
    expect(a - b).toBeGreaterThanOrEqual(0);
    expect(a - b).toBeLessThanOrEqual(1);
    expect(a).toBeGreaterThan(before);
    before = a;
  }
  expect((await own('diff', 'steps')).stdout.toString()).toMatch(/^A \/a\n/m);
  await own('pause', 'steps');
  expect(await own('commit', '--pause=false', 'steps', 'steps:1')).toMatchObject({ status: 0, stderr: '' });
  expect((await own('inspect', '-f', '{{.State.Status}}', 'steps')).stdout.toString()).toBe('paused\n');
  await own('unpause', 'steps');
  const made = Number((await vmm(['run', '-q', ...SMALL, 'steps:1', 'cat', '/a'], { env })).stdout.toString());
  expect(made).toBeGreaterThanOrEqual(before);
  const [stopped, exported] = await Promise.all([own('stop', '-t', '0', 'steps'), own('export', '-o', join(store, 'x.tar'), 'steps')]);
  expect(stopped).toMatchObject({ status: 0 });
  expect(exported.stderr).toMatch(/^(vmm: [^\n]*\[CONTAINER_(LOST|STATE)\]\n)?$/);
  expect(await cli('rm', 'steps')).toMatchObject({ status: 0 });
});

it('of one whose changes are in its memory there is no disk to read', async () => {
  await cli('run', '-d', ...SMALL, '--scratch', 'tmpfs', '--name', 'none', image, 'sleep', '1000');
  expect((await cli('diff', 'none')).stderr).toMatch(/^vmm: container none runs, and keeps what it changes in its memory .*\[CONTAINER_STATE\]\n$/);
  await cli('rm', '-f', 'none');
});

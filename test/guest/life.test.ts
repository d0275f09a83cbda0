import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';

const { image, root, cli, close } = ownContainers('life');
afterAll(close);
const run = (name: string, ...rest: string[]) => cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', name, ...rest);
const state = async (name: string) => (JSON.parse((await cli('inspect', name)).stdout.toString()) as { State: { Status: string; ExitCode: number } }[])[0]?.State;

describe('vmm run -d', () => {
  it('prints an id; output goes to the log, the exit status to wait; rm removes all of it', async () => {
    const started = await run('speaks', '--label', 'a=b', image, 'sh', '-c', 'echo out; echo err >&2; exit 7');
    expect(started).toMatchObject({ status: 0, stderr: '' });
    const id = started.stdout.toString().trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((await cli('wait', 'speaks')).stdout.toString()).toBe('7\n');
    expect(await cli('logs', id.slice(0, 12))).toMatchObject({ status: 0, stdout: Buffer.from('out\n'), stderr: 'err\n' });
    expect(await state('speaks')).toMatchObject({ Status: 'exited', ExitCode: 7 });
    expect((await cli('ps')).stdout.toString()).not.toContain('speaks');
    expect((await cli('ps', '-a', '--filter', 'label=a=b', '--format', '{{.Names}} {{.Status}}')).stdout.toString()).toMatch(/^speaks Exited \(7\) .* ago\n$/);
    expect((await run('speaks', image, 'true')).stderr).toContain('[CONTAINER_NAME]');
    expect(await cli('rm', 'speaks')).toMatchObject({ status: 0 });
    expect([readdirSync(join(root, 'containers')), readdirSync(join(root, 'names'))]).toEqual([[], []]);
    expect((await cli('logs', 'speaks')).stderr).toContain('[CONTAINER_NOT_FOUND]');
  });

  it('stop sends the stop signal, and KILL to what ignores it; rm refuses what runs', async () => {
    await run('heeds', image, 'sh', '-c', "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done");
    await run('ignores', image, 'sh', '-c', "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    expect((await cli('rm', 'heeds')).stderr).toContain('[CONTAINER_STATE]');
    const follow = cli('logs', '-f', 'heeds');
    expect(await cli('stop', '-t', '60', 'heeds')).toMatchObject({ status: 0 });
    expect(await state('heeds')).toMatchObject({ Status: 'exited' });
    expect((await follow).stdout.toString()).toMatch(/^(ready\n)?$/);
    expect(await cli('stop', '-t', '1', 'ignores')).toMatchObject({ status: 0 });
    expect(await state('ignores')).toMatchObject({ Status: 'exited', ExitCode: 137 });
    expect((await cli('kill', 'ignores')).stderr).toContain('[CONTAINER_STATE]');
  });

  it('a command that is not there: 127, one line', async () => {
    const result = await run('nothing', image, '/no/such');
    expect(result).toMatchObject({ status: 127, stdout: Buffer.alloc(0) });
    expect(result.stderr).toMatch(/^vmm: .*\[AGENT_COMMAND_NOT_FOUND\]\n$/);
  });

  it('an owner that is killed is told as dead with 137, and removed', async () => {
    const id = (await run('killed', image, 'sleep', '1000')).stdout.toString().trim();
    const owner = readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && commandLine(pid).endsWith(`owner\0${root}\0${id}\0`));
    process.kill(Number(owner), 'SIGKILL');
    expect((await cli('wait', 'killed')).stdout.toString()).toBe('137\n');
    expect(await state('killed')).toMatchObject({ Status: 'dead', ExitCode: 137 });
    expect(await cli('rm', 'killed')).toMatchObject({ status: 0 });
  });

  it('--rm leaves an empty folder, which a list sweeps when it is old', async () => {
    const id = (await run('goes', '--rm', image, 'sleep', '1000')).stdout.toString().trim();
    expect(await cli('stop', '-t', '0', 'goes')).toMatchObject({ status: 0 });
    expect((await cli('ps', '-a')).stdout.toString()).not.toContain('goes');
    expect(readdirSync(join(root, 'names'))).not.toContain('goes');
    expect(readdirSync(join(root, 'containers', id))).toEqual([]);
    utimesSync(join(root, 'containers', id), 1, 1);
    await cli('ps');
    expect(readdirSync(join(root, 'containers'))).not.toContain(id);
  });
});

describe('the state directory', () => {
  it('open to others, or no directory: one line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vmm-life-'));
    chmodSync(folder, 0o755);
    expect((await vmm(['ps', '--root', folder])).stderr).toMatch(/^vmm: .*open to others.*\[STATE_FOLDER\]\n$/);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    expect((await vmm(['run', '-d', '--root', folder, image, 'true'])).stderr).toMatch(/\[STATE_FOLDER\]\n$/);
    rmSync(folder);
  });

  it('is the user’s alone', () => {
    expect(statSync(root).mode & 0o777).toBe(0o700);
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

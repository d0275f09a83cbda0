import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';

const { image, root, cli, close } = ownContainers('kept');
afterAll(close);
const SMALL = ['--accel', 'wasm', '-m', '128m'];
const create = (name: string, ...rest: string[]) => cli('create', ...SMALL, '--name', name, ...rest);
const run = (name: string, ...rest: string[]) => cli('run', '-d', ...SMALL, '--name', name, ...rest);
const said = async (name: string) => (await cli('logs', name)).stdout.toString();
const ended = async (name: string) => (await cli('wait', name)).stdout.toString().trim();
const seen = async (name: string) => (JSON.parse((await cli('inspect', name)).stdout.toString()) as { Id: string; RestartCount: number; State: { Status: string; ExitCode: number; Pid: number } }[])[0] as { Id: string; RestartCount: number; State: { Status: string; ExitCode: number; Pid: number } };
const id = (result: { stdout: Buffer }): string => result.stdout.toString().trim();
/** As another program sees it (e2fsprogs); 0: nothing is to be mended. */
const fsck = (disk: string, ...how: string[]) => spawnSync('e2fsck', ['-f', ...how, disk], { timeout: 60_000 }).status;

/** Resolves when the log has a text. */
async function logged(name: string, text: string): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if ((await said(name)).includes(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} never said ${text}: ${await said(name)}`);
}

function nothingLeft(): void {
  expect(['containers', 'names', 'sockets'].map((folder) => readdirSync(join(root, folder)))).toEqual([[], [], []]);
}

describe('a file system that is kept', () => {
  it('is there again at each start: files, modes, what was removed, the root’s own mode', async () => {
    const made = await create('keeps', image, 'sh', '-c', 'ls -d /kept /bin/tty 2>/dev/null; stat -c "%a %u" /kept / 2>/dev/null; mkdir -m 700 -p /kept; chmod 711 /; rm -f /bin/tty; echo line >>/kept/lines; cat /kept/lines; exit 3');
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect((await seen('keeps')).State).toMatchObject({ Status: 'created' });
    for (let start = 0; start < 2; start++) {
      expect(await cli('start', 'keeps')).toMatchObject({ status: 0, stdout: Buffer.from('keeps\n'), stderr: '' });
      expect(await ended('keeps')).toBe('3');
    }
    const again = '/kept\n700 0\n711 0\nline\n';
    expect(await said('keeps')).toBe(`/bin/tty\n755 0\nline\n${again}line\n`);
    const disk = join(root, 'containers', id(made), 'disk');
    expect(fsck(disk, '-n')).toBe(0);
    // Sparse: as large as is allowed, and no larger than what is in it.
    expect(statSync(disk).size).toBeGreaterThanOrEqual(2 ** 30);
    expect(statSync(disk).blocks * 512).toBeLessThan(32 * 2 ** 20);
    expect(await cli('rm', 'keeps')).toMatchObject({ status: 0 });
    nothingLeft();
  });

  it('is as large as --scratch says', async () => {
    await run('small', '--scratch', '64m', image, 'sh', '-c', 'df -m / | tail -n 1; dd if=/dev/zero of=/big bs=1M count=60; echo $?');
    await ended('small');
    const text = await said('small');
    expect(Number(/^overlay +(\d+)/m.exec(text)?.[1])).toBeLessThan(64);
    expect(text).toMatch(/^1$/m);
    await cli('rm', 'small');
    nothingLeft();
  });

  it('outlives the kill -9 of its owner: what was synced is there, the disk can be mended, start works', async () => {
    const container = id(await run('crashes', '--scratch', '256m', image, 'sh', '-c', 'cat /precious 2>/dev/null; echo gold >>/precious; sync; echo saved; while :; do echo x >>/junk; done'));
    await logged('crashes', 'saved');
    process.kill((await seen('crashes')).State.Pid, 'SIGKILL');
    expect(await ended('crashes')).toBe('137');
    expect((await seen('crashes')).State).toMatchObject({ Status: 'dead', ExitCode: 137 });
    const folder = join(root, 'containers', container);
    copyFileSync(join(folder, 'disk'), join(root, 'copy'));
    expect(fsck(join(root, 'copy'), '-p')).toBeLessThanOrEqual(1);
    expect(fsck(join(root, 'copy'), '-n')).toBe(0);
    rmSync(join(root, 'copy'));
    expect(existsSync(join(root, 'sockets', container))).toBe(true); // stale
    expect(await cli('start', 'crashes')).toMatchObject({ status: 0, stderr: '' });
    await logged('crashes', 'gold');
    expect(await cli('rm', '-f', 'crashes')).toMatchObject({ status: 0 });
    nothingLeft();
  });

  it('has its image and its environment as they were when it was made, whatever the store does and whoever starts it', async () => {
    const store = mkdtempSync(join(tmpdir(), 'vmm-kept-store-'));
    const env = { VMM_STORE: store };
    const own = (...argv: string[]) => vmm([argv[0] as string, '--root', root, ...argv.slice(1)], { env: { ...env, KEPT_HERE: argv[0] as string } });
    expect(await vmm(['image', 'import', image, 'mine'], { env })).toMatchObject({ status: 0 });
    expect(await own('create', ...SMALL, '--name', 'lasts', '-e', 'KEPT_HERE', 'mine', 'sh', '-c', 'echo $KEPT_HERE')).toMatchObject({ status: 0, stderr: '' });
    expect(await vmm(['image', 'rm', 'mine'], { env })).toMatchObject({ status: 0 });
    expect(readdirSync(join(store, 'rootfs'))).toEqual([]);
    expect(await own('start', 'lasts')).toMatchObject({ status: 0, stderr: '' });
    expect(await ended('lasts')).toBe('0');
    expect(await said('lasts')).toBe('create\n');
    await cli('rm', 'lasts');
    rmSync(store, { recursive: true });
    nothingLeft();
  });

  it('goes with --rm at the end', async () => {
    const container = id(await run('short', '--rm', image, 'sh', '-c', 'echo x >/x; sleep 1000'));
    const folder = join(root, 'containers', container);
    expect(readdirSync(folder)).toContain('disk');
    await cli('stop', '-t', '0', 'short');
    expect(readdirSync(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
    nothingLeft();
  });
});

describe('restarts', () => {
  it('on-failure:2 runs it three times in all, over the same files', async () => {
    await run('fails', '--restart', 'on-failure:2', image, 'sh', '-c', 'echo run >>/runs; cat /runs; exit 9');
    expect(await ended('fails')).toBe('9');
    expect(await seen('fails')).toMatchObject({ RestartCount: 2, State: { Status: 'exited', ExitCode: 9 } });
    expect(await said('fails')).toBe('run\n'.repeat(6));
    expect(fsck(join(root, 'containers', (await seen('fails')).Id, 'disk'), '-n')).toBe(0);
    await cli('rm', 'fails');
    nothingLeft();
  });

  it('always: until it is stopped, also while it waits', async () => {
    await run('goes-on', '--restart', 'always', image, 'sh', '-c', 'echo again; exit 0');
    await logged('goes-on', 'again\nagain\nagain\n');
    expect(await cli('stop', 'goes-on')).toMatchObject({ status: 0 });
    expect((await seen('goes-on')).State.Status).toBe('exited');
    expect((await seen('goes-on')).RestartCount).toBeGreaterThanOrEqual(2);
    expect(await cli('rm', 'goes-on')).toMatchObject({ status: 0 });
    nothingLeft();
  });

  it('a command that was never there is not tried again; --rm and --restart exclude each other', async () => {
    const result = await run('none', '--restart', 'always', image, '/no/such');
    expect(result).toMatchObject({ status: 127 });
    expect((await seen('none')).State.Status).toBe('created');
    await cli('rm', 'none');
    expect((await run('none', '--restart', 'always', '--rm', image, 'true')).stderr).toMatch(/^vmm: conflicting options.*\[USAGE\]\n$/);
    expect((await run('none', '--restart', 'sometimes', image, 'true')).stderr).toMatch(/^vmm: .*on-failure.*\[USAGE\]\n$/);
    nothingLeft();
  });

  it('vmm restart: the same container, with its files, a new run', async () => {
    await run('again', '--stop-timeout', '1', image, 'sh', '-c', 'echo run >>/runs; cat /runs; echo up; sleep 1000');
    await logged('again', 'up\n');
    expect(await cli('restart', 'again')).toMatchObject({ status: 0, stdout: Buffer.from('again\n') });
    await logged('again', 'up\nrun\nrun\nup\n');
    await cli('rm', '-f', 'again');
    nothingLeft();
  });
});

describe('vmm start -a', () => {
  it('vmm restart of --rm keeps it until its end; rm -f of it is no error', async () => {
    const made = await run('passes', '--rm', image, 'sh', '-c', 'echo x >>/f; cat /f; echo over; exec sleep 1000');
    expect(made.status).toBe(0);
    await logged('passes', 'over');
    expect(await cli('restart', '-t', '0', 'passes')).toMatchObject({ status: 0, stderr: '' });
    await logged('passes', 'x\nx\nover');
    expect(await cli('rm', '-f', 'passes')).toMatchObject({ status: 0, stderr: '' });
    expect(await cli('inspect', 'passes')).toMatchObject({ status: 1, stderr: expect.stringContaining('[CONTAINER_NOT_FOUND]') });
  });

  it('a whole id is no other container’s name', async () => {
    const one = id(await create('one', image, 'true'));
    expect((await create(one, image, 'true')).status).toBe(0);
    expect((await cli('inspect', '--format', '{{.Name}} {{.State.Status}} {{json .State.ExitCode}}', one)).stdout.toString()).toBe('/one created 0\n');
    expect(await cli('inspect', '--format', '{{.State.None}}', one)).toMatchObject({ status: 125, stderr: expect.stringContaining('[USAGE]') });
    expect(await cli('rm', one)).toMatchObject({ status: 0 });
    expect((await cli('inspect', '--format', '{{.Name}}', one)).stdout.toString()).toBe(`/${one}\n`);
    expect(await cli('rm', one)).toMatchObject({ status: 0 });
  });

  it('joins the streams before the first output, passes input and its end on, and ends with the status', async () => {
    await create('joined', '-i', image, 'sh', '-c', 'echo first; cat; echo err >&2; exit 4');
    expect(await vmm(['start', '--root', root, '-ai', 'joined'], { stdin: 'input\n' })).toMatchObject({ status: 4, stdout: Buffer.from('first\ninput\n'), stderr: 'err\n' });
    expect(await said('joined')).toBe('first\ninput\n');
    await cli('rm', '-f', 'joined');
    await create('none', image, '/no/such');
    expect(await cli('start', '-a', 'none')).toMatchObject({ status: 127, stderr: expect.stringMatching(/^vmm: [^\n]*\[AGENT_COMMAND_NOT_FOUND\]\n$/) });
    expect((await cli('start', '-a', 'none', 'other')).stderr).toMatch(/^vmm: .*\[USAGE\]\n$/);
    await cli('rm', 'none');
    nothingLeft();
  });
});

describe('two commands at once', () => {
  it('start and start: both have started it, once', async () => {
    await create('twice', image, 'sh', '-c', 'echo up; sleep 1000');
    const both = await Promise.all([cli('start', 'twice'), cli('start', 'twice'), cli('start', 'twice')]);
    expect(both.map(({ status, stderr }) => [status, stderr])).toEqual([[0, ''], [0, ''], [0, '']]);
    await logged('twice', 'up\n');
    expect(owners((await seen('twice')).Id)).toHaveLength(1);
    expect(await said('twice')).toBe('up\n');
    await cli('rm', '-f', 'twice');
    nothingLeft();
  });

  it('start and rm: it runs, or is gone; one clear line for the other', async () => {
    await create('raced', image, 'sleep', '1000');
    const [started, removed] = await Promise.all([cli('start', 'raced'), cli('rm', 'raced')]);
    for (const { stderr } of [started, removed]) expect(stderr).toMatch(/^(vmm: [^\n]*\[(CONTAINER_NOT_FOUND|CONTAINER_STATE)\]\n)?$/);
    expect([started.status, removed.status].sort()).toEqual([0, 1]);
    if (started.status === 0) expect(await cli('rm', '-f', 'raced')).toMatchObject({ status: 0 });
    nothingLeft();
  });

  it('rename: to a name that is free, once', async () => {
    await create('left', image, 'true');
    await create('right', image, 'true');
    const both = await Promise.all([cli('rename', 'left', 'middle'), cli('rename', 'right', 'middle')]);
    expect(both.map(({ status }) => status).sort()).toEqual([0, 1]);
    expect(both.map(({ stderr }) => stderr).join('')).toMatch(/^vmm: the name middle is taken.*\[CONTAINER_NAME\]\n$/);
    expect((await cli('rename', 'middle', '-bad')).stderr).toMatch(/^vmm: .*\[USAGE\]\n$/);
    expect((await cli('rename', 'middle', '/bad')).stderr).toMatch(/^vmm: .*\[USAGE\]\n$/);
    await cli('rm', 'middle', both[0]?.status === 0 ? 'right' : 'left');
    nothingLeft();
  });

  it('a client that is killed while it makes or starts a container: the next commands work', async () => {
    for (const ms of [200, 500]) {
      const result = spawnSync(process.execPath, ['--', join(import.meta.dirname, '../../bin/vmm.js'), 'run', '-d', '--root', root, ...SMALL, '--name', 'cut', image, 'sleep', '1000'], { timeout: ms, killSignal: 'SIGKILL' });
      expect([0, null]).toContain(result.status);
      expect(await cli('ps', '-a')).toMatchObject({ status: 0, stderr: '' });
      await cli('rm', '-f', 'cut');
      expect(await create('cut', image, 'true')).toMatchObject({ status: 0, stderr: '' });
      expect(await cli('rm', 'cut')).toMatchObject({ status: 0 });
    }
    for (const left of readdirSync(join(root, 'containers'))) {
      expect(left).toMatch(/^\./);
      rmSync(join(root, 'containers', left), { recursive: true });
    }
    nothingLeft();
  });
});

describe('what is not there any more', () => {
  it('a disk: one line, and rm works', async () => {
    const container = id(await create('broken', image, 'true'));
    renameSync(join(root, 'containers', container, 'disk'), join(root, 'away'));
    expect(await cli('start', 'broken')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^vmm: [^\n]*disk[^\n]*\[SCRATCH_MAKE\]\n$/) });
    expect(await cli('rm', 'broken')).toMatchObject({ status: 0 });
    rmSync(join(root, 'away'));
    nothingLeft();
  });

  it('a container that is not there', async () => {
    for (const command of ['start', 'restart', 'rm']) expect(await cli(command, 'nobody')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^vmm: [^\n]*\[CONTAINER_NOT_FOUND\]\n$/) });
  });
});

/** Processes that own a container. */
function owners(container: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').endsWith(`owner\0${root}\0${container}\0`);
    } catch {
      return false;
    }
  });
}

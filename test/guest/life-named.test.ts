/** `vmm run --name`, on this terminal: kept, owned and seen as what `create` and `start -a` make. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';
import { Watched } from '../support/watched.ts';

const { image, root, cli, close } = ownContainers('named');
afterAll(close);
const SMALL = ['--accel', 'wasm', '-m', '128m'];
const run = (...rest: string[]) => cli('run', ...SMALL, ...rest);
const seen = async (name: string, format: string) => (await cli('inspect', '-f', format, name)).stdout.toString().trim();

describe('vmm run --name', () => {
  it('passes streams and the status on, keeps files and log, and its name is taken (Docker’s 125)', async () => {
    const script = 'echo run >>/runs; cat /runs; cat; echo err >&2; exit 7';
    expect(await vmm(['run', '--root', root, ...SMALL, '-i', '--name', 'stays', image, 'sh', '-c', script], { stdin: 'in\n' })).toMatchObject({ status: 7, stdout: Buffer.from('run\nin\n'), stderr: 'err\n' });
    expect(await seen('stays', '{{.State.Status}} {{.State.ExitCode}} {{.Path}} {{json .Args}}')).toBe(`exited 7 sh ${JSON.stringify(['-c', script])}`);
    expect(await run('--name', 'stays', image, 'true')).toMatchObject({ status: 125, stdout: Buffer.alloc(0), stderr: expect.stringMatching(/^vmm: [^\n]*\[CONTAINER_NAME\]\n$/) });
    expect(await vmm(['start', '--root', root, '-ai', 'stays'], { stdin: '' })).toMatchObject({ status: 7, stdout: Buffer.from('run\nrun\n') });
    expect((await cli('logs', 'stays')).stdout.toString()).toBe('run\nin\nrun\nrun\n');
    expect(await cli('rm', 'stays')).toMatchObject({ status: 0 });
    expect(readdirSync(join(root, 'containers'))).toEqual([]);
  });

  it('--rm leaves nothing, also where the command is not there; -a chooses streams', async () => {
    expect(await run('--rm', '--name', 'goes', '-a', 'stderr', image, 'sh', '-c', 'echo out; echo err >&2; exit 3')).toMatchObject({ status: 3, stdout: Buffer.alloc(0), stderr: 'err\n' });
    expect(await run('--rm', '--name', 'goes', image, '/no/such')).toMatchObject({ status: 127 });
    expect(await vmm(['run', '-q', ...SMALL, '-a', 'stdout', image, 'sh', '-c', 'echo out; echo err >&2'])).toMatchObject({ status: 0, stdout: Buffer.from('out\n'), stderr: '' });
    expect(['containers', 'names', 'sockets'].map((folder) => readdirSync(join(root, folder)))).toEqual([[], [], []]);
  });

  it('a signal goes to the command, or before it runs ends the container; --timeout gives 124', async () => {
    const ready = start(['--name', 'heeds', image, 'sh', '-c', 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done']);
    await ready.until('ready');
    ready.child.kill('SIGTERM');
    expect((await ready.ended).status).toBe(9);
    const early = start(['--name', 'early', image, 'sleep', '1000']);
    await early.untilTrue('it has its name', () => existsSync(join(root, 'names', 'early')));
    early.child.kill('SIGINT');
    expect((await early.ended).status).toBe(130);
    expect(await seen('early', '{{.State.Running}}')).toBe('false');
    expect(await run('--timeout', '2s', '--name', 'long', image, 'sleep', '1000')).toMatchObject({ status: 124, stderr: 'vmm: ended after 2s, as --timeout says\n' });
    await cli('rm', 'heeds', 'early', 'long');
  });

  it('Ctrl-C during a pull ends it with 130 and no word, whoever pulls', async () => {
    const registry = createServer((socket) => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
    await once(registry, 'listening');
    const remote = `127.0.0.1:${(registry.address() as AddressInfo).port}/image`;
    // The second only looks like one that has a name.
    for (const words of [['--name', 'pulled', remote], [remote, 'echo', '--name']]) {
      const asked = once(registry, 'connection');
      const pulling = new Watched(spawn(process.execPath, ['--', BIN, 'run', '--root', root, '-q', ...SMALL, ...words], { stdio: ['ignore', 'pipe', 'pipe'] }));
      await asked;
      pulling.child.kill('SIGINT');
      const { status, signal, stdout, stderr } = await pulling.ended;
      expect({ ended: status ?? signal, stdout, stderr }).toEqual({ ended: words.includes('pulled') ? 130 : 'SIGINT', stdout: '', stderr: '' });
    }
    registry.close();
    expect(readdirSync(join(root, 'names'))).toEqual([]);
  });

  it('its words are no arguments of its owner, which every user could read', async () => {
    const running = start(['--name', 'secret', '-e', 'PASSWORD=correct-horse', image, 'sh', '-c', 'echo has-$PASSWORD; exec sleep 1000']);
    await running.until('has-correct-horse');
    const id = await seen('secret', '{{.Id}}');
    const { pid } = JSON.parse(readFileSync(join(root, 'containers', id, 'life.json'), 'utf8'));
    const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    expect(words).toMatch(new RegExp(`\0owner\0run\0${id}\0$`));
    expect(words).not.toContain('horse');
    expect(await cli('rm', '-f', 'secret')).toMatchObject({ status: 0 });
    expect((await running.ended).status).toBe(137);
  });

  it('goes on when its client is killed; what it goes on to write is in the log', async () => {
    const running = start(['--name', 'survives', image, 'sh', '-c', 'echo ready; sleep 2; echo later; exit 5']);
    await running.until('ready');
    running.child.kill('SIGKILL');
    expect((await running.ended).signal).toBe('SIGKILL');
    expect((await cli('wait', 'survives')).stdout.toString()).toBe('5\n');
    expect((await cli('logs', 'survives')).stdout.toString()).toBe('ready\nlater\n');
    await cli('rm', 'survives');
  });
});

describe('--volumes-from', () => {
  it('takes the mounts of another, read-only where asked; one without a name is told', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vmm-from-'));
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'file'), 'shared\n');
    expect(await cli('create', '--name', 'data', '-v', `${folder}:/data`, '--mount', `type=bind,src=${folder}/other,dst=/fixed,readonly`, image, 'true')).toMatchObject({ status: 0 });
    const script = 'cat /data/file; echo x >/data/made; echo x >/fixed/made; echo $?';
    expect((await vmm(['run', '--root', root, '-q', ...SMALL, '--volumes-from', 'data', image, 'sh', '-c', script])).stdout.toString()).toBe('shared\n1\n');
    expect(readFileSync(join(folder, 'made'), 'utf8')).toBe('x\n');
    await run('--name', 'reads', '--volumes-from', 'data:ro', image, 'sh', '-c', 'echo y >/data/made');
    expect(JSON.parse(await seen('reads', '{{json .Mounts}}'))).toMatchObject([{ Type: 'bind', Source: folder, Destination: '/data', RW: false }, { Destination: '/fixed', RW: false }]);
    expect(readFileSync(join(folder, 'made'), 'utf8')).toBe('x\n');
    expect(await cli('create', '--name', 'nameless', '-v', '/own', image, 'true')).toMatchObject({ status: 0 });
    expect((await cli('create', '--volumes-from', 'nameless', image, 'true')).stderr).toMatch(/^vmm: .*\/own.*NAME:\/own.*\[USAGE\]\n$/);
    expect((await cli('create', '--volumes-from', 'nobody', image, 'true')).stderr).toMatch(/\[CONTAINER_NOT_FOUND\]\n$/);
    await cli('rm', 'data', 'reads', 'nameless');
    rmSync(folder, { recursive: true });
  });
});

describe.skipIf(process.getuid?.() !== 0)('a full disk below a container that runs', () => {
  it('is told by ps, inspect and the log, and the container goes on', async () => {
    const small = mkdtempSync(join(tmpdir(), 'vmm-full-'));
    const words = (...all: string[]): string => all.map((word) => `'${word}'`).join(' ');
    const command = (name: string, ...rest: string[]): string => words(process.execPath, '--', BIN, name, '--root', small, ...rest);
    const lines = [
      `mount -t tmpfs -o size=24m,mode=0700 small ${small}`,
      command('run', '-d', ...SMALL, '--scratch', '256m', '--name', 'full', image, 'sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=48 conv=fsync 2>/dev/null; echo over; exec sleep 1000'),
      `until ${command('inspect', '-f', '{{.State.Error}}', 'full')} | grep ENOSPC; do sleep 0.2; done`,
      command('ps', '--format', '{{.Status}}'),
      command('rm', '-f', 'full'),
    ];
    const { status, stdout } = await new Watched(spawn('unshare', ['-m', 'sh', '-c', lines.join('\n')], { stdio: ['ignore', 'pipe', 'inherit'] })).ended;
    expect(status).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f]{64}\n.*ENOSPC: the guest gets I\/O errors\nUp [\w ]+ \(disk full\)\nfull\n$/);
    rmSync(small, { recursive: true });
  });
});

const start = (rest: readonly string[]): Watched => new Watched(spawn(process.execPath, ['--', BIN, 'run', '--root', root, ...SMALL, ...rest], { stdio: ['ignore', 'pipe', 'inherit'] }));

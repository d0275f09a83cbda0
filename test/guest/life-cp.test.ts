import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';

let image: string;
let root: string;
let host: string;
beforeAll(async () => {
  image = busyboxImage();
  root = mkdtempSync(join(tmpdir(), 'vmm-cp-'));
  host = mkdtempSync(join(tmpdir(), 'vmm-cp-host-'));
  expect(await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'box', image, 'sleep', '1000')).toMatchObject({ status: 0 });
  expect(await sh('mkdir -p /srv/d/e; printf hi >/srv/d/f; ln -s f /srv/d/l; ln -s d /srv/dl; printf deep >/srv/d/e/g; chmod 600 /srv/d/f; mkdir /srv/to')).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await cli('rm', '-f', 'box');
  for (const dir of [image, root, host]) rmSync(dir, { recursive: true });
});

const cli = (command: string, ...rest: string[]) => vmm([command, '--root', root, ...rest]);
const sh = (script: string) => cli('exec', 'box', 'sh', '-c', script);
const OK = { status: 0, stderr: '' };

describe('vmm cp', () => {
  it('from a container: files, trees, links, and as an archive that tar reads', async () => {
    const at = (name: string) => join(host, name);
    expect(await cli('cp', 'box:/srv/d/f', at('file'))).toMatchObject(OK);
    expect([readFileSync(at('file'), 'utf8'), statSync(at('file')).mode & 0o777]).toEqual(['hi', 0o600]);
    expect(await cli('cp', 'box:srv/d', at('new'))).toMatchObject(OK);
    expect(await cli('cp', 'box:/srv/d', at('new'))).toMatchObject(OK);
    expect(await cli('cp', 'box:/srv/dl/.', at('new'))).toMatchObject(OK);
    expect([readFileSync(at('new/e/g'), 'utf8'), readFileSync(at('new/d/e/g'), 'utf8'), readFileSync(at('new/l'), 'utf8')]).toEqual(['deep', 'deep', 'hi']);
    expect(await cli('cp', '-L', 'box:/srv/d/l', at('followed'))).toMatchObject(OK);
    expect(statSync(at('followed')).isFile()).toBe(true);
    const { stdout } = await cli('cp', 'box:/srv/d', '-');
    expect(spawnSync('tar', ['t'], { input: stdout, encoding: 'utf8', timeout: HANG_MS }).stdout).toBe('d/\nd/e/\nd/e/g\nd/f\nd/l\n');
  });

  it('to a container: files, trees, content, an archive; owners are root’s unless -a', async () => {
    const tree = join(host, 'tree');
    mkdirSync(join(tree, 'sub'), { recursive: true });
    const big = Buffer.alloc(1_500_000, 'abc');
    writeFileSync(join(tree, 'sub', 'big'), big);
    writeFileSync(join(tree, 'run'), '#!/bin/sh\n', { mode: 0o755 });
    expect(await cli('cp', tree, 'box:/srv/to')).toMatchObject(OK);
    expect(await cli('cp', `${tree}/.`, 'box:/srv/to/content')).toMatchObject(OK);
    expect(await cli('cp', join(tree, 'run'), 'box:/srv/to/renamed')).toMatchObject(OK);
    const archive = spawnSync('tar', ['c', '--owner=7', '--group=8', '-C', tree, 'run'], { timeout: HANG_MS }).stdout;
    expect(await vmm(['cp', '--root', root, '-', 'box:/srv/to/sub2'], { stdin: archive })).toMatchObject({ status: 125, stderr: expect.stringContaining('[COPY_TARGET]') });
    expect(await sh('mkdir /srv/to/sub2')).toMatchObject(OK);
    expect(await vmm(['cp', '--root', root, '-', 'box:/srv/to/sub2'], { stdin: archive })).toMatchObject(OK);
    const { stdout } = await sh('cd /srv/to; cat tree/sub/big | md5sum | cut -c1-32; wc -c <content/sub/big; stat -c "%a %u:%g" renamed sub2/run');
    const md5 = spawnSync('md5sum', { input: big, encoding: 'utf8', timeout: HANG_MS }).stdout.slice(0, 32);
    expect(stdout.toString()).toBe(`${md5}\n1500000\n755 0:0\n755 7:8\n`);
  });

  it('what is missing, or of another kind: one line, and nothing is left', async () => {
    const refused = async (code: string, ...words: string[]) => expect(await cli('cp', ...words)).toMatchObject({ status: 125, stderr: expect.stringMatching(new RegExp(`^vmm: .*\\[${code}\\]\\n$`)) });
    await refused('COPY_SOURCE', 'box:/none', host);
    await refused('COPY_SOURCE', join(host, 'none'), 'box:/tmp');
    await refused('COPY_SOURCE', 'box:/srv/d/f/', host);
    await refused('COPY_TARGET', 'box:/srv/d/f', `${host}/none/`);
    await refused('COPY_TARGET', image, 'box:/srv/d/f');
    await refused('COPY_TARGET', join(image, 'etc/passwd'), 'box:/none/there');
    await refused('USAGE', 'a', 'b');
    await refused('CONTAINER_NOT_FOUND', 'other:/a', host);
  });
});

describe('vmm cp of a container that does not run', () => {
  it('takes and gives what it keeps; it is none that runs meanwhile, and its disk is whole afterwards', async () => {
    expect(await cli('create', '--accel', 'wasm', '-m', '128m', '--name', 'still', image, 'sh', '-c', 'cat /root/in; echo made >/root/out')).toMatchObject({ status: 0 });
    writeFileSync(join(host, 'in'), 'from outside\n');
    expect(await cli('cp', join(host, 'in'), 'still:/root/in')).toMatchObject(OK);
    expect((await cli('inspect', '-f', '{{.State.Status}}', 'still')).stdout.toString()).toBe('created\n');
    expect((await cli('start', '-a', 'still')).stdout.toString()).toBe('from outside\n');
    const archive = (await cli('cp', 'still:/root/out', '-')).stdout;
    expect(spawnSync('tar', ['xO'], { input: archive, encoding: 'utf8', timeout: HANG_MS }).stdout).toBe('made\n');
    const id = (await cli('inspect', '-f', '{{.Id}}', 'still')).stdout.toString().trim();
    expect(spawnSync('e2fsck', ['-fn', join(root, 'containers', id, 'disk')], { timeout: HANG_MS }).status).toBe(0);
    expect(await cli('cp', 'still:/none', host)).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[COPY_SOURCE\]\n$/) });
    expect(readdirSync(join(root, 'sockets'))).not.toContain(`${id}.files`);
  });

  it('a client that is killed leaves no machine behind', async () => {
    const client = spawn(process.execPath, ['--', BIN, 'cp', '--root', root, '-', 'still:/root'], { stdio: ['pipe', 'ignore', 'ignore'], timeout: HANG_MS });
    const files = (): string[] => readdirSync(join(root, 'sockets')).filter((name) => name.endsWith('.files'));
    while (files().length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    client.kill('SIGKILL');
    while (files().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await cli('rm', 'still')).toMatchObject({ status: 0 });
  });
});

describe('vmm top', () => {
  it('the container’s processes, without the one that looks', async () => {
    expect((await cli('top', 'box')).stdout.toString()).toMatch(/^UID +PID +PPID +STAT +TTY +TIME +CMD\n0 +1 +0 +S +\? +00:00:0\d +sleep 1000\n$/);
  });
});

/** Sandboxes in processes of their own: what one process makes another finds, as `vmm` does. */
import { readdirSync, readFileSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';

const { Sandbox, VmmError } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

const SECRET = 'correct-horse-battery';
let folder: string;
let root: string;
let box: Library.Sandbox;
beforeAll(async () => {
  folder = busyboxImage();
  root = mkdtempSync(join(tmpdir(), 'vmm-detached-'));
  process.env['VMM_STORE'] = join(root, 'store');
  mkdirSync(join(root, 'in'));
  writeFileSync(join(root, 'in', 'file,with"odd'), 'mounted');
  box = await Sandbox.create({
    image: folder, accel: 'wasm', memory: 128, detached: true, name: 'apart', root, user: 'nobody', workdir: '/tmp', env: { GREETING: 'hello there' },
    volumes: { '/in': { bind: join(root, 'in'), readOnly: true } }, secrets: { TOKEN: SECRET, key: { file: SECRET } },
  });
});
afterAll(async () => {
  await box?.stop().catch(() => {});
  for (const path of [folder, root]) rmSync(path, { recursive: true, force: true });
});

const codeOf = async (work: Promise<unknown>): Promise<string> => work.then(() => 'none', (error: unknown) => (error instanceof VmmError ? error.code : String((error as Error).name)));

describe('a detached sandbox', () => {
  it('does what one of this process does: commands, limits, streams, files', async () => {
    const first = await box.shell('id -u; pwd; echo $GREETING; echo $TOKEN; cat /run/secrets/key; cat /in/*; echo bad >&2; exit 3');
    expect([first.status, first.stdout, first.stderr]).toEqual([3, `65534\n/tmp\nhello there\n${SECRET}\n${SECRET}mounted`, 'bad\n']);
    const late = await box.shell('sleep 1000 & sleep 1000', { timeout: 300 });
    expect([late.status, late.timedOut]).toEqual([137, true]);
    const flood = await box.exec('yes', [], { maxOutput: 300_000 });
    expect([flood.status, flood.truncated, flood.stdoutBytes.length]).toEqual([137, true, 300_000]);
    expect(await codeOf(box.exec('nothing-of-that-name'))).toBe('AGENT_COMMAND_NOT_FOUND');
    const abort = new AbortController();
    expect(await codeOf(box.shell('echo runs; sleep 1000', { signal: abort.signal, onStdout: () => abort.abort() }))).toBe('AbortError');
    const big = Buffer.alloc(2_500_000, 'abcdefg');
    expect((await box.exec('md5sum', [], { input: big })).stdout).toBe((await box.shell('md5sum', { input: [big.subarray(0, 1_000_003), big.subarray(1_000_003)] })).stdout);
    await box.files.write('/tmp/big', big);
    expect((await box.files.read('/tmp/big')).equals(big)).toBe(true);
    expect((await box.files.stat('/tmp/big')).uid).toBe(65534);
    expect(await codeOf(box.files.write('/etc/motd', 'x'))).toBe('FILE_FAILED');
    await using lost = await box.execStream('sh', ['-c', 'yes | dd bs=4096 count=1000 2>/dev/null; echo $? >/tmp/done; sleep 1000']);
    await box.shell('sleep 0.3');
    expect([lost.stdout.readableLength < 200_000, await box.files.exists('/tmp/done')]).toEqual([true, false]);
    lost.stdout.destroy();
    await box.shell('while ! test -s /tmp/done; do :; done; while ps | grep -v grep | grep -q "sleep 1000 & sleep"; do :; done');
  });

  it('copies by the rules of `vmm cp`', async () => {
    await box.files.copyIn(join(root, 'in'), '/tmp/copied');
    expect((await box.shell('cat copied/*; stat -c %u copied')).stdout).toBe('mounted65534\n');
    expect([...(await box.files.copyOut('/tmp/copied', join(root, 'out')))]).toEqual([]);
    expect(readFileSync(join(root, 'out', 'file,with"odd'), 'utf8')).toBe('mounted');
    expect(await codeOf(box.files.copyOut('/none', root))).toBe('COPY_SOURCE');
  });

  it('is found by its name, and by `vmm`', async () => {
    await using other = await Sandbox.connect('apart', { root });
    expect([other.name, (await other.shell('echo $GREETING; echo [$TOKEN]')).stdout]).toEqual(['apart', 'hello there\n[]\n']);
    expect(await vmm(['exec', '--root', root, 'apart', 'sh', '-c', 'id -u; exit 4'])).toMatchObject({ status: 4, stdout: Buffer.from('65534\n') });
    await other.pause();
    expect(await codeOf(box.exec('true'))).toBe('CONTAINER_STATE');
    await other.resume();
    expect((await other.metrics()).pids).toBeGreaterThan(0);
    expect(await codeOf(Sandbox.connect('nobody', { root }))).toBe('CONTAINER_NOT_FOUND');
    expect(await codeOf(Sandbox.create({ image: folder, detached: true, name: 'apart', root }))).toBe('CONTAINER_NAME');
    expect(await codeOf(Sandbox.create({ image: join(folder, 'none'), detached: true, root }))).toBe('IMAGE_OPEN');
  });

  it('nothing that is written down or told has its secrets: no file, argument, variable, command’s output, event or error', async () => {
    const told = [inspect(box, { depth: 9, showHidden: true }), JSON.stringify(box)];
    const failing = [
      () => box.exec('nothing-of-that-name'), () => box.files.read('/run/secrets/none'), () => box.files.write('/etc/motd', 'x'), () => box.exec('true', [], { cwd: '/none' }),
      () => box.exec('true', [], { user: 'nobody-of-that-name' }), () => box.files.copyOut('/none', root),
    ];
    for (const fail of failing) {
      const error = await fail().then(() => undefined, (reason: Error) => reason);
      expect(error).toBeInstanceOf(VmmError);
      told.push(inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error), `${error?.stack}`);
    }
    for (const words of [['inspect', 'apart'], ['ps', '-a', '--no-trunc'], ['logs', 'apart'], ['events', '--since', '1h', '--until', '0s', '--format', '{{json .}}'], ['top', 'apart'], ['stats', '--no-stream'], ['diff', 'apart'], ['exec', 'apart', 'env']]) {
      const [command = '', ...rest] = words;
      const { status, stdout, stderr } = await vmm([command, '--root', root, ...rest]);
      expect([command, status]).toEqual([command, 0]);
      told.push(stdout.toString(), stderr);
    }
    await box.shell('sync');
    const kept = readdirSync(root, { recursive: true, encoding: 'utf8', withFileTypes: true }).filter((entry) => entry.isFile());
    expect(kept.map(({ name }) => name)).toEqual(expect.arrayContaining(['record.json', 'life.json', 'events', 'disk']));
    // Disks are sparse, and larger than a buffer: grep passes their holes.
    const search = spawnSync('grep', ['-rlF', SECRET, root], { encoding: 'utf8', timeout: HANG_MS });
    expect([search.status, search.stdout]).toEqual([1, '']);
    expect(spawnSync('grep', ['-rlF', 'hello there', root], { encoding: 'utf8', timeout: HANG_MS }).stdout).toMatch(/record\.json/);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        told.push(readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1'));
      } catch {
        // it is gone
      }
    }
    for (const text of told) expect(text).not.toContain(SECRET);
  });

  it('is gone when it is stopped', async () => {
    // It is killed with its container, whose process may be gone before that is told.
    const waiting = box.shell('sleep 1000').then(({ status }) => status, (error: Library.VmmError) => error.code);
    const ended = box.ended();
    await box.stop();
    expect([137, 'SANDBOX_ENDED']).toContain(await waiting);
    expect(await ended).toEqual({ reason: 'stopped' });
    expect(await codeOf(box.exec('true'))).toBe('SANDBOX_ENDED');
    expect(await codeOf(Sandbox.connect('apart', { root }))).toBe('CONTAINER_NOT_FOUND');
  });
});

describe('a detached sandbox with persist', () => {
  it('keeps its files over its end; connect starts it again, and remove leaves nothing', async () => {
    const made = await Sandbox.create({ image: folder, accel: 'wasm', memory: 128, detached: true, persist: true, name: 'again', root });
    await made.files.write('/root/kept', 'still here');
    await made.stop();
    expect(await codeOf(Sandbox.connect('again', { root }))).toBe('CONTAINER_STATE');
    const found = await Sandbox.connect('again', { root, start: true, secrets: { note: { file: 'given again' } } });
    expect((await found.shell('cat /root/kept')).stdout).toBe('still here');
    await found.remove();
    expect(await codeOf(Sandbox.connect('again', { root, start: true }))).toBe('CONTAINER_NOT_FOUND');
    expect(await codeOf(Sandbox.create({ image: folder, persist: true }))).toBe('USAGE');
  });

  it('a command that ends with timeout’s status is none that was late', async () => {
    const script = 'while ! test -e /tmp/go; do sleep 0.1; done; exit 124';
    expect(await vmm(['run', '-d', '--root', root, '--accel', 'wasm', '-m', '128m', '--rm', '--name', 'early', folder, 'sh', '-c', script])).toMatchObject({ status: 0 });
    const early = await Sandbox.connect('early', { root });
    const ended = early.ended();
    await early.shell('touch /tmp/go').catch(() => {});
    expect(await ended).toEqual({ reason: 'ended', what: 'its first process ended with 124' });
  });

  it('ends when its timeout is over, whoever is there', async () => {
    const short = await Sandbox.create({ image: folder, accel: 'wasm', memory: 128, detached: true, name: 'short', root, timeout: 4000 });
    expect(await short.ended()).toEqual({ reason: 'timeout' });
    expect(await codeOf(Sandbox.connect('short', { root }))).toBe('CONTAINER_NOT_FOUND');
  });
});

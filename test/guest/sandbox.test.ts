/** Sandboxes in this process, as the built library gives them. The oracle of what commands do is the guest's kernel and busybox. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';

const { Sandbox, VmmError } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

const SECRET = 'correct-horse-battery';
let folder: string;
let store: string;
let options: Library.SandboxOptions;
let box: Library.Sandbox;
beforeAll(async () => {
  folder = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
  process.env['VMM_STORE'] = store;
  options = { image: folder, accel: 'wasm', memory: 128 };
  box = await Sandbox.create({ ...options, env: { GREETING: 'hello' }, user: 'nobody', workdir: '/tmp', hostname: 'box', secrets: { TOKEN: SECRET, key: { file: SECRET } } });
});
afterAll(async () => {
  await box?.stop();
  for (const path of [folder, store]) rmSync(path, { recursive: true });
});

const codeOf = async (work: Promise<unknown>): Promise<string> => work.then(() => 'none', (error: unknown) => (error instanceof VmmError ? error.code : String((error as Error).name)));

describe('exec', () => {
  it('collects: the box’s user, directory, environment and host name, but for what is asked', async () => {
    const first = await box.shell('id -u; pwd; echo $GREETING $(hostname); echo bad >&2; exit 3');
    expect([first.status, first.stdout, first.stderr]).toEqual([3, '65534\n/tmp\nhello box\n', 'bad\n']);
    // What console.log shows.
    expect(inspect(first)).toMatch(/^ExecResult \{\s+status: 3,\s+stdout: '65534\\n\/tmp\\nhello box\\n',\s+stderr: 'bad\\n',/);
    const second = await box.exec('sh', ['-c', 'id -u; pwd; echo $GREETING; cat'], { user: 'root', cwd: '/etc', env: { GREETING: 'moin' }, input: ['a', Buffer.from('b')] });
    expect(second.stdout).toBe('0\n/etc\nmoin\nab');
    expect((await box.exec(['printf', '%s|', 'two words', '']).then(({ stdout }) => stdout))).toBe('two words||');
  });

  it('what cannot be started is an error with its code, what fails is a result', async () => {
    expect(await codeOf(box.exec('nothing-of-that-name'))).toBe('AGENT_COMMAND_NOT_FOUND');
    expect(await codeOf(box.exec('/etc/passwd'))).toBe('AGENT_COMMAND_NOT_EXECUTABLE');
    expect(await codeOf(box.exec('true', [], { user: 'nobody-of-that-name' }))).toBe('AGENT_USER');
    expect(await codeOf(box.exec('true', [], { cwd: 'relative' }))).toBe('USAGE');
    expect(await codeOf(box.exec('true', [], { env: { 'A=B': 'c' } }))).toBe('USAGE');
    expect((await box.shell('kill -9 $$')).status).toBe(137);
  });

  it('a time-out, a flood and an abort end a command with all that it has started', async () => {
    const late = await box.shell('sleep 1000 & sleep 1000', { timeout: 300 });
    expect([late.status, late.timedOut]).toEqual([137, true]);
    const flood = await box.exec('yes', [], { maxOutput: 10_000 });
    expect([flood.status, flood.truncated, flood.stdoutBytes.length]).toEqual([137, true, 10_000]);
    const abort = new AbortController();
    const aborted = box.shell('sleep 1000 & echo runs; sleep 1000', { signal: abort.signal, onStdout: () => abort.abort() });
    expect(await codeOf(aborted)).toBe('AbortError');
    expect(await codeOf(box.shell('true', { signal: AbortSignal.abort() }))).toBe('AbortError');
    await box.shell('while ps | grep -v grep | grep -q "sleep 1000"; do :; done');
    expect((await box.exec('ps')).stdout).not.toContain('sleep 1000');
  });

  it('what a callback or the input throws is what it rejects with', async () => {
    const broken = (): never => {
      throw new RangeError('enough');
    };
    expect(await codeOf(box.shell('echo a; sleep 1000', { onStdout: broken }))).toBe('RangeError');
    expect(await codeOf(box.exec('cat', [], { input: (function* () { yield 'a'; broken(); })() }))).toBe('RangeError');
    // What one gives back is waited for if it is a promise, and else no business of ours.
    expect((await box.exec('echo', ['a'], { onStdout: () => 7 as never })).stdout).toBe('a\n');
  });
});

describe('execStream', () => {
  it('streams both ways, a signal and a terminal', async () => {
    await using cat = await box.execStream('cat');
    cat.stdin.write('one ');
    expect(String((await cat.stdout.iterator({ destroyOnReturn: false }).next()).value)).toBe('one ');
    cat.stdin.end('two');
    expect(String(await cat.stdout.toArray())).toBe('two');
    expect(await cat.wait()).toMatchObject({ status: 0, timedOut: false });

    await using trap = await box.execStream('sh', ['-c', 'trap "echo caught; exit 5" TERM; echo ready; while :; do sleep 0.05; done']);
    let text = '';
    for await (const chunk of trap.stdout) {
      text += chunk;
      if (text === 'ready\n') await trap.kill('TERM');
    }
    expect([text, (await trap.wait()).status]).toEqual(['ready\ncaught\n', 5]);

    await using terminal = await box.execStream('sh', ['-c', 'stty size; tty'], { tty: { rows: 7, columns: 31 } });
    expect((await terminal.stdout.toArray()).join('')).toMatch(/^7 31\r\n\/dev\/pts\/\d+\r\n$/);
  });

  it('holds a command up that nobody reads, in bounded memory, and lets one go that is not read any more', async () => {
    const most = 200_000;
    const flood = await box.execStream('sh', ['-c', 'yes 0123456789abcde | dd bs=4096 count=2000 2>/dev/null; echo $? >/tmp/flood; sleep 1000']);
    await box.shell('sleep 0.5');
    expect(flood.stdout.readableLength).toBeLessThan(most);
    expect(await box.files.exists('/tmp/flood')).toBe(false);
    flood.stdout.destroy();
    await box.shell('while ! test -s /tmp/flood; do :; done');
    await flood.kill();
    expect((await flood.wait()).status).toBe(137);
  });

  it('input for a command that reads none goes nowhere', async () => {
    await using none = await box.execStream('true');
    for (let i = 0; i < 100; i++) none.stdin.write(Buffer.alloc(65_536));
    expect((await none.wait()).status).toBe(0);
    expect((await box.exec('true', [], { input: Buffer.alloc(4 << 20) })).status).toBe(0);
  });
});

describe('files', () => {
  it('written, read, listed, moved and removed, as the box’s user', async () => {
    const { files } = box;
    await files.write('/tmp/a/b/text', 'grün');
    await files.write('/tmp/a/b/text', [' und', ' blau'], { append: true });
    expect(await files.readText('/tmp/a/b/text')).toBe('grün und blau');
    expect((await box.shell('cat a/b/text; stat -c "%a %u" a/b/text')).stdout).toBe('grün und blau644 65534\n');
    await files.write('/tmp/a/run', '#!/bin/sh\necho ran', { mode: 0o755 });
    expect((await box.exec('/tmp/a/run')).stdout).toBe('ran\n');
    await box.shell('cd a; busybox ln -s b/text link; busybox mkfifo pipe');
    expect((await files.list('/tmp/a')).map(({ name, type, size, target }) => [name, type, size, target])).toEqual([['b', 'directory', 0, undefined], ['link', 'symlink', 0, 'b/text'], ['pipe', 'fifo', 0, undefined], ['run', 'file', 18, undefined]]);
    expect(await files.stat('/tmp/a/link')).toMatchObject({ type: 'file', size: 14, mode: 0o644, uid: 65534 });
    expect(await files.stat('/tmp/a/link', { follow: false })).toMatchObject({ type: 'symlink', target: 'b/text' });
    await files.rename('/tmp/a/b', '/tmp/a/c');
    expect(await codeOf(files.stat('/tmp/a/link'))).toBe('FILE_NOT_FOUND');
    await files.mkdir('/tmp/a/d/e', { mode: 0o700 });
    expect(await codeOf(files.remove('/tmp/a'))).toBe('FILE_FAILED');
    await files.remove('/tmp/a', { recursive: true });
    expect(await files.exists('/tmp/a')).toBe(false);
  });

  it('big ones as streams, and no more than is asked for', async () => {
    const big = Buffer.alloc(2_500_000, 'abcdefg');
    await box.files.write('/tmp/big', big);
    expect(Buffer.concat(await (await box.files.readStream('/tmp/big')).toArray()).equals(big)).toBe(true);
    expect(await codeOf(box.files.read('/tmp/big', { maxBytes: 1000 }))).toBe('FILE_LARGE');
    for await (const _ of await box.files.readStream('/tmp/big')) break; // an early end holds nothing up
    const none = await box.files.readStream('/none');
    expect(await codeOf(none.toArray())).toBe('FILE_NOT_FOUND');
  });

  it('what may not be is refused, and nothing waits for a pipe', async () => {
    const { files } = box;
    expect(await codeOf(files.write('/etc/motd', 'x'))).toBe('FILE_FAILED');
    await files.write('/etc/motd', 'x', { user: 'root' });
    expect(await codeOf(files.read('/none'))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(files.read('/tmp'))).toBe('FILE_FAILED');
    await box.shell('busybox mkfifo /tmp/fifo');
    expect(await codeOf(files.read('/tmp/fifo'))).toBe('FILE_FAILED');
    expect(await codeOf(files.write('/tmp/fifo', 'x'))).toBe('FILE_FAILED');
    expect(await codeOf(files.read('relative'))).toBe('USAGE');
  });

  it('watched: each event as the kernel tells it, until nobody wants more', async () => {
    await box.files.mkdir('/tmp/w');
    await using watch = await box.files.watch('/tmp/w');
    await box.shell('cd w; echo a >f; mkdir d; busybox mv f g; rm g');
    const seen: string[] = [];
    for await (const { type, path, directory } of watch) {
      seen.push(`${type} ${path}${directory ? '/' : ''}`);
      if (type === 'remove') break;
    }
    expect(seen).toEqual(['create /tmp/w/f', 'write /tmp/w/f', 'close /tmp/w/f', 'create /tmp/w/d/', 'rename /tmp/w/f', 'create /tmp/w/g', 'remove /tmp/w/g']);
    expect(await codeOf(box.files.watch('/none'))).toBe('FILE_NOT_FOUND');
  });
});

describe('a port', () => {
  it('leads to the box’s loopback without a network; nobody there is a refused connection', async () => {
    await using server = await box.execStream('sh', ['-c', 'while :; do printf "HTTP/1.0 200 OK\\r\\n\\r\\nserved" | busybox nc -l -p 8000 >/dev/null; done']);
    server.stdout.resume();
    await using port = await box.expose(8000);
    await box.shell('while ! busybox netstat -ltn | grep -q :8000; do :; done');
    expect(await (await fetch(port.url)).text()).toBe('served');
    await using nobody = await box.expose(8001);
    await expect(fetch(nobody.url)).rejects.toThrow('fetch failed');
    expect(await codeOf(box.expose(8000, { port: port.port }))).toBe('NET_PORT');
  });
});

describe('its life', () => {
  it('is paused, and tells figures', async () => {
    await box.pause();
    expect(await codeOf(box.exec('true'))).toBe('CONTAINER_STATE');
    await box.resume();
    const { memory, pids, cpuUs } = await box.metrics();
    expect([memory > 100_000, pids >= 1, cpuUs > 0]).toEqual([true, true, true]);
  });

  it('secrets are for its commands alone', async () => {
    expect((await box.shell('echo $TOKEN; cat /run/secrets/key; echo; stat -c %a /run/secrets/key')).stdout).toBe(`${SECRET}\n${SECRET}\n400\n`);
    const error = await box.exec('nothing-of-that-name').catch((cause: unknown) => cause);
    const bad = await Sandbox.create({ ...options, secrets: { 'no name': SECRET } }).catch((cause: unknown) => cause);
    for (const thing of [box, error, bad, await box.metrics()]) expect(inspect(thing, { depth: 9, showHidden: true }) + JSON.stringify(thing)).not.toContain(SECRET);
    expect(readdirSync('/proc/self/task').some((task) => readFileSync(`/proc/self/task/${task}/cmdline`, 'utf8').includes(SECRET))).toBe(false);
  });

  it('ends for the reason it has, and says so', async () => {
    const [short, aborted, killed] = await Promise.all([
      Sandbox.create({ ...options, timeout: 3000 }).then(async (one) => [await one.ended(), await codeOf(one.exec('true'))]),
      (async () => {
        const abort = new AbortController();
        const one = await Sandbox.create({ ...options, signal: abort.signal });
        const waiting = codeOf(one.shell('sleep 1000'));
        abort.abort();
        return [await one.ended(), await waiting];
      })(),
      (async () => {
        const one = await Sandbox.create(options);
        await one.shell('kill -TERM 1');
        return [await one.ended(), await codeOf(one.files.read('/etc/passwd'))];
      })(),
    ]);
    expect(short).toEqual([{ reason: 'timeout' }, 'SANDBOX_ENDED']);
    expect(aborted).toEqual([{ reason: 'aborted' }, 'SANDBOX_ENDED']);
    expect(killed).toEqual([{ reason: 'ended', what: 'its first process ended with 0' }, 'SANDBOX_ENDED']);
    expect(await codeOf(Sandbox.create({ ...options, signal: AbortSignal.timeout(100) }))).toBe('TimeoutError');
    expect(await codeOf(Sandbox.create({ ...options, memory: 1 }))).toBe('USAGE');
    expect(await codeOf(Sandbox.create({ ...options, image: join(folder, 'none') }))).toBe('IMAGE_OPEN');
  });

  it('volumes: the host’s files, named ones, memory', async () => {
    writeFileSync(join(store, 'in'), 'from the host');
    const volumes: Library.SandboxOptions['volumes'] = { '/in': { bind: join(store, 'in'), readOnly: true }, '/cache': { named: 'cache' }, '/mem': { tmpfs: { size: 1 << 20 } } };
    await using one = await Sandbox.create({ ...options, volumes });
    expect((await one.shell('cat /in; echo kept >/cache/f; df -m /mem | grep -c " 1 "; echo x >/in')).stdout).toBe('from the host1\n');
    await one.stop();
    await using two = await Sandbox.create({ ...options, volumes });
    expect(await two.files.readText('/cache/f')).toBe('kept\n');
  });

  it('boxes that come and go leave no descriptor and no thread', async () => {
    const open = (): number[] => ['fd', 'task'].map((what) => readdirSync(`/proc/self/${what}`).length);
    const visit = async (): Promise<void> => {
      await using one = await Sandbox.create(options);
      await using _ = await one.expose(80);
      await one.exec('true');
      await one.execStream('sleep', ['1000']);
    };
    await visit();
    const before = open();
    for (let i = 0; i < 4; i++) await visit();
    const after = open();
    expect(after.map((count, i) => count <= (before[i] as number))).toEqual([true, true]);
  });
});

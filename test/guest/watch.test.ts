/** `watch`: a program in the container hears by inotify(7) of what programs of the host change, as beside it on the host. */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { buildStatic } from '../support/guests/programs.ts';
import { HANG_MS } from '../support/limits.ts';

let dir: string;
let image: string;
let notices: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-watch-run-'));
  image = busyboxImage(join(dir, 'image'));
  notices = buildStatic('notices');
  copyFileSync(notices, join(image, 'bin/notices'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Its output, line by line. */
class Lines {
  readonly #child: ChildProcess;
  readonly #timer: NodeJS.Timeout;
  #text = '';
  err = '';
  #wake: () => void = () => {};
  readonly closed: Promise<unknown>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { env: { PATH: process.env['PATH'], HOME: dir, VMM_STORE: join(dir, 'store') }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#timer = setTimeout(() => this.#child.kill('SIGKILL'), HANG_MS);
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString();
      this.#wake();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.closed = once(this.#child, 'close').finally(() => {
      clearTimeout(this.#timer);
      this.#wake();
    });
  }

  /** All up to this line, which is left out; what was there before it is told when it does not come. */
  async until(line: string): Promise<string[]> {
    for (let over = false; ; ) {
      const lines = this.#text.split('\n');
      const at = lines.indexOf(line);
      if (at >= 0) {
        this.#text = lines.slice(at + 1).join('\n');
        return lines.slice(0, at);
      }
      if (over) throw new Error(`no line ${line} in:\n${this.#text}\n${this.err}`);
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), this.closed.then(() => (over = true))]);
    }
  }
}

const run = (mount: string, command: readonly string[]): Lines => new Lines(process.execPath, ['--', BIN, 'run', '-q', '--accel', 'wasm', '-m', '128m', ...mount.split(' '), image, ...command]);

describe.each([['-v', (host: string) => `-v ${host}:/m:watch`], ['--mount, read-only', (host: string) => `--mount type=bind,src=${host},dst=/m,ro,watch`]])('%s', (_, mount) => {
  it('names that are made, written, changed, replaced and removed; files that are watched themselves; each kind of file', async () => {
    const host = mkdtempSync(join(dir, 'host-'));
    mkdirSync(join(host, 'sub/deep'), { recursive: true });
    for (const name of ['file', 'old', 'sub/inner', 'replaced']) writeFileSync(join(host, name), 'text\n');
    const paths = ['/m', '/m/sub', '/m/sub/deep', '/m/file', '/m/replaced'];
    const inside = run(mount(host), ['notices', ...paths]);
    const beside = new Lines(notices, paths.map((path) => path.replace('/m', host)));
    await Promise.all([inside.until('looks'), beside.until('looks')]);

    // One step after the other: within one, what happens to a name may collapse.
    const step = async (change: () => void, last: string, beforeIt: readonly string[] = []): Promise<void> => {
      change();
      const [seen, native] = await Promise.all([inside.until(last), beside.until(last.replace('/m', host))]);
      expect(seen).toEqual(expect.arrayContaining([...beforeIt]));
      // Whatever the host's own program hears, this one hears; a move is an end and a beginning.
      const words = (lines: readonly string[]): string[] => lines.map((line) => line.replace(host, '/m').replace(/^from/, 'delete').replace(/^to/, 'create'));
      expect(seen).toEqual(expect.arrayContaining(words(native)));
    };
    await step(() => writeFileSync(join(host, 'new'), 'text\n'), 'close /m/new', ['create /m/new', 'modify /m/new']);
    await step(() => appendFileSync(join(host, 'file'), 'more\n'), 'close /m/file', ['modify /m/file']);
    await step(() => chmodSync(join(host, 'sub/inner'), 0o600), 'attrib /m/sub/inner');
    await step(() => mkdirSync(join(host, 'sub/dir')), 'create/ /m/sub/dir');
    await step(() => symlinkSync('nowhere', join(host, 'sub/deep/link')), 'create /m/sub/deep/link');
    await step(() => unlinkSync(join(host, 'old')), 'delete /m/old');
    await step(() => unlinkSync(join(host, 'new')), 'delete /m/new');
    await step(() => rmdirSync(join(host, 'sub/dir')), 'delete/ /m/sub/dir');
    await step(() => unlinkSync(join(host, 'sub/deep/link')), 'delete /m/sub/deep/link');
    // As editors write: who watches the file itself hears that it is gone.
    writeFileSync(join(host, 'sub/next'), 'next\n');
    await inside.until('close /m/sub/next');
    renameSync(join(host, 'sub/next'), join(host, 'replaced'));
    expect(await inside.until('create /m/replaced')).toEqual(expect.arrayContaining(['delete /m/sub/next', 'delete /m/replaced', 'attrib /m/replaced']));
    writeFileSync(join(host, 'end'), '');
    await inside.until('create /m/end');
    await inside.closed;
    expect(inside.err).toBe('');
    writeFileSync(join(host, 'sub/end'), '');
    await beside.closed;
  });
});

it('what the container does itself it hears of once, and the host’s files stay as they are by what is raised', async () => {
  const host = mkdtempSync(join(dir, 'host-'));
  writeFileSync(join(host, 'file'), 'text\n');
  const inside = run(`-v ${host}:/m:watch`, ['sh', '-c', 'notices /m & while [ ! -e /m/go ]; do sleep 0.1; done; echo own > /m/own; mkdir /m/dir; rm /m/own; touch /m/end; wait']);
  await inside.until('looks');
  const before = statSync(join(host, 'file'), { bigint: true });
  appendFileSync(join(host, 'file'), '');
  chmodSync(join(host, 'file'), 0o644);
  await inside.until('attrib /m/file');
  const after = statSync(join(host, 'file'), { bigint: true });
  expect([after.mtimeNs, after.size, after.ino]).toEqual([before.mtimeNs, before.size, before.ino]);
  writeFileSync(join(host, 'go'), '');
  const lines = await inside.until('create /m/end');
  expect(lines.filter((line) => /own|dir/.test(line))).toEqual(['create /m/own', 'modify /m/own', 'close /m/own', 'create/ /m/dir', 'delete /m/own']);
  await inside.closed;
  expect(readFileSync(join(host, 'file'), 'utf8')).toBe('text\n');
});

it('ten thousand files at once: the container goes on, and hears that it has to look', async () => {
  const host = mkdtempSync(join(dir, 'host-'));
  mkdirSync(join(host, 'sub'));
  const inside = run(`-v ${host}:/m:watch`, ['sh', '-c', 'notices /m /m/sub > /tmp/lines & until grep -q looks /tmp/lines; do sleep 0.1; done; echo looks; wait; ls /m/sub | wc -l; wc -l < /tmp/lines; grep -c sub /tmp/lines; echo over']);
  await inside.until('looks');
  for (let i = 0; i < 10_000; i++) writeFileSync(join(host, 'sub', `n${i}`), '');
  // The host's kernel drops names where its own queue is full: this one is said again until it was heard.
  const again = setInterval(() => {
    rmSync(join(host, 'end'), { force: true });
    writeFileSync(join(host, 'end'), '');
  }, 500);
  const [files, lines, sub] = (await inside.until('over').finally(() => clearInterval(again))).map(Number);
  expect(files).toBe(10_000);
  expect(lines).toBeLessThan(30_000);
  expect(sub).toBeGreaterThan(0);
});

it('more directories than the host lets a user watch: said once, and the others are told', async () => {
  const host = mkdtempSync(join(dir, 'host-'));
  for (let i = 0; i < 5; i++) mkdirSync(join(host, `d${i}`));
  // In a user namespace of its own the limit is that namespace's.
  const limited = ['-c', 'echo 3 > /proc/sys/user/max_inotify_watches && exec "$@"', 'sh', process.execPath, '--', BIN];
  const inside = new Lines('unshare', ['-Ur', 'sh', ...limited, 'run', '--accel', 'wasm', '-m', '128m', '-v', `${host}:/m:watch`, image, 'sh', '-c', 'ls /m/*; notices /m /m/d0']);
  await inside.until('looks');
  writeFileSync(join(host, 'end'), '');
  await inside.until('create /m/end');
  await inside.closed;
  expect(inside.err.match(/ENOSPC: not all of its directories can be watched/g)?.length).toBe(1);
});

it.each([
  [['-v', '/tmp:/m:watch,delegated'], '--volume: watch and delegated exclude each other'],
  [['--mount', 'type=bind,src=/tmp,dst=/m,watch,consistency=delegated'], '--mount: watch and delegated exclude each other'],
  [['--mount', 'type=tmpfs,dst=/m,watch'], '--mount: invalid mount config for type "tmpfs"'],
])('%j is refused', async (options, message) => {
  const { status, stderr } = await vmm(['run', '-q', ...options, image, 'true'], { env: { VMM_STORE: join(dir, 'store') } });
  expect(stderr).toContain(message);
  expect(status).toBe(125);
});

/** Files of the package in the user's cache: unpacked once, whoever comes first, and into memory where that cannot be. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { type PackedFile, unpack } from '../../../base/unpack.ts';
import { userCache } from '../../../base/user-cache.ts';
import { ROOT } from '../../support/cli/cli.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vmm-unpack-'));
const root = process.geteuid?.() === 0;
// Two pages of text around a hole.
const CONTENT = Buffer.concat([Buffer.alloc(65536, 'a'), Buffer.alloc(3 << 20), Buffer.from('the end')]);
const file: PackedFile = { source: join(FOLDER, 'content.zst'), sha256: createHash('sha256').update(CONTENT).digest('hex'), size: CONTENT.length };
writeFileSync(file.source, zstdCompressSync(CONTENT));
const PATH = `vmlinux-${file.sha256.slice(0, 16)}`;
let count = 0;
let cache: string;
beforeEach(() => {
  cache = join(FOLDER, `cache-${count++}`, 'vmm', 'guest');
});
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** A program that unpacks the file once more, in a process of its own. */
function program(before = ''): string[] {
  return ['--input-type=module', '-e', `${before}; const { unpack } = await import(${JSON.stringify(join(ROOT, 'base/unpack.ts'))});
const { readFileSync } = await import('node:fs');
const { path, why } = unpack(${JSON.stringify(cache)}, 'vmlinux', ${JSON.stringify(file)});
process.stdout.write(JSON.stringify({ path, why, size: readFileSync(path).length }));`];
}

test('the first call unpacks it, sparse and for the user alone; the second takes what is there', () => {
  const path = join(cache, PATH);
  expect(unpack(cache, 'vmlinux', file)).toEqual({ path });
  expect(readFileSync(path).equals(CONTENT)).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(path).blocks * 512).toBeLessThan(1 << 20);
  const { ino } = statSync(path);
  expect(unpack(cache, 'vmlinux', { ...file, source: '/none' })).toEqual({ path });
  expect(statSync(path).ino).toBe(ino);
});

test('twelve processes at once: each has the whole file, and nothing else is left', async () => {
  const ends = Array.from({ length: 12 }, () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let text = '';
    const child = spawn(process.execPath, program(), { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (data) => { text += data; });
    child.on('close', () => resolve(text));
    return promise;
  });
  for (const text of await Promise.all(ends)) expect(JSON.parse(text)).toEqual({ path: join(cache, PATH), size: CONTENT.length });
  expect(readdirSync(cache)).toEqual([PATH]);
});

test('killed while it writes: the next one starts anew, and what was left goes after a day', () => {
  // The write of the second piece never comes: the process is gone.
  const dying = program(`const fs = process.getBuiltinModule('node:fs'); const write = fs.writeSync; let n = 0;
fs.writeSync = (...args) => (n++ > 0 ? process.kill(process.pid, 'SIGKILL') : write(...args)); process.getBuiltinModule('node:module').syncBuiltinESMExports()`);
  expect(spawnSync(process.execPath, dying).signal).toBe('SIGKILL');
  const [left = ''] = readdirSync(cache);
  expect(left).toMatch(/^vmlinux-[0-9a-f]{16}\.\d+\.[0-9a-f]{8}$/);
  expect(unpack(cache, 'vmlinux', file)).toEqual({ path: join(cache, PATH) });
  expect(readdirSync(cache)).toHaveLength(2);
  utimesSync(join(cache, left), new Date(0), new Date(Date.now() - 2 * 86_400_000));
  writeFileSync(join(cache, 'note'), 'somebody else put it here');
  utimesSync(join(cache, 'note'), new Date(0), new Date(0));
  rmSync(join(cache, PATH));
  unpack(cache, 'vmlinux', file);
  expect(readdirSync(cache).sort()).toEqual(['note', PATH]);
});

describe('is not taken from the cache when', () => {
  const replaced: [string, (path: string) => void][] = [
    ['it is shorter', (path) => writeFileSync(path, 'cut')],
    ['others may write it', (path) => chmodSync(path, 0o666)],
    ['it is a folder', (path) => { rmSync(path); mkdirSync(path); }],
    ...(root ? [['it belongs to somebody else', (path: string) => chownSync(path, 12345, 12345)] as [string, (path: string) => void]] : []),
  ];
  test.each(replaced)('%s', (_, change) => {
    const { path } = unpack(cache, 'vmlinux', file);
    change(path);
    const again = unpack(cache, 'vmlinux', file);
    expect(readFileSync(again.path).equals(CONTENT)).toBe(true);
    if (again.why === undefined) expect(statSync(again.path)).toMatchObject({ uid: process.geteuid?.() });
  });
});

describe('from memory, with the reason, where the cache', () => {
  const places: [string, () => void, RegExp][] = [
    ['cannot be made', () => { cache = '/proc/none/vmm/guest'; }, /ENOENT|EACCES/],
    ['is a file', () => { mkdirSync(join(cache, '../..'), { recursive: true }); writeFileSync(join(cache, '..'), ''); }, /ENOTDIR/],
    ['can be written by others', () => { mkdirSync(cache, { recursive: true }); chmodSync(cache, 0o777); }, /EPERM.*somebody else/],
    ...(root ? [['lies in the home of somebody else', () => {
      mkdirSync(join(cache, '../..'), { recursive: true });
      chownSync(join(cache, '../..'), 12345, 12345);
    }, /EPERM.*somebody else/] as [string, () => void, RegExp]] : []),
  ];
  test.each(places)('%s', (_, prepare, why) => {
    prepare();
    const found = unpack(cache, 'vmlinux', file);
    expect(found.why).toMatch(why);
    expect(found.path).toMatch(/^\/proc\/self\/fd\/\d+$/);
    expect(readFileSync(found.path).equals(CONTENT)).toBe(true);
    if (existsSync(cache)) expect(readdirSync(cache)).toEqual([]);
  });

  test.runIf(root)('is full', () => {
    mkdirSync(cache, { recursive: true });
    const command = 'mount -t tmpfs -o size=32k none "$0" && chmod 700 "$0" && "$@"; r=$?; ls -A "$0" >&2; exit $r';
    const { stdout, stderr, status } = spawnSync('unshare', ['-m', 'sh', '-c', command, cache, process.execPath, ...program()], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ size: CONTENT.length, why: expect.stringContaining('ENOSPC'), path: expect.stringContaining('/proc/self/fd/') });
  });
});

test('a package whose file is damaged says so', () => {
  expect(() => unpack(cache, 'vmlinux', { ...file, sha256: '0'.repeat(64) })).toThrow(`${file.source}: sha256 of its content is ${file.sha256}, not 000`);
  expect(existsSync(cache)).toBe(false);
});

test('a home that is not there is not made for it', () => {
  const { HOME, XDG_CACHE_HOME } = process.env;
  const home = join(FOLDER, 'no-home');
  process.env['HOME'] = home;
  delete process.env['XDG_CACHE_HOME'];
  try {
    const { path, why } = unpack(userCache('guest'), 'vmlinux', file);
    expect(why).toMatch(/^ENOENT/);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    expect(existsSync(home)).toBe(false);
    mkdirSync(home, { mode: 0o700 });
    expect(unpack(userCache('guest'), 'vmlinux', file)).toEqual({ path: join(home, '.cache', 'vmm', 'guest', PATH) });
  } finally {
    process.env['HOME'] = HOME;
    if (XDG_CACHE_HOME !== undefined) process.env['XDG_CACHE_HOME'] = XDG_CACHE_HOME;
  }
});

test.each([['/a/b', '/a/b/vmm/x'], ['relative', /\/\.cache\/vmm\/x$/], ['', /\/\.cache\/vmm\/x$/]])('XDG_CACHE_HOME %j', (value, path) => {
  const before = process.env['XDG_CACHE_HOME'];
  process.env['XDG_CACHE_HOME'] = value;
  try {
    expect(userCache('x')).toMatch(path);
  } finally {
    if (before === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = before;
  }
});

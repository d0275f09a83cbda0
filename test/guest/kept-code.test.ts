/** V8's code of the software CPU, kept in the user's cache: it is used, and whatever is wrong with it costs nothing but time. */
import { appendFileSync, chmodSync, chownSync, cpSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BIN, ROOT, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { multibootKernel } from '../support/guests/multiboot.ts';

const KEPT = /compiled code: kept/;
/** Of the file: length of the header, and where its numbers are. */
const HEADER = 64;
const NUMBERS_AT = 48;

let image: string;
let folder: string;
let cache: string;
let path: string;

beforeAll(() => {
  image = busyboxImage();
  folder = mkdtempSync(join(tmpdir(), 'vmm-kept-'));
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(folder, { recursive: true });
});

function newCache(name: string): void {
  cache = join(folder, name);
  mkdirSync(cache, { mode: 0o700 });
  path = join(cache, 'vmm', 'code', nameFor(readFileSync(join(ROOT, 'dist', 'core.wasm'))));
}

const nameFor = (core: Buffer): string => `core-${process.version}-${crc32(core).toString(16).padStart(8, '0')}`;

async function run(command = 'true', bin = BIN): Promise<boolean> {
  const { status, stderr } = await vmm(['run', '--timeline', '--accel', 'wasm', image, command], { bin, env: { VMM_STORE: join(folder, 'store'), XDG_CACHE_HOME: cache } });
  expect(status, stderr).toBe(0);
  return KEPT.test(stderr);
}

const mode = () => lstatSync(path).mode & 0o777;

it('the second run uses what the first has kept, and leaves it alone', async () => {
  newCache('plain');
  expect(await run()).toBe(false);
  expect(mode()).toBe(0o600);
  const kept = readFileSync(path);
  expect(kept.length).toBeGreaterThan(100_000);
  expect(kept.readUInt32LE(NUMBERS_AT)).toBe(readFileSync(join(ROOT, 'dist', 'core.wasm')).length);
  expect(await run()).toBe(true);
  expect(readFileSync(path).equals(kept)).toBe(true);
});

it('code that is damaged, cut off, of another V8 or another core is made anew', async () => {
  newCache('damaged');
  await run();
  const whole = readFileSync(path);
  const damages: readonly (readonly [string, (file: Buffer) => unknown])[] = [
    ['a flipped bit', (file) => file.writeUInt8(file.readUInt8(HEADER + 5000) ^ 1, HEADER + 5000)],
    ['a length beyond the file', (file) => file.writeUInt32LE(0xffff_ffff, NUMBERS_AT + 8)],
    ['another V8', (file) => file.write('13.6.1', 16, 'latin1')],
    ['another core', (file) => file.writeUInt32LE(1, NUMBERS_AT + 4)],
    ['cut off', () => {}],
  ];
  for (const [what, damage] of damages) {
    const file = Buffer.from(whole);
    damage(file);
    writeFileSync(path, what === 'cut off' ? file.subarray(0, HEADER + 1000) : file);
    expect(await run(), what).toBe(false);
    expect(await run(), `after ${what}`).toBe(true);
  }
});

it('another installation has a file of its own; of many the oldest go, and what vmm has not named stays', async () => {
  newCache('several');
  const other = join(folder, 'installed');
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(ROOT, part), join(other, part), { recursive: true, filter: (from) => !from.endsWith('.code') });
  for (const part of ['node_modules', '.cache']) symlinkSync(join(ROOT, part), join(other, part));
  // A custom section of no bytes named "x": the same core with other bytes.
  const core = join(other, 'dist', 'core.wasm');
  appendFileSync(core, Buffer.from([0, 2, 1, 0x78]));
  const bin = join(other, 'bin', 'vmm.js');
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const old = Array.from({ length: 9 }, (_, i) => `core-v24.0.${i}-0123456${i}`);
  for (const [i, name] of old.entries()) {
    writeFileSync(join(dirname(path), name), 'old');
    utimesSync(join(dirname(path), name), i, i);
  }
  for (const name of ['core-of-mine', 'core-v24.0.0.txt']) writeFileSync(join(dirname(path), name), 'mine');
  expect([await run(), await run('true', bin), await run(), await run('true', bin)]).toEqual([false, false, true, true]);
  const left = readdirSync(dirname(path)).filter((name) => name.startsWith('core-'));
  expect(left.sort()).toEqual([...old.slice(3), 'core-of-mine', 'core-v24.0.0.txt', basename(path), nameFor(readFileSync(core))].sort());
});

it('a file that somebody else could have written is neither used nor touched; a link is not followed', async () => {
  newCache('foreign');
  await run();
  const whole = readFileSync(path);
  chmodSync(path, 0o666);
  expect(await run()).toBe(false);
  expect(readFileSync(path).equals(whole)).toBe(true);
  chmodSync(path, 0o600);
  if (process.geteuid?.() === 0) {
    chownSync(path, 65534, 65534);
    expect(await run()).toBe(false);
    expect(readFileSync(path).equals(whole)).toBe(true);
    chownSync(path, 0, 0);
  }
  const target = join(folder, 'target');
  writeFileSync(target, whole, { mode: 0o600 });
  rmSync(path);
  symlinkSync(target, path);
  expect(await run()).toBe(false);
  expect(readFileSync(target).equals(whole)).toBe(true);
});

it('a run too short for V8 to have optimised anything keeps nothing, and does not fail', async () => {
  newCache('short');
  const kernel = join(folder, 'kernel');
  multibootKernel(kernel);
  const args = ['boot', '-q', '--accel', 'wasm', '--memory', '32', '--console', 'none', '--exit-on', 'port', '--kernel', kernel];
  expect(await vmm(args, { env: { XDG_CACHE_HOME: cache } })).toMatchObject({ status: 67, stderr: '' });
  expect(lstatSync(path).size).toBe(0);
});

it('without a cache that can be written runs go on as ever', async () => {
  newCache('none');
  mkdirSync(dirname(dirname(path)), { recursive: true });
  writeFileSync(dirname(path), 'a file where the folder should be');
  expect(await run()).toBe(false);
  expect(readFileSync(dirname(path), 'utf8')).toContain('a file');
});

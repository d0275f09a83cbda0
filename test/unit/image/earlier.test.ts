/** A directory that is imported again after a change: what has not changed is taken from the image before, and what the image says is the same. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ErofsImage } from '../../../image/index.ts';
import { importImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { describeDirectory, describeImage, fsck, hasTool, type Line, pattern, scratch } from './support.ts';

const FOLDER = scratch();
let counter = 0;
const fresh = (): string => join(FOLDER, `${++counter}`);
const newStore = (): ImageStore => new ImageStore(storePaths({ VMM_STORE: fresh() }), hostFs);

/** A directory with files of every size that the layout tells apart. */
function directory(): string {
  const at = fresh();
  mkdirSync(join(at, 'sub'), { recursive: true });
  for (const size of [1, 100, 512, 513, 4095, 4096, 4097, 4196, 8192, 100_000, 3_000_000]) writeFileSync(join(at, 'sub', `size${size}`), pattern(size, size));
  for (const name of ['kept', 'grown', 'rewritten', 'replaced', 'removed', 'moved']) writeFileSync(join(at, name), pattern(5000, name.length));
  linkSync(join(at, 'kept'), join(at, 'sub', 'linked'));
  writeFileSync(join(at, 'empty'), '');
  writeFileSync(join(at, 'sparse'), 'x');
  truncateSync(join(at, 'sparse'), 1 << 20);
  appendFileSync(join(at, 'sparse'), pattern(4096));
  return at;
}

/** The image has what the directory has; link counts of directories depend on the file system. */
function expectSame(path: string, at: string): void {
  const lines = (all: Line[]): Line[] => all.map((line) => (line.type === 'dir' ? { ...line, nlink: 0 } : line));
  expect(lines(describeImage(path))).toEqual(lines(describeDirectory(at)));
}

async function imported(at: string, store: ImageStore): Promise<{ path: string; image: Buffer }> {
  const { record } = await importImage(at, { store, host: hostFs });
  const path = store.rootfsPath(record.rootfs);
  expect(statSync(path).size).toBe(record.size);
  return { path, image: readFileSync(path) };
}

/** Changes the bytes of a file in an image, where they lie; how many were found. */
function tamper(path: string, of: Buffer, by: Buffer): void {
  const image = readFileSync(path);
  const at = image.indexOf(of);
  expect(at).toBeGreaterThan(0);
  by.copy(image, at);
  writeFileSync(path, image);
}

/** The host's files as they were a while ago: those of the last two seconds may change within a tick of the clock. */
beforeEach(() => {
  const now = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + 10_000);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('a directory that is imported again', () => {
  it('gives the same image, byte by byte, as an import that knows of none before', async () => {
    const [at, store] = [directory(), newStore()];
    await imported(at, store);
    appendFileSync(join(at, 'grown'), 'more');
    const { atime, mtime } = statSync(join(at, 'rewritten'));
    writeFileSync(join(at, 'rewritten'), pattern(5000, 77));
    utimesSync(join(at, 'rewritten'), atime, mtime);
    writeFileSync(join(at, 'new'), pattern(5000, 'replaced'.length));
    renameSync(join(at, 'new'), join(at, 'replaced'));
    rmSync(join(at, 'removed'));
    renameSync(join(at, 'moved'), join(at, 'sub', 'moved'));
    const again = await imported(at, store);
    expect(again.image.equals((await imported(at, newStore())).image)).toBe(true);
    expectSame(again.path, at);
    if (hasTool('fsck.erofs')) fsck(again.path);
    const third = await imported(at, store);
    expect(third.path).toBe(again.path);
  });

  it('takes from the image before what has not changed, data and tails, and reads the rest', async () => {
    const [at, store] = [directory(), newStore()];
    const before = await imported(at, store);
    // That the bytes come from there shows in bytes that the directory never had.
    const marks = [['sub/size3000000', 3_000_000], ['sub/size100', 100], ['sub/size4196', 4196], ['sub/size4097', 4097]] as const;
    for (const [, size] of marks) tamper(before.path, pattern(size, size).subarray(0, 64), Buffer.from('of the image before'.padEnd(64)));
    appendFileSync(join(at, 'grown'), 'more');
    const image = new ErofsImage((await imported(at, store)).path);
    try {
      for (const [name] of marks) expect(image.readFile(name).toString('latin1', 0, 19), name).toBe('of the image before');
      for (const name of ['grown', 'kept', 'sub/linked', 'sub/size100000']) expect(image.readFile(name).equals(readFileSync(join(at, name))), name).toBe(true);
    } finally {
      image.close();
    }
  });

  it('reads anew what was changed just before the import: it may change again without a sign', async () => {
    vi.restoreAllMocks();
    const [at, store] = [directory(), newStore()];
    const before = await imported(at, store);
    tamper(before.path, pattern(100_000, 100_000).subarray(0, 64), Buffer.alloc(64));
    appendFileSync(join(at, 'grown'), 'more');
    expectSame((await imported(at, store)).path, at);
  });

  it('is no other one that has its name, and no copy of it', async () => {
    const [at, store] = [directory(), newStore()];
    const before = await imported(at, store);
    tamper(before.path, pattern(100_000, 100_000).subarray(0, 64), Buffer.alloc(64));
    cpSync(at, `${at}.copy`, { recursive: true, preserveTimestamps: true });
    rmSync(at, { recursive: true });
    renameSync(`${at}.copy`, at);
    expectSame((await imported(at, store)).path, at);
  });

  it.each([
    ['a table that is damaged', (image: Buffer) => image.writeUInt8(image.readUInt8(image.length - 4096) ^ 1, image.length - 4096)],
    ['a table without an end', (image: Buffer) => image.writeUInt32LE(0xffff_ffff, image.length - 24)],
    ['a table at another place', (image: Buffer) => image.writeBigUInt64LE(0n, image.length - 32)],
    ['no table', (image: Buffer) => image.fill(0, image.length - 64)],
  ])('%s is not used', async (_, damage) => {
    const [at, store] = [directory(), newStore()];
    const { path, image } = await imported(at, store);
    pattern(64).copy(image, image.indexOf(pattern(100_000, 100_000).subarray(0, 64)));
    damage(image);
    writeFileSync(path, image);
    appendFileSync(join(at, 'grown'), 'more');
    expectSame((await imported(at, store)).path, at);
  });

  it('does not take a file’s bytes in an archive of the same name for a table', async () => {
    const [at, store] = [directory(), newStore()];
    const { image } = await imported(at, newStore());
    // The archive's only large file ends its disk: with an image of the directory, whose table is right where it lies there.
    const inner = fresh();
    mkdirSync(inner);
    const moved = `${at}.moved`;
    renameSync(at, moved);
    const archived = async (): Promise<Buffer> => {
      writeFileSync(join(inner, 'last'), image);
      execFileSync('tar', ['-C', inner, '-cf', at, '.']);
      const { record } = await importImage(at, { store, host: hostFs });
      return readFileSync(store.rootfsPath(record.rootfs));
    };
    const place = (await archived()).indexOf(image);
    const entries = image.length - 64 + 32;
    image.writeBigUInt64LE(image.readBigUInt64LE(entries) + BigInt(place), entries);
    expect((await archived()).subarray(place).equals(image)).toBe(true);
    rmSync(at);
    renameSync(moved, at);
    expectSame((await imported(at, store)).path, at);
  });
});

import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, ftruncateSync, linkSync, mkdirSync, openSync, readFileSync, symlinkSync, truncateSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { treeFromExt4 } from '../../../image/ext4/tree.ts';
import { tarFromTree } from '../../../image/tar/writer.ts';
import type { DirNode } from '../../../image/tree/node.ts';
import { describeDirectory, describeTree, hasTool, scratch } from './support.ts';

const folder = scratch();
/** Those of guest-kernel/init/build.sh. */
const FEATURES = 'has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize,^resize_inode,sparse_super2';
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'ignore'] });

/** A file system that e2fsprogs has made of a directory. */
function made(name: string, from: string, size = '256m'): string {
  const disk = join(folder, name);
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-J', 'size=4', '-O', FEATURES, '-d', from, disk, size);
  return disk;
}

function read(disk: string, path: string[] = []): DirNode | undefined {
  const fd = openSync(disk, 'r');
  try {
    const tree = treeFromExt4(fd, path);
    // Contents are read while it is open.
    if (tree !== undefined) shown.set(tree, describeTree(tree));
    return tree;
  } finally {
    closeSync(fd);
  }
}
const shown = new Map<DirNode, ReturnType<typeof describeTree>>();
const lines = (tree: DirNode | undefined) => (shown.get(tree as DirNode) ?? []).filter(({ path }) => path !== 'lost+found' && path !== '');

function sample(): string {
  const from = join(folder, 'from');
  mkdirSync(join(from, 'dir/below'), { recursive: true });
  writeFileSync(join(from, 'empty'), '');
  writeFileSync(join(from, 'dir/small'), 'small\n', { mode: 0o4755 });
  writeFileSync(join(from, 'dir/below/large'), Buffer.alloc(3_000_000, 'large'));
  linkSync(join(from, 'dir/small'), join(from, 'dir/below/hard'));
  symlinkSync('dir/small', join(from, 'short'));
  symlinkSync('x/'.repeat(700), join(from, 'long'));
  writeFileSync(join(from, 'dir/na\xefve \u{1f600}'), 'name');
  const sparse = openSync(join(from, 'sparse'), 'w');
  for (let i = 0; i < 600; i++) writeSync(sparse, Buffer.alloc(4096, `${i}`), 0, 4096, i * 16384);
  ftruncateSync(sparse, 600 * 16384 + 5);
  closeSync(sparse);
  mkdirSync(join(from, 'many'));
  for (let i = 0; i < 3000; i++) writeFileSync(join(from, 'many', `a file with a rather long name, number ${i}`), '');
  utimesSync(join(from, 'empty'), 1_234_567_890, 1_234_567_890);
  return from;
}

describe.skipIf(!hasTool('mke2fs') || !hasTool('debugfs'))('ext4', () => {
  const from = sample();
  const disk = made('disk', from);

  it('is read as e2fsprogs has written it: kinds, modes, owners, times, links, holes, long links, large directories', () => {
    // mke2fs keeps whole seconds.
    const whole = (all: typeof wanted) => all.map((line) => ({ ...line, mtime: line.mtime.split('.')[0] }));
    const wanted = describeDirectory(from).filter(({ path }) => path !== '');
    expect(whole(lines(read(disk)))).toEqual(whole(wanted));
    expect(lines(read(disk, ['dir', 'below'])).map(({ path }) => path)).toEqual(['hard', 'large']);
    expect(read(disk, ['none', 'such'])).toBeUndefined();
  });

  it('attributes in an inode and in a block of their own, access control lists, devices', () => {
    const own = join(folder, 'own');
    copyFileSync(disk, own);
    const value = 'v'.repeat(3000);
    run('debugfs', '-w', '-R', 'ea_set empty user.a b', own);
    run('debugfs', '-w', '-R', `ea_set empty user.long ${value}`, own);
    run('debugfs', '-w', '-R', 'ea_set short trusted.overlay.origin x', own);
    run('debugfs', '-w', '-R', 'mknod dev c 1 3', own);
    run('debugfs', '-w', '-R', 'mknod other b 259 3', own);
    const found = read(own)?.children;
    expect([...(found?.get('empty')?.xattrs ?? [])].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]).sort()).toEqual([['user.a', 'b'], ['user.long', value]]);
    expect(found?.get('short')?.xattrs?.has('trusted.overlay.origin')).toBe(true);
    expect(found?.get('dev')).toMatchObject({ type: 'char', devMajor: 1, devMinor: 3 });
    expect(found?.get('other')).toMatchObject({ type: 'block', devMajor: 259, devMinor: 3 });
  });

  it('a journal that debugfs has written counts, what it revokes does not; as e2fsck replays it', () => {
    const own = join(folder, 'journal');
    copyFileSync(disk, own);
    const block = Number(run('debugfs', '-R', 'blocks dir', own).trim().split(/\s+/)[0]);
    const fd = openSync(own, 'r');
    const bytes = Buffer.from(readFileSync(own).subarray(block * 4096, (block + 1) * 4096));
    closeSync(fd);
    const at = bytes.indexOf('small');
    bytes.write('SMALL', at);
    const changed = join(folder, 'block');
    writeFileSync(changed, bytes);
    const commands = join(folder, 'commands');
    writeFileSync(commands, `jo -c -v 3\njw -b ${block} ${changed}\njc\n`);
    run('debugfs', '-w', '-f', commands, own);
    const names = (path: string): string[] => lines(read(path, ['dir'])).map(({ path: name }) => name);
    const replayed = names(own);
    expect(replayed).toContain('SMALL');
    expect(readFileSync(own).subarray(block * 4096 + at, block * 4096 + at + 5).toString()).toBe('small');
    const revoked = join(folder, 'revoked');
    copyFileSync(own, revoked);
    writeFileSync(commands, `jo -v 3\njw -r ${block}\njc\n`);
    run('debugfs', '-w', '-f', commands, revoked);
    expect(names(revoked)).toContain('small');
    for (const path of [own, revoked]) {
      const before = names(path);
      spawnSync('e2fsck', ['-y', '-E', 'journal_only', path], { timeout: 60_000 });
      expect(names(path)).toEqual(before);
    }
  });

  it('damage anywhere: one error, or another tree; never more', { timeout: 300_000 }, () => {
    const small = join(folder, 'few');
    mkdirSync(join(small, 'a/b'), { recursive: true });
    for (let i = 0; i < 40; i++) writeFileSync(join(small, 'a', `${i}`.repeat(20)), Buffer.alloc(i * 1000));
    symlinkSync('l'.repeat(200), join(small, 'a/b/long'));
    const whole = readFileSync(made('few.disk', small, '32m'));
    let seed = 1;
    const random = (most: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % most;
    };
    const used = [...Array(whole.length / 4096).keys()].filter((number) => whole.subarray(number * 4096, (number + 1) * 4096).some((byte) => byte !== 0));
    let refused = 0;
    const fd = openSync(join(folder, 'few.disk'), 'r+');
    for (let round = 0; round < 1000; round++) {
      const places = Array.from({ length: 1 + random(6) }, () => (used[random(Math.min(used.length, 300))] as number) * 4096 + random(4096));
      for (const place of places) writeSync(fd, Uint8Array.of(random(256)), 0, 1, place);
      try {
        let total = 0;
        for (const chunk of tarFromTree(treeFromExt4(fd, []) as DirNode)) {
          total += chunk.length;
          if (total > 2 ** 24) break;
        }
      } catch (error) {
        if (!(error instanceof VmmError)) throw error;
        refused += 1;
      }
      for (const place of places) writeSync(fd, whole, place, 1, place);
    }
    closeSync(fd);
    expect(refused).toBeGreaterThan(20);
  });

  it('what is none, or too short: one error', () => {
    const none = join(folder, 'none');
    writeFileSync(none, '');
    truncateSync(none, 1 << 20);
    expect(() => read(none)).toThrowError(/no ext4/);
    const short = join(folder, 'cut');
    copyFileSync(disk, short);
    truncateSync(short, 1 << 20);
    expect(() => read(short)).toThrowError(expect.objectContaining({ code: 'KEPT_DISK' }));
  });
});

import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentFromBytes, type DirNode, ErofsImage, treeFromDirectory, type TreeNode, writeErofs } from '../../../image/index.ts';
import { planChunks } from '../../../image/erofs/chunks.ts';
import type { Extent } from '../../../image/tree/content.ts';
import { crc32cRaw } from '../../../image/erofs/crc32c.ts';
import {
  arbTree,
  canMount,
  describeDirectory,
  describeImage,
  describeTree,
  dir,
  file,
  fsck,
  hasTool,
  META,
  mounted,
  pattern,
  scratch,
  symlink,
} from './support.ts';

const folder = scratch();
const OUT = join(folder, 'out.erofs');

/** Every kind of inode, layout and attribute at once. */
function everything(): DirNode {
  const linked = file(pattern(5000), { mode: 0o4755 });
  const acl = Buffer.from('0200000001000600ffffffff020004000d000000040004 00ffffffff10000400ffffffff20000400ffffffff'.replaceAll(' ', ''), 'hex');
  const sizes: Record<string, TreeNode> = {};
  for (const size of [0, 1, 1023, 1024, 1025, 4000, 4032, 4095, 4096, 4097, 5119, 5121, 8191, 8192, 300_000]) sizes[`s${size}`] = file(pattern(size, size));
  return dir(
    {
      sizes: dir(sizes),
      hard: dir({ a: linked, b: linked }),
      c: linked,
      long: dir({ ['n'.repeat(255)]: file('x'), '\xff\xfe': file('not utf-8'), '\xc3\xa9': file('utf-8'), '!first': file(''), '-second': file('') }),
      links: dir({ short: symlink('/etc/passwd'), long: symlink('y'.repeat(4095)), edge: symlink('z'.repeat(4032)), 'non-utf8': symlink('\xff') }),
      dev: dir({
        null: { type: 'char', ...META, mode: 0o666, devMajor: 1, devMinor: 3 },
        sda: { type: 'block', ...META, devMajor: 8, devMinor: 0 },
        big: { type: 'char', ...META, devMajor: 0xfff, devMinor: 0xfffff },
        pipe: { type: 'fifo', ...META },
        sock: { type: 'socket', ...META },
      }),
      owners: dir({ big: file('1', { uid: 70000, gid: 4_000_000_000 }), small: file('2', { uid: 65535, gid: 65535 }) }),
      times: dir({ ns: file('3', { mtimeNsec: 123_456_789 }), old: file('4', { mtimeSec: -5, mtimeNsec: 1 }), far: file('5', { mtimeSec: 2 ** 34 }) }),
      modes: dir({ setgid: dir({}, { mode: 0o2775 }), sticky: dir({}, { mode: 0o1777 }), none: file('6', { mode: 0 }) }),
      xattrs: dir({
        cap: file('7', { xattrs: new Map([['security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex')]]) }),
        many: file('8', { xattrs: new Map(Array.from({ length: 300 }, (_, i) => [`user.n${i}`, Buffer.from(`value ${i}`)])) }),
        same: file('9', { xattrs: new Map(Array.from({ length: 300 }, (_, i) => [`user.n${i}`, Buffer.from(`value ${i}`)])) }),
        empty: file('a', { xattrs: new Map([['user.empty', Buffer.alloc(0)]]) }),
        large: file(pattern(4096), { xattrs: new Map([['user.large', pattern(50_000)]]) }),
        acl: file('b', { xattrs: new Map([['system.posix_acl_access', acl], ['trusted.x', Buffer.from('y')]]) }),
        dir: dir({}, { xattrs: new Map([['user.d', Buffer.from('z')]]) }),
        link: symlink('t', { xattrs: new Map([['trusted.l', Buffer.from('z')]]) }),
      }),
    },
    { mode: 0o1755, mtimeNsec: 7 },
  );
}

describe('superblock', () => {
  it('carries the CRC-32C that Linux and fsck.erofs compute', () => {
    writeErofs(dir({ a: file('a') }), OUT);
    const block = readFileSync(OUT).subarray(1024, 4096);
    const stored = block.readUInt32LE(4);
    block.writeUInt32LE(0, 4);
    expect(crc32cRaw(block)).toBe(stored);
    // RFC 3720 B.4: 32 bytes of zeros have the CRC 0x8a9136aa; ours is not inverted at the end.
    expect(~crc32cRaw(Buffer.alloc(32)) >>> 0).toBe(0x8a9136aa);
  });

  it('has a UUID that follows from the content key, and zeros without one', () => {
    const uuid = (key?: string) => {
      writeErofs(dir(), OUT, key === undefined ? {} : { contentKey: key });
      return readFileSync(OUT).subarray(1024 + 48, 1024 + 64).toString('hex');
    };
    expect(uuid()).toBe('0'.repeat(32));
    expect(uuid('sha256:1')).toBe(uuid('sha256:1'));
    expect(uuid('sha256:1')).not.toBe(uuid('sha256:2'));
    expect(uuid('sha256:1')).toMatch(/^.{12}8.{3}[89ab]/);
  });
});

describe('determinism', () => {
  it('equal trees give equal bytes, whatever order their entries were added in', () => {
    const one = writeErofs(everything(), OUT);
    const tree = everything();
    const reversed = dir({}, { mode: tree.mode, mtimeNsec: tree.mtimeNsec });
    for (const [name, child] of [...tree.children].reverse()) reversed.children.set(name, child);
    expect(writeErofs(reversed, join(folder, 'two.erofs'))).toEqual(one);
    expect(readFileSync(OUT).equals(readFileSync(join(folder, 'two.erofs')))).toBe(true);
    expect(one.size).toBe(statSync(OUT).size);
  });
});

describe('own reader', () => {
  it('finds everything that was written', () => {
    const tree = everything();
    writeErofs(tree, OUT);
    expect(describeImage(OUT)).toEqual(describeTree(tree));
  });

  it('random trees come back as they went in', () => {
    fc.assert(
      fc.property(arbTree, fc.constantFrom(0, 1024, 4032), (tree, maxInlineTail) => {
        const { inodes } = writeErofs(tree, OUT, { fsync: false, maxInlineTail });
        const lines = describeTree(tree);
        expect(describeImage(OUT)).toEqual(lines);
        expect(inodes).toBe(new Set(lines.map((line) => line.first)).size);
      }),
      { numRuns: 150 },
    );
  });

  it('follows symbolic links inside the image and stops at its root', () => {
    writeErofs(dir({ etc: dir({ passwd: file('root:x:0:0') }), l: symlink('../../etc'), abs: symlink('/l/passwd'), loop: symlink('loop') }), OUT);
    const image = new ErofsImage(OUT);
    expect(image.readFile('/abs').toString()).toBe('root:x:0:0');
    expect(image.stat('/abs', { follow: false })?.type).toBe('symlink');
    expect(image.stat('/loop')).toBeUndefined();
    expect(image.stat('/etc/passwd/x')).toBeUndefined();
    expect(() => image.readFile('/nothing')).toThrow(expect.objectContaining({ code: 'IMAGE_NOT_FOUND' }));
    expect(() => image.readFile('/etc/passwd', 3)).toThrow(expect.objectContaining({ code: 'IMAGE_LIMIT' }));
    image.close();
  });

  it.runIf(hasTool('mkfs.erofs'))('reads an image of mkfs.erofs', () => {
    const source = join(folder, 'mkfs-source');
    mkdirSync(join(source, 'd'), { recursive: true });
    writeFileSync(join(source, 'd', 'f'), pattern(10_000));
    symlinkSync('d/f', join(source, 'l'));
    execFileSync('mkfs.erofs', ['--quiet', OUT, source]);
    const image = new ErofsImage(OUT);
    expect(image.readFile('/l').equals(pattern(10_000))).toBe(true);
    image.close();
  });

  it('a damaged image throws a VmmError or reads, and never hangs', () => {
    const small = dir({ d: dir({ f: file(pattern(6000)), l: symlink('f') }), x: file('y', { xattrs: new Map([['user.a', Buffer.from('b')]]) }) });
    writeErofs(small, OUT, { fsync: false });
    const good = readFileSync(OUT);
    const bad = join(folder, 'bad.erofs');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1024, max: 2047 }), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(good.length), (edits, cut) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of edits) bytes[at] = value;
        writeFileSync(bad, bytes.subarray(0, cut % 5 === 0 ? cut : good.length));
        let image: ErofsImage | undefined;
        try {
          image = new ErofsImage(bad);
          for (const path of ['/d/f', '/d/l', '/x']) image.readFile(path, 1 << 20);
          image.list('/');
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^IMAGE_/);
        } finally {
          image?.close();
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe.skipIf(!canMount)('Linux', () => {
  it('shows everything that was written', () => {
    const tree = everything();
    writeErofs(tree, OUT);
    expect(mounted(OUT, folder, describeDirectory)).toEqual(describeTree(tree));
  });

  it('shows random trees as they went in', () => {
    const trees = fc.array(arbTree, { minLength: 40, maxLength: 40 });
    // Many trees in one image: a mount takes longer than all the rest.
    fc.assert(
      fc.property(trees, (list) => {
        const tree = dir(Object.fromEntries(list.map((child, i) => [`tree-${i}`, child])));
        writeErofs(tree, OUT, { fsync: false });
        expect(mounted(OUT, folder, describeDirectory)).toEqual(describeTree(tree));
      }),
      { numRuns: process.env['VMM_LONG'] ? 25 : 2, endOnFailure: true },
    );
  });

  it('shows a copied host directory as the original, and as mkfs.erofs has it', () => {
    const source = join(folder, 'source');
    mkdirSync(join(source, 'many'), { recursive: true });
    for (let i = 0; i < 500; i++) writeFileSync(join(source, 'many', `file-${i}`), pattern(i * 37, i));
    linkSync(join(source, 'many', 'file-3'), join(source, 'again'));
    symlinkSync('many/file-9', join(source, 'link'));
    execFileSync('mknod', [join(source, 'zero'), 'c', '1', '5']);
    execFileSync('mkfifo', [join(source, 'fifo')]);
    execFileSync('python3', ['-c', 'import os,sys; os.setxattr(sys.argv[1], b"user.k", b"v"); os.setxattr(sys.argv[1], b"trusted.k", b"v")', join(source, 'again')]);
    const readXattrs = (path: Uint8Array): Map<string, Uint8Array> | undefined =>
      ['again', 'file-3'].some((name) => Buffer.from(path).toString().endsWith(`/${name}`))
        ? new Map([['user.k', Buffer.from('v')], ['trusted.k', Buffer.from('v')]])
        : undefined;
    writeErofs(treeFromDirectory(source, { host: { readXattrs } }).tree, OUT);
    const theirs = join(folder, 'theirs.erofs');
    execFileSync('mkfs.erofs', ['--quiet', theirs, source]);
    // Directory link counts are the file system's own affair.
    const plain = (lines: ReturnType<typeof describeDirectory>) => lines.map((line) => (line.type === 'dir' ? { ...line, nlink: 0 } : line));
    const seen = mounted(OUT, folder, describeDirectory);
    expect(plain(seen)).toEqual(plain(describeDirectory(source)));
    // mkfs.erofs keeps seconds by default when it uses compact inodes; ours keeps nanoseconds.
    expect(seen.map(({ mtime: _, ...rest }) => rest)).toEqual(mounted(theirs, folder, describeDirectory).map(({ mtime: _, ...rest }) => rest));
  });

  it('lists and finds 100,000 entries of one directory', () => {
    const children: Record<string, TreeNode> = {};
    for (let i = 0; i < 100_000; i++) children[`entry-${i.toString(36)}-${'x'.repeat(i % 40)}`] = file(`${i}`);
    writeErofs(dir({ big: dir(children) }), OUT, { fsync: false });
    mounted(OUT, folder, (at) => {
      const names = execFileSync('ls', ['-U', join(at, 'big')], { maxBuffer: 1 << 28 }).toString().trim().split('\n');
      expect(names.sort()).toEqual(Object.keys(children).sort());
      for (const i of [0, 1, 4096, 50_000, 99_999]) {
        expect(readFileSync(join(at, 'big', `entry-${i.toString(36)}-${'x'.repeat(i % 40)}`), 'utf8')).toBe(`${i}`);
      }
    });
  });

  it('reads a sparse file of 40 GiB with data at both ends and in the middle', () => {
    const source = join(folder, 'sparse');
    mkdirSync(source);
    const size = 40 * 2 ** 30 + 123;
    const fd = openSync(join(source, 'disk'), 'w');
    ftruncateSync(fd, size);
    const places = [0, 5 * 2 ** 30 + 777, 20 * 2 ** 30, size - 10_000];
    for (const at of places) writeSync(fd, pattern(10_000, at % 1000), 0, 10_000, at);
    closeSync(fd);
    const dataRanges = () => places.map((offset) => ({ offset, length: 10_000 }));
    const { size: imageSize } = writeErofs(treeFromDirectory(source, { host: { dataRanges } }).tree, OUT, { fsync: false });
    expect(imageSize).toBeLessThan(16 << 20);
    mounted(OUT, folder, (at) => {
      expect(statSync(join(at, 'disk')).size).toBe(size);
      const script = 'import os,sys\nfd=os.open(sys.argv[1],os.O_RDONLY)\nfor a in sys.argv[2:]: sys.stdout.buffer.write(os.pread(fd,10000,int(a)))';
      const bytes = execFileSync('python3', ['-c', script, join(at, 'disk'), ...places.map(String), String(2 ** 30), String(5 * 2 ** 30 - 20_000)]);
      for (const [i, place] of places.entries()) {
        expect(bytes.subarray(i * 10_000, (i + 1) * 10_000).equals(pattern(10_000, place % 1000))).toBe(true);
      }
      expect(bytes.subarray(40_000).every((byte) => byte === 0)).toBe(true);
    });
    fsck(OUT);
  });
});

describe.skipIf(!hasTool('fsck.erofs'))('erofs-utils', () => {
  it('find no fault', () => {
    writeErofs(everything(), OUT);
    fsck(OUT);
    const dump = execFileSync('dump.erofs', ['-s', OUT]).toString();
    expect(dump).toMatch(/features:\s+sb_csum mtime/);
  });

  it('find no fault in random trees', () => {
    fc.assert(
      fc.property(arbTree, (tree) => {
        writeErofs(tree, OUT, { fsync: false });
        fsck(OUT);
      }),
      { numRuns: 20 },
    );
  });
});

describe('limits', () => {
  it('many small stretches of a large file take a block each', () => {
    const [extent] = contentFromBytes(pattern(512)).extents;
    const count = 100_000;
    const step = 160 * 4096;
    const extents = Array.from({ length: count }, (_, i) => ({ ...(extent as Extent), fileOffset: i * step }));
    expect(planChunks({ size: count * step, extents })).toMatchObject({ bits: 0, blocks: count });
  });

  const fails = (tree: DirNode, code: string, options = {}) =>
    expect(() => writeErofs(tree, OUT, { fsync: false, ...options })).toThrow(expect.objectContaining({ code }));

  it('what the format cannot hold is refused', () => {
    fails(dir({ ['n'.repeat(256)]: file('') }), 'IMAGE_EROFS_LIMIT');
    fails(dir({ l: symlink('t'.repeat(4096)) }), 'IMAGE_EROFS_LIMIT');
    fails(dir({ l: symlink('') }), 'IMAGE_EROFS_LIMIT');
    fails(dir({ d: { type: 'char', ...META, devMajor: 0x1000, devMinor: 0 } }), 'IMAGE_EROFS_LIMIT');
    fails(dir({ f: file('', { uid: 2 ** 32 }) }), 'IMAGE_EROFS_LIMIT');
    fails(dir({ f: file('', { uid: -1 }) }), 'IMAGE_EROFS_LIMIT');
    fails(dir({ f: file('', { mtimeNsec: 1e9 }) }), 'IMAGE_EROFS_LIMIT');
    const huge = new Map(Array.from({ length: 9 }, (_, i) => [`user.${i}`, pattern(40_000, i)]));
    fails(dir({ f: file('', { xattrs: huge }) }), 'IMAGE_EROFS_LIMIT');
  });

  it('an image over its size limit is refused before anything is written', () => {
    fails(dir({ f: file(pattern(100_000)) }), 'IMAGE_LIMIT', { maxSize: 65536 });
  });

  it('a sparse file with scattered data stays near the size of its data', () => {
    const { extents } = contentFromBytes(pattern(4096));
    const scattered = Array.from({ length: 64 }, (_, i) => ({ ...(extents[0] as (typeof extents)[number]), fileOffset: i * 2 ** 33 }));
    const tree = dir({ f: { type: 'file', ...META, content: { size: 2 ** 39, extents: scattered } } });
    expect(writeErofs(tree, OUT, { fsync: false }).size).toBeLessThan(128 << 20);
  });

  it('an error leaves neither the image nor a temporary file', () => {
    const target = join(folder, 'empty-folder');
    mkdirSync(target);
    const source = { read: () => { throw new Error('boom'); }, release: () => {} };
    const tree = dir({ f: { type: 'file', ...META, content: { size: 9000, extents: [{ fileOffset: 0, length: 9000, source, sourceOffset: 0 }] } } });
    expect(() => writeErofs(tree, join(target, 'out'))).toThrow('boom');
    expect(execFileSync('ls', ['-A', target]).toString()).toBe('');
  });
});

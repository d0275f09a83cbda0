import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  byteString,
  type ByteString,
  type ImportLimits,
  LayerStack,
  tarFromTree,
  type TarEntry,
  TarReader,
} from '../../../image/index.ts';
import { Spool, spoolSink } from '../../../image/tree/spool.ts';
import { arbTree, collect, describeDirectory, describeTree, dir, file, hasTool, META, pattern, scratch, symlink } from './support.ts';

const folder = scratch();

interface Member {
  entry: TarEntry;
  data: Buffer;
}

function read(archive: Uint8Array, options: { chunk?: number; limits?: Partial<ImportLimits> } = {}): Member[] {
  const members: Member[] = [];
  let parts: Buffer[] = [];
  const reader = new TarReader(
    {
      entry: () => {
        parts = [];
      },
      data: (chunk) => parts.push(Buffer.from(chunk)),
      end: (entry) => members.push({ entry, data: Buffer.concat(parts) }),
    },
    options.limits,
  );
  const size = options.chunk ?? archive.length;
  for (let at = 0; at < archive.length; at += size) reader.push(archive.subarray(at, at + size));
  reader.end();
  return members;
}

/** A member's data with its holes. */
function expanded({ entry, data }: Member): Buffer {
  if (entry.sparse === undefined) return data;
  const whole = Buffer.alloc(entry.size);
  let at = 0;
  for (const { offset, length } of entry.sparse) {
    data.copy(whole, offset, at, at + length);
    at += length;
  }
  return whole;
}

interface Fields {
  name?: string;
  mode?: string;
  uid?: string | Buffer;
  size?: number | Buffer | string;
  mtime?: string | Buffer;
  type?: string;
  link?: string;
  magic?: string;
  prefix?: string;
  checksum?: string;
}

/** A header block made by hand, so that it can be wrong. */
function header(fields: Fields): Buffer {
  const b = Buffer.alloc(512);
  const put = (value: string | Buffer, at: number) => (typeof value === 'string' ? b.write(value, at, 'latin1') : value.copy(b, at));
  put(fields.name ?? 'f', 0);
  put(fields.mode ?? '0000644\0', 100);
  put(fields.uid ?? '0000000\0', 108);
  put('0000000\0', 116);
  const size = fields.size ?? 0;
  put(typeof size === 'number' ? size.toString(8).padStart(11, '0') : size, 124);
  put(fields.mtime ?? '00000000000\0', 136);
  put(fields.type ?? '0', 156);
  put(fields.link ?? '', 157);
  put(fields.magic ?? 'ustar\x0000', 257);
  put(fields.prefix ?? '', 345);
  b.fill(0x20, 148, 156);
  const sum = b.reduce((a, c) => a + c, 0);
  put(fields.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return b;
}

function padded(bytes: Buffer | string): Buffer {
  const data = Buffer.from(bytes as string, 'latin1');
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function pax(records: [string, string][], type = 'x'): Buffer {
  const body = records
    .map(([key, value]) => {
      const rest = key.length + value.length + 3;
      let length = rest + 1;
      while (length !== rest + String(length).length) length = rest + String(length).length;
      return `${length} ${key}=${value}\n`;
    })
    .join('');
  return Buffer.concat([header({ name: 'pax', type, size: body.length }), padded(body)]);
}

const END = Buffer.alloc(1024);
const archive = (...parts: Buffer[]) => Buffer.concat([...parts, END]);
const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe('archives of GNU tar', () => {
  const source = join(folder, 'gnu');
  const longName = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(120)}`;
  mkdirSync(join(source, 'd'.repeat(90), 'e'.repeat(90)), { recursive: true });
  writeFileSync(join(source, longName), 'long');
  writeFileSync(join(source, 'plain'), pattern(3000));
  execFileSync('ln', [join(source, 'plain'), join(source, 'hard')]);
  execFileSync('ln', ['-s', `${'t'.repeat(150)}`, join(source, 'soft')]);
  execFileSync('mkfifo', [join(source, 'fifo')]);
  execFileSync('touch', ['-d', '2021-03-04 05:06:07.123456789 UTC', join(source, 'plain')]);
  execFileSync('sh', ['-c', `printf x > "${source}/$(printf 'b\\377d')"`]);

  for (const format of ['gnu', 'pax', 'oldgnu', 'posix']) {
    it(`format ${format}: names, links, times and data come out whole`, () => {
      const bytes = execFileSync('tar', ['-C', source, `--format=${format}`, '--sort=name', '-cf', '-', '.'], { maxBuffer: 1 << 28 });
      for (const chunk of [bytes.length, 1000, 513]) {
        const members = new Map(read(bytes, { chunk }).map((member) => [member.entry.path, member]));
        expect(members.get(`./${longName}`)?.data.toString()).toBe('long');
        expect(members.get('./b\xffd')?.data.toString()).toBe('x');
        expect(members.get('./soft')?.entry).toMatchObject({ type: 'symlink', linkTarget: 't'.repeat(150) });
        expect(members.get('./fifo')?.entry.type).toBe('fifo');
        expect(members.get('./hard')?.data.equals(pattern(3000))).toBe(true);
        const plain = members.get('./plain') as Member;
        expect(plain.entry).toMatchObject({ type: 'hardlink', linkTarget: './hard' });
        const { mtimeSec, mtimeNsec } = (members.get('./hard') as Member).entry;
        expect(mtimeSec).toBe(Date.UTC(2021, 2, 4, 5, 6, 7) / 1000);
        expect(mtimeNsec).toBe(format === 'pax' || format === 'posix' ? 123_456_789 : 0);
        expect(members.get('./')?.entry.type).toBe('dir');
      }
    });
  }

  it('v7 and ustar archives are read', () => {
    for (const format of ['v7', 'ustar']) {
      const bytes = execFileSync('tar', ['-C', source, `--format=${format}`, '-cf', '-', 'plain'], { maxBuffer: 1 << 28 });
      expect(read(bytes).map((m) => [m.entry.path, m.data.length])).toEqual([['plain', 3000]]);
    }
  });

  it('sparse files of all four formats have their data where it belongs', () => {
    const sparse = join(folder, 'holes');
    execFileSync('truncate', ['-s', '3M', sparse]);
    const script = 'import sys\nf=open(sys.argv[1],"r+b")\nfor i in range(40):\n f.seek(i*70000)\n f.write(bytes([i+1])*5000)';
    execFileSync('python3', ['-c', script, sparse]);
    const whole = readFileSync(sparse);
    for (const args of [['--format=gnu'], ...['0.0', '0.1', '1.0'].map((v) => ['--format=pax', `--sparse-version=${v}`])]) {
      const bytes = execFileSync('tar', ['-C', folder, ...args, '-S', '-cf', '-', 'holes'], { maxBuffer: 1 << 28 });
      for (const chunk of [bytes.length, 700]) {
        const [member] = read(bytes, { chunk }) as [Member];
        expect(member.entry.path).toBe('holes');
        expect(member.entry.size).toBe(whole.length);
        expect(member.entry.sparse?.length).toBeGreaterThan(30);
        expect(expanded(member).equals(whole)).toBe(true);
        expect(member.data.length).toBeLessThan(1 << 20);
      }
    }
  });
});

describe('extended headers', () => {
  it('PAX records override the header; an empty value takes one back', () => {
    const [member] = read(
      archive(
        pax([
          ['path', 'first'],
          ['path', byteString('naïve/名前')],
          ['mtime', '-1.5'],
          ['uid', '4000000000'],
          ['gid', '7'],
          ['gid', ''],
          ['SCHILY.xattr.user.a', 'x=y\nz'],
          ['SCHILY.xattr.user.empty', ''],
          ['LIBARCHIVE.xattr.user.%C3%A9', 'AAEC'],
        ]),
        header({ name: 'short', uid: '0000005\0' }),
      ),
    ) as [Member];
    expect(member.entry).toMatchObject({ path: byteString('naïve/名前'), mtimeSec: -2, mtimeNsec: 500_000_000, uid: 4_000_000_000, gid: 0 });
    expect(Object.fromEntries(member.entry.xattrs ?? [])).toEqual({
      'user.a': Buffer.from('x=y\nz'),
      'user.empty': Buffer.alloc(0),
      [byteString('user.é')]: Buffer.from([0, 1, 2]),
    });
  });

  it('PAX size beats the header field', () => {
    const [member] = read(archive(pax([['size', '5']]), header({ size: 0 }), padded('hello'))) as [Member];
    expect(member.data.toString()).toBe('hello');
  });

  it('a global header gives defaults that a local one overrides, and never names', () => {
    const members = read(archive(pax([['mtime', '77'], ['path', 'evil']], 'g'), header({ name: 'a' }), pax([['mtime', '5']]), header({ name: 'b' })));
    expect(members.map((m) => [m.entry.path, m.entry.mtimeSec])).toEqual([['a', 77], ['b', 5]]);
  });

  it('base-256 numbers are read, negative times too', () => {
    const size = Buffer.alloc(12);
    size[0] = 0x80;
    size.writeUInt32BE(5, 8);
    const mtime = Buffer.alloc(12, 0xff);
    const [member] = read(archive(header({ size, mtime }), padded('hello'))) as [Member];
    expect(member.entry.mtimeSec).toBe(-1);
    expect(member.data.toString()).toBe('hello');
  });

  it('ustar prefix joins the name; a GNU header has none', () => {
    expect(read(archive(header({ name: 'b', prefix: 'a' })))[0]?.entry.path).toBe('a/b');
    expect(read(archive(header({ name: 'b', prefix: 'a', magic: 'ustar  \0' })))[0]?.entry.path).toBe('b');
  });

  it('links, devices and directories have no data whatever their size field says', () => {
    const members = read(archive(header({ name: 'l', type: '2', link: 't', size: 512 }), header({ name: 'd', type: '5', size: 512 }), header({ name: 'f' })));
    expect(members.map((m) => m.entry.path)).toEqual(['l', 'd', 'f']);
  });

  it('volume labels are skipped', () => {
    expect(read(archive(header({ name: 'label', type: 'V', size: 0 }), header({ name: 'f' }))).length).toBe(1);
  });
});

describe('bad archives', () => {
  const long = header({ name: 'f', size: 2000 });
  it.each([
    ['text that is no archive', Buffer.alloc(2048, 'hello world '), 'IMAGE_TAR_HEADER'],
    ['a wrong checksum', archive(header({ checksum: '0000001\0' })), 'IMAGE_TAR_HEADER'],
    ['a checksum that is no number', archive(header({ checksum: 'zzzzzzz\0' })), 'IMAGE_TAR_HEADER'],
    ['a size that is no number', archive(header({ size: '9x9' })), 'IMAGE_TAR_HEADER'],
    ['a negative size', archive(header({ size: Buffer.alloc(12, 0xff) })), 'IMAGE_TAR_HEADER'],
    ['a size of 2^80', archive(header({ size: Buffer.concat([Buffer.from([0x80, 1]), Buffer.alloc(10)]) })), 'IMAGE_TAR_HEADER'],
    ['a negative owner', archive(header({ uid: Buffer.alloc(8, 0xff) })), 'IMAGE_TAR_HEADER'],
    ['an unknown type', archive(header({ type: 'M' })), 'IMAGE_TAR_UNSUPPORTED'],
    ['an end within the data', Buffer.concat([long, Buffer.alloc(1000)]), 'IMAGE_TAR_TRUNCATED'],
    ['an end within a header', header({}).subarray(0, 100), 'IMAGE_TAR_TRUNCATED'],
    ['an end within the padding', Buffer.concat([header({ size: 5 }), Buffer.from('hello')]), 'IMAGE_TAR_TRUNCATED'],
    ['an end after an extended header', pax([['path', 'x']]), 'IMAGE_TAR_TRUNCATED'],
    ['a huge extended header', archive(header({ type: 'x', size: 2 ** 32 })), 'IMAGE_LIMIT'],
    ['a huge long name', archive(header({ type: 'L', size: 2 ** 32 })), 'IMAGE_LIMIT'],
    ['a PAX record longer than its header', archive(Buffer.concat([header({ type: 'x', size: 12 }), padded('99 path=abc\n')]), header({})), 'IMAGE_TAR_HEADER'],
    ['a PAX record without "="', archive(Buffer.concat([header({ type: 'x', size: 7 }), padded('7 path\n')]), header({})), 'IMAGE_TAR_HEADER'],
    ['a PAX record of length 0', archive(Buffer.concat([header({ type: 'x', size: 7 }), padded('0 a=bc\n')]), header({})), 'IMAGE_TAR_HEADER'],
    ['a PAX size that is no number', archive(pax([['size', '-1']]), header({})), 'IMAGE_TAR_HEADER'],
    ['a PAX size of 2^60', archive(pax([['size', String(2n ** 60n)]]), header({})), 'IMAGE_TAR_HEADER'],
    ['sparse stretches that overlap', archive(pax([['GNU.sparse.map', '0,512,100,512'], ['GNU.sparse.size', '9999']]), header({ size: 1024 }), Buffer.alloc(1024)), 'IMAGE_TAR_HEADER'],
    ['sparse stretches beyond the file', archive(pax([['GNU.sparse.map', '0,512'], ['GNU.sparse.size', '100']]), header({ size: 512 }), Buffer.alloc(512)), 'IMAGE_TAR_HEADER'],
    ['a sparse map that is not stored', archive(pax([['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.realsize', '100']]), header({ size: 0 })), 'IMAGE_TAR_HEADER'],
    ['a sparse map with a huge count', archive(pax([['GNU.sparse.major', '1'], ['GNU.sparse.realsize', '100']]), header({ size: 512 }), padded('9999999999\n')), 'IMAGE_LIMIT'],
    ['a sparse map without an end', archive(pax([['GNU.sparse.major', '1'], ['GNU.sparse.realsize', '100']]), header({ size: 512 }), padded('9\n'.padEnd(512, '1\n'))), 'IMAGE_TAR_HEADER'],
  ])('%s is refused', (_, bytes, wanted) => {
    for (const chunk of [bytes.length, 77]) expect(() => read(bytes, { chunk })).toThrow(code(wanted));
  });

  it('more members than the limit are refused', () => {
    const bytes = archive(...Array.from({ length: 11 }, (_, i) => header({ name: `f${i}` })));
    expect(() => read(bytes, { limits: { maxEntries: 10 } })).toThrow(code('IMAGE_LIMIT'));
    expect(read(bytes, { limits: { maxEntries: 11 } }).length).toBe(11);
  });

  it('an archive without end-of-archive blocks is read, and said to be without', () => {
    const reader = new TarReader({ entry: () => {}, data: () => {}, end: () => {} });
    reader.push(header({}));
    expect(reader.end()).toEqual({ entries: 1, endMarker: false });
  });

  it('the message says where', () => {
    expect(() => read(archive(header({}), header({ checksum: '0000001\0' })))).toThrow('member 2 at byte 512: header checksum is 1');
  });

  it('random damage gives an error of ours or entries, whatever the chunks, and never hangs', () => {
    const tree = dir({ a: file(pattern(3000), { xattrs: new Map([['user.a', Buffer.from('b')]]), mtimeNsec: 5 }), ['n'.repeat(200)]: symlink('t'.repeat(200)), d: dir({ e: file('x') }) });
    const sparse = pax([['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.name', 's'], ['GNU.sparse.realsize', '9000']]);
    const map = Buffer.concat([padded('2\n0\n600\n5000\n600\n'), pattern(1200), Buffer.alloc(336)]);
    const good = Buffer.concat([sparse, header({ size: 1712 }), map, collect(tarFromTree(tree))]);
    expect(read(good).length).toBe(6);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.option(fc.nat(good.length)),
        fc.boolean(),
        (edits, chunk, cut, repair) => {
          const bytes = Buffer.from(good.subarray(0, cut ?? good.length));
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
          // With right checksums the damage gets past the first check.
          if (repair) for (let at = 0; at + 512 <= bytes.length; at += 512) if (bytes.toString('latin1', at + 257, at + 262) === 'ustar') fixChecksum(bytes.subarray(at, at + 512));
          const spool = new Spool(folder);
          const stack = new LayerStack();
          const layer = stack.layer(spoolSink(spool));
          const reader = new TarReader(layer);
          try {
            for (let at = 0; at < bytes.length; at += chunk) reader.push(bytes.subarray(at, at + chunk));
            reader.end();
            layer.finish();
          } catch (error) {
            if (!/^IMAGE_/.test((error as { code?: string }).code ?? '')) throw error;
          } finally {
            spool.close();
          }
        },
      ),
      { numRuns: process.env['VMM_LONG'] ? 50_000 : 1500 },
    );
  });
});

function fixChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((a, c) => a + c, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

function unpack(bytes: Uint8Array, chunk = bytes.length): ReturnType<typeof describeTree> {
  const spool = new Spool(folder);
  try {
    const stack = new LayerStack();
    const layer = stack.layer(spoolSink(spool), { whiteouts: false });
    const reader = new TarReader(layer);
    for (let at = 0; at < bytes.length; at += chunk) reader.push(bytes.subarray(at, at + chunk));
    reader.end();
    layer.finish();
    return describeTree(stack.root);
  } finally {
    spool.close();
  }
}

describe('writer', () => {
  it('random trees come back from their archive', () => {
    fc.assert(
      fc.property(arbTree, fc.integer({ min: 100, max: 5000 }), (tree, chunk) => {
        expect(unpack(collect(tarFromTree(tree)), chunk)).toEqual(describeTree(tree));
      }),
      { numRuns: 150 },
    );
  });

  it.runIf(process.getuid?.() === 0 && hasTool('python3'))('GNU tar unpacks the archive as the tree was', () => {
    const names: Record<ByteString, ReturnType<typeof file>> = {};
    for (const length of [99, 100, 101, 155, 156, 200, 255]) names['n'.repeat(length)] = file(`${length}`);
    const deep = dir({ ['p'.repeat(120)]: dir({ ['q'.repeat(99)]: file('split'), ['r'.repeat(101)]: file('pax') }) });
    const shared = file(pattern(700), { mode: 0o4711, uid: 3_000_000, gid: 5 });
    const tree = dir({
      names: dir(names),
      deep,
      'b\xff': shared,
      link: shared,
      soft: symlink('s'.repeat(140)),
      xattr: file('x', { xattrs: new Map([['user.k', pattern(60)]]), mtimeSec: -7, mtimeNsec: 250_000_000 }),
      dev: { type: 'char', ...META, devMajor: 5, devMinor: 1 },
      fifo: { type: 'fifo', ...META },
    });
    const at = join(folder, 'unpacked');
    mkdirSync(at);
    writeFileSync(join(folder, 'w.tar'), collect(tarFromTree(tree)));
    execFileSync('tar', ['-C', at, '--xattrs', '--xattrs-include=*', '-xpf', join(folder, 'w.tar')], { stdio: 'pipe' });
    const plain = (lines: ReturnType<typeof describeTree>) => lines.map((line) => (line.type === 'dir' ? { ...line, nlink: 0 } : line));
    expect(plain(describeDirectory(at))).toEqual(plain(describeTree(tree)));
  });

  it('puts a prefix before every path and leaves the root out when told', () => {
    const paths = (options: object) => read(collect(tarFromTree(dir({ a: dir({ b: file('') }) }), options))).map((m) => m.entry.path);
    expect(paths({})).toEqual(['./', 'a/', 'a/b']);
    expect(paths({ prefix: 'rootfs' })).toEqual(['rootfs/', 'rootfs/a/', 'rootfs/a/b']);
    expect(paths({ root: false })).toEqual(['a/', 'a/b']);
  });
});

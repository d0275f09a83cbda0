import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteString, type ImportLimits, type LayerOptions, LayerStack, type TarEntry, type TarHandler, walk } from '../../../image/index.ts';
import { Spool, spoolSink } from '../../../image/tree/spool.ts';
import { describeTree, scratch } from './support.ts';

const folder = scratch();
const spool = new Spool(folder);
const sink = spoolSink(spool);

/** An entry for the layer code: "dir/" is a directory, "a -> b" a symbolic link, "a = b" a hard link. */
function entry(text: string, fields: Partial<TarEntry> = {}): TarEntry {
  const [path, target] = text.split(/ -> | = /) as [string, string | undefined];
  const type = text.includes(' -> ') ? 'symlink' : text.includes(' = ') ? 'hardlink' : path.endsWith('/') ? 'dir' : 'file';
  return {
    type,
    path,
    linkTarget: target ?? '',
    mode: type === 'dir' ? 0o700 : 0o600,
    uid: 1,
    gid: 2,
    mtimeSec: 3,
    mtimeNsec: 4,
    devMajor: 0,
    devMinor: 0,
    xattrs: undefined,
    size: 0,
    sparse: undefined,
    dataSize: 0,
    dataOffset: 0,
    ...fields,
  };
}

/** A file whose data tells where it came from. */
function put(handler: TarHandler, text: string, data = '', fields: Partial<TarEntry> = {}): void {
  const bytes = Buffer.from(data);
  const made = entry(text, { size: bytes.length, dataSize: bytes.length, ...fields });
  handler.entry(made);
  if (bytes.length > 0) handler.data(bytes, made);
  handler.end(made);
}

function build(layers: string[][], options: LayerOptions = {}, limits: Partial<ImportLimits> = {}): LayerStack {
  const stack = new LayerStack(limits);
  layers.forEach((layer, i) => {
    const handler = stack.layer(sink, options);
    for (const text of layer) put(handler, text, /[/=>]/.test(text.slice(-1)) || / [-=]>? /.test(text) ? '' : `layer ${i}`);
    handler.finish();
  });
  return stack;
}

/** Paths and what is there: file data, "dir", or "-> target". */
function show(stack: LayerStack): Record<string, string> {
  const lines = describeTree(stack.root).filter((line) => line.path !== '');
  const nodes = new Map([...walk(stack.root)].map(({ path, node }) => [path, node]));
  return Object.fromEntries(
    lines.map((line) => {
      const node = nodes.get(line.path);
      if (node?.type === 'symlink') return [line.path, `-> ${node.target}`];
      if (node?.type !== 'file') return [line.path, line.type];
      const bytes = Buffer.alloc(node.content.size);
      for (const e of node.content.extents) e.source.read(bytes.subarray(e.fileOffset, e.fileOffset + e.length), e.sourceOffset);
      return [line.path, bytes.toString()];
    }),
  );
}

const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe('OCI layers', () => {
  it('a whiteout hides a file and a tree of lower layers', () => {
    expect(show(build([['a', 'd/', 'd/b', 'd/e/', 'd/e/f'], ['.wh.a', 'd/.wh.e']]))).toEqual({ d: 'dir', 'd/b': 'layer 0' });
  });

  it('a whiteout spares entries of its own layer, before and after it', () => {
    for (const layer of [['.wh.d', 'd/', 'd/new'], ['d/', 'd/new', '.wh.d'], ['d/', '.wh.d', 'd/new']]) {
      expect(show(build([['d/', 'd/old', 'd/sub/', 'd/sub/x'], layer]))).toEqual({ d: 'dir', 'd/new': 'layer 1' });
    }
    expect(show(build([['f'], ['f', '.wh.f']]))).toEqual({ f: 'layer 1' });
  });

  it('an opaque directory hides its lower children wherever the marker stands', () => {
    for (const layer of [['d/', 'd/.wh..wh..opq', 'd/new'], ['d/', 'd/new', 'd/.wh..wh..opq'], ['d/new', 'd/.wh..wh..opq', 'd/']]) {
      expect(show(build([['d/', 'd/old', 'd/s/', 'd/s/x'], layer]))).toEqual({ d: 'dir', 'd/new': 'layer 1' });
    }
  });

  it('a hidden directory that its layer only passes through gets default metadata', () => {
    const stack = build([['d/', 'd/old'], ['d/new', '.wh.d']]);
    expect(stack.root.children.get('d')).toMatchObject({ mode: 0o755, uid: 0, mtimeSec: 0 });
  });

  it('a whiteout of nothing, and one below a missing directory, changes nothing', () => {
    expect(show(build([['a'], ['.wh.b', 'c/.wh.d', 'a/.wh.e', 'q/.wh..wh..opq']]))).toEqual({ a: 'layer 0' });
  });

  it('a name hidden by one layer can come back in the next', () => {
    expect(show(build([['a'], ['.wh.a'], ['a']]))).toEqual({ a: 'layer 2' });
  });

  it('files replace directories and directories files', () => {
    expect(show(build([['x/', 'x/y', 'z'], ['x', 'z/', 'z/w']]))).toEqual({ x: 'layer 1', z: 'dir', 'z/w': 'layer 1' });
  });

  it('a directory entry over a directory keeps the children and takes the metadata', () => {
    const stack = build([['d/', 'd/x']]);
    const handler = stack.layer(sink);
    put(handler, 'd/', '', { mode: 0o1777, uid: 9, xattrs: new Map([['user.a', Buffer.from('b')]]) });
    handler.finish();
    expect(stack.root.children.get('d')).toMatchObject({ mode: 0o1777, uid: 9, xattrs: new Map([['user.a', Buffer.from('b')]]) });
    expect(show(stack)).toEqual({ d: 'dir', 'd/x': 'layer 0' });
  });

  it('the root takes metadata from "./" and from an absolute "/"', () => {
    for (const path of ['./', '/']) {
      const stack = new LayerStack();
      put(stack.layer(sink), path, '', { mode: 0o711 });
      expect(stack.root.mode).toBe(0o711);
    }
  });

  it('hard links share an inode, across layers too; replacing one name leaves the other', () => {
    const stack = build([['a', 'b = a'], ['c = ./b'], ['a']]);
    const { children } = stack.root;
    expect(children.get('b')).toBe(children.get('c'));
    expect(show(stack)).toEqual({ a: 'layer 2', b: 'layer 0', c: 'layer 0' });
  });

  it('a hard link to a symbolic link is the symbolic link', () => {
    const stack = build([['a', 's -> a', 'h = s']]);
    expect(stack.root.children.get('h')).toBe(stack.root.children.get('s'));
  });

  it('missing parents are made', () => {
    const stack = build([['a/b/c']]);
    expect(show(stack)).toEqual({ a: 'dir', 'a/b': 'dir', 'a/b/c': 'layer 0' });
    expect(stack.root.children.get('a')).toMatchObject({ mode: 0o755, uid: 0, gid: 0, mtimeSec: 0 });
  });

  it('AUFS metadata is left out', () => {
    expect(show(build([['.wh..wh.plnk/', '.wh..wh.plnk/1.2', '.wh..wh.aufs', 'a']]))).toEqual({ a: 'layer 0' });
  });

  it('with whiteouts off the names are taken literally', () => {
    expect(show(build([['a'], ['.wh.a']], { whiteouts: false }))).toEqual({ a: 'layer 0', '.wh.a': 'layer 1' });
  });

  it('a prefix takes what lies below it', () => {
    expect(show(build([['manifest', 'rootfs/', 'rootfs/a', 'rootfs/b = rootfs/a', 'rootfsx/c']], { prefix: 'rootfs' }))).toEqual({ a: 'layer 0', b: 'layer 0' });
  });

  it('a filter keeps what it likes', () => {
    expect(show(build([['a', 'b/', 'b/c']], { filter: (path) => path !== 'a' }))).toEqual({ b: 'dir', 'b/c': 'layer 0' });
  });

  it('attributes of overlayfs and those EROFS cannot hold are dropped and counted', () => {
    const stack = new LayerStack();
    const xattrs = new Map(['trusted.overlay.opaque', 'user.overlay.redirect', 'system.nfs4_acl', 'user.kept'].map((name) => [name, Buffer.from('y')]));
    const handler = stack.layer(sink);
    put(handler, 'f', '', { xattrs });
    handler.finish();
    expect(stack.root.children.get('f')?.xattrs).toEqual(new Map([['user.kept', Buffer.from('y')]]));
    expect(stack.notes.droppedXattrs).toBe(3);
  });
});

describe('a directory in the place of something else of a lower layer', () => {
  const LOWER = ['target/', 'target/keep', 'link -> target'];
  const REPLACED = { link: 'dir', 'link/new': 'layer 1', target: 'dir', 'target/keep': 'layer 0' };
  // What podman 4.3 with overlay shows of these layers; where it stands below, umoci 0.4.7 says the same.
  it.each<[string, string[][], Record<string, string>]>([
    ['a parent that is a file gives way', [['x'], ['x/y']], { x: 'dir', 'x/y': 'layer 1' }],
    ['so does one with its own entry behind', [['x'], ['x/y', 'x/']], { x: 'dir', 'x/y': 'layer 1' }],
    ['and one below a link', [['a/', 'a/f', 'l/'], ['l/f/g', 'a/f/g']], { a: 'dir', 'a/f': 'dir', 'a/f/g': 'layer 1', l: 'dir', 'l/f': 'dir', 'l/f/g': 'layer 1' }],
    ['a link gives way to a directory (umoci, too)', [LOWER, ['link/', 'link/.wh..wh..opq', 'link/new']], REPLACED],
    ['wherever its entry stands', [LOWER, ['link/new', 'link/', 'link/.wh..wh..opq']], REPLACED],
    ['without an opaque marker', [LOWER, ['link/new', 'link/']], REPLACED],
    ['by an opaque marker alone', [LOWER, ['link/new', 'link/.wh..wh..opq']], REPLACED],
    ['with an opaque marker first', [LOWER, ['link/.wh..wh..opq', 'link/new']], REPLACED],
    ['a link of the same layer is followed (umoci, too)', [['t/', 'l -> t', 'l/x']], { t: 'dir', 't/x': 'layer 0', l: '-> t' }],
    ['a link to nowhere gives way', [['l -> nowhere'], ['l/x', 'l/']], { l: 'dir', 'l/x': 'layer 1' }],
  ])('%s', (_, layers, wanted) => {
    expect(show(build(layers))).toEqual(wanted);
  });

  // As umoci and containerd do; with podman the directory that the path implies replaces the link.
  it('a link that no entry names as a directory is followed', () => {
    expect(show(build([LOWER, ['link/new']]))).toEqual({ link: '-> target', target: 'dir', 'target/keep': 'layer 0', 'target/new': 'layer 1' });
    expect(show(build([LOWER, ['link/.wh.keep']]))).toEqual({ link: '-> target', target: 'dir' });
    expect(show(build([['t/', 'l -> /t'], ['l/x']]))).toEqual({ t: 'dir', 't/x': 'layer 1', l: '-> /t' });
  });

  // umoci
  it('a directory after what came through a link of its own layer replaces that link alone', () => {
    expect(show(build([['t/', 'l -> t', 'l/x', 'l/']]))).toEqual({ l: 'dir', t: 'dir', 't/x': 'layer 0' });
  });
});

describe('hostile entries', () => {
  it('entries below a symbolic link land inside the image, never outside', () => {
    expect(show(build([['usr/', 'lib -> usr', 'lib/x']]))).toMatchObject({ 'usr/x': 'layer 0', lib: '-> usr' });
    expect(show(build([['up -> ../../../..', 'up/x', 'abs -> /etc', 'abs/passwd']]))).toEqual({
      up: '-> ../../../..',
      x: 'layer 0',
      abs: '-> /etc',
      etc: 'dir',
      'etc/passwd': 'layer 0',
    });
  });

  it.each([
    ['".." in a path', ['../x']],
    ['".." in the middle', ['a/../../x']],
    ['".." that would stay inside', ['a/../x']],
    ['a NUL in a path', ['a\0b']],
    ['a name of 256 bytes', ['n'.repeat(256)]],
    ['a path of 5000 bytes', ['d/'.repeat(2500)]],
    ['a path 1025 deep', ['d/'.repeat(1025)]],
    ['a hard link out of the image', ['h = ../../etc/passwd']],
    ['a hard link to something missing', ['h = nothing']],
    ['a hard link to itself', ['h = h']],
    ['a hard link to a directory', ['d/', 'h = d']],
    ['a hard link to the root', ['h = ./']],
    ['a loop of symbolic links as parent', ['a -> b', 'b -> a', 'a/x']],
    ['a parent that is a file', ['f', 'f/x']],
    ['a root that is a file', ['./']],
    ['a whiteout of nothing', ['.wh.']],
    ['a whiteout of "."', ['.wh..']],
    ['a whiteout of ".."', ['.wh...']],
    ['an entry below a whiteout', ['.wh.a/b']],
    ['an empty symbolic link', ['s -> ']],
  ])('%s is refused', (what, layer) => {
    if (what === 'a root that is a file') {
      expect(() => put(new LayerStack().layer(sink), './', '', { type: 'file' })).toThrow(code('IMAGE_TAR_PATH'));
    } else {
      expect(() => build([layer])).toThrow(code('IMAGE_TAR_PATH'));
    }
  });

  it('a symbolic link that leads deep again and again is refused', () => {
    const deep = Array.from({ length: 100 }, (_, i) => `d${i}`).join('/');
    const layer = [`${deep}/`, `${deep}/next -> /${deep}/next2`];
    const path = `${deep}/next/${'x/'.repeat(200)}`;
    expect(() => build([[...layer, path]], {}, { maxDepth: 301 })).not.toThrow();
    expect(() => build([[...layer, path]], {}, { maxDepth: 300 })).toThrow(code('IMAGE_TAR_PATH'));
  });

  it('entries, implied directories and metadata bytes are bounded', () => {
    expect(() => build([['a', 'b', 'c']], {}, { maxEntries: 2 })).toThrow(code('IMAGE_LIMIT'));
    expect(() => build([['a'], ['b'], ['c']], {}, { maxEntries: 2 })).toThrow(code('IMAGE_LIMIT'));
    expect(() => build([['a/b/c/d/e']], {}, { maxEntries: 4 })).toThrow(code('IMAGE_LIMIT'));
    expect(() => build([[`s -> ${'t'.repeat(4000)}`]], {}, { maxMetadataBytes: 2000 })).toThrow(code('IMAGE_LIMIT'));
  });

  it('whiteouts of one large directory again and again take no quadratic time', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `d/f${i}`);
    const start = process.cpuUsage();
    const stack = build([many, [...many, ...Array.from({ length: 20_000 }, () => '.wh.d')]]);
    expect(process.cpuUsage(start).user).toBeLessThan(10_000_000);
    expect(Object.keys(show(stack)).length).toBe(20_001);
  });
});

/**
 * The reference: real files, in two steps a layer. First all whiteouts are applied to what
 * the lower layers left, then the entries are laid over it.
 */
function reference(layers: string[][], at: string): void {
  layers.forEach((layer, index) => {
    for (const path of layer) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      const parent = join(at, dirname(path));
      if (name === '.wh..wh..opq') {
        if (existsSync(parent)) for (const child of readdirSync(parent)) rmSync(join(parent, child), { recursive: true, force: true });
      } else if (name.startsWith('.wh.')) {
        rmSync(join(parent, name.slice(4)), { recursive: true, force: true });
      }
    }
    // What a layer's whiteouts left of directories that nothing mentions stays as it is.
    const made = new Set<string>();
    for (const text of layer) {
      if (text.includes('.wh.')) continue;
      const [path, target] = text.split(/ -> | = /) as [string, string | undefined];
      const full = join(at, path);
      // A lower layer's file in the place of a parent gives way.
      for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) {
        const parent = path.slice(0, end);
        if (!made.has(parent) && lstatSync(join(at, parent), { throwIfNoEntry: false })?.isFile()) rmSync(join(at, parent));
        made.add(parent);
      }
      made.add(path.replace(/\/$/, ''));
      mkdirSync(dirname(full), { recursive: true });
      const present = lstatSync(full, { throwIfNoEntry: false });
      if (path.endsWith('/')) {
        if (present !== undefined && !present.isDirectory()) rmSync(full.replace(/\/$/, ''));
        mkdirSync(full, { recursive: true });
        continue;
      }
      if (text.includes(' = ')) {
        if (full === join(at, target as string)) continue;
        rmSync(full, { recursive: true, force: true });
        linkSync(join(at, target as string), full);
        continue;
      }
      rmSync(full, { recursive: true, force: true });
      if (target !== undefined) symlinkSync(target, full);
      else writeFileSync(full, `layer ${index}`);
    }
  });
}

function showReal(at: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (path: string) => {
    for (const name of readdirSync(join(at, path)).sort()) {
      const inner = path === '' ? name : `${path}/${name}`;
      const stat = lstatSync(join(at, inner));
      if (stat.isDirectory()) {
        found[inner] = 'dir';
        visit(inner);
      } else {
        found[inner] = stat.isSymbolicLink() ? `-> ${readlinkSync(join(at, inner))}` : readFileSync(join(at, inner), 'utf8');
      }
    }
  };
  visit('');
  return found;
}

/**
 * d* are always directories, f* files or links, x* either. Whiteouts come at any place.
 */
const arbDir = fc.array(fc.constantFrom('d', 'e'), { maxLength: 2 }).map((parts) => parts.map((part) => `${part}/`).join(''));
const arbEntries = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(arbDir, fc.constantFrom('f', 'g', 'x', 'y')).map(([d, n]) => [`${d}${n}`]) },
  { weight: 2, arbitrary: arbDir.filter((d) => d !== '').map((d) => [d]) },
  { weight: 2, arbitrary: fc.tuple(arbDir, fc.constantFrom('x', 'y'), fc.constantFrom('f', 'g')).map(([d, x, n]) => [`${d}${x}/`, `${d}${x}/${n}`]) },
  { weight: 1, arbitrary: fc.tuple(arbDir, fc.constantFrom('x', 'y'), fc.constantFrom('f', 'g')).map(([d, x, n]) => [`${d}${x}/${n}`]) },
  { weight: 1, arbitrary: fc.tuple(arbDir, fc.constantFrom('f', 'g'), fc.constantFrom('f', '../f')).map(([d, n, t]) => [`${d}${n} -> ${t}`]) },
  { weight: 1, arbitrary: fc.tuple(arbDir, fc.constantFrom('f', 'g'), fc.constantFrom('g', 'x')).map(([d, t, n]) => [`${d}${t}`, `${d}${n} = ${d}${t}`]) },
);
const arbWhiteout = fc.oneof(
  fc.tuple(arbDir, fc.constantFrom('d', 'e', 'f', 'g', 'x', 'y')).map(([d, n]) => `${d}.wh.${n}`),
  arbDir.map((d) => `${d}.wh..wh..opq`),
  fc.tuple(arbDir, fc.constantFrom('x', 'y'), fc.constantFrom('f', '.wh..opq')).map(([d, x, n]) => `${d}${x}/.wh.${n}`),
);
const arbLayer = fc
  .tuple(fc.array(arbEntries, { maxLength: 6 }), fc.array(fc.tuple(arbWhiteout, fc.nat(20)), { maxLength: 4 }))
  .map(([groups, whiteouts]) => {
    const layer = groups.flat();
    for (const [path, at] of whiteouts) layer.splice(at % (layer.length + 1), 0, path);
    return layer;
  });

describe('against real files', () => {
  it('random layers give what whiteouts first, entries second gives', () => {
    let compared = 0;
    fc.assert(
      fc.property(fc.array(arbLayer, { minLength: 1, maxLength: 4 }), (layers) => {
        const at = mkdtempSync(join(folder, 'ref-'));
        let wanted: Record<string, string> | undefined;
        try {
          reference(layers, at);
          wanted = showReal(at);
        } catch (error) {
          // A link to something replaced meanwhile: the layer is inconsistent.
          if (!/ENOENT|ENOTDIR|EPERM|EEXIST/.test(String(error))) throw error;
        } finally {
          rmSync(at, { recursive: true });
        }
        fc.pre(wanted !== undefined);
        compared++;
        expect(show(build(layers))).toEqual(wanted);
      }),
      { numRuns: process.env['VMM_LONG'] ? 10_000 : 400 },
    );
    expect(compared).toBeGreaterThan(100);
  });
});

describe('host files', () => {
  it('no layer, however hostile, touches the host', () => {
    const guarded = mkdtempSync(join(folder, 'guard-'));
    writeFileSync(join(guarded, 'victim'), 'untouched');
    const before = execFileSync('ls', ['-lanR', guarded]).toString();
    const paths: ByteString[] = [`${guarded}/victim`, `..${guarded}/victim`, `l -> ${guarded}`, 'l/victim', `.wh.${guarded.slice(1)}`, `h = ${guarded}/victim`, `${guarded}/.wh.victim`];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...paths), { maxLength: 5 }), (layer) => {
        try {
          build([layer]);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^IMAGE_/);
        }
      }),
      { numRuns: 300 },
    );
    expect(execFileSync('ls', ['-lanR', guarded]).toString()).toBe(before);
  });
});


import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll } from 'vitest';
import {
  type ByteString,
  bytesOf,
  contentFromBytes,
  type DirNode,
  ErofsImage,
  makeDir,
  type NodeMeta,
  readContent,
  type TreeNode,
  walk,
} from '../../../image/index.ts';
import type { FileContent } from '../../../image/tree/content.ts';
import { countLinks } from '../../../image/tree/node.ts';

/** A folder that is removed when the test file ends. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-image-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One name of a tree, in a form that all sources can give. */
export interface Line {
  path: string;
  type: string;
  mode: number;
  uid: number;
  gid: number;
  mtime: string;
  nlink: number;
  xattrs: Record<string, string>;
  /** Size and SHA-256 of files, target of symbolic links, device number. */
  data: string;
  /** The first name of the same inode. */
  first: string;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function fileData(size: number, bytes: Uint8Array): string {
  return `${size} ${sha256(bytes)}`;
}

function contentBytes(content: FileContent): Buffer {
  const bytes = Buffer.alloc(content.size);
  readContent(content, bytes, 0);
  return bytes;
}

/** Directory link counts as a file system reports them: two and one for each subdirectory. */
function linkCount(node: TreeNode, links: Map<TreeNode, number>): number {
  if (node.type !== 'dir') return links.get(node) as number;
  return 2 + [...node.children.values()].filter((child) => child.type === 'dir').length;
}

export function describeTree(root: DirNode): Line[] {
  const links = countLinks(root);
  const first = new Map<TreeNode, string>();
  return [...walk(root)].map(({ path, node }) => {
    if (!first.has(node)) first.set(node, path);
    return {
      path,
      type: node.type,
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      mtime: `${node.mtimeSec}.${node.mtimeNsec}`,
      nlink: linkCount(node, links),
      xattrs: hexXattrs(node.xattrs),
      data: nodeData(node),
      first: first.get(node) as string,
    };
  });
}

function nodeData(node: TreeNode): string {
  switch (node.type) {
    case 'file':
      return fileData(node.content.size, contentBytes(node.content));
    case 'symlink':
      return node.target;
    case 'char':
    case 'block':
      return `${node.devMajor}:${node.devMinor}`;
    default:
      return '';
  }
}

function hexXattrs(xattrs: ReadonlyMap<string, Uint8Array> | undefined): Record<string, string> {
  const names = [...(xattrs?.keys() ?? [])].sort();
  return Object.fromEntries(names.map((name) => [name, Buffer.from(xattrs?.get(name) as Uint8Array).toString('hex')]));
}

/** What our own reader finds in an image, in the walk's order. */
export function describeImage(path: string): Line[] {
  const image = new ErofsImage(path);
  try {
    const lines: Line[] = [];
    const first = new Map<number, string>();
    const visit = (at: string) => {
      const stat = image.stat({ bytes: at }, { follow: false });
      if (stat === undefined) throw new Error(`lookup of ${JSON.stringify(at)} fails`);
      if (!first.has(stat.nid)) first.set(stat.nid, at);
      let data = '';
      if (stat.type === 'file') data = fileData(stat.size, image.readRange(stat.nid, 0, stat.size));
      if (stat.type === 'symlink') data = image.readLink({ bytes: at });
      if (stat.type === 'char' || stat.type === 'block') data = `${stat.devMajor}:${stat.devMinor}`;
      lines.push({
        path: at,
        type: stat.type,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        mtime: `${stat.mtimeSec}.${stat.mtimeNsec}`,
        nlink: stat.nlink,
        xattrs: hexXattrs(stat.xattrs),
        data,
        first: first.get(stat.nid) as string,
      });
      if (stat.type === 'dir') {
        for (const { name } of image.list({ bytes: at })) visit(at === '' ? name : `${at}/${name}`);
      }
    };
    visit('');
    return lines;
  } finally {
    image.close();
  }
}

/** Walks a directory through the kernel; Node cannot read attributes, Python can. */
const WALK = `
import os, sys, json, stat, hashlib
root = os.fsencode(sys.argv[1]); first = {}; out = []
kinds = {stat.S_IFREG:'file',stat.S_IFDIR:'dir',stat.S_IFLNK:'symlink',stat.S_IFCHR:'char',stat.S_IFBLK:'block',stat.S_IFIFO:'fifo',stat.S_IFSOCK:'socket'}
def visit(path):
    full = os.path.join(root, path) if path else root
    s = os.lstat(full); kind = kinds[stat.S_IFMT(s.st_mode)]; name = path.decode('latin-1')
    data = ''
    if kind == 'file':
        h = hashlib.sha256(); n = 0
        with open(full, 'rb') as f:
            while True:
                b = f.read(1 << 20)
                if not b: break
                n += len(b); h.update(b)
        data = '%d %s' % (n, h.hexdigest())
        assert n == s.st_size
    elif kind == 'symlink': data = os.readlink(full).decode('latin-1')
    elif kind in ('char', 'block'): data = '%d:%d' % (os.major(s.st_rdev), os.minor(s.st_rdev))
    xattrs = {}
    try: names = os.listxattr(full, follow_symlinks=False)
    except OSError: names = []
    for n in sorted(names, key=os.fsencode):
        xattrs[os.fsencode(n).decode('latin-1')] = os.getxattr(full, os.fsencode(n), follow_symlinks=False).hex()
    first.setdefault((s.st_dev, s.st_ino), name)
    out.append(dict(path=name, type=kind, mode=stat.S_IMODE(s.st_mode), uid=s.st_uid, gid=s.st_gid,
        mtime='%d.%d' % divmod(s.st_mtime_ns, 10**9), nlink=s.st_nlink, xattrs=xattrs, data=data, first=first[(s.st_dev, s.st_ino)]))
    if kind == 'dir':
        for n in sorted(os.listdir(full)): visit(os.path.join(path, n) if path else n)
sys.setrecursionlimit(10000)
visit(b'')
json.dump(out, sys.stdout)
`;

/** What the kernel shows below a directory. Link counts of directories depend on the file system. */
export function describeDirectory(path: string): Line[] {
  return JSON.parse(execFileSync('python3', ['-c', WALK, path], { maxBuffer: 1 << 30 }).toString()) as Line[];
}

export function hasTool(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** Mounting needs root, loop devices and Linux's EROFS. */
export const canMount = process.getuid?.() === 0 && hasTool('mount') && hasTool('python3') && tryMount();

function tryMount(): boolean {
  const found = spawnSync('sh', ['-c', 'grep -qw erofs /proc/filesystems || modprobe erofs; losetup -f']);
  return found.status === 0;
}

/** Mounts an image through a loop device while `use` runs. */
export function mounted<T>(image: string, folder: string, use: (at: string) => T): T {
  const at = mkdtempSync(join(folder, 'mnt-'));
  execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, at]);
  try {
    return use(at);
  } finally {
    execFileSync('umount', [at]);
  }
}

/** Debian's checker; throws with its output when it finds fault. */
export function fsck(image: string): void {
  const run = spawnSync('fsck.erofs', [image], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`fsck.erofs: ${run.stdout}${run.stderr}`);
}

export const META: NodeMeta = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 1_700_000_000, mtimeNsec: 0, xattrs: undefined };

export function file(bytes: Uint8Array | string, meta: Partial<NodeMeta> = {}): TreeNode {
  const content = contentFromBytes(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
  return { type: 'file', ...META, ...meta, content };
}

export function dir(children: Record<ByteString, TreeNode> = {}, meta: Partial<NodeMeta> = {}): DirNode {
  const node = makeDir({ ...META, mode: 0o755, ...meta });
  for (const [name, child] of Object.entries(children)) node.children.set(name, child);
  return node;
}

export function symlink(target: ByteString, meta: Partial<NodeMeta> = {}): TreeNode {
  return { type: 'symlink', ...META, mode: 0o777, ...meta, target };
}

/** Bytes that differ from block to block. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

const byteNames = fc
  .oneof(
    { weight: 3, arbitrary: fc.stringMatching(/^[a-z!~.-]{1,8}$/) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 255 }).map((b) => Buffer.from(b).toString('latin1')) },
    { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 20 }).map((s) => Buffer.from(s).toString('latin1').slice(0, 255)) },
  )
  .filter((name) => name !== '.' && name !== '..' && !/[/\0]/.test(name));

/** A name of 1..255 bytes that is neither "." nor ".."; whiteout names are possible. */
export const arbName: fc.Arbitrary<ByteString> = byteNames;

const arbXattrs = fc
  .dictionary(
    fc.constantFrom('user.a', 'user.longer.name', 'trusted.t', 'security.x', 'user.\u00e9\u00ff'),
    fc.uint8Array({ maxLength: 40 }),
    { maxKeys: 3 },
  )
  .map((record) => (Object.keys(record).length === 0 ? undefined : new Map(Object.entries(record))));

export const arbMeta: fc.Arbitrary<NodeMeta> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.constantFrom(0, 1000, 65535, 65536, 0xfffffffe), fc.nat(0xfffffffe)),
  gid: fc.oneof(fc.constantFrom(0, 1000, 65535), fc.nat(0xfffffffe)),
  mtimeSec: fc.oneof(fc.constant(1_700_000_000), fc.integer({ min: -(2 ** 31), max: 2 ** 33 })),
  mtimeNsec: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  xattrs: arbXattrs,
});

/** Metadata for inodes where Linux refuses user.* attributes (xattr(7)). */
const arbSpecialMeta = arbMeta.map((meta) => {
  const kept = [...(meta.xattrs ?? [])].filter(([name]) => !name.startsWith('user.'));
  return { ...meta, xattrs: kept.length === 0 ? undefined : new Map(kept) };
});

const arbSize = fc.oneof(fc.nat(200), fc.constantFrom(0, 1, 4095, 4096, 4097, 8192, 1024, 1025, 70000), fc.nat(20000));

const arbContent: fc.Arbitrary<FileContent> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(arbSize, fc.nat()).map(([size, seed]) => contentFromBytes(pattern(size, seed))) },
  { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(60000), fc.integer({ min: 1, max: 9000 })), { maxLength: 4 }).map(sparseContent) },
);

/** Gaps and stretches of data in turn, ending in a hole. */
function sparseContent(parts: [number, number][]): FileContent {
  const extents: { fileOffset: number; length: number; source: FileContent['extents'][number]['source']; sourceOffset: number }[] = [];
  let at = 0;
  for (const [gap, length] of parts) {
    at += gap;
    const [extent] = contentFromBytes(pattern(length, at)).extents;
    if (extent !== undefined) extents.push({ ...extent, fileOffset: at });
    at += length;
  }
  return { size: at + 5000, extents };
}

const arbLeaf: fc.Arbitrary<TreeNode> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(arbMeta, arbContent).map(([meta, content]): TreeNode => ({ type: 'file', ...meta, content })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(arbSpecialMeta, fc.oneof(fc.stringMatching(/^[a-z./]{1,30}$/), fc.integer({ min: 1, max: 4095 }).map((n) => 'x'.repeat(n))))
      .map(([meta, target]): TreeNode => ({ type: 'symlink', ...meta, target })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(arbSpecialMeta, fc.constantFrom('char' as const, 'block' as const), fc.nat(0xfff), fc.nat(0xfffff))
      .map(([meta, type, devMajor, devMinor]): TreeNode => ({ type, ...meta, devMajor, devMinor })),
  },
  { weight: 1, arbitrary: arbSpecialMeta.map((meta): TreeNode => ({ type: 'fifo', ...meta })) },
);

/** Random trees with hard links: some leaves appear under further names. */
export const arbTree: fc.Arbitrary<DirNode> = fc
  .tuple(
    arbMeta,
    fc.array(fc.tuple(fc.array(arbName, { minLength: 1, maxLength: 4 }), fc.option(arbLeaf), arbMeta), { maxLength: 25 }),
    fc.array(fc.tuple(fc.nat(), fc.array(arbName, { minLength: 1, maxLength: 3 })), { maxLength: 4 }),
  )
  .map(([meta, entries, links]) => {
    const root = makeDir(meta);
    const leaves: TreeNode[] = [];
    const place = (path: ByteString[], node: TreeNode, dirMeta: NodeMeta): boolean => {
      let at = root;
      for (const name of path.slice(0, -1)) {
        const next = at.children.get(name) ?? makeDir(dirMeta);
        if (next.type !== 'dir') return false;
        at.children.set(name, next);
        at = next;
      }
      const name = path[path.length - 1] as ByteString;
      if (at.children.has(name)) return false;
      at.children.set(name, node);
      return true;
    };
    for (const [path, leaf, dirMeta] of entries) {
      const node = leaf ?? makeDir(dirMeta);
      if (place(path, node, dirMeta) && node.type !== 'dir') leaves.push(node);
    }
    for (const [pick, path] of links) {
      const leaf = leaves[pick % Math.max(1, leaves.length)];
      if (leaf !== undefined) place(path, leaf, meta);
    }
    return root;
  });

/** All chunks of a generator, copied: some reuse their buffer. */
export function collect(chunks: Iterable<Uint8Array>): Buffer {
  const parts: Buffer[] = [];
  for (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

export async function* stream(bytes: Uint8Array, chunk = 65536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
}

export { bytesOf };

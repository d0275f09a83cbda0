import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { buildRootfs, type BuildOptions, chainIdOf, type DirNode, ErofsImage, tarFromTree, treeFromDirectory, writeErofs } from '../../../image/index.ts';
import { canMount, collect, describeImage, describeTree, dir, file, hasTool, pattern, scratch, sha256, stream, symlink } from './support.ts';

const folder = scratch();
const OUT = join(folder, 'out.erofs');
const code = (wanted: string) => expect.objectContaining({ code: wanted });
let counter = 0;

function saved(bytes: Uint8Array): { path: string } {
  const path = join(folder, `layer-${counter++}`);
  writeFileSync(path, bytes);
  return { path };
}

function layer(tree: DirNode): { name: string; data: { path: string }; bytes: Buffer } {
  const bytes = collect(tarFromTree(tree));
  return { name: `layer ${counter}`, data: saved(bytes), bytes };
}

const build = (layers: BuildOptions['layers'], more: Partial<BuildOptions> = {}) => buildRootfs({ layers, out: OUT, fsync: false, ...more });

const BASE = dir({ etc: dir({ passwd: file('root'), old: file('old') }), big: file(Buffer.concat([pattern(200_000), Buffer.alloc(300_000), pattern(5000)])), l: symlink('big') });
const UPPER = dir({ etc: dir({ '.wh.old': file(''), passwd: file('root and more') }) });

describe('buildRootfs', () => {
  it('flattens layers into one image', async () => {
    const result = await build([layer(BASE), layer(UPPER)]);
    const image = new ErofsImage(OUT);
    expect(image.readFile('/etc/passwd').toString()).toBe('root and more');
    expect(image.stat('/etc/old')).toBeUndefined();
    expect(image.readFile('/l').length).toBe(505_000);
    image.close();
    expect(result.sha256).toBe(sha256(readFileSync(OUT)));
    expect(result.size).toBe(statSync(OUT).size);
    expect(result.inodes).toBe(5);
  });

  it('gives the same bytes for one layer stored plain, as a range, as a stream, and in every compression', async () => {
    const { bytes, data } = layer(BASE);
    const wanted = await build([{ name: 'plain', data }]);
    const sources = [
      { path: saved(Buffer.concat([pattern(777), bytes, pattern(99)])).path, offset: 777, length: bytes.length },
      stream(bytes, 1000),
      stream(gzipSync(bytes), 100),
      saved(gzipSync(bytes)),
      ...['zstd', 'xz'].filter(hasTool).map((tool) => saved(execFileSync(tool, ['-c'], { input: bytes }))),
    ];
    for (const source of sources) expect(await build([{ name: 'other', data: source }])).toEqual(wanted);
    expect(wanted.diffIds).toEqual([`sha256:${sha256(bytes)}`]);
  });

  it('long runs of zeros become holes, short ones stay', async () => {
    await build([layer(BASE)]);
    const image = new ErofsImage(OUT);
    expect(image.storedRanges(image.stat('/big')?.nid as number)).toEqual([
      { start: 0, end: 200_704 },
      { start: 499_712, end: 505_000 },
    ]);
    image.close();
  });

  it('the chain ID follows the OCI rule', async () => {
    const [a, b] = [layer(BASE), layer(UPPER)];
    const { diffIds, chainId } = await build([a, b]);
    expect(diffIds).toEqual([a, b].map(({ bytes }) => `sha256:${sha256(bytes)}`));
    expect(chainId).toBe(`sha256:${createHash('sha256').update(`${diffIds[0]} ${diffIds[1]}`).digest('hex')}`);
    expect(chainIdOf([diffIds[0] as string])).toBe(diffIds[0]);
    expect(chainIdOf([])).toBe('');
  });

  it('no layers give an empty root', async () => {
    expect((await build([])).inodes).toBe(1);
    expect(describeImage(OUT).length).toBe(1);
  });

  it('right digests pass, wrong ones are refused and leave no image', async () => {
    const { bytes, name } = layer(BASE);
    const packed = gzipSync(bytes);
    const digest = `sha256:${sha256(packed)}`;
    const sha512 = `sha512:${createHash('sha512').update(packed).digest('hex')}`;
    const diffId = `sha256:${sha256(bytes)}`;
    const out = join(folder, 'never.erofs');
    await build([{ name, data: saved(packed), digest, diffId }]);
    await build([{ name, data: saved(packed), digest: sha512 }]);
    for (const wrong of [{ digest: diffId }, { diffId: digest }, { digest: 'md5:1' }, { digest: 'sha256:XYZ' }]) {
      await expect(build([{ name, data: saved(packed), ...wrong }], { out })).rejects.toEqual(code('IMAGE_DIGEST'));
    }
    expect(readdirSync(folder).filter((entry) => /never|spool/.test(entry))).toEqual([]);
  });

  it('a damaged layer is reported with its name, and the digest before the damage', async () => {
    const { bytes } = layer(BASE);
    const cut = bytes.subarray(0, 5000);
    await expect(build([{ name: 'sha256:abc', data: saved(cut) }])).rejects.toThrow(/^layer sha256:abc: the archive ends early/);
    await expect(build([{ name: 'x', data: saved(cut), diffId: `sha256:${sha256(bytes)}` }])).rejects.toEqual(code('IMAGE_DIGEST'));
  });

  it('a missing file, a folder and a range beyond the end are refused', async () => {
    for (const data of [{ path: join(folder, 'nothing') }, { path: folder }, { path: OUT, offset: 0, length: 2 ** 40 }]) {
      await expect(build([{ name: 'x', data }], { out: join(folder, 'y') })).rejects.toEqual(code('IMAGE_OPEN'));
    }
  });

  it('a layer file that changes before the image is complete gives no image', async () => {
    const source = layer(BASE);
    const out = join(folder, 'changed.erofs');
    await expect(build([source], { out, adjust: () => appendFileSync(source.data.path, 'x') })).rejects.toEqual(code('IMAGE_SOURCE_CHANGED'));
    const other = layer(BASE);
    await expect(build([other], { out, adjust: () => truncateSync(other.data.path, 1000) })).rejects.toEqual(code('IMAGE_SOURCE_CHANGED'));
    expect(readdirSync(folder).filter((entry) => entry.startsWith('changed'))).toEqual([]);
  });

  it('adjust may add files', async () => {
    await build([layer(BASE)], { adjust: (tree) => tree.children.set('added', file('by us')) });
    const image = new ErofsImage(OUT);
    expect(image.readFile('added').toString()).toBe('by us');
    image.close();
  });

  it('limits reach every part', async () => {
    const source = layer(BASE);
    await expect(build([source], { limits: { maxEntries: 2 } })).rejects.toEqual(code('IMAGE_LIMIT'));
    await expect(build([source], { limits: { maxTotalBytes: 100_000 } })).rejects.toEqual(code('IMAGE_LIMIT'));
  });

  it('an abort ends it with its reason and leaves no file', async () => {
    const controller = new AbortController();
    const out = join(folder, 'aborted.erofs');
    const going = build([layer(BASE)], { out, signal: controller.signal, adjust: () => controller.abort(new Error('enough')) });
    await expect(going).rejects.toThrow('enough');
    expect(readdirSync(folder).filter((entry) => entry.startsWith('aborted'))).toEqual([]);
  });

  it('a folder that cannot be written is said', async () => {
    await expect(build([layer(BASE)], { out: join(folder, 'no', 'such', 'folder') })).rejects.toEqual(code('IMAGE_WRITE'));
  });
});

describe('treeFromDirectory', () => {
  const source = join(folder, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'sub', 'file'), pattern(9000));
  execFileSync('ln', [join(source, 'sub', 'file'), join(source, 'hard')]);
  symlinkSync('sub/file', join(source, 'soft'));
  execFileSync('sh', ['-c', `printf x > "${source}/$(printf 'b\\377d')"`]);
  execFileSync('touch', ['-d', '@-3.5', join(source, 'sub')]);

  it('has names, links, times and data of the directory', () => {
    const { tree } = treeFromDirectory(source);
    expect([...tree.children.keys()].sort()).toEqual(['b\xffd', 'hard', 'soft', 'sub']);
    const sub = tree.children.get('sub') as DirNode;
    expect(sub.children.get('file')).toBe(tree.children.get('hard'));
    expect(sub).toMatchObject({ mtimeSec: -4, mtimeNsec: 500_000_000 });
    writeErofs(tree, OUT);
    expect(describeImage(OUT)).toEqual(describeTree(tree));
  });

  it('leaves the directory as it was', () => {
    const look = () => execFileSync('find', [source, '-printf', '%p %T@ %C@ %s %m %n\n']).toString();
    const before = look();
    writeErofs(treeFromDirectory(source).tree, OUT);
    expect(look()).toBe(before);
  });

  it('finds holes without help of the host', () => {
    const holes = join(folder, 'holes');
    mkdirSync(holes);
    execFileSync('truncate', ['-s', '2M', join(holes, 'f')]);
    const script = 'import sys\nf=open(sys.argv[1],"r+b")\nf.seek(1000000)\nf.write(b"x"*5000)';
    execFileSync('python3', ['-c', script, join(holes, 'f')]);
    const node = treeFromDirectory(holes).tree.children.get('f');
    expect(node?.type === 'file' && node.content.extents.map((e) => [e.fileOffset, e.length])).toEqual([[999_424, 8192]]);
    expect(writeErofs(treeFromDirectory(holes).tree, OUT).size).toBeLessThan(65536);
  });

  it('skips sockets and says so', async () => {
    const place = join(folder, 'sockets');
    mkdirSync(place);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(place, 's'), resolve));
    const { tree, skipped, skippedCount } = treeFromDirectory(place);
    server.close();
    expect(tree.children.size).toBe(0);
    expect(skipped).toEqual([{ path: 's', reason: 'socket' }]);
    expect(skippedCount).toBe(1);
  });

  it.runIf(canMount)('keeps mount points, but empty, unless told to cross them', () => {
    const place = join(folder, 'mounts');
    mkdirSync(join(place, 'm'), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'none', join(place, 'm')]);
    try {
      writeFileSync(join(place, 'm', 'inside'), 'x');
      const { tree, skipped } = treeFromDirectory(place);
      expect((tree.children.get('m') as DirNode).children.size).toBe(0);
      expect(skipped).toEqual([{ path: 'm', reason: 'mount point' }]);
      const crossed = treeFromDirectory(place, { crossMounts: true }).tree;
      expect((crossed.children.get('m') as DirNode).children.has('inside')).toBe(true);
    } finally {
      execFileSync('umount', [join(place, 'm')]);
    }
  });

  it('gives every file one owner when told', () => {
    const { tree } = treeFromDirectory(source, { owner: { uid: 0, gid: 7 } });
    expect(describeTree(tree).every((line) => line.uid === 0 && line.gid === 7)).toBe(true);
  });

  it('drops attributes that EROFS cannot hold, and says so', () => {
    const readXattrs = () => new Map([['user.a', Buffer.from('b')], ['btrfs.compression', Buffer.from('zstd')]]);
    const { tree, skippedCount } = treeFromDirectory(join(source, 'sub'), { host: { readXattrs } });
    expect(tree.xattrs).toEqual(new Map([['user.a', Buffer.from('b')]]));
    expect(skippedCount).toBe(2);
  });

  it('a file that changes between walk and copy is an error, not a mixture', () => {
    const place = join(folder, 'changing');
    mkdirSync(place);
    for (const change of [() => appendFileSync(join(place, 'f'), 'x'), () => truncateSync(join(place, 'f'), 10), () => execFileSync('sh', ['-c', `rm ${place}/f && mkfifo ${place}/f`])]) {
      execFileSync('rm', ['-f', join(place, 'f')]);
      writeFileSync(join(place, 'f'), pattern(10_000));
      const { tree } = treeFromDirectory(place);
      change();
      expect(() => writeErofs(tree, OUT)).toThrow(code('IMAGE_SOURCE_CHANGED'));
    }
    writeFileSync(join(place, 'g'), 'x');
    const { tree } = treeFromDirectory(place);
    execFileSync('rm', [join(place, 'g')]);
    expect(() => writeErofs(tree, OUT)).toThrow(code('IMAGE_DIR_READ'));
  });

  it('a missing directory and a file are refused with their path', () => {
    expect(() => treeFromDirectory(join(folder, 'absent'))).toThrow(/absent.*ENOENT/);
    expect(() => treeFromDirectory(join(source, 'hard'))).toThrow(code('IMAGE_DIR_READ'));
    expect(() => treeFromDirectory(source, { maxEntries: 2 })).toThrow(code('IMAGE_LIMIT'));
  });

  it('the fingerprint changes with any file, and only then', () => {
    const before = treeFromDirectory(source).fingerprint;
    expect(treeFromDirectory(`${source}/`).fingerprint).toBe(before);
    writeFileSync(join(source, 'sub', 'file'), pattern(9000, 2));
    expect(treeFromDirectory(source).fingerprint).not.toBe(before);
  });

  it('device numbers above eight bits are split as Linux does', () => {
    if (process.getuid?.() !== 0) return;
    const place = join(folder, 'devices');
    mkdirSync(place);
    execFileSync('mknod', [join(place, 'd'), 'b', '259', '70000']);
    expect(treeFromDirectory(place).tree.children.get('d')).toMatchObject({ type: 'block', devMajor: 259, devMinor: 70000 });
  });
});


/** Named volumes: filled from an image, in use, removed; whatever ends the process, and whatever else lies there. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { createVolume, isVolumeUsed, pruneVolumes, removeVolume } from '../../../image/volumes/change.ts';
import { findVolume, listVolumes } from '../../../image/volumes/folder.ts';
import { openVolume } from '../../../image/volumes/use.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { readXattrs, setXattr } from '../../../vmm/host/sys.ts';
import { Watched } from '../../support/watched.ts';
import { ended, FAULTS, NO_FFI, storeProgram } from './store-program.ts';
import { scratch, sha256 } from './support.ts';

const FOLDER = scratch();
const { program } = storeProgram(FOLDER);
const ROOT = process.getuid?.() === 0;
const newPath = (name: string): string => join(mkdtempSync(join(FOLDER, 'x-')), name);
const storeAt = (at: string): ImageStore => new ImageStore(storePaths({ VMM_STORE: at }), hostFs);
const newStore = (): ImageStore => storeAt(newPath('store'));
const volumesOf = (store: ImageStore): string[] => readdirSync(join(store.paths.root, 'volumes')).sort();

/** A root file system with a directory of everything at /data, and a link /link to it. */
function everything(): string {
  const root = newPath('root');
  const script = `mkdir -p "$1/data/sub/deep" "$1/data/empty" "$1/other"; cd "$1/data"
    echo text > file; ln file sub/hard; ln -s ../file sub/soft; ln -s /nowhere dangling; chmod 4751 file
    truncate -s 3M sparse; printf x | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
    head -c 300000 /dev/urandom > big; : > zero; printf n > "$(printf 'a\\377b')"; mkfifo pipe; chmod 1777 empty; chmod 700 sub/deep; chmod 0444 zero
    if [ "$(id -u)" = 0 ]; then mknod null c 1 3; mknod disk b 7 300; chown -h 1000:2000 file sub sub/soft empty pipe; chown 33:33 .; fi
    chmod 750 .; find . -exec touch -h -d '2001-02-03 04:05:06.75' {} +; ln -s /data "$1/link"; ln -s data/sub "$1/rel"`;
  execFileSync('sh', ['-c', script, 'sh', root]);
  for (const name of ['file', 'sub']) setXattr(join(root, 'data', name), 'user.note', Buffer.from(`of ${name}`));
  if (ROOT) setXattr(join(root, 'data', 'big'), 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  execFileSync('touch', ['-d', '2001-02-03 04:05:06.75', join(root, 'data')]);
  return root;
}

/** What find(1) says of a tree, and the digest of what GNU tar makes of it: names, kinds, modes, owners, times, links, attributes, contents. */
function described(at: string): string {
  const listing = execFileSync('sh', ['-c', `cd "$1"; find . -printf '%P|%y|%m|%U:%G|%n|%l|%T@\n' | LC_ALL=C sort`, 'sh', at], { encoding: 'latin1' });
  const tar = execFileSync('tar', ['-C', at, '--format=pax', '--pax-option=delete=atime,delete=ctime,exthdr.name=%f', '--sort=name', '--xattrs', '--xattrs-include=*', '-cf', '-', '.'], { maxBuffer: 1 << 26 });
  return `${listing}${sha256(tar)}`;
}

/** An image of it. */
async function diskOf(root: string): Promise<string> {
  const store = newStore();
  const archive = newPath('root.tar');
  execFileSync('tar', ['-C', root, '--xattrs', '--xattrs-include=*', '-cf', archive, '.']);
  const { record } = await importImage(archive, { store, host: hostFs });
  return store.rootfsPath(record.rootfs);
}

describe.skipIf(!ROOT)('filling, as root', () => {
  const root = everything();

  it.each(['/data', '/link', '/link/', '/../data/.'])('an empty volume at %s gets all that the image has there', async (path) => {
    const store = newStore();
    const disk = await diskOf(root);
    using volume = await openVolume(store, { name: 'vol', from: { disk, path } });
    expect(described(volume.path)).toBe(described(join(root, 'data')));
    expect(statSync(join(volume.path, 'sparse')).blocks * 512).toBeLessThan(100_000);
    expect(volumesOf(store)).toEqual(['vol']);
    expect(readdirSync(join(store.paths.root, 'volumes', 'vol')).sort()).toEqual(['_data', 'volume.json']);
  });

  it('links inside the image are followed inside it, and what is no directory is not copied', async () => {
    const disk = await diskOf(root);
    const filled = async (path: string): Promise<string[]> => {
      using volume = await openVolume(newStore(), { name: 'vol', from: { disk, path } });
      return readdirSync(volume.path).sort();
    };
    expect(await filled('/rel')).toEqual(['deep', 'hard', 'soft']);
    expect(await filled('/data/file')).toEqual([]);
    expect(await filled('/nothing/at/all')).toEqual([]);
    expect(await filled('/data/sub/soft/x')).toEqual([]);
  });

  it('one with something in it stays as it is; an emptied one is filled again', async () => {
    const store = newStore();
    const disk = await diskOf(root);
    const { path } = await createVolume(store, { name: 'vol' });
    writeFileSync(join(path, 'mine'), 'x');
    (await openVolume(store, { name: 'vol', from: { disk, path: '/data' } })).close();
    expect(readdirSync(path)).toEqual(['mine']);
    rmSync(join(path, 'mine'));
    (await openVolume(store, { name: 'vol' })).close();
    expect(readdirSync(path)).toEqual([]);
    (await openVolume(store, { name: 'vol', from: { disk, path: '/data' } })).close();
    expect(described(path)).toBe(described(join(root, 'data')));
  });

  it('two that begin at once: one fills, both see all of it', async () => {
    const store = newStore();
    const disk = await diskOf(root);
    const runs = Array.from({ length: 4 }, () => program(store, ['volume-use', 'vol', disk, '/data'], { env: { FAULT_DELAY: '20' }, preload: [FAULTS] }));
    for (const { status, err } of await Promise.all(runs.map((run) => ended(run)))) expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(described(findVolume(store.paths, 'vol')?.path as string)).toBe(described(join(root, 'data')));
  });
});

describe.skipIf(!ROOT)('filling, as another user', () => {
  it('owners, modes and device nodes lie beside the files, as fuse-overlayfs has them', async () => {
    const disk = await diskOf(everything());
    const at = newPath('store');
    mkdirSync(at, { mode: 0o777 });
    for (const path of [FOLDER, dirname(at), at, dirname(disk), dirname(dirname(disk)), dirname(dirname(dirname(disk)))]) chmodSync(path, 0o777);
    const { PROGRAM } = storeProgram(FOLDER);
    const path = execFileSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, PROGRAM, 'volume-use', 'vol', disk, '/data'], { env: { PATH: process.env['PATH'], VMM_STORE: at }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
    const written = (name: string): string => Buffer.from(readXattrs(join(path, name)).get('user.containers.override_stat') ?? []).toString();
    const names = ['', 'file', 'sub', 'sub/deep', 'empty', 'pipe', 'null', 'disk', 'zero', 'big'];
    expect(Object.fromEntries(names.map((name) => [name, written(name)]))).toEqual({
      '': '33:33:0750:dir', file: '1000:2000:0751:file', sub: '1000:2000:0755:dir', 'sub/deep': '', empty: '1000:2000:1777:dir', pipe: '1000:2000:0644:pipe',
      null: '0:0:0644:char-1-3', disk: '0:0:0644:block-7-300', zero: '0:0:0444:file', big: '',
    });
    for (const name of names.slice(1)) expect([name, lstatSync(join(path, name)).uid, lstatSync(join(path, name)).mode & 0o600]).toEqual([name, 65534, 0o600]);
    expect(readFileSync(join(path, 'sub', 'hard'), 'utf8')).toBe('text\n');
    await removeVolume(storeAt(at), 'vol');
  });
});

const LONG = process.env['VMM_LONG'] === '1';
/** Every change of a command in test:long; here every third, from a random one on. */
const STEP = LONG ? 1 : 3;
const FIRST = 1 + Math.floor(Math.random() * STEP);

describe('a process that ends in between', () => {
  it.each(['kill', 'ENOSPC'])('%s at each change: a volume is whole, empty or not there, and the next run is like the first', async (fault) => {
    const root = newPath('root');
    mkdirSync(join(root, 'data/sub'), { recursive: true });
    for (const name of ['data/a', 'data/sub/b']) writeFileSync(join(root, name), name);
    const disk = await diskOf(root);
    let done = false;
    for (let at = FIRST; !done; at += STEP) {
      const store = newStore();
      const { status, err } = await ended(program(store, ['volume-use', 'vol', disk, '/data'], { env: { FAULT: fault, FAULT_AT: `${at}` }, preload: [FAULTS] }));
      done = status === 0;
      if (!done && fault === 'ENOSPC') expect(err).toMatch(/^STORE_WRITE cannot write the image store .*: ENOSPC/);
      const found = findVolume(store.paths, 'vol');
      const content = found === undefined ? [] : readdirSync(found.path);
      expect([[], ['a', 'sub']]).toContainEqual(content);
      const again = await ended(program(store, ['volume-use', 'vol', disk, '/data']));
      expect({ status: again.status, err: again.err }).toEqual({ status: 0, err: '' });
      expect(execFileSync('find', ['.', '-type', 'f'], { cwd: again.out, encoding: 'utf8' }).split('\n').sort()).toEqual(['', './a', './sub/b']);
      await removeVolume(store, 'vol');
      await pruneVolumes(store, () => true);
      expect(volumesOf(store)).toEqual([]);
    }
  });

  it('kill at each change of a removal: the volume is whole or not there, and prune clears the rest', async () => {
    let done = false;
    for (let at = FIRST; !done; at += STEP) {
      const store = newStore();
      const { path } = await createVolume(store, { name: 'vol' });
      execFileSync('sh', ['-c', 'cd "$1"; mkdir -p a/b/c d/e; touch a/f a/b/c/g d/e/h', 'sh', path]);
      done = (await ended(program(store, ['volume-rm', 'vol'], { env: { FAULT: 'kill', FAULT_AT: `${at}` }, preload: [FAULTS] }))).status === 0;
      if (findVolume(store.paths, 'vol') !== undefined) expect(execFileSync('find', ['.', '-type', 'f'], { cwd: path, encoding: 'utf8' }).split('\n').sort()).toEqual(['', './a/b/c/g', './a/f', './d/e/h']);
      await pruneVolumes(store, () => true);
      expect(volumesOf(store)).toEqual([]);
    }
  });
});

describe('a volume in use', () => {
  it.each([['by FFI', []], ['by the program flock', [NO_FFI]]] as const)('cannot be removed, %s, until its process ends, by kill -9 too', async (_, preload) => {
    const store = newStore();
    const holders = [program(store, ['volume-use', 'vol', '', '', 'wait'], { preload: [...preload] }), program(store, ['volume-use', 'vol', '', '', 'wait'], { preload: [...preload] })];
    await Promise.all(holders.map((holder) => new Watched(holder).until('\n', 'stdout')));
    expect(await isVolumeUsed(store, 'vol')).toBe(true);
    await expect(removeVolume(store, 'vol')).rejects.toMatchObject({ code: 'VOLUME_BUSY', message: 'remove vol: volume is in use' });
    expect((await ended(program(store, ['volume-rm', 'vol'], { preload: [...preload] }))).err).toBe('VOLUME_BUSY remove vol: volume is in use\n');
    expect(await pruneVolumes(store, () => true)).toEqual({ names: [], freed: 0 });
    for (const holder of holders) {
      const gone = once(holder, 'close');
      holder.kill('SIGKILL');
      await gone;
    }
    expect(await isVolumeUsed(store, 'vol')).toBe(false);
    await removeVolume(store, 'vol');
    expect(volumesOf(store)).toEqual([]);
  });
});

describe('what vmm never wrote', () => {
  it('is not followed, not listed, not removed', async () => {
    const store = newStore();
    const victim = newPath('victim');
    mkdirSync(join(victim, '_data'), { recursive: true });
    writeFileSync(join(victim, 'volume.json'), JSON.stringify({ name: 'evil', created: 'x' }));
    writeFileSync(join(victim, '_data', 'keep'), 'x');
    const { path } = await createVolume(store, { name: 'vol' });
    symlinkSync(victim, join(store.paths.root, 'volumes', 'evil'));
    mkdirSync(join(store.paths.root, 'volumes', 'strange'));
    writeFileSync(join(store.paths.root, 'volumes', 'strange', 'x'), 'x');
    expect(listVolumes(store.paths).map(({ record }) => record.name)).toEqual(['vol']);
    await expect(openVolume(store, { name: 'evil' })).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    await expect(openVolume(store, { name: 'strange' })).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    await expect(removeVolume(store, 'evil')).rejects.toMatchObject({ code: 'VOLUME_NOT_FOUND' });
    symlinkSync(victim, join(path, 'link'));
    symlinkSync('/', join(path, 'root'));
    await pruneVolumes(store, () => true);
    expect(readFileSync(join(victim, '_data', 'keep'), 'utf8')).toBe('x');
    expect(volumesOf(store)).toEqual(['evil', 'strange']);
  });

  it('in a volume’s own folder keeps it from being removed', async () => {
    const store = newStore();
    const { path } = await createVolume(store, { name: 'vol' });
    writeFileSync(join(path, '..', 'notes'), 'x');
    await expect(removeVolume(store, 'vol')).rejects.toMatchObject({ code: 'STORE_FOREIGN', message: 'remove vol: "notes" in its folder is not vmm\'s' });
    expect(existsSync(join(path, '..', 'notes'))).toBe(true);
  });

  it('a link in the place of the folder of volumes, or of a volume’s content', async () => {
    const store = newStore();
    const { path } = await createVolume(store, { name: 'vol' });
    const elsewhere = newPath('elsewhere');
    mkdirSync(elsewhere);
    rmSync(path, { recursive: true });
    symlinkSync(elsewhere, path);
    await expect(openVolume(store, { name: 'vol' })).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    const volumes = join(store.paths.root, 'volumes');
    renameSync(volumes, `${volumes}-moved`);
    symlinkSync(elsewhere, volumes);
    await expect(createVolume(store, { name: 'other' })).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    expect(readdirSync(elsewhere)).toEqual([]);
  });
});

describe('removal', () => {
  it('of a tree deeper than any path, of names of 255 bytes, below unsearchable directories, with 64 descriptors', async () => {
    const store = newStore();
    const { path } = await createVolume(store, { name: 'vol' });
    const deep = `import os
os.chdir(${JSON.stringify(path)})
for i in range(3000):
    n = ('d%d' % i).ljust(255, 'x'); os.mkdir(n); open('f', 'w').close(); os.chdir(n)
`;
    execFileSync('python3', ['-c', deep]);
    execFileSync('sh', ['-c', 'cd "$1"; mkdir -p shut/in/side; touch shut/in/x; chmod 0 shut/in shut; touch moved-0 moved-1; printf x > "$(printf "a\\377b")"', 'sh', path]);
    const { status, err } = await ended(program(store, ['volume-rm', 'vol'], { env: { PATH: process.env['PATH'] as string } }));
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(volumesOf(store)).toEqual([]);
  });
});

describe('names', () => {
  it.each([
    ['a', 'volume name is too short, names should be at least two alphanumeric characters: "a"'],
    ['', '"" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['a/b', '"a/b" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['../x', '"../x" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['-x', '"-x" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['.new-0123456789abcdef', '".new-0123456789abcdef" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['a\nb', '"a\\nb" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
  ])('%j: as Docker', async (name, message) => {
    await expect(createVolume(newStore(), { name })).rejects.toMatchObject({ code: 'VOLUME_NAME', message });
  });

  it('a damaged record is no volume, and stays', async () => {
    const store = newStore();
    const { path } = await createVolume(store, { name: 'vol' });
    writeFileSync(join(path, '..', 'volume.json'), '{"name":"other"}');
    expect(listVolumes(store.paths)).toEqual([]);
    await expect(removeVolume(store, 'vol')).rejects.toMatchObject({ code: 'VOLUME_NOT_FOUND' });
    expect(lstatSync(path).isDirectory()).toBe(true);
    chmodSync(path, 0o755);
  });
});

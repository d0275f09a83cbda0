/** What a store must never do: touch what is not its own, lose what somebody counts on. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importImage, resolveImage } from '../../../image/resolve.ts';
import { changeStore, pruneStore, removeImage } from '../../../image/store/change.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { openDisk } from '../../../vmm/devices/disk/open.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { tarOf } from './forms.ts';
import { Watched } from '../../support/watched.ts';
import { ended, expectClean, expectWhole, FAULTS, NO_FFI, type StoreServer, storeProgram } from './store-program.ts';
import { dir, file, pattern, scratch } from './support.ts';

const FOLDER = scratch();
const { program, serve } = storeProgram(FOLDER);
const LONG = process.env['VMM_LONG'] === '1';
/** Longer ago than anything that could be work in progress. */
const OLD = new Date(Date.now() - 3 * 3_600_000);

const newPath = (name: string): string => join(mkdtempSync(join(FOLDER, 'x-')), name);
const storeAt = (at: string): ImageStore => new ImageStore(storePaths({ VMM_STORE: at }), hostFs);

/** Files by path, old ones; a path that ends in "/" is a directory. */
function fill(at: string, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    const path = join(at, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (name.endsWith('/')) continue;
    writeFileSync(path, text);
    utimesSync(path, OLD, OLD);
  }
  return at;
}

/** Everything below a folder: names, types, sizes. */
const listing = (at: string): string => execFileSync('find', [at, '-printf', '%P %y %s %l\n'], { encoding: 'utf8' }).split('\n').sort().join('\n');

function archive(text: string): string {
  const at = newPath('root.tar');
  writeFileSync(at, tarOf(dir({ data: file(text), more: file(pattern(300_000)) })));
  return at;
}

const HEX = 'ab'.repeat(32);

describe('what vmm never wrote', () => {
  it.each<[string, Readonly<Record<string, string>>]>([
    ['a source tree', { 'sources/main.c': 'int main;', 'names/l.txt': 'x', 'images/a.png': 'x', 'tmp/d/keep': 'x' }],
    ['a root file system', { 'bin/sh': 'x', 'etc/passwd': 'x', 'tmp/x': 'x', 'tmp/0123456789abcdef': 'x' }],
    ['one strange file beside a store’s', { [`names/${HEX}`]: 'x', notes: 'x' }],
    ['a strange name among a store’s', { [`rootfs/${HEX}.erofs`]: 'x', 'rootfs/my.erofs': 'x' }],
    ['a folder with a store’s name', { [`names/${HEX}/`]: '' }],
    ['a file where a folder of the store should be', { names: 'x' }],
    ['somebody else’s vmm-store', { 'vmm-store': 'x' }],
    ['a directory vmm-store', { 'vmm-store/x': 'x' }],
  ])('%s is no store: prune, rm and import change nothing', async (_, files) => {
    const at = fill(newPath('p'), files);
    const before = listing(at);
    const store = storeAt(at);
    for (const change of [() => pruneStore(store, true), () => removeImage(store, 'abab'), () => importImage(archive('1'), { store })]) {
      await expect(change()).rejects.toMatchObject({ code: 'STORE_FOREIGN', message: expect.stringContaining('is no image store'), hint: expect.stringContaining('nothing was changed') });
    }
    expect(listing(at)).toBe(before);
  });

  it.each(['rootfs', 'images', 'names', 'sources', 'tmp'] as const)('a link in the place of %s is not followed', async (folder) => {
    const victim = fill(newPath('victim'), { [HEX]: 'x', [`${HEX}.erofs`]: 'x', [`${HEX}.json`]: '{}', '0123456789abcdef': 'x' });
    const before = listing(victim);
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store }, ['kept']);
    rmSync(store.paths[folder], { recursive: true });
    symlinkSync(victim, store.paths[folder]);
    await expect(pruneStore(store, true)).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    await expect(importImage(archive('2'), { store })).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    expect(listing(victim)).toBe(before);
    // An unmarked one is not taken for a store.
    rmSync(join(store.paths.root, 'vmm-store'));
    await expect(pruneStore(store, true)).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
    expect(listing(victim)).toBe(before);
  });

  it('a disk whose lock another program has taken goes not in place', async () => {
    const store = storeAt(newPath('store'));
    const host = await hostFs();
    const taken = new ImageStore(store.paths, async () => ({ ...host, tryLock: (fd, how) => how === 'alone' && host?.tryLock?.(fd, how) !== false }));
    await expect(importImage(archive('1'), { store: taken })).rejects.toMatchObject({ code: 'STORE_LOCK', message: expect.stringContaining(`another program has locked ${store.paths.tmp}/`) });
    expect([readdirSync(store.paths.rootfs), readdirSync(store.paths.tmp), store.list()]).toEqual([[], [], []]);
    await importImage(archive('1'), { store });
    expect(store.list().length).toBe(1);
  });

  it('strangers in a store stay, and are in nobody’s way', async () => {
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store }, ['kept']);
    await importImage(archive('2'), { store });
    const outside = fill(newPath('outside'), { x: 'x' });
    for (const [folder, name] of [['rootfs', `${'cd'.repeat(32)}.erofs`], ['images', `${'cd'.repeat(32)}.json`], ['names', 'cd'.repeat(32)], ['sources', 'cd'.repeat(32)], ['tmp', '0123456789abcdef']] as const) {
      const at = join(store.paths[folder], name);
      mkdirSync(`${at}`);
      fill(at, { keep: 'x' });
      symlinkSync(outside, at.replace('cd', 'ce').replace('0123456789abcdef', 'f123456789abcdef'));
      execFileSync('mkfifo', [at.replace('cd', 'cf').replace('0123456789abcdef', 'e123456789abcdef')]);
      fill(store.paths[folder], { 'note.txt': 'x', 'dir/y': 'x' });
    }
    const strangers = (): string => listing(store.paths.root).split('\n').filter((line) => !/^\S* f (?!1$)/.test(line) && !/\.(erofs|json) f/.test(line) && !/^(names|sources)\/\w{64} f/.test(line)).join('\n');
    const before = strangers();
    expect(store.list().length).toBe(2);
    expect(await pruneStore(store, false)).toBeGreaterThan(300_000);
    expect(store.list().map(({ names }) => names)).toEqual([['kept:latest']]);
    await removeImage(store, 'kept');
    expect(store.list()).toEqual([]);
    expect(strangers()).toBe(before);
    expect(listing(outside)).toContain('x f 1');
    await importImage(archive('3'), { store });
    expect(store.list().length).toBe(1);
  });

  it('a store of before the marker is taken as one, an empty folder becomes one', async () => {
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store }, ['kept']);
    rmSync(join(store.paths.root, 'vmm-store'));
    fill(store.paths.root, { 'rootfs/x': '', [`rootfs/${HEX}.erofs`]: 'left', [`rootfs/${HEX}.erofs.0123456789ab.tmp`]: 'left', 'tmp/.spool-0123456789ab': '', 'tmp/archive-0123456789ab': '', 'lost+found/': '' });
    rmSync(join(store.paths.rootfs, 'x'));
    expect(await pruneStore(store, false)).toBe(8);
    expect(store.list().length).toBe(1);
    expect(lstatSync(join(store.paths.root, 'vmm-store')).isFile()).toBe(true);
    expectClean(store);
    const empty = fill(newPath('empty'), { './': '' });
    expect(await pruneStore(storeAt(empty), true)).toBe(0);
    const nowhere = newPath('nowhere');
    expect(await pruneStore(storeAt(nowhere), true)).toBe(0);
    expect(existsSync(nowhere)).toBe(false);
  });

  it('a store of a later version is read, and changed by nobody', async () => {
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store }, ['kept']);
    const marker = join(store.paths.root, 'vmm-store');
    writeFileSync(marker, readFileSync(marker, 'utf8').replace('version 1', 'version 2'));
    const before = listing(store.paths.root);
    await expect(pruneStore(store, true)).rejects.toMatchObject({ code: 'STORE_VERSION' });
    await expect(removeImage(store, 'kept')).rejects.toMatchObject({ code: 'STORE_VERSION' });
    await expect(importImage(archive('2'), { store })).rejects.toMatchObject({ code: 'STORE_VERSION' });
    await resolveImage('kept', { store });
    expect(listing(store.paths.root)).toBe(before);
  });

  it.each(['/proc/x', '/proc/x/y', '/sys/x', '/dev/null/x'])('VMM_STORE=%s is told at once', async (at) => {
    const result = await ended(program(at, ['import', archive('1')]), 10_000);
    expect(result).toMatchObject({ status: 1, err: expect.stringContaining('STORE_WRITE') });
  });
});

describe.each([['with the FFI library', []], ['without it', [NO_FFI]]] as const)('changes at the same time, %s', (_, preload) => {
  it('prune leaves an image alone that is imported meanwhile', async () => {
    const store = storeAt(newPath('store'));
    for (const text of ['a', 'b', 'c']) await importImage(archive(text), { store });
    const slow = new Watched(program(store, ['prune', 'all'], { preload: [FAULTS, ...preload], env: { FAULT_DELAY: '400', FAULT_SAYS: '1' } }));
    // While it deletes the old ones, one of them is imported again, and a new one.
    await slow.until('waits');
    const results = await Promise.all(['a', 'new'].map((text) => ended(program(store, ['import', archive(text), text], { preload }))));
    expect(await slow.ended).toMatchObject({ status: 0 });
    for (const result of results) expect(result).toMatchObject({ status: 0, err: '' });
    expect(store.find('a')?.id).toBe(results[0]?.out);
    expect(store.find('new')?.id).toBe(results[1]?.out);
    expectWhole(store);
    expectClean(store);
  });

  it('rm leaves a disk alone that an import counts on', async () => {
    const store = storeAt(newPath('store'));
    const source = archive('shared');
    await importImage(source, { store }, ['old']);
    const slow = new Watched(program(store, ['rm', 'old'], { preload: [FAULTS, ...preload], env: { FAULT_DELAY: '400', FAULT_SAYS: '1' } }));
    await slow.until('waits');
    const result = await ended(program(store, ['import', source, 'fresh'], { preload }));
    expect(await slow.ended).toMatchObject({ status: 0 });
    expect(result).toMatchObject({ status: 0, err: '' });
    expect(store.find('fresh')?.id).toBe(result.out);
    expectWhole(store);
    expectClean(store);
  });

  it('an import that is slow to name its image keeps it from prune', async () => {
    const store = storeAt(newPath('store'));
    const slow = ended(program(store, ['import', archive('slow'), 'slow'], { preload: [FAULTS, ...preload], env: { FAULT_DELAY: '300' } }));
    for (let i = 0; i < 4; i++) expect(await ended(program(store, ['prune', 'x'], { preload }))).toMatchObject({ status: 0 });
    expect(await slow).toMatchObject({ status: 0, err: '' });
    expect(store.find('slow')).toBeDefined();
    expectWhole(store);
  });
});

it('a disk that has its name is opened by machines while its importer still writes the record', async () => {
  const store = storeAt(newPath('store'));
  const slow = new Watched(program(store, ['import', archive('slow'), 'slow'], { preload: [FAULTS], env: { FAULT_DELAY: '300' } }));
  const disks = (): string[] => (existsSync(store.paths.rootfs) ? readdirSync(store.paths.rootfs).filter((name) => /^[0-9a-f]{64}\.erofs$/.test(name)) : []);
  await slow.untilTrue('there is a disk', () => disks().length > 0);
  const { fd } = openDisk({ path: join(store.paths.rootfs, disks()[0] as string), readOnly: true, id: 'x' });
  closeSync(fd);
  expect(readdirSync(store.paths.images)).toEqual([]);
  expect((await slow.ended).status).toBe(0);
});

describe('the end at any moment', () => {
  /** How many changes of the file system a command makes. */
  async function changes(store: string, args: readonly string[]): Promise<number> {
    const count = newPath('count');
    const result = await ended(program(store, args, { preload: [FAULTS], env: { FAULT_COUNT: count } }));
    expect(result).toMatchObject({ status: 0 });
    return Number(readFileSync(count, 'utf8'));
  }

  it.each(['kill', 'ENOSPC'])('%s: the store is whole, nothing acknowledged is lost, and prune finds all leavings', async (fault) => {
    const sources = { kept: archive('kept'), other: archive('other') };
    const prepared = async (): Promise<ImageStore> => {
      const store = storeAt(newPath('store'));
      await importImage(sources.kept, { store }, ['kept']);
      await importImage(archive('nameless'), { store });
      return store;
    };
    const commands = [['import', sources.other, 'other'], ['import', sources.kept, 'again'], ['rm', 'kept'], ['prune', 'all'], ['prune', 'x']];
    const tries = LONG ? 100 : 4;
    // A process that is killed is one of its own; what fails is tried by three that live on.
    using servers = new DisposableStack();
    const lanes = Array.from({ length: 3 }, () => (fault === 'kill' ? undefined : servers.use(serve())));
    for (const args of commands) {
      const total = await changes((await prepared()).paths.root, args);
      expect(total).toBeGreaterThan(2);
      const attempt = async (i: number, server: StoreServer | undefined): Promise<void> => {
        const at = 1 + Math.floor(((i + Math.random()) * total) / tries);
        const store = await prepared();
        const env = { FAULT: fault, FAULT_AT: String(at) };
        const result = server === undefined ? await ended(program(store, args, { preload: [FAULTS], env })) : await server.run(store, args, env);
        const what = `${args[0]} ${args[1]} at ${at} of ${total}: ${JSON.stringify(result)}`;
        if (fault === 'kill') expect(result.status, what).toBe(null);
        else if (result.status !== 0) expect(result.err, what).toMatch(/^(STORE|IMAGE)_WRITE [^\n]*\n$/);
        expectWhole(store);
        if (args[0] === 'import') expect(store.find('kept'), what).toBeDefined();
        if (args[0] === 'import' && result.status === 0) expect(store.find(args[2] as string), what).toBeDefined();
        if (args[1] === 'x') expect(store.find('kept'), what).toBeDefined();
        // The next one finds a store that it can work with.
        await pruneStore(store, false);
        expectClean(store);
        expect((await importImage(sources.other, { store }, ['after'])).names, what).toEqual(['after']);
        expectWhole(store);
        rmSync(dirname(store.paths.root), { recursive: true });
      };
      // A few at a time: half of each is to wait for a process.
      const moments = Array.from({ length: tries }, (_, i) => i);
      const lane = async (server: StoreServer | undefined): Promise<void> => {
        for (let i = moments.shift(); i !== undefined; i = moments.shift()) await attempt(i, server);
      };
      await Promise.all(lanes.map(lane));
    }
  }, 7_200_000);

  it('a disk that is full only when it is synced is told as any other', async () => {
    const store = storeAt(newPath('store'));
    const result = await ended(program(store, ['import', archive('1')], { preload: [FAULTS], env: { FAULT: 'ENOSPC', FAULT_CALL: 'fsyncSync', FAULT_AT: '1' } }));
    expect(result).toMatchObject({ status: 1, err: expect.stringMatching(/^IMAGE_WRITE [^\n]*ENOSPC\n$/) });
    expect(store.list()).toEqual([]);
    expect(readdirSync(store.paths.tmp)).toEqual([]);
  });

  it('many processes that import, name, run, remove and prune at once', async () => {
    const store = storeAt(newPath('store'));
    const sources = Array.from({ length: 5 }, (_, i) => archive(`many ${i}`));
    const until = Date.now() + (LONG ? 60_000 : 4000);
    const LEAST = 24;
    const errors: string[] = [];
    let runs = 0;
    const worker = async (): Promise<void> => {
      // By number, too: on a loaded machine a process takes seconds.
      while (Date.now() < until || runs < LEAST) {
        const n = Math.floor(Math.random() * sources.length);
        const source = sources[n] as string;
        const args = [['import', source, `n${n}`], ['import', source], ['resolve', source], ['rm', `n${n}`], ['prune', 'x'], ['prune', 'all'], ['ls']][Math.floor(Math.random() * 7)] as string[];
        const result = await ended(program(store, args));
        runs += 1;
        // Another one may have removed it.
        if (result.status !== 0 && !(args[0] === 'rm' && result.err.startsWith('IMAGE_NOT_FOUND'))) errors.push(`${args.join(' ')}: ${result.err}`);
      }
    };
    await Promise.all(Array.from({ length: LONG ? 12 : 4 }, worker));
    expect(errors).toEqual([]);
    expect(runs).toBeGreaterThanOrEqual(LEAST);
    expectWhole(store);
    await pruneStore(store, false);
    expectClean(store);
  }, 180_000);
});

describe('the lock', () => {
  it('goes with the process that holds it', async () => {
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store }, ['kept']);
    // Killed between two deletions, the lock held.
    expect((await ended(program(store, ['prune', 'all'], { preload: [FAULTS], env: { FAULT: 'kill', FAULT_AT: '2' } }))).status).toBe(null);
    const start = performance.now();
    await pruneStore(store, true);
    expect(performance.now() - start).toBeLessThan(2000);
    expectClean(store);
  });

  it('is needed by nobody who only reads', async () => {
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store }, ['kept']);
    await changeStore(store, async () => {
      expect((await ended(program(store, ['resolve', 'kept']), 10_000)).status).toBe(0);
      expect((await ended(program(store, ['ls']), 10_000)).status).toBe(0);
    });
  });

  it('holds although the store is moved meanwhile: nothing of another folder is touched', async () => {
    const store = storeAt(newPath('store'));
    await importImage(archive('1'), { store });
    const victim = fill(newPath('victim'), { [`names/${HEX}`]: 'x', [`rootfs/${HEX}.erofs`]: 'x', [`images/${HEX}.json`]: 'x', 'tmp/0123456789abcdef': 'x' });
    const before = listing(victim);
    const slow = new Watched(program(store, ['prune', 'all'], { preload: [FAULTS], env: { FAULT_DELAY: '500', FAULT_SAYS: '1' } }));
    await slow.until('waits');
    renameSync(store.paths.root, `${store.paths.root}.moved`);
    symlinkSync(victim, store.paths.root);
    await slow.ended;
    expect(listing(victim)).toBe(before);
    expect(readdirSync(join(`${store.paths.root}.moved`, 'tmp'))).toEqual([]);
  });
});

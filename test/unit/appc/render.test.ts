/**
 * ACIs on the way to a root file system: dependencies and whitelists as the specification's text has them (section "Dependency Matching" and
 * its examples), held against a model that copies directories; unpacking, held against GNU tar; and what an app section asks of a run.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { isolationOf } from '../../../image/appc/schema/isolation.ts';
import type { App } from '../../../image/appc/schema/app.ts';
import { parseImageManifest } from '../../../image/appc/schema/image-manifest.ts';
import { Context } from '../../../image/appc/schema/context.ts';
import { importImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { vmm } from '../../support/cli/cli.ts';
import { configOf, filesOf, Layout } from '../image/forms.ts';
import { scratch } from '../image/support.ts';
import { type Member, tarFile } from './support.ts';

const FOLDER = scratch();
let counter = 0;
const path = (name: string): string => join(FOLDER, `${++counter}-${name}`);
type Json = Record<string, unknown>;

function newStore(): ImageStore {
  return new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
}

/** An ACI of files by path; one ending in `/` is a directory, one with ` -> ` a link. */
function aci(name: string, files: Readonly<Record<string, string>>, more: Json = {}): string {
  const manifest = JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name, ...more });
  const members = Object.entries(files).map(([at, data]): Member => {
    const [own = '', link] = at.split(' -> ');
    if (link !== undefined) return { name: `rootfs/${own}`, type: '2', link };
    return own.endsWith('/') ? { name: `rootfs/${own}`, type: '5' } : { name: `rootfs/${own}`, data };
  });
  const file = path('x.aci');
  writeFileSync(file, tarFile({ name: 'manifest', data: manifest }, { name: 'rootfs/', type: '5' }, ...members));
  return file;
}

const on = (...names: string[]): Json => ({ dependencies: names.map((imageName) => ({ imageName })) });

async function rendered(store: ImageStore, ...files: string[]): Promise<Record<string, string>> {
  let key = '';
  for (const file of files) key = (await importImage(file, { store })).record.rootfs;
  return filesOf(store.rootfsPath(key));
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (cause: unknown) => cause);
  if (!(error instanceof VmmError)) throw error ?? new Error('it worked');
  return `${error.code} ${error.message}`;
}

describe('dependencies', () => {
  test('A on B and C, C on D: B, D, C, A, later ones over earlier ones', async () => {
    const order = await rendered(
      newStore(), aci('e.org/b', { f: 'b', b: 'b', d: 'b' }), aci('e.org/d', { f: 'd', d: 'd', c: 'd' }), aci('e.org/c', { f: 'c', c: 'c' }, on('e.org/d')), aci('e.org/a', { f: 'a' }, on('e.org/b', 'e.org/c')),
    );
    expect(order).toEqual({ f: 'a', b: 'b', d: 'd', c: 'c' });
  });

  test('A on B and C, both on D: D comes twice, and what B put over it goes again', async () => {
    expect(await rendered(newStore(), aci('e.org/d', { f: 'd' }), aci('e.org/b', { f: 'b' }, on('e.org/d')), aci('e.org/c', {}, on('e.org/d')), aci('e.org/a', {}, on('e.org/b', 'e.org/c')))).toEqual({ f: 'd' });
  });

  test('a link to a directory below is not followed: it goes, and the new path is there', async () => {
    const files = await rendered(newStore(), aci('e.org/base', { 'usr/lib/': '', 'usr/lib/old': '1', 'lib -> usr/lib': '' }), aci('e.org/top', { 'lib/new': '2' }, on('e.org/base')));
    expect(files).toEqual({ 'usr/lib/old': '1', 'lib/new': '2' });
  });

  test('a file over a directory, and a directory over a file', async () => {
    const files = await rendered(newStore(), aci('e.org/base', { 'a/': '', 'a/x': '1', b: '2' }), aci('e.org/top', { a: '3', 'b/': '', 'b/y': '4' }, on('e.org/base')));
    expect(files).toEqual({ a: '3', 'b/y': '4' });
  });

  test('a whitelist filters its image and what that depends on, and no sibling: not as the reference’s renderer does', async () => {
    const store = newStore();
    const files = await rendered(store, aci('e.org/b', { 'opt/b': 'b' }), aci('e.org/d', { 'opt/d': 'd', 'etc/d': 'd' }), aci('e.org/c', { 'opt/c': 'c', 'etc/c': 'c' }, { ...on('e.org/d'), pathWhitelist: ['/opt/c', '/opt/d'] }), aci('e.org/a', { 'etc/a': 'a' }, on('e.org/b', 'e.org/c')));
    expect(files).toEqual({ 'opt/b': 'b', 'opt/c': 'c', 'opt/d': 'd', 'etc/a': 'a' });
  });

  test('a whitelist of the root filters all; a directory in it is there without what it holds', async () => {
    const files = await rendered(newStore(), aci('e.org/b', { 'etc/systemd/': '', 'etc/systemd/x': '1', 'bin/y': '2' }), aci('e.org/a', { 'bin/a': '3' }, { ...on('e.org/b'), pathWhitelist: ['/etc/systemd/', '/bin/y'] }));
    expect(files).toEqual({ 'bin/y': '2' });
  });

  test('labels, ids and ids cut short as rkt does choose among images of one name; none that fits is an error', async () => {
    const store = newStore();
    const versions = ['1', '2'].map((value) => aci('e.org/b', { v: value }, { labels: [{ name: 'version', value }] }));
    const ids = [];
    for (const file of versions) ids.push((await importImage(file, { store })).record.id.replace(':', '-'));
    const by = (more: Json): Json => ({ dependencies: [{ imageName: 'e.org/b', ...more }] });
    expect(await rendered(store, aci('e.org/a', {}, by({})))).toEqual({ v: '2' });
    expect(await rendered(store, aci('e.org/a1', {}, by({ labels: [{ name: 'version', value: '1' }] })))).toEqual({ v: '1' });
    expect(await rendered(store, aci('e.org/a2', {}, by({ imageID: ids[0] })))).toEqual({ v: '1' });
    expect(await rendered(store, aci('e.org/a3', {}, by({ imageID: ids[0]?.slice(0, 71) })))).toEqual({ v: '1' });
    expect(await codeOf(importImage(aci('e.org/a4', {}, by({ labels: [{ name: 'version', value: '3' }] })), { store }))).toMatch(/^ACI_DEPENDENCY .*e\.org\/b,version=3, which is not in the store/);
    expect(await codeOf(importImage(aci('e.org/a5', {}, by({ imageID: `sha512-${'0'.repeat(128)}` })), { store }))).toMatch(/^ACI_DEPENDENCY/);
  });

  test('a newer dependency gives the same image another disk', async () => {
    const store = newStore();
    const top = aci('e.org/a', {}, on('e.org/b'));
    expect(await rendered(store, aci('e.org/b', { v: '1' }), top)).toEqual({ v: '1' });
    expect(await rendered(store, aci('e.org/b', { v: '2' }), top)).toEqual({ v: '2' });
    expect((await importImage(top, { store })).names).toEqual(['e.org/a']);
  });

  test('an image that depends on itself is no image', async () => {
    const store = newStore();
    await importImage(aci('e.org/b', {}), { store });
    expect(await codeOf(importImage(aci('e.org/a', {}, { dependencies: Array.from({ length: 300 }, () => ({ imageName: 'e.org/b' })) }), { store }))).toMatch(/^ACI_DEPENDENCY .*depends on 300 images/);
  });

  test('any tree of images is what copying them in the specification’s order gives', async () => {
    const NAMES = ['a', 'b', 'c', 'd'];
    const PATHS = ['x', 'y', 'x/y', 'x/z', 'w/v/u'];
    const image = (i: number): fc.Arbitrary<{ files: string[]; whitelist: string[] | undefined; deps: number[] }> => fc.record({
      files: fc.subarray(PATHS).filter((files) => !files.includes('x') || !files.some((file) => file.startsWith('x/'))),
      whitelist: fc.option(fc.subarray(PATHS, { minLength: 1 }), { nil: undefined }),
      deps: fc.subarray(NAMES.map((_, k) => k).filter((k) => k > i)),
    });
    await fc.assert(fc.asyncProperty(fc.tuple(...NAMES.map((_, i) => image(i))), async (images) => {
      const store = newStore();
      let real: Record<string, string> = {};
      for (let i = NAMES.length - 1; i >= 0; i--) {
        const { files, whitelist, deps } = images[i] as (typeof images)[0];
        const content = Object.fromEntries(files.map((at) => [at, NAMES[i] as string]));
        real = await rendered(store, aci(`e.org/${NAMES[i]}`, content, { ...on(...deps.map((k) => `e.org/${NAMES[k]}`)), ...(whitelist === undefined ? {} : { pathWhitelist: whitelist.map((at) => `/${at}`) }) }));
      }
      /** The specification's words with a Map for the target directory: dependencies in order, depth first, then the image's own, then what its list keeps. */
      const render = (i: number): Map<string, string> => {
        const { files, whitelist, deps } = images[i] as (typeof images)[0];
        const target = new Map<string, string>();
        const put = (at: string, by: string): void => {
          for (const there of [...target.keys()]) if (there.startsWith(`${at}/`) || at.startsWith(`${there}/`)) target.delete(there);
          target.set(at, by);
        };
        for (const k of deps) for (const [at, by] of render(k)) put(at, by);
        for (const at of files) put(at, NAMES[i] as string);
        return new Map([...target].filter(([at]) => whitelist?.includes(at) !== false));
      };
      expect(real).toEqual(Object.fromEntries(render(0)));
    }), { numRuns: 12 });
  });
});

describe('vmm aci extract and render', () => {
  const env = { VMM_STORE: path('cli-store') };

  test('an ACI comes out as GNU tar unpacks it', async () => {
    const source = path('source');
    mkdirSync(join(source, 'rootfs', 'dev'), { recursive: true });
    writeFileSync(join(source, 'manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'e.org/x' }));
    execFileSync('sh', ['-ec', 'cd rootfs; umask 022; echo hi > f; chmod 6755 f; ln f g; ln -s ../../etc/passwd out; mkdir -m 1777 tmp; mkdir -m 0500 closed; mkfifo pipe; truncate -s 1M sparse; printf x | dd of=sparse bs=1 seek=500000 conv=notrunc status=none; touch -d @1000000000.123456 f closed; [ $(id -u) != 0 ] || { mknod dev/null c 1 3; chown 5:6 g; }'], { cwd: source });
    const file = path('x.aci');
    expect((await vmm(['aci', 'build', source, file])).status).toBe(0);
    const [ours, theirs] = [path('ours'), path('theirs')];
    mkdirSync(theirs);
    execFileSync('tar', ['-xpf', file, '-C', theirs]);
    const result = await vmm(['aci', 'extract', file, ours]);
    expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: '' });
    const show = (dir: string): string => execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %U %G %n %.16T@ %l\\n'], { cwd: dir, encoding: 'utf8' }).split('\n').filter((line) => !line.startsWith('manifest ')).sort().join('\n');
    expect(show(ours)).toBe(show(theirs));
    expect(readFileSync(join(ours, 'rootfs', 'sparse')).equals(readFileSync(join(theirs, 'rootfs', 'sparse')))).toBe(true);
    expect(lstatSync(join(ours, 'rootfs', 'sparse')).blocks).toBeLessThan(1024);
    // What is there stays, unless it may be overwritten.
    expect((await vmm(['aci', 'extract', file, ours])).stderr).toMatch(/is there already .*\[IMAGE_WRITE\]/);
    expect((await vmm(['aci', 'extract', '--rootfs-only', '--overwrite', file, ours])).status).toBe(0);
    expect(readdirSync(ours).sort()).toEqual(['closed', 'dev', 'f', 'g', 'out', 'pipe', 'sparse', 'tmp']);
  });

  test.each([
    ['a path that leads out', [{ name: 'rootfs/../../evil', data: 'x' }], /\[IMAGE_TAR_PATH\]/],
    ['an entry below a link that leads out', [{ name: 'rootfs/out', type: '2', link: '/' }, { name: 'rootfs/out/evil', data: 'x' }], undefined],
    ['a hard link to what is outside', [{ name: 'rootfs/x', type: '1', link: '/etc/passwd' }], /\[IMAGE_TAR_PATH\]/],
    ['a hard link to the manifest', [{ name: 'rootfs/x', type: '1', link: 'manifest' }], /\[IMAGE_TAR_PATH\]/],
    ['an absolute path', [{ name: '/tmp/evil', data: 'x' }], undefined],
  ] as const)('%s stays inside, or is refused', async (_, members, message) => {
    const file = path('evil.aci');
    writeFileSync(file, tarFile({ name: 'manifest', data: '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"e.org/x"}' }, { name: 'rootfs/', type: '5' }, ...members));
    const folder = path('folder');
    mkdirSync(folder);
    const { status, stderr } = await vmm(['aci', 'extract', file, join(folder, 'out')]);
    if (message === undefined) expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    else expect(stderr).toMatch(message);
    expect(readdirSync(folder).filter((name) => name !== 'out')).toEqual([]);
    for (const name of ['/evil', '/tmp/evil', join(FOLDER, 'evil')]) expect(existsSync(name)).toBe(false);
  });

  test('render writes what a run would have as its root', async () => {
    const [base, top] = [aci('e.org/base', { 'etc/base': '1', 'bin -> usr/bin': '' }), aci('e.org/top', { 'etc/top': '2' }, on('e.org/base'))];
    expect((await vmm(['image', 'import', '-q', base], { env })).status).toBe(0);
    const dir = path('rendered');
    const { status, stderr } = await vmm(['aci', 'render', '--insecure-options=image', top, dir], { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readdirSync(join(dir, 'etc')).sort()).toEqual(['base', 'top']);
    expect(readlinkSync(join(dir, 'bin'))).toBe('usr/bin');
  });
});

describe('vmm aci build --from', () => {
  test('an image of Docker’s becomes an ACI with the same root and the same run', async () => {
    const env = { VMM_STORE: path('from-store') };
    const tar = tarFile({ name: 'etc/', type: '5' }, { name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n' }, { name: 'x', data: '1', uid: 5 });
    const layout = new Layout(path('oci'));
    const config = { Entrypoint: ['/bin/x'], Cmd: ['-a', 'b'], Env: ['PATH=/bin', 'A=1', 'A=2', '1BAD=x'], User: 'web', WorkingDir: '/w', Volumes: { '/var/Lib': {} }, StopSignal: 'SIGINT' };
    layout.add(layout.manifest([{ tar }], configOf([{ tar }], { config })), 'v1').write();
    const out = path('out.aci');
    const { status, stderr } = await vmm(['aci', 'build', '--from', `oci:${layout.folder}:v1`, '--name', 'e.org/web', out], { env });
    expect(status).toBe(0);
    expect(stderr).toMatch(/stop signal SIGINT has no place.*\n.*"1BAD=x" has a name/);
    expect(JSON.parse((await vmm(['aci', 'cat-manifest', out])).stdout.toString())).toMatchObject({
      name: 'e.org/web', labels: [{ name: 'version', value: 'v1' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }],
      app: { exec: ['/bin/x', '-a', 'b'], user: 'web', group: '44', workingDirectory: '/w', environment: [{ name: 'PATH', value: '/bin' }, { name: 'A', value: '2' }], mountPoints: [{ name: 'volume-var-lib', path: '/var/Lib' }] },
    });
    expect((await vmm(['aci', 'validate', '--strict', out])).status).toBe(0);
    const store = newStore();
    const { record } = await importImage(out, { store });
    expect(filesOf(store.rootfsPath(record.rootfs))).toMatchObject({ x: '1' });
    expect(record.config.user).toBe('web:44');
    // Once more: the same bytes.
    const again = path('again.aci');
    await vmm(['aci', 'build', '--from', `oci:${layout.folder}:v1`, '--name', 'e.org/web', again], { env });
    expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
  });
});

describe('an app section', () => {
  const app = (more: Json): App => parseImageManifest(Buffer.from(JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'a', app: { exec: ['/a'], user: '0', group: '0', ...more } })), new Context('m', { keepUnknownIsolators: true })).app as App;
  const isolators = (...list: (readonly [string, unknown])[]): App => app({ isolators: list.map(([name, value]) => ({ name, value })) });

  test.each([
    ['nothing', app({}), undefined],
    ['memory, rounded up', isolators(['resource/memory', { limit: '1.5' }]), { memory: 2 }],
    ['memory, the last one', isolators(['resource/memory', { limit: '1Mi' }], ['resource/memory', { limit: '2Mi' }]), { memory: 2 << 20 }],
    ['memory without a limit', isolators(['resource/memory', { request: '1Mi' }]), undefined],
    ['half a CPU', isolators(['resource/cpu', { limit: '500m' }]), { cpuMillis: 500 }],
    ['capabilities', isolators(['os/linux/capabilities-retain-set', { Set: ['CAP_KILL'] }]), { retain: ['CAP_KILL'] }],
    ['less capabilities', isolators(['os/linux/capabilities-remove-set', { set: ['CAP_KILL'] }]), { remove: ['CAP_KILL'] }],
    ['no new privileges', isolators(['os/linux/no-new-privileges', true]), { noNewPrivileges: true }],
    ['new privileges', isolators(['os/linux/no-new-privileges', false]), undefined],
    ['scores and shares', isolators(['os/linux/oom-score-adj', -5], ['os/linux/cpu-shares', 512]), { oomScoreAdj: -5, cpuShares: 512 }],
    ['all calls', isolators(['os/linux/seccomp-retain-set', { set: ['@appc.io/all'] }]), { seccomp: 'unconfined' }],
    ['no call less', isolators(['os/linux/seccomp-remove-set', { set: ['@appc.io/empty'] }]), undefined],
    ['calls of a set that is not known', isolators(['os/linux/seccomp-retain-set', { set: ['@x.y/z'] }]), { ignored: [expect.stringMatching(/the set @x\.y\/z is not known/)] }],
    ['groups', app({ supplementaryGIDs: [7, 8] }), { groups: ['7', '8'] }],
    ['what nobody enforces', isolators(['e.org/x', 1], ['resource/block-iops', { default: true, limit: '1' }]), { ignored: ['isolator e.org/x is not known and not enforced', 'isolator resource/block-iops is not enforced'] }],
    ['handlers', app({ eventHandlers: [{ name: 'pre-start', exec: ['/x'] }], mountPoints: [{ name: 'd', path: '/d' }] }), { ignored: ['event handler pre-start is not run', 'mount point d (/d) has no volume'] }],
  ] as const)('%s', (_, given, expected) => expect(isolationOf(given)).toEqual(expected));

  test('seccomp becomes a profile as Docker has it', () => {
    const profile = (name: string, value: unknown): unknown => JSON.parse(isolationOf(isolators([`os/linux/seccomp-${name}-set`, value]))?.seccomp ?? '');
    expect(profile('remove', { set: ['reboot'], errno: 'ENOSYS' })).toMatchObject({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['reboot'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }] });
    expect(profile('remove', { set: ['reboot'] })).toMatchObject({ syscalls: [{ names: ['reboot'], action: 'SCMP_ACT_KILL_PROCESS' }] });
    expect(profile('retain', { set: ['read'], errno: 'EPERM' })).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, syscalls: [{ names: expect.arrayContaining(['read', 'execve']), action: 'SCMP_ACT_ALLOW' }] });
  });

  test('a record keeps all of it', async () => {
    const store = newStore();
    const isolated = { exec: ['/a'], user: '0', group: '0', supplementaryGIDs: [5], isolators: [['os/linux/oom-score-adj', -5], ['os/linux/no-new-privileges', true], ['os/linux/capabilities-retain-set', { set: ['CAP_KILL'] }], ['resource/memory', { limit: '1G' }], ['e.org/x', 1]].map(([name, value]) => ({ name, value })) };
    const { record } = await importImage(aci('e.org/a', {}, { app: isolated }), { store });
    expect(store.get(record.id)).toEqual(record);
    expect(record.config.isolation).toEqual({ oomScoreAdj: -5, noNewPrivileges: true, retain: ['CAP_KILL'], memory: 1_000_000_000, groups: ['5'], ignored: ['isolator e.org/x is not known and not enforced'] });
    expect(JSON.parse(record.aciManifest ?? '')).toMatchObject({ name: 'e.org/a' });
  });

  test('the owner of a file is the user', async () => {
    const store = newStore();
    const file = path('x.aci');
    writeFileSync(file, tarFile({ name: 'manifest', data: JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'e.org/o', app: { exec: ['/a'], user: '/a', group: '/link' } }) }, { name: 'rootfs/', type: '5' }, { name: 'rootfs/a', uid: 12, gid: 13 }, { name: 'rootfs/b', uid: 14, gid: 15 }, { name: 'rootfs/link', type: '2', link: 'b', uid: 1, gid: 1 }));
    expect((await importImage(file, { store })).record.config.user).toBe('12:15');
  });
});

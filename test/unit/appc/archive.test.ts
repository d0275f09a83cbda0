/** ACIs as files: what is made of a layout, held against GNU tar, gzip and sha512sum; and the reference's verdicts on archives. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { vmm } from '../../support/cli/cli.ts';
import { readAci } from '../../../image/appc/archive.ts';
import { scratch } from '../image/support.ts';
import { member, tarFile } from './support.ts';

const FOLDER = scratch();
let counter = 0;
const path = (name: string): string => join(FOLDER, `${++counter}-${name}`);
const MANIFEST = { acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/hello', app: { exec: ['/bin/hello'], user: '0', group: '0' } };
const TEXT = JSON.stringify(MANIFEST);

function written(bytes: Uint8Array, name = 'x.aci'): string {
  const file = path(name);
  writeFileSync(file, bytes);
  return file;
}

function layout(manifest = TEXT): string {
  const dir = path('layout');
  mkdirSync(join(dir, 'rootfs', 'bin'), { recursive: true });
  writeFileSync(join(dir, 'manifest'), manifest);
  writeFileSync(join(dir, 'rootfs', 'bin', 'hello'), '#!/bin/sh\necho hello\n');
  chmodSync(join(dir, 'rootfs', 'bin', 'hello'), 0o4755);
  linkSync(join(dir, 'rootfs', 'bin', 'hello'), join(dir, 'rootfs', 'bin', 'again'));
  symlinkSync('bin/hello', join(dir, 'rootfs', 'link'));
  mkdirSync(join(dir, 'rootfs', 'a'.repeat(120)));
  writeFileSync(join(dir, 'rootfs', 'a'.repeat(120), 'b'.repeat(120)), 'long');
  utimesSync(join(dir, 'rootfs', 'bin', 'hello'), 1_000_000_000, 1_000_000_000);
  return dir;
}

async function ok(...args: string[]): Promise<string> {
  const result = await vmm(['aci', ...args]);
  expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: '' });
  return result.stdout.toString();
}

async function fails(status: number, ...args: string[]): Promise<string> {
  const result = await vmm(['aci', ...args]);
  expect({ status: result.status, lines: result.stderr.split('\n').length }).toEqual({ status, lines: 2 });
  return result.stderr;
}

describe('vmm aci build', () => {
  test('one directory gives the same bytes again, which GNU tar unpacks to what it was', async () => {
    const dir = layout();
    const [a, b, plain] = [path('a.aci'), path('b.aci'), path('plain.aci')];
    const id = (await ok('build', dir, a)).trim();
    expect((await ok('build', dir, b)).trim()).toBe(id);
    expect((await ok('build', '--no-compression', dir, plain)).trim()).toBe(id);
    expect(readFileSync(b)).toEqual(readFileSync(a));
    expect(id).toBe(`sha512-${execFileSync('sh', ['-c', `gzip -dc ${a} | sha512sum`], { encoding: 'utf8' }).slice(0, 128)}`);
    expect(execFileSync('gzip', ['-dc', a], { maxBuffer: 1 << 26 })).toEqual(readFileSync(plain));
    const out = path('out');
    mkdirSync(out);
    execFileSync('tar', ['-xpf', a, '-C', out]);
    const show = (at: string): string => execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %U %G %n %T@ %s %l\\n'], { cwd: at, encoding: 'utf8' }).split('\n').filter((line) => !line.startsWith('manifest ')).map((line) => line.replace(/^(\S+ d .*) \d+ $/, '$1')).sort().join('\n');
    expect(show(out)).toBe(show(dir));
    expect(execFileSync('tar', ['-tf', a], { encoding: 'utf8' }).split('\n').slice(0, 3)).toEqual(['manifest', 'rootfs/', `rootfs/${'a'.repeat(120)}/`]);
    expect(await ok('validate', a, b, plain, dir, join(dir, 'manifest'))).toMatch(/^(.*: valid .*\n){5}$/);
  });

  test('$SOURCE_DATE_EPOCH and --owner-root make two checkouts one image', async () => {
    const ids = await Promise.all([layout(), layout()].map(async (dir, i) => {
      utimesSync(join(dir, 'rootfs'), 1_600_000_000 + i, 1_600_000_000 + i);
      const { stdout } = await vmm(['aci', 'build', '--owner-root', dir, path('x.aci')], { env: { SOURCE_DATE_EPOCH: '1000000000' } });
      return stdout.toString();
    }));
    expect(ids[0]).toMatch(/^sha512-[0-9a-f]{128}\n$/);
    expect(ids[1]).toBe(ids[0]);
  });

  test.each([
    ['no manifest', (dir: string) => execFileSync('rm', [join(dir, 'manifest')]), /has no manifest .*\[ACI_LAYOUT\]/],
    ['no rootfs', (dir: string) => execFileSync('rm', ['-r', join(dir, 'rootfs')]), /has no rootfs/],
    ['a third thing', (dir: string) => writeFileSync(join(dir, 'README'), ''), /"README" is in it beside/],
    ['a manifest that is a link', (dir: string) => execFileSync('sh', ['-c', 'mv manifest rootfs/m; ln -s rootfs/m manifest'], { cwd: dir }), /manifest is not a file/],
    ['a manifest that is none', (dir: string) => writeFileSync(join(dir, 'manifest'), '{}'), /acKind: is missing.*\[ACI_MANIFEST\]/],
  ])('a layout with %s is refused, and nothing is written', async (_, spoil, message) => {
    const dir = layout();
    spoil(dir);
    const out = path('out.aci');
    expect(await fails(125, 'build', dir, out)).toMatch(message);
    expect(existsSync(out)).toBe(false);
  });

  test('a file that is there stays, unless it may be overwritten; nothing is left beside it', async () => {
    const dir = layout();
    const folder = path('folder');
    mkdirSync(folder);
    const out = join(folder, 'x.aci');
    writeFileSync(out, 'mine');
    expect(await fails(125, 'build', dir, out)).toMatch(/is there already .*\[IMAGE_WRITE\]/);
    expect(readFileSync(out, 'utf8')).toBe('mine');
    await ok('build', '--overwrite', dir, out);
    expect(readdirSync(folder)).toEqual(['x.aci']);
    expect(await fails(125, 'build', dir, join(folder, 'none', 'x.aci'))).toMatch(/ENOENT/);
  });
});

const DIR = { name: 'rootfs/', type: '5' } as const;
const ROW = { name: 'manifest', data: TEXT } as const;

describe('vmm aci validate', () => {
  const ARCHIVES: readonly (readonly [string, Buffer, 'ok' | 'strict' | RegExp])[] = [
    ['the least', tarFile(ROW, DIR), 'ok'],
    ['the manifest last, as actool writes it', tarFile(DIR, { name: 'rootfs/x', data: 'x' }, ROW), 'ok'],
    ['names with ./', tarFile({ ...ROW, name: './manifest' }, { ...DIR, name: './rootfs/' }, { name: './rootfs/x' }), 'ok'],
    ['no manifest', tarFile(DIR), /no manifest is in it/],
    ['no rootfs', tarFile(ROW), /no rootfs is in it/],
    ['no entry for rootfs itself', tarFile(ROW, { name: 'rootfs/x' }), /no rootfs is in it/],
    ['a rootfs that is a file', tarFile(ROW, { name: 'rootfs' }), /"rootfs" is a file, not a directory/],
    ['a rootfs that is a link', tarFile(ROW, { name: 'rootfs', type: '2', link: '/' }), /"rootfs" is a symlink/],
    ['a manifest that is a link', tarFile({ name: 'manifest', type: '2', link: 'rootfs/m' }, DIR), /"manifest" is a symlink/],
    ['a manifest that is a directory', tarFile({ name: 'manifest/', type: '5' }, DIR), /"manifest" is a dir/],
    ['something else at the top', tarFile(ROW, DIR, { name: 'README' }), /"README" lies neither in rootfs/],
    ['something beside rootfs that begins like it', tarFile(ROW, DIR, { name: 'rootfs2' }), 'strict'],
    ['an absolute path', tarFile(ROW, DIR, { name: '/rootfs/x' }), /"\/rootfs\/x" lies neither/],
    ['a path that leads out', tarFile(ROW, DIR, { name: 'rootfs/../etc/passwd' }), /lies neither/],
    ['a path that leads out and in again', tarFile(ROW, DIR, { name: 'rootfs/a/../b' }), 'strict'],
    ['a file twice', tarFile(ROW, DIR, { name: 'rootfs/x' }, { name: 'rootfs/x' }), /"rootfs\/x" is in it twice/],
    ['a file twice by two spellings', tarFile(ROW, DIR, { name: 'rootfs/x' }, { name: 'rootfs//x' }), /is in it twice/],
    ['the manifest twice', tarFile(ROW, ROW, DIR), 'strict'],
    ['rootfs twice', tarFile(ROW, DIR, DIR), 'strict'],
    ['a link that leads out', tarFile(ROW, DIR, { name: 'rootfs/x', type: '2', link: '../../../etc' }), 'ok'],
    ['devices', tarFile(ROW, DIR, { name: 'rootfs/null', type: '3', major: 1, minor: 3 }, { name: 'rootfs/pipe', type: '6' }), 'ok'],
    ['no end', tarFile(ROW, DIR).subarray(0, -1024), 'strict'],
    ['half a header', tarFile(ROW, DIR).subarray(0, -1200), /IMAGE_TAR_TRUNCATED/],
    ['a manifest without a name', tarFile({ ...ROW, data: '{"acKind":"ImageManifest","acVersion":"1.0.0"}' }, DIR), /name: is missing/],
    ['an empty manifest', tarFile({ ...ROW, data: '' }, DIR), /is not JSON/],
    ['a huge manifest', tarFile({ ...ROW, data: ' '.repeat((1 << 20) + 1) }, DIR), /at most 1048576 are read/],
    ['gzip', gzipSync(tarFile(ROW, DIR)), 'ok'],
    ['bzip2', execFileSync('bzip2', ['-c'], { input: tarFile(ROW, DIR) }), 'ok'],
    ['xz', execFileSync('xz', ['-c'], { input: tarFile(ROW, DIR) }), 'ok'],
    ['zstd, which appc does not know', execFileSync('zstd', ['-c', '-q'], { input: tarFile(ROW, DIR) }), /is compressed by zstd/],
    ['text', Buffer.from('hello'), /is no tar archive/],
    ['nothing', Buffer.alloc(0), /is no tar archive/],
    ['a header without magic', Buffer.concat([member({ ...ROW, magic: false }), tarFile(DIR)]), /is no tar archive/],
    ['gzip that is cut off', gzipSync(tarFile(ROW, DIR)).subarray(0, -12), /IMAGE_COMPRESSED/],
  ];

  test.each(ARCHIVES)('%s', async (_, bytes, expected) => {
    const file = written(bytes);
    const verdict = await readAci(file).then(({ warnings }) => (warnings.length === 0 ? 'ok' : 'strict'), (error: unknown) => {
      if (!(error instanceof VmmError)) throw error;
      expect(error.message.split('\n')).toHaveLength(1);
      expect(error.message).toContain(file);
      return `${error.message} ${error.code}`;
    });
    if (expected instanceof RegExp) expect(verdict).toMatch(expected);
    else expect(verdict).toBe(expected);
  });

  test('each file gets its verdict; the status is 1 when one is bad, and --strict makes warnings errors', async () => {
    const [good, odd, bad] = [written(tarFile(ROW, DIR)), written(tarFile(ROW, DIR, DIR)), written(tarFile(ROW))];
    const both = await vmm(['aci', 'validate', good, bad, odd]);
    expect(both.status).toBe(1);
    expect(both.stdout.toString()).toBe(`${good}: valid ACI of example.org/hello\n${odd}: valid ACI of example.org/hello\n`);
    expect(both.stderr).toMatch(/^vmm: .*no rootfs is in it .*\[ACI_LAYOUT\]\nvmm: warning: .*two members "rootfs"\n$/);
    expect(await fails(1, 'validate', '--strict', odd)).toMatch(/two members "rootfs" .*\[ACI_STRICT\]/);
    expect(await ok('validate', '-q', '--strict', good)).toBe('');
    expect(await fails(1, 'validate', join(FOLDER, 'none'))).toMatch(/does not exist .*\[IMAGE_OPEN\]/);
    expect(await fails(1, 'validate', '--type', 'layout', good)).toMatch(/is not a directory .*\[ACI_LAYOUT\]/);
    const pod = path('pod.json');
    writeFileSync(pod, '{"acKind":"PodManifest","acVersion":"0.8.11","apps":[]}');
    expect(await ok('validate', pod)).toBe(`${pod}: valid PodManifest\n`);
  });
});

describe('vmm aci cat-manifest and patch', () => {
  test('the manifest comes as it is', async () => {
    const file = written(gzipSync(tarFile(ROW, DIR)));
    expect(await ok('cat-manifest', file)).toBe(`${TEXT}\n`);
    expect(await ok('cat-manifest', '--pretty-print', file)).toBe(`${JSON.stringify(MANIFEST, null, 4)}\n`);
  });

  test('a patch changes what it names and nothing else of the archive', async () => {
    const [before, after] = [path('before.aci'), path('after.aci')];
    await ok('build', layout(), before);
    await ok(
      'patch', '--name', 'example.org/other', '--exec', '/bin/sh -c x', '--user', 'nobody', '--group', 'nogroup', '--supplementary-groups', '5,6', '--capability', 'CAP_KILL,CAP_CHOWN',
      '--mounts', 'data,path=/data,readOnly=true:log,path=/log', '--ports', 'www,protocol=tcp,port=80:dns,protocol=udp,port=53,count=2', '--seccomp-mode', 'remove,errno=EPERM', '--seccomp-set', 'reboot,kexec_load', before, after,
    );
    expect(JSON.parse(await ok('cat-manifest', after))).toEqual({
      acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/other',
      app: {
        exec: ['/bin/sh', '-c', 'x'], user: 'nobody', group: 'nogroup', supplementaryGIDs: [5, 6],
        mountPoints: [{ name: 'data', path: '/data', readOnly: true }, { name: 'log', path: '/log' }],
        ports: [{ name: 'www', protocol: 'tcp', port: 80, count: 1, socketActivated: false }, { name: 'dns', protocol: 'udp', port: 53, count: 2, socketActivated: false }],
        isolators: [{ name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_KILL', 'CAP_CHOWN'] } }, { name: 'os/linux/seccomp-remove-set', value: { set: ['reboot', 'kexec_load'], errno: 'EPERM' } }],
      },
    });
    const list = (file: string): string => execFileSync('tar', ['--full-time', '-tvf', file], { encoding: 'utf8' }).split('\n').slice(1).join('\n');
    expect(list(after)).toBe(list(before));
    // Once more, in place: a set of the other kind takes the first one's place.
    await ok('patch', '--replace', '--revoke-capability', 'CAP_MKNOD', after);
    expect(JSON.parse(await ok('cat-manifest', after)).app.isolators).toEqual([{ name: 'os/linux/seccomp-remove-set', value: { set: ['reboot', 'kexec_load'], errno: 'EPERM' } }, { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_MKNOD'] } }]);
  });

  test.each([
    [['--replace'], /writes to the file itself/],
    [['--ports', 'www,port=0,protocol=tcp'], /port: 0 is not between/],
    [['--ports', 'www,colour=red'], /"colour=red"/],
    [['--mounts', 'data,path=data'], /needs path=\//],
    [['--name', 'No Name'], /no AC Identifier/],
    [['--seccomp-mode', 'keep'], /keep is not known/],
    [['--seccomp-set', 'reboot'], /belong together/],
    [['--capability', 'CAP_KILL', '--revoke-capability', 'CAP_KILL'], /exclude each other/],
  ])('%j is refused', async (args, message) => {
    const out = path('out.aci');
    expect(await fails(125, 'patch', ...args, written(tarFile(ROW, DIR)), out)).toMatch(message);
    expect(existsSync(out)).toBe(false);
  });
});

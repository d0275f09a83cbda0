/** Images that buildah has built, layer upon layer: our disk against the root file system that buildah itself mounts of the same image. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, lutimesSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { describeDirectory, describeImage, hasTool, type Line, pattern, scratch } from './support.ts';

const FOLDER = scratch();
const able = process.getuid?.() === 0 && hasTool('buildah') && hasTool('setcap');
const ENV = { PATH: process.env['PATH'], HOME: FOLDER, TMPDIR: FOLDER, BUILDAH_ISOLATION: 'chroot' };
const buildah = (...args: string[]): string =>
  execFileSync('buildah', ['--storage-driver', 'vfs', '--root', join(FOLDER, 'root'), '--runroot', join(FOLDER, 'run'), ...args], { encoding: 'utf8', env: ENV, timeout: 90_000, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const run = (program: string, ...args: string[]): void => void execFileSync(program, args, { stdio: 'pipe', timeout: 30_000 });
const xattr = (path: string, name: string, value: string): void => run('python3', '-c', 'import os,sys; os.setxattr(sys.argv[1], sys.argv[2], os.fsencode(sys.argv[3]), follow_symlinks=False)', path, name, value);

/** All kinds of things, with all kinds of metadata. */
function first(root: string): void {
  const at = (path: string): string => join(root, path);
  for (const dir of ['bin', 'etc/deep/er', 'var/gone', 'var/emptied/sub', 'tmp', 'becomes-file/x', 'linked']) mkdirSync(at(dir), { recursive: true });
  chmodSync(at('tmp'), 0o1777);
  writeFileSync(at('bin/tool'), pattern(20_000), { mode: 0o755 });
  chmodSync(at('bin/tool'), 0o4755);
  run('setcap', 'cap_net_raw+ep', at('bin/tool'));
  chmodSync(at('bin/tool'), 0o6755);
  linkSync(at('bin/tool'), at('bin/tool-2'));
  writeFileSync(at('etc/data'), 'one');
  xattr(at('etc/data'), 'user.note', 'a=b');
  chownSync(at('etc/data'), 1234, 70_000);
  utimesSync(at('etc/data'), 1, 1_234_567_890.125);
  writeFileSync(at('etc/empty'), '');
  writeFileSync(at('etc/deep/er/ünï ⁂'), 'utf-8');
  writeFileSync(at('etc/becomes-dir'), 'x');
  writeFileSync(at('var/gone/file'), 'x');
  writeFileSync(at('var/emptied/sub/file'), 'x');
  writeFileSync(at('becomes-file/x/y'), 'x');
  symlinkSync('../etc/data', at('bin/link'));
  symlinkSync('/nowhere', at('etc/dangling'));
  lutimesSync(at('etc/dangling'), 5, 5);
  symlinkSync('linked', at('to-linked'));
  run('mkfifo', '-m', '0640', at('etc/fifo'));
  run('mknod', '-m', '0666', at('etc/null'), 'c', '1', '3');
  run('mknod', '-m', '0600', at('etc/disk'), 'b', '259', '70000');
  run('truncate', '-s', '3000000', at('var/sparse'));
  execFileSync('sh', ['-c', `printf end >> '${at('var/sparse')}'`]);
}

/** What an upper layer may do to a lower one. */
function second(root: string): void {
  const at = (path: string): string => join(root, path);
  rmSync(at('var/gone'), { recursive: true });
  rmSync(at('var/emptied'), { recursive: true });
  mkdirSync(at('var/emptied'));
  writeFileSync(at('var/emptied/new'), 'n');
  rmSync(at('etc/becomes-dir'));
  mkdirSync(at('etc/becomes-dir/in'), { recursive: true });
  rmSync(at('becomes-file'), { recursive: true });
  writeFileSync(at('becomes-file'), 'f');
  rmSync(at('to-linked'));
  mkdirSync(at('to-linked'));
  writeFileSync(at('to-linked/z'), 'z');
  rmSync(at('bin/tool-2'));
  chmodSync(at('etc/deep'), 0o700);
  writeFileSync(at('etc/data'), 'two, and longer');
  rmSync(at('etc/fifo'));
  symlinkSync('data', at('etc/fifo'));
}

describe.skipIf(!able)('buildah’s images', () => {
  let mounted: string;
  const archives: Record<string, string> = {};
  beforeAll(() => {
    const base = buildah('from', 'scratch');
    first(buildah('mount', base));
    buildah('config', '--entrypoint', '["/bin/tool"]', '--env', 'A=b c', '--user', '1234', '--workingdir', '/etc', '--volume', '/data', '--stop-signal', 'SIGUSR1', base);
    buildah('commit', '-q', base, 'one');
    const upper = buildah('from', 'localhost/one');
    second(buildah('mount', upper));
    buildah('config', '--env', 'C=d', upper);
    for (const [name, format] of [['oci', 'oci'], ['docker', 'docker']] as const) {
      buildah('commit', '-q', '--format', format, upper, `two-${name}`);
      archives[name] = join(FOLDER, `${name}.tar`);
      buildah('push', '-q', `localhost/two-${name}`, `${name}-archive:${archives[name]}:localhost/two-${name}:1`);
    }
    buildah('push', '-q', 'localhost/two-oci', `oci:${join(FOLDER, 'layout')}:1`);
    buildah('push', '-q', 'localhost/two-oci', `dir:${join(FOLDER, 'dir')}`);
    mounted = buildah('mount', buildah('from', 'localhost/two-oci'));
  }, 300_000);
  afterAll(() => {
    if (able) buildah('rm', '-a');
  });

  /** The root itself is in no layer: each tool has its own mode and time for it. */
  const comparable = (lines: readonly Line[]): Line[] => lines.map((line) => (line.path === '' || line.path === '/' ? { ...line, mtime: '', mode: 0 } : line));

  it.each(['oci-archive:oci.tar', 'docker-archive:docker.tar', 'oci:layout:1', 'dir'])('%s: the same files with all their metadata', async (reference) => {
    const store = new ImageStore(storePaths({ VMM_STORE: join(FOLDER, `store-${reference.replace(/\W/g, '-')}`) }));
    const [, transport = '', rest = ''] = /^([a-z-]+:)?(.*)$/.exec(reference) ?? [];
    const { record } = await importImage(`${transport}${join(FOLDER, rest)}`, { store }, ['x']);
    expect(comparable(describeImage(store.rootfsPath(record.rootfs)))).toEqual(comparable(describeDirectory(mounted)));
    expect(record.config).toMatchObject({ entrypoint: ['/bin/tool'], env: expect.arrayContaining(['A=b c', 'C=d']) as unknown, user: '1234', workingDir: '/etc', volumes: ['/data'], stopSignal: 'SIGUSR1' });
  });

  it('has the layers that were meant', () => {
    expect(readdirSync(join(FOLDER, 'dir')).filter((name) => /^[0-9a-f]{64}$/.test(name)).length).toBeGreaterThanOrEqual(3);
  });
});

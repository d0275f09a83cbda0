/** `vmm run -v`, `--mount` and `--tmpfs`: directories and files of the host, and named volumes, as Docker has them. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, type CliResult, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { configOf, Layout } from '../unit/image/forms.ts';

let dir: string;
let image: string;
const env = (): { VMM_STORE: string } => ({ VMM_STORE: join(dir, 'store') });
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-mounts-'));
  const root = busyboxImage(join(dir, 'root'));
  const script = `cd "$1"; mkdir -p kept/sub data/own; echo of the image > kept/file; ln -s file kept/soft; chmod 750 kept; chmod 4755 kept/file; echo image > data/own/kept
    ln -s /kept link; ln -s ../../../../../../../../tmp/outside out; ln -s /nowhere/yet dangling; echo text > plain`;
  execFileSync('sh', ['-c', script, 'sh', root]);
  const layers = [{ tar: execFileSync('tar', ['--owner=0', '--group=0', '-C', root, '-cf', '-', '.'], { maxBuffer: 1 << 26 }) }];
  const layout = new Layout(join(dir, 'layout'));
  image = layout.add(layout.manifest(layers, configOf(layers, { config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'], Volumes: { '/data/own': {} } } })), 'latest').write();
});
afterAll(() => rmSync(dir, { recursive: true }));

const run = (options: readonly string[], script: string): Promise<CliResult> => vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', ...options, image, 'sh', '-c', script], { env: env() });
const folder = (name: string): string => {
  const path = join(mkdtempSync(join(dir, 'h-')), name);
  mkdirSync(path);
  return path;
};
async function output(options: readonly string[], script: string): Promise<string> {
  const { status, stdout, stderr } = await run(options, script);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.toString();
}

describe('directories and files of the host', () => {
  it('are read and written, or read only; one directory may be both, and mounts lie within mounts whatever their order', async () => {
    const host = folder('host');
    const inner = folder('inner');
    writeFileSync(join(host, 'file'), 'of the host\n');
    const options = ['-v', `${inner}:/mnt/made/deep`, '-v', `${host}:/mnt:z`, '--mount', `type=bind,src=${host},dst=/ro,readonly`, '-v', `${join(host, 'file')}:/etc/passwd:ro`, '--tmpfs', '/mnt/tmp'];
    const both = await run(options, 'cat /mnt/file /etc/passwd; echo guest > /mnt/new; cat /ro/new; echo x > /ro/y; echo x > /etc/passwd; echo x > /mnt/made/deep/inner; echo x > /mnt/tmp/gone; ls /ro/made/deep /mnt/made/deep');
    expect(both.stdout.toString()).toBe('of the host\nof the host\nguest\n/mnt/made/deep:\ninner\n\n/ro/made/deep:\n');
    expect(both.stderr.match(/Read-only file system/g)?.length).toBe(2);
    const result = await run(['-v', `${host}:/ro:ro`], 'echo x > /ro/y; rm /ro/file; mkdir /ro/d; touch /ro/file; chmod 777 /ro/file; mv /ro/file /ro/z; ls /ro');
    expect(result.stdout.toString()).toBe('file\nmade\nnew\ntmp\n');
    expect(result.stderr.match(/Read-only file system/g)?.length).toBe(6);
    expect(readFileSync(join(host, 'new'), 'utf8')).toBe('guest\n');
    expect(readdirSync(inner)).toEqual(['inner']);
    expect(readdirSync(join(host, 'made', 'deep'))).toEqual([]);
    expect(readdirSync(join(host, 'tmp'))).toEqual([]);
  });

  it('-v makes a missing directory, --mount does not; paths may be relative and have colons and commas', async () => {
    const host = folder('a:b,c');
    writeFileSync(join(host, 'x'), 'odd\n');
    const missing = join(host, 'not', 'yet');
    expect(await output(['-v', './test/programs:/src:ro', '--mount', `type=bind,"src=${host}",dst=/odd:dir`], 'cat /odd:dir/x; ls /src/alphabet.c')).toBe('odd\n/src/alphabet.c\n');
    expect(await output(['-v', `${missing.replace(host, folder('plain'))}:/m`], 'stat -c %a /m; touch /m/x && ls /m')).toBe('755\nx\n');
    const refused = await run(['--mount', `type=bind,"src=${missing}",dst=/m`], 'true');
    expect(refused.stderr).toBe(`vmm: --mount: invalid mount config for type "bind": bind source path does not exist: ${missing} (make it first, or let -v make it) [MOUNT_SOURCE]\n`);
    expect(refused.status).toBe(125);
    expect(existsSync(missing)).toBe(false);
  });

  it('targets that are links of the image stay inside the container', async () => {
    const host = folder('host');
    const seen = await output(['-v', `${host}:/link/new`, '-v', `${host}:/out/in`, '-v', `${host}:/dangling`], 'touch /kept/new/x; ls /tmp/outside/in /nowhere/yet');
    expect(seen).toBe('/nowhere/yet:\nx\n\n/tmp/outside/in:\nx\n');
    expect(existsSync('/tmp/outside')).toBe(false);
  });

  it('a link of the host is followed once, to what it is', async () => {
    const host = folder('host');
    symlinkSync(host, join(dir, 'to-host'));
    expect(await output(['-v', `${join(dir, 'to-host')}:/m`], 'touch /m/y; ls /m')).toBe('y\n');
  });

  it.each<[string, (at: string) => string, string]>([
    ['a directory on a file', (at) => `${at}:/plain`, "'/plain': a directory goes on a directory, a file on a file"],
    ['a directory below a read-only mount', (at) => `${at}:/a:ro@-v@${at}:/a/none`, "cannot mount on '/a/none': Read-only file system"],
  ])('%s: one line, no start', async (_, text, message) => {
    const result = await run(['-v', ...text(folder('x')).split('@')], 'echo started');
    expect(result.stderr).toContain(message);
    expect({ lines: result.stderr.split('\n').length, status: result.status, out: result.stdout.toString() }).toEqual({ lines: 2, status: 125, out: '' });
  });

  it('a socket, a device, a FIFO: one line before anything starts', async () => {
    const at = folder('s');
    const server = createServer().listen(join(at, 'sock'));
    await once(server, 'listening');
    execFileSync('mkfifo', [join(at, 'fifo')]);
    for (const [source, kind] of [[join(at, 'sock'), 'a socket'], ['/dev/null', 'a device'], [join(at, 'fifo'), 'a FIFO']] as const) {
      const result = await run(['-v', `${source}:/x`], 'true');
      expect(result.stderr).toContain(`vmm: ${source} is ${kind}: a guest has a kernel of its own`);
      expect({ lines: result.stderr.split('\n').length, status: result.status }).toEqual({ lines: 2, status: 125 });
    }
    server.close();
    const twice = await run(['-v', `${at}:/x`, '--tmpfs', '/x/'], 'true');
    expect(twice.stderr).toContain('Duplicate mount point: /x');
  });

  it('files belong to who made them, and users are kept out as on any file system', async () => {
    const host = folder('host');
    execFileSync('chmod', ['777', host]);
    await output(['-v', `${host}:/m`, '-u', '1000:1001'], 'umask 027; echo mine > /m/mine; mkdir /m/dir; ln -s x /m/soft');
    writeFileSync(join(host, 'private'), 'x', { mode: 0o600 });
    for (const [name, mode] of [['mine', 0o640], ['dir', 0o750]] as const) {
      const stat = statSync(join(host, name));
      expect([stat.uid, stat.gid, stat.mode & 0o777]).toEqual([1000, 1001, mode]);
    }
    expect(lstatSync(join(host, 'soft')).uid).toBe(1000);
    const result = await run(['-v', `${host}:/m`, '-u', '2000'], 'cat /m/private; cat /m/mine; rm /m/dir/x; stat -c "%u %g %a" /m/mine');
    expect(result.stdout.toString()).toBe('1000 1001 640\n');
    expect(result.stderr.match(/Permission denied/g)?.length).toBe(3);
  });
});

describe('named volumes', () => {
  it('are made and filled at first use, kept between runs, and told by vmm volume', async () => {
    const seen = await output(['-v', 'web:/kept', '--read-only'], 'stat -c "%n %a %u %g" /kept /kept/file; cat /kept/soft; ls /kept; echo more > /kept/more; echo changed > /kept/file');
    expect(seen).toBe('/kept 750 0 0\n/kept/file 4755 0 0\nof the image\nfile\nsoft\nsub\n');
    expect(await output(['-v', 'web:/elsewhere:ro'], 'cat /elsewhere/more /elsewhere/file; cat /kept/file')).toBe('more\nchanged\nof the image\n');
    expect(await output(['--mount', 'src=web,dst=/link'], 'cat /kept/more')).toBe('more\n');
    expect((await vmm(['volume', 'ls', '-q'], { env: env() })).stdout.toString()).toBe('web\n');
    expect(await output(['--mount', 'type=volume,src=none,dst=/kept,volume-nocopy'], 'ls /kept')).toBe('');
    expect(await output(['-v', 'of-link:/link', '-v', 'other:/not/in/image'], 'ls /link; ls -d /not/in/image; stat -c %a /not/in/image')).toBe('file\nsoft\nsub\n/not/in/image\n755\n');
  });

  it('a volume of the image is the container’s own unless one is named; -v DIR makes one of those', async () => {
    const host = folder('host');
    mkdirSync(join(host, 'own'));
    expect(await output(['-v', `${host}:/data`], 'cat /data/own/kept; touch /data/own/x')).toBe('image\n');
    expect(readdirSync(join(host, 'own'))).toEqual([]);
    expect(await output(['-v', 'own:/data/own'], 'cat /data/own/kept; touch /data/own/x')).toBe('image\n');
    expect(await output(['-v', 'own:/data/own'], 'ls /data/own')).toBe('kept\nx\n');
    expect(await output(['-v', '/kept', '--read-only'], 'touch /kept/x && ls /kept')).toBe('file\nsoft\nsub\nx\n');
  });

  it('a part of one, whatever links its guests have put there; a directory of the host, and memory, by the driver’s options', async () => {
    await output(['-v', 'parts:/m'], 'mkdir -p /m/a/b; echo deep > /m/a/b/file; echo top > /m/file; ln -s /etc /m/out; ln -s a /m/link');
    expect(await output(['--mount', 'src=parts,dst=/p,volume-subpath=a/b'], 'cat /p/file; echo more > /p/../p/more; ls /p/..')).not.toContain('top');
    expect(await output(['--mount', 'src=parts,dst=/p/f,volume-subpath=a/b/more,readonly'], 'cat /p/f; echo x 2>/dev/null > /p/f || echo refused')).toBe('more\nrefused\n');
    for (const [part, why] of [['out', 'out is a symbolic link'], ['link/b', 'link is a symbolic link'], ['file/x', 'ENOTDIR'], ['none', 'ENOENT']]) {
      const { status, stdout, stderr } = await run(['--mount', `src=parts,dst=/p,volume-subpath=${part}`], 'echo started');
      expect({ status, out: stdout.toString(), lines: stderr.split('\n').length }).toEqual({ status: 125, out: '', lines: 2 });
      expect(stderr).toContain(`/_data/${part}: ${why}`);
    }
    const host = folder('bound');
    const made = await vmm(['volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', `device=${host}`, 'bound'], { env: env() });
    expect(made.stdout.toString()).toBe('bound\n');
    // A directory of the host is its user's: nothing is filled into it.
    expect(await output(['-v', 'bound:/kept'], 'ls /kept; echo here > /kept/x')).toBe('');
    expect(readFileSync(join(host, 'x'), 'utf8')).toBe('here\n');
    rmSync(host, { recursive: true });
    expect((await run(['-v', 'bound:/kept'], 'true')).stderr).toContain(`failed to mount local volume: ${host}: ENOENT`);
    expect(await output(['--mount', 'src=fast,dst=/t,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,mode=700"'], 'grep " /t " /proc/mounts | cut -d" " -f3; df -k /t | tail -1 | tr -s " " | cut -d" " -f2; stat -c %a /t')).toBe('tmpfs\n1024\n700\n');
  });

  it('one that is in use cannot be removed, until its vmm ends, by kill -9 too', async () => {
    const child = spawn(process.execPath, ['--', BIN, 'run', '-q', '--accel', 'wasm', '-m', '128m', '-v', 'busy:/kept', image, 'sh', '-c', 'echo there; touch /kept/busy; sync; echo done; sleep 1000'], {
      env: { PATH: process.env['PATH'], HOME: dir, ...env() }, stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(child, 'exit');
    let text = '';
    for await (const chunk of child.stdout) {
      text += chunk;
      if (text.includes('done')) break;
    }
    const busy = await vmm(['volume', 'rm', 'busy'], { env: env() });
    expect({ status: busy.status, err: busy.stderr }).toEqual({ status: 1, err: 'vmm: remove busy: volume is in use (a vmm that runs has it mounted) [VOLUME_BUSY]\n' });
    expect((await vmm(['volume', 'ls', '-q', '-f', 'dangling=false'], { env: env() })).stdout.toString()).toBe('busy\n');
    // Beside it another run may have it.
    expect(await output(['-v', 'busy:/m'], 'ls /m')).toBe('busy\nfile\nsoft\nsub\n');
    child.kill('SIGKILL');
    await gone;
    expect((await vmm(['volume', 'rm', 'busy'], { env: env() })).stdout.toString()).toBe('busy\n');
  });
});

it('a run that repeats has no shares', async () => {
  const result = await run(['--icount', '-v', `${dir}:/m`], 'true');
  expect(result.stderr).toContain('a run with --icount cannot have --volume /m: what lies on the host may change between two runs');
  expect(result.status).toBe(125);
});

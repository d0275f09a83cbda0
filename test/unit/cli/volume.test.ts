/** `vmm volume` as a user has it, in Docker's words. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { vmm } from '../../support/cli/cli.ts';

let dir: string;
let store: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-volume-cli-'));
  store = join(dir, 'store');
});
afterAll(() => rmSync(dir, { recursive: true }));

async function raw(args: readonly string[], stdin?: string): Promise<{ status: number | null; out: string; err: string }> {
  const { status, stdout, stderr } = await vmm(['volume', ...args], { env: { VMM_STORE: store }, ...(stdin === undefined ? {} : { stdin }) });
  return { status, out: stdout.toString(), err: stderr };
}
async function volume(...args: string[]): Promise<string> {
  const { status, out, err } = await raw(args);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return out;
}

test('volumes are made, listed, shown, removed and cleared away', async () => {
  expect(await volume('ls')).toBe('DRIVER    VOLUME NAME\n');
  expect(await volume('create', 'web', '--label', 'a=b', '--label', 'c')).toBe('web\n');
  expect(await volume('create', 'web')).toBe('web\n');
  const nameless = (await volume('create')).trim();
  expect(nameless).toMatch(/^[0-9a-f]{64}$/);
  expect(await volume('ls', '-q')).toBe([nameless, 'web'].sort().map((name) => `${name}\n`).join(''));
  expect(await volume('list', '--format', '{{.Name}} {{.Labels}}', '-f', 'label=a')).toBe('web a=b,c=\n');
  expect(await volume('ls', '-q', '-f', 'label=a=x')).toBe('');
  expect(await volume('ls', '-q', '-f', 'name=we', '-f', 'name=nothing', '-f', 'dangling=true', '-f', 'driver=local')).toBe('web\n');
  expect(await volume('ls', '-q', '-f', 'dangling=false')).toBe('');
  const [seen] = JSON.parse(await volume('inspect', 'web'));
  expect(seen).toMatchObject({ Driver: 'local', Labels: { a: 'b', c: '' }, Mountpoint: join(store, 'volumes/web/_data'), Name: 'web', Options: {}, Scope: 'local' });
  expect(Date.parse(seen.CreatedAt)).toBeGreaterThan(Date.now() - 600_000);
  expect(await volume('inspect', '-f', '{{.Mountpoint}}', 'web')).toBe(`${join(store, 'volumes/web/_data')}\n`);
  writeFileSync(join(store, 'volumes/web/_data/file'), 'x'.repeat(100_000));

  // Without a name alone; asked about first.
  expect(await raw(['prune'], 'n\n')).toEqual({ status: 0, out: 'WARNING! This will remove all volumes without a name that no vmm uses.\nAre you sure you want to continue? [y/N] ', err: '' });
  expect((await raw(['prune'], '')).out).toContain('[y/N]');
  expect(await volume('ls', '-q')).toContain(nameless);
  expect((await raw(['prune'], 'y\n')).out).toMatch(new RegExp(`Deleted Volumes:\\n${nameless}\\n\\nTotal reclaimed space: `));
  expect(await volume('prune', '-f', '-a', '--filter', 'label!=a')).toBe('Total reclaimed space: 0 B\n');
  expect(await volume('prune', '--force', '--all')).toMatch(/^Deleted Volumes:\nweb\n\nTotal reclaimed space: \d+\.\d KiB\n$/);
  expect(readdirSync(join(store, 'volumes'))).toEqual([]);

  await volume('create', 'one');
  await volume('create', 'two');
  expect(await raw(['rm', 'one', 'nope', 'two'])).toEqual({ status: 1, out: 'one\ntwo\n', err: 'vmm: No such volume: nope (see `vmm volume ls`) [VOLUME_NOT_FOUND]\n' });
  expect(await volume('rm', '-f', 'nope')).toBe('nope\n');
  expect(await raw(['inspect', 'nope'])).toEqual({ status: 1, out: '[]\n', err: 'vmm: No such volume: nope (see `vmm volume ls`) [VOLUME_NOT_FOUND]\n' });
});

test.each<[string[], string]>([
  [[], 'vmm: volume needs a command'],
  [['frob'], 'vmm: unknown volume command frob'],
  [['create', 'aa', 'bb'], 'vmm: volume create takes at most one name'],
  [['create', '_'], 'volume name is too short, names should be at least two alphanumeric characters: "_"'],
  [['create', 'a/b'], '"a/b" includes invalid characters for a volume name'],
  [['create', '-d', 'nfs', 'aa'], '--driver: there is no volume driver nfs'],
  [['create', '-o', 'uid=1', 'aa'], '--opt: invalid option: "uid"'],
  [['create', '-o', 'type=nfs', 'aa'], '--opt: missing required option: "device"'],
  [['create', '-o', 'device=/x', 'aa'], '--opt: missing required option: "type"'],
  [['create', '-o', 'o=bind', '-o', 'type=none', 'aa'], '--opt: missing required option: "device"'],
  [['create', '-o', 'type=nfs', '-o', 'device=:/x', '-o', 'o=addr=1.2.3.4', 'aa'], '--opt: a volume of type nfs is not supported: vmm mounts nothing on the host'],
  [['create', '-o', 'type=none', '-o', 'device=/x', '-o', 'o=bind,suid', 'aa'], '--opt: o: suid is not supported'],
  [['create', '-o', 'type=none', '-o', 'device=/x', 'aa'], '--opt: type none is for o=bind alone'],
  [['create', '-o', 'type=none', '-o', 'device=x', '-o', 'o=bind', 'aa'], '--opt: the device x is no absolute path'],
  [['create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'size=1m', 'aa'], '--opt: a volume with a device has no size of ours'],
  [['create', '--name', 'bb', 'aa'], 'conflicting options: either specify --name or provide positional arg, not both'],
  [['create', '-o', 'size=1', 'aa'], '--opt: a volume cannot have a size of 1'],
  [['create', '-o', 'size=lots', 'aa'], '--opt: size: lots is not a size'],
  [['ls', '-f', 'zz=1'], "--filter: Invalid filter 'zz'"],
  [['ls', '-f', 'dangling=x'], '--filter: x is not true or false'],
  [['rm'], 'vmm: volume rm takes one name or more'],
])('%j', async (args, message) => {
  const { status, err } = await raw(args);
  expect(err).toContain(message);
  expect(err.split('\n').length).toBe(2);
  expect(status).toBe(125);
});

test('the local driver’s devices are kept as they were given, and told', async () => {
  expect(await volume('create', '--name', 'bound', '-o', 'type=none', '--opt', 'o=bind,ro', '-o', 'device=/nowhere')).toBe('bound\n');
  expect(JSON.parse(await volume('inspect', 'bound'))[0].Options).toEqual({ device: '/nowhere', o: 'bind,ro', type: 'none' });
  expect(await volume('rm', 'bound')).toBe('bound\n');
});

test('what a container that is kept has is in use, whether it runs or not', async () => {
  const image = join(dir, 'image');
  mkdirSync(join(image, 'etc'), { recursive: true });
  writeFileSync(join(image, 'etc/passwd'), '');
  const own = (args: readonly string[]) => vmm(args, { env: { VMM_STORE: store } });
  await volume('create', 'data');
  const made = await own(['create', '-v', 'data:/data', '--mount', 'src=data,dst=/again', image, 'true']);
  const id = made.stdout.toString().trim();
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(await raw(['rm', '-f', 'data'])).toEqual({ status: 1, out: '', err: `vmm: remove data: volume is in use - [${id}] (\`vmm rm\` the container first) [VOLUME_BUSY]\n` });
  expect(await volume('prune', '-a', '-f')).toBe('Total reclaimed space: 0 B\n');
  expect(await volume('ls', '-q', '-f', 'dangling=true')).toBe('');
  expect(await volume('ls', '-q', '-f', 'dangling=false')).toBe('data\n');

  // Of a record that is not understood all that it names is in use, and nothing else.
  const path = join(store, `kept-${process.geteuid?.()}/containers`, id, 'record.json');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/"version":\d+/, '"version":99'));
  await volume('create', 'spare');
  const note = expect.stringMatching(/^vmm: [^\n]* is of another version of vmm: volumes that it names count as used\n/);
  expect(await raw(['ls', '-q', '-f', 'dangling=true'])).toEqual({ status: 0, out: 'spare\n', err: note });
  expect(await raw(['rm', 'data'])).toEqual({ status: 1, out: '', err: expect.stringMatching(new RegExp(`^vmm: .*\nvmm: remove data: volume is in use - \\[${id}\\].*\n$`)) });
  expect(await raw(['prune', '-a', '-f'])).toMatchObject({ status: 0, out: expect.stringMatching(/^Deleted Volumes:\nspare\n\n/), err: note });
  writeFileSync(path, text);

  expect((await own(['rm', id])).status).toBe(0);
  expect(await volume('rm', 'data')).toBe('data\n');
});

test('help', async () => {
  expect(await volume('--help')).toContain('create [OPTIONS] [NAME]');
  expect(await volume('prune', '--help')).toContain('--force');
});

/** `vmm run --pod` in the manner of the specification's validator: what an app must find is checked from inside (docs/pods.md). */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { BIN, ROOT, vmm } from '../support/cli/cli.ts';
import { buildStatic } from '../support/guests/programs.ts';
import { HANG_MS } from '../support/limits.ts';

let dir: string;
let env: Record<string, string>;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-pod-test-'));
  mkdirSync(join(dir, 'tmp'));
  env = { VMM_STORE: join(dir, 'store'), VMM_TMPDIR: join(dir, 'tmp') };
  await image('ace-validator-main', {
    exec: ['/check', 'main'], workingDirectory: '/opt/acvalidator', environment: [{ name: 'IN_ACE_VALIDATOR', value: 'correct' }],
    eventHandlers: [{ name: 'pre-start', exec: ['/check', 'prestart'] }, { name: 'post-stop', exec: ['/check', 'poststop'] }],
    mountPoints: [{ name: 'database', path: '/db', readOnly: false }], ports: [{ name: 'www', protocol: 'tcp', port: 80 }], isolators: [{ name: 'resource/memory', value: { limit: '1G' } }],
  });
  await image('ace-validator-sidekick', { exec: ['/check', 'sidekick'], mountPoints: [{ name: 'database', path: '/db' }] });
  await image('plain', { exec: ['/check', 'say', 'hello'] });
  await image('library', undefined);
});
// Whatever happens, empty volumes go.
beforeEach(() => () => expect(readdirSync(join(dir, 'tmp'))).toEqual([]));
afterAll(() => rmSync(dir, { recursive: true }));

const ids = new Map<string, string>();

/** Makes an ACI of the checkers with `vmm aci build` and brings it into the store. */
async function image(name: string, app: Record<string, unknown> | undefined): Promise<void> {
  const layout = join(dir, name);
  for (const folder of ['rootfs/opt/acvalidator', 'rootfs/etc', 'rootfs/bin', 'rootfs/full/below']) mkdirSync(join(layout, folder), { recursive: true });
  copyFileSync(buildStatic('appc'), join(layout, 'rootfs/check'));
  copyFileSync(buildStatic('appc'), join(layout, 'rootfs/bin/found'));
  writeFileSync(join(layout, 'rootfs/bin/text'), 'no program');
  for (const path of ['check', 'bin/found']) chmodSync(join(layout, 'rootfs', path), 0o755);
  writeFileSync(join(layout, 'rootfs/etc/passwd'), 'root:x:0:0::/:/\napp:x:7:8::/:/\n33:x:9:9::/:/\n');
  writeFileSync(join(layout, 'rootfs/etc/group'), 'root:x:0:\ngrp:x:8:\n44:x:10:\n');
  const annotations = [{ name: 'created', value: '2026-01-01T00:00:00Z' }, { name: 'lorem', value: 'ipsum' }];
  writeFileSync(join(layout, 'manifest'), JSON.stringify({
    acKind: 'ImageManifest', acVersion: '0.8.11', name: `example.org/${name}`, annotations,
    labels: [{ name: 'version', value: '0.8.11' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }],
    ...(app === undefined ? {} : { app: { user: '0', group: '0', ...app } }),
  }));
  const aci = join(dir, `${name}.aci`);
  const built = await vmm(['aci', 'build', '--owner-root', layout, aci]);
  expect({ status: built.status, stderr: built.stderr }).toEqual({ status: 0, stderr: '' });
  const imported = await vmm(['image', 'import', '-q', aci], { env });
  expect({ status: imported.status, stderr: imported.stderr }).toEqual({ status: 0, stderr: '' });
  ids.set(name, `sha512-${createHash('sha512').update(gunzipSync(readFileSync(aci))).digest('hex')}`);
}

/** An app of a pod: the image's own app section, or one with these changes. */
function app(name: string, from: string, changes?: Record<string, unknown>, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, image: { id: ids.get(from) }, ...(changes === undefined ? {} : { app: { user: '0', group: '0', ...changes } }), ...more };
}

function manifest(apps: readonly unknown[], more: Record<string, unknown> = {}): string {
  const path = join(dir, 'pod.json');
  writeFileSync(path, JSON.stringify({ acVersion: '0.8.11', acKind: 'PodManifest', apps, ...more }));
  return path;
}

const COMMON = ['--accel', 'wasm', '--cpus', '1', '-m', '256m', '--insecure-options=image'];

async function pod(path: string, ...options: string[]): Promise<{ status: number | null; out: string; err: string }> {
  const { status, stdout, stderr } = await vmm(['run', ...COMMON, ...options, '--pod', path], { env });
  return { status, out: stdout.toString(), err: stderr };
}

const DATABASE = { volumes: [{ name: 'database', kind: 'empty' }] };

test('the validator’s main app and sidekick pass, twice: each run has clean roots and volumes', async () => {
  const path = manifest([app('ace-validator-main', 'ace-validator-main'), app('ace-validator-sidekick', 'ace-validator-sidekick')], DATABASE);
  // On a disk of the app's own, and in a root that is unpacked.
  for (const options of [[], ['--scratch', 'tmpfs']]) {
    const { status, out, err } = await pod(path, ...options);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out.split('\n').sort()).toEqual(['', 'ace-validator-main     | main OK', 'ace-validator-main     | poststop OK', 'ace-validator-main     | prestart OK', 'ace-validator-sidekick | sidekick OK']);
  }
});

test('the metadata service tells manifests as they are, merges annotations, and keeps to its token', async () => {
  const annotations = [{ name: 'lorem', value: 'dolor' }, { name: 'own', value: 'x' }];
  const asks = [['GET', '/pod/annotations'], ['GET', '/pod/manifest'], ['GET', '/apps/one/annotations'], ['GET', '/apps/one/image/manifest'], ['GET', '/apps/two/image/id'], ['GET', '/apps/none/image/id'], ['GET', '/pod/hmac/sign'], ['POST', '/pod/uuid'], ['GET', '/../../pod/uuid'], ['GET', '/pod/uuid/more']];
  const words = asks.flatMap(([method, path]) => ['ask', method as string, path as string, '']);
  const apps = [app('one', 'plain', { exec: ['/check', ...words, 'ask', 'POST', '/pod/hmac/verify', 'content=a&uuid=b&signature=c', 'ask', 'POST', '/pod/hmac/sign', 'x=y'] }, { annotations }), app('two', 'library', { exec: ['/check', 'metadata', 'two'] })];
  const { status, out, err } = await pod(manifest(apps, { annotations: [] }));
  expect({ status, err }).toEqual({ status: 0, err: '' });
  const told = new Map(out.split('\n').flatMap((line) => { const [, what, answer] = /^one \| (\w+ \S+): (.*)$/.exec(line) ?? []; return what === undefined ? [] : [[what, answer as string] as const]; }));
  const body = (what: string): unknown => JSON.parse((told.get(what) as string).slice('200 '.length));
  expect(body('GET /pod/annotations')).toEqual([]);
  expect(body('GET /pod/manifest')).toMatchObject({ acKind: 'PodManifest', annotations: [], apps: [{ name: 'one', image: { id: ids.get('plain') } }, { name: 'two', image: { id: ids.get('library') } }] });
  expect(body('GET /apps/one/annotations')).toEqual([{ name: 'created', value: '2026-01-01T00:00:00Z' }, ...annotations]);
  expect(body('GET /apps/one/image/manifest')).toEqual(JSON.parse(readFileSync(join(dir, 'plain/manifest'), 'utf8')));
  expect(Object.fromEntries([...told].filter(([, answer]) => !answer.startsWith('200 ['  ) && !answer.startsWith('200 {')))).toEqual({
    'GET /apps/two/image/id': `200 ${ids.get('library')}`, 'GET /apps/none/image/id': '404 not found', 'GET /pod/hmac/sign': '405 GET is not allowed here', 'POST /pod/uuid': '405 POST is not allowed here',
    'GET /../../pod/uuid': '404 not found', 'GET /pod/uuid/more': '404 not found', 'POST /pod/hmac/verify': '400 uuid is missing, or no UUID', 'POST /pod/hmac/sign': '400 content is missing',
  });
});

test('five apps share a volume and see its files; the last to end is not the last that was started', async () => {
  const names = ['one', 'two', 'three', 'four', 'five'];
  const apps = names.map((name, index) => app(name, 'plain', { exec: ['/check', ...names.slice(index + 1, index + 2).flatMap((next) => ['await', `/shared/${next}`]), 'touch', `/shared/${name}`, 'environment', name] }, { mounts: [{ volume: 'shared', path: '/shared' }] }));
  const { status, out, err } = await pod(manifest(apps, { volumes: [{ name: 'shared', kind: 'empty' }] }));
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(out.split('\n').sort()).toEqual(['', 'five  | touch OK', 'four  | await OK', 'one   | await OK', 'three | await OK', 'two   | await OK']);
});

test('users and groups: a name of digits before the number, a path’s owner, supplementary groups; the command by PATH', async () => {
  const check = (user: string, group: string, ...words: string[]) => ({ exec: ['found', 'ids', ...words], user, group });
  const apps = [
    app('named', 'plain', { ...check('app', 'grp', '7', '8', '8,20,21'), supplementaryGIDs: [20, 21] }),
    app('digits', 'plain', check('33', '44', '9', '10', '10')),
    app('numbers', 'plain', check('1000', '1001', '1000', '1001', '1001')),
    app('owner', 'plain', check('/check', '/etc', '0', '0', '0')),
  ];
  const { status, out, err } = await pod(manifest(apps));
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(out.split('\n').sort()).toEqual(['', 'digits  | ids OK', 'named   | ids OK', 'numbers | ids OK', 'owner   | ids OK']);
});

test('isolators and a read-only root: limits, capabilities, filter; a volume stays writable there', async () => {
  const volumes = [{ name: 'data', kind: 'empty', mode: '1777', uid: 5, gid: 6 }, { name: 'host', kind: 'host', source: join(dir, 'plain/rootfs/etc'), readOnly: true }, { name: 'file', kind: 'host', source: join(dir, 'plain/rootfs/etc/group') }];
  const one = app('limited', 'plain', {
    exec: ['/check', 'linux', 'read-only', '/', 'mode', '/new/data', '1777', '5', '6', 'writable', '/new/data', 'read-only', '/full', 'line', '/full/group', 'root:x:0:', 'line', '/a-file', 'root:x:0:', 'line', '/sys/fs/cgroup/memory.max', '104857600', 'line', '/sys/fs/cgroup/cpu.max', '50000 100000',
      'status', 'CapBnd', '0000000000000420', 'status', 'NoNewPrivs', '1', 'status', 'Seccomp', '2', 'line', '/proc/self/oom_score_adj', '77', 'ids', '0', '0', '0'],
    isolators: Object.entries({
      'resource/memory': { limit: '100Mi' }, 'resource/cpu': { limit: '500m' }, 'os/linux/oom-score-adj': 77, 'os/linux/no-new-privileges': true,
      'os/linux/capabilities-retain-set': { set: ['CAP_KILL', 'CAP_NET_BIND_SERVICE'] }, 'os/linux/seccomp-remove-set': { set: ['mkdir'], errno: 'ENOSYS' },
    }).map(([name, value]) => ({ name, value })),
  }, { readOnlyRootFS: true, mounts: [{ volume: 'data', path: '/new/data' }, { volume: 'host', path: '/full' }, { volume: 'file', path: '/a-file' }] });
  expect(await pod(manifest([one], { volumes }))).toEqual({ status: 0, out: 'linux OK\n', err: '' });
  expect(existsSync(join(dir, 'plain/rootfs/etc/trial'))).toBe(false);
});

test('an app that writes to its root, a volume without a mount, and an image by name', async () => {
  const host = mkdtempSync(join(dir, 'host-'));
  const entry = { name: 'app', image: { name: 'example.org/plain', labels: [{ name: 'version', value: '0.8.11' }] }, app: { user: '0', group: '0', exec: ['/check', 'writable', '/', 'writable', '/here', 'mount', '/here', 'rw'], mountPoints: [{ name: 'here', path: '/here' }] } };
  expect(await pod(manifest([entry], { volumes: [{ name: 'here', kind: 'host', source: host }] }))).toEqual({ status: 0, out: 'writable OK\n', err: '' });
  expect(readdirSync(host)).toEqual(['trial']);
});

test('the status is that of the first app that does not end with 0, which ends the others; lines stay whole', async () => {
  const waits = app('waits', 'plain', { exec: ['/check', 'until-term'] });
  const mount = { mounts: [{ volume: 'v', path: '/v' }] };
  const volumes = { volumes: [{ name: 'v', kind: 'empty' }] };
  const wait = app('waits', 'plain', { exec: ['/check', 'touch', '/v/there', 'write', 'no end', 'until-term'] }, mount);
  const first = await pod(manifest([wait, app('ends', 'plain', { exec: ['/check', 'await', '/v/there', 'exit', '7'] }, mount)], volumes));
  expect(first.status).toBe(7);
  expect(first.out.split('\n')[0]).toBe('waits | no endwaiting');
  expect((await pod(manifest([app('ends', 'plain', { exec: ['/check', 'signal', '9'] })]))).status).toBe(137);
  const missing = await pod(manifest([waits, app('ends', 'plain', { exec: ['missing'] })]));
  expect({ status: missing.status, err: missing.err }).toEqual({ status: 127, err: expect.stringMatching(/^vmm: [^\n]*missing[^\n]* \[AGENT_COMMAND_NOT_FOUND\]\n$/) });
  expect((await pod(manifest([app('ends', 'plain', { exec: ['/bin/text'] })]))).status).toBe(126);
});

test('a pre-start handler that fails keeps its app from starting; isolators that are not enforced are a line each', async () => {
  const isolators = [{ name: 'resource/block-iops', value: { default: true, limit: '1' } }, { name: 'example.org/strange', value: 1 }];
  const path = manifest([app('app', 'plain', { exec: ['/check', 'say', 'ran'], isolators, eventHandlers: [{ name: 'pre-start', exec: ['/check', 'exit', '3'] }] })]);
  const { status, out, err } = await pod(path);
  expect({ status, out }).toEqual({ status: 125, out: '' });
  expect(err).toBe('vmm: app app: isolator resource/block-iops is not enforced\nvmm: app app: isolator example.org/strange is not known and not enforced\nvmm: app app: its pre-start handler ended with 3 (its output says more) [POD_APP]\n');
  expect(await pod(path, '--strict-isolators')).toEqual({ status: 125, out: '', err: `vmm: ${path}: app app: isolator resource/block-iops is not enforced (--strict-isolators refuses what is not enforced) [POD_APP]\n` });
});

test('SIGTERM ends the apps in order, post-stop handlers run, and empty volumes go; SIGKILL leaves none either', async () => {
  const path = manifest([app('app', 'plain', { exec: ['/check', 'until-term'], eventHandlers: [{ name: 'post-stop', exec: ['/check', 'say', 'after'] }], mountPoints: [{ name: 'v', path: '/v' }] })]);
  for (const [signal, end] of [['SIGTERM', 'waiting\nasked to end\nuntil-term OK\nafter\nsay OK\n'], ['SIGKILL', 'waiting\n']] as const) {
    const child = spawn(process.execPath, ['--', BIN, 'run', ...COMMON, '-q', '--pod', path], { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const limit = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (out === '') child.kill(signal);
      out += chunk.toString();
    });
    const [status, by] = (await once(child, 'close')) as [number | null, string | null];
    clearTimeout(limit);
    expect({ status, by, out }).toEqual(signal === 'SIGTERM' ? { status: 0, by: null, out: end } : { status: null, by: 'SIGKILL', out: end });
    await expect.poll(() => readdirSync(join(dir, 'tmp')), { timeout: HANG_MS }).toEqual([]);
  }
});

/** What is refused before a machine is made: the manifest, and the line. */
const BAD: readonly { readonly what: string; readonly path: () => string; readonly line: RegExp; readonly options: readonly string[] }[] = ([
  ['no JSON', () => raw('{'), /pod\.json: .*JSON.*\[ACI_MANIFEST\]/],
  ['another kind', () => raw('{"acKind":"ImageManifest","acVersion":"0.8.11"}'), /pod\.json: acKind: .*\[ACI_MANIFEST\]/],
  ['no apps', () => manifest([]), /the pod has no apps.*\[POD_APP\]/],
  ['a name that is none', () => manifest([app('No', 'plain')]), /apps\[0\]\.name: "No" .*\[ACI_MANIFEST\]/],
  ['a path for a name', () => manifest([app('../x', 'plain')]), /apps\[0\]\.name: .*\[ACI_MANIFEST\]/],
  ['two apps of one name', () => manifest([app('a', 'plain'), app('a', 'plain')]), /apps: has two of "a".*\[ACI_MANIFEST\]/],
  ['an id that is none', () => manifest([{ name: 'a', image: { id: 'plain' } }]), /image\.id: "plain" is no image id.*\[ACI_MANIFEST\]/],
  ['neither id nor name', () => manifest([{ name: 'a', image: {} }]), /image\.id: is missing.*\[ACI_MANIFEST\]/],
  ['an unknown id', () => manifest([{ name: 'a', image: { id: `sha512-${'0'.repeat(64)}` } }]), /app a: no app container image sha512-0+ in the store.*\[IMAGE_NOT_FOUND\]/],
  ['an id that fits several', () => manifest([{ name: 'a', image: { id: 'sha512-' } }]), /\[(IMAGE_AMBIGUOUS|ACI_MANIFEST)\]/],
  ['an id of another name', () => manifest([{ name: 'a', image: { id: ids.get('plain'), name: 'example.org/other' } }]), /image\.id names example\.org\/plain,.*not example\.org\/other.*\[IMAGE_NOT_FOUND\]/],
  ['another version', () => manifest([{ name: 'a', image: { name: 'example.org/plain', labels: [{ name: 'version', value: '9.9.9' }] } }]), /no app container image example\.org\/plain,version=9\.9\.9 .*\[IMAGE_NOT_FOUND\]/],
  ['an image without an app', () => manifest([app('a', 'library')]), /app a: neither the pod nor the image example\.org\/library says what to run.*\[POD_APP\]/],
  ['no command', () => manifest([app('a', 'plain', { exec: [] })]), /app a: exec is empty.*\[POD_APP\]/],
  ['a missing volume', () => manifest([app('a', 'plain', undefined, { mounts: [{ volume: 'gone', path: '/x' }] })]), /app a: could not find volume gone.*\[POD_VOLUME\]/],
  ['a missing source', () => manifest([app('a', 'plain', undefined, { mounts: [{ volume: 'v', path: '/x' }] })], { volumes: [{ name: 'v', kind: 'host', source: join(dir, 'missing') }] }), /volume v: .*missing: ENOENT.*\[POD_VOLUME\]/],
  ['a source behind a link', () => linked(), /volume v: .*\/link is a symbolic link.*\[POD_VOLUME\]/],
  ['two volumes in one place', () => manifest([app('a', 'plain', undefined, { mounts: [{ volume: 'v', path: '/x' }, { volume: 'v', path: '/x/' }] })], { volumes: [{ name: 'v', kind: 'empty' }] }), /two volumes are mounted on \/x.*\[POD_VOLUME\]/],
  ['a volume on the root', () => manifest([app('a', 'plain', undefined, { mounts: [{ volume: 'v', path: '/x/..' }] })], { volumes: [{ name: 'v', kind: 'empty' }] }), /cannot be mounted on the root.*\[POD_VOLUME\]/],
  ['an owner that is not there', () => manifest([app('a', 'plain', { exec: ['/check'], user: '/missing' })]), /app a: .*owner of "\/missing".*\[POD_APP\]/],
  ['a user with a group in it', () => manifest([app('a', 'plain', { exec: ['/check'], user: 'app:grp' })]), /app a: "app:grp" is no user or group.*\[POD_APP\]/],
  ['both sets of capabilities', () => manifest([app('a', 'plain', { exec: ['/check'], isolators: ['retain', 'remove'].map((set) => ({ name: `os/linux/capabilities-${set}-set`, value: { set: ['CAP_KILL'] } })) })]), /app a: it has both .*\[POD_APP\]/],
  ['too much memory', () => manifest([app('a', 'plain', { exec: ['/check'], isolators: [{ name: 'resource/memory', value: { limit: '4G' } }] })]), /need 3863 MiB of memory, a machine has at most 3072 MiB.*\[POD_SIZE\]/],
  ['a port of no app', () => manifest([app('a', 'plain')], { ports: [{ name: 'www', hostPort: 8080 }] }), /port www of the pod: no app has a port of that name.*\[POD_APP\]/],
  ['a pod’s isolator, strictly', () => manifest([app('a', 'plain')], { isolators: [{ name: 'os/unix/sysctl', value: { 'net.core.somaxconn': '1' } }] }), /isolator os\/unix\/sysctl of the pod is not enforced.*\[POD_APP\]/, '--strict-isolators'],
  ['a container’s option', () => manifest([app('a', 'plain')]), /--env has no meaning with --pod.*\[USAGE\]/, '--env', 'A=b'],
  ['a part of a processor', () => manifest([app('a', 'plain')]), /--cpus: .*\[USAGE\]/, '--cpus', '0.5'],
] as readonly [string, () => string, RegExp, ...string[]][]).map(([what, path, line, ...options]) => ({ what, path, line, options }));

function raw(text: string): string {
  writeFileSync(join(dir, 'pod.json'), text);
  return join(dir, 'pod.json');
}

function linked(): string {
  rmSync(join(dir, 'link'), { force: true });
  symlinkSync(join(dir, 'plain'), join(dir, 'link'));
  return manifest([app('a', 'plain', undefined, { mounts: [{ volume: 'v', path: '/x' }] })], { volumes: [{ name: 'v', kind: 'host', source: join(dir, 'link/rootfs') }] });
}

test.each(BAD)('$what: one line, status 125', async ({ path, line, options }) => {
  const { status, out, err } = await pod(path(), ...options);
  expect({ status, out, lines: err.split('\n').length }).toEqual({ status: 125, out: '', lines: 2 });
  expect(err).toMatch(line);
});

test('a user that the image does not know, and an image that nobody has signed', async () => {
  const path = manifest([app('a', 'plain', { exec: ['/check'], user: 'nobody-here' })]);
  const { status, err } = await pod(path);
  expect({ status, err }).toEqual({ status: 125, err: expect.stringMatching(/^vmm: [^\n]*nobody-here[^\n]*\[AGENT_USER\]\n$/) });
  const unsigned = await vmm(['run', '--accel', 'wasm', '--pod', manifest([app('a', 'plain')])], { env });
  expect({ status: unsigned.status, err: unsigned.stderr }).toEqual({ status: 125, err: expect.stringMatching(/^vmm: [^\n]*app a: the image example\.org\/plain is not signed[^\n]*\[ACI_UNSIGNED\]\n$/) });
  expect((await vmm(['run', '--accel', 'wasm', '--strict-isolators', 'x'], { env })).stderr).toMatch(/^vmm: --strict-isolators is for pods.*\[USAGE\]\n$/);
});

test('the manifest may come by standard input, and an id may be cut short', async () => {
  const id = ids.get('plain')?.slice(0, 'sha512-'.length + 64);
  const stdin = readFileSync(manifest([{ name: 'app', image: { id } }]));
  const { status, stdout, stderr } = await vmm(['run', ...COMMON, '--pod', '-'], { env, stdin });
  expect({ status, out: stdout.toString(), err: stderr }).toEqual({ status: 0, out: 'hello\nsay OK\n', err: '' });
});

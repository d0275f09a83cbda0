/** Pushes, referrers and configured registries, against Debian's docker-registry with skopeo as the other client. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmmError } from '../../../base/errors.ts';
import { findReferrers, listTags } from '../../../image/look.ts';
import { pullByPolicy, pullImage } from '../../../image/pull.ts';
import { pushImage } from '../../../image/push.ts';
import { isPrivateAddress } from '../../../image/registry/addresses.ts';
import { expandAlias, registriesConf, ruleFor } from '../../../image/registry/registries-conf.ts';
import { importImage } from '../../../image/resolve.ts';
import { keptManifest } from '../../../image/store/blobs.ts';
import { changeStore, pruneStore } from '../../../image/store/change.ts';
import { storePaths } from '../../../image/store/paths.ts';
import type { ImageRecord } from '../../../image/store/record.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { type Registry, startRegistry } from '../../support/images/registry.ts';
import { configOf, FLAT, filesOf, type Layer, LAYERS, Layout, tarOf } from '../image/forms.ts';
import { expectClean } from '../image/store-program.ts';
import { dir, file, scratch } from '../image/support.ts';

const FOLDER = scratch();
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
const newStore = (): ImageStore => new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') }), hostFs);
/** Nobody's home, and no configuration of the system's. */
const NO_CONF = join(FOLDER, 'none.conf');
const env = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({ HOME: folder(), PATH: process.env['PATH'] ?? '', CONTAINERS_REGISTRIES_CONF: NO_CONF, ...more });
const layers = LAYERS.map((tar) => ({ tar, compression: 'gzip' as const }));
const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const stopped: (() => void)[] = [];
afterAll(() => {
  for (const stop of stopped) stop();
});

async function registry(options: Parameters<typeof startRegistry>[1] = {}): Promise<Registry> {
  const started = await startRegistry(FOLDER, options);
  stopped.push(() => started.stop());
  return started;
}

async function skopeo(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('skopeo', args, { encoding: 'utf8', timeout: 60_000, env: { PATH: process.env['PATH'], HOME: FOLDER, TMPDIR: '/tmp' } });
  return stdout;
}

function layout(more: Record<string, unknown> = {}, of: readonly Layer[] = layers): { path: string; digest: string } {
  const made = new Layout(folder());
  const manifest = made.manifest(of, configOf(of, more));
  return { path: made.add(manifest, 'latest').write(), digest: manifest.digest };
}

async function failure(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    const { code, message, hint } = error as VmmError;
    expect(message).not.toContain('\n');
    return `${code} ${message} (${hint})`;
  }
  return 'no error';
}

/** A proxy in front of a registry that breaks each connection after so many bytes of one direction, so many times. */
async function cutter(port: number, direction: 'up' | 'down', bytes: () => number, times: number): Promise<{ port: number; cuts(): number }> {
  let cuts = 0;
  const server = createServer((from) => {
    const to = connect(port, '127.0.0.1');
    let left = cuts < times ? bytes() : Number.POSITIVE_INFINITY;
    const pass = (chunk: Buffer, other: typeof from, counted: boolean): void => {
      if (counted) left -= chunk.length;
      if (left > 0) {
        other.write(chunk);
        return;
      }
      if (!to.destroyed) cuts++;
      other.end(chunk.subarray(0, Math.max(0, chunk.length + left)), () => {
        from.destroy();
        to.destroy();
      });
    };
    from.on('data', (chunk) => pass(chunk, to, direction === 'up'));
    to.on('data', (chunk) => pass(chunk, from, direction === 'down'));
    for (const [one, other] of [[from, to], [to, from]] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  stopped.push(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return { port: (server.address() as AddressInfo).port, cuts: () => cuts };
}

describe('push', () => {
  let port: number;
  beforeAll(async () => {
    ({ port } = await registry());
  });

  it('what was pulled is pushed with the digest that it came with, and skopeo reads it', async () => {
    const store = newStore();
    const { path, digest } = layout();
    await skopeo('copy', '-q', '--preserve-digests', '--dest-tls-verify=false', `oci:${path}:latest`, `docker://127.0.0.1:${port}/from/a:1`);
    await pullImage(`127.0.0.1:${port}/from/a:1`, { store, env: env() });
    const target = `127.0.0.1:${port}/to/b:2`;
    expect(await pushImage(store, `127.0.0.1:${port}/from/a:1`, target, { env: env() })).toMatchObject({ name: target, digest });
    expect(sha256(Buffer.from(await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${target}`)))).toBe(digest);
    const out = folder();
    await skopeo('copy', '-q', '--insecure-policy', '--src-tls-verify=false', `docker://${target}`, `dir:${out}`);
    const again = newStore();
    const { record } = await importImage(`dir:${out}`, { store: again }, ['x:1']);
    expect(filesOf(again.rootfsPath(record.rootfs))).toEqual(FLAT);
  });

  it.each(['zstd', 'plain'] as const)('%s layers and schema 2 go as they are', async (compression) => {
    const store = newStore();
    const { path, digest } = layout({}, LAYERS.map((tar) => ({ tar, compression })));
    await importImage(`oci:${path}:latest`, { store }, ['mine:1']);
    expect((await pushImage(store, 'mine:1', `127.0.0.1:${port}/as/${compression}:1`, { env: env() })).digest).toBe(digest);
    const schema2 = folder();
    await skopeo('copy', '-q', '--insecure-policy', '--format', 'v2s2', `oci:${layout().path}:latest`, `dir:${schema2}`);
    await importImage(`dir:${schema2}`, { store }, ['two:1']);
    expect((await pushImage(store, 'two:1', `127.0.0.1:${port}/as/${compression}-v2s2:1`, { env: env() })).digest).toBe(sha256(readFileSync(join(schema2, 'manifest.json'))));
  });

  it('a directory is pushed as one layer, and runs the same elsewhere', async () => {
    const store = newStore();
    const from = folder();
    mkdirSync(join(from, 'etc'));
    writeFileSync(join(from, 'etc/text'), 'hello');
    const { record } = await importImage(`dir:${from}`, { store, host: hostFs }, ['tree:1']);
    const notes: string[] = [];
    const { name } = await pushImage(store, 'tree:1', `127.0.0.1:${port}/tree/a:1`, { env: env(), note: (text) => notes.push(text) });
    expect(notes.join()).toMatch(/one layer/);
    const other = newStore();
    const pulled = await pullImage(name, { store: other, env: env() });
    expect(filesOf(other.rootfsPath(pulled.record.rootfs))).toEqual(filesOf(store.rootfsPath(record.rootfs)));
    expectClean(other);
  });

  it('a blob that another repository of the registry has is not sent again', async () => {
    const store = newStore();
    const noise = [{ tar: tarOf(dir({ data: file(randomBytes(300_000)) })), compression: 'gzip' as const }];
    await importImage(`oci:${layout({}, noise).path}:latest`, { store }, [`127.0.0.1:${port}/first/a:1`]);
    const methods: string[] = [];
    const spy = http.createServer((request, response) => {
      methods.push(`${request.method} ${request.url?.split('?')[0]}${request.url?.includes('mount=') ? ' mount' : ''}`);
      const up = http.request({ host: '127.0.0.1', port, method: request.method, path: request.url, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      request.pipe(up);
    }).listen(0, '127.0.0.1');
    stopped.push(() => void spy.close(() => {}));
    await new Promise((resolve) => spy.once('listening', resolve));
    const at = `127.0.0.1:${(spy.address() as AddressInfo).port}`;
    const id = store.find(`127.0.0.1:${port}/first/a:1`)?.id as string;
    await changeStore(store, (change) => change.setName(`${at}/first/a:1`, id));
    await pushImage(store, `${at}/first/a:1`, undefined, { env: env() });
    expect(methods.filter((method) => method.startsWith('PATCH')).length).toBe(2);
    methods.length = 0;
    await pushImage(store, `${at}/first/a:1`, `${at}/second/a:1`, { env: env() });
    expect(methods.filter((method) => method.startsWith('PATCH'))).toEqual([]);
    expect(methods.filter((method) => method.endsWith('mount')).length).toBe(2);
    methods.length = 0;
    await pushImage(store, `${at}/first/a:1`, `${at}/second/a:1`, { env: env() });
    expect(methods.filter((method) => !method.startsWith('HEAD'))).toEqual([`PUT /v2/second/a/manifests/1`]);
    expect(await skopeo('inspect', '--raw', '--tls-verify=false', `docker://127.0.0.1:${port}/second/a:1`)).toContain('layers');
  });

  it('a push whose connections are cut at random places goes on, and arrives whole', async () => {
    const store = newStore();
    const tars = [1, 2, 3].map((i) => ({ tar: tarOf(dir({ [`data${i}`]: file(randomBytes(700_000)) })), compression: 'gzip' as const }));
    const { path, digest } = layout({}, tars);
    await importImage(`oci:${path}:latest`, { store }, ['big:1']);
    const cut = await cutter(port, 'up', () => 20_000 + Math.random() * 600_000, 6);
    expect((await pushImage(store, 'big:1', `127.0.0.1:${cut.port}/big/a:1`, { env: env() })).digest).toBe(digest);
    expect(cut.cuts()).toBeGreaterThan(1);
    await skopeo('copy', '-q', '--insecure-policy', '--src-tls-verify=false', `docker://127.0.0.1:${port}/big/a:1`, `dir:${folder()}`);
  });

  it.each([['basic', { htpasswd: { user: 'me', password: 'pass-7' } }], ['token', { token: { user: 'me', password: 'pass-7' } }]] as const)('%s authentication lets who has a login push, nobody else', async (kind, options) => {
    const { port: at, tokens } = await registry(options);
    const store = newStore();
    await importImage(`oci:${layout().path}:latest`, { store }, ['mine:1']);
    expect(await failure(() => pushImage(store, 'mine:1', `127.0.0.1:${at}/p/a:1`, { env: env() }))).toMatch(/^REGISTRY_DENIED /);
    const auth = join(folder(), 'auth.json');
    writeFileSync(auth, JSON.stringify({ auths: { [`127.0.0.1:${at}`]: { auth: Buffer.from('me:pass-7').toString('base64') } } }));
    await pushImage(store, 'mine:1', `127.0.0.1:${at}/p/a:1`, { env: env({ REGISTRY_AUTH_FILE: auth }) });
    if (kind === 'token') expect(tokens.some((line) => /repository:p\/a:(pull,push|push,pull) user/.test(line))).toBe(true);
    expect(await listTags(`127.0.0.1:${at}/p/a`, env({ REGISTRY_AUTH_FILE: auth }))).toEqual(['1']);
  });

  it('what cannot be pushed is told in one line', async () => {
    const store = newStore();
    await importImage(`oci:${layout().path}:latest`, { store }, ['mine:1']);
    const push = (target: string): Promise<string> => failure(() => pushImage(store, 'mine:1', target, { env: env(), idleMs: 300 }));
    expect(await failure(() => pushImage(store, 'nothing', undefined, { env: env() }))).toMatch(/^IMAGE_NOT_FOUND no image nothing/);
    expect(await push(`127.0.0.1:${port}/a@sha256:${'a'.repeat(64)}`)).toMatch(/^USAGE .*needs a tag/);
    expect(await push('127.0.0.1:1/a:1')).toMatch(/^REGISTRY_CONNECT /);
    expect(await push('UPPER/a:1:2')).toMatch(/^IMAGE_REFERENCE /);
    // A layer that was damaged in the store: the registry does not take it. Without its manifest the image is not passed off as another.
    const kept = keptManifest(store.paths, store.find('mine:1') as ImageRecord);
    const damage = (digest: string): void => {
      const path = join(store.paths.blobs, digest.slice(7));
      const bytes = readFileSync(path);
      bytes[30] = (bytes[30] as number) ^ 0xff;
      writeFileSync(path, bytes);
    };
    damage(kept?.layers[0]?.digest as string);
    expect(await push(`127.0.0.1:${port}/damaged/a:1`)).toMatch(/^REGISTRY_ANSWER .*answers 400/);
    damage(kept?.digest as string);
    expect(await push(`127.0.0.1:${port}/damaged/a:1`)).toMatch(/^IMAGE_NOT_FOUND the layers of .* are not in the store/);
  });
});

describe('a pull that an earlier process has begun', () => {
  it('goes on where that one ended, by a range; prune takes what nobody goes on with', async () => {
    const { port } = await registry();
    const noise = [{ tar: tarOf(dir({ data: file(randomBytes(900_000)) })), compression: 'gzip' as const }];
    await skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout({}, noise).path}:latest`, `docker://127.0.0.1:${port}/a/b:1`);
    const store = newStore();
    const first = await cutter(port, 'down', () => 300_000, 1000);
    expect(await failure(() => pullImage(`127.0.0.1:${first.port}/a/b:1`, { store, env: env() }))).toBe('no error');
    const other = newStore();
    const ranges: string[] = [];
    const manifests = JSON.parse(await skopeo('inspect', '--raw', '--tls-verify=false', `docker://127.0.0.1:${port}/a/b:1`)) as { layers: { digest: string; size: number }[] };
    const { digest, size } = manifests.layers[0] as { digest: string; size: number };
    const front = http.createServer((request, response) => {
      if (request.url?.endsWith(digest)) ranges.push(request.headers.range ?? '-');
      http.get({ host: '127.0.0.1', port, path: request.url, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
    }).listen(0, '127.0.0.1');
    stopped.push(() => void front.close(() => {}));
    await new Promise((resolve) => front.once('listening', resolve));
    const at = `127.0.0.1:${(front.address() as AddressInfo).port}/a/b:1`;
    const whole = readFileSync(join(store.paths.blobs, digest.slice(7)));
    await changeStore(other, () => {});
    const partial = join(other.paths.partial, digest.slice(7));
    writeFileSync(partial, whole.subarray(0, 500_000));
    await pullImage(at, { store: other, env: env() });
    expect(ranges).toEqual(['bytes=500000-']);
    expectClean(other);
    // What is there whole is not asked for; what is there and wrong comes again.
    for (const [left, wanted] of [[whole, []], [Buffer.alloc(size), ['-']], [Buffer.concat([whole, whole]), ['-']]] as const) {
      ranges.length = 0;
      const next = newStore();
      await changeStore(next, () => {});
      writeFileSync(join(next.paths.partial, digest.slice(7)), left);
      await pullImage(at, { store: next, env: env() });
      expect(ranges).toEqual(wanted);
      expectClean(next);
    }
    // The beginning of another file: found out at the end, and the next pull begins anew.
    const bad = newStore();
    await changeStore(bad, () => {});
    writeFileSync(join(bad.paths.partial, digest.slice(7)), Buffer.alloc(400_000));
    expect(await failure(() => pullImage(at, { store: bad, env: env() }))).toMatch(/^IMAGE_DIGEST /);
    await pullImage(at, { store: bad, env: env() });
    writeFileSync(join(bad.paths.partial, digest.slice(7)), 'x');
    await pruneStore(bad, false);
    expectClean(bad);
  });

  it('two pulls of one image at once both work', async () => {
    const { port } = await registry();
    await skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout().path}:latest`, `docker://127.0.0.1:${port}/a/b:1`);
    const store = newStore();
    const pulls = await Promise.all([1, 2, 3, 4].map(() => pullImage(`127.0.0.1:${port}/a/b:1`, { store, env: env() })));
    expect(new Set(pulls.map(({ record }) => record.id)).size).toBe(1);
    await pruneStore(store, false);
    expectClean(store);
  });
});

it('--pull newer asks for the digest, and fetches when it is another one', async () => {
  const { port } = await registry();
  const name = `127.0.0.1:${port}/a/b:1`;
  const put = (more: Record<string, unknown>): Promise<string> => skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout(more).path}:latest`, `docker://${name}`);
  const store = newStore();
  const newer = async (): Promise<string> => (await pullByPolicy(name, store.find(name), 'newer', { store, env: env() })).id;
  await put({});
  const first = await newer();
  const pulledAt = readFileSync(join(store.paths.names, createHash('sha256').update(name).digest('hex')));
  expect(await newer()).toBe(first);
  expect(readFileSync(join(store.paths.names, createHash('sha256').update(name).digest('hex')))).toEqual(pulledAt);
  await put({ author: 'other' });
  expect(await newer()).not.toBe(first);
});

describe('referrers', () => {
  it('are found by the tag that stands in for the API, which docker-registry has not', async () => {
    const { port } = await registry();
    const { path, digest } = layout();
    await skopeo('copy', '-q', '--preserve-digests', '--dest-tls-verify=false', `oci:${path}:latest`, `docker://127.0.0.1:${port}/a/b:1`);
    expect(await findReferrers(`127.0.0.1:${port}/a/b:1`, env())).toEqual([]);
    const index = Buffer.from(JSON.stringify({
      schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 7, artifactType: 'application/x.sig', annotations: { a: 'b' } }],
    }));
    const put = await fetch(`http://127.0.0.1:${port}/v2/a/b/manifests/${digest.replace(':', '-')}`, { method: 'PUT', body: index, headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' } });
    expect(put.status).toBe(201);
    expect(await findReferrers(`127.0.0.1:${port}/a/b:1`, env())).toMatchObject([{ digest, size: 7, artifactType: 'application/x.sig', annotations: new Map([['a', 'b']]) }]);
  });

  it('are found by the API where there is one', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const server = http.createServer((request, response) => {
      if (request.url?.startsWith('/v2/a/b/referrers/')) response.writeHead(200, { 'content-type': 'application/vnd.oci.image.index.v1+json' }).end(JSON.stringify({ manifests: [{ mediaType: 'x/y', digest, size: 1 }] }));
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    stopped.push(() => void server.close(() => {}));
    await new Promise((resolve) => server.once('listening', resolve));
    expect(await findReferrers(`127.0.0.1:${(server.address() as AddressInfo).port}/a/b@${digest}`, env())).toMatchObject([{ digest, mediaType: 'x/y', artifactType: undefined }]);
  });
});

describe('registries.conf', () => {
  const conf = (text: string): Record<string, string> => {
    const path = join(folder(), 'registries.conf');
    writeFileSync(path, text);
    return env({ CONTAINERS_REGISTRIES_CONF: path });
  };

  it('mirrors are asked first, each with its own name for the repository, and the registry itself after them', async () => {
    const [one, two] = [await registry(), await registry()];
    const { path, digest } = layout();
    await skopeo('copy', '-q', '--preserve-digests', '--dest-tls-verify=false', `oci:${path}:latest`, `docker://127.0.0.1:${one.port}/cache/hub/library/demo:1`);
    await skopeo('copy', '-q', '--preserve-digests', '--dest-tls-verify=false', `oci:${path}:latest`, `docker://127.0.0.1:${two.port}/moved/x:1`);
    const text = `
[[registry]]
prefix = "docker.io"
location = "127.0.0.1:${two.port}/hub"
[[registry.mirror]]
location = "127.0.0.1:9"
[[registry.mirror]]
location = "127.0.0.1:${one.port}/cache/hub"
[[registry]]
prefix = "docker.io/library/other"
location = "127.0.0.1:${two.port}/moved/x"
[[registry]]
location = "bad.example"
blocked = true
[aliases]
"short" = "docker.io/library/demo"
`;
    const store = newStore();
    expect(await pullImage('demo:1', { store, env: conf(text) })).toMatchObject({ name: 'docker.io/library/demo:1', digest });
    expect(await pullImage('other:1', { store: newStore(), env: conf(text) })).toMatchObject({ name: 'docker.io/library/other:1', digest });
    // The mirror has none of it, nor has the registry: its own word is told.
    expect(await failure(() => pullImage('nothing:1', { store: newStore(), env: conf(text) }))).toMatch(/^IMAGE_NOT_FOUND .*127\.0\.0\.1:\d+\/hub\/library\/nothing/);
    expect(await failure(() => pullImage('bad.example/a/b:1', { store: newStore(), env: conf(text) }))).toMatch(/^REGISTRY_BLOCKED bad\.example is blocked/);
    // An alias, and what a later run looks for.
    const aliased = newStore();
    expect(await pullImage('short:1', { store: aliased, env: conf(text) })).toMatchObject({ name: 'docker.io/library/demo:1' });
    expect(aliased.find('short:1')?.id).toBe(aliased.find('docker.io/library/demo:1')?.id);
  });

  it('a mirror for digests is asked for digests only', async () => {
    const { port } = await registry();
    const { path, digest } = layout();
    await skopeo('copy', '-q', '--preserve-digests', '--dest-tls-verify=false', `oci:${path}:latest`, `docker://127.0.0.1:${port}/m/demo:1`);
    const text = `[[registry]]\nlocation = "127.0.0.1:9"\n[[registry.mirror]]\nlocation = "127.0.0.1:${port}/m"\npull-from-mirror = "digest-only"\n`;
    expect(await failure(() => pullImage('127.0.0.1:9/demo:1', { store: newStore(), env: conf(text) }))).toMatch(/^REGISTRY_CONNECT 127\.0\.0\.1:9 /);
    expect(await pullImage(`127.0.0.1:9/demo@${digest}`, { store: newStore(), env: conf(text) })).toMatchObject({ digest });
  });

  it('a registry that is marked insecure may have any certificate', async () => {
    const { port } = await registry({ tls: '0.0.0.0' });
    await skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout().path}:latest`, `docker://0.0.0.0:${port}/a/b:1`);
    expect(await failure(() => pullImage(`0.0.0.0:${port}/a/b:1`, { store: newStore(), env: env() }))).toMatch(/^REGISTRY_TLS /);
    await pullImage(`0.0.0.0:${port}/a/b:1`, { store: newStore(), env: conf(`[[registry]]\nlocation = "0.0.0.0:${port}"\ninsecure = true\n`) });
  });

  it.each([
    ['this is = = not toml', /^REGISTRY_CONFIG .*is not TOML: line 1/],
    ['[registries.search]\nregistries = ["a"]', /^REGISTRY_CONFIG .*version 1/],
    ['[[registry]]\nblocked = true', /^REGISTRY_CONFIG .*neither prefix nor location/],
    ['[[registry]]\nlocation = "http://x/y"', /^REGISTRY_CONFIG .*no place of a registry/],
    ['[[registry]]\nlocation = 7', /^REGISTRY_CONFIG .*not a string/],
    ['[[registry]]\nlocation = "x"\ninsecure = "yes"', /^REGISTRY_CONFIG .*neither true nor false/],
    ['[[registry]]\nlocation = "x"\n[[registry.mirror]]\nlocation = "y"\npull-from-mirror = "maybe"', /^REGISTRY_CONFIG .*maybe/],
  ])('%j is told', async (text, wanted) => {
    expect(await failure(() => pullImage('x:1', { store: newStore(), env: conf(text) }))).toMatch(wanted);
  });

  it('the longest prefix counts, on whole parts; what podman reads here is read alike', async () => {
    const read = await registriesConf(conf(['*.example.com', 'a.example', 'a.example/b', 'a.example:5000'].map((prefix) => `[[registry]]\nprefix = "${prefix}"\nlocation = "x"\n`).join('')));
    const of = (name: string): string | undefined => ruleFor(read, name)?.prefix;
    expect([of('a.example/b/c'), of('a.example/bc'), of('a.example:5000/b'), of('b.example.com/x'), of('example.com/x'), of('evil-example.com/x')]).toEqual(['a.example/b', 'a.example', 'a.example:5000', '*.example.com', undefined, undefined]);
    const text = '[aliases]\n"fedora" = "registry.fedoraproject.org/fedora"\n';
    const aliases = await registriesConf(conf(text));
    expect(['fedora', 'fedora:40', `fedora@sha256:${'a'.repeat(64)}`, 'x/fedora'].map((name) => expandAlias(aliases, name))).toEqual(['registry.fedoraproject.org/fedora', 'registry.fedoraproject.org/fedora:40', `registry.fedoraproject.org/fedora@sha256:${'a'.repeat(64)}`, 'x/fedora']);
  });
});

describe('addresses of this machine and network', () => {
  it.each(['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '::1', '::', 'fe80::1', 'fd00::1', '::ffff:10.0.0.1', '64:ff9b::7f00:1', 'ff02::1', 'fec0::1'])('%s is one', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  });
  it.each(['1.1.1.1', '172.32.0.1', '192.0.2.7', '9.255.255.255', '2606:4700::1', '::ffff:8.8.8.8', '64:ff9b::808:808', 'example.com', ''])('%s is none', (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  });

  it('a public registry may not send us there, nor for a token; one of this network may', async () => {
    const seen: string[] = [];
    const inner = http.createServer((request, response) => {
      seen.push(request.url ?? '');
      response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    const port = await new Promise<number>((resolve) => inner.once('listening', () => resolve((inner.address() as AddressInfo).port)));
    let answer: [number, Record<string, string>] = [307, { location: `http://localhost:${port}/secret` }];
    // A proxy stands for the open internet: nothing is known of the address behind it.
    const proxy = http.createServer((request, response) => {
      if (request.url?.startsWith('http://public.example')) response.writeHead(...answer).end();
      else response.writeHead(502).end();
    }).listen(0, '127.0.0.1');
    const at = await new Promise<number>((resolve) => proxy.once('listening', () => resolve((proxy.address() as AddressInfo).port)));
    stopped.push(() => inner.close(), () => proxy.close());
    const { Http } = await import('../../../image/registry/http.ts');
    const client = new Http({ host: 'public.example', insecure: false, env: { http_proxy: `http://127.0.0.1:${at}` } });
    const own = new URL('http://public.example/v2/');
    const first = await client.send({ method: 'GET', url: own, headers: {} });
    first.body.resume();
    for (const place of [`http://localhost:${port}/secret`, `http://127.0.0.1:${port}/`, 'http://169.254.169.254/latest/meta-data', 'http://[::1]:1/', 'http://[::ffff:10.0.0.1]/']) {
      expect(await failure(() => client.send({ method: 'GET', url: new URL(place), headers: {} }, own))).toMatch(/^REGISTRY_ANSWER a registry sends us to .*address of this machine or network/);
    }
    answer = [401, { 'www-authenticate': `Bearer realm="http://127.0.0.1:${port}/token",service=x` }];
    const { Authorizer } = await import('../../../image/registry/auth.ts');
    const authorizer = new Authorizer(client, 'repository:x:pull', async () => undefined);
    expect(await failure(() => authorizer.answer(own, answer[1]['www-authenticate']))).toMatch(/^REGISTRY_ANSWER /);
    client.close();
    expect(seen).toEqual([]);
    // By the name service, too: a name that leads to this machine.
    const direct = new Http({ host: 'public.example', insecure: false, env: {} });
    const { publicLookup } = await import('../../../image/registry/addresses.ts');
    expect(await failure(() => new Promise((resolve, reject) => publicLookup('localhost', { all: true }, (error, found) => (error === null ? resolve(found) : reject(error)))))).toMatch(/^REGISTRY_ANSWER /);
    direct.close();
  });
});

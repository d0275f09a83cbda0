/** Images from registries: Debian's docker-registry with skopeo as the other client, and servers that lie. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmmError } from '../../../base/errors.ts';
import { pullImage } from '../../../image/pull.ts';
import { parseChallenges } from '../../../image/registry/auth.ts';
import { withRegistry } from '../../../image/registry/endpoints.ts';
import { login, logout } from '../../../image/registry/login.ts';
import { fullName, parseRegistryName } from '../../../image/registry/name.ts';
import { fsckStore } from '../../../image/repair.ts';
import { importImage, resolveImage } from '../../../image/resolve.ts';
import { pruneStore, removeImage } from '../../../image/store/change.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { certificates, type Registry, startRegistry } from '../../support/images/registry.ts';
import { configOf, FLAT, filesOf, LAYERS, Layout, tarOf } from './forms.ts';
import { ended, expectClean, expectWhole, FAULTS, storeProgram } from './store-program.ts';
import { dir, file, pattern, scratch, sha256 } from './support.ts';

const FOLDER = scratch();
const layers = LAYERS.map((tar) => ({ tar, compression: 'gzip' as const }));
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
const newStore = (): ImageStore => new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') }), hostFs);
/** Nobody's home: no logins, no certificates. */
const env = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({ HOME: folder(), PATH: process.env['PATH'] ?? '', ...more });

const stopped: (() => void)[] = [];
afterAll(() => {
  for (const stop of stopped) stop();
});
async function registry(options: Parameters<typeof startRegistry>[1] = {}): Promise<Registry> {
  const started = await startRegistry(FOLDER, options);
  stopped.push(() => started.stop());
  return started;
}

function layout(): Layout {
  const made = new Layout(folder());
  return made.add(made.manifest(layers), 'latest');
}

/** Not synchronous: it may ask servers of this process. */
async function skopeo(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('skopeo', args, { encoding: 'utf8', timeout: 60_000, env: { PATH: process.env['PATH'], HOME: FOLDER, TMPDIR: '/tmp' } });
  return stdout;
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

describe('names', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine:latest'],
    ['debian:12', 'docker.io/library/debian:12'],
    ['owner/image', 'docker.io/owner/image:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest'],
    ['index.docker.io/library/debian', 'docker.io/library/debian:latest'],
    ['ghcr.io/a/b/c:v1.2_3', 'ghcr.io/a/b/c:v1.2_3'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/x:1', 'localhost:5000/x:1'],
    ['[::1]:5000/x', '[::1]:5000/x:latest'],
    ['Host/x', 'Host/x:latest'],
    [`x@sha256:${'a'.repeat(64)}`, `docker.io/library/x@sha256:${'a'.repeat(64)}`],
    [`x:1@sha512:${'a'.repeat(128)}`, `docker.io/library/x@sha512:${'a'.repeat(128)}`],
    ['a__b/c.d-e--f', 'docker.io/a__b/c.d-e--f:latest'],
  ])('%s is %s', (text, full) => {
    expect(fullName(parseRegistryName(text))).toBe(full);
  });

  it.each(['', 'UPPER', 'a b', '-a', 'a/', '/a', 'a//b', 'a:', 'a:-b', 'a@sha256:1', 'a@md5:0', 'host.x/', 'h_st.x/a', 'host:port/a', 'a..b', 'a___b', 'a'.repeat(300), 'a\u001b[m', '../x', 'a:b:c', 'http://x/y', `a@sha256:${'A'.repeat(64)}`])('%j is none', async (text) => {
    expect(await failure(async () => parseRegistryName(text))).toMatch(/^IMAGE_REFERENCE /);
  });

  it('challenges are read however they are written', () => {
    const show = (header: string): unknown => parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);
    expect(show('Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"')).toEqual([['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:a:pull,push' }]]);
    expect(show('Basic realm="a \\"b\\"", BEARER realm = x , service=y')).toEqual([['basic', { realm: 'a "b"' }], ['bearer', { realm: 'x', service: 'y' }]]);
    expect(show('Negotiate, Digest abc==, Basic realm=x')).toEqual([['negotiate', {}], ['digest', {}], ['basic', { realm: 'x' }]]);
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => Array.isArray(parseChallenges(text))), { numRuns: process.env['VMM_LONG'] === '1' ? 1_000_000 : 2000 });
  });
});

describe('a registry without a login', () => {
  let port: number;
  beforeAll(async () => {
    ({ port } = await registry());
    await skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout().write()}:latest`, `docker://127.0.0.1:${port}/a/oci:1`);
    await skopeo('copy', '-q', '--dest-tls-verify=false', '--format', 'v2s2', `oci:${layout().write()}:latest`, `docker://127.0.0.1:${port}/a/schema2:1`);
    const other = new Layout(folder());
    other.add(other.manifest([{ tar: LAYERS[0] as Buffer, compression: 'zstd' }, { tar: LAYERS[1] as Buffer }]), 'latest');
    await skopeo('copy', '-q', '--preserve-digests', '--dest-tls-verify=false', `oci:${other.write()}:latest`, `docker://127.0.0.1:${port}/a/other:1`);
    const many = new Layout(folder());
    const arm = many.manifest(layers.slice(0, 1), configOf(layers.slice(0, 1), { architecture: 'arm64' }));
    const amd = many.manifest(layers);
    const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [{ ...arm, platform: { os: 'linux', architecture: 'arm64' } }, { ...amd, platform: { os: 'linux', architecture: 'amd64' } }] };
    const digest = many.blob(index);
    many.add({ mediaType: index.mediaType, digest, size: many.sizeOf(digest) }, 'latest');
    await skopeo('copy', '-q', '--all', '--dest-tls-verify=false', `oci:${many.write()}:latest`, `docker://127.0.0.1:${port}/a/many:1`);
  });

  it.each(['oci', 'schema2', 'other', 'many'])('%s: what skopeo copied there is pulled, with the digest that skopeo sees', async (name) => {
    const store = newStore();
    const reference = `127.0.0.1:${port}/a/${name}:1`;
    const pulled = await pullImage(reference, { store, env: env() });
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${reference}`);
    expect(pulled.digest).toBe(`sha256:${sha256(Buffer.from(raw))}`);
    expect(pulled.name).toBe(reference);
    expect(filesOf(store.rootfsPath(pulled.record.rootfs))).toEqual(FLAT);
    expect(pulled.record.config.cmd).toEqual(['/bin/sh']);
    const byDigest = await pullImage(`127.0.0.1:${port}/a/${name}@${pulled.digest}`, { store, env: env() });
    expect(byDigest.record.id).toBe(pulled.record.id);
    expect(store.find(`127.0.0.1:${port}/a/${name}@${pulled.digest}`)?.id).toBe(pulled.record.id);
    expectClean(store);
  });

  it('a pull of what is there fetches no layer', async () => {
    const store = newStore();
    await pullImage(`127.0.0.1:${port}/a/oci:1`, { store, env: env() });
    const stages = new Set<string>();
    await pullImage(`127.0.0.1:${port}/a/oci:1`, { store, env: env(), progress: ({ stage }) => stages.add(stage) });
    expect([...stages]).toEqual([]);
  });

  it('a run asks as --pull says', async () => {
    const store = newStore();
    const image = `127.0.0.1:${port}/a/oci:1`;
    const code = (pull: 'always' | 'missing' | 'never' | 'newer', name = image): Promise<string> => failure(() => resolveImage(name, { store, pull }));
    expect(await code('never')).toMatch(/^IMAGE_NOT_FOUND /);
    expect(await code('missing')).toBe('no error');
    expect(await code('never')).toBe('no error');
    // The registry is gone:
    const gone = '127.0.0.1:1/a/oci:1';
    expect(await code('missing', gone)).toMatch(/^REGISTRY_CONNECT no image 127.0.0.1:1\/a\/oci:1 in the store; pulling it: 127.0.0.1:1 cannot be reached/);
    await import('../../../image/store/change.ts').then(({ changeStore }) => changeStore(store, (change) => change.setName(gone, store.find(image)?.id ?? '')));
    expect(await code('missing', gone)).toBe('no error');
    expect(await code('always', gone)).toMatch(/^REGISTRY_CONNECT 127.0.0.1:1 cannot be reached/);
    const notes: string[] = [];
    await resolveImage(gone, { store, pull: 'newer', note: (text) => notes.push(text) });
    expect(notes).toEqual([expect.stringContaining('the stored image runs')]);
    expect(await code('missing', 'localhost/x')).toMatch(/^IMAGE_NOT_FOUND /);
  });

  it('tags are listed, over several pages, too', async () => {
    for (let i = 0; i < 3; i++) await skopeo('copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://127.0.0.1:${port}/a/oci:1`, `docker://127.0.0.1:${port}/a/tags:t${i}`);
    expect(await withRegistry(parseRegistryName(`127.0.0.1:${port}/a/tags`), env(), (client) => client.tags())).toEqual(['t0', 't1', 't2']);
    expect(await failure(() => pullImage(`127.0.0.1:${port}/a/tags:t9`, { store: newStore(), env: env() }))).toMatch(/^IMAGE_NOT_FOUND .*t9 is not there/);
    expect(await failure(() => pullImage(`127.0.0.1:${port}/a/nothing`, { store: newStore(), env: env() }))).toMatch(/^IMAGE_NOT_FOUND /);
  });

  it('streams that are cut at random places are taken up again', async () => {
    const big = new Layout(folder());
    const tars = [1, 2, 3, 4].map((i) => ({ tar: tarOf(dir({ [`data${i}`]: file(pattern(700_000, i)) })) }));
    big.add(big.manifest(tars), 'latest');
    await skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${big.write()}:latest`, `docker://127.0.0.1:${port}/a/big:1`);
    let cuts = 0;
    const cutter = createServer((from) => {
      const to = connect(port, '127.0.0.1');
      let left = 20_000 + Math.random() * 600_000;
      to.on('data', (chunk) => {
        left -= chunk.length;
        if (left > 0) {
          from.write(chunk);
          return;
        }
        cuts++;
        from.end(chunk.subarray(0, Math.max(0, chunk.length + left)), () => from.destroy());
        to.destroy();
      });
      from.on('data', (chunk) => to.write(chunk));
      for (const [one, other] of [[from, to], [to, from]] as const) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    }).listen(0, '127.0.0.1');
    stopped.push(() => cutter.close());
    await new Promise((resolve) => cutter.once('listening', resolve));
    const store = newStore();
    let last: [number, number | undefined] = [0, 0];
    const { record } = await pullImage(`127.0.0.1:${(cutter.address() as AddressInfo).port}/a/big:1`, { store, env: env(), progress: ({ stage, done, total }) => { if (stage === 'fetching') last = [done, total]; } });
    expect(cuts).toBeGreaterThan(1);
    expect(filesOf(store.rootfsPath(record.rootfs))['data3']).toBe(pattern(700_000, 3).toString('latin1'));
    expect(last[0]).toBeGreaterThan(2_700_000);
    expect(last[0]).toBe(last[1]);
  });
});

describe('a registry with TLS', () => {
  it('is trusted by its CA alone, wherever that is given', async () => {
    // 0.0.0.0 reaches this machine, and is no loopback name that would be let through without a certificate.
    const { port, ca } = await registry({ tls: '0.0.0.0' });
    const reference = `0.0.0.0:${port}/a/b:1`;
    await skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout().write()}:latest`, `docker://${reference}`);
    expect(await failure(() => pullImage(reference, { store: newStore(), env: env() }))).toMatch(/^REGISTRY_TLS 0\.0\.0\.0:\d+: .*certs\.d/);
    const home = folder();
    for (const at of ['.config/containers/certs.d', '.docker/certs.d']) {
      const base = at.startsWith('.config') ? home : folder();
      const certs = join(base, at, `0.0.0.0:${port}`);
      mkdirSync(certs, { recursive: true });
      writeFileSync(join(certs, 'ca.crt'), ca);
      const store = newStore();
      const { record } = await pullImage(reference, { store, env: env({ HOME: base }) });
      expect(filesOf(store.rootfsPath(record.rootfs))).toEqual(FLAT);
    }
    const bundle = join(folder(), 'ca.pem');
    writeFileSync(bundle, ca);
    await pullImage(reference, { store: newStore(), env: env({ SSL_CERT_FILE: bundle }) });
    // On this machine a certificate may be anybody's.
    await pullImage(`127.0.0.1:${port}/a/b:1`, { store: newStore(), env: env() });
  });
});

describe('logins', () => {
  const user = { user: 'me', password: 'pass:word-7' };
  const secret = (home: string): string => join(home, '.docker/config.json');

  it.each([['basic', { htpasswd: user }], ['token', { token: user }]] as const)('%s authentication: login, pull, logout', async (kind, options) => {
    const { port, tokens } = await registry(options);
    const host = `127.0.0.1:${port}`;
    const reference = `${host}/private/b:1`;
    await skopeo('copy', '-q', '--dest-tls-verify=false', '--dest-creds', `${user.user}:${user.password}`, `oci:${layout().write()}:latest`, `docker://${reference}`);
    const mine = env();
    expect(await failure(() => pullImage(reference, { store: newStore(), env: mine }))).toMatch(/^REGISTRY_DENIED .*vmm login/);
    const wrong = await failure(() => login(host, 'me', 'no-such-secret', mine));
    expect(wrong).toMatch(/^REGISTRY_DENIED /);
    expect(wrong).not.toContain('no-such-secret');
    expect(existsSync(secret(mine['HOME'] as string))).toBe(false);
    mkdirSync(join(mine['HOME'] as string, '.docker'));
    writeFileSync(secret(mine['HOME'] as string), JSON.stringify({ detachKeys: 'ctrl-x', auths: { 'other.example': { auth: 'eDp5' } } }));
    expect(await login(host, user.user, user.password, mine)).toBe(secret(mine['HOME'] as string));
    expect(statSync(secret(mine['HOME'] as string)).mode & 0o777).toBe(0o600);
    const store = newStore();
    const { record } = await pullImage(reference, { store, env: mine });
    expect(filesOf(store.rootfsPath(record.rootfs))).toEqual(FLAT);
    // What others wrote into the file stays; skopeo reads ours.
    expect(JSON.parse(readFileSync(secret(mine['HOME'] as string), 'utf8'))).toMatchObject({ detachKeys: 'ctrl-x', auths: { 'other.example': { auth: 'eDp5' } } });
    expect(await skopeo('inspect', '--authfile', secret(mine['HOME'] as string), '--tls-verify=false', '--raw', `docker://${reference}`)).toContain('layers');
    expect(await logout(host, mine)).toBe(true);
    expect(await logout(host, mine)).toBe(false);
    expect(await failure(() => pullImage(reference, { store: newStore(), env: mine }))).toMatch(/^REGISTRY_DENIED /);
    if (kind === 'token') expect(tokens).toContain('repository:private/b:pull user');
  });

  it('of containers’ tools and of credential helpers are found', async () => {
    const { port } = await registry({ htpasswd: user });
    const host = `127.0.0.1:${port}`;
    await skopeo('copy', '-q', '--dest-tls-verify=false', '--dest-creds', `${user.user}:${user.password}`, `oci:${layout().write()}:latest`, `docker://${host}/x/y:1`);
    const pull = (more: Readonly<Record<string, string>>): Promise<string> => failure(() => pullImage(`${host}/x/y:1`, { store: newStore(), env: env(more) }));
    const auth = Buffer.from(`${user.user}:${user.password}`).toString('base64');
    const at = join(folder(), 'auth.json');
    const write = (config: unknown): void => writeFileSync(at, JSON.stringify(config));
    for (const [key, code] of [[host, 'no error'], [`${host}/x`, 'no error'], [`${host}/x/y`, 'no error'], [`https://${host}`, 'no error'], [`${host}/z`, 'REGISTRY_DENIED'], ['docker.io', 'REGISTRY_DENIED']] as const) {
      write({ auths: { [key]: { auth } } });
      expect(await pull({ REGISTRY_AUTH_FILE: at }), key).toContain(code);
    }
    const tools = folder();
    const helper = (text: string): void => {
      writeFileSync(join(tools, 'docker-credential-test'), `#!/bin/sh\nread server\necho "$1 $server" >> ${tools}/log\n${text}\n`);
      chmodSync(join(tools, 'docker-credential-test'), 0o755);
    };
    helper(`echo '{"ServerURL":"x","Username":"${user.user}","Secret":"${user.password}"}'`);
    for (const config of [{ credHelpers: { [host]: 'test' } }, { credsStore: 'test' }]) {
      write(config);
      expect(await pull({ REGISTRY_AUTH_FILE: at, PATH: `${tools}:${process.env['PATH']}` })).toBe('no error');
    }
    expect(readFileSync(join(tools, 'log'), 'utf8')).toContain(`get ${host}\n`);
    helper('echo "credentials not found in native keychain"; exit 1');
    expect(await pull({ REGISTRY_AUTH_FILE: at, PATH: `${tools}:${process.env['PATH']}` })).toMatch(/^REGISTRY_DENIED/);
    helper('echo "my-secret-7"; exit 2');
    const broken = await pull({ REGISTRY_AUTH_FILE: at, PATH: `${tools}:${process.env['PATH']}` });
    expect(broken).toMatch(/^REGISTRY_CONFIG docker-credential-test get fails with 2/);
    expect(broken).not.toContain('my-secret-7');
    write({ credsStore: '../evil' });
    expect(await pull({ REGISTRY_AUTH_FILE: at })).toMatch(/^REGISTRY_CONFIG .*no credential helper|names no credential helper/);
    writeFileSync(at, '{"auths": {"x": "my-secret-7');
    const damaged = await pull({ REGISTRY_AUTH_FILE: at });
    expect(damaged).toMatch(/^REGISTRY_CONFIG /);
    expect(damaged).not.toContain('my-secret-7');
  });
});

describe('servers that lie', () => {
  type Answer = (request: http.IncomingMessage, response: http.ServerResponse, path: string) => void;
  const good = layout();
  const [entry] = good.entries as [{ digest: string; size: number; mediaType: string }];
  const manifest = good.blobs[entry.digest.slice(7)] as Buffer;
  const documents = JSON.parse(manifest.toString()) as { config: { digest: string; size: number }; layers: { digest: string; size: number; mediaType: string }[] };
  const first = documents.layers[0] as { digest: string; size: number };
  const send = (response: http.ServerResponse, status: number, body: Uint8Array | string, headers: Record<string, string> = {}): void => void response.writeHead(status, headers).end(body);
  const honest: Answer = (_, response, path) => {
    if (path === '/v2/') return send(response, 200, '{}');
    if (path.includes('/manifests/')) {
      const wanted = path.split('/').pop() as string;
      return send(response, 200, wanted.includes(':') ? (good.blobs[wanted.slice(7)] ?? manifest) : manifest, { 'content-type': entry.mediaType });
    }
    const blob = good.blobs[/sha256:([0-9a-f]+)$/.exec(path)?.[1] ?? ''];
    return blob === undefined ? send(response, 404, '{"errors":[{"message":"not \\u001b[31mhere"}]}') : send(response, 200, blob);
  };
  async function serve(answer: Answer): Promise<string> {
    const server = http.createServer((request, response) => answer(request, response, (request.url ?? '').split('?')[0] as string)).listen(0, '127.0.0.1');
    stopped.push(() => {
      server.close();
      server.closeAllConnections();
    });
    await new Promise((resolve) => server.once('listening', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  /** Blobs by our own hand, all else honest. */
  const blobs = (own: Answer): Answer => (request, response, path) => (path.endsWith(first.digest) ? own(request, response, path) : honest(request, response, path));
  const manifests = (body: Uint8Array | string | Record<string, unknown>, type = entry.mediaType): Answer => (request, response, path) =>
    path.includes('/manifests/') ? send(response, 200, body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body), { 'content-type': type }) : honest(request, response, path);
  const layer = good.blobs[first.digest.slice(7)] as Buffer;
  const endless: Answer = (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65536, 'x')));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };
  const index = (digest: string): Record<string, unknown> => ({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [{ mediaType: 'application/vnd.oci.image.index.v1+json', digest, size: 1, platform: { os: 'linux', architecture: 'amd64' } }] });
  /** Indexes in indexes, as deep as asked for. */
  function nested(depth: number): Answer {
    const made = new Map<string, string>();
    let body = JSON.stringify(index(entry.digest));
    for (let i = 0; i < depth; i++) {
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
      made.set(digest, body);
      body = JSON.stringify(index(digest));
    }
    return (request, response, path) => {
      const wanted = path.split('/').pop() as string;
      if (!path.includes('/manifests/')) return honest(request, response, path);
      return send(response, 200, made.get(wanted) ?? body, { 'content-type': 'application/vnd.oci.image.index.v1+json' });
    };
  }

  it.each<[string, Answer, RegExp]>([
    ['a layer with other bytes', blobs((_, response) => send(response, 200, Buffer.alloc(layer.length))), /^IMAGE_DIGEST /],
    ['a layer that is longer', blobs((_, response) => send(response, 200, Buffer.concat([layer, layer]))), /^REGISTRY_ANSWER .*sends more than/],
    ['a layer that is shorter', blobs((_, response) => send(response, 200, layer.subarray(0, 100))), /^REGISTRY_ANSWER .*ends sha256:\w+ after/],
    ['a layer without end', blobs(endless), /^REGISTRY_ANSWER .*sends more than/],
    ['a layer that is missing', blobs((_, response) => send(response, 404, '{"errors":[{"message":"not \\u001b[31mhere"}]}')), /^IMAGE_NOT_FOUND .*not \\u001b\[31mhere/],
    ['a layer that stalls', blobs((_, response) => void response.writeHead(200, { 'content-length': String(layer.length) }).write(layer.subarray(0, 10))), /^REGISTRY_CONNECT .*cannot be reached/],
    ['a server that never answers', () => {}, /^REGISTRY_CONNECT .*no answer for/],
    ['a manifest without end', (request, response, path) => (path.includes('/manifests/') ? endless(request, response, path) : honest(request, response, path)), /^REGISTRY_ANSWER .*more than \d+ bytes/],
    ['a manifest that is text', manifests('hello'), /^IMAGE_BAD .*not JSON/],
    ['a manifest that is a list', manifests('[]'), /^IMAGE_BAD .*not an object/],
    ['a manifest of schema 1', manifests({ schemaVersion: 1, name: 'x', fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+json'), /^IMAGE_BAD .*no configuration/],
    ['a manifest whose layer has no size', manifests({ ...documents, layers: [{ ...documents.layers[0], size: undefined }] }), /^IMAGE_BAD .*no size/],
    ['a manifest whose layer is too large', manifests({ ...documents, layers: [{ ...documents.layers[0], size: 2 ** 50 }] }), /^IMAGE_LIMIT /],
    ['a configuration that is a path', manifests({ ...documents, config: { ...documents.config, digest: '../../x' } }), /^(IMAGE_BAD|IMAGE_NOT_FOUND) /],
    ['a layer of another kind', manifests({ ...documents, layers: documents.layers.map((l) => ({ ...l, mediaType: 'application/x' })) }), /^IMAGE_UNSUPPORTED /],
    ['a foreign layer', manifests({ ...documents, layers: documents.layers.map((l) => ({ ...l, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', urls: ['https://example.com/x'] })) }), /^IMAGE_UNSUPPORTED .*outside of the registry/],
    ['an index for other machines', manifests({ schemaVersion: 2, manifests: [{ ...entry, platform: { os: 'windows', architecture: 'amd64' } }] }, 'application/vnd.oci.image.index.v1+json'), /^IMAGE_PLATFORM /],
    ['indexes that are nested too deep', nested(8), /^IMAGE_LIMIT .*nested/],
    ['an index that leads to itself', manifests(index(`sha256:${'0'.repeat(64)}`), 'application/vnd.oci.image.index.v1+json'), /^IMAGE_DIGEST /],
    ['redirects without end', (_, response, path) => send(response, 307, '', { location: path }), /^REGISTRY_ANSWER .*redirects more than/],
    ['a redirect to nowhere', (_, response) => send(response, 307, '', { location: 'file:///etc/passwd' }), /^REGISTRY_ANSWER .*redirects to nowhere/],
    ['a login that is never enough', (_, response) => send(response, 401, '', { 'www-authenticate': 'Basic realm=x' }), /^REGISTRY_DENIED /],
    ['a token from nowhere', (_, response) => send(response, 401, '', { 'www-authenticate': 'Bearer service=x' }), /^REGISTRY_ANSWER .*without saying where/],
    ['an error that says nothing', (_, response) => send(response, 400, endlessText()), /^REGISTRY_ANSWER .*answers 400/],
    ['too many requests for an hour', (_, response) => send(response, 429, '', { 'retry-after': '3600' }), /^REGISTRY_LIMIT .*again in 3600 s/],
  ])('%s: one line, and nothing in the store', async (_, answer, wanted) => {
    const host = await serve(answer);
    const store = newStore();
    // Only who says nothing is not waited for: a loaded machine may take a while to say something.
    const idleMs = wanted.source.startsWith('^REGISTRY_CONNECT') ? 300 : 60_000;
    expect(await failure(() => pullImage(`${host}/a/b:1`, { store, env: env(), idleMs }))).toMatch(wanted);
    expect(store.list()).toEqual([]);
    if (existsSync(store.paths.tmp)) expect(readdirSync(store.paths.tmp)).toEqual([]);
  });

  function endlessText(): string {
    return 'x'.repeat(200_000);
  }

  it('the layer that fails first says why, whichever is waited for', async () => {
    const last = documents.layers.at(-1) as { digest: string };
    const held: import('node:http').ServerResponse[] = [];
    const host = await serve((request, response, path) => {
      // The first one does not end before the last has failed.
      if (path.endsWith(first.digest)) {
        response.writeHead(200, { 'content-length': String(first.size) });
        response.flushHeaders();
        held.push(response);
      } else if (path.endsWith(last.digest)) send(response, 404, '');
      else honest(request, response, path);
    });
    expect(await failure(() => pullImage(`${host}/a/b:1`, { store: newStore(), env: env() }))).toMatch(/^IMAGE_NOT_FOUND layer 1 of /);
    for (const response of held) response.destroy();
  });

  it('what is honest is pulled, after being asked to wait, and with a layer that comes in pieces', async () => {
    let asked = 0;
    const host = await serve((request, response, path) => {
      if (path.endsWith(first.digest)) {
        const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
        asked++;
        if (asked === 1) return send(response, 429, '', { 'retry-after': '1' });
        if (asked === 2) return send(response, 503, '');
        // Every answer breaks off after 40 bytes.
        response.writeHead(from > 0 ? 206 : 200, { 'content-length': String(layer.length - from), ...(from > 0 ? { 'content-range': `bytes ${from}-${layer.length - 1}/${layer.length}` } : {}) });
        response.write(layer.subarray(from, from + 40), () => {
          if (from + 40 >= layer.length) response.end();
          else setTimeout(() => response.destroy(), 10);
        });
        return;
      }
      honest(request, response, path);
    });
    const store = newStore();
    const { record, digest } = await pullImage(`${host}/a/b:1`, { store, env: env() });
    expect(digest).toBe(entry.digest);
    expect(filesOf(store.rootfsPath(record.rootfs))).toEqual(FLAT);
    expect(asked).toBeGreaterThan(3);
    expectWhole(store);
    expectClean(store);
  });

  it.each(['rm', 'prune'])('a layer that another image has, which goes by %s meanwhile, is kept all the same', async (how) => {
    const store = newStore();
    const other = new Layout(folder());
    const one = layers.slice(0, 1);
    await importImage(`oci:${other.add(other.manifest(one, configOf(one)), 'latest').write()}:latest`, { store }, ['other:1']);
    expect(readdirSync(store.paths.blobs)).toContain(first.digest.slice(7));
    const last = documents.layers.at(-1) as { digest: string };
    const host = await serve((request, response, path) => {
      if (!path.endsWith(last.digest)) return honest(request, response, path);
      // The first one has been found in the store by now, and is counted on.
      void (how === 'rm' ? removeImage(store, 'other:1') : pruneStore(store, true)).then(() => honest(request, response, path));
    });
    const { record } = await pullImage(`${host}/a/b:1`, { store, env: env() });
    expect(store.find('other:1')).toBeUndefined();
    expect(filesOf(store.rootfsPath(record.rootfs))).toEqual(FLAT);
    expect(await fsckStore(store, { repair: false, data: true })).toEqual([]);
    expectClean(store);
  });

  it.each(['kill', 'ENOSPC'])('%s at any moment of a pull leaves a whole store, and the next pull works', async (fault) => {
    const { program } = storeProgram(folder());
    const host = await serve(honest);
    const count = join(folder(), 'count');
    const pull = (store: ImageStore, faults: Readonly<Record<string, string>>): ReturnType<typeof ended> => ended(program(store, ['pull', `${host}/a/b:1`], { preload: [FAULTS], env: { HOME: FOLDER, ...faults } }));
    expect(await pull(newStore(), { FAULT_COUNT: count })).toMatchObject({ status: 0, err: '' });
    const total = Number(readFileSync(count, 'utf8'));
    const tries = process.env['VMM_LONG'] === '1' ? 500 : 6;
    for (let i = 0; i < tries; i++) {
      const store = newStore();
      const at = 1 + Math.floor(((i + Math.random()) * total) / tries);
      const result = await pull(store, { FAULT: fault, FAULT_AT: String(at) });
      const what = `at ${at} of ${total}: ${JSON.stringify(result)}`;
      if (fault === 'kill') expect(result.status, what).toBe(null);
      else if (result.status !== 0) expect(result.err, what).toMatch(/^(STORE|IMAGE)_WRITE [^\n]*\n$/);
      expectWhole(store);
      const { record } = await pullImage(`${host}/a/b:1`, { store, env: env() });
      expect(filesOf(store.rootfsPath(record.rootfs)), what).toEqual(FLAT);
      await pruneStore(store, false);
      expectClean(store);
      expect(store.list().length, what).toBe(1);
    }
  }, 1_800_000);

  it('a login goes to its own host only, and never from https to http', async () => {
    const seen: string[] = [];
    const other = await serve((request, response, path) => {
      seen.push(`other ${request.headers.authorization ?? '-'}`);
      honest(request, response, path);
    });
    const host = await serve((request, response, path) => {
      seen.push(`own ${request.headers.authorization ?? '-'}`);
      if (request.headers.authorization === undefined) return send(response, 401, '', { 'www-authenticate': 'Basic realm=x' });
      if (path.includes('/blobs/')) return send(response, 307, '', { location: `http://${other}${path}` });
      honest(request, response, path);
    });
    const auth = join(folder(), 'auth.json');
    writeFileSync(auth, JSON.stringify({ auths: { [host]: { auth: Buffer.from('me:secret').toString('base64') } } }));
    const store = newStore();
    await pullImage(`${host}/a/b:1`, { store, env: env({ REGISTRY_AUTH_FILE: auth }) });
    expect(seen.filter((line) => line.startsWith('other'))).not.toEqual([]);
    expect(seen.filter((line) => line.startsWith('other') && line !== 'other -')).toEqual([]);
    expect(seen).toContain(`own Basic ${Buffer.from('me:secret').toString('base64')}`);

    const { cert, key } = certificates(FOLDER, '127.0.0.1');
    for (const [status, headers, wanted] of [
      [307, { location: `http://${other}/x` }, /^REGISTRY_ANSWER .*redirects from https to http:/],
      [401, { 'www-authenticate': `Bearer realm="http://${other}/token",service=x` }, /^REGISTRY_ANSWER .*sends its users to http:.*passwords/],
    ] as const) {
      seen.length = 0;
      const server = https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => send(response, status, '', headers)).listen(0, '127.0.0.1');
      stopped.push(() => {
        server.close();
        server.closeAllConnections();
      });
      await new Promise((resolve) => server.once('listening', resolve));
      expect(await failure(() => pullImage(`127.0.0.1:${(server.address() as AddressInfo).port}/a/b:1`, { store: newStore(), env: env({ REGISTRY_AUTH_FILE: auth }) }))).toMatch(wanted);
      expect(seen).toEqual([]);
    }
  });

  it('proxies of the environment are used, but not for whom NO_PROXY names', async () => {
    const seen: string[] = [];
    const host = await serve(honest);
    const proxy = await serve((request, response) => {
      seen.push(request.url ?? '');
      const url = new URL(request.url ?? '', `http://${host}`);
      honest(request, response, url.pathname);
    });
    // The name is nobody's: only the proxy answers for it. Docker's rule lets it be tried without TLS only on loopback.
    await pullImage(`127.0.0.1:9/a/b:1`, { store: newStore(), env: env({ http_proxy: `http://${proxy}` }) });
    expect(seen.length).toBeGreaterThan(2);
    seen.length = 0;
    await pullImage(`${host}/a/b:1`, { store: newStore(), env: env({ http_proxy: `http://${proxy}`, no_proxy: '127.0.0.1' }) });
    expect(seen).toEqual([]);
  });
});

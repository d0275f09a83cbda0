/** `vmm metadata-service`, asked by curl: rkt's registration, apps' questions, what does not belong there. */
import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, linkSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PodDocument, answer } from '../../../vmm/metadata/answers.ts';
import { serveHostMetadata } from '../../../vmm/metadata/host.ts';
import { metadataKey } from '../../../vmm/metadata/key.ts';
import { BIN } from '../../support/cli/cli.ts';
import { HANG_MS } from '../../support/limits.ts';
import { Watched } from '../../support/watched.ts';

const dir = mkdtempSync(join(tmpdir(), 'vmm-mds-'));
afterAll(() => rmSync(dir, { recursive: true }));

const IMAGE = { acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/app', annotations: [{ name: 'a', value: '1' }] };
const ID = `sha512-${'ab'.repeat(64)}`;
const POD = { acVersion: '1.30.0', acKind: 'PodManifest', apps: [{ name: 'app', image: { id: ID }, annotations: [{ name: 'b', value: '2' }] }], volumes: null, isolators: null, annotations: null, ports: [] };

describe('the service', () => {
  const socket = join(dir, 'svc.sock');
  const key = Buffer.alloc(64, 7);
  let service: Awaited<ReturnType<typeof serveHostMetadata>>;
  beforeAll(async () => {
    service = await serveHostMetadata({ key, socket, port: 0 });
  });
  afterAll(() => service.close());

  /** Status, type and body, as curl has them. */
  const curl = async (...args: string[]): Promise<[status: number, type: string, body: string]> => {
    const child = spawn('curl', ['-s', '-m', '60', '-w', '\n%{http_code} %{content_type}', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await new Promise((resolve) => child.on('close', resolve));
    const [, body = '', status, type = ''] = /^([\s\S]*)\n(\d+) (.*)$/.exec(text) ?? [];
    return [Number(status), type, body];
  };
  const register = (path: string, ...args: string[]): Promise<[number, string, string]> => curl('--unix-socket', socket, ...args, `http://localhost${path}`);
  const put = (path: string, value: unknown): Promise<[number, string, string]> => register(path, '-X', 'PUT', '-d', JSON.stringify(value));
  const ask = (token: string, path: string, ...args: string[]): Promise<[number, string, string]> => curl(...args, `http://127.0.0.1:${service.port}/${token}/acMetadata/v1${path}`);

  it('a pod from its registration to its end', async () => {
    const [uuid, token] = [randomUUID(), 'ab12'];
    expect((await put(`/pods/${uuid}?token=${token}`, POD))[0]).toBe(200);
    expect((await ask(token, '/apps/app/image/id'))[0]).toBe(404);
    expect((await put(`/pods/${uuid}/app`, IMAGE))[0]).toBe(200);
    expect(await ask(token, '/pod/uuid')).toEqual([200, 'text/plain; charset=us-ascii', uuid]);
    expect(await ask(token, '/pod/annotations')).toEqual([200, 'application/json', 'null']);
    expect(JSON.parse((await ask(token, '/pod/manifest'))[2])).toEqual(POD);
    expect(JSON.parse((await ask(token, '/apps/app/annotations'))[2])).toEqual([{ name: 'a', value: '1' }, { name: 'b', value: '2' }]);
    expect(await ask(token, '/apps/app/image/id')).toEqual([200, 'text/plain; charset=us-ascii', ID]);
    // Signed by the definition, with bytes that are no UTF-8; another pod's verifies, too.
    const [, , signed] = await ask(token, '/pod/hmac/sign', '--data', 'content=%ff%00+%2B');
    expect(signed).toBe(createHmac('sha512', key).update(Buffer.from(uuid.replaceAll('-', ''), 'hex')).update(Buffer.from([0xff, 0, 0x20, 0x2b])).digest('base64'));
    const other = randomUUID();
    await put(`/pods/${other}?token=cd`, POD);
    const verify = (content: string, of: string): Promise<[number, string, string]> => ask('cd', '/pod/hmac/verify', '--data', `content=${content}`, '--data-urlencode', `uuid=${of}`, '--data-urlencode', `signature=${signed}`);
    expect((await verify('%ff%00+%2B', uuid))[0]).toBe(200);
    expect((await verify('%ff%00+%2B', other))[0]).toBe(403);
    expect((await verify('%ff%00++', uuid))[0]).toBe(403);
    expect((await register(`/pods/${uuid}`, '-X', 'DELETE'))[0]).toBe(200);
    expect((await ask(token, '/pod/uuid'))[0]).toBe(404);
    expect((await register(`/pods/${uuid}`, '-X', 'DELETE'))[0]).toBe(404);
  });

  it.each<[string, string, unknown, number]>([
    ['a malformed UUID', '/pods/x?token=ab', POD, 400],
    ['no token', '/pods/2e4a6c1c-4b6a-4c6e-9d8f-0123456789ab', POD, 400],
    ['another pod’s token', '/pods/2e4a6c1c-4b6a-4c6e-9d8f-0123456789ab?token=cd', POD, 400],
    ['no manifest', '/pods/2e4a6c1c-4b6a-4c6e-9d8f-0123456789ab?token=ef', { acKind: 'x' }, 400],
    ['an app of a pod that is not there', '/pods/2e4a6c1c-4b6a-4c6e-9d8f-0123456789ab/app', IMAGE, 404],
    ['a path that is none', '/else', POD, 404],
    ['a percent sign alone', '/pods/%', POD, 400],
  ])('registering: %s', async (_name, path, value, status) => {
    expect((await put(path, value))[0]).toBe(status);
  });

  it('what is too long, or another method, is refused; apps cannot register', async () => {
    await put(`/pods/${randomUUID()}?token=77`, POD);
    writeFileSync(join(dir, 'long'), `content=${'x'.repeat(2 << 20)}`);
    expect((await ask('77', '/pod/hmac/sign', '--data-binary', `@${join(dir, 'long')}`))[0]).toBe(413);
    expect((await ask('77', '/pod/uuid', '-X', 'DELETE'))[0]).toBe(405);
    expect((await register('/pods/2e4a6c1c-4b6a-4c6e-9d8f-0123456789ab', '-X', 'POST', '-d', ''))[0]).toBe(405);
    expect((await curl('-X', 'PUT', '-d', JSON.stringify(POD), `http://127.0.0.1:${service.port}/pods/${randomUUID()}?token=78`))[0]).toBe(404);
    expect((await ask('78', '/pod/uuid'))[0]).toBe(404);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  it('a second one at the same socket is refused; a socket that is left over is taken', async () => {
    await expect(serveHostMetadata({ key, socket, port: 0 })).rejects.toMatchObject({ code: 'METADATA_SERVICE', message: expect.stringContaining('is served by another process') });
    const left = join(dir, 'left.sock');
    spawnSync(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 'SIGKILL'))`], { timeout: HANG_MS });
    expect(existsSync(left)).toBe(true);
    (await serveHostMetadata({ key, socket: left, port: 0 })).close();
    await expect(serveHostMetadata({ key, socket: join(dir, 'more.sock'), port: service.port })).rejects.toMatchObject({ code: 'METADATA_SERVICE', message: expect.stringContaining('EADDRINUSE') });
  });

  it('the command says where it serves, takes systemd’s socket, and ends with a signal', async () => {
    const server = createServer().listen(join(dir, 'given.sock'));
    await new Promise((resolve) => server.once('listening', resolve));
    const fd = (server as unknown as { _handle: { fd: number } })._handle.fd;
    // A shell has the process number that LISTEN_PID names, and becomes the service.
    const child = spawn('sh', ['-c', `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, process.execPath, BIN, 'metadata-service', '--listen-port', '0'], { stdio: ['ignore', 'inherit', 'pipe', fd], env: { ...process.env, HOME: dir, XDG_DATA_HOME: dir } });
    const service = new Watched(child);
    const said = await service.until('\n', 'stderr');
    // This process takes no connection from here on, and the name that goes with its server is not the only one.
    linkSync(join(dir, 'given.sock'), join(dir, 'kept.sock'));
    server.close();
    expect(said).toMatch(/^vmm: metadata service: pods ask at port \d+, rkt registers them at the socket it was given\n$/);
    const uuid = randomUUID();
    expect((await curl('--unix-socket', join(dir, 'kept.sock'), '-X', 'PUT', '-d', JSON.stringify(POD), `http://localhost/pods/${uuid}?token=99`))[0]).toBe(200);
    child.kill('SIGTERM');
    expect((await service.ended).status).toBe(0);
  });
});

describe('the key', () => {
  let path: string;
  beforeEach(() => {
    path = join(mkdtempSync(join(dir, 'key-')), 'vmm/mds.key');
  });

  it('is made once, for this user alone, and read then', () => {
    const key = metadataKey(path);
    expect(key.length).toBe(64);
    expect(metadataKey(path)).toEqual(key);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
  });

  it('that many make at once is one', async () => {
    const script = `const { metadataKey } = await import(${JSON.stringify(new URL('../../../vmm/metadata/key.ts', import.meta.url).href)}); console.log(Buffer.from(metadataKey(${JSON.stringify(path)})).toString('hex'))`;
    const keys = await Promise.all(Array.from({ length: 8 }, () => new Promise<string>((resolve) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      child.once('close', () => resolve(text.trim()));
    })));
    expect(new Set(keys)).toEqual(new Set([readFileSync(path).toString('hex')]));
  });

  it.each<[string, (at: string) => void, RegExp]>([
    ['of another length', (at) => writeFileSync(at, 'short', { mode: 0o600 }), /is no file of 64 bytes/],
    ['that others can read', (at) => chmodSync(at, 0o644), /can be read by others/],
    ['where no file can be', (at) => rmSync(join(at, '..'), { recursive: true }), /ENOTDIR/],
  ])('%s is one line', (_name, spoil, says) => {
    metadataKey(path);
    spoil(path);
    if (says.source === 'ENOTDIR') writeFileSync(join(path, '..'), '');
    expect(() => metadataKey(path)).toThrow(expect.objectContaining({ code: 'METADATA_KEY', message: expect.stringMatching(says) }));
  });
});

it('names of apps that no pod has, and those of Object, are not found', () => {
  const pod: PodDocument = { uuid: randomUUID(), manifest: POD, apps: new Map([['app', { imageId: ID, manifest: IMAGE }]]) };
  for (const name of ['constructor', '__proto__', '', 'app/x', '..']) expect(answer(pod, Buffer.alloc(64), 'GET', `/acMetadata/v1/apps/${name}/image/id`, '').status).toBe(404);
  expect(answer(pod, Buffer.alloc(64), 'GET', '/acMetadata/v1/apps/a%70p/image/id', '').status).toBe(200);
});

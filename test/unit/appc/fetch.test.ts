/** Discovery, fetching and trust against HTTPS servers on this machine, with certificates of their own: each rule of the specification and of rkt, and servers that lie. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { AciSession, type AciOptions } from '../../../image/aci.ts';
import { discoverImage, discoverKeys, withMachine } from '../../../image/appc/discovery.ts';
import { keystorePaths, trustKey } from '../../../image/appc/keystore.ts';
import { metaTags } from '../../../image/appc/meta.ts';
import { readPublicKey } from '../../../image/appc/openpgp.ts';
import { readSigningKey, signFile } from '../../../image/appc/sign.ts';
import { parseAppText } from '../../../image/appc/texts.ts';
import { Web } from '../../../image/appc/web.ts';
import { resolveImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { filesOf } from '../image/forms.ts';
import { scratch } from '../image/support.ts';
import { Gpg } from './gpg.ts';
import { tarFile } from './support.ts';
import { type WebServer, webServer } from './web-server.ts';

const FOLDER = scratch();
const gpg = new Gpg(join(FOLDER, 'gnupg'));
let web: WebServer;
let env: Record<string, string>;
let counter = 0;
const path = (name: string): string => join(FOLDER, `${++counter}-${name}`);

beforeAll(async () => {
  gpg.make('good', 'rsa2048');
  gpg.make('other', 'rsa2048');
  web = await webServer(FOLDER);
});
afterAll(() => web.stop());
beforeEach(() => {
  for (const key of Object.keys(web.pages)) delete web.pages[key];
  web.asked.length = 0;
  env = { HOME: path('home'), SSL_CERT_FILE: web.ca };
});

type Json = Record<string, unknown>;

function bytesOf(name: string, files: Readonly<Record<string, string>> = {}, more: Json = {}): Buffer {
  const manifest = JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name, labels: [{ name: 'version', value: '1.0.0' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }], ...more });
  return gzipSync(tarFile({ name: 'manifest', data: manifest }, { name: 'rootfs/', type: '5' }, ...Object.entries(files).map(([at, data]) => ({ name: `rootfs/${at}`, data }))));
}

async function signatureOf(bytes: Uint8Array, who = 'good'): Promise<string> {
  const file = path('to-sign');
  writeFileSync(file, bytes);
  return signFile(file, await readSigningKey(gpg.secret(who), 'key', undefined), new Date());
}

const APP = '127.0.0.1/app';
const page = (...metas: readonly string[]): string => `<html><head>${metas.map((content) => `<meta name="ac-discovery" content="${content}">`).join('\n')}</head></html>`;
const at = (text: string): string => `https://127.0.0.1:${web.port}${text}`;
const template = (): string => `${APP} ${at('/files/{name}-{version}-{os}-{arch}.{ext}')}`;
const FILE = `/files/${APP}-1.0.0-linux-amd64`;

/** The page, the image, its signature. */
async function serve(bytes = bytesOf(APP, { x: '1' }), who = 'good'): Promise<void> {
  web.pages['/app'] = page(template());
  web.pages[`${FILE}.aci`] = bytes;
  web.pages[`${FILE}.aci.asc`] = await signatureOf(bytes, who);
}

async function trusts(prefix: string | undefined, who = 'good'): Promise<void> {
  trustKey(keystorePaths(env).user, prefix, await readPublicKey(Buffer.from(gpg.public(who)), who));
}

function session(more: Partial<AciOptions> = {}): AciSession {
  return new AciSession({ store: new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs), env, port: web.port, pull: 'missing', ...more });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (cause: unknown) => cause);
  if (!(error instanceof VmmError)) throw error ?? new Error('it worked');
  expect(error.message).not.toContain('\n');
  return `${error.code} ${error.message}`;
}

async function discover(text: string): Promise<string[]> {
  const client = new Web({ env, insecureTls: false, insecureHttp: false, credentials: () => undefined });
  try {
    const { name, labels } = parseAppText(text);
    return (await discoverImage(client, { name, labels: withMachine(labels) }, { port: web.port })).map(({ aci, asc }) => `${aci.href} ${asc.href}`);
  } finally {
    client.close();
  }
}

describe('names', () => {
  test.each([
    ['example.com/app', { name: 'example.com/app', labels: [] }],
    ['example.com/app:1.0', { name: 'example.com/app', labels: [{ name: 'version', value: '1.0' }] }],
    ['example.com/app:1.0,arch=arm,x=a:b', { name: 'example.com/app', labels: [{ name: 'version', value: '1.0' }, { name: 'arch', value: 'arm' }, { name: 'x', value: 'a:b' }] }],
    ['a,x=', { name: 'a', labels: [{ name: 'x', value: '' }] }],
    ['a,x=1=2', { name: 'a', labels: [{ name: 'x', value: '1=2' }] }],
  ])('%s', (text, expected) => expect(parseAppText(text)).toEqual(expected));

  test.each(['', 'A', 'a:1:2', 'a:', 'a,x', 'a,=1', 'a,x=1,x=2', 'a:1,version=2', 'a,name=b', 'a/'])('%j is none', (text) => {
    expect(() => parseAppText(text)).toThrow(VmmError);
  });
});

describe('discovery', () => {
  test('the page of the whole name, its labels in the template', async () => {
    web.pages['/app'] = page(template());
    expect((await discover(`${APP}:1.0.0,extra=1`))[0]).toBe(`${at(`${FILE}.aci`)} ${at(`${FILE}.aci.asc`)}`);
    expect(web.asked).toEqual(['/app?ac-discovery=1']);
  });

  test('without a version it is the latest', async () => {
    web.pages['/app'] = page(template());
    expect((await discover(APP))[0]).toContain(`/files/${APP}-latest-linux-amd64.aci `);
  });

  test('from the name upwards, until a page has a tag for it', async () => {
    web.pages['/'] = page(`127.0.0.1/app ${at('/x.{ext}')}`, `127.0.0.1/other ${at('/y.{ext}')}`);
    web.pages['/app/sub'] = page(`127.0.0.1/elsewhere ${at('/z.{ext}')}`);
    expect((await discover(`${APP}/sub/deep`))[0]).toBe(`${at('/x.aci')} ${at('/x.aci.asc')}`);
    expect(web.asked).toEqual(['/app/sub/deep', '/app/sub', '/app', '/'].map((one) => `${one}?ac-discovery=1`));
  });

  test('a prefix is that of whole parts', async () => {
    web.pages['/app1'] = page(`127.0.0.1/app ${at('/x.{ext}')}`);
    expect((await discover('127.0.0.1/app1:1')).join()).not.toContain('/x.aci');
  });

  test('a template with an unknown variable, or without {ext}, is none; several are tried in turn', async () => {
    web.pages['/app'] = page(`${APP} ${at('/a-{colour}.{ext}')}`, `${APP} ${at('/b')}`, `${APP} ftp://x/c.{ext}`, `${APP} ${at('/d.{ext}')}`, `${APP} ${at('/e-{colour}.{ext}')}`);
    expect((await discover(APP)).slice(0, -1)).toEqual([`${at('/d.aci')} ${at('/d.aci.asc')}`]);
    expect((await discover(`${APP},colour=red`)).slice(0, -1).map((text) => text.split(' ')[0])).toEqual([at('/a-red.aci'), at('/d.aci'), at('/e-red.aci')]);
  });

  test('last of all where the name itself says (simple discovery)', async () => {
    expect(await discover(`${APP}:1.0.0`)).toEqual([`${at('/app-1.0.0-linux-amd64.aci')} ${at('/app-1.0.0-linux-amd64.aci.asc')}`]);
  });

  test('redirects are followed', async () => {
    web.pages['/app'] = { status: 302, headers: { location: '/moved?x=1' } };
    web.pages['/moved'] = page(template());
    expect((await discover(`${APP}:1.0.0`))[0]).toContain(FILE);
  });

  test.each([
    ['to http', { status: 301, headers: { location: 'http://127.0.0.1/x' } }, /not https/],
    ['in a circle', { status: 302, headers: { location: '/app' } }, /redirects more than 10 times/],
    ['to what is no URL', { status: 302, headers: { location: 'https://[' } }, /redirects to what is no URL/],
    ['to a login', { status: 302, headers: { location: 'https://user:secret@127.0.0.1/x' } }, /is given with a login in its URL/],
    ['to a file', { status: 302, headers: { location: 'file:///etc/passwd' } }, /not https/],
  ])('a redirect %s is refused', async (_, answer, message) => {
    web.pages['/app'] = answer;
    const client = new Web({ env, insecureTls: false, insecureHttp: false, credentials: () => undefined });
    expect(await codeOf(client.get(new URL(at('/app'))))).toMatch(message);
    client.close();
  });

  test('keys have their own tag', async () => {
    web.pages['/'] = `<head><meta name='ac-discovery-pubkeys' content='127.0.0.1 ${at('/k1')}'><META content="127.0.0.1/app ${at('/k2')}" NAME="ac-discovery-pubkeys"/></head>`;
    const client = new Web({ env, insecureTls: false, insecureHttp: false, credentials: () => undefined });
    expect((await discoverKeys(client, APP, { port: web.port })).urls.map(({ href }) => href)).toEqual([at('/k1'), at('/k2')]);
    expect(await codeOf(discoverKeys(client, '127.0.0.1', { port: web.port }).then(({ urls }) => { if (urls.length === 1) throw new VmmError('ONE', 'one key'); }))).toBe('ONE one key');
    client.close();
  });

  test('what is in a comment or behind the head is not read; entities are', () => {
    expect(metaTags(`<!-- <meta name="ac-discovery" content="a b"> --><head><meta name=ac-discovery content="c https://x/?a=1&amp;b=2"></head><body><meta name="ac-discovery" content="d e">`)).toEqual([{ name: 'ac-discovery', prefix: 'c', target: 'https://x/?a=1&b=2' }]);
    expect(metaTags('<meta name="ac-discovery" content="nothing">')).toEqual([]);
  });

  test('any text is read in time, whatever is in it', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('<meta ', '<', '>', '"', "'", 'name=', 'content=', 'ac-discovery', '<!--', '-->', ' ', '=', 'a b', '</head', 'é'), { maxLength: 300 }), (parts) => {
      for (const { prefix, target } of metaTags(parts.join(''))) expect(/\s/.test(prefix) || target === '').toBe(false);
    }), { numRuns: 300 });
    const start = performance.now();
    for (const text of ['<'.repeat(1 << 20), '<meta "'.repeat(1 << 17), `<meta ${'a='.repeat(1 << 19)}`, '<!--'.repeat(1 << 18), `<meta ${' '.repeat(1 << 20)}`]) metaTags(text);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test('a public host sends nobody to a private address', async () => {
    const client = new Web({ env, insecureTls: false, insecureHttp: false, credentials: () => undefined });
    expect(await codeOf(client.get(new URL(at('/app')), {}, new URL('https://8.8.8.8/')))).toMatch(/^ACI_ANSWER 8\.8\.8\.8 sends us to 127\.0\.0\.1:\d+, a private address/);
    client.close();
  });

  test('a certificate that nobody knows is refused, or taken with --insecure-options=tls', async () => {
    web.pages['/app'] = page(template());
    env = { HOME: env['HOME'] as string };
    expect(await codeOf(discover(`${APP}/x`).then(([first]) => { throw new VmmError('FOUND', first ?? ''); }))).toMatch(/^FOUND .*\/app\/x-latest/);
    const strict = new Web({ env, insecureTls: false, insecureHttp: false, credentials: () => undefined });
    expect(await codeOf(strict.get(new URL(at('/app'))))).toMatch(/^ACI_TLS /);
    strict.close();
    const loose = new Web({ env, insecureTls: true, insecureHttp: false, credentials: () => undefined });
    const { response } = await loose.get(new URL(at('/app')));
    expect(response.status).toBe(200);
    response.body.destroy();
    loose.close();
  });
});

describe('fetching', () => {
  test('a signed image comes into the store, and runs by its name without being asked for again', async () => {
    await serve();
    await trusts(APP);
    const own = session();
    const record = await own.byName(`${APP}:1.0.0`);
    expect(record.signedBy).toBe(gpg.fingerprint('good'));
    expect(web.asked).toEqual(['/app?ac-discovery=1', `${FILE}.aci.asc`, `${FILE}.aci`]);
    expect((await own.byName(`${APP}:1.0.0`)).id).toBe(record.id);
    expect((await own.byName(APP)).id).toBe(record.id);
    expect(web.asked).toHaveLength(3);
    own.close();
  });

  test('an unknown signer is known before the image comes', async () => {
    await serve(undefined, 'other');
    await trusts(APP);
    expect(await codeOf(session().byName(`${APP}:1.0.0`))).toMatch(/^ACI_UNTRUSTED .*unknown entity/);
    expect(web.asked).not.toContain(`${FILE}.aci`);
  });

  test('an image that was changed, or has no signature, does not come', async () => {
    await serve();
    await trusts(undefined);
    web.pages[`${FILE}.aci`] = bytesOf(APP, { x: 'evil' });
    const own = session();
    expect(await codeOf(own.byName(`${APP}:1.0.0`))).toMatch(/^ACI_SIGNATURE .*bad signature/);
    delete web.pages[`${FILE}.aci.asc`];
    expect(await codeOf(own.byName(`${APP}:1.0.0`))).toMatch(/^ACI_UNSIGNED/);
    own.close();
    const loose = session({ insecure: { image: true, tls: false, http: false } });
    expect((await loose.byName(`${APP}:1.0.0`)).signedBy).toBeUndefined();
    loose.close();
  });

  test.each([
    ['another name', bytesOf('127.0.0.1/evil')],
    ['another version', bytesOf(APP, {}, { labels: [{ name: 'version', value: '2' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }] })],
    ['no version', bytesOf(APP, {}, { labels: [] })],
  ])('an image of %s is not the one', async (_, bytes) => {
    await serve(bytes);
    await trusts(undefined);
    expect(await codeOf(session().byName(`${APP}:1.0.0`))).toMatch(/^ACI_MISMATCH .*not 127\.0\.0\.1\/app,version=1\.0\.0/);
  });

  test('a name that nobody has is told so', async () => {
    await trusts(undefined);
    expect(await codeOf(session().byName(`${APP}:1.0.0`))).toMatch(/^ACI_DISCOVERY 127\.0\.0\.1\/app: no discovery page of it/);
    expect(await codeOf(session({ pull: 'never' }).byName(`${APP}:1.0.0`))).toMatch(/^IMAGE_NOT_FOUND /);
  });

  test('a server may give the signature after the image (202)', async () => {
    await serve();
    await trusts(APP);
    const signature = web.pages[`${FILE}.aci.asc`] as string;
    web.pages[`${FILE}.aci.asc`] = (_, response) => void (web.asked.includes(`${FILE}.aci`) ? response.writeHead(200).end(signature) : response.writeHead(202).end());
    expect((await session().byName(`${APP}:1.0.0`)).signedBy).toBe(gpg.fingerprint('good'));
    web.pages[`${FILE}.aci.asc`] = { status: 202 };
    expect(await codeOf(session().byName(`${APP}:1.0.0`))).toMatch(/^ACI_ANSWER .*no signature yet/);
  });

  test('a connection that breaks is taken up again where it broke; a changed file from its beginning', async () => {
    const bytes = Buffer.concat([bytesOf(APP, { x: '1' }), Buffer.alloc(0)]);
    await serve(bytes);
    await trusts(APP);
    for (const changes of [false, true]) {
      let times = 0;
      const ranges: (string | undefined)[] = [];
      web.pages[`${FILE}.aci`] = (request, response) => {
        times += 1;
        ranges.push(request.headers.range);
        const start = changes || request.headers.range === undefined ? 0 : Number(/\d+/.exec(request.headers.range)?.[0]);
        response.writeHead(start === 0 ? 200 : 206, { etag: '"a"', 'content-length': bytes.length - start, ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }) });
        if (times === 1) response.write(bytes.subarray(start, start + 100), () => response.destroy());
        else response.end(bytes.subarray(start));
      };
      const own = session();
      const record = await own.byName(`${APP}:1.0.0`);
      expect([times, ranges, record.signedBy]).toEqual([2, [undefined, 'bytes=100-'], gpg.fingerprint('good')]);
      own.close();
    }
  });

  test('what an image depends on is fetched with it, each signed', async () => {
    const base = bytesOf('127.0.0.1/base', { 'etc/base': '1' });
    await serve(bytesOf(APP, { 'etc/app': '2' }, { dependencies: [{ imageName: '127.0.0.1/base', labels: [{ name: 'version', value: '1.0.0' }] }] }));
    web.pages['/base'] = page(`127.0.0.1/base ${at('/files/{name}.{ext}')}`);
    web.pages['/files/127.0.0.1/base.aci'] = base;
    web.pages['/files/127.0.0.1/base.aci.asc'] = await signatureOf(base, 'other');
    await trusts(APP);
    const store = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    expect(await codeOf(session({ store }).byName(`${APP}:1.0.0`))).toMatch(/^ACI_UNTRUSTED .*127\.0\.0\.1\/base/);
    await trusts('127.0.0.1/base', 'other');
    const own = session({ store });
    const record = await own.byName(`${APP}:1.0.0`);
    expect(filesOf(store.rootfsPath(record.rootfs))).toEqual({ 'etc/base': '1', 'etc/app': '2' });
    expect(store.list().map(({ names }) => names[0]).sort()).toEqual(['127.0.0.1/app:1.0.0', '127.0.0.1/base:1.0.0']);
    own.close();
  });

  test('images that depend on each other are no images', async () => {
    await serve(bytesOf(APP, {}, { dependencies: [{ imageName: '127.0.0.1/base' }] }));
    web.pages['/base'] = page(`127.0.0.1/base ${at('/files/{name}.{ext}')}`);
    web.pages['/files/127.0.0.1/base.aci'] = bytesOf('127.0.0.1/base', {}, { dependencies: [{ imageName: APP, labels: [{ name: 'version', value: '1.0.0' }] }] });
    const own = session({ insecure: { image: true, tls: false, http: false } });
    expect(await codeOf(own.byName(`${APP}:1.0.0`))).toMatch(/^ACI_DEPENDENCY .*depends on itself/);
    own.close();
  });

  test('by its URL, with the signature beside it; asked for once', async () => {
    await serve();
    await trusts(APP);
    const own = session();
    const { id } = await own.byUrl(at(`${FILE}.aci`));
    expect((await own.byUrl(at(`${FILE}.aci`))).id).toBe(id);
    expect(web.asked.filter((one) => one.endsWith('.aci'))).toHaveLength(1);
    own.close();
  });

  describe('an image that is asked for again', () => {
    const gets = (): string[] => web.asked.filter((one) => one.endsWith('.aci'));
    /** Serves the image with headers, and answers a tag that fits as a server does. */
    async function served(headers: Record<string, string>): Promise<{ tags: (string | undefined)[] }> {
      await serve();
      await trusts(APP);
      const bytes = web.pages[`${FILE}.aci`] as Buffer;
      const tags: (string | undefined)[] = [];
      web.pages[`${FILE}.aci`] = (request, response) => {
        tags.push(request.headers['if-none-match']);
        if (headers['etag'] !== undefined && request.headers['if-none-match'] === headers['etag']) response.writeHead(304, headers).end();
        else response.writeHead(200, headers).end(bytes);
      };
      return { tags };
    }
    const twice = async (): Promise<[string, string]> => {
      const store = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
      const own = session({ pull: 'always', store });
      const again = session({ pull: 'always', store });
      const ids: [string, string] = [(await own.byName(`${APP}:1.0.0`)).id, ''];
      ids[1] = (await again.byName(`${APP}:1.0.0`)).id;
      own.close();
      again.close();
      return ids;
    };

    test.each<[string, Record<string, string>, number, number]>([
      ['max-age: not asked for until then', { 'cache-control': 'public, max-age=600' }, 1, 1],
      ['max-age that has passed on its way here', { 'cache-control': 'max-age=600', age: '600' }, 2, 2],
      ['no-cache with a tag: asked for, and not sent again', { 'cache-control': 'no-cache, max-age=600', etag: '"a"' }, 2, 1],
      ['no-store', { 'cache-control': 'no-store, max-age=600' }, 2, 2],
      ['a tag alone', { etag: 'W/"a"' }, 2, 1],
      ['neither', {}, 2, 2],
      ['nonsense', { 'cache-control': 'max-age=-1, max-age=x' }, 2, 2],
    ])('%s', async (_, headers, requests, signatures) => {
      await served(headers);
      const [first, second] = await twice();
      expect(second).toBe(first);
      expect([gets().length, web.asked.filter((one) => one.endsWith('.asc')).length]).toEqual([requests, signatures]);
    });

    test('a tag that fits no more: the new image comes, and its signature is looked at', async () => {
      const { tags } = await served({ etag: '"a"' });
      const own = session({ pull: 'always' });
      const first = await own.byName(`${APP}:1.0.0`);
      web.pages[`${FILE}.aci`] = bytesOf(APP, { x: '2' });
      expect(await codeOf(own.byName(`${APP}:1.0.0`))).toMatch(/^ACI_SIGNATURE /);
      web.pages[`${FILE}.aci.asc`] = await signatureOf(web.pages[`${FILE}.aci`] as Buffer);
      expect((await own.byName(`${APP}:1.0.0`)).id).not.toBe(first.id);
      expect(tags).toEqual([undefined]);
      own.close();
    });

    test('a key that is no longer trusted: it is fetched and refused, however fresh', async () => {
      await served({ 'cache-control': 'max-age=600', etag: '"a"' });
      const own = session({ pull: 'always' });
      await own.byName(`${APP}:1.0.0`);
      // An empty file disables the key.
      writeFileSync(join(keystorePaths(env).user, 'prefix.d', APP, gpg.fingerprint('good')), '');
      expect(await codeOf(own.byName(`${APP}:1.0.0`))).toMatch(/^ACI_UNTRUSTED /);
      own.close();
    });
  });

  test('keys that discovery finds are taken when whoever is asked says so', async () => {
    await serve();
    web.pages['/'] = `<head><meta name="ac-discovery-pubkeys" content="127.0.0.1 ${at('/key')}"></head>`;
    web.pages['/key'] = gpg.public('good');
    const seen: string[] = [];
    expect(await codeOf(session({ review: async () => false }).byName(`${APP}:1.0.0`))).toMatch(/^ACI_UNTRUSTED/);
    const own = session({ review: async (key, url, name) => seen.push(`${key.getFingerprint()} ${url.pathname} ${name}`) > 0 });
    expect((await own.byName(`${APP}:1.0.0`)).signedBy).toBe(gpg.fingerprint('good'));
    expect(seen).toEqual([`${gpg.fingerprint('good')} /key ${APP}`]);
    own.close();
  });

  test('a login of auth.d goes to its host', async () => {
    await serve();
    await trusts(APP);
    mkdirSync(join(env['HOME'] as string, '.config/vmm/auth.d'), { recursive: true });
    writeFileSync(join(env['HOME'] as string, '.config/vmm/auth.d/x.json'), JSON.stringify({ rktKind: 'auth', rktVersion: 'v1', domains: [`127.0.0.1:${web.port}`], type: 'basic', credentials: { user: 'u', password: 'p' } }));
    const image = web.pages[`${FILE}.aci`] as Buffer;
    web.pages[`${FILE}.aci`] = (request, response) => void (request.headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}` ? response.writeHead(200).end(image) : response.writeHead(401).end());
    expect((await session().byName(`${APP}:1.0.0`)).signedBy).toBe(gpg.fingerprint('good'));
    env = { ...env, HOME: path('home') };
    await trusts(APP);
    expect(await codeOf(session().byName(`${APP}:1.0.0`))).toMatch(/^ACI_ANSWER .*refuses access .*401/);
  });

  test.each([
    ['a signature without an end', `${FILE}.aci.asc`, { body: Buffer.alloc(2 << 20, 'x') }, /^ACI_ANSWER .*more than 1048576 bytes/],
    ['a page without an end', '/app', { body: Buffer.alloc(2 << 20, ' ') }, /^ACI_ANSWER .*more than 1048576 bytes/],
    ['a signature that is none', `${FILE}.aci.asc`, 'hello', /^ACI_SIGNATURE .*is no OpenPGP signature/],
    ['an image that is none', `${FILE}.aci`, 'hello', /^IMAGE_TAR_/],
    ['an image that is not there', `${FILE}.aci`, { status: 404 }, /^IMAGE_NOT_FOUND/],
    ['a server that is broken', `${FILE}.aci`, { status: 500 }, /^ACI_ANSWER .*answers 500/],
    ['a range that nobody asked for', `${FILE}.aci`, { status: 206, headers: { 'content-range': 'bytes 5-9/10' }, body: 'xxxxx' }, /^ACI_ANSWER .*another place/],
  ])('%s', async (_, where, answer, message) => {
    await serve();
    await trusts(APP);
    web.pages[where] = answer;
    const store = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    const own = session({ store });
    expect(await codeOf(own.byName(`${APP}:1.0.0`))).toMatch(message);
    expect(store.list()).toEqual([]);
    own.close();
  });
});

describe('a file', () => {
  async function write(who?: string): Promise<string> {
    const file = path('x.aci');
    writeFileSync(file, bytesOf(APP, { x: '1' }));
    if (who !== undefined) writeFileSync(`${file}.asc`, await signatureOf(readFileSync(file), who));
    return file;
  }

  test('runs when it is signed by who may, or with --insecure-options=image', async () => {
    const store = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    const before = process.env['XDG_CONFIG_HOME'];
    process.env['XDG_CONFIG_HOME'] = join(env['HOME'] as string, '.config');
    try {
      const bare = await write();
      expect(await codeOf(resolveImage(bare, { store }))).toMatch(/^ACI_UNSIGNED .*is not signed/);
      expect(store.list()).toEqual([]);
      expect((await resolveImage(bare, { store, insecure: { image: true, tls: false, http: false } })).record.signedBy).toBeUndefined();
      // What the store has of it does not change that.
      expect(await codeOf(resolveImage(bare, { store }))).toMatch(/^ACI_UNSIGNED/);
      expect(await codeOf(resolveImage(`${APP}:1.0.0`, { store }))).toMatch(/^ACI_UNSIGNED/);
      expect(await codeOf(resolveImage(`aci:${APP}:1.0.0`, { store }))).toMatch(/^ACI_UNSIGNED/);
      const signed = await write('good');
      expect(await codeOf(resolveImage(signed, { store }))).toMatch(/^ACI_UNTRUSTED/);
      await trusts('127.0.0.1');
      expect((await resolveImage(signed, { store })).record.signedBy).toBe(gpg.fingerprint('good'));
      // The same image, verified meanwhile.
      for (const text of [bare, `${APP}:1.0.0`, `aci:${APP}`]) expect((await resolveImage(text, { store })).record.signedBy).toBe(gpg.fingerprint('good'));
      writeFileSync(`${signed}.asc`, await signatureOf(Buffer.from('x')));
      const other = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
      expect(await codeOf(resolveImage(signed, { store: other }))).toMatch(/^ACI_SIGNATURE .*bad signature/);
    } finally {
      if (before === undefined) delete process.env['XDG_CONFIG_HOME'];
      else process.env['XDG_CONFIG_HOME'] = before;
    }
  });
});

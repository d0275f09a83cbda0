/** App container images under a policy file: by path, URL and name, stored or fetched, and as apps of a pod. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { VmmError } from '../../../base/errors.ts';
import { AciSession } from '../../../image/aci.ts';
import { keystorePaths, trustKey } from '../../../image/appc/keystore.ts';
import { readPublicKey } from '../../../image/appc/openpgp.ts';
import { explainPolicy } from '../../../image/explain.ts';
import { resolveImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { storedPod } from '../../../vmm/pod/stored.ts';
import { Gpg } from '../appc/gpg.ts';
import { tarFile } from '../appc/support.ts';
import { type WebServer, webServer } from '../appc/web-server.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
const HOME = folder();
const NAME = '127.0.0.1/team/app';
const gpg = new Gpg(join(FOLDER, 'gnupg'));
const CHANGED = ['HOME', 'XDG_CONFIG_HOME', 'VMM_POLICY', 'SSL_CERT_FILE', 'CONTAINERS_REGISTRIES_CONF'];
const before = CHANGED.map((name) => process.env[name]);
let web: WebServer;
let signed: string;
let unsigned: string;

beforeAll(async () => {
  for (const name of ['good', 'other', 'stranger']) gpg.make(name, 'rsa2048');
  web = await webServer(FOLDER);
  const manifest = JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: NAME, labels: [{ name: 'version', value: '1' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }], app: { exec: ['/x'], user: '0', group: '0' } });
  const aci = (name: string, data: string): string => {
    const path = join(folder(), name);
    writeFileSync(path, gzipSync(tarFile({ name: 'manifest', data: manifest }, { name: 'rootfs/', type: '5' }, { name: 'rootfs/x', data })));
    return path;
  };
  signed = aci('signed.aci', '1');
  unsigned = aci('unsigned.aci', '2');
  writeFileSync(`${signed}.asc`, gpg.sign('good', signed));
  for (const [page, file] of [['/signed.aci', signed], ['/signed.aci.asc', `${signed}.asc`], ['/unsigned.aci', unsigned]] as const) web.pages[page] = readFileSync(file);
  for (const name of ['good', 'other']) trustKey(keystorePaths({ HOME }).user, name === 'good' ? '127.0.0.1/team' : undefined, await readPublicKey(Buffer.from(gpg.public(name)), name));
});
afterAll(async () => {
  await web.stop();
  for (const [i, name] of CHANGED.entries()) {
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
  }
});
beforeEach(() => {
  delete process.env['XDG_CONFIG_HOME'];
  delete process.env['VMM_POLICY'];
  Object.assign(process.env, { HOME, SSL_CERT_FILE: web.ca, CONTAINERS_REGISTRIES_CONF: join(HOME, 'none') });
});

const accept = [{ type: 'insecureAcceptAnything' }];
const reject = [{ type: 'reject' }];
const anyTrusted = [{ type: 'appcSigned' }];
const by = (name: string): unknown[] => [{ type: 'appcSigned', keyData: Buffer.from(gpg.public(name)).toString('base64') }];
function policy(text: unknown): void {
  process.env['VMM_POLICY'] = join(folder(), 'policy.json');
  writeFileSync(process.env['VMM_POLICY'], JSON.stringify(text));
}
const newStore = (): ImageStore => new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') }));
const NO_CARE = { image: true, tls: false, http: false };
const outcome = (work: Promise<unknown>): Promise<string> => work.then(() => 'runs', (error: VmmError) => `${error.code} ${error.message}`);

/** A store that has the signed image, from before there was a policy. */
async function stored(): Promise<ImageStore> {
  const store = newStore();
  delete process.env['VMM_POLICY'];
  await resolveImage(`aci:${signed}`, { store });
  return store;
}

describe('app container images', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['any trusted key', () => ({ default: reject, transports: { appc: { '127.0.0.1/team': anyTrusted } } }), /^runs$/],
    ['the key that signed', () => ({ default: reject, transports: { appc: { [NAME]: by('good') } } }), /^runs$/],
    ['another key', () => ({ default: accept, transports: { appc: { [NAME]: by('other') } } }), /^TRUST_REJECTED aci:.*is signed by/],
    ['a rule of another name', () => ({ default: reject, transports: { appc: { '127.0.0.1/te': accept } } }), /^TRUST_REJECTED .*it is rejected/],
    ['a requirement of registries', () => ({ default: [{ type: 'contentTrust' }] }), /^TRUST_REJECTED .*cannot be met/],
    ['two, one met', () => ({ default: [...anyTrusted, ...by('other')] }), /^TRUST_REJECTED /],
    ['a key that is none', () => ({ default: [{ type: 'appcSigned', keyData: 'AAAA' }] }), /^TRUST_CONFIG .*no OpenPGP key/],
  ])('stored, by its names and its id: %s', async (_, text, wanted) => {
    const store = await stored();
    policy(text());
    const id = store.list()[0]?.record.id.slice(7, 40) as string;
    for (const name of [`aci:${NAME}`, `aci:${NAME}:1`, `${NAME}:1`, id]) expect([name, await outcome(resolveImage(name, { store }))]).toEqual([name, expect.stringMatching(wanted)]);
    const pod = Buffer.from(JSON.stringify({ acVersion: '0.8.11', acKind: 'PodManifest', apps: [{ name: 'one', image: { id: `sha512-${id}` } }] }));
    expect(await outcome(storedPod(pod, store, { where: 'pod', unsigned: true, strict: false }))).toMatch(wanted);
  });

  it('explain says by which key it is signed, or what is missing', async () => {
    const store = await stored();
    policy({ default: reject, transports: { appc: { '127.0.0.1/team': anyTrusted } } });
    const path = process.env['VMM_POLICY'];
    expect(await explainPolicy(`aci:${NAME}`, process.env, store)).toEqual([`aci:${NAME}: let through by ${path}, appc: 127.0.0.1/team`, `appcSigned: met, signed by the key ${gpg.fingerprint('good')}`]);
    policy({ default: by('other') });
    expect((await explainPolicy(`aci:${NAME}`, process.env, store))[1]).toMatch(/^appcSigned: it is signed by [0-9a-f]{40}, whose key is not one that may$/);
    expect(await outcome(explainPolicy('aci:example.com/none', process.env, store))).toMatch(/^IMAGE_NOT_FOUND /);
  });

  it('a key that is trusted no more, or not for this name', async () => {
    const store = await stored();
    policy({ default: anyTrusted });
    expect(await outcome(resolveImage(`aci:${NAME}`, { store }))).toBe('runs');
    process.env['HOME'] = folder();
    expect(await outcome(resolveImage(`aci:${NAME}`, { store }))).toMatch(/^TRUST_REJECTED .*not one that may/);
  });

  it('unsigned: --insecure-options=image does not lift the policy', async () => {
    const store = newStore();
    await resolveImage(`aci:${unsigned}`, { store, insecure: NO_CARE });
    policy({ default: anyTrusted });
    expect(await outcome(resolveImage(`aci:${NAME}`, { store, insecure: NO_CARE }))).toMatch(/^TRUST_REJECTED .*no signature/);
    expect(await outcome(resolveImage(`aci:${unsigned}`, { store: newStore(), insecure: NO_CARE }))).toMatch(/^TRUST_REJECTED .*no signature/);
  });

  it('by path: the transport’s rule; what is no ACI is signed by nobody', async () => {
    policy({ default: reject, transports: { aci: { '': anyTrusted } } });
    expect(await outcome(resolveImage(`aci:${signed}`, { store: newStore() }))).toBe('runs');
    policy({ default: reject, transports: { aci: { '': by('other') } } });
    expect(await outcome(resolveImage(`aci:${signed}`, { store: newStore() }))).toMatch(/^TRUST_REJECTED aci:\//);
    const tree = folder();
    policy({ default: reject, transports: { dir: { '': anyTrusted } } });
    expect(await outcome(resolveImage(tree, { store: newStore() }))).toMatch(/^TRUST_REJECTED dir:/);
  });

  it('fetched: refused before it is in the store', async () => {
    const url = `https://127.0.0.1:${web.port}/signed.aci`;
    for (const [text, wanted] of [[{ default: reject }, /^TRUST_REJECTED /], [{ default: by('other') }, /^TRUST_REJECTED /], [{ default: reject, transports: { appc: { [`https://127.0.0.1:${web.port}`]: by('good') } } }, /^runs$/], [{ default: by('good') }, /^runs$/]] as const) {
      const store = newStore();
      policy(text);
      const session = new AciSession({ store, pull: 'missing' });
      expect(await outcome(session.byUrl(url).finally(() => session.close()))).toMatch(wanted);
      expect(store.list()).toHaveLength(wanted.source === '^runs$' ? 1 : 0);
      expect(await outcome(resolveImage(url, { store, pull: 'missing' }))).toMatch(wanted);
    }
    policy({ default: accept, transports: { appc: { [NAME]: anyTrusted } } });
    expect(await outcome(resolveImage(`https://127.0.0.1:${web.port}/unsigned.aci`, { store: newStore(), pull: 'missing', insecure: NO_CARE }))).toMatch(/^TRUST_REJECTED /);
  });
});

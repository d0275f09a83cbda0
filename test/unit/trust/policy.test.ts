/** The policy file: which rule applies, held against skopeo; signatures in cosign's form, by the clauses of its specification. */
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dsse } from '@sigstore/core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { explainPolicy } from '../../../image/explain.ts';
import { pullImage } from '../../../image/pull.ts';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { resolveImage } from '../../../image/resolve.ts';
import { changeStore, tagImage } from '../../../image/store/change.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore, signaturesOf } from '../../../image/store/store.ts';
import { judge } from '../../../image/trust/policy/check.ts';
import { readPolicy, registryScopes, ruleOf } from '../../../image/trust/policy/policy.ts';
import { keptSignatures } from '../../../image/trust/signatures.ts';
import { type Registry, startRegistry } from '../../support/images/registry.ts';
import { IN_TOTO, MadeSigstore, statement } from '../../support/images/sigstore-maker.ts';
import { ociImage } from '../image/forms.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
const HOME = folder();
const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
let registry: Registry;
let base: string;
let oci: string;
let digest: string;
beforeAll(async () => {
  registry = await startRegistry(FOLDER);
  base = `127.0.0.1:${registry.port}`;
  ({ digest, oci } = ociImage(folder()));
});
afterAll(() => registry.stop());

const run = async (...args: string[]): Promise<boolean> => promisify(execFile)('skopeo', args, { timeout: 60_000, env: { PATH: process.env['PATH'], HOME, TMPDIR: '/tmp' } }).then(() => true, () => false);
const put = async (path: string, body: string | Uint8Array, type: string): Promise<void> => {
  const answer = await fetch(`http://${base}/v2/${path}`, { method: 'PUT', body: Buffer.from(body as string), headers: { 'content-type': type } });
  expect(answer.status).toBe(201);
};
async function blob(repository: string, bytes: string): Promise<{ digest: string; size: number }> {
  const start = await fetch(`http://${base}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(start.headers.get('location') ?? '', `http://${base}`);
  location.searchParams.set('digest', `sha256:${sha256(bytes)}`);
  expect((await fetch(location, { method: 'PUT', body: bytes })).status).toBe(201);
  return { digest: `sha256:${sha256(bytes)}`, size: bytes.length };
}

const ours = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: KeyObject): string => Buffer.from(key.export({ type: 'spki', format: 'pem' })).toString('base64');

interface Signature {
  readonly key?: KeyObject;
  /** Of the payload; default: the image's name. */
  readonly reference?: (name: string) => string;
  readonly manifest?: string;
  readonly type?: string;
  readonly tamper?: boolean;
}

/** Pushes the image under a repository of its own, with signatures as cosign attaches them. */
async function image(name: string, signatures: readonly Signature[]): Promise<string> {
  expect(await run('copy', '-q', '--insecure-policy', '--preserve-digests', '--dest-tls-verify=false', `oci:${oci}:1`, `docker://${base}/${name}:1`)).toBe(true);
  if (signatures.length > 0) {
    const layers = [];
    for (const { key = ours.privateKey, reference = (full: string) => full, manifest = digest, type = 'cosign container image signature', tamper = false } of signatures) {
      const payload = JSON.stringify({ critical: { identity: { 'docker-reference': reference(`${base}/${name}:1`) }, image: { 'docker-manifest-digest': manifest }, type }, optional: { creator: 'test', timestamp: 1_700_000_000 } });
      const signed = sign('sha256', Buffer.from(payload), key);
      layers.push({ mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', ...(await blob(name, tamper ? payload.replace('test', 'Test') : payload)), annotations: { 'dev.cosignproject.cosign/signature': signed.toString('base64') } });
    }
    const config = await blob(name, JSON.stringify({ architecture: '', os: '', config: {}, rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) } }));
    await put(`${name}/manifests/${digest.replace(':', '-')}.sig`, JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config }, layers }), 'application/vnd.oci.image.manifest.v1+json');
  }
  return `${base}/${name}:1`;
}

const env = (policy: string): Record<string, string> => ({ HOME, PATH: process.env['PATH'] ?? '', VMM_POLICY: policy, CONTAINERS_REGISTRIES_CONF: join(HOME, 'none') });
const newStore = (): ImageStore => new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') }));
function policyFile(policy: unknown): string {
  const path = join(folder(), 'policy.json');
  writeFileSync(path, typeof policy === 'string' ? policy : JSON.stringify(policy));
  return path;
}
const accept = [{ type: 'insecureAcceptAnything' }];
const reject = [{ type: 'reject' }];
const signedBy = (key: KeyObject, signedIdentity?: unknown): unknown => ({ type: 'sigstoreSigned', keyData: pem(key), ...(signedIdentity === undefined ? {} : { signedIdentity }) });
const mine = (identity?: unknown): unknown[] => [signedBy(ours.publicKey, identity)];
const repositoryOf = (full: string): string => full.replace(/:1$/, '');
/** The default is what is asked. */
const all = (requirements: unknown[]) => (): unknown => ({ default: requirements });

const CASES: readonly (readonly [what: string, policy: (full: string) => unknown, signatures: readonly Signature[], passes: boolean])[] = [
  ['anything, unsigned', all(accept), [], true],
  ['nothing', all(reject), [{}], false],
  ['a key, and a signature by it', all(mine()), [{}], true],
  ['a key, unsigned', all(mine()), [], false],
  ['a key, a signature by another', all(mine()), [{ key: other.privateKey }], false],
  ['a key, the second signature is by it', all(mine()), [{ key: other.privateKey }, {}], true],
  ['a signature of another manifest', all(mine()), [{ manifest: `sha256:${'a'.repeat(64)}` }], false],
  ['a payload that was changed', all(mine()), [{ tamper: true }], false],
  ['a payload of another kind', all(mine()), [{ type: 'something else' }], false],
  ['a signature for another tag', all(mine()), [{ reference: (full) => full.replace(/:1$/, ':2') }], false],
  ['a signature for the repository, as cosign makes it', all(mine()), [{ reference: repositoryOf }], false],
  ['a signature for the repository, where that is enough', all(mine({ type: 'matchRepository' })), [{ reference: repositoryOf }], true],
  ['a signature for another repository', all(mine({ type: 'matchRepository' })), [{ reference: () => 'example.com/other:1' }], false],
  ['an exact reference', all(mine({ type: 'exactReference', dockerReference: 'example.com/other:1' })), [{ reference: () => 'example.com/other:1' }], true],
  ['an exact reference to another', all(mine({ type: 'exactReference', dockerReference: 'example.com/other:2' })), [{ reference: () => 'example.com/other:1' }], false],
  ['an exact repository', all(mine({ type: 'exactRepository', dockerRepository: 'example.com/other' })), [{ reference: () => 'example.com/other:7' }], true],
  ['a remapped name', (full) => ({ default: mine({ type: 'remapIdentity', prefix: full.split('/')[0], signedPrefix: 'vendor.example' }) }), [{ reference: (full) => full.replace(/^[^/]*/, 'vendor.example') }], true],
  ['two requirements, one met', all([...mine(), signedBy(other.publicKey)]), [{}], false],
  ['two requirements, both met', all([...mine(), signedBy(other.publicKey)]), [{}, { key: other.privateKey }], true],
  ['the repository’s own rule before the default', (full) => ({ default: reject, transports: { docker: { [repositoryOf(full)]: accept } } }), [], true],
  ['the host’s rule before the default', (full) => ({ default: accept, transports: { docker: { [full.split('/')[0] as string]: reject } } }), [], false],
  ['the tag’s rule before the host’s', (full) => ({ default: reject, transports: { docker: { [full.split('/')[0] as string]: reject, [full]: accept } } }), [], true],
  ['the transport’s rule', () => ({ default: accept, transports: { docker: { '': reject } } }), [], false],
  ['another host’s rule', () => ({ default: accept, transports: { docker: { 'example.com': reject } } }), [], true],
];

describe('a pull under a policy', () => {
  it.each(CASES.map((row, i) => [row[0], i, row] as const))('%s', async (_, i, [, policy, signatures, passes]) => {
    const full = await image(`case/n${i}`, signatures);
    const path = policyFile(policy(full));
    const mineSays = await pullImage(full, { store: newStore(), env: env(path) }).then(() => 'passes', (error: VmmError) => `${error.code} ${error.message}`);
    expect(mineSays).toMatch(passes ? /^passes$/ : /^TRUST_REJECTED /);
    // Debian's build of skopeo has sigstore turned off: it refuses whatever asks for it, so it is asked about all else only.
    const judged = JSON.stringify(policy(full)).includes('sigstoreSigned') ? undefined : await run('copy', '-q', '--policy', path, '--src-tls-verify=false', `docker://${full}`, `dir:${folder()}`);
    if (judged !== undefined) expect(judged).toBe(passes);
    const [verdict = '', ...findings] = await explainPolicy(full, env(path));
    expect(verdict).toContain(`${full}: ${passes ? 'let through' : 'refused'} by ${path}`);
    expect(findings.length).toBeGreaterThan(0);
  });
});

describe('what newer versions of cosign attach', () => {
  const sigstore = new MadeSigstore();
  const key = { publicKey: ours.publicKey, privateKey: ours.privateKey };
  const SIGN = 'https://sigstore.dev/cosign/sign/v1';
  const SLSA = 'https://slsa.dev/provenance/v1';
  const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
  const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

  /** Attaches bundles by the tag that stands in for the referrers' API (cosign, BUNDLE_SPEC.md). `told`: their type as the index has it. */
  async function attach(name: string, bundles: readonly Buffer[], told: string | undefined): Promise<void> {
    const manifests = [];
    for (const bundle of bundles) {
      const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...(await blob(name, '{}')) };
      const bytes = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, artifactType: BUNDLE, config, layers: [{ mediaType: BUNDLE, ...(await blob(name, bundle.toString())) }], subject: { mediaType: MANIFEST, digest, size: 1 } });
      await put(`${name}/manifests/sha256:${sha256(bytes)}`, bytes, MANIFEST);
      manifests.push({ mediaType: MANIFEST, digest: `sha256:${sha256(bytes)}`, size: bytes.length, ...(told === undefined ? {} : { artifactType: told }) });
    }
    await put(`${name}/manifests/${digest.replace(':', '-')}`, JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }), 'application/vnd.oci.image.index.v1+json');
  }
  const signed = { type: 'sigstoreSigned', keyData: pem(ours.publicKey), signedIdentity: { type: 'matchDigest' } };
  const attested = { type: 'sigstoreAttested', keyData: pem(ours.publicKey), predicateType: SLSA };

  it.each([BUNDLE, undefined, 'application/vnd.oci.empty.v1+json'])('bundles, told of as %s: pulled, kept and explained', async (told) => {
    const full = await image(`bundle/n${String(told).length}`, []);
    const repository = full.replace(/^[^/]*\//, '').replace(/:1$/, '');
    const path = policyFile({ default: [signed, attested] });
    const store = newStore();
    const tried = (): Promise<string> => pullImage(full, { store, env: env(path) }).then(() => 'passes', (error: VmmError) => `${error.code} ${error.message}`);
    expect(await tried()).toMatch(/^TRUST_REJECTED .*no signature by cosign/);
    await attach(repository, [await sigstore.bundle(statement(digest, SIGN), { key })], told);
    expect(await tried()).toMatch(/^TRUST_REJECTED .*no attestation of https:/);
    await attach(repository, [await sigstore.bundle(statement(digest, SIGN), { key }), await sigstore.bundle(statement(digest, SLSA), { key })], told);
    expect(await tried()).toBe('passes');
    expect(await explainPolicy(full, env(path))).toEqual([expect.stringContaining('let through'), 'sigstoreSigned: met, signed by a key of the policy, in a bundle', `sigstoreAttested: met, signed by a key of the policy: ${SLSA}`]);
    // A policy that has changed is held against what was kept, without a network.
    const kept = keptSignatures(store.sourceNote(signaturesOf(full), store.find(full)?.id as string));
    const verdict = await judge(readPolicy(policyFile({ default: [{ ...signed, rekorPublicKeyData: Buffer.from(sigstore.logPem).toString('base64') }, attested] })), { name: parseRegistryName(full), kept: true, ...(kept as NonNullable<typeof kept>) }, {});
    expect(verdict.findings.map(({ fault }) => fault)).toEqual([undefined, undefined]);
  });

  it('attestations by tag', async () => {
    const full = await image('attested/a', []);
    const envelope = (payload: Buffer): string => JSON.stringify({ payloadType: IN_TOTO, payload: payload.toString('base64'), signatures: [{ keyid: '', sig: sign('sha256', dsse.preAuthEncoding(IN_TOTO, payload), ours.privateKey).toString('base64') }] });
    const layers = [];
    for (const payload of [statement(digest, 'https://spdx.dev/Document'), statement(digest, SLSA)]) layers.push({ mediaType: 'application/vnd.dsse.envelope.v1+json', ...(await blob('attested/a', envelope(payload))), annotations: { 'dev.cosignproject.cosign/signature': '' } });
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await blob('attested/a', '{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}')) };
    const path = policyFile({ default: [attested] });
    expect((await explainPolicy(full, env(path)))[1]).toMatch(/no attestation/);
    await put(`attested/a/manifests/${digest.replace(':', '-')}.att`, JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }), MANIFEST);
    await pullImage(full, { store: newStore(), env: env(path) });
    expect((await explainPolicy(full, env(path)))[1]).toBe(`sigstoreAttested: met, signed by a key of the policy: ${SLSA}`);
  });
});

describe('a run under a policy', () => {
  const before = { ...process.env };
  beforeEach(() => {
    process.env['CONTAINERS_REGISTRIES_CONF'] = join(HOME, 'none');
    delete process.env['VMM_POLICY'];
    return () => {
      for (const name of ['VMM_POLICY', 'CONTAINERS_REGISTRIES_CONF']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    };
  });
  const fails = (action: Promise<unknown>): Promise<string> => action.then(() => 'no error', (error: VmmError) => `${error.code} ${error.message}`);

  it('what was let in runs without asking anybody; a policy that changed is held against what was kept, else asked again', async () => {
    const full = await image('run/a', [{}]);
    const store = newStore();
    const strict = policyFile({ default: mine() });
    process.env['VMM_POLICY'] = strict;
    await resolveImage(full, { store, pull: 'missing' });
    // By the record alone: the name leads to nobody any more.
    await resolveImage(full, { store, pull: 'never' });
    await resolveImage(store.find(full)?.id.slice(7) as string, { store, pull: 'never' });
    writeFileSync(strict, JSON.stringify({ default: mine(), transports: { docker: { 'example.com': reject } } }));
    await resolveImage(full, { store, pull: 'never' });
    writeFileSync(strict, JSON.stringify({ default: [{ type: 'contentTrust' }] }));
    expect(await fails(resolveImage(full, { store, pull: 'never' }))).toMatch(/^TRUST_REJECTED .*not let in by/);
    expect(await fails(resolveImage(store.find(full)?.id.slice(7) as string, { store, pull: 'never' }))).toMatch(/^TRUST_REJECTED /);
    writeFileSync(strict, JSON.stringify({ default: mine(), transports: { docker: { 'example.com': reject, 'example.org': reject } } }));
    await resolveImage(full, { store, pull: 'missing' });
    await resolveImage(full, { store, pull: 'never' });
    writeFileSync(strict, JSON.stringify({ default: reject }));
    expect(await fails(resolveImage(full, { store, pull: 'missing' }))).toMatch(/^TRUST_REJECTED .*it is rejected \(.*, default\)/);
    writeFileSync(strict, JSON.stringify({ default: accept }));
    await resolveImage(full, { store, pull: 'never' });
  });

  it('a policy that has changed is held against the signatures that came with the image, without a network', async () => {
    const full = await image('run/kept', [{}, { key: other.privateKey, reference: repositoryOf }]);
    const store = newStore();
    const path = policyFile({ default: mine() });
    process.env['VMM_POLICY'] = path;
    await resolveImage(full, { store, pull: 'missing' });
    const id = store.find(full)?.id.slice(7) as string;
    const stored = (policy: unknown, what = full): Promise<string> => {
      writeFileSync(path, JSON.stringify(policy));
      return fails(resolveImage(what, { store, pull: 'never' }));
    };
    expect(await stored({ default: reject, transports: { docker: { [repositoryOf(full)]: mine() } } })).toBe('no error');
    expect(await stored({ default: [...mine(), signedBy(other.publicKey, { type: 'matchRepository' })] }, id)).toBe('no error');
    expect(await stored({ default: [...mine(), signedBy(other.publicKey)] })).toMatch(/^TRUST_REJECTED .*signed as/);
    expect(await stored({ default: [...mine(), signedBy(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)] }, id)).toMatch(/^TRUST_REJECTED .*by no key/);
    // What was never asked for cannot be told.
    expect(await stored({ default: [{ type: 'contentTrust' }] })).toMatch(/^TRUST_REJECTED .*not let in by/);
    // A verdict is noted: the very policy needs no signature any more.
    expect(await stored({ default: mine(), transports: {} })).toBe('no error');
    expect(store.stampOf(full, store.find(full)?.id as string)).toBe(sha256(JSON.stringify({ default: mine(), transports: {} })));
    // By another name it came from nowhere.
    await tagImage(store, full, 'localhost/other:1');
    expect(await stored({ default: mine(), transports: { oci: {} } }, 'localhost/other:1')).toMatch(/^TRUST_REJECTED /);
  });

  it('a key’s file that is exchanged makes it another policy', async () => {
    const full = await image('run/keyfile', [{}]);
    const store = newStore();
    const keyPath = join(folder(), 'key.pub');
    writeFileSync(keyPath, ours.publicKey.export({ type: 'spki', format: 'pem' }));
    process.env['VMM_POLICY'] = policyFile({ default: [{ type: 'sigstoreSigned', keyPath }] });
    await resolveImage(full, { store, pull: 'missing' });
    await resolveImage(full, { store, pull: 'never' });
    writeFileSync(keyPath, other.publicKey.export({ type: 'spki', format: 'pem' }));
    expect(await fails(resolveImage(full, { store, pull: 'never' }))).toMatch(/^TRUST_REJECTED .*by no key/);
    expect(await fails(resolveImage(full, { store, pull: 'missing' }))).toMatch(/^TRUST_REJECTED .*by no key/);
  });

  it('explain goes by what was kept where the registry cannot be asked', async () => {
    const full = await image('run/told', [{}]);
    const store = newStore();
    process.env['VMM_POLICY'] = policyFile({ default: mine({ type: 'exactReference', dockerReference: full }) });
    const { id } = (await resolveImage(full, { store, pull: 'missing' })).record;
    // The same image by the name of a registry that nobody runs.
    const gone = '127.0.0.1:9/run/told:1';
    await changeStore(store, (change) => {
      change.setName(gone, id);
      change.setSource(signaturesOf(gone), id, store.sourceNote(signaturesOf(full), id));
    });
    const lines = await explainPolicy('127.0.0.1:9/run/told:1', process.env, store);
    expect(lines).toEqual([expect.stringContaining('let through by'), 'sigstoreSigned: met, signed by a key of the policy', expect.stringContaining('cannot be asked')]);
    expect(await fails(explainPolicy('127.0.0.1:9/run/other:1', process.env, store))).toMatch(/^REGISTRY_CONNECT /);
  });

  it('paths have their transports’ rules', async () => {
    process.env['VMM_POLICY'] = policyFile({ default: accept, transports: { oci: { [oci]: reject, '/': accept } } });
    expect(await fails(resolveImage(`oci:${oci}:1`, { store: newStore() }))).toMatch(/^TRUST_REJECTED oci:/);
    process.env['VMM_POLICY'] = policyFile({ default: reject, transports: { oci: { '': accept } } });
    await resolveImage(`oci:${oci}:1`, { store: newStore() });
    expect(await fails(resolveImage(oci, { store: newStore() }))).toMatch(/^TRUST_REJECTED dir:/);
  });

  it.each([
    ['{', /^TRUST_CONFIG .*not JSON/],
    ['{}', /^TRUST_CONFIG .*no default/],
    [JSON.stringify({ default: [{ type: 'maybe' }] }), /^TRUST_CONFIG .*unknown type "maybe"/],
    [JSON.stringify({ default: [{ type: 'sigstoreSigned' }] }), /^TRUST_CONFIG .*one of keyPath and keyData/],
    [JSON.stringify({ default: [{ type: 'sigstoreSigned', keyPath: '/nowhere' }] }), /^TRUST_CONFIG .*ENOENT/],
    [JSON.stringify({ default: [{ type: 'signedBy' }] }), /^TRUST_CONFIG .*keyType/],
    [JSON.stringify({ default: accept, transports: { docker: { '': [] } } }), /^TRUST_CONFIG .*asks for nothing/],
  ])('%s lets nothing through', async (text, wanted) => {
    process.env['VMM_POLICY'] = policyFile(text);
    expect(await fails(resolveImage(await image('run/b', []), { store: newStore(), pull: 'missing' }))).toMatch(wanted);
  });

  it('a policy that is named and not there lets nothing through', async () => {
    process.env['VMM_POLICY'] = join(FOLDER, 'no-such-policy.json');
    expect(await fails(resolveImage('x', { store: newStore() }))).toMatch(/^(TRUST_CONFIG|IMAGE_NOT_FOUND) /);
    expect(await fails(pullImage(await image('run/c', []), { store: newStore(), env: env(join(FOLDER, 'no-such-policy.json')) }))).toMatch(/^TRUST_CONFIG cannot read/);
  });
});

it('any text is a policy or refused in one line', () => {
  const json = fc.oneof(fc.json({ maxDepth: 4 }), fc.record({ default: fc.array(fc.record({ type: fc.oneof(fc.constantFrom('reject', 'sigstoreSigned', 'sigstoreAttested'), fc.string()) }, { noNullPrototype: true })), transports: fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.jsonValue())) }).map((value) => JSON.stringify(value)));
  const path = policyFile('');
  fc.assert(fc.property(json, fc.string(), (text, name) => {
    writeFileSync(path, text);
    try {
      return ruleOf(readPolicy(path), 'docker', registryScopes(name)).requirements.length > 0;
    } catch (error) {
      return error instanceof VmmError && error.code === 'TRUST_CONFIG' && !error.message.includes('\n');
    }
  }), { numRuns: process.env['VMM_LONG'] === '1' ? 1_000_000 : 1000 });
});

/**
 * Notary Project signatures: the project's own test data (their origin stands in the file), under its trust policies; and made ones, by openssl's
 * certificates, through a real registry, in both forms.
 */
import { execFileSync } from 'node:child_process';
import { constants, createHash, createPrivateKey, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { pullImage } from '../../../image/pull.ts';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { decodeCbor } from '../../../image/trust/notation/cbor.ts';
import { COSE, JWS, readEnvelope } from '../../../image/trust/notation/envelope.ts';
import { notationFault } from '../../../image/trust/notation/verify.ts';
import { FoundSignatures } from '../../../image/trust/signatures.ts';
import { type Registry, startRegistry } from '../../support/images/registry.ts';
import { ociImage } from '../image/forms.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
type Json = Record<string, unknown>;
interface Jws {
  payload: string;
  protected: string;
  header: { x5c: string[] };
  signature: string;
}
const GIVEN = JSON.parse(readFileSync(join(import.meta.dirname, '../../support/images/notation.json'), 'utf8')) as { ca: Jws; signingAuthority: Jws; cose: string };

/** Notation's folder, with one policy and one store of each kind. */
function setup(policy: Json, stores: Readonly<Record<string, string | Buffer>>): string {
  const home = folder();
  writeFileSync(join(home, 'trustpolicy.json'), JSON.stringify({ version: '1.0', trustPolicies: [{ name: 'p', registryScopes: ['*'], signatureVerification: { level: 'strict' }, trustStores: Object.keys(stores).map((store) => store.replace('/', ':')), trustedIdentities: ['*'], ...policy }] }));
  for (const [store, certificate] of Object.entries(stores)) {
    mkdirSync(join(home, 'truststore/x509', store), { recursive: true });
    writeFileSync(join(home, 'truststore/x509', store, 'a.crt'), certificate);
  }
  return home;
}
async function verdict(envelope: Uint8Array, mediaType: string, digest: string, home: string, name = 'example.com/a/b:1'): Promise<string> {
  try {
    return (await notationFault(new FoundSignatures(async () => [{ bytes: envelope, mediaType, annotations: {} }]), parseRegistryName(name), [digest], { NOTATION_CONFIG: home })) ?? 'passes';
  } catch (error) {
    if (error instanceof VmmError) return `${error.code} ${error.message}`;
    throw error;
  }
}
const level = (name: string, override: Json = {}): Json => ({ signatureVerification: { level: name, override } });

describe('the Notary Project’s test data', () => {
  const DIGEST = 'sha256:60043cf45eaebc4c0867fea485a039b598f52fd09fd5b07b0b2d2f88fad9d74e';
  const bytes = (envelope: Jws): Buffer => Buffer.from(JSON.stringify(envelope));
  const root = (envelope: Jws): Buffer => Buffer.from(envelope.header.x5c[1] as string, 'base64');
  const { ca, signingAuthority } = GIVEN;
  const SUBJECT = 'x509.subject: C=US, ST=WA, O=Notary';

  it.each<[string, Jws, Json, string, RegExp]>([
    ['by an authority that tells the time', signingAuthority, {}, 'signingAuthority/x', /^passes$/],
    ['the signer’s subject', signingAuthority, { trustedIdentities: [`${SUBJECT}, L=Seattle`] }, 'signingAuthority/x', /^passes$/],
    ['the same authority in the wrong store', signingAuthority, {}, 'ca/x', /lead to none of the trust store/],
    ['another signer', signingAuthority, { trustedIdentities: ['x509.subject: C=US, ST=WA, O=Other'] }, 'signingAuthority/x', /^it is signed by .*O=Notary.*no trusted identity/],
    ['certificates of 2022, strictly', ca, {}, 'ca/x', /not valid any more/],
    ['certificates of 2022, permissive', ca, level('permissive'), 'ca/x', /^passes$/],
    ['their time not looked at', ca, level('strict', { authenticTimestamp: 'skip' }), 'ca/x', /^passes$/],
    ['their time looked at in spite of the level', ca, level('permissive', { authenticTimestamp: 'enforce' }), 'ca/x', /not valid any more/],
    ['who it is by does not count', ca, { ...level('audit'), trustedIdentities: ['x509.subject: C=XX, ST=YY, O=ZZ'] }, 'ca/x', /^passes$/],
    ['nothing counts', ca, level('skip'), 'ca/x', /^passes$/],
    ['another repository’s policy', ca, { registryScopes: ['example.com/other'] }, 'ca/x', /no trust policy of Notation is for/],
    ['this repository’s policy', ca, { ...level('permissive'), registryScopes: ['example.com/a/b'] }, 'ca/x', /^passes$/],
    ['a level that is none', ca, level('mild'), 'ca/x', /^TRUST_CONFIG .*no level/],
    ['an identity that is too short', ca, { trustedIdentities: ['x509.subject: C=US'] }, 'ca/x', /^TRUST_CONFIG .*C, ST and O|^TRUST_CONFIG /],
    ['a store of timestamps alone', ca, { trustStores: ['tsa:x'] }, 'ca/x', /lead to none of the trust store/],
    ['a store that is none', ca, { trustStores: ['other:x'] }, 'ca/x', /^TRUST_CONFIG .*"other:x" is no trust store/],
    ['a time of verification that is none', ca, { signatureVerification: { level: 'strict', verifyTimestamp: 'never' } }, 'ca/x', /^TRUST_CONFIG .*verifyTimestamp/],
  ])('%s', async (_, envelope, policy, store, wanted) => {
    expect(await verdict(bytes(envelope), JWS, DIGEST, setup(policy, { [store]: root(envelope) }))).toMatch(wanted);
  });

  it('other authorities, other images, changed bytes', async () => {
    const home = setup(level('audit'), { 'ca/x': root(ca) });
    const headers = (change: (fields: Json) => void): Jws => {
      const fields = JSON.parse(Buffer.from(ca.protected, 'base64url').toString()) as Json;
      change(fields);
      return { ...ca, protected: Buffer.from(JSON.stringify(fields)).toString('base64url') };
    };
    expect(await verdict(bytes(ca), JWS, `sha256:${'0'.repeat(64)}`, home)).toMatch(/for another manifest/);
    expect(await verdict(bytes({ ...ca, payload: signingAuthority.payload.replace(/.$/, 'A') }), JWS, DIGEST, home)).toMatch(/not by its certificate/);
    expect(await verdict(bytes({ ...ca, signature: signingAuthority.signature }), JWS, DIGEST, home)).toMatch(/not by its certificate/);
    expect(await verdict(bytes({ ...ca, header: { x5c: signingAuthority.header.x5c } }), JWS, DIGEST, home)).toMatch(/no chain|not by its certificate/);
    expect(await verdict(bytes({ ...ca, header: { x5c: [...ca.header.x5c].reverse() } }), JWS, DIGEST, home)).toMatch(/no chain/);
    expect(await verdict(bytes({ ...ca, header: { x5c: ca.header.x5c.slice(0, 1) } }), JWS, DIGEST, home)).toMatch(/no chain/);
    expect(await verdict(bytes({ ...ca, header: { x5c: [] } }), JWS, DIGEST, home)).toMatch(/no certificate/);
    expect(await verdict(bytes(headers((fields) => { fields['io.cncf.notary.expiry'] = '2200-01-01T00:00:00Z'; })), JWS, DIGEST, home)).toMatch(/not by its certificate/);
    for (const alg of ['none', 'HS256', 'PS256', 'RS384', 'ES384']) expect(await verdict(bytes(headers((fields) => { fields['alg'] = alg; })), JWS, DIGEST, home)).toMatch(/which its key does not make/);
    expect(await verdict(bytes(headers((fields) => { fields['crit'] = ['io.cncf.notary.signingScheme', 'io.cncf.notary.verificationPlugin']; })), JWS, DIGEST, home)).toMatch(/must be understood and is not/);
    expect(await verdict(bytes(headers((fields) => { fields['cty'] = 'text/plain'; })), JWS, DIGEST, home)).toMatch(/form that is not read/);
    expect(await verdict(Buffer.from('{}'), JWS, DIGEST, home)).toMatch(/cannot be read/);
    expect(await verdict(bytes(ca), 'text/plain', DIGEST, home)).toMatch(/cannot be read/);
    expect(await verdict(bytes(ca), JWS, DIGEST, setup(level('permissive'), { 'ca/x': root(signingAuthority) }))).toMatch(/lead to none/);
    expect(await verdict(bytes(ca), JWS, DIGEST, folder())).toMatch(/^TRUST_CONFIG there is no trust policy/);
  });

  it('the conformance envelope of COSE', () => {
    const envelope = readEnvelope(Buffer.from(GIVEN.cose, 'hex'), COSE);
    expect(envelope).toMatchObject({ algorithm: 'PS384', contentType: 'application/vnd.cncf.notary.payload.v1+json', scheme: 'notary.x509', signingTime: new Date(1_661_321_924_000), expiry: new Date(1_661_408_324_000), critical: ['io.cncf.notary.signingScheme', 'io.cncf.notary.expiry', 'signedCritKey1'], chain: [] });
    expect(envelope?.payload.toString()).toBe('hello COSE');
    expect(envelope?.signature.length).toBe(384);
  });
});

describe('made signatures, through a registry', () => {
  let registry: Registry;
  let base: string;
  let digest: string;
  let oci: string;
  let ca: string;
  beforeAll(async () => {
    registry = await startRegistry(FOLDER);
    base = `127.0.0.1:${registry.port}`;
    ({ digest, oci } = ociImage(folder()));
    ca = folder();
    const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: ca, stdio: 'pipe', timeout: 60_000 });
    writeFileSync(join(ca, 'ext'), '[leaf]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n[crl]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\ncrlDistributionPoints=URI:http://127.0.0.1:9/crl\n');
    openssl('ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', 'root.key');
    openssl('req', '-x509', '-key', 'root.key', '-days', '2', '-subj', '/C=DE/ST=BE/O=Root', '-addext', 'keyUsage=critical,keyCertSign', '-out', 'root.crt');
    for (const [name, kind] of [['ec', 'prime256v1'], ['ec521', 'secp521r1'], ['rsa', 'rsa:2048'], ['crl', 'prime256v1']] as const) {
      if (kind.startsWith('rsa')) openssl('genrsa', '-out', `${name}.key`, '2048');
      else openssl('ecparam', '-name', kind, '-genkey', '-noout', '-out', `${name}.key`);
      openssl('req', '-new', '-key', `${name}.key`, '-subj', '/C=DE/ST=BE/O=Signer\\, Inc/CN=x', '-out', `${name}.csr`);
      openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'root.crt', '-CAkey', 'root.key', '-CAcreateserial', '-days', '1', '-extfile', 'ext', '-extensions', name === 'crl' ? 'crl' : 'leaf', '-out', `${name}.crt`);
    }
  }, 60_000);
  afterAll(() => registry.stop());

  const der = (name: string): Buffer => Buffer.from(readFileSync(join(ca, `${name}.crt`), 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const ALG: Readonly<Record<string, [jws: string, cose: number]>> = { ec: ['ES256', -7], crl: ['ES256', -7], ec521: ['ES512', -36], rsa: ['PS256', -37] };
  function signed(name: string, bytes: Buffer): Buffer {
    const key = createPrivateKey(readFileSync(join(ca, `${name}.key`)));
    const hash = `sha${(ALG[name] as [string, number])[0].slice(2)}`;
    return sign(hash, bytes, name === 'rsa' ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : { key, dsaEncoding: 'ieee-p1363' });
  }
  const payload = (of: string): string => JSON.stringify({ targetArtifact: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: of, size: 1 } });
  function jws(name: string, of: string, expiry?: string): Buffer {
    const headers = { alg: (ALG[name] as [string, number])[0], cty: 'application/vnd.cncf.notary.payload.v1+json', 'io.cncf.notary.signingScheme': 'notary.x509', 'io.cncf.notary.signingTime': new Date(Date.now() + 1000).toISOString(), crit: ['io.cncf.notary.signingScheme', ...(expiry === undefined ? [] : ['io.cncf.notary.expiry'])], ...(expiry === undefined ? {} : { 'io.cncf.notary.expiry': expiry }) };
    const [head, body] = [JSON.stringify(headers), payload(of)].map((text) => Buffer.from(text).toString('base64url'));
    return Buffer.from(JSON.stringify({ payload: body, protected: head, header: { x5c: [name, 'root'].map((one) => der(one).toString('base64')) }, signature: signed(name, Buffer.from(`${head}.${body}`)).toString('base64url') }));
  }
  /** CBOR of what is needed here, each number in its shortest form (RFC 8949, 4.2). */
  const cbor = (value: unknown): Buffer => {
    const head = (major: number, count: number): Buffer => (count < 24 ? Buffer.from([(major << 5) | count]) : count < 256 ? Buffer.from([(major << 5) | 24, count]) : count < 65_536 ? Buffer.from([(major << 5) | 25, count >> 8, count & 255]) : Buffer.from([(major << 5) | 26, count >>> 24, (count >> 16) & 255, (count >> 8) & 255, count & 255]));
    if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
    if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
    if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
    if (value instanceof Date) return Buffer.concat([Buffer.from([0xc1]), cbor(Math.floor(value.getTime() / 1000))]);
    if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
    const entries = [...(value as Map<unknown, unknown>)];
    return Buffer.concat([head(5, entries.length), ...entries.flatMap(([key, one]) => [cbor(key), cbor(one)])]);
  };
  function cose(name: string, of: string): Buffer {
    const body = cbor(new Map<unknown, unknown>([[1, (ALG[name] as [string, number])[1]], [2, ['io.cncf.notary.signingScheme']], [3, 'application/vnd.cncf.notary.payload.v1+json'], ['io.cncf.notary.signingScheme', 'notary.x509'], ['io.cncf.notary.signingTime', new Date(Date.now() + 1000)]]));
    const content = Buffer.from(payload(of));
    const signature = signed(name, cbor(['Signature1', body, Buffer.alloc(0), content]));
    return Buffer.concat([Buffer.from([0xd2]), cbor([body, new Map<unknown, unknown>([[33, [der(name), der('root')]]]), content, signature])]);
  }

  async function put(path: string, bytes: string | Buffer, type: string): Promise<void> {
    expect((await fetch(`http://${base}/v2/${path}`, { method: 'PUT', body: Buffer.from(bytes as string), headers: { 'content-type': type } })).status).toBe(201);
  }
  async function blob(repository: string, bytes: Buffer): Promise<{ digest: string; size: number }> {
    const start = await fetch(`http://${base}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const location = new URL(start.headers.get('location') ?? '', `http://${base}`);
    const own = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    location.searchParams.set('digest', own);
    expect((await fetch(location, { method: 'PUT', body: Buffer.from(bytes) })).status).toBe(201);
    return { digest: own, size: bytes.length };
  }
  /** The image, with an envelope that refers to it by the tag of distribution-spec 1.1. */
  async function image(repository: string, envelope: Buffer | undefined, mediaType: string): Promise<string> {
    execFileSync('skopeo', ['copy', '-q', '--insecure-policy', '--preserve-digests', '--dest-tls-verify=false', `oci:${oci}:1`, `docker://${base}/${repository}:1`], { stdio: 'pipe', timeout: 60_000 });
    if (envelope !== undefined) {
      const config = { mediaType: 'application/vnd.cncf.notary.signature', ...(await blob(repository, Buffer.from('{}'))) };
      const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config, layers: [{ mediaType, ...(await blob(repository, envelope)) }], subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 } }));
      const own = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
      await put(`${repository}/manifests/${own}`, manifest, 'application/vnd.oci.image.manifest.v1+json');
      await put(`${repository}/manifests/${digest.replace(':', '-')}`, JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', artifactType: 'application/vnd.cncf.notary.signature', digest: own, size: manifest.length }] }), 'application/vnd.oci.image.index.v1+json');
    }
    return `${base}/${repository}:1`;
  }
  const pulled = (name: string, home: string): Promise<string> => {
    const policy = join(folder(), 'policy.json');
    writeFileSync(policy, JSON.stringify({ default: [{ type: 'notationSigned' }] }));
    return pullImage(name, { store: new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') })), env: { HOME: home, NOTATION_CONFIG: home, VMM_POLICY: policy, CONTAINERS_REGISTRIES_CONF: join(home, 'none') } }).then(() => 'passes', (error: VmmError) => `${error.code} ${error.message}`);
  };
  const trusting = (policy: Json = {}): string => setup({ trustedIdentities: ['x509.subject: C=DE, ST=BE, O=Signer\\, Inc'], ...policy }, { 'ca/x': readFileSync(join(ca, 'root.crt')) });

  it.each<[string, () => Buffer | undefined, string, RegExp, Json?]>([
    ['JWS by ECDSA', () => jws('ec', digest), JWS, /^passes$/],
    ['JWS by ECDSA over P-521', () => jws('ec521', digest), JWS, /^passes$/],
    ['JWS by RSA', () => jws('rsa', digest), JWS, /^passes$/],
    ['COSE by ECDSA', () => cose('ec', digest), COSE, /^passes$/],
    ['COSE by RSA', () => cose('rsa', digest), COSE, /^passes$/],
    ['unsigned', () => undefined, JWS, /^TRUST_REJECTED .*no signature by Notation/],
    ['for another image', () => cose('ec', `sha256:${'1'.repeat(64)}`), COSE, /^TRUST_REJECTED .*another manifest/],
    ['COSE with a byte changed', () => { const bytes = cose('ec', digest); bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1; return bytes; }, COSE, /^TRUST_REJECTED .*not by its certificate/],
    ['expired', () => jws('ec', digest, '2023-01-01T00:00:00Z'), JWS, /^TRUST_REJECTED .*has expired on 2023-01-01/],
    ['expired, permissive', () => jws('ec', digest, '2023-01-01T00:00:00Z'), JWS, /^passes$/, level('permissive')],
    ['not expired', () => jws('ec', digest, '2100-01-01T00:00:00Z'), JWS, /^passes$/],
    ['a certificate that could be revoked', () => jws('crl', digest), JWS, /^TRUST_REJECTED .*revoked cannot be told: 127\.0\.0\.1:9 cannot be reached/],
    ['a certificate that could be revoked, where that is not asked', () => jws('crl', digest), JWS, /^passes$/, level('strict', { revocation: 'skip' })],
  ])('%s', async (what, envelope, mediaType, wanted, policy) => {
    expect(await pulled(await image(`n/${what.replace(/[^a-z0-9]+/gi, '-').toLowerCase()}`, envelope(), mediaType), trusting(policy))).toMatch(wanted);
  });

  it('any change of an envelope is read or refused, and never passes', async () => {
    const home = trusting();
    const real = [[jws('ec', digest), JWS], [cose('ec', digest), COSE]] as const;
    await fc.assert(fc.asyncProperty(fc.constantFrom(...real), fc.nat(), fc.integer({ min: 1, max: 255 }), async ([bytes, mediaType], at, mask) => {
      const changed = Buffer.from(bytes);
      const place = at % changed.length;
      changed[place] = (changed[place] as number) ^ mask;
      // White space in JSON, and a certificate's or base64's spare bits, may change without a meaning.
      const said = await verdict(changed, mediaType, digest, home);
      if (said === 'passes') expect(readEnvelope(changed, mediaType)).toEqual(readEnvelope(bytes, mediaType));
    }), { numRuns: process.env['VMM_LONG'] === '1' ? 20_000 : 300 });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeCbor(Buffer.from(bytes));
      } catch (error) {
        if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      }
      return readEnvelope(bytes, COSE) === undefined;
    }), { numRuns: process.env['VMM_LONG'] === '1' ? 1_000_000 : 3000 });
  });
});

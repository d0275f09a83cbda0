/**
 * Keyless signatures of cosign, verified offline: one that the public Sigstore made (its origin stands in the file), wronged in every part; and made
 * ones, by openssl's certificates and a log of our own, where a public one cannot be had.
 */
import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { readPolicy, ruleOf } from '../../../image/trust/policy/policy.ts';
import { type Attachment, FoundSignatures } from '../../../image/trust/signatures.ts';
import { sigstoreFault } from '../../../image/trust/policy/sigstore.ts';
import { integer, sequence } from '../../../image/trust/asn1.ts';
import { Pki } from '../../support/images/pki.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
const PUBLIC = JSON.parse(readFileSync(join(import.meta.dirname, '../../support/images/cosign-keyless.json'), 'utf8')) as { payload: string; annotations: Record<string, string>; root: string; rekor: string };
const PAYLOAD = 'application/vnd.dev.cosign.simplesigning.v1+json';
const SIGNATURE = 'dev.cosignproject.cosign/signature';
const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const CHAIN = 'dev.sigstore.cosign/chain';
const BUNDLE = 'dev.sigstore.cosign/bundle';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

type Json = Record<string, unknown>;

async function faultOf(attached: Attachment, digest: string, name: string, requirement: Json): Promise<string> {
  const path = join(mkdtempSync(join(FOLDER, 'p-')), 'policy.json');
  writeFileSync(path, JSON.stringify({ default: [{ type: 'sigstoreSigned', signedIdentity: { type: 'matchRepository' }, ...requirement }] }));
  try {
    const [rule] = ruleOf(readPolicy(path), 'docker', []).requirements;
    if (rule?.type !== 'sigstoreSigned') throw new Error('no such rule');
    return (await sigstoreFault(new FoundSignatures(async (kind) => (kind === 'sigstore' ? [attached] : [])), parseRegistryName(name), [digest], rule)) ?? 'passes';
  } catch (error) {
    if (error instanceof VmmError) return `${error.code} ${error.message}`;
    throw error;
  }
}

describe('a signature by the public Sigstore', () => {
  const DIGEST = 'sha256:fa93b01658e3a5a1686dc3ae55f170d8de487006fb53a28efcd12ab0710a2e5f';
  const NAME = '192.168.64.2:5000/test-repo-2100826901021538654/alpine';
  const fulcio = { caData: base64(PUBLIC.root), oidcIssuer: 'https://github.com/login/oauth', subjectEmail: 'mitr@redhat.com' };
  const rekorPublicKeyData = base64(PUBLIC.rekor);
  const other = base64(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }).toString());
  const attached = (change: (annotations: Record<string, string>) => void = () => {}, payload = PUBLIC.payload): Attachment => {
    const annotations = { ...PUBLIC.annotations };
    change(annotations);
    return { bytes: Buffer.from(payload), mediaType: PAYLOAD, annotations };
  };
  const bundle = (change: (bundle: { SignedEntryTimestamp: string; Payload: Json }) => void) => (annotations: Record<string, string>): void => {
    const document = JSON.parse(annotations[BUNDLE] as string) as { SignedEntryTimestamp: string; Payload: Json };
    change(document);
    annotations[BUNDLE] = JSON.stringify(document);
  };
  const body = (from: string, to: string) => bundle(({ Payload }) => {
    Payload['body'] = base64(Buffer.from(Payload['body'] as string, 'base64').toString().replace(from, to));
  });
  const drop = (name: string) => (annotations: Record<string, string>): void => void delete annotations[name];

  it('passes, years after its certificate has expired', async () => {
    expect(await faultOf(attached(), DIGEST, NAME, { fulcio, rekorPublicKeyData })).toBe('passes');
  });
  it('passes by a trusted root in Sigstore’s form', async () => {
    const trustedRootPath = join(FOLDER, 'trusted_root.json');
    const der = (pem: string): string => pem.replace(/-----[^-]+-----|\s/g, '');
    writeFileSync(trustedRootPath, JSON.stringify({ mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1', tlogs: [{ publicKey: { rawBytes: der(PUBLIC.rekor) } }], certificateAuthorities: [{ certChain: { certificates: [{ rawBytes: der(PUBLIC.root) }] } }] }));
    const { oidcIssuer, subjectEmail } = fulcio;
    expect(await faultOf(attached(), DIGEST, NAME, { fulcio: { trustedRootPath, oidcIssuer, subjectEmail } })).toBe('passes');
  });
  it.each<[string, Attachment, Json, RegExp]>([
    ['another person', attached(), { fulcio: { ...fulcio, subjectEmail: 'else@redhat.com' }, rekorPublicKeyData }, /^it is signed by "mitr@redhat\.com"/],
    ['a part of the address', attached(), { fulcio: { ...fulcio, subjectEmail: 'mitr@redhat' }, rekorPublicKeyData }, /^it is signed by/],
    ['another issuer', attached(), { fulcio: { ...fulcio, oidcIssuer: 'https://accounts.google.com' }, rekorPublicKeyData }, /^it is signed by an identity of "https:\/\/github/],
    ['another log', attached(), { fulcio, rekorPublicKeyData: other }, /by no log of the policy/],
    ['another authority', attached(), { fulcio: { ...fulcio, caData: base64(PUBLIC.annotations[CERTIFICATE] as string) }, rekorPublicKeyData }, /by no authority/],
    ['the chain left out', attached(drop(CHAIN)), { fulcio, rekorPublicKeyData }, /by no authority/],
    ['no certificate', attached(drop(CERTIFICATE)), { fulcio, rekorPublicKeyData }, /for another signature/],
    ['no entry of the log', attached(drop(BUNDLE)), { fulcio, rekorPublicKeyData }, /in no transparency log/],
    ['a changed payload', attached(() => {}, PUBLIC.payload.replace('null', 'true')), { fulcio, rekorPublicKeyData }, /for another signature/],
    ['another time', attached(bundle(({ Payload }) => { Payload['integratedTime'] = 1_670_870_900; })), { fulcio, rekorPublicKeyData }, /by no log of the policy/],
    ['another index', attached(bundle(({ Payload }) => { Payload['logIndex'] = 1; })), { fulcio, rekorPublicKeyData }, /by no log of the policy/],
    ['a changed entry', attached(body('sha256', 'sha512')), { fulcio, rekorPublicKeyData }, /by no log of the policy/],
    ['a bundle that is none', attached((annotations) => { annotations[BUNDLE] = '[]'; }), { fulcio, rekorPublicKeyData }, /cannot be read/],
    ['another signature', attached((annotations) => { annotations[SIGNATURE] = base64('x'); }), { fulcio, rekorPublicKeyData }, /for another signature/],
    ['no log in the policy', attached(), { fulcio }, /^TRUST_CONFIG .*rekorPublicKey/],
    ['no identity in the policy', attached(), { fulcio: { caData: fulcio.caData, oidcIssuer: 'x' }, rekorPublicKeyData }, /^TRUST_CONFIG .*subjectEmail/],
    ['a key beside it', attached(), { fulcio, rekorPublicKeyData, keyData: other }, /^TRUST_CONFIG /],
  ])('%s: refused', async (_, signature, requirement, wanted) => {
    expect(await faultOf(signature, DIGEST, NAME, requirement)).toMatch(wanted);
  });
  it('for another image: refused', async () => {
    expect(await faultOf(attached(), `sha256:${'0'.repeat(64)}`, NAME, { fulcio, rekorPublicKeyData })).toMatch(/for another manifest/);
    expect(await faultOf(attached(), DIGEST, 'example.com/alpine', { fulcio, rekorPublicKeyData })).toMatch(/^it is signed as/);
  });
});

describe('made signatures', () => {
  const ISSUER = 'https://token.example';
  const URI = 'https://example.com/owner/repository/.github/workflows/release.yml@refs/tags/v1';
  const log = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const digest = `sha256:${'ab'.repeat(32)}`;
  const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
  const rekorPublicKeyData = base64(pem(log.publicKey));
  let dir: string;
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe', timeout: 30_000 });
  const read = (name: string): string => readFileSync(join(dir, name), 'utf8');

  beforeAll(() => {
    dir = mkdtempSync(join(FOLDER, 'ca-'));
    const der = Buffer.concat([Buffer.from([0x0c, ISSUER.length]), Buffer.from(ISSUER)]).toString('hex');
    const extensions = (name: string, use: string, more = ''): string => `[${name}]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${use}\nsubjectAltName=critical,URI:${URI}\n1.3.6.1.4.1.57264.1.8=DER:${der}\n${more}`;
    writeFileSync(join(dir, 'ext'), `[ca]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nextendedKeyUsage=codeSigning\n[deep]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n${extensions('leaf', 'codeSigning')}${extensions('tls', 'serverAuth')}${extensions('odd', 'codeSigning', '1.2.3.4=critical,DER:0500\n')}`);
    const key = (name: string): void => openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
    const issue = (name: string, by: string, section: string): void => {
      key(name);
      openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
      openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '1', '-extfile', 'ext', '-extensions', section, '-out', `${name}.crt`);
    };
    key('root');
    openssl('req', '-x509', '-key', 'root.key', '-days', '2', '-subj', '/CN=root', '-addext', 'keyUsage=critical,keyCertSign', '-out', 'root.crt');
    issue('middle', 'root', 'ca');
    issue('leaf', 'middle', 'leaf');
    issue('tls', 'middle', 'tls');
    issue('odd', 'middle', 'odd');
    // An authority below one that may have none below it; a leaf that plays authority.
    issue('deep', 'middle', 'deep');
    issue('deeper', 'deep', 'leaf');
    issue('forged', 'leaf', 'leaf');
  }, 60_000);

  function made(leaf: string, chain: readonly string[], time = Math.floor(Date.now() / 1000) + 30, named = base64(read(`${leaf}.crt`))): Attachment {
    const bytes = Buffer.from(JSON.stringify({ critical: { identity: { 'docker-reference': 'example.com/a' }, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' }, optional: null }));
    const signature = sign('sha256', bytes, createPrivateKey(read(`${leaf}.key`))).toString('base64');
    const body = base64(JSON.stringify({ apiVersion: '0.0.1', kind: 'hashedrekord', spec: { data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(bytes).digest('hex') } }, signature: { content: signature, publicKey: { content: named } } } }));
    const promised = `{"body":"${body}","integratedTime":${time},"logID":"00","logIndex":7}`;
    const bundle = JSON.stringify({ SignedEntryTimestamp: sign('sha256', Buffer.from(promised), log.privateKey).toString('base64'), Payload: JSON.parse(promised) as unknown });
    return { bytes, mediaType: PAYLOAD, annotations: { [SIGNATURE]: signature, [CERTIFICATE]: read(`${leaf}.crt`), [CHAIN]: chain.map((name) => read(`${name}.crt`)).join(''), [BUNDLE]: bundle } };
  }
  const requirement = (): Json => ({ fulcio: { caPath: join(dir, 'root.crt'), oidcIssuer: ISSUER, subjectURI: URI }, rekorPublicKeyData });
  const tried = (signature: Attachment): Promise<string> => faultOf(signature, digest, 'example.com/a', requirement());

  it('a workflow’s URI, issuer in the newer extension', async () => expect(await tried(made('leaf', ['middle']))).toBe('passes'));
  it('by a key: the log’s entry has to name it, where a log is asked for', async () => {
    const keyData = base64(pem(createPublicKey(createPrivateKey(read('leaf.key')))));
    expect(await faultOf(made('leaf', []), digest, 'example.com/a', { keyData })).toBe('passes');
    expect(await faultOf(made('leaf', []), digest, 'example.com/a', { keyData, rekorPublicKeyData })).toMatch(/for another signature/);
    expect(await faultOf(made('leaf', [], undefined, keyData), digest, 'example.com/a', { keyData, rekorPublicKeyData })).toBe('passes');
  });
  it.each<[string, () => Attachment]>([
    ['logged before the certificate began', () => made('leaf', ['middle'], 1_600_000_000)],
    ['logged after it had ended', () => made('leaf', ['middle'], Math.floor(Date.now() / 1000) + 3 * 86_400)],
    ['a certificate of a web server', () => made('tls', ['middle'])],
    ['a critical extension that nobody knows', () => made('odd', ['middle'])],
    ['an authority that may not be one', () => made('deeper', ['deep', 'middle'])],
    ['issued by a signer', () => made('forged', ['leaf', 'middle'])],
    ['an authority itself', () => made('middle', [])],
  ])('%s: refused', async (_, signature) => expect(await tried(signature())).toMatch(/by no authority/));

  describe('with a timestamp beside it', () => {
    const AT = 'dev.sigstore.cosign/rfc3161timestamp';
    const pki = new Pki(FOLDER, 'Stamps');
    const stranger = new Pki(FOLDER, 'Strange stamps');
    // A certificate since yesterday: timestamps are as exact as they say, and one of this second would be too young.
    const fulcio = new Pki(FOLDER, 'Authority');
    beforeAll(() => {
      for (const one of [pki, stranger]) one.issue('tsa', { use: 'critical,timeStamping' });
      const issuer = Buffer.concat([Buffer.from([0x0c, ISSUER.length]), Buffer.from(ISSUER)]).toString('hex');
      fulcio.issue('old', { more: `subjectAltName=critical,URI:${URI}\n1.3.6.1.4.1.57264.1.8=DER:${issuer}` });
      for (const name of ['old.crt', 'old.key']) copyFileSync(join(fulcio.dir, name), join(dir, name));
    });
    /** As an authority answers (RFC 3161, 2.4.2): granted, and the token. */
    const response = (token: Buffer, status = 0): Buffer => sequence(sequence(integer(Buffer.from([status]))), token);
    const annotation = (answer: Buffer): string => JSON.stringify({ SignedRFC3161Timestamp: answer.toString('base64') });
    const signatureOf = ({ annotations }: Attachment): Buffer => Buffer.from(annotations[SIGNATURE] as string, 'base64');
    function stamped(change: (signature: Buffer) => string | undefined = (signature) => annotation(response(pki.stamp(signature))), logged = false): Attachment {
      const signature = made('old', []);
      const annotations: Record<string, string> = { ...signature.annotations };
      if (!logged) delete annotations[BUNDLE];
      const text = change(signatureOf(signature));
      if (text !== undefined) annotations[AT] = text;
      return { ...signature, annotations };
    }
    const certificates = (...ders: Buffer[]): Json => ({ certChain: { certificates: ders.map((der) => ({ rawBytes: der.toString('base64') })) } });
    /** The authority, and whoever may vouch for times. */
    const rooted = (validFor: Json = {}, more: Json = {}): Json => {
      const trustedRootPath = join(mkdtempSync(join(FOLDER, 'r-')), 'root.json');
      writeFileSync(trustedRootPath, JSON.stringify({ certificateAuthorities: [certificates(fulcio.der('root'))], timestampAuthorities: [{ ...certificates(pki.der('tsa'), pki.der('root')), validFor }] }));
      return { fulcio: { trustedRootPath, oidcIssuer: ISSUER, subjectURI: URI }, ...more };
    };
    const said = (signature: Attachment, wanted = rooted()): Promise<string> => faultOf(signature, digest, 'example.com/a', wanted);

    it('it vouches for the time where the policy has no log; where it has one, both have to hold', async () => {
      expect(await said(stamped())).toBe('passes');
      expect(await said(stamped(undefined, true), rooted({}, { rekorPublicKeyData }))).toBe('passes');
      expect(await said(stamped(), rooted({}, { rekorPublicKeyData }))).toMatch(/in no transparency log/);
      // A policy without authorities does not look at it.
      expect(await said(stamped(() => 'nonsense', true), { fulcio: { caPath: join(fulcio.dir, 'root.crt'), oidcIssuer: ISSUER, subjectURI: URI }, rekorPublicKeyData })).toBe('passes');
    });
    it.each<[string, () => Attachment, Json | undefined, RegExp]>([
      ['none at all', () => stamped(() => undefined), undefined, /^nobody .* vouches for the time/],
      ['of another signature', () => stamped(() => annotation(response(pki.stamp(Buffer.from('else'))))), undefined, /timestamp cannot be read/],
      ['of another signature, beside the log', () => stamped(() => annotation(response(pki.stamp(Buffer.from('else')))), true), { rekorPublicKeyData }, /timestamp cannot be read/],
      ['by a stranger', () => stamped((signature) => annotation(response(stranger.stamp(signature)))), undefined, /leads to no authority/],
      ['a token without its answer', () => stamped((signature) => annotation(pki.stamp(signature))), undefined, /cannot be read/],
      ['that was rejected', () => stamped((signature) => annotation(response(pki.stamp(signature), 2))), undefined, /was not granted/],
      ['that is no JSON', () => stamped(() => 'x'), undefined, /cannot be read/],
      ['that is empty', () => stamped(() => '{"SignedRFC3161Timestamp":""}'), undefined, /cannot be read/],
      ['of a number', () => stamped(() => '{"SignedRFC3161Timestamp":1}'), undefined, /cannot be read/],
    ])('%s: refused', async (_, signature, more, wanted) => expect(await said(signature(), rooted({}, more ?? {}))).toMatch(wanted));
    it('by an authority that the trusted root has for another time: refused', async () => {
      expect(await said(stamped(), rooted({ end: '2020-01-01T00:00:00Z' }))).toMatch(/does not trust its authority/);
    });
  });
});

/** Timestamps and revocations of Notation’s signatures: openssl is the authority, its OCSP server and its timestamp authority; the trust policy says what is asked. */
import { createPrivateKey, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { der as derOf } from '../../../image/trust/asn1.ts';
import { COSE, JWS } from '../../../image/trust/notation/envelope.ts';
import { notationFault } from '../../../image/trust/notation/verify.ts';
import { FoundSignatures } from '../../../image/trust/signatures.ts';
import { readTimestamp } from '../../../image/trust/timestamp.ts';
import { Certificate, TIME_STAMPING } from '../../../image/trust/certificate.ts';
import { Pki, Place } from '../../support/images/pki.ts';
import { scratch } from '../image/support.ts';

type Json = Record<string, unknown>;

const FOLDER = scratch();
const digest = `sha256:${'ab'.repeat(32)}`;
const DAY = 86_400_000;
let pki: Pki;
let place: Place;
let base: string;
let before: string | undefined;

beforeAll(async () => {
  place = new Place();
  base = await place.listen();
  pki = new Pki(FOLDER);
  pki.issue('plain');
  pki.issue('listed', { more: `crlDistributionPoints=URI:${base}/list` });
  pki.issue('asked', { more: `authorityInfoAccess=OCSP;URI:${base}/ask` });
  pki.issue('both', { more: `authorityInfoAccess=OCSP;URI:${base}/ask\ncrlDistributionPoints=URI:${base}/list` });
  pki.issue('odd', { more: 'crlDistributionPoints=URI:file:///etc/passwd' });
  pki.issue('responder', { use: 'OCSPSigning', more: 'noCheck=ignored' });
  pki.issue('busy', { use: 'OCSPSigning' });
  pki.issue('tsa', { use: 'critical,timeStamping' });
  before = process.env['XDG_CACHE_HOME'];
}, 60_000);
afterAll(() => place.close());
beforeEach(() => {
  process.env['XDG_CACHE_HOME'] = mkdtempSync(join(FOLDER, 'cache-'));
  place.asked.length = 0;
  place.say = () => 404;
});
afterEach(() => {
  vi.useRealTimers();
  if (before === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = before;
});

function home(policy: Json, stores: Readonly<Record<string, Buffer>> = { 'ca/x': pki.pem('root') }): string {
  const dir = mkdtempSync(join(FOLDER, 'n-'));
  writeFileSync(join(dir, 'trustpolicy.json'), JSON.stringify({ version: '1.0', trustPolicies: [{ name: 'p', registryScopes: ['*'], signatureVerification: { level: 'strict' }, trustStores: Object.keys(stores).map((store) => store.replace('/', ':')), trustedIdentities: ['*'], ...policy }] }));
  for (const [store, certificate] of Object.entries(stores)) {
    mkdirSync(join(dir, 'truststore/x509', store), { recursive: true });
    writeFileSync(join(dir, 'truststore/x509', store, 'a.crt'), certificate);
  }
  return dir;
}

/** A signature in JWS; `stamp` makes the timestamp of its bytes. */
function jws(name: string, { stamp, more = {}, crit = [] }: { stamp?: (signature: Buffer) => Buffer; more?: Json; crit?: string[] } = {}): Buffer {
  const headers = { alg: 'ES256', cty: 'application/vnd.cncf.notary.payload.v1+json', 'io.cncf.notary.signingScheme': 'notary.x509', 'io.cncf.notary.signingTime': new Date(Date.now() + 1000).toISOString(), crit: ['io.cncf.notary.signingScheme', ...crit], ...more };
  const [head, body] = [JSON.stringify(headers), JSON.stringify({ targetArtifact: { mediaType: 'x', digest, size: 1 } })].map((text) => Buffer.from(text).toString('base64url'));
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key: createPrivateKey(readFileSync(join(pki.dir, `${name}.key`))), dsaEncoding: 'ieee-p1363' });
  const header = { x5c: [name, 'root'].map((one) => pki.der(one).toString('base64')), ...(stamp === undefined ? {} : { 'io.cncf.notary.timestampSignature': stamp(signature).toString('base64') }) };
  return Buffer.from(JSON.stringify({ payload: body, protected: head, header, signature: signature.toString('base64url') }));
}
async function said(envelope: Buffer, dir: string, mediaType = JWS): Promise<string> {
  let by = '';
  const fault = await notationFault(new FoundSignatures(async () => [{ bytes: envelope, mediaType, annotations: {} }]), parseRegistryName('example.com/a:1'), [digest], { NOTATION_CONFIG: dir }, (who) => { by = who; });
  return fault ?? `met: ${by}`;
}

describe('revocation', () => {
  it('a certificate that names no place is asked about nowhere', async () => {
    expect(await said(jws('plain'), home({}))).toMatch(/^met: .*O=Signer/);
    expect(place.asked).toEqual([]);
  });

  it('by a list: asked once, then kept as long as it holds; a level that does not enforce asks nobody', async () => {
    const list = pki.list();
    place.say = () => list;
    expect(await said(jws('listed'), home({}))).toMatch(/^met/);
    expect(await said(jws('listed'), home({}))).toMatch(/^met/);
    expect(place.asked).toEqual(['GET /list']);
    // Without a network what was kept will do, until it has run out.
    place.say = () => 500;
    expect(await said(jws('listed'), home({}))).toMatch(/^met/);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 8 * DAY });
    expect(await said(jws('listed'), home({}))).toMatch(/^whether the certificate "CN=listed" was revoked cannot be told: 127\.0\.0\.1:\d+ answers 500$/);
    for (const policy of [{ signatureVerification: { level: 'permissive' } }, { signatureVerification: { level: 'strict', override: { revocation: 'skip' } } }]) {
      place.asked.length = 0;
      expect(await said(jws('listed'), home(policy))).toMatch(/^met/);
      expect(place.asked).toEqual([]);
    }
  });

  it('by an OCSP server, by the authority itself or whom it has appointed; kept, too', async () => {
    for (const by of ['root', 'responder']) {
      place.say = (_, body) => pki.answer(body, by);
      expect(await said(jws('asked'), home({}))).toMatch(/^met/);
      place.say = () => 500;
      expect(await said(jws('asked'), home({}))).toMatch(/^met/);
      rmSync(process.env['XDG_CACHE_HOME'] as string, { recursive: true });
    }
    expect(place.asked).toEqual(['POST /ask', 'POST /ask']);
  });

  it.each<[string, (path: string, body: Buffer) => Buffer | number | undefined, string, RegExp]>([
    ['a server that is not there', () => 503, 'asked', /answers 503/],
    ['no answer of OCSP', () => Buffer.from('hello'), 'asked', /cannot be read/],
    ['an answer that was changed', (_, body) => { const bytes = pki.answer(body, 'responder'); bytes[bytes.length - 700] = (bytes[bytes.length - 700] as number) ^ 1; return bytes; }, 'asked', /not by who may|cannot be read/],
    ['an answer by somebody else', (_, body) => pki.answer(body, 'plain'), 'asked', /not by who may/],
    ['by a responder who could be revoked itself', (_, body) => pki.answer(body, 'busy'), 'asked', /not by who may/],
    ['an answer about another', () => pki.answer(pki.ssl('ocsp', '-issuer', 'root.crt', '-cert', 'plain.crt', '-reqout', 'other', '-no_nonce') && readFileSync(join(pki.dir, 'other'))), 'asked', /answers for others/],
    ['a refusal', () => derOf(0x30, derOf(0x0a, Buffer.from([6]))), 'asked', /does not answer for it/],
    ['an endless answer', () => Buffer.alloc(70_000), 'asked', /sends more than 65536 bytes/],
    ['a list that was changed', () => { const bytes = pki.list(); bytes[bytes.length - 3] = (bytes[bytes.length - 3] as number) ^ 1; return bytes; }, 'listed', /not by who issued it|cannot be read/],
    ['another authority’s list', () => new Pki(FOLDER, 'Other').list(), 'listed', /not by who issued it/],
    ['a list of before', () => pki.list('', '-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', '20200201000000Z'), 'listed', /out of date/],
    ['a list of tomorrow', () => pki.list('', '-crl_lastupdate', '20990101000000Z', '-crl_nextupdate', '20990201000000Z'), 'listed', /out of date/],
    ['changes alone (delta)', () => pki.list('2.5.29.27=critical,DER:020101'), 'listed', /has what is not read here/],
    ['a list with changes elsewhere', () => pki.list('freshestCRL=URI:http://x/delta'), 'listed', /has what is not read here/],
    ['a list of authorities alone', () => pki.list('issuingDistributionPoint=critical,@i\n[i]\nonlyCA=TRUE'), 'listed', /for others/],
    ['a list for another place', () => pki.list('issuingDistributionPoint=critical,@i\n[i]\nfullname=URI:http://x/other'), 'listed', /for others/],
    ['a place that is no web server', () => 404, 'odd', /is no place that is asked/],
  ])('%s: it cannot be told, and is refused', async (_, say, name, wanted) => {
    place.say = say;
    expect(await said(jws(name), home({}))).toMatch(wanted);
    // What tells nothing is not kept.
    place.say = (path, body) => (path === '/ask' ? pki.answer(body) : pki.list());
    if (name !== 'odd') expect(await said(jws(name), home({}))).toMatch(/^met/);
  });

  it('a list for just this place and kind counts', async () => {
    place.say = () => pki.list(`issuingDistributionPoint=critical,@i\n[i]\nfullname=URI:${base}/list\nonlyuser=TRUE`);
    expect(await said(jws('listed'), home({}))).toMatch(/^met/);
  });

  it('whose server does not answer has its list read', async () => {
    place.say = (path) => (path === '/list' ? pki.list() : 503);
    expect(await said(jws('both'), home({}))).toMatch(/^met/);
    expect(place.asked).toEqual(['POST /ask', 'GET /list']);
  });

  it('what was kept goes once it tells nothing any more, and what is old with the next answer', async () => {
    const folder = join(process.env['XDG_CACHE_HOME'] as string, 'vmm/revocation');
    place.say = () => pki.list();
    expect(await said(jws('listed'), home({}))).toMatch(/^met/);
    const [kept = ''] = readdirSync(folder);
    for (const [name, days] of [['old', 500], ['old.1', 500], ['young', 300]] as const) {
      writeFileSync(join(folder, name), '');
      utimesSync(join(folder, name), Date.now() / 1000, Date.now() / 1000 - days * 86_400);
    }
    place.say = (path, body) => (path === '/ask' ? pki.answer(body) : 500);
    expect(await said(jws('asked'), home({}))).toMatch(/^met/);
    expect(readdirSync(folder).filter((name) => name.length < 10)).toEqual(['young']);
    expect(readdirSync(folder)).toContain(kept);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 8 * DAY });
    expect(await said(jws('listed'), home({}))).toMatch(/answers 500/);
    expect(readdirSync(folder)).not.toContain(kept);
  });

  it('all places together are waited for 20 s', async () => {
    const gone = new AbortController();
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(gone.signal);
    try {
      place.say = () => (place.asked.length === 1 ? void gone.abort() : 500);
      expect(await said(jws('both'), home({}))).toBe('whether the certificate "CN=both" was revoked cannot be told: who was asked has not answered within 20 s');
      expect(timeout.mock.calls).toEqual([[20_000]]);
      expect(place.asked).toEqual(['POST /ask']);
    } finally {
      timeout.mockRestore();
    }
  });

  it('who nobody trusts is not asked, wherever its certificates say', async () => {
    const stranger = { 'ca/x': new Pki(FOLDER, 'Stranger').pem('root') };
    expect(await said(jws('listed'), home({}, stranger))).toMatch(/lead to none/);
    expect(await said(jws('listed'), home({ signatureVerification: { level: 'audit', override: { revocation: 'enforce' } } }, stranger))).toMatch(/cannot be told: the certificates of its signature lead to none/);
    expect(place.asked).toEqual([]);
  });

  it('revoked is refused, by list and by server, and stays so in the cache', async () => {
    pki.issue('lost', { more: `authorityInfoAccess=OCSP;URI:${base}/ask\ncrlDistributionPoints=URI:${base}/list` });
    pki.issue('lostlist', { more: `crlDistributionPoints=URI:${base}/list` });
    pki.revoke('lost');
    pki.revoke('lostlist');
    place.say = (path, body) => (path === '/ask' ? pki.answer(body, 'responder') : pki.list());
    for (const name of ['lost', 'lostlist']) {
      expect(await said(jws(name), home({}))).toMatch(new RegExp(`^the certificate "CN=${name}" was revoked on 20`));
      place.say = () => 500;
      expect(await said(jws(name), home({}))).toMatch(/was revoked on/);
      place.say = () => pki.list();
    }
    expect(readdirSync(join(process.env['XDG_CACHE_HOME'] as string, 'vmm/revocation')).length).toBe(2);
  });

  it('what was stamped before its key was lost stays signed, where the list tells since when', async () => {
    pki.issue('later', { more: `crlDistributionPoints=URI:${base}/list` });
    const stamped = jws('later', { stamp: (signature) => pki.stamp(signature) });
    const stores = { 'ca/x': pki.pem('root'), 'tsa/x': pki.pem('root') };
    pki.revoke('later', '-crl_compromise', `${new Date(Date.now() + DAY).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`);
    place.say = () => pki.list();
    expect(await said(stamped, home({}, stores))).toMatch(/^met/);
    expect(await said(stamped, home({}))).toMatch(/was revoked on/);
  });

  it('whose timestamp authority has lost its key is refused, whatever that key has stamped', async () => {
    const other = new Pki(FOLDER, 'Stamps');
    other.issue('tsa', { use: 'critical,timeStamping', more: `crlDistributionPoints=URI:${base}/list` });
    const stamped = jws('plain', { stamp: (signature) => other.stamp(signature) });
    const stores = { 'ca/x': pki.pem('root'), 'tsa/x': other.pem('root') };
    const good = other.list();
    place.say = () => good;
    expect(await said(stamped, home({}, stores))).toMatch(/^met/);
    rmSync(process.env['XDG_CACHE_HOME'] as string, { recursive: true });
    other.revoke('tsa', '-crl_compromise', `${new Date(Date.now() + DAY).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`);
    place.say = () => other.list();
    expect(await said(stamped, home({}, stores))).toMatch(/^the certificate "CN=tsa" was revoked on/);
  });
});

describe('timestamps', () => {
  const stores = (): Record<string, Buffer> => ({ 'ca/x': pki.pem('root'), 'tsa/x': pki.pem('root') });
  const later = (): void => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 15 * DAY });
  const lax = { signatureVerification: { level: 'strict', verifyTimestamp: 'afterCertExpiry' } };

  it('a signature stays good after its certificate has expired', async () => {
    const stamped = jws('plain', { stamp: (signature) => pki.stamp(signature) });
    expect(await said(stamped, home({}, stores()))).toMatch(/^met/);
    later();
    expect(await said(stamped, home({}, stores()))).toMatch(/^met/);
    expect(await said(stamped, home(lax, stores()))).toMatch(/^met/);
    expect(await said(stamped, home({}))).toBe('a certificate of its signature is not valid any more');
  });

  it('where the policy has timestamp authorities, one is wanted: always, or once a certificate has expired', async () => {
    const bare = jws('plain');
    expect(await said(bare, home({}, stores()))).toBe('its signature has no timestamp, which the trust policy wants');
    expect(await said(bare, home(lax, stores()))).toMatch(/^met/);
    expect(await said(bare, home({ signatureVerification: { level: 'permissive' } }, stores()))).toMatch(/^met/);
    later();
    expect(await said(bare, home(lax, stores()))).toBe('its signature has no timestamp, which the trust policy wants');
  });

  it('RSA, other hashes, the accuracy that it tells', async () => {
    for (const hash of ['-sha256', '-sha384', '-sha512']) expect(await said(jws('plain', { stamp: (signature) => pki.stamp(signature, hash) }), home({}, stores()))).toMatch(/^met/);
    const other = new Pki(FOLDER, 'Stamps');
    other.issue('tsa', { use: 'critical,timeStamping', kind: 'rsa' });
    expect(await said(jws('plain', { stamp: (signature) => other.stamp(signature) }), home({}, { ...stores(), 'tsa/x': other.pem('root') }))).toMatch(/^met/);
    const stamped = readTimestamp(other.stamp(Buffer.from('x')), Buffer.from('x'), [new Certificate(other.pem('root'))]);
    if (typeof stamped === 'string') throw new Error(stamped);
    expect(stamped.to.getTime() - stamped.from.getTime()).toBe(3000);
    expect(stamped.chain.length).toBe(2);
  });

  it.each<[string, (signature: Buffer) => Buffer, RegExp]>([
    ['of another signature', () => pki.stamp(Buffer.from('other')), /cannot be read/],
    ['by SHA-1', (signature) => pki.stamp(signature, '-sha1'), /cannot be read/],
    ['no timestamp at all', () => Buffer.from('hello'), /cannot be read/],
    ['nothing', () => Buffer.alloc(0), /cannot be read/],
    ['its last byte changed', (signature) => { const bytes = pki.stamp(signature); bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1; return bytes; }, /not by its certificate|cannot be read/],
    ['of an authority that nobody trusts', (signature) => { const other = new Pki(FOLDER, 'Stranger'); other.issue('tsa', { use: 'critical,timeStamping' }); return other.stamp(signature); }, /leads to no authority/],
  ])('%s: refused', async (_, stamp, wanted) => expect(await said(jws('plain', { stamp }), home({}, stores()))).toMatch(wanted));

  it('a certificate is for timestamps where it is for these alone, and says so to all (RFC 3161, 2.3)', () => {
    pki.issue('wide', { use: 'critical,timeStamping,codeSigning' });
    pki.issue('soft', { use: 'timeStamping' });
    expect(['tsa', 'wide', 'soft', 'plain'].map((name) => new Certificate(pki.der(name)).isOnlyFor(TIME_STAMPING))).toEqual([true, false, false, false]);
    // openssl's authority makes no tokens by the others; its CMS signs whatever it is given.
    const message = Buffer.from('signature');
    writeFileSync(join(pki.dir, 'token'), pki.stamp(message));
    pki.ssl('cms', '-verify', '-noverify', '-inform', 'DER', '-in', 'token', '-out', 'info');
    const by = (name: string): Buffer => pki.ssl('cms', '-sign', '-cades', '-binary', '-nodetach', '-econtent_type', '1.2.840.113549.1.9.16.1.4', '-in', 'info', '-signer', `${name}.crt`, '-inkey', `${name}.key`, '-md', 'sha256', '-outform', 'DER');
    const read = (name: string): unknown => readTimestamp(by(name), message, [new Certificate(pki.pem('root'))]);
    expect(read('tsa')).toMatchObject({ chain: { length: 2 } });
    for (const name of ['wide', 'soft', 'plain']) expect(read(name)).toBe('its timestamp is by a certificate that is not for timestamps');
  });

  it('any bit of a token that is changed leaves the same time, or none', () => {
    const message = Buffer.from('signature');
    const token = pki.stamp(message);
    const root = [new Certificate(pki.pem('root'))];
    const good = readTimestamp(token, message, root);
    if (typeof good === 'string') throw new Error(good);
    for (let at = 0; at < token.length; at++) {
      const changed = Buffer.from(token);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      const said = readTimestamp(changed, message, root);
      if (typeof said !== 'string') expect([said.from, said.to]).toEqual([good.from, good.to]);
    }
  });
});

it('a signature that a plugin has to verify is refused by the plugin’s name', async () => {
  const plugin = 'io.cncf.notary.verificationPlugin';
  expect(await said(jws('plain', { more: { [plugin]: 'com.example.signer' }, crit: [plugin] }), home({}))).toBe('its signature is to be verified by the plugin "com.example.signer", and plugins are not run here');
  expect(await said(jws('plain', { more: { [plugin]: 'com.example.signer' } }), home({}))).toMatch(/the plugin "com\.example\.signer"/);
});

it('COSE has its timestamp as bytes', async () => {
  const text = (value: string): Buffer => Buffer.concat([value.length < 24 ? Buffer.from([0x60 | value.length]) : Buffer.from([0x78, value.length]), Buffer.from(value)]);
  const bytes = (value: Buffer): Buffer => Buffer.concat([Buffer.from([0x59, value.length >> 8, value.length & 0xff]), value]);
  const map = (...pairs: (readonly [Buffer, Buffer])[]): Buffer => Buffer.concat([Buffer.from([0xa0 | pairs.length]), ...pairs.flat()]);
  const seconds = Buffer.alloc(5, 0x1a);
  seconds.writeUInt32BE(Math.floor(Date.now() / 1000) + 1, 1);
  const body = map(
    [Buffer.from([1]), Buffer.from([0x26])], [Buffer.from([2]), Buffer.concat([Buffer.from([0x81]), text('io.cncf.notary.signingScheme')])], [Buffer.from([3]), text('application/vnd.cncf.notary.payload.v1+json')],
    [text('io.cncf.notary.signingScheme'), text('notary.x509')], [text('io.cncf.notary.signingTime'), Buffer.concat([Buffer.from([0xc1]), seconds])],
  );
  const payload = Buffer.from(JSON.stringify({ targetArtifact: { mediaType: 'x', digest, size: 1 } }));
  const toSign = Buffer.concat([Buffer.from([0x84]), text('Signature1'), bytes(body), Buffer.from([0x40]), bytes(payload)]);
  // Lengths of two bytes where one would do are no canonical form: what is signed has the shortest.
  const shortest = (value: Buffer): Buffer => (value.length < 256 ? Buffer.concat([Buffer.from([0x58, value.length]), value]) : bytes(value));
  const canonical = Buffer.concat([Buffer.from([0x84]), text('Signature1'), shortest(body), Buffer.from([0x40]), shortest(payload)]);
  expect(toSign.length).toBeGreaterThanOrEqual(canonical.length);
  const signature = sign('sha256', canonical, { key: createPrivateKey(readFileSync(join(pki.dir, 'plain.key'))), dsaEncoding: 'ieee-p1363' });
  const chain = Buffer.concat([Buffer.from([0x82]), bytes(pki.der('plain')), bytes(pki.der('root'))]);
  const envelope = (stamp: readonly (readonly [Buffer, Buffer])[]): Buffer => Buffer.concat([Buffer.from([0xd2, 0x84]), bytes(body), map([Buffer.from([0x18, 33]), chain], ...stamp), bytes(payload), bytes(signature)]);
  const stores = { 'ca/x': pki.pem('root'), 'tsa/x': pki.pem('root') };
  const name = text('io.cncf.notary.timestampSignature');
  expect(await said(envelope([[name, bytes(pki.stamp(signature))]]), home({}, stores), COSE)).toMatch(/^met/);
  expect(await said(envelope([]), home({}, stores), COSE)).toMatch(/no timestamp/);
  expect(await said(envelope([[name, text('x')]]), home({}, stores), COSE)).toMatch(/cannot be read/);
});

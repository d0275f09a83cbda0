/** Sigstore's bundles and attestations: made by @sigstore/mock and @sigstore/bundle, right and wrong in every part, and what a policy says of them. */
import { createHash, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dsse } from '@sigstore/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { der, integer, octets, oid, sequence } from '../../../image/trust/asn1.ts';
import { Certificate } from '../../../image/trust/certificate.ts';
import { judge } from '../../../image/trust/policy/check.ts';
import { readPolicy } from '../../../image/trust/policy/policy.ts';
import { type Attachment, FoundSignatures, type SignatureKind } from '../../../image/trust/signatures.ts';
import { IN_TOTO, ISSUER, type Made, MadeSigstore, pair, pem, sha256, statement, WORKFLOW } from '../../support/images/sigstore-maker.ts';
import { scratch } from '../image/support.ts';

type Json = Record<string, unknown>;

const FOLDER = scratch();
const SIGN = 'https://sigstore.dev/cosign/sign/v1';
const SLSA = 'https://slsa.dev/provenance/v1';
const digest = `sha256:${'ab'.repeat(32)}`;
const other = `sha256:${'cd'.repeat(32)}`;
const sigstore = new MadeSigstore();
const key = pair();
const keyData = Buffer.from(pem(key.publicKey)).toString('base64');
const rekorPublicKeyData = Buffer.from(sigstore.logPem).toString('base64');
const matchDigest = { type: 'matchDigest' };
let caData: string;
beforeAll(async () => {
  caData = Buffer.from(await sigstore.authorityPem()).toString('base64');
});

function policyFile(requirement: Json): string {
  const path = join(mkdtempSync(join(FOLDER, 'p-')), 'policy.json');
  writeFileSync(path, JSON.stringify({ default: [requirement] }));
  return path;
}

/** What is said of an image with these: `met` with who signed it, or the fault. */
async function said(found: Partial<Record<SignatureKind, readonly (Buffer | Attachment)[]>>, requirement: Json, name = 'example.com/a:1'): Promise<string> {
  const signatures = new FoundSignatures(async (kind) => (found[kind] ?? []).map((one) => (Buffer.isBuffer(one) ? { bytes: one, mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', annotations: {} } : one)));
  try {
    const { findings: [finding] } = await judge(readPolicy(policyFile(requirement)), { name: parseRegistryName(name), digests: [digest], signatures }, {});
    return finding?.fault ?? `met: ${finding?.by}`;
  } catch (error) {
    if (error instanceof VmmError) return `${error.code} ${error.message}`;
    throw error;
  }
}

async function rooted(without: readonly string[] = [], change?: (root: Json) => void): Promise<Json> {
  const trustedRootPath = join(mkdtempSync(join(FOLDER, 'r-')), 'trusted_root.json');
  writeFileSync(trustedRootPath, JSON.stringify(await sigstore.trustedRoot(without, change)));
  return { type: 'sigstoreSigned', fulcio: { trustedRootPath, oidcIssuer: ISSUER, subjectURI: WORKFLOW }, signedIdentity: matchDigest };
}

describe('signatures in bundles', () => {
  it('by a key, with a log and without one', async () => {
    const bundle = await sigstore.bundle(statement(digest, SIGN), { key });
    expect(await said({ bundle: [bundle] }, { type: 'sigstoreSigned', keyData, signedIdentity: matchDigest })).toBe('met: a key of the policy, in a bundle');
    expect(await said({ bundle: [bundle] }, { type: 'sigstoreSigned', keyData, rekorPublicKeyData, signedIdentity: matchDigest })).toMatch(/^met/);
    const alone = await sigstore.bundle(statement(digest, SIGN), { key, witness: 'nobody' });
    expect(await said({ bundle: [alone] }, { type: 'sigstoreSigned', keyData, signedIdentity: matchDigest })).toMatch(/^met/);
    expect(await said({ bundle: [alone] }, { type: 'sigstoreSigned', keyData, rekorPublicKeyData, signedIdentity: matchDigest })).toBe('it is in no transparency log of the policy');
    const strange = Buffer.from(pem(pair().publicKey)).toString('base64');
    expect(await said({ bundle: [bundle] }, { type: 'sigstoreSigned', keyData, rekorPublicKeyData: strange, signedIdentity: matchDigest })).toBe('it is in no transparency log of the policy');
    expect(await said({ bundle: [bundle] }, { type: 'sigstoreSigned', keyData: strange, signedIdentity: matchDigest })).toBe('its signature is by no key of the policy');
    expect(await said({ bundle: [bundle] }, { type: 'sigstoreSigned', keyDatas: [strange, keyData], signedIdentity: matchDigest })).toMatch(/^met/);
  });

  it('an entry of a log that the policy does not know neither counts nor harms', async () => {
    const [entry] = (JSON.parse((await new MadeSigstore().bundle(statement(digest, SIGN), { key })).toString()) as Made).verificationMaterial.tlogEntries;
    if (entry === undefined) throw new Error('no entry');
    const beside = (made: Made): void => void made.verificationMaterial.tlogEntries.unshift(entry);
    const alone = (made: Made): void => void made.verificationMaterial.tlogEntries.splice(0, 1, entry);
    const byKey = { type: 'sigstoreSigned', keyData, rekorPublicKeyData, signedIdentity: matchDigest };
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { key, change: beside })] }, byKey)).toMatch(/^met/);
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { key, change: alone })] }, byKey)).toBe('it is in no transparency log of the policy');
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { change: beside })] }, await rooted())).toMatch(/^met/);
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { change: alone })] }, await rooted())).toBe('nobody whom the policy knows vouches for the time of its bundle');
    // With a time by an authority that is known, the log still has to be.
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { witness: 'both', change: alone })] }, await rooted())).toBe('it is in no transparency log of the policy');
    // An entry that only says to be of a known log is one of that log, and wrong.
    const posing = (made: Made): void => void made.verificationMaterial.tlogEntries.unshift({ ...entry, integratedTime: '1600000000', logId: (made.verificationMaterial.tlogEntries[0] as Json)['logId'] });
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { key, change: posing })] }, byKey)).toBe('it is in no transparency log of the policy');
  });

  it('a signature that names no image counts by its digest alone, and only where that is asked for', async () => {
    const requirement = { type: 'sigstoreSigned', keyData };
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { key })] }, requirement)).toMatch(/names no image.*matchDigest/);
    const named = (name: string) => sigstore.bundle(statement(digest, SIGN, { subject: [{ name, digest: { sha256: digest.slice(7) } }] }), { key });
    expect(await said({ bundle: [await named('example.com/a:1')] }, requirement)).toMatch(/^met/);
    expect(await said({ bundle: [await named('example.com/a:2')] }, requirement)).toBe('it is signed as "example.com/a:2"');
    expect(await said({ bundle: [await named('example.com/a')] }, { ...requirement, signedIdentity: { type: 'matchRepository' } })).toMatch(/^met/);
  });

  it('by a certificate: time by the log’s promise or by a timestamp authority, the certificate in its own log', async () => {
    const requirement = await rooted();
    for (const witness of ['log', 'both'] as const) expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { witness })] }, requirement)).toBe(`met: ${WORKFLOW} of ${ISSUER}, in a bundle`);
    const noLog = await rooted(['tlogs']);
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { witness: 'tsa' })] }, noLog)).toMatch(/^met/);
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { witness: 'tsa' })] }, requirement)).toBe('it is in no transparency log of the policy');
    // A proof says that it is in the log, and not since when.
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), { witness: 'proof' })] }, requirement)).toBe('nobody whom the policy knows vouches for the time of its bundle');
  });

  it('podman’s form of the policy does as well: authority and log by their keys', async () => {
    const requirement = { type: 'sigstoreSigned', fulcio: { caData, oidcIssuer: ISSUER, subjectURI: WORKFLOW }, rekorPublicKeyData, signedIdentity: matchDigest };
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN))] }, requirement)).toMatch(/^met/);
  });

  const flip = (text: string): string => {
    const bytes = Buffer.from(text, 'base64');
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] as number) ^ 1;
    return bytes.toString('base64');
  };
  it.each<[string, Parameters<MadeSigstore['bundle']>[1], RegExp]>([
    ['another workflow', { workflow: 'https://example.com/else' }, /^it is signed by "https:\/\/example\.com\/else"/],
    ['another issuer', { issuer: 'https://else.example' }, /^it is signed by an identity of/],
    ['nobody vouches for its time', { witness: 'nobody' }, /vouches for the time/],
    ['logged before the certificate', { time: new Date(Date.now() - 86_400_000) }, /by no authority of the policy, or was not valid/],
    ['logged after it', { time: new Date(Date.now() + 400 * 86_400_000) }, /by no authority of the policy, or was not valid/],
    ['another payload', { change: (made) => { made.dsseEnvelope.payload = statement(digest, SIGN, { predicate: { more: 1 } }).toString('base64'); } }, /no transparency log/],
    ['another signature', { change: (made) => { const [one] = made.dsseEnvelope.signatures; if (one !== undefined) one.sig = flip(one.sig); } }, /no transparency log/],
    ['two signatures', { change: (made) => { made.dsseEnvelope.signatures.push(...made.dsseEnvelope.signatures); } }, /cannot be read/],
    ['an entry whose promise is broken', { change: (made) => { (made.verificationMaterial.tlogEntries[0] as { logIndex: string }).logIndex = '5'; } }, /no transparency log/],
    ['the same entry twice', { change: (made) => { made.verificationMaterial.tlogEntries.push(...made.verificationMaterial.tlogEntries); } }, /vouches for the time/],
    ['a thousand entries', { change: (made) => { made.verificationMaterial.tlogEntries = Array.from({ length: 1000 }, () => made.verificationMaterial.tlogEntries[0] as Json); } }, /too many/],
    ['no certificate', { change: (made) => { delete made.verificationMaterial.certificate; made.verificationMaterial.publicKey = { hint: 'x' }; } }, /has no certificate/],
    ['a certificate that is none', { change: (made) => { made.verificationMaterial.certificate = { rawBytes: 'AAAA' }; } }, /cannot be read/],
    ['a timestamp that is none', { witness: 'both', change: (made) => { made.verificationMaterial.timestampVerificationData.rfc3161Timestamps = [{ signedTimestamp: 'MAA=' }]; } }, /cannot be/],
    ['a timestamp of another signature', { witness: 'both', change: (made) => { const [one] = made.verificationMaterial.timestampVerificationData.rfc3161Timestamps as [{ signedTimestamp: string }]; one.signedTimestamp = flip(one.signedTimestamp); } }, /vouches for the time/],
    ['another kind of payload', { payloadType: 'text/plain' }, /no statement, but "text\/plain"/],
  ])('%s: refused', async (_, options, wanted) => expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN), options)] }, await rooted())).toMatch(wanted));

  it.each<[string, Buffer, RegExp]>([
    ['another image', statement(other, SIGN), /for another manifest/],
    ['an attestation is no signature', statement(digest, SLSA), /no signature by cosign/],
    ['a statement of a later form', statement(digest, SIGN, { _type: 'https://in-toto.io/Statement/v9' }), /form that is not read/],
    ['a statement without subjects', statement(digest, SIGN, { subject: [] }), /for another manifest/],
    ['no JSON', Buffer.from('hello'), /cannot be read/],
  ])('%s: refused', async (_, payload, wanted) => expect(await said({ bundle: [await sigstore.bundle(payload)] }, await rooted())).toMatch(wanted));

  it.each<[string, readonly string[], ((root: Json) => void) | undefined, RegExp]>([
    ['without the authority', ['certificateAuthorities'], undefined, /^TRUST_CONFIG .*caPath/],
    ['with nobody who vouches for a time', ['tlogs', 'timestampAuthorities'], undefined, /^TRUST_CONFIG .*rekorPublicKey/],
    ['with another log of certificates', [], (root) => { root['ctlogs'] = root['tlogs']; }, /in no log of certificates/],
    ['whose authority was not one yet', [], (root) => { for (const authority of root['certificateAuthorities'] as Json[]) authority['validFor'] = { start: '2099-01-01T00:00:00Z' }; }, /by no authority/],
    ['whose log was closed before', [], (root) => { for (const log of root['tlogs'] as { publicKey: Json }[]) log.publicKey['validFor'] = { start: '2020-01-01T00:00:00Z', end: '2021-01-01T00:00:00Z' }; }, /no transparency log/],
    ['that is damaged', [], (root) => { root['ctlogs'] = [{}]; }, /^TRUST_CONFIG .*no trusted root/],
  ])('a trusted root %s', async (_, without, change, wanted) => expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN))] }, await rooted(without, change))).toMatch(wanted));
});

describe('published bundles (their origin stands in the file)', () => {
  const given = JSON.parse(readFileSync(join(import.meta.dirname, '../../support/images/sigstore-bundles.json'), 'utf8')) as { keyless: Json; root: { ctlogs: unknown[]; tlogs: unknown[] } & Json; key: Json; keyPem: string; log: string };
  const WORKFLOW_2026 = 'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main';
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const about = async (bundle: Json, of: string, requirement: Json, change?: (root: typeof given.root) => void): Promise<string> => {
    const trustedRootPath = join(mkdtempSync(join(FOLDER, 'r-')), 'trusted_root.json');
    const root = structuredClone(given.root);
    change?.(root);
    writeFileSync(trustedRootPath, JSON.stringify(root));
    const signatures = new FoundSignatures(async (kind) => (kind === 'bundle' ? [{ bytes: Buffer.from(JSON.stringify(bundle)), mediaType: '', annotations: {} }] : []));
    const text = JSON.stringify({ type: 'sigstoreAttested', ...requirement }).replaceAll('ROOT', trustedRootPath);
    const { findings: [finding] } = await judge(readPolicy(policyFile(JSON.parse(text) as Json)), { name: parseRegistryName('example.com/a:1'), digests: [of], signatures }, {});
    return finding?.fault ?? `met: ${finding?.by}`;
  };
  const keyless = { predicateType: 'https://example.com/predicate/v1', fulcio: { trustedRootPath: 'ROOT', oidcIssuer: 'https://token.actions.githubusercontent.com', subjectURI: WORKFLOW_2026 } };
  const SUBJECT = 'sha256:70ed0277251d0cf2eb5eda8b574ce012de485e39a3de1fb4b1e0717e14b02d6a';

  it('of the public Sigstore: certificate, its log, the log’s promise and proof, a timestamp', async () => {
    expect(await about(given.keyless, SUBJECT, keyless)).toMatch(/^met/);
    expect(await about(given.keyless, digest, keyless)).toMatch(/for another manifest/);
    expect(await about(given.keyless, SUBJECT, { ...keyless, predicateType: SLSA })).toMatch(/no attestation of/);
    expect(await about(given.keyless, SUBJECT, { ...keyless, fulcio: { ...keyless.fulcio, subjectURI: WORKFLOW_2026.replace('main', 'mai') } })).toMatch(/^it is signed by/);
    expect(await about(given.keyless, SUBJECT, keyless, (root) => { root.ctlogs.pop(); })).toMatch(/in no log of certificates/);
    expect(await about(given.keyless, SUBJECT, keyless, (root) => { root.tlogs = []; })).toMatch(/^met/);
  });
  it('by a key, with a proof of its log', async () => {
    const of = 'sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf';
    const byKey = { predicateType: 'https://example.com/test', keyData: base64(given.keyPem) };
    expect(await about(given.key, of, byKey)).toMatch(/^met/);
    expect(await about(given.key, of, { ...byKey, rekorPublicKeyData: base64(given.log) })).toMatch(/^met/);
    expect(await about(given.key, of, { ...byKey, rekorPublicKeyData: base64(sigstore.logPem) })).toBe('it is in no transparency log of the policy');
  });
});

describe('the certificate’s own log, of signatures of the earlier kind', () => {
  async function attached(logged: boolean, chain?: (authority: X509Certificate) => string): Promise<Attachment> {
    const signer = pair();
    const { pem: certificate } = await sigstore.certificate(signer.publicKey, {}, logged);
    const bytes = Buffer.from(JSON.stringify({ critical: { identity: { 'docker-reference': 'example.com/a:1' }, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' }, optional: null }));
    const signature = sign('sha256', bytes, signer.privateKey).toString('base64');
    const { body, integratedTime, logID, logIndex, verification } = await sigstore.entry({ apiVersion: '0.0.1', kind: 'hashedrekord', spec: { data: { hash: { algorithm: 'sha256', value: sha256(bytes).toString('hex') } }, signature: { content: signature, publicKey: { content: Buffer.from(certificate).toString('base64') } } } }, new Date(Date.now() + 1000));
    const bundle = JSON.stringify({ SignedEntryTimestamp: verification.signedEntryTimestamp, Payload: { body, integratedTime, logID, logIndex } });
    return { bytes, mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', annotations: { 'dev.cosignproject.cosign/signature': signature, 'dev.sigstore.cosign/certificate': certificate, 'dev.sigstore.cosign/bundle': bundle, ...(chain === undefined ? {} : { 'dev.sigstore.cosign/chain': chain(new X509Certificate(await sigstore.authorityPem())) }) } };
  }
  it('is looked at where the trusted root has one', async () => {
    expect(await said({ sigstore: [await attached(true)] }, await rooted())).toMatch(/^met/);
    expect(await said({ sigstore: [await attached(false)] }, await rooted())).toMatch(/in no log of certificates/);
    expect(await said({ sigstore: [await attached(true)] }, await rooted([], (root) => { root['ctlogs'] = root['tlogs']; }))).toMatch(/in no log of certificates/);
    expect(await said({ sigstore: [await attached(false)] }, await rooted(['ctlogs']))).toMatch(/^met/);
  });
  /** 20 layers of two authorities of one name and key, the first as the real one is named, whose key it has, too: 2^20 ways from the signer to the last, which has signed itself. */
  function layered(authority: X509Certificate): string {
    const own = pair();
    const spki = (publicKey: KeyObject): Buffer => publicKey.export({ type: 'spki', format: 'der' });
    const named = (layer: number): Buffer => sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(`layer ${layer}`)))));
    const time = (at: number): Buffer => der(0x17, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
    const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
    const issued = (serial: number, subject: Buffer, issuer: Buffer, publicKey: KeyObject): string => {
      const constraints = sequence(oid('2.5.29.19'), der(0x01, Buffer.from([0xff])), octets(sequence(der(0x01, Buffer.from([0xff])))));
      const body = sequence(der(0xa0, integer(Buffer.from([2]))), integer(Buffer.from([serial])), algorithm, issuer, sequence(time(Date.now() - 60_000), time(Date.now() + 3_600_000)), subject, spki(publicKey), der(0xa3, sequence(constraints)));
      return new X509Certificate(sequence(body, algorithm, der(0x03, Buffer.from([0]), sign('sha256', body, own.privateKey)))).toString();
    };
    const layers = Array.from({ length: 20 }, (_, i) => [1, 2].map((serial) => issued(serial, i === 0 ? new Certificate(authority.raw).subjectName : named(i), named(Math.min(i + 1, 19)), i === 0 ? authority.publicKey : own.publicKey)));
    return layers.flat().join('');
  }
  it('more authorities beside the signature, which nobody has signed, hold nobody up', async () => {
    const signature = await attached(true, layered);
    expect((signature.annotations['dev.sigstore.cosign/chain'] as string).match(/BEGIN/g)?.length).toBe(40);
    expect(await said({ sigstore: [signature] }, await rooted())).toMatch(/^met/);
    expect(await said({ sigstore: [await attached(false, layered)] }, await rooted())).toMatch(/in no log of certificates/);
  });
});

describe('attestations', () => {
  const attested = (more: Json): Json => ({ type: 'sigstoreAttested', predicateType: SLSA, ...more });
  /** As `cosign attest` writes them by tag; `kind`: of the log's entry. */
  async function envelope(payload: Buffer, { kind = 'intoto 0.0.1', certificate = false, log = true, signer = key, tamper = false }: { kind?: string; certificate?: boolean; log?: boolean; signer?: ReturnType<typeof pair>; tamper?: boolean } = {}): Promise<Attachment> {
    const own = certificate ? pair() : signer;
    const issued = certificate ? (await sigstore.certificate(own.publicKey)).pem : undefined;
    const sig = sign('sha256', dsse.preAuthEncoding(IN_TOTO, payload), own.privateKey).toString('base64');
    const content = tamper ? statement(digest, SLSA, { predicate: { evil: true } }) : payload;
    const bytes = Buffer.from(JSON.stringify({ payloadType: IN_TOTO, payload: content.toString('base64'), signatures: [{ keyid: '', sig }] }));
    const verifier = Buffer.from(issued ?? pem(own.publicKey)).toString('base64');
    const [name = '', apiVersion = ''] = kind.split(' ');
    const hash = (of: Uint8Array): Json => ({ algorithm: 'sha256', value: createHash('sha256').update(of).digest('hex') });
    const spec = kind === 'intoto 0.0.1' ? { content: { hash: hash(bytes), payloadHash: hash(payload) }, publicKey: verifier }
      : kind === 'intoto 0.0.2' ? { content: { hash: hash(bytes), payloadHash: hash(payload), envelope: { payloadType: IN_TOTO, signatures: [{ sig: Buffer.from(sig).toString('base64'), publicKey: verifier }] } } }
      : { envelopeHash: hash(bytes), payloadHash: hash(payload), signatures: [{ signature: sig, verifier }] };
    const { body, integratedTime, logID, logIndex, verification } = await sigstore.entry({ apiVersion, kind: name, spec }, new Date(Date.now() + 1000));
    const bundle = JSON.stringify({ SignedEntryTimestamp: verification.signedEntryTimestamp, Payload: { body, integratedTime, logID, logIndex } });
    return { bytes, mediaType: 'application/vnd.dsse.envelope.v1+json', annotations: { 'dev.cosignproject.cosign/signature': '', ...(issued === undefined ? {} : { 'dev.sigstore.cosign/certificate': issued }), ...(log ? { 'dev.sigstore.cosign/bundle': bundle } : {}) } };
  }

  it.each(['intoto 0.0.1', 'intoto 0.0.2', 'dsse 0.0.1'])('by tag, by key and by certificate, logged as %s', async (kind) => {
    const payload = statement(digest, SLSA);
    expect(await said({ attestation: [await envelope(payload, { kind })] }, attested({ keyData, rekorPublicKeyData }))).toBe(`met: a key of the policy: ${SLSA}`);
    const { fulcio } = await rooted();
    expect(await said({ attestation: [await envelope(payload, { kind, certificate: true })] }, attested({ fulcio }))).toBe(`met: ${WORKFLOW} of ${ISSUER}: ${SLSA}`);
    expect(await said({ attestation: [await envelope(payload, { kind, tamper: true })] }, attested({ keyData, rekorPublicKeyData }))).toBe('its signature is by no key of the policy');
    expect(await said({ attestation: [await envelope(payload, { kind, signer: pair() })] }, attested({ keyData, rekorPublicKeyData }))).toBe('its signature is by no key of the policy');
  });
  it('an entry of another kind, or about another envelope, is none', async () => {
    const payload = statement(digest, SLSA);
    const good = await envelope(payload);
    const hashed = await envelope(payload, { kind: 'hashedrekord 0.0.1' });
    expect(await said({ attestation: [hashed] }, attested({ keyData, rekorPublicKeyData }))).toBe('the entry of the log is for another signature');
    const another = await envelope(statement(digest, SLSA, { predicate: { a: 1 } }));
    expect(await said({ attestation: [{ ...good, annotations: another.annotations }] }, attested({ keyData, rekorPublicKeyData }))).toBe('the entry of the log is for another signature');
    expect(await said({ attestation: [await envelope(payload, { log: false })] }, attested({ keyData, rekorPublicKeyData }))).toBe('its signature is in no transparency log');
    expect(await said({ attestation: [await envelope(payload, { log: false })] }, attested({ keyData }))).toMatch(/^met/);
  });
  it('in bundles', async () => {
    const { fulcio } = await rooted();
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SIGN)), await sigstore.bundle(statement(digest, SLSA))] }, attested({ fulcio }))).toBe(`met: ${WORKFLOW} of ${ISSUER}: ${SLSA}`);
    expect(await said({ bundle: [await sigstore.bundle(statement(digest, SLSA), { key })] }, attested({ keyData }))).toMatch(/^met/);
  });
  it.each<[string, () => Promise<Partial<Record<SignatureKind, readonly (Buffer | Attachment)[]>>>, RegExp]>([
    ['none', async () => ({}), /no attestation of https:\/\/slsa/],
    ['of another kind', async () => ({ attestation: [await envelope(statement(digest, 'https://spdx.dev/Document'))] }), /no attestation of https:\/\/slsa/],
    ['about another image', async () => ({ attestation: [await envelope(statement(other, SLSA))] }), /for another manifest/],
    ['about another image, in a bundle', async () => ({ bundle: [await sigstore.bundle(statement(other, SLSA), { key })] }), /for another manifest/],
    ['a signature is none', async () => ({ bundle: [await sigstore.bundle(statement(digest, SIGN), { key })] }), /no attestation of/],
    ['without signatures', async () => ({ attestation: [{ ...(await envelope(statement(digest, SLSA))), bytes: Buffer.from('{"payloadType":"x","payload":"","signatures":[]}') }] }), /has no signature/],
    ['no envelope', async () => ({ attestation: [{ ...(await envelope(statement(digest, SLSA))), bytes: Buffer.from('[]') }] }), /cannot be read/],
  ])('%s: refused', async (_, found, wanted) => expect(await said(await found(), attested({ keyData }))).toMatch(wanted));
  it('a policy has to say which', async () => {
    expect(await said({}, { type: 'sigstoreAttested', keyData })).toMatch(/^TRUST_CONFIG .*has no predicateType/);
    expect(await said({}, { type: 'sigstoreAttested', predicateType: SLSA })).toMatch(/^TRUST_CONFIG .*sigstoreAttested needs one of keyPath/);
  });
  it('ed25519 keys, too', async () => {
    const ed = generateKeyPairSync('ed25519');
    const payload = statement(digest, SLSA);
    const sig = sign(null, dsse.preAuthEncoding(IN_TOTO, payload), ed.privateKey).toString('base64');
    const bytes = Buffer.from(JSON.stringify({ payloadType: IN_TOTO, payload: payload.toString('base64'), signatures: [{ sig }] }));
    expect(await said({ attestation: [{ bytes, mediaType: 'application/vnd.dsse.envelope.v1+json', annotations: {} }] }, attested({ keyData: Buffer.from(pem(ed.publicKey)).toString('base64') }))).toMatch(/^met/);
  });
});

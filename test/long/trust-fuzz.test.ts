/** A million hostile inputs for what reads trust data and signatures: each is read or refused by a VmmError of one line; none makes a tag mean something else. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VmmError } from '../../base/errors.ts';
import { parseRegistryName } from '../../image/registry/name.ts';
import { Certificate } from '../../image/trust/certificate.ts';
import { COSE, JWS, readEnvelope } from '../../image/trust/notation/envelope.ts';
import { TrustCache } from '../../image/trust/notary/cache.ts';
import { delegationsOf, metaOf, readDocument, signersOf, targetNames, targetOf } from '../../image/trust/notary/metadata.ts';
import { type DocumentSource, findTarget, updateTrust } from '../../image/trust/notary/repository.ts';
import { openBundle } from '../../image/trust/policy/bundle.ts';
import { loggedAt } from '../../image/trust/policy/keyless.ts';
import { namesSignature } from '../../image/trust/policy/log-entry.ts';
import { readPolicy, ruleOf } from '../../image/trust/policy/policy.ts';
import { parseRegistriesYaml } from '../../image/trust/policy/registries-d.ts';
import { readStatement } from '../../image/trust/policy/statement.ts';
import { ocspRequest, statusByAnswer, statusByList } from '../../image/trust/revocation.ts';
import { keptSignatures } from '../../image/trust/signatures.ts';
import { readTimestamp } from '../../image/trust/timestamp.ts';
import { Pki } from '../support/images/pki.ts';
import { ISSUER, MadeSigstore, sha256, statement, WORKFLOW } from '../support/images/sigstore-maker.ts';
import { digestOf, MadeRepository, makeKey, makeRootKey, target } from '../support/images/trust-maker.ts';
import { Random } from '../support/random.ts';
import { scratch } from '../unit/image/support.ts';

const FOLDER = scratch();
const GUN = '127.0.0.1:5000/fuzz/x';

const ODD: readonly unknown[] = [null, true, -1, 0, 1e300, 2 ** 53, '', 'x', [], {}, [[]], '\u0000', '__proto__', 'targets', [1], { keyids: 7 }, '9999-99-99', '2200-01-01T00:00:00Z'];

/** Something somewhere in a JSON value is another thing, missing, or twice. */
function changed(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random.below(12) === 0) return random.of(ODD);
  if (Array.isArray(value)) {
    if (value.length === 0 || random.below(8) === 0) return [...(value as unknown[]), random.of(ODD)];
    const at = random.below(value.length);
    return value.map((item: unknown, i) => (i === at ? changed(random, item) : item));
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return { [String(random.of(ODD))]: random.of(ODD) };
  const key = random.of(keys);
  const fields = value as Record<string, unknown>;
  if (random.below(8) === 0) return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== key));
  return { ...fields, [key]: changed(random, fields[key]) };
}

function flipped(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = 1 + random.below(3); i > 0 && copy.length > 0; i--) copy[random.below(copy.length)] = random.below(256);
  return random.below(6) === 0 ? copy.subarray(0, random.below(copy.length + 1)) : copy;
}

/** Bytes of a document, wronged in its text or in its structure. */
function wronged(random: Random, text: string): Buffer {
  return random.below(2) === 0 ? flipped(random, Buffer.from(text)) : Buffer.from(JSON.stringify(changed(random, JSON.parse(text) as unknown)));
}

/** What reads an input: anything but a VmmError of one line is a fault. */
function tame(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    if (error.message.includes('\n')) throw new Error(`more than one line: ${JSON.stringify(error.message)}`);
  }
}

const bytesOf = (text: string | undefined): Buffer | undefined => (text === undefined ? undefined : Buffer.from(text));

function repository(): MadeRepository {
  const made = new MadeRepository(makeRootKey(FOLDER, GUN));
  made.role('targets').keys.push(makeKey('ed25519'));
  made.delegate('targets/releases').delegate('targets/alice');
  (made.targets['targets'] as Record<string, unknown>)['1'] = target('one');
  (made.targets['targets/releases'] as Record<string, unknown>)['2'] = target('two');
  return made;
}

describe('hostile trust data', () => {
  test('a million documents of TUF', () => {
    const random = new Random(7);
    const files = [...repository().publish()];
    for (let i = 0; i < 1_000_000; i++) {
      const [role, text] = random.of(files);
      const bytes = wronged(random, text);
      tame(() => {
        const document = readDocument(bytes, role);
        if (role === 'root') for (const one of ['root', 'targets', 'snapshot', 'timestamp'] as const) signersOf(document, one);
        else if (role.startsWith('targets')) {
          delegationsOf(document, role);
          for (const name of targetNames(document)) targetOf(document, name, role);
        } else for (const name of ['root', 'targets', 'snapshot', 'targets/releases']) metaOf(document, name, role);
      });
    }
  }, 1_800_000);

  test('ten thousand servers that change something: a tag means what was signed, or nothing', async () => {
    const random = new Random(11);
    const good = repository().publish();
    const names = [...good.keys()];
    let read = 0;
    for (let i = 0; i < 10_000; i++) {
      const home = mkdtempSync(join(FOLDER, 'h-'));
      const wrong = random.of(names);
      const bytes = wronged(random, good.get(wrong) as string);
      const source: DocumentSource = {
        host: 'fuzz',
        get: async (file) => {
          const role = file.replace(/\.json$/, '').replace(/\.[0-9a-f]{64}$/, '');
          return role === wrong ? bytes : bytesOf(good.get(role));
        },
      };
      const outcome = await updateTrust({ gun: GUN, source, cache: new TrustCache({ DOCKER_CONFIG: home }, GUN), pinning: { certs: new Map(), cas: new Map(), disableTofu: false } })
        .then((data) => [findTarget(data, '1')?.digest, findTarget(data, '2')?.digest], (error: unknown) => error);
      if (Array.isArray(outcome)) {
        read++;
        expect([undefined, digestOf('one')]).toContain(outcome[0]);
        expect([undefined, digestOf('two')]).toContain(outcome[1]);
      } else if (!(outcome instanceof VmmError) || outcome.message.includes('\n')) throw outcome;
      rmSync(home, { recursive: true });
    }
    // White space, and what says nothing, may change.
    expect(read).toBeLessThan(5000);
  }, 3_600_000);

  test('a million signatures, certificates and configurations', () => {
    const random = new Random(13);
    const support = join(import.meta.dirname, '../support/images');
    const notation = JSON.parse(readFileSync(join(support, 'notation.json'), 'utf8')) as { ca: { header: { x5c: string[] } }; cose: string };
    const cosign = JSON.parse(readFileSync(join(support, 'cosign-keyless.json'), 'utf8')) as { payload: string; annotations: Record<string, string> };
    const bundle = cosign.annotations['dev.sigstore.cosign/bundle'] as string;
    const certificate = Buffer.from(notation.ca.header.x5c[0] as string, 'base64');
    const cose = Buffer.from(notation.cose, 'hex');
    const jws = JSON.stringify(notation.ca);
    const kept = JSON.stringify({ digests: ['sha256:a'], found: { 'simple sha256:a': [{ bytes: 'AAAA', mediaType: '', annotations: { a: 'b' } }] } });
    const yaml = Buffer.from('default-docker:\n  lookaside: file:///a\ndocker:\n  "a.example":\n    lookaside: https://b/c # d\n');
    const digest = `sha256:${'a'.repeat(64)}`;
    const attested = statement(digest, 'https://slsa.dev/provenance/v1');
    const entry = JSON.stringify({ apiVersion: '0.0.2', kind: 'intoto', spec: { content: { payloadHash: { algorithm: 'sha256', value: sha256(attested).toString('hex') }, envelope: { signatures: [{ sig: 'QUFB', publicKey: 'eA==' }] } } } });
    const pki = new Pki(FOLDER);
    pki.issue('tsa', { use: 'critical,timeStamping' });
    const root = new Certificate(pki.pem('root'));
    const token = pki.stamp(Buffer.from('x'));
    const stamped = JSON.stringify(readTimestamp(token, Buffer.from('x'), [root]));
    const lost = new Certificate(pki.pem('tsa'));
    pki.revoke('tsa');
    const list = pki.list();
    const reply = pki.answer(ocspRequest(lost, root));
    const now = new Date();
    expect([statusByList(list, 'http://x', lost, root, now), statusByAnswer(reply, lost, root, now)]).toEqual([{ revoked: expect.any(Date) as Date }, { revoked: expect.any(Date) as Date }]);
    /** Times another than were stamped, and what was revoked being good. */
    let lies = 0;
    const readers: readonly (() => unknown)[] = [
      () => readEnvelope(wronged(random, jws), JWS),
      () => readEnvelope(flipped(random, cose), COSE),
      () => loggedAt({ bytes: Buffer.from(cosign.payload), mediaType: '', annotations: { 'dev.sigstore.cosign/bundle': wronged(random, bundle).toString() } }, Buffer.alloc(8), 'x', () => []),
      () => readStatement({ payloadType: 'application/vnd.in-toto+json', payload: wronged(random, attested.toString()) }, digest),
      () => namesSignature(wronged(random, entry), { bytes: attested, payload: attested, signature: Buffer.alloc(8), key: 'x' }),
      () => {
        const bytes = flipped(random, token);
        const said = readTimestamp(bytes, Buffer.from('x'), [root]);
        if (typeof said !== 'string' && JSON.stringify(said) !== stamped) lies++;
      },
      () => {
        if (statusByList(flipped(random, list), 'http://x', lost, root, now) === 'good') lies++;
      },
      () => {
        if (statusByAnswer(flipped(random, reply), lost, root, now) === 'good') lies++;
      },
      () => keptSignatures(wronged(random, kept).toString()),
      () => parseRegistriesYaml(flipped(random, yaml).toString(), 'f'),
      () => parseRegistryName(flipped(random, Buffer.from('registry.example:5000/a/b:tag@sha256:x')).toString()),
    ];
    for (let i = 0; i < 1_000_000; i++) tame(random.of(readers));
    expect(lies).toBe(0);
    for (let i = 0; i < 100_000; i++) {
      const bytes = flipped(random, certificate);
      let read: Certificate;
      try {
        read = new Certificate(bytes);
      } catch {
        continue; // whoever calls it takes any error for a bad certificate
      }
      for (const look of [() => read.names(1), () => read.names(6), () => read.pathLength, () => read.hasUnknownCritical, () => read.crlUrls, () => read.ocspUrls, () => read.serial, () => read.issuerName, () => read.subjectName, () => read.keyBits, () => read.mayUseKey(6), () => read.signsCode]) {
        try {
          look();
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
        }
      }
    }
  }, 1_800_000);

  test('twenty thousand bundles: what changes is refused, or says the same', async () => {
    const random = new Random(17);
    const sigstore = new MadeSigstore();
    const digest = `sha256:${'a'.repeat(64)}`;
    const root = join(FOLDER, 'trusted_root.json');
    writeFileSync(root, JSON.stringify(await sigstore.trustedRoot()));
    const policy = join(FOLDER, 'policy.json');
    writeFileSync(policy, JSON.stringify({ default: [{ type: 'sigstoreAttested', predicateType: 'x', fulcio: { trustedRootPath: root, oidcIssuer: ISSUER, subjectURI: WORKFLOW } }] }));
    const [requirement] = ruleOf(readPolicy(policy), 'docker', []).requirements;
    if (requirement?.type !== 'sigstoreAttested') throw new Error('no such rule');
    const payload = statement(digest, 'x');
    const good = (await sigstore.bundle(payload, { witness: 'both' })).toString();
    expect(await openBundle(Buffer.from(good), requirement)).toMatchObject({ payload });
    for (let i = 0; i < 20_000; i++) {
      const said = await openBundle(wronged(random, good), requirement);
      if (typeof said === 'string') expect(said).toMatch(/^[^\n]{1,200}$/);
      else expect(Buffer.from(said.payload)).toEqual(payload);
    }
  }, 1_800_000);
});

/** `trust_pinning`: whose root a repository's first one may be. notary's own client and ours read the same configuration of the same user. */
import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmmError } from '../../../base/errors.ts';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { signedTarget } from '../../../image/trust/notary/resolve.ts';
import { certificates, DockerUser } from '../../support/images/notary.ts';
import { canonical, FakeNotary, type MadeKey, MadeRepository, makeRootKey, target } from '../../support/images/trust-maker.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
let notary: FakeNotary;
let where: { url: string; host: string; ca: string; stop(): void };
const stopped: (() => void)[] = [];
beforeAll(async () => {
  certificates(FOLDER);
  notary = new FakeNotary(join(FOLDER, 'server.crt'), join(FOLDER, 'server.key'));
  const port = await notary.listen();
  where = { url: `https://localhost:${port}`, host: `localhost:${port}`, ca: join(FOLDER, 'ca.crt'), stop: () => {} };
});
afterAll(() => {
  notary.close();
  for (const stop of stopped) stop();
});

/** A root key whose certificate a CA has issued, perhaps by way of another. */
function issuedKey(gun: string, between: boolean, section = 'leaf'): { key: MadeKey; ca: string; other: string } {
  const dir = mkdtempSync(join(FOLDER, 'ca-'));
  const ssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe', timeout: 30_000 });
  writeFileSync(join(dir, 'ext'), '[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n[code]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n');
  for (const name of ['ca', 'other', 'middle', 'leaf']) ssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
  for (const name of ['ca', 'other']) ssl('req', '-x509', '-key', `${name}.key`, '-days', '9', '-subj', `/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign', '-out', `${name}.crt`);
  const issue = (name: string, subject: string, by: string, section: string): void => {
    ssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${subject.replaceAll('/', '\\/')}`, '-out', `${name}.csr`);
    ssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '8', '-extfile', 'ext', '-extensions', section, '-out', `${name}.crt`);
  };
  if (between) issue('middle', 'middle', 'ca', 'ca');
  issue('leaf', gun, between ? 'middle' : 'ca', section);
  const chain = Buffer.concat([readFileSync(join(dir, 'leaf.crt')), between ? readFileSync(join(dir, 'middle.crt')) : Buffer.alloc(0)]).toString('base64');
  const id = createHash('sha256').update(canonical({ keytype: 'ecdsa-x509', keyval: { private: null, public: chain } })).digest('hex');
  return { key: { id, type: 'ecdsa-x509', public: chain, private: createPrivateKey(readFileSync(join(dir, 'leaf.key'))), method: 'ecdsa' }, ca: join(dir, 'ca.crt'), other: join(dir, 'other.crt') };
}

type Pinning = Record<string, unknown>;
const NOBODY = 'ab'.repeat(32);
/** The configuration for a repository with a root key of its own certificate. */
const OWN: readonly (readonly [what: string, pinning: (gun: string, id: string) => Pinning, passes: boolean])[] = [
  ['nothing pinned', () => ({}), true],
  ['its key', (gun, id) => ({ certs: { [gun]: [id] } }), true],
  ['its key among others', (gun, id) => ({ certs: { [gun]: [NOBODY, id] } }), true],
  ['another key', (gun) => ({ certs: { [gun]: [NOBODY] } }), false],
  ['another key for another repository', (gun) => ({ certs: { [`${gun}x`]: [NOBODY] } }), true],
  ['a wildcard with its key', (gun, id) => ({ certs: { [`${gun.slice(0, -2)}*`]: [id] } }), true],
  ['a wildcard with another key', (gun) => ({ certs: { [`${gun.slice(0, -2)}*`]: [NOBODY] } }), false],
  ['the longer wildcard counts', (gun, id) => ({ certs: { [`${gun.slice(0, -6)}*`]: [NOBODY], [`${gun.slice(0, -2)}*`]: [id] } }), true],
  ['its name before a wildcard', (gun, id) => ({ certs: { [`${gun.slice(0, -2)}*`]: [id], [gun]: [NOBODY] } }), false],
  ['nothing is trusted on first use', () => ({ disable_tofu: true }), false],
  ['nothing is trusted on first use, but what is pinned', (gun, id) => ({ disable_tofu: true, certs: { [gun]: [id] } }), true],
];

describe('trust_pinning', () => {
  async function both(gun: string, key: MadeKey, pinning: Pinning): Promise<{ theirs: string; ours: string; again: () => Promise<string>; configure: (pinning: Pinning) => void }> {
    const repository = new MadeRepository(key);
    (repository.targets['targets'] as Record<string, unknown>)['1'] = target('one');
    notary.files.set(gun, repository.publish());
    const [theirs, ours] = [new DockerUser(mkdtempSync(join(FOLDER, 'd-')), where), new DockerUser(mkdtempSync(join(FOLDER, 'o-')), where)];
    stopped.push(() => theirs.close(), () => ours.close());
    const configure = (next: Pinning): void => {
      for (const { env } of [theirs, ours]) {
        mkdirSync(join(env['HOME'] as string, '.notary'), { recursive: true });
        writeFileSync(join(env['HOME'] as string, '.notary/config.json'), JSON.stringify({ trust_pinning: next }));
      }
    };
    configure(pinning);
    const list = await theirs.notary(where, 'list', gun);
    const again = (): Promise<string> => signedTarget(parseRegistryName(`${gun}:1`), { env: ours.env }).then(() => 'passes', (error: VmmError) => `${error.code} ${error.message}`);
    return { theirs: list.status === 0 && /^1\s/m.test(list.text) ? 'passes' : list.text, ours: await again(), again, configure };
  }

  it.each(OWN.map((row, i) => [row[0], i, row] as const))('%s', async (_, i, [, pinning, passes]) => {
    const gun = `127.0.0.1:5000/pinned/own/n${10 + i}`;
    const key = makeRootKey(FOLDER, gun);
    const { theirs, ours } = await both(gun, key, pinning(gun, key.id));
    expect([theirs === 'passes', ours], theirs).toEqual([passes, expect.stringMatching(passes ? /^passes$/ : /^TRUST_BAD .*is pinned/)]);
  });

  it.each<[string, boolean, 'ca' | 'other', boolean]>([
    ['its CA', false, 'ca', true],
    ['another CA', false, 'other', false],
    ['its CA, by way of another', true, 'ca', true],
    ['another CA than the one at the end', true, 'other', false],
  ])('%s', async (what, between, which, passes) => {
    const gun = `127.0.0.1:5000/pinned/ca/${what.replace(/[^a-z]+/gi, '-').toLowerCase()}`;
    const made = issuedKey(gun, between);
    const { theirs, ours } = await both(gun, made.key, { ca: { '127.0.0.1:5000/pinned': made[which] } });
    expect([theirs === 'passes', ours], theirs).toEqual([passes, expect.stringMatching(passes ? /^passes$/ : /^TRUST_BAD .*is pinned/)]);
  });

  it('its CA, a certificate for signing code: ours alone, as notary asks for one of a web server', async () => {
    const gun = '127.0.0.1:5000/pinned/code';
    const made = issuedKey(gun, false, 'code');
    const { theirs, ours } = await both(gun, made.key, { ca: { '127.0.0.1:5000/pinned': made.ca } });
    expect([theirs === 'passes', ours]).toEqual([false, 'passes']);
  });

  it('what is pinned counts for a root that is known, too; first use is over then', async () => {
    const gun = '127.0.0.1:5000/pinned/later';
    const key = makeRootKey(FOLDER, gun);
    const { ours, again, configure } = await both(gun, key, {});
    expect(ours).toBe('passes');
    configure({ disable_tofu: true });
    expect(await again()).toBe('passes');
    configure({ certs: { [gun]: [NOBODY] } });
    expect(await again()).toMatch(/^TRUST_BAD .*is pinned/);
  });

  it('a configuration that cannot be read lets nothing through', async () => {
    const gun = '127.0.0.1:5000/pinned/bad';
    const { again, configure } = await both(gun, makeRootKey(FOLDER, gun), {});
    configure({ ca: { '127.0.0.1:5000': join(FOLDER, 'nowhere.crt') } });
    expect(await again()).toMatch(/^TRUST_CONFIG .*nowhere\.crt holds no CA/);
    configure({ certs: { [gun]: 'x' } });
    expect(await again()).toMatch(/^[A-Z]+_[A-Z]+ /);
  });
});

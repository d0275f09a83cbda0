/** Docker Content Trust: the same trust data, right and wrong, before Docker's client and before ours. Each says what it would pull. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { signedTarget } from '../../../image/trust/notary/resolve.ts';
import type { VmmError } from '../../../base/errors.ts';
import { certificates, DockerUser } from '../../support/images/notary.ts';
import { digestOf, FakeNotary, hashOf, MadeRepository, makeKey, makeRootKey, target, YESTERDAY } from '../../support/images/trust-maker.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
let notary: FakeNotary;
let where: { url: string; host: string; ca: string };
const stopped: (() => void)[] = [];
beforeAll(async () => {
  certificates(FOLDER);
  notary = new FakeNotary(join(FOLDER, 'server.crt'), join(FOLDER, 'server.key'));
  const port = await notary.listen();
  where = { url: `https://localhost:${port}`, host: `localhost:${port}`, ca: join(FOLDER, 'ca.crt') };
});
afterAll(() => {
  notary.close();
  for (const stop of stopped) stop();
});

/** What is published next, from what was before; undefined: nothing is there. */
type Step = (repository: MadeRepository, gun: string) => MadeRepository | Map<string, string> | undefined;
/** Steps, each with the text whose digest the tag `1` stands for then, or the code by which we refuse it. */
type Case = readonly [what: string, ...steps: (readonly [Step, string])[]];

const set = (change: (repository: MadeRepository, gun: string) => void): Step => (repository, gun) => {
  change(repository, gun);
  return repository;
};
const asIs = set(() => {});
/** New documents of everything but the root. */
const bump = (repository: MadeRepository, ...roles: string[]): void => {
  for (const role of roles.length > 0 ? roles : ['targets', 'snapshot', 'timestamp']) repository.role(role).version++;
};
const tag = (repository: MadeRepository, text: string, role = 'targets', name = '1'): void => {
  (repository.targets[role] as Record<string, unknown>)[name] = target(text);
};
const JUNK = 'TRUST_BAD';

const CASES: readonly Case[] = [
  ['a tag of targets', [asIs, 'one']],
  ['a tag that nobody signed', [set((r) => { r.targets['targets'] = {}; }), 'TRUST_UNSIGNED']],
  ['another tag alone', [set((r) => { r.targets['targets'] = {}; tag(r, 'x', 'targets', '10'); }), 'TRUST_UNSIGNED']],
  ['a repository without trust data', [() => undefined, 'TRUST_UNSIGNED']],
  ['a tag of targets/releases', [set((r) => { r.targets['targets'] = {}; r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); }), 'two']],
  ['targets/releases before targets', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); }), 'two']],
  ['a tag of targets/alice alone', [set((r) => { r.targets['targets'] = {}; r.delegate('targets/alice'); tag(r, 'two', 'targets/alice'); }), 'TRUST_UNSIGNED']],
  ['a tag of a child of targets/releases', [set((r) => { r.delegate('targets/releases').delegate('targets/releases/x'); tag(r, 'two', 'targets/releases/x'); }), 'TRUST_UNSIGNED']],
  ['targets/releases for other names', [set((r) => { r.delegate('targets/releases', ['v']); tag(r, 'two', 'targets/releases'); }), 'one']],
  ['targets/releases for this name', [set((r) => { r.delegate('targets/releases', ['v', '1']); tag(r, 'two', 'targets/releases'); }), 'two']],
  ['targets/releases with no names', [set((r) => { r.delegate('targets/releases', []); tag(r, 'two', 'targets/releases'); }), 'one']],
  ['targets/releases that has expired', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); r.role('targets/releases').expires = YESTERDAY; }), 'one']],
  ['targets/releases by a stranger', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); r.role('targets/releases').signers = [makeKey()]; }), 'one']],
  ['targets/releases that was changed on the way', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); r.tamper['targets/releases'] = (b) => b.replace('1000', '1001'); }), JUNK]],
  ['targets/releases of before', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); r.role('targets/releases').version = 5; }), 'two'], [set((r) => { r.role('targets/releases').version = 4; bump(r); }), JUNK]],
  ['a timestamp that has expired', [set((r) => { r.role('timestamp').expires = YESTERDAY; }), 'TRUST_EXPIRED']],
  ['a snapshot that has expired', [set((r) => { r.role('snapshot').expires = YESTERDAY; }), 'TRUST_EXPIRED']],
  ['targets that have expired', [set((r) => { r.role('targets').expires = YESTERDAY; }), 'TRUST_EXPIRED']],
  ['a root that has expired', [set((r) => { r.role('root').expires = YESTERDAY; }), 'TRUST_EXPIRED']],
  ['a freeze: what was good has expired', [asIs, 'one'], [set((r) => { r.role('timestamp').expires = YESTERDAY; }), 'TRUST_EXPIRED']],
  ['the same again', [asIs, 'one'], [asIs, 'one']],
  ['a new digest for the tag', [asIs, 'one'], [set((r) => { tag(r, 'two'); bump(r); }), 'two']],
  ['a tag that was taken away', [asIs, 'one'], [set((r) => { r.targets['targets'] = {}; bump(r); }), 'TRUST_UNSIGNED']],
  ['a timestamp of before', [set((r) => bump(r, 'timestamp')), 'one'], [set((r) => { r.role('timestamp').version = 1; }), JUNK]],
  ['a snapshot of before under a new timestamp', [set((r) => bump(r, 'snapshot')), 'one'], [set((r) => { r.role('snapshot').version = 1; bump(r, 'timestamp'); }), JUNK]],
  ['targets of before under a new snapshot', [set((r) => bump(r, 'targets')), 'one'], [set((r) => { r.role('targets').version = 1; tag(r, 'old'); bump(r, 'snapshot', 'timestamp'); }), JUNK]],
  ['targets changed on the way', [set((r) => { r.tamper['targets'] = (b) => b.replace('1000', '1001'); }), JUNK]],
  ['a snapshot changed on the way', [set((r) => { r.tamper['snapshot'] = (b) => b.replace('"sig":"', '"sig":"A'); }), JUNK]],
  ['targets with a signature of other bytes', [set((r) => { r.wrap['targets'] = (b) => b.replace('1000', '1001'); }), JUNK]],
  ['targets by a stranger', [set((r) => { r.role('targets').signers = [makeKey()]; }), JUNK]],
  ['a snapshot by a stranger', [set((r) => { r.role('snapshot').signers = [makeKey()]; }), JUNK]],
  ['a timestamp by a stranger', [set((r) => { r.role('timestamp').signers = [makeKey()]; }), JUNK]],
  ['a timestamp by the targets key', [set((r) => { r.role('timestamp').signers = r.role('targets').keys; }), JUNK]],
  ['a root by a stranger', [set((r, gun) => { r.role('root').signers = [makeRootKey(FOLDER, gun)]; }), JUNK]],
  ['a root for another repository', [set((r) => { r.role('root').keys = [makeRootKey(FOLDER, '127.0.0.1:5000/other')]; }), JUNK]],
  ['a root whose certificate has expired', [set((r, gun) => { r.role('root').keys = [makeRootKey(FOLDER, gun, -1)]; }), JUNK]],
  ['a root whose certificate is a CA’s', [set((r, gun) => { r.role('root').keys = [makeRootKey(FOLDER, gun, 3650, true)]; }), JUNK]],
  ['a root with a bare key', [set((r) => { r.role('root').keys = [makeKey()]; }), JUNK]],
  ['another root where one was trusted', [asIs, 'one'], [(_, gun) => { const r = new MadeRepository(makeRootKey(FOLDER, gun)); tag(r, 'evil'); r.role('root').version = 2; for (const role of ['targets', 'snapshot', 'timestamp']) r.role(role).version = 9; return r; }, JUNK]],
  ['another root of the same version', [asIs, 'one'], [(_, gun) => { const r = new MadeRepository(makeRootKey(FOLDER, gun)); tag(r, 'evil'); for (const role of ['targets', 'snapshot', 'timestamp']) r.role(role).version = 9; return r; }, JUNK]],
  ['a root key that was rotated', [asIs, 'one'], [set((r, gun) => { r.rootSigners = r.role('root').keys; r.role('root').keys = [makeRootKey(FOLDER, gun)]; r.role('root').version = 2; bump(r); tag(r, 'two'); }), 'two']],
  ['a root key that was rotated twice', [asIs, 'one'], [(r, gun) => {
    const first = r.role('root').keys;
    r.role('root').keys = [makeRootKey(FOLDER, gun)];
    r.rootSigners = first;
    r.role('root').version = 2;
    const between = r.publish().get('root') as string;
    r.rootSigners = r.role('root').keys;
    r.role('root').keys = [makeRootKey(FOLDER, gun)];
    r.role('root').version = 3;
    bump(r);
    tag(r, 'three');
    const files = r.publish();
    files.set('2.root', between);
    files.set('3.root', files.get('root') as string);
    return files;
  }, 'three']],
  ['a root key that was rotated twice, and nobody tells of the first time', [asIs, 'one'], [set((r, gun) => { r.role('root').keys = [makeRootKey(FOLDER, gun)]; r.role('root').version = 3; bump(r); tag(r, 'three'); }), JUNK]],
  ['a root of before', [set((r) => { r.role('root').version = 2; }), 'one'], [set((r) => { r.role('root').version = 1; bump(r); }), JUNK]],
  ['a targets key that was rotated', [asIs, 'one'], [set((r) => { r.role('targets').keys = [makeKey()]; r.role('root').version = 2; bump(r); tag(r, 'two'); }), 'two']],
  ['a timestamp key that was rotated, and versions that begin anew', [set((r) => { r.role('timestamp').version = 9; }), 'one'], [set((r) => { r.role('timestamp').keys = [makeKey()]; r.role('root').version = 2; r.role('timestamp').version = 1; bump(r, 'snapshot'); }), JUNK]],
  ['a rotated targets key, by a stranger’s root', [asIs, 'one'], [set((r, gun) => { r.role('targets').keys = [makeKey()]; r.role('root').version = 2; r.role('root').signers = [makeRootKey(FOLDER, gun)]; bump(r); tag(r, 'two'); }), JUNK]],
  ['a snapshot key that was rotated', [asIs, 'one'], [set((r) => { r.role('snapshot').keys = [makeKey()]; r.role('root').version = 2; bump(r); tag(r, 'two'); }), 'two']],
  ['a timestamp key that was rotated', [asIs, 'one'], [set((r) => { r.role('timestamp').keys = [makeKey()]; r.role('root').version = 2; bump(r); tag(r, 'two'); }), 'two']],
  ['a targets key that was rotated, and a thief of the old one', [asIs, 'one'], [set((r) => { r.role('targets').signers = r.role('targets').keys; r.role('targets').keys = [makeKey()]; r.role('root').version = 2; bump(r); tag(r, 'evil'); }), JUNK]],
  ['all keys but the root’s rotated at once', [asIs, 'one'], [set((r) => { for (const role of ['targets', 'snapshot', 'timestamp']) r.role(role).keys = [makeKey()]; r.role('root').version = 2; bump(r); tag(r, 'two'); }), 'two']],
  ['a rotated root key that the old one has not signed', [asIs, 'one'], [set((r, gun) => { r.role('root').keys = [makeRootKey(FOLDER, gun)]; r.role('root').version = 2; bump(r); tag(r, 'evil'); }), JUNK]],
  ['a rotated root key that has not signed itself', [asIs, 'one'], [set((r, gun) => { r.role('root').signers = r.role('root').keys; r.role('root').keys = [makeRootKey(FOLDER, gun)]; r.role('root').version = 2; bump(r); tag(r, 'two'); }), JUNK]],
  ['a second root key beside the first', [asIs, 'one'], [set((r, gun) => { r.role('root').keys.push(makeRootKey(FOLDER, gun)); r.role('root').version = 2; bump(r); tag(r, 'two'); }), 'two']],
  ['a key of targets/releases that was rotated', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); }), 'two'], [set((r) => { r.role('targets/releases').keys = [makeKey()]; r.role('targets/releases').version = 2; bump(r); tag(r, 'three', 'targets/releases'); }), 'three']],
  ['a thief of a key of targets/releases that was rotated', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); }), 'two'], [set((r) => { const releases = r.role('targets/releases'); releases.signers = releases.keys; releases.keys = [makeKey()]; releases.version = 2; bump(r); tag(r, 'evil', 'targets/releases'); }), 'one']],
  ['targets/releases taken away', [set((r) => { r.delegate('targets/releases'); tag(r, 'two', 'targets/releases'); }), 'two'], [set((r) => { delete r.targets['targets/releases']; bump(r); }), 'one']],
  ['two of two signatures', [set((r) => { r.role('targets').keys = [makeKey(), makeKey()]; r.role('targets').threshold = 2; }), 'one']],
  ['one of two signatures', [set((r) => { r.role('targets').keys = [makeKey(), makeKey()]; r.role('targets').threshold = 2; r.role('targets').signers = r.role('targets').keys.slice(0, 1); }), JUNK]],
  ['one signature twice for two', [set((r) => { const keys = [makeKey(), makeKey()]; r.role('targets').keys = keys; r.role('targets').threshold = 2; r.role('targets').signers = [keys[0], keys[0]] as typeof keys; }), JUNK]],
  ['a threshold of none', [set((r) => { r.role('targets').threshold = 0; }), JUNK]],
  ['no signature at all', [set((r) => { r.role('targets').signers = []; }), JUNK]],
  ['RSA', [set((r) => { r.role('targets').keys = [makeKey('rsa')]; }), 'one']],
  ['RSA of 1024 bits', [set((r) => { r.role('targets').keys = [makeKey('rsa1024')]; }), JUNK]],
  ['Ed25519', [set((r) => { r.role('targets').keys = [makeKey('ed25519')]; }), 'one']],
  ['a key under an id that is not its own', [set((r) => { const [key] = r.role('targets').keys; const id = 'a'.repeat(64); if (key !== undefined) r.role('targets').keys = [{ ...key, id }]; }), JUNK]],
  ['an unknown way of signing', [set((r) => { const [key] = r.role('targets').keys; if (key !== undefined) r.role('targets').signers = [{ ...key }]; r.wrap['targets'] = (b) => b.replace('"method":"ecdsa"', '"method":"magic"'); }), JUNK]],
  ['a way of signing that every object has', [set((r) => { r.wrap['targets'] = (b) => b.replace('"method":"ecdsa"', '"method":"__proto__"'); }), JUNK]],
  ['another role’s document', [set((r) => { r.edit['targets'] = (signed) => { signed['_type'] = 'Snapshot'; }; }), JUNK]],
  ['version 0', [set((r) => { r.role('targets').version = 0; }), JUNK]],
  ['a snapshot that tells of no root', [set((r) => { r.edit['snapshot'] = (signed) => { delete (signed['meta'] as Record<string, unknown>)['root']; }; }), JUNK]],
  ['a snapshot of another root', [set((r) => { r.edit['snapshot'] = (signed) => { (signed['meta'] as Record<string, unknown>)['root'] = target('other'); }; }), JUNK]],
  ['a snapshot that tells of no targets', [set((r) => { r.edit['snapshot'] = (signed) => { delete (signed['meta'] as Record<string, unknown>)['targets']; }; }), JUNK]],
  ['hashes by sha512 alone', [set((r) => { r.edit['snapshot'] = (signed) => { delete ((signed['meta'] as Record<string, { hashes: Record<string, string> }>)['targets'] as { hashes: Record<string, string> }).hashes['sha256']; }; }), JUNK]],
  ['a wrong sha512 beside the right sha256', [set((r) => { r.edit['snapshot'] = (signed) => { ((signed['meta'] as Record<string, { hashes: Record<string, string> }>)['targets'] as { hashes: Record<string, string> }).hashes['sha512'] = hashOf('sha512', 'x'); }; }), JUNK]],
  ['text in the place of targets', [set((r) => { r.wrap['targets'] = () => 'hello'; }), JUNK]],
  ['no snapshot', [(r) => { const files = r.publish(); files.delete('snapshot'); return files; }, JUNK]],
  ['no timestamp', [(r) => { const files = r.publish(); files.delete('timestamp'); return files; }, JUNK]],
  ['no targets', [(r) => { const files = r.publish(); files.delete('targets'); return files; }, JUNK]],
];

describe('a pull with content trust', () => {
  it('the table is long enough', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(40);
  });

  it.each(CASES.map((row, i) => [row[0], i, row] as const))('%s', async (_, i, [, ...steps]) => {
    const gun = `127.0.0.1:5000/case/n${i}`;
    const [theirs, ours] = [new DockerUser(mkdtempSync(join(FOLDER, 'd-')), where), new DockerUser(mkdtempSync(join(FOLDER, 'o-')), where)];
    stopped.push(() => theirs.close(), () => ours.close());
    const repository = new MadeRepository(makeRootKey(FOLDER, gun));
    tag(repository, 'one');
    for (const [step, wanted] of steps) {
      const published = step(repository, gun);
      if (published === undefined) notary.files.delete(gun);
      else notary.files.set(gun, published instanceof Map ? published : published.publish());
      theirs.asked.length = 0;
      const docker = await theirs.docker('pull', `${gun}:1`);
      const pulled = theirs.asked.map((line) => /^POST \/images\/create\?fromImage=.*?tag=(sha256:\w+)/.exec(line)?.[1]).find((digest) => digest !== undefined);
      const mine = await signedTarget(parseRegistryName(`${gun}:1`), { env: ours.env }).then(({ digest }) => digest, (error: VmmError) => {
        expect(error.message).not.toContain('\n');
        return `${error.code} ${error.message}`;
      });
      const good = !wanted.includes('_');
      expect(mine, docker.text).toMatch(good ? new RegExp(`^${digestOf(wanted)}$`) : new RegExp(`^${wanted} `));
      expect(pulled, docker.text).toBe(good ? digestOf(wanted) : undefined);
    }
  });
});

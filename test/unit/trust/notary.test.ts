/** Docker Content Trust with Debian's notary server and signer: what Docker's client and notary's sign we accept, and they what we sign. */
import { execFile } from 'node:child_process';
import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmmError } from '../../../base/errors.ts';
import { parseRegistryName } from '../../../image/registry/name.ts';
import { importImage, resolveImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { inspectTrust } from '../../../image/trust/notary/inspect.ts';
import { loadKeyFile, PrivateKeys } from '../../../image/trust/notary/private-keys.ts';
import { signedTarget } from '../../../image/trust/notary/resolve.ts';
import { revokeTag, signTag } from '../../../image/trust/notary/sign.ts';
import { vmm } from '../../support/cli/cli.ts';
import { DockerUser, type Notary, startNotary } from '../../support/images/notary.ts';
import { type Registry, startRegistry } from '../../support/images/registry.ts';
import { configOf, LAYERS, Layout } from '../image/forms.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
const PASSPHRASE = 'passphrase-7';
const passphrase = async (): Promise<string> => PASSPHRASE;
const digest = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
let notary: Notary;
let registry: Registry;
const users: DockerUser[] = [];
beforeAll(async () => {
  [notary, registry] = await Promise.all([startNotary(FOLDER), startRegistry(FOLDER)]);
});
afterAll(() => {
  notary.stop();
  registry.stop();
  for (const user of users) user.close();
});

function newUser(): DockerUser {
  const user = new DockerUser(FOLDER, notary);
  users.push(user);
  return user;
}

let count = 0;
const newName = (): string => `127.0.0.1:5000/interop/n${count++}`;
const mine = (user: DockerUser, name: string): Promise<string> =>
  signedTarget(parseRegistryName(name), { env: user.env }).then((target) => target.digest, (error: VmmError) => `${error.code} ${error.message}`);
/** What Docker's client would pull. */
async function theirs(user: DockerUser, name: string): Promise<string> {
  user.asked.length = 0;
  const { text } = await user.docker('pull', name);
  return user.asked.map((line) => /^POST \/images\/create\?fromImage=.*?tag=(sha256:\w+)/.exec(line)?.[1]).find((found) => found !== undefined) ?? text;
}
const sign = (user: DockerUser, name: string, text: string): Promise<string[]> => signTag(parseRegistryName(name), { digest: digest(text), length: text.length }, { env: user.env, passphrase });

describe('what Docker signs', () => {
  it('docker trust sign, several tags, docker trust revoke: the same for us', async () => {
    const [owner, us] = [newUser(), newUser()];
    const name = newName();
    expect(await mine(us, `${name}:1`)).toMatch(/^TRUST_UNSIGNED localhost:\d+ has no trust data/);
    for (const tag of ['1', '2']) {
      owner.pushed = { digest: digest(`image ${tag}`), size: 100 };
      const signed = await owner.docker('trust', 'sign', `${name}:${tag}`);
      expect(signed.status, signed.text).toBe(0);
    }
    expect(await mine(us, `${name}:1`)).toBe(digest('image 1'));
    expect(await mine(us, `${name}:2`)).toBe(digest('image 2'));
    expect(await mine(us, `${name}:3`)).toMatch(/^TRUST_UNSIGNED .*:3 is not signed/);
    expect(await inspectTrust(parseRegistryName(`${name}:1`), true, { env: us.env })).toEqual((JSON.parse((await owner.docker('trust', 'inspect', `${name}:1`)).text) as unknown[])[0]);
    const revoked = await owner.docker('trust', 'revoke', `${name}:1`);
    expect(revoked.status, revoked.text).toBe(0);
    expect(await mine(us, `${name}:1`)).toMatch(/^TRUST_UNSIGNED /);
    expect(await mine(us, `${name}:2`)).toBe(digest('image 2'));
  });

  it('docker push with content trust, and a rotated key by notary: the same for us', async () => {
    const [owner, us] = [newUser(), newUser()];
    const name = newName();
    owner.pushed = { digest: digest('pushed'), size: 100 };
    const pushed = await owner.docker('push', `${name}:1`);
    expect(pushed.status, pushed.text).toBe(0);
    expect(await mine(us, `${name}:1`)).toBe(digest('pushed'));
    for (const role of ['targets', 'snapshot', 'timestamp']) {
      const rotated = await owner.notary(notary, 'key', 'rotate', name, role, ...(role === 'targets' ? [] : ['-r']));
      expect(rotated.status, rotated.text).toBe(0);
      expect(await mine(us, `${name}:1`), role).toBe(digest('pushed'));
    }
  });

  it('what one has trusted on first use, the other trusts: they share the place', async () => {
    const [owner, stranger] = [newUser(), newUser()];
    const name = newName();
    await sign(owner, `${name}:1`, 'x');
    expect(await theirs(stranger, `${name}:1`)).toBe(digest('x'));
    const cached = readFileSync(join(stranger.config, 'trust/tuf', name, 'metadata/root.json'));
    expect(await mine(stranger, `${name}:1`)).toBe(digest('x'));
    expect(readFileSync(join(stranger.config, 'trust/tuf', name, 'metadata/root.json'))).toEqual(cached);
    const other = newUser();
    expect(await mine(other, `${name}:1`)).toBe(digest('x'));
    expect(await theirs(other, `${name}:1`)).toBe(digest('x'));
  });
});

describe('what we sign', () => {
  it('a new repository, a second tag, a changed and a revoked one: Docker pulls the same', async () => {
    const [us, docker] = [newUser(), newUser()];
    const name = newName();
    expect(await sign(us, `${name}:1`, 'one')).toEqual(['targets']);
    expect(await theirs(docker, `${name}:1`)).toBe(digest('one'));
    await sign(us, `${name}:2`, 'two');
    await sign(us, `${name}:1`, 'new one');
    expect(await theirs(docker, `${name}:1`)).toBe(digest('new one'));
    expect(await theirs(docker, `${name}:2`)).toBe(digest('two'));
    const inspected = JSON.parse((await docker.docker('trust', 'inspect', name)).text) as unknown[];
    expect(await inspectTrust(parseRegistryName(name), false, { env: us.env })).toEqual(inspected[0]);
    expect(await revokeTag(parseRegistryName(`${name}:1`), false, { env: us.env, passphrase })).toEqual(['targets']);
    expect(await theirs(docker, `${name}:1`)).toMatch(/No valid trust data for 1|does not have trust data/);
    expect(await theirs(docker, `${name}:2`)).toBe(digest('two'));
    await revokeTag(parseRegistryName(name), true, { env: us.env, passphrase });
    expect(await theirs(docker, `${name}:2`)).toMatch(/trust data/);
  });

  it('Docker goes on with our keys, and we with Docker’s, delegations included', async () => {
    const [user, docker] = [newUser(), newUser()];
    const name = newName();
    await sign(user, `${name}:1`, 'ours');
    user.pushed = { digest: digest('by docker'), size: 10 };
    const pushed = await user.docker('push', `${name}:2`);
    expect(pushed.status, pushed.text).toBe(0);
    expect(await theirs(docker, `${name}:2`)).toBe(digest('by docker'));
    const second = newName();
    user.pushed = { digest: digest('first'), size: 10 };
    const signed = await user.docker('trust', 'sign', `${second}:1`);
    expect(signed.status, signed.text).toBe(0);
    expect((await sign(user, `${second}:2`, 'again ours')).sort()).toEqual(['targets/alice', 'targets/releases']);
    expect(await theirs(docker, `${second}:2`)).toBe(digest('again ours'));
    expect((await inspectTrust(parseRegistryName(second), false, { env: docker.env }))['SignedTags']).toMatchObject([{ SignedTag: '1', Signers: ['alice'] }, { SignedTag: '2', Signers: ['alice'] }]);
    // Who has none of the keys cannot.
    const stranger = newUser();
    expect(await sign(stranger, `${second}:3`, 'x').catch((error: VmmError) => `${error.code} ${error.message}`)).toMatch(/^TRUST_CONFIG no key here may sign/);
    expect(await sign(stranger, `${name}:3`, 'x').catch((error: VmmError) => `${error.code} ${error.message}`)).toMatch(/^TRUST_CONFIG targets of .* needs 1 of its keys, 0 are here/);
    const wrong = await signTag(parseRegistryName(`${name}:3`), { digest: digest('x'), length: 1 }, { env: user.env, passphrase: async () => 'wrong-passphrase' }).catch((error: VmmError) => `${error.code} ${error.message}`);
    expect(wrong).toMatch(/^TRUST_CONFIG \w+\.key cannot be opened/);
  });
});

describe('keys', () => {
  it('ours are read by openssl and notary, and theirs by us', async () => {
    const user = newUser();
    const keys = new PrivateKeys(user.env, passphrase);
    await keys.create('root', '');
    const [key] = keys.list();
    const path = join(user.config, 'trust/private', `${key?.id}.key`);
    expect(key?.role).toBe('root');
    const plain = join(FOLDER, 'plain.pem');
    writeFileSync(plain, readFileSync(path, 'utf8').replace(/role: root\n\n/, ''));
    await promisify(execFile)('openssl', ['pkey', '-in', plain, '-passin', `pass:${PASSPHRASE}`, '-noout']);
    expect((await user.notary(notary, 'key', 'list')).text).toContain(key?.id.slice(0, 20));
    const generated = await user.docker('trust', 'key', 'generate', 'bob', '--dir', FOLDER);
    expect(generated.status, generated.text).toBe(0);
    const bob = new PrivateKeys(user.env, passphrase).list().find(({ role }) => role === 'bob');
    expect((await new PrivateKeys(user.env, passphrase).open(bob?.id as string)).asymmetricKeyType).toBe('ec');
    for (const [type, cipher] of [['pkcs8', 'aes-256-cbc'], ['sec1', 'aes-128-cbc'], ['pkcs8', undefined]] as const) {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const pem = privateKey.export({ type, format: 'pem', ...(cipher === undefined ? {} : { cipher, passphrase: PASSPHRASE }) } as { type: 'pkcs8'; format: 'pem' });
      const at = join(mkdtempSync(join(FOLDER, 'k-')), 'key.pem');
      writeFileSync(at, pem);
      expect((await loadKeyFile(at, passphrase)).equals(createPrivateKey({ key: pem, passphrase: PASSPHRASE }))).toBe(true);
    }
    const bad = join(FOLDER, 'bad.pem');
    writeFileSync(bad, 'secret text');
    expect(await loadKeyFile(bad, passphrase).catch((error: VmmError) => error.message)).toMatch(/holds no private key$/);
  });
});

it('the command line: push signs, run and pull take signed tags only, trust inspects, revokes, lists keys', async () => {
  const user = newUser();
  const store = new ImageStore(storePaths({ VMM_STORE: join(mkdtempSync(join(FOLDER, 's-')), 'store') }));
  const layout = new Layout(mkdtempSync(join(FOLDER, 'l-')));
  const layers = LAYERS.map((tar) => ({ tar }));
  await importImage(`oci:${layout.add(layout.manifest(layers, configOf(layers)), 'latest').write()}:latest`, { store }, ['demo:1']);
  const env = { ...user.env, VMM_STORE: store.paths.root, DOCKER_CONTENT_TRUST: '' };
  const run = async (args: string[], more: Record<string, string> = {}): Promise<{ status: number | null; text: string }> => {
    const { status, stdout, stderr } = await vmm(args, { env: { ...env, ...more } });
    return { status, text: stdout.toString() + stderr };
  };
  const name = `127.0.0.1:${registry.port}/trusted/a`;
  expect(await run(['push', '-q', 'demo:1', `${name}:unsigned`])).toMatchObject({ status: 0 });
  const pushed = await run(['push', '-q', 'demo:1', `${name}:signed`], { DOCKER_CONTENT_TRUST: '1' });
  expect(pushed.text).toMatch(/\nsigned 127\.0\.0\.1:\d+\/trusted\/a:signed in targets\n$/);
  const fresh = { VMM_STORE: join(mkdtempSync(join(FOLDER, 's-')), 'store') };
  expect((await run(['pull', '-q', '--content-trust', `${name}:unsigned`], fresh)).text).toMatch(/is not signed .*\[TRUST_UNSIGNED\]\n$/);
  expect((await run(['run', '-q', `${name}:unsigned`], { ...fresh, DOCKER_CONTENT_TRUST: '1' })).text).toMatch(/\[TRUST_UNSIGNED\]\n$/);
  expect(await run(['pull', '-q', `${name}:unsigned`], { ...fresh, DOCKER_CONTENT_TRUST: '0' })).toMatchObject({ status: 0 });
  expect(await run(['pull', '-q', '--disable-content-trust', `${name}:unsigned`], { ...fresh, DOCKER_CONTENT_TRUST: '1' })).toMatchObject({ status: 0 });
  // A tag that the registry moved since it was signed: what was signed comes.
  const other = configOf(layers, { author: 'mallory' });
  const evil = new Layout(mkdtempSync(join(FOLDER, 'l-')));
  await importImage(`oci:${evil.add(evil.manifest(layers, other), 'latest').write()}:latest`, { store }, ['evil:1']);
  expect(await run(['push', '-q', 'evil:1', `${name}:signed`])).toMatchObject({ status: 0 });
  const pulled = await run(['pull', '-q', '--content-trust', `${name}:signed`], fresh);
  expect(pulled).toMatchObject({ status: 0 });
  expect(pulled.text).toContain(store.find('demo:1')?.id as string);
  // What runs by it: the stored one where it is what is signed; and the moved tag's image never.
  const trusted = new ImageStore(storePaths(fresh));
  Object.assign(process.env, { DOCKER_CONFIG: user.config, DOCKER_CONTENT_TRUST_SERVER: notary.url });
  try {
    const demo = trusted.find(`${name}:signed`)?.rootfs as string;
    expect((await resolveImage(`${name}:signed`, { store: trusted, contentTrust: true })).rootfs).toBe(trusted.rootfsPath(demo));
    await resolveImage(`${name}:signed`, { store: trusted, pull: 'always' });
    expect((await resolveImage(`${name}:signed`, { store: trusted, contentTrust: true, pull: 'missing' })).config).toBeDefined();
    expect(trusted.find(`${name}:signed`)?.id).toBe(store.find('demo:1')?.id);
    expect((await resolveImage(trusted.find(`${name}:signed`)?.id.slice(7) as string, { store: trusted, contentTrust: true })).rootfs).toBe(trusted.rootfsPath(demo));
  } finally {
    delete process.env['DOCKER_CONFIG'];
    delete process.env['DOCKER_CONTENT_TRUST_SERVER'];
  }
  expect((await run(['trust', 'inspect', '-q', `${name}:signed`])).text).toContain('"SignedTag": "signed"');
  expect((await run(['trust', 'key', 'ls'])).text).toMatch(/^\w{64} (root|targets 127.*)\n\w{64} (root|targets 127.*)\n$/);
  const dir = mkdtempSync(join(FOLDER, 'p-'));
  expect(await run(['trust', 'key', 'generate', 'carol', '--dir', dir])).toMatchObject({ status: 0 });
  expect(readdirSync(dir)).toEqual(['carol.pub']);
  expect((await run(['trust', 'revoke', '-q', `${name}:signed`])).text).toBe('revoked in targets\n');
  expect((await run(['pull', '-q', '--content-trust', `${name}:signed`], fresh)).text).toMatch(/\[TRUST_UNSIGNED\]\n$/);
});

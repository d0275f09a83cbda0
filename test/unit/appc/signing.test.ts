/** Signatures of ACIs, both ways against GnuPG: what gpg made is taken or refused by name, what was made here gpg verifies. Trust stores in rkt's layout. */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { openRegular } from '../../../image/appc/file.ts';
import { keysFor, keystorePaths, trustKey } from '../../../image/appc/keystore.ts';
import { readPublicKey } from '../../../image/appc/openpgp.ts';
import { publicHalf, readSigningKey, signFile } from '../../../image/appc/sign.ts';
import { readSignatureFile, type Signed, verifyFile } from '../../../image/appc/verify.ts';
import { scratch } from '../image/support.ts';
import { Gpg } from './gpg.ts';

const FOLDER = scratch();
const gpg = new Gpg(join(FOLDER, 'gnupg'));
const file = join(FOLDER, 'image.aci');
const other = join(FOLDER, 'other.aci');
const PAST = '20200101T000000';

beforeAll(() => {
  writeFileSync(file, Buffer.alloc(3 << 20, 'an image'));
  writeFileSync(other, 'another image');
  gpg.make('good', 'rsa2048');
  gpg.make('stranger', 'rsa2048');
});

async function verdict(signature: Uint8Array, keys: readonly (string | Uint8Array)[], of = file): Promise<Signed | string> {
  try {
    const read = [];
    for (const key of keys) read.push(await readPublicKey(Buffer.from(key), 'key'));
    const fd = openRegular(of);
    try {
      return await verifyFile(fd, await readSignatureFile(signature, 'x.aci.asc'), read, 'x.aci');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    expect(error.message).not.toContain('\n');
    return `${error.code} ${error.message}`;
  }
}

const taken = (who: string): Signed => ({ fingerprint: gpg.fingerprint(who), warnings: [] });

describe('what gpg signed', () => {
  test('holds, armoured or not, by one of several keys', async () => {
    expect(await verdict(gpg.sign('good', file), [gpg.public('good')])).toEqual(taken('good'));
    expect(await verdict(gpg.sign('good', file, '--no-armor'), [gpg.public('stranger'), gpg.public('good')])).toEqual(taken('good'));
  });

  test('by elliptic curves holds too', async () => {
    for (const algorithm of ['ed25519', 'nistp256']) {
      gpg.make(algorithm, algorithm);
      expect(await verdict(gpg.sign(algorithm, file), [gpg.public(algorithm)])).toEqual(taken(algorithm));
    }
  });

  test('by a signing subkey names the primary key', async () => {
    gpg.make('subkeys', 'rsa2048', 'cert');
    gpg.run('--quick-add-key', gpg.fingerprint('subkeys'), 'rsa2048', 'sign', 'never');
    expect(await verdict(gpg.sign('subkeys', file), [gpg.public('subkeys')])).toEqual(taken('subkeys'));
  });

  test('is refused when image, signature or key are others', async () => {
    expect(await verdict(gpg.sign('good', file), [gpg.public('good')], other)).toMatch(/^ACI_SIGNATURE .*bad signature/);
    expect(await verdict(gpg.sign('stranger', file), [gpg.public('good')])).toMatch(/^ACI_UNTRUSTED .*unknown entity \(key [0-9A-F]{16}\)/);
    expect(await verdict(gpg.sign('good', file), [])).toMatch(/^ACI_UNTRUSTED/);
    const broken = Buffer.from(gpg.sign('good', file, '--no-armor'));
    broken[broken.length - 10] = (broken[broken.length - 10] as number) ^ 1;
    expect(await verdict(broken, [gpg.public('good')])).toMatch(/^ACI_SIGNATURE .*bad signature/);
  });

  test.each([
    ['SHA-1', ['--digest-algo', 'SHA1'], /signed with SHA-1/],
    ['MD5', ['--digest-algo', 'MD5', '--allow-weak-digest-algos'], /signed with MD5/],
    ['RIPEMD-160', ['--digest-algo', 'RIPEMD160', '--allow-weak-digest-algos'], /signed with RIPEMD-160/],
  ])('by %s is refused by its name', async (_, options, message) => {
    expect(await verdict(gpg.sign('good', file, ...options), [gpg.public('good')])).toMatch(message);
  });

  test('and has expired is refused', async () => {
    gpg.make('old', 'rsa2048', 'sign', 'never', PAST);
    expect(await verdict(gpg.sign('old', file, '--faked-system-time', PAST, '--default-sig-expire', '1d'), [gpg.public('old')])).toMatch(/^ACI_SIGNATURE .*signature has expired/);
    expect(await verdict(gpg.sign('old', file, '--faked-system-time', PAST), [gpg.public('old')])).toEqual(taken('old'));
  });

  test('by a key that has expired, was revoked or is weak is refused, and which', async () => {
    gpg.make('gone', 'rsa2048', 'sign', '30d', PAST);
    expect(await verdict(gpg.sign('gone', file, '--faked-system-time', PAST), [gpg.public('gone')])).toMatch(/^ACI_SIGNATURE .*has expired on 2020-01-31/);
    gpg.make('weak', 'rsa1024');
    expect(await verdict(gpg.sign('weak', file), [gpg.public('weak')])).toMatch(/^ACI_SIGNATURE .*RSA of 1024 bits/);
    gpg.make('dsa', 'dsa2048');
    expect(await verdict(gpg.sign('dsa', file), [gpg.public('dsa')])).toMatch(/^ACI_SIGNATURE .*DSA/);
    gpg.make('revoked', 'rsa2048');
    const signature = gpg.sign('revoked', file);
    expect(await verdict(signature, [gpg.public('revoked')])).toEqual(taken('revoked'));
    gpg.revoke('revoked');
    expect(await verdict(signature, [gpg.public('revoked')])).toMatch(/^ACI_SIGNATURE .*has been revoked/);
  });

  test('by a key of 2015, which vouches for itself with SHA-1, is taken with a warning', async () => {
    gpg.make('sha1', 'rsa2048', 'sign', 'never', undefined, '--cert-digest-algo', 'SHA1');
    expect(await verdict(gpg.sign('sha1', file), [gpg.public('sha1')])).toEqual({ fingerprint: gpg.fingerprint('sha1'), warnings: [expect.stringMatching(/vouches for itself with SHA-1/)] });
  });

  test.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['another block', '-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n'],
    ['armour of nothing', '-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n'],
    ['armour without an end', '-----BEGIN PGP SIGNATURE-----\n\niQEzBAAB\n'],
    ['binary garbage', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])],
    ['a packet that says it is huge', Buffer.from([0xc2, 0xff, 0xff, 0xff, 0xff, 0xff, 4])],
    ['two MiB', Buffer.alloc(2 << 20, 0xff)],
  ])('but is %s is refused', async (_, bytes) => {
    expect(await verdict(Buffer.from(bytes as string), [gpg.public('good')])).toMatch(/^ACI_(SIGNATURE|UNTRUSTED) /);
  });
});

describe('what is signed here', () => {
  test('gpg verifies; the same file, key and time give the same bytes', async () => {
    const key = await readSigningKey(gpg.secret('good'), 'key', undefined);
    const date = new Date();
    const signature = await signFile(file, key, date);
    expect(await signFile(file, key, date)).toBe(signature);
    writeFileSync(`${file}.asc`, signature);
    expect(gpg.run('--status-fd', '1', '--verify', `${file}.asc`, file)).toContain(`VALIDSIG ${gpg.fingerprint('good').toUpperCase()}`);
    expect(gpg.run('--list-packets', `${file}.asc`)).toMatch(/digest algo 10/);
    expect(await verdict(Buffer.from(signature), [publicHalf(key)])).toEqual(taken('good'));
  });

  test('a locked key wants its passphrase', async () => {
    gpg.make('locked', 'rsa2048', 'sign', 'never', undefined, '--passphrase', 'open sesame');
    const secret = gpg.secret('locked', 'open sesame');
    await expect(readSigningKey(secret, 'key', undefined)).rejects.toMatchObject({ code: 'ACI_KEY', message: expect.stringContaining('locked') });
    const wrong = await readSigningKey(secret, 'key', 'wrong').catch((error: VmmError) => error);
    expect([(wrong as VmmError).code, (wrong as VmmError).cause]).toEqual(['ACI_KEY', undefined]);
    expect((wrong as VmmError).message).not.toContain('wrong');
    expect(await verdict(Buffer.from(await signFile(file, await readSigningKey(secret, 'key', 'open sesame'), new Date())), [gpg.public('locked')])).toEqual(taken('locked'));
  });

  test('no key that rkt could not verify, or that nobody should trust', async () => {
    for (const [who, message] of [['ed25519', /ed25519|eddsa.*rkt cannot verify/i], ['weak', /too weak/]] as const) {
      await expect(readSigningKey(gpg.secret(who), 'key', undefined)).rejects.toThrow(message);
    }
    await expect(readSigningKey(Buffer.from(gpg.public('good')), 'key', undefined)).rejects.toThrow(/does not start with -----BEGIN PGP PRIVATE KEY BLOCK/);
  });
});

describe('trust stores', () => {
  const base = (): { read: string[]; system: string; user: string } => {
    const root = join(FOLDER, `trust-${Math.random().toString(36).slice(2)}`);
    const [system, user] = [join(root, 'system'), join(root, 'user')];
    return { read: [system, user], system, user };
  };
  const names = async (paths: ReturnType<typeof base>, name: string, notes: string[] = []): Promise<string[]> => (await keysFor(paths, name, (text) => notes.push(text))).map((key) => key.getFingerprint()).sort();

  test('a key counts for its prefix, by whole parts of the name, and a root key for all', async () => {
    const paths = base();
    const [good, stranger] = [await readPublicKey(Buffer.from(gpg.public('good')), 'k'), await readPublicKey(Buffer.from(gpg.public('stranger')), 'k')];
    const path = trustKey(paths.system, 'example.org/app', good);
    expect(path).toBe(join(paths.system, 'prefix.d/example.org/app', good.getFingerprint()));
    expect([statSync(path).mode & 0o777, statSync(dirname(path)).mode & 0o777]).toEqual([0o644, 0o755]);
    expect(readdirSync(dirname(path))).toEqual([good.getFingerprint()]);
    for (const [name, found] of [['example.org/app', true], ['example.org/app/sub', true], ['example.org/app1', false], ['example.org', false], ['example.org/ap', false], ['other.org/app', false]] as const) {
      expect([name, await names(paths, name)]).toEqual([name, found ? [good.getFingerprint()] : []]);
    }
    trustKey(paths.user, undefined, stranger);
    expect(await names(paths, 'other.org/x')).toEqual([stranger.getFingerprint()]);
    expect(await names(paths, 'example.org/app')).toEqual([good.getFingerprint(), stranger.getFingerprint()].sort());
  });

  test('an empty file of the user’s disables a key of the system’s', async () => {
    const paths = base();
    const good = await readPublicKey(Buffer.from(gpg.public('good')), 'k');
    trustKey(paths.system, 'example.org', good);
    mkdirSync(join(paths.user, 'prefix.d/example.org'), { recursive: true });
    writeFileSync(join(paths.user, 'prefix.d/example.org', good.getFingerprint()), '');
    expect(await names(paths, 'example.org/x')).toEqual([]);
  });

  test('what is no key of its name, or may be changed by others, is left out and told', async () => {
    const paths = base();
    const folder = join(paths.system, 'root.d');
    mkdirSync(folder, { recursive: true });
    const fingerprint = gpg.fingerprint('good');
    for (const [content, message] of [['hello', /does not start with/], [gpg.public('stranger'), /holds the key/], [execFileSync('gpg', ['--homedir', gpg.home, '--export', fingerprint]), /does not start with/], [gpg.public('good') + gpg.public('stranger'), /./]] as const) {
      writeFileSync(join(folder, fingerprint), content);
      const notes: string[] = [];
      const found = await names(paths, 'a.org/b', notes);
      if (found.length === 0) expect(notes.join()).toMatch(message);
      else expect(found).toEqual([fingerprint]);
    }
    writeFileSync(join(folder, fingerprint), gpg.public('good'));
    chmodSync(join(folder, fingerprint), 0o666);
    const notes: string[] = [];
    expect(await names(paths, 'a.org/b', notes)).toEqual([]);
    expect(notes.join()).toMatch(/others may change it/);
    writeFileSync(join(folder, 'README'), 'no key');
  });

  test.each(['../x', 'a/../../x', 'A', 'a//b', '/etc', '', '.', 'a/.'])('%j is no prefix', async (prefix) => {
    const good = await readPublicKey(Buffer.from(gpg.public('good')), 'k');
    const paths = base();
    expect(() => trustKey(paths.user, prefix, good)).toThrow(/is no beginning of an image's name/);
    expect(existsSync(paths.user)).toBe(false);
  });

  test('stand where rkt has them, ours last', () => {
    expect(keystorePaths({ HOME: '/home/x' }).read).toEqual(['/usr/lib/rkt/trustedkeys', '/etc/rkt/trustedkeys', '/etc/vmm/trustedkeys', '/home/x/.config/vmm/trustedkeys']);
    expect(keystorePaths({ HOME: '/home/x', XDG_CONFIG_HOME: '/c' }).user).toBe('/c/vmm/trustedkeys');
  });
});

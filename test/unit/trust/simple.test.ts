/** OpenPGP simple signing: signatures that skopeo made with gpg, beside a real registry; skopeo's verdict under the same policy, and ours. */
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmmError } from '../../../base/errors.ts';
import { explainPolicy } from '../../../image/explain.ts';
import { pullImage } from '../../../image/pull.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { parseRegistriesYaml } from '../../../image/trust/policy/registries-d.ts';
import { type Registry, startRegistry } from '../../support/images/registry.ts';
import { Gpg } from '../appc/gpg.ts';
import { ociImage } from '../image/forms.ts';
import { scratch } from '../image/support.ts';

const FOLDER = scratch();
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
const HOME = folder();
const LOOKASIDE = folder();
const REGISTRIES = join(HOME, '.config/containers/registries.d');
const gpg = new Gpg(join(FOLDER, 'gnupg'));
let registry: Registry;
let base: string;
let oci: string;
let digest: string;

const skopeo = (...args: string[]): void => void execFileSync('skopeo', args, { timeout: 60_000, stdio: 'pipe', env: { PATH: process.env['PATH'], HOME, TMPDIR: '/tmp', GNUPGHOME: gpg.home } });
const passes = (...args: string[]): boolean => {
  try {
    skopeo(...args);
    return true;
  } catch {
    return false;
  }
};
const lookaside = (url: string): void => writeFileSync(join(REGISTRIES, 'test.yaml'), `# where signatures lie\ndocker:\n    "${base}":\n        sigstore: ${url}\n        sigstore-staging: file://${LOOKASIDE}\n`);

beforeAll(async () => {
  for (const name of ['good', 'other', 'revoked']) gpg.make(name, 'rsa2048');
  gpg.make('old', 'rsa2048', 'sign', 'never', '20200101T000000');
  registry = await startRegistry(FOLDER);
  base = `127.0.0.1:${registry.port}`;
  mkdirSync(REGISTRIES, { recursive: true });
  lookaside(`file://${LOOKASIDE}`);
  ({ digest, oci } = ociImage(folder()));
});
afterAll(() => registry.stop());

/** Pushes the image under a name, signed by these, one signature each. */
function push(repository: string, ...signers: string[]): string {
  const name = `${base}/${repository}:1`;
  const options = ['--registries.d', REGISTRIES, 'copy', '-q', '--insecure-policy', '--preserve-digests', '--dest-tls-verify=false'];
  if (signers.length === 0) skopeo(...options, `oci:${oci}:1`, `docker://${name}`);
  for (const signer of signers) skopeo(...options, '--sign-by', gpg.fingerprint(signer), `oci:${oci}:1`, `docker://${name}`);
  return name;
}
const signatureOf = (repository: string, i = 1): string => join(LOOKASIDE, `${repository}@${digest.replace(':', '=')}/signature-${i}`);

function policyFile(policy: unknown): string {
  const path = join(folder(), 'policy.json');
  writeFileSync(path, JSON.stringify(policy));
  return path;
}
function requirement(names: readonly string[], more: object = {}): unknown {
  return { type: 'signedBy', keyType: 'GPGKeys', keyData: Buffer.concat(names.map((name) => Buffer.from(execFileSync('gpg', ['--homedir', gpg.home, '--export', gpg.fingerprint(name)])))).toString('base64'), ...more };
}
const pull = (name: string, policy: string): Promise<string> =>
  pullImage(name, { store: new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') })), env: { HOME, VMM_POLICY: policy, CONTAINERS_REGISTRIES_CONF: join(HOME, 'none') } }).then(() => 'passes', (error: VmmError) => `${error.code} ${error.message}`);

describe('simple signing', () => {
  const repository = (name: string): string => name.replace(/:1$/, '');
  const CASES: readonly (readonly [what: string, signers: readonly string[], keys: readonly string[], passes: boolean, more?: (name: string) => object])[] = [
    ['signed by the key', ['good'], ['good'], true],
    ['unsigned', [], ['good'], false],
    ['signed by another', ['other'], ['good'], false],
    ['a second signature is by the key', ['other', 'good'], ['good'], true],
    ['a keyring of two', ['other'], ['good', 'other'], true],
    ['for another tag', ['good'], ['good'], false, () => ({ signedIdentity: { type: 'exactReference', dockerReference: 'example.com/x:2' } })],
    ['for any tag of the repository', ['good'], ['good'], true, () => ({ signedIdentity: { type: 'matchRepository' } })],
    ['the exact repository', ['good'], ['good'], true, (name) => ({ signedIdentity: { type: 'exactRepository', dockerRepository: repository(name) } })],
    ['remapped to another', ['good'], ['good'], false, (name) => ({ signedIdentity: { type: 'remapIdentity', prefix: repository(name), signedPrefix: 'vendor.example/x' } })],
  ];
  it.each(CASES.map((row, i) => [row[0], i, row] as const))('%s', async (_, i, [, signers, keys, wanted, more]) => {
    const name = push(`case/n${i}`, ...signers);
    const policy = policyFile({ default: [requirement(keys, more?.(name))] });
    expect(passes('--registries.d', REGISTRIES, '--policy', policy, 'copy', '-q', '--src-tls-verify=false', `docker://${name}`, `dir:${folder()}`)).toBe(wanted);
    expect(await pull(name, policy)).toMatch(wanted ? /^passes$/ : /^TRUST_REJECTED /);
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['cut off', (file) => writeFileSync(file, readFileSync(file).subarray(0, 200)), /^TRUST_REJECTED .*its signature/],
    ['a bit changed', (file) => { const bytes = readFileSync(file); bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1; writeFileSync(file, bytes); }, /^TRUST_REJECTED .*bad signature/],
    ['no signature at all', (file) => writeFileSync(file, 'hello'), /^TRUST_REJECTED /],
    ['signed with SHA-1', (file) => resigned(file, '--digest-algo', 'SHA1'), /^TRUST_REJECTED .*SHA-1/],
    ['a signature of the future', (file) => resigned(file, '--faked-system-time', '20400101T000000'), /^TRUST_REJECTED .*future/],
    ['a signature that has expired', (file) => resigned(file, '--default-sig-expire', '1', '--faked-system-time', '20200102T000000', 'old'), /^TRUST_REJECTED .*expired/],
    ['another message by the same key', (file) => resigned(file, 'other text'), /^TRUST_REJECTED .*cannot be read/],
    ['a field that is critical and unknown', (file) => resigned(file, 'critical'), /^TRUST_REJECTED .*cannot be read/],
    ['one of another image', (file) => resigned(file, 'digest'), /^TRUST_REJECTED .*another manifest/],
    ['a bomb', (file) => resigned(file, 'bomb'), /^TRUST_REJECTED .*its signature/],
  ])('%s: refused', async (what, change, wanted) => {
    const own = `bad/${what.replace(/[^a-z]+/gi, '-').replace(/-$/, '').toLowerCase()}`;
    const name = push(own, 'good');
    change(signatureOf(own));
    expect(await pull(name, policyFile({ default: [requirement(['good', 'old'])] }))).toMatch(wanted);
  });

  /** Signs again, by gpg: with its options, or something else instead. */
  function resigned(file: string, ...options: string[]): void {
    const kind = options.at(-1) ?? '';
    const [name = ''] = file.slice(LOOKASIDE.length + 1).split('@');
    const critical = { type: 'atomic container signature', image: { 'docker-manifest-digest': kind === 'digest' ? `sha256:${'0'.repeat(64)}` : digest }, identity: { 'docker-reference': `${base}/${name}:1` }, ...(kind === 'critical' ? { more: 1 } : {}) };
    const text = kind === 'other text' ? 'other text' : kind === 'bomb' ? 'x'.repeat(64 << 20) : JSON.stringify({ critical, optional: {} });
    const input = join(folder(), 'message');
    writeFileSync(input, text);
    const flags = options.filter((option) => option.startsWith('-') || /^(SHA1|1|\d{8}T\d{6})$/.test(option));
    execFileSync('gpg', ['--homedir', gpg.home, '--batch', '--yes', '--passphrase', '', '--pinentry-mode', 'loopback', '-q', ...flags, '--local-user', gpg.fingerprint(kind === 'old' ? 'old' : 'good'), '--output', file, '--sign', input], { stdio: 'pipe', timeout: 60_000 });
  }

  it('signatures that the registry keeps itself, as OpenShift’s does: skopeo’s verdict, and ours', async () => {
    const name = push('kept/here', 'good');
    const file = signatureOf('kept/here');
    const content = readFileSync(file).toString('base64');
    // Nothing is looked for elsewhere where the registry has them.
    rmSync(file);
    let signatures: object[] = [];
    const asked: string[] = [];
    const server = http.createServer((request, response) => {
      if (request.url?.startsWith('/extensions/') === true) {
        asked.push(request.url);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ signatures }));
        return;
      }
      const [host = '', port] = base.split(':');
      request.pipe(http.request({ host, port, path: request.url, method: request.method, headers: { ...request.headers } }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, { ...answer.headers, 'x-registry-supports-signatures': '1' });
        answer.pipe(response);
      }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const front = name.replace(/^[^/]*/, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const policy = policyFile({ default: [requirement(['good'], { signedIdentity: { type: 'exactReference', dockerReference: name } })] });
      const both = async (): Promise<readonly [boolean, string]> => [
        await promisify(execFile)('skopeo', ['--registries.d', REGISTRIES, '--policy', policy, 'copy', '-q', '--src-tls-verify=false', `docker://${front}`, `dir:${folder()}`], { env: { ...process.env, HOME }, timeout: 60_000 }).then(() => true, () => false),
        await pull(front, policy),
      ];
      const entry = { schemaVersion: 2, name: `${digest}@x`, type: 'atomic', content };
      for (const [listed, wanted] of [[[entry], true], [[], false], [[{ ...entry, schemaVersion: 1 }], false], [[{ ...entry, type: 'other' }], false], [[{ ...entry, content: 'aGVsbG8=' }, entry], true]] as const) {
        signatures = [...listed];
        const [theirs, ours] = await both();
        expect(theirs).toBe(wanted);
        expect(ours).toMatch(wanted ? /^passes$/ : /^TRUST_REJECTED .*no OpenPGP signature/);
      }
      expect(new Set(asked)).toEqual(new Set([`/extensions/v2/kept/here/signatures/${digest}`]));
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('a key that has been revoked: refused, by skopeo too', async () => {
    const name = push('late/revoked', 'revoked');
    expect(await pull(name, policyFile({ default: [requirement(['revoked'])] }))).toBe('passes');
    gpg.revoke('revoked');
    const policy = policyFile({ default: [requirement(['revoked'])] });
    expect(await pull(name, policy)).toMatch(/^TRUST_REJECTED .*revoked/);
    expect(passes('--registries.d', REGISTRIES, '--policy', policy, 'copy', '-q', '--src-tls-verify=false', `docker://${name}`, `dir:${folder()}`)).toBe(false);
  });

  it('explain says who signed it', async () => {
    const name = push('told/a', 'good');
    const policy = policyFile({ default: [requirement(['good'])] });
    expect(await explainPolicy(name, { HOME, VMM_POLICY: policy, CONTAINERS_REGISTRIES_CONF: join(HOME, 'none') })).toEqual([`${name}: let through by ${policy}, default`, `signedBy: met, signed by the key ${gpg.fingerprint('good')}, as ${name}`]);
  });

  it('from a web server', async () => {
    const name = push('web/a', 'good');
    const asked: string[] = [];
    const server = http.createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? '');
      asked.push(path.replace(digest.slice(7), 'HEX'));
      try {
        response.end(readFileSync(join(LOOKASIDE, path.replace('/sigs/', ''))));
      } catch {
        response.writeHead(404).end();
      }
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      lookaside(`http://127.0.0.1:${(server.address() as AddressInfo).port}/sigs`);
      expect(await pull(name, policyFile({ default: [requirement(['good'])] }))).toBe('passes');
      expect(asked.slice(0, 1)).toEqual(['/sigs/web/a@sha256=HEX/signature-1']);
    } finally {
      server.close();
      lookaside(`file://${LOOKASIDE}`);
    }
  });

  it('keys in files, as gpg exports them in either form', async () => {
    const name = push('files/a', 'good');
    const armoured = join(folder(), 'key.asc');
    writeFileSync(armoured, gpg.public('good'));
    const empty = join(folder(), 'other.asc');
    writeFileSync(empty, gpg.public('other'));
    const by = (more: object): string => policyFile({ default: [{ type: 'signedBy', keyType: 'GPGKeys', ...more }] });
    expect(await pull(name, by({ keyPath: armoured }))).toBe('passes');
    expect(await pull(name, by({ keyPaths: [empty, armoured] }))).toBe('passes');
    expect(await pull(name, by({ keyPath: empty }))).toMatch(/^TRUST_REJECTED /);
    expect(await pull(name, by({}))).toMatch(/^TRUST_CONFIG .*keyPath/);
    expect(await pull(name, by({ keyPath: armoured, keyData: 'AA==' }))).toMatch(/^TRUST_CONFIG .*keyPath and keyData/);
    copyFileSync(join(REGISTRIES, 'test.yaml'), empty);
    expect(await pull(name, by({ keyPath: empty }))).toMatch(/^TRUST_CONFIG .*no OpenPGP key/);
    rmSync(armoured);
    expect(await pull(name, by({ keyPath: armoured }))).toMatch(/^TRUST_CONFIG .*ENOENT/);
  });
});

describe('registries.d', () => {
  it('scopes and the default, with quotes and remarks', () => {
    expect(parseRegistriesYaml('---\n# x\ndefault-docker:\n  lookaside: file:///a # there\n  use-sigstore-attachments: true\n\ndocker:\n  "a.example:5000/x":\n    lookaside: \'https://b/c\'\n  *.example.com:\n    sigstore: http://d\n', 'f')).toEqual([
      { scope: undefined, key: 'lookaside', value: 'file:///a' }, { scope: undefined, key: 'use-sigstore-attachments', value: 'true' },
      { scope: 'a.example:5000/x', key: 'lookaside', value: 'https://b/c' }, { scope: '*.example.com', key: 'sigstore', value: 'http://d' },
    ]);
  });
  it.each(['docker: {a: b}', 'docker:\n- a', 'docker:\n  a: |\n    b', 'x', 'a: b', 'docker:\n  a: b', 'docker:\n  a:\n    b:\n      c: d', 'docker: *x', '"a: b', '\tdocker:'])('%j is refused', (text) => {
    expect(() => parseRegistriesYaml(text, 'f')).toThrow(/^f: line \d/);
  });
});

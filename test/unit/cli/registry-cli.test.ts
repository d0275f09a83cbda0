/** `vmm login|logout|push|pull` with podman's and Docker's options, at Debian's docker-registry with TLS and a login; skopeo reads the same file of logins. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliResult, vmm } from '../../support/cli/cli.ts';
import { type Registry, startRegistry } from '../../support/images/registry.ts';

let dir: string;
let registry: Registry;
let repository: string;
let authfile: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-registry-cli-'));
  registry = await startRegistry(dir, { tls: '127.0.0.1', htpasswd: { user: 'ann', password: 'secret' } });
  repository = `127.0.0.1:${registry.port}/team/demo`;
  authfile = join(dir, 'auth.json');
  mkdirSync(join(dir, 'root'));
  writeFileSync(join(dir, 'root', 'file'), 'text');
  for (const tag of ['1', '2']) expect(await run('one', ['image', 'import', '-q', join(dir, 'root'), `${repository}:${tag}`])).toMatchObject({ status: 0 });
}, 120_000);
afterAll(() => {
  registry.stop();
  rmSync(dir, { recursive: true, force: true });
});

function run(store: string, args: readonly string[], stdin?: string): Promise<CliResult> {
  return vmm(args, { stdin, env: { VMM_STORE: join(dir, store), HOME: dir, XDG_CONFIG_HOME: join(dir, 'config'), XDG_RUNTIME_DIR: join(dir, 'runtime'), DOCKER_CONFIG: join(dir, 'docker') } });
}

it('a login in a file of its own, all tags there and back, and no login any more', async () => {
  const host = `127.0.0.1:${registry.port}`;
  const at = ['--authfile', authfile];
  // A certificate of a CA that nobody knows is good enough for loopback, unless it has to be good.
  expect(await run('one', ['login', ...at, '--tls-verify', '-u', 'ann', '--password-stdin', host], 'secret\n')).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[REGISTRY_TLS\]/) });
  expect(await run('one', ['login', ...at, '--get-login', host])).toMatchObject({ status: 125, stderr: expect.stringMatching(/does not exist/) });
  expect(await run('one', ['login', ...at, '--tls-verify=false', '-u', 'ann', '--password-stdin', host], 'secret\n')).toMatchObject({ status: 0, stderr: '' });
  expect((await run('one', ['login', ...at, '--get-login', host])).stdout.toString()).toBe('ann\n');
  expect(await run('one', ['login', '--get-login', host])).toMatchObject({ status: 125, stderr: expect.stringMatching(/nobody is logged in .*\[REGISTRY_DENIED\]/) });

  const pushed = await run('one', ['push', '-q', '-a', ...at, repository]);
  expect(pushed).toMatchObject({ status: 0, stderr: '' });
  const digest = join(dir, 'digest');
  expect(await run('one', ['push', '-q', ...at, '--digestfile', digest, `${repository}:2`])).toMatchObject({ status: 0 });
  const tags = JSON.parse(execFileSync('skopeo', ['list-tags', '--tls-verify=false', '--authfile', authfile, `docker://${repository}`], { encoding: 'utf8', timeout: 60_000 })) as { Tags: string[] };
  expect(tags.Tags.sort()).toEqual(['1', '2']);
  expect(pushed.stdout.toString()).toBe(['1', '2'].map((tag) => `${repository}:${tag} ${readFileSync(digest, 'utf8')}\n`).join(''));

  const refused = await run('two', ['pull', '-q', '-a', repository]);
  expect(refused).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[REGISTRY_DENIED\]\n$/) });
  const pulled = await run('two', ['pull', '-q', '-a', ...at, repository]);
  expect(pulled).toMatchObject({ status: 0, stderr: '' });
  expect((await run('two', ['images', '--digests', '--format', '{{.Repository}}:{{.Tag}} {{.Digest}}'])).stdout.toString().split('\n').sort().join('\n')).toBe(`\n${repository}:1 ${readFileSync(digest, 'utf8')}\n${repository}:2 ${readFileSync(digest, 'utf8')}`);
  // One of several that is not there.
  const some = await run('three', ['pull', '-q', ...at, `${repository}:none`, `${repository}:1`]);
  expect(some).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: [^\n]*\[IMAGE_NOT_FOUND\]\n$/) });
  expect(some.stdout.toString()).toContain(`${repository}:1 `);

  expect((await run('one', ['logout', '--all', ...at])).stdout.toString()).toBe(`logged out of ${host}\n`);
  expect(JSON.parse(readFileSync(authfile, 'utf8'))).toEqual({ auths: {} });
  expect(await run('two', ['pull', '-q', ...at, `${repository}:1`])).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[REGISTRY_DENIED\]\n$/) });
}, 300_000);

it('logout --all: the file, the helper and each registry’s own helper; what stays is said, and keeps nothing else', async () => {
  const tools = join(dir, 'tools');
  const logins = join(dir, 'logins');
  // As docker-credential-pass: an entry each; it calls an error what it does not have.
  const helper = `#!/bin/sh
read server
path=${logins}/$(echo "$server" | tr / _)
case $1 in
  list) printf '{'; sep=; for each in ${logins}/*; do [ -e "$each" ] && printf '%s"%s":"ann"' "$sep" "$(basename "$each" | tr _ /)" && sep=,; done; echo '}' ;;
  get) [ -e "$path" ] && echo '{"ServerURL":"x","Username":"ann","Secret":"secret"}' || { echo 'credentials not found in native keychain'; exit 1; } ;;
  erase) case $server in stuck*) exit 7 ;; esac; rm "$path" ;;
esac
`;
  mkdirSync(tools);
  mkdirSync(logins);
  writeFileSync(join(tools, 'docker-credential-kept'), helper);
  chmodSync(join(tools, 'docker-credential-kept'), 0o755);
  for (const name of ['own.example', 'both.example', 'stuck.example', 'https:__index.docker.io_v1_']) writeFileSync(join(logins, name), '');
  const file = join(dir, 'helped.json');
  const auth = Buffer.from('ann:secret').toString('base64');
  const write = (): void => writeFileSync(file, JSON.stringify({ auths: { 'plain.example': { auth }, 'stuck.example': {} }, credHelpers: { 'own.example': 'kept', 'never.example': 'kept', 'gone.example': 'missing', 'docker.io': 'kept' }, credsStore: 'kept' }));
  write();
  const own = (...args: string[]) => vmm(args, { env: { VMM_STORE: join(dir, 'six'), HOME: dir, XDG_CONFIG_HOME: join(dir, 'config'), XDG_RUNTIME_DIR: join(dir, 'runtime'), DOCKER_CONFIG: join(dir, 'docker'), PATH: `${tools}:${process.env['PATH']}` } });
  expect((await own('login', '--get-login', '--authfile', file, 'own.example')).stdout.toString()).toBe('ann\n');
  const { status, stdout, stderr } = await own('logout', '--all', '--authfile', file);
  expect(stdout.toString().split('\n').sort()).toEqual(['', 'logged out of both.example', 'logged out of docker.io', 'logged out of own.example', 'logged out of plain.example']);
  expect(stderr.split('\n').sort()).toEqual(['', expect.stringMatching(/docker-credential-missing cannot be run: ENOENT .*\[REGISTRY_CONFIG\]$/), expect.stringMatching(/the login for stuck\.example stays: .*\[REGISTRY_CONFIG\]$/)]);
  expect(status).toBe(1);
  for (const host of ['own.example', 'both.example', 'plain.example', 'docker.io']) expect(await own('login', '--get-login', '--authfile', file, host), host).toMatchObject({ status: 125, stderr: expect.stringContaining('[REGISTRY_DENIED]') });
  // Of one alone likewise.
  write();
  expect(await own('logout', '--authfile', file, 'stuck.example')).toMatchObject({ status: 125, stderr: expect.stringContaining('[REGISTRY_CONFIG]') });
  expect((await own('logout', '--authfile', file, 'never.example')).stdout.toString()).toBe('there was no login for never.example\n');
  expect((await own('logout', '--authfile', file, 'plain.example')).stdout.toString()).toBe('logged out of plain.example\n');
}, 120_000);

it('of several that cannot be pulled each is told, also when the last one ends all', async () => {
  const store = join(dir, 'foreign');
  mkdirSync(store);
  const both = await run('seven', ['pull', '-q', '--authfile', authfile, 'no such name', `${repository}:none`]);
  expect(both).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: [^\n]*\[IMAGE_REFERENCE\]\nvmm: [^\n]*\[REGISTRY_DENIED\]\n$/) });
  writeFileSync(join(store, 'file'), 'not of vmm’s');
  const plain = await startRegistry(dir);
  try {
    const name = `127.0.0.1:${plain.port}/a/b:1`;
    expect(await run('one', ['push', '-q', `${repository}:1`, name])).toMatchObject({ status: 0 });
    expect(await run('foreign', ['pull', '-q', 'no such name', name, name])).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: [^\n]*\[IMAGE_REFERENCE\]\nvmm: [^\n]*\[STORE_FOREIGN\]\n$/) });
  } finally {
    plain.stop();
  }
}, 120_000);

it('with --tls-verify http is not tried, without it on loopback it is', async () => {
  const plain = await startRegistry(dir);
  try {
    const name = `127.0.0.1:${plain.port}/a/b:1`;
    expect(await run('one', ['push', '-q', `${repository}:1`, name])).toMatchObject({ status: 0 });
    expect(await run('four', ['pull', '-q', '--tls-verify', name])).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[REGISTRY_(TLS|CONNECT)\]\n$/) });
    expect(await run('four', ['pull', '-q', '--tls-verify=false', name])).toMatchObject({ status: 0 });
  } finally {
    plain.stop();
  }
}, 120_000);

it.each([
  [['pull', '--creds', 'ann:secret', 'x'], /no option --creds .*vmm login/],
  [['push', '--sign-by', 'x', 'y'], /no option --sign-by .*vmm trust sign/],
  [['login', '-p', 'secret', 'x'], /no option -p .*--password-stdin/],
  [['pull', '--arch', 'arm64', 'x'], /no option --arch .*linux\/amd64/],
  [['pull', '-a', 'x:1'], /without a tag/],
  [['push', '-a', 'x:1'], /without a tag/],
  [['push', '-a', 'x', 'y'], /takes one name/],
  [['pull', '--authfile', '/no/such/file', 'x'], /does not exist/],
  [['logout', '-a', 'x'], /takes no registry/],
])('%j is refused, and no secret is repeated', async (args, says) => {
  const { status, stdout, stderr } = await run('five', args);
  expect({ status, stdout: stdout.toString() }).toEqual({ status: 125, stdout: '' });
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^vmm: [^\n]*\[USAGE\]\n$/);
  expect(stderr).not.toContain('secret');
}, 60_000);

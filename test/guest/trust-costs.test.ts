/** What trust costs a start that has nothing to do with it: a stored image, no policy file, no content trust. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { leastProgram } from '../../scripts/least-program.mjs';
import { envWithoutNode } from '../../scripts/lib.mjs';
import { BIN, ROOT, vmm } from '../support/cli/cli.ts';

let dir: string;
const env = (): Record<string, string> => ({ VMM_STORE: join(dir, 'store'), HOME: join(dir, 'home'), XDG_CONFIG_HOME: join(dir, 'home', 'config'), XDG_CACHE_HOME: join(dir, 'cache'), DOCKER_CONFIG: join(dir, 'home', 'docker') });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-costs-'));
  mkdirSync(join(dir, 'image'));
  mkdirSync(join(dir, 'home'));
  writeFileSync(join(dir, 'image', 'true'), leastProgram(), { mode: 0o755 });
  expect(await vmm(['image', 'import', '-q', join(dir, 'image'), 'example.com/one:1'], { env: env() })).toMatchObject({ status: 0 });
  // The core's code is kept from here on.
  expect(await vmm(['run', '-q', '--accel', 'wasm', 'example.com/one:1', '/true'], { env: env() })).toMatchObject({ status: 0 });
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Paths that a run asks the kernel about, in order. */
function pathsOf(name: string, more: Readonly<Record<string, string>> = {}): string[] {
  const calls = join(dir, 'calls');
  execFileSync('strace', ['-f', '-qq', '-e', 'trace=%file', '-o', calls, process.execPath, '--', BIN, 'run', '-q', '--accel', 'wasm', name, '/true'], { env: { ...envWithoutNode(), ...env(), ...more }, timeout: 120_000, stdio: ['ignore', 'ignore', 'pipe'] });
  return readFileSync(calls, 'utf8').split('\n').flatMap((line) => /^\d+ +[a-z_0-9]+\((?:AT_FDCWD, )?"([^"]+)"/.exec(line)?.[1] ?? []);
}

/** Of policies, logins, registries, notaries; and parts of the program that are for them. */
const OF_TRUST = /polic|notary|notation|trust|sigstore|containers\/|registr|\/docker|certs\.d|auth\.json|node_modules\/(openpgp|asn1|tuf)/i;

it('asks where a policy file is, and for nothing else; with one, what is for policies is loaded', () => {
  const own = (paths: readonly string[]): string[] => [...new Set(paths.filter((path) => path.startsWith(join(ROOT, 'dist/')) || path.startsWith(join(ROOT, 'node_modules/'))))];
  const paths = pathsOf('example.com/one:1');
  expect(paths.filter((path) => OF_TRUST.test(path))).toEqual([join(dir, 'home/config/vmm/policy.json'), '/etc/vmm/policy.json']);
  const policy = join(dir, 'policy.json');
  writeFileSync(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  const judged = pathsOf('example.com/one:1', { VMM_POLICY: policy });
  expect(judged).toContain(policy);
  const more = own(judged).filter((path) => !own(paths).includes(path));
  expect(more).not.toEqual([]);
  // The bundle of a run is one file, with V8's code for it: parts that are loaded on demand are none of these.
  expect(own(paths).filter((path) => /chunk-|\/(main|vmm)\.c?js/.test(path))).toEqual([]);
}, 240_000);

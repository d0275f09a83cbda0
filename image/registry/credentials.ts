import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';

/** What a user logs in with; never printed. */
export interface Credentials {
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** An OAuth 2 refresh token in the place of both. */
  readonly identityToken: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Docker Hub's name in Docker's configuration. */
export const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
/** What a helper says of a login that it does not have. */
export const NOT_FOUND = /credentials not found/i;
const HELPER_MS = 60_000;
const HELPER_MAX = 1 << 20;

/** Docker's configuration, which `vmm login` writes. */
export function dockerConfigPath(env: Environment): string {
  return join(env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker'), 'config.json');
}

/** The files in which containers' tools (containers-auth.json(5)) and Docker keep logins, first match first. */
function authFiles(env: Environment): string[] {
  if (env['REGISTRY_AUTH_FILE']) return [env['REGISTRY_AUTH_FILE']];
  const home = env['HOME'] || homedir();
  return [
    ...(env['XDG_RUNTIME_DIR'] ? [join(env['XDG_RUNTIME_DIR'], 'containers/auth.json')] : []),
    join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'containers/auth.json'),
    dockerConfigPath(env),
  ];
}

/** Keys under which a repository's login may lie, the most specific first. */
function keysOf(registry: string, repository: string): string[] {
  const parts = repository.split('/');
  const paths = parts.map((_, i) => `${registry}/${parts.slice(0, parts.length - i).join('/')}`);
  const hosts = registry === 'docker.io' ? ['docker.io', DOCKER_HUB_KEY, 'index.docker.io', 'registry-1.docker.io'] : [registry];
  return [...paths, ...hosts.flatMap((host) => [host, `https://${host}`, `https://${host}/`, `http://${host}`, `https://${host}/v1/`, `https://${host}/v2/`])];
}

/** The login for a repository, from files or the helper that they name; undefined where there is none. Throws REGISTRY_CONFIG. */
export async function findCredentials(registry: string, repository: string, env: Environment): Promise<Credentials | undefined> {
  for (const path of authFiles(env)) {
    const config = readJson(path);
    if (config === undefined) continue;
    const hub = registry === 'docker.io' ? DOCKER_HUB_KEY : registry;
    const helper = config.object('credHelpers')?.optionalString(registry) ?? config.object('credHelpers')?.optionalString(hub);
    if (helper !== undefined) return askHelper(helper, hub, env);
    const auths = config.object('auths');
    for (const key of keysOf(registry, repository)) {
      const entry = auths?.object(key);
      const found = entry === undefined ? undefined : decode(entry, path);
      if (found !== undefined) return found;
    }
    const store = config.optionalString('credsStore');
    const kept = store === undefined ? undefined : await askHelper(store, hub, env);
    if (kept !== undefined) return kept;
  }
  return undefined;
}

/** A file of JSON, undefined when absent. Its text never gets into an error. */
export function readJson(path: string): JsonObject | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new VmmError('REGISTRY_CONFIG', `cannot read ${path}: ${code}`, { cause, hint: 'check its permissions' });
  }
  try {
    return JsonObject.parse(bytes, path);
  } catch {
    throw new VmmError('REGISTRY_CONFIG', `${path} is not a JSON object`, { hint: 'mend or remove it' });
  }
}

function decode(entry: JsonObject, path: string): Credentials | undefined {
  const identityToken = entry.optionalString('identitytoken');
  const auth = entry.optionalString('auth');
  if (auth === undefined || auth === '') {
    return identityToken === undefined ? undefined : { user: undefined, password: undefined, identityToken };
  }
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new VmmError('REGISTRY_CONFIG', `${path}: an auth in it is not USER:PASSWORD in base64`, { hint: 'log in again with `vmm login`' });
  return { user: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, ''), identityToken };
}

async function askHelper(helper: string, server: string, env: Environment): Promise<Credentials | undefined> {
  const { status, out } = await runHelper(helper, 'get', server, env);
  if (status !== 0) {
    if (NOT_FOUND.test(out)) return undefined;
    throw new VmmError('REGISTRY_CONFIG', `docker-credential-${helper} get fails with ${status}`, { hint: 'run it by hand, or log in without a helper' });
  }
  try {
    const answer = JsonObject.parse(Buffer.from(out), 'answer');
    const user = answer.string('Username');
    const secret = answer.string('Secret');
    return user === '<token>' ? { user: undefined, password: undefined, identityToken: secret } : { user, password: secret, identityToken: undefined };
  } catch {
    throw new VmmError('REGISTRY_CONFIG', `docker-credential-${helper} gives no login`, { hint: 'run it by hand, or log in without a helper' });
  }
}

/** A credential helper (docker/docker-credential-helpers): what it is asked about comes on its standard input. */
export function runHelper(helper: string, action: 'get' | 'store' | 'erase' | 'list', input: string, env: Environment): Promise<{ status: number | null; out: string }> {
  if (!/^[\w.-]+$/.test(helper)) throw new VmmError('REGISTRY_CONFIG', `${JSON.stringify(helper.slice(0, 100))} names no credential helper`, { hint: 'mend credHelpers or credsStore' });
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${helper}`, [action], { stdio: ['pipe', 'pipe', 'ignore'], env: env as NodeJS.ProcessEnv, timeout: HELPER_MS });
    let out = '';
    child.on('error', (cause) => reject(new VmmError('REGISTRY_CONFIG', `docker-credential-${helper} cannot be run: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'install it, or mend credHelpers and credsStore' })));
    child.stdout.on('data', (chunk: Buffer) => {
      if (out.length < HELPER_MAX) out += chunk;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('close', (status) => resolve({ status, out }));
  });
}

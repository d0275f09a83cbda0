import { chmodSync, readFileSync, realpathSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import type { ClientOptions } from './client.ts';
import { type Credentials, DOCKER_HUB_KEY, dockerConfigPath, type Environment, findCredentials, NOT_FOUND, readJson, runHelper } from './credentials.ts';
import { withRegistry } from './endpoints.ts';
import { parseRegistryName } from './name.ts';

/** A registry as a user names it: a host, Docker Hub by default. Throws IMAGE_REFERENCE. */
export function registryOf(text: string | undefined): string {
  if (text === undefined || text === '' || text === DOCKER_HUB_KEY) return 'docker.io';
  return parseRegistryName(`${text.replace(/^https?:\/\//, '').replace(/\/+$/, '')}/x`).registry;
}

/** Asks the registry whether the login is good, then keeps it where Docker does. Throws REGISTRY_*. Returns where: a file or helper. */
export async function login(registry: string, user: string, password: string, env: Environment, options: Pick<ClientOptions, 'tlsVerify'> = {}): Promise<string> {
  const credentials: Credentials = { user, password, identityToken: undefined };
  await withRegistry({ registry, repository: '' }, env, (client) => client.check(), { ...options, credentials });
  const path = configPath(env);
  const helper = helperOf(path, registry);
  const key = registry === 'docker.io' ? DOCKER_HUB_KEY : registry;
  if (helper !== undefined) {
    const { status } = await runHelper(helper, 'store', JSON.stringify({ ServerURL: key, Username: user, Secret: password }), env);
    if (status !== 0) throw new VmmError('REGISTRY_CONFIG', `docker-credential-${helper} store fails with ${status}`, { hint: 'run it by hand, or take it out of Docker’s configuration' });
    return `docker-credential-${helper}`;
  }
  change(path, (auths) => {
    auths[key] = { auth: Buffer.from(`${user}:${password}`, 'utf8').toString('base64') };
  });
  return path;
}

/** Forgets a login, in Docker's file and its helper. False when there was none. Throws REGISTRY_CONFIG. */
export async function logout(registry: string, env: Environment): Promise<boolean> {
  const path = configPath(env);
  const key = registry === 'docker.io' ? DOCKER_HUB_KEY : registry;
  const helper = helperOf(path, registry);
  const own = forget(path, [key]).length > 0;
  return (helper !== undefined && (await erase(helper, registry, env))) || own;
}

/** What `logoutAll` has done: whose logins are gone, as they were called there, and what keeps others. */
export interface LoggedOut {
  readonly gone: readonly string[];
  readonly failed: readonly VmmError[];
}

/** Forgets every login of Docker's file and of the helpers that it names; one that stays does not keep the others. Throws REGISTRY_CONFIG when the file cannot be read or written. */
export async function logoutAll(env: Environment): Promise<LoggedOut> {
  const path = configPath(env);
  const config = readJson(path);
  const gone = new Set(forget(path, config?.keysOf('auths') ?? []));
  const failed: VmmError[] = [];
  const trying = async (work: () => Promise<void>, registry = ''): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      failed.push(error);
      // Docker keeps an entry without a login for what its helper has.
      gone.delete(registry);
    }
  };
  const erasing = (helper: () => string | undefined, registry: string): Promise<void> => trying(async () => {
    if (await erase(helper() ?? '', registry, env)) gone.add(registry);
  }, registry);
  const helpers = config?.object('credHelpers');
  for (const registry of config?.keysOf('credHelpers') ?? []) await erasing(() => helpers?.optionalString(registry), registry);
  const store = config?.optionalString('credsStore');
  if (store !== undefined) await trying(async () => {
    for (const registry of await listOf(store, env)) await erasing(() => store, registry);
  });
  return { gone: [...gone], failed };
}

/** Takes keys out of `auths`. Returns those that were there. Throws REGISTRY_CONFIG. */
function forget(path: string, keys: readonly string[]): readonly string[] {
  const auths = readJson(path)?.object('auths');
  const there = keys.filter((key) => auths?.has(key) === true);
  if (there.length > 0) change(path, (all) => {
    for (const key of there) delete all[key];
  });
  return there;
}

/** False: the helper has no such login. Throws REGISTRY_CONFIG. */
async function erase(helper: string, registry: string, env: Environment): Promise<boolean> {
  const key = registry === 'docker.io' ? DOCKER_HUB_KEY : registry;
  const { status } = await runHelper(helper, 'erase', key, env);
  if (status === 0) return true;
  // Some call it an error to erase what is not there.
  const { status: found, out } = await runHelper(helper, 'get', key, env);
  if (found !== 0 && NOT_FOUND.test(out)) return false;
  throw new VmmError('REGISTRY_CONFIG', `the login for ${registry} stays: docker-credential-${helper} erase fails with ${status}`, { hint: 'run it by hand' });
}

/** The registries of a helper's logins. */
async function listOf(helper: string, env: Environment): Promise<string[]> {
  const { status, out } = await runHelper(helper, 'list', '', env);
  try {
    if (status === 0) return Object.keys(JSON.parse(out) as object);
  } catch {
    // no answer either
  }
  throw new VmmError('REGISTRY_CONFIG', `docker-credential-${helper} list fails with ${status}`, { hint: 'log out of each registry by its name' });
}

/** Who is logged in, by any of the places where logins lie; undefined for nobody. Throws REGISTRY_CONFIG. */
export async function loginOf(registry: string, env: Environment): Promise<string | undefined> {
  const found = await findCredentials(registry, '', env);
  return found === undefined ? undefined : (found.user ?? '<token>');
}

/** The file itself, where it is a link. */
function configPath(env: Environment): string {
  const path = env['REGISTRY_AUTH_FILE'] || dockerConfigPath(env);
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function helperOf(path: string, registry: string): string | undefined {
  const config = readJson(path);
  const key = registry === 'docker.io' ? DOCKER_HUB_KEY : registry;
  const helpers = config?.object('credHelpers');
  return helpers?.optionalString(registry) ?? helpers?.optionalString(key) ?? config?.optionalString('credsStore');
}

/** Changes `auths` and leaves all else as it is; whole or not at all, and for the user's eyes alone. */
function change(path: string, action: (auths: Record<string, unknown>) => void): void {
  const config = readJson(path) === undefined ? {} : (JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>);
  const auths = { ...(config['auths'] as Record<string, unknown> | undefined) };
  action(auths);
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    makeFolders(dirname(path), 0o700);
    writeFileSync(temporary, `${JSON.stringify({ ...config, auths }, null, '\t')}\n`, { mode: 0o600, flag: 'wx' });
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (cause) {
    try {
      unlinkSync(temporary);
    } catch {
      // it was never made
    }
    throw new VmmError('REGISTRY_CONFIG', `cannot write ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its folder, or set DOCKER_CONFIG' });
  }
}

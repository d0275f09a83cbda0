import { chmodSync, readFileSync, realpathSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import type { ClientOptions } from './client.ts';
import { type Credentials, DOCKER_HUB_KEY, dockerConfigPath, type Environment, findCredentials, readJson, runHelper } from './credentials.ts';
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

/** Forgets a login. False when there was none. Throws REGISTRY_CONFIG. */
export async function logout(registry: string, env: Environment): Promise<boolean> {
  const path = configPath(env);
  const key = registry === 'docker.io' ? DOCKER_HUB_KEY : registry;
  const helper = helperOf(path, registry);
  const erased = helper !== undefined && (await runHelper(helper, 'erase', key, env)).status === 0;
  if (readJson(path)?.object('auths')?.has(key) !== true) return erased;
  change(path, (auths) => {
    delete auths[key];
  });
  return true;
}

/** Forgets every login of Docker's file and of its helper. Returns whose they were, as they were called there. Throws REGISTRY_CONFIG. */
export async function logoutAll(env: Environment): Promise<string[]> {
  const path = configPath(env);
  const config = readJson(path);
  const store = config?.optionalString('credsStore');
  const helped = store === undefined ? [] : await listOf(store, env);
  for (const key of helped) await runHelper(store as string, 'erase', key, env);
  const own = config?.keysOf('auths') ?? [];
  if (own.length > 0) {
    change(path, (auths) => {
      for (const key of own) delete auths[key];
    });
  }
  return [...new Set([...own, ...helped])];
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
  return config?.object('credHelpers')?.optionalString(key) ?? config?.optionalString('credsStore');
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

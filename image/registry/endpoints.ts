import { isIPv4 } from 'node:net';
import { VmmError } from '../../base/errors.ts';
import { type ClientOptions, type Endpoint, RegistryClient } from './client.ts';
import type { Environment } from './credentials.ts';
import type { RegistryName } from './name.ts';
import { type RegistriesConf, registriesConf, ruleFor } from './registries-conf.ts';

/** Docker Hub's registry answers under another name than its images'. */
const HUB = 'registry-1.docker.io';

type Repository = Pick<RegistryName, 'registry' | 'repository'> & Partial<Pick<RegistryName, 'digest'>>;

/** One way to a repository. */
interface Way {
  readonly endpoint: Endpoint;
  readonly repository: string;
  /** Whatever goes wrong there, the next way may do. */
  readonly mirror: boolean;
}

/** As Docker has it, a registry on this machine may do without TLS. */
function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'));
}

/** Where a repository may be had, in the order in which it is tried; a push is not for mirrors. Throws REGISTRY_BLOCKED. */
function waysTo(name: Repository, conf: RegistriesConf, { actions, tlsVerify }: ClientOptions): Way[] {
  const full = `${name.registry}/${name.repository}`;
  const rule = ruleFor(conf, full);
  if (rule === undefined) return waysAt(full, { marked: false, tlsVerify, mirror: false });
  if (rule.blocked) throw new VmmError('REGISTRY_BLOCKED', `${rule.prefix} is blocked by registries.conf`, { hint: 'take `blocked = true` out of its [[registry]], if you may' });
  const at = (location: string): string => (location === '' ? full : location + (rule.prefix.startsWith('*.') ? full.slice((full.split('/')[0] ?? '').length) : full.slice(rule.prefix.length)));
  const wanted = name.digest === undefined ? 'tag-only' : 'digest-only';
  const mirrors = actions !== undefined ? [] : rule.mirrors.filter(({ from }) => from === 'all' || from === wanted);
  return [...mirrors.flatMap((mirror) => waysAt(at(mirror.location), { marked: mirror.insecure, tlsVerify, mirror: true })), ...waysAt(at(rule.location), { marked: rule.insecure, tlsVerify, mirror: false })];
}

/** `marked`: as insecure. */
function waysAt(full: string, { marked, tlsVerify, mirror }: { readonly marked: boolean; readonly tlsVerify: boolean | undefined; readonly mirror: boolean }): Way[] {
  const slash = full.indexOf('/');
  const registry = slash < 0 ? full : full.slice(0, slash);
  const repository = slash < 0 ? '' : full.slice(slash + 1);
  const insecure = tlsVerify === undefined ? marked || isLoopback(registry) : !tlsVerify;
  const host = registry === 'docker.io' ? HUB : registry;
  const at = (scheme: string): Way => {
    const base = URL.parse(`${scheme}://${host}`);
    if (base === null) throw new VmmError('IMAGE_REFERENCE', `${JSON.stringify(registry.slice(0, 100))} names no host`, { hint: 'for example ghcr.io, 192.0.2.1:5000' });
    return { endpoint: { base, registry, insecure }, repository, mirror };
  };
  return insecure ? [at('https'), at('http')] : [at('https')];
}

/** Runs `action` with the first mirror that serves, else with the registry itself, by the first scheme that it speaks. */
export async function withRegistry<T>(name: Repository, env: Environment, action: (client: RegistryClient) => Promise<T>, options: ClientOptions = {}): Promise<T> {
  const ways = waysTo(name, await registriesConf(env), options);
  for (const [i, { endpoint, repository, mirror }] of ways.entries()) {
    const client = new RegistryClient(endpoint, { repository }, env, options);
    try {
      return await action(client);
    } catch (error) {
      if (i === ways.length - 1 || !(error instanceof VmmError)) throw error;
      const unreached = (error.code === 'REGISTRY_CONNECT' || error.code === 'REGISTRY_TLS') && !client.answered;
      const unserved = mirror && /^(REGISTRY_|IMAGE_NOT_FOUND|IMAGE_DIGEST)/.test(error.code);
      if (!unreached && !unserved) throw error;
    } finally {
      client.close();
    }
  }
  throw new Error('a registry without an endpoint');
}

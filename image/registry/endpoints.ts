import { isIPv4 } from 'node:net';
import { VmmError } from '../../base/errors.ts';
import { type ClientOptions, type Endpoint, RegistryClient } from './client.ts';
import type { Environment } from './credentials.ts';
import type { RegistryName } from './name.ts';

/** Docker Hub's registry answers under another name than its images'. */
const HUB = 'registry-1.docker.io';

/** As Docker has it, a registry on this machine may do without TLS. */
function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'));
}

/** Where a name's registry may answer, in the order in which they are tried. */
function endpointsOf({ registry }: Pick<RegistryName, 'registry'>): Endpoint[] {
  const insecure = isLoopback(registry);
  const host = registry === 'docker.io' ? HUB : registry;
  const at = (scheme: string): Endpoint => ({ base: new URL(`${scheme}://${host}`), registry, insecure });
  return insecure ? [at('https'), at('http')] : [at('https')];
}

/** Runs `action` with the first endpoint that answers at all. */
export async function withRegistry<T>(name: Pick<RegistryName, 'registry' | 'repository'>, env: Environment, action: (client: RegistryClient) => Promise<T>, options: ClientOptions = {}): Promise<T> {
  const endpoints = endpointsOf(name);
  for (const [i, endpoint] of endpoints.entries()) {
    const client = new RegistryClient(endpoint, name, env, options);
    try {
      return await action(client);
    } catch (error) {
      const unreached = error instanceof VmmError && (error.code === 'REGISTRY_CONNECT' || error.code === 'REGISTRY_TLS') && !client.answered;
      if (!unreached || i === endpoints.length - 1) throw error;
    } finally {
      client.close();
    }
  }
  throw new Error('a registry without an endpoint');
}

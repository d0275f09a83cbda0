/** The filter of a container for which nothing else is asked. */
import { compileProfile } from './compile.ts';
import { dockerProfile } from './docker.ts';
import { DEFAULT_FILTER } from './generated/default.ts';

/** Docker's default set (vmm/container/capabilities.ts has it by name). */
export const DOCKER_CAPABILITIES = 0xa80425fbn;

export function compileDefault(capabilities: bigint): Uint8Array {
  return compileProfile(dockerProfile(capabilities));
}

/** Docker's default filter, struct sock_filter[], for a container with this bounding set. */
export function defaultFilter(capabilities: bigint): Uint8Array {
  return capabilities === DOCKER_CAPABILITIES ? Buffer.from(DEFAULT_FILTER, 'base64') : compileDefault(capabilities);
}

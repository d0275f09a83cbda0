/** The filter of a container for which nothing else is asked. */
import { compileProfile } from './compile.ts';
import { dockerProfile } from './docker.ts';
import { SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS } from './generated/bpf.ts';
import { DEFAULT_FILTER } from './generated/default.ts';

/** Docker's default set (vmm/container/capabilities.ts has it by name). */
export const DOCKER_CAPABILITIES = 0xa80425fbn;

export function compileDefault(capabilities: bigint): Uint8Array {
  return compileProfile(dockerProfile(capabilities));
}

/** The same with calls that are allowed or blocked beside; `errno` 0: what is blocked kills. */
export function changedFilter(capabilities: bigint, { allow, block, errno }: { readonly allow: readonly string[]; readonly block: readonly string[]; readonly errno: number }): Uint8Array {
  const profile = dockerProfile(capabilities);
  // The first rule without tests counts.
  const blocked = { names: block, action: errno === 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | errno };
  return compileProfile({ ...profile, rules: [blocked, { names: allow, action: SECCOMP_RET_ALLOW }, ...profile.rules] });
}

/** Docker's default filter, struct sock_filter[], for a container with this bounding set. */
export function defaultFilter(capabilities: bigint): Uint8Array {
  return capabilities === DOCKER_CAPABILITIES ? Buffer.from(DEFAULT_FILTER, 'base64') : compileDefault(capabilities);
}

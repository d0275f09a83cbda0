/** System calls of the lock-down that libc has no function for. Throw HostCallError as those of ../sys.ts. */
import { ESRCH } from '../../../assembly/contract/generated/errno.ts';
import { HostCallError } from '../errno.ts';
import { addressOf, declareLazily, lastErrno } from '../ffi.ts';
import { SYS_rt_sigaction } from '../uapi/linux.ts';
import {
  LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH, SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_SET_MODE_FILTER, SYS_landlock_add_rule, SYS_landlock_create_ruleset,
  SYS_seccomp,
} from '../uapi/lockdown.ts';

const c = declareLazily<{
  raw(nr: number, a: number | bigint, b: number | bigint, d: number | bigint, e: number | bigint): number;
  mprotect(address: bigint, length: number, prot: number): number;
}>({
  raw: 'long syscall(long, uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  mprotect: 'int mprotect(uintptr_t, size_t, int)',
});

function raw(name: string, nr: number, ...args: (number | bigint)[]): number {
  const [a = 0, b = 0, d = 0, e = 0] = args;
  const result = c.raw(nr, a, b, d, e);
  if (result < 0) throw new HostCallError(name, args, lastErrno());
  return Number(result);
}

/** A raw system call that gives 0 when it succeeds. Addresses are of memory that stays until all is done. */
export interface RawCall {
  readonly nr: number;
  readonly args: readonly (number | bigint)[];
}

export function mprotect(address: bigint, length: number, prot: number): void {
  if (c.mprotect(address, length, prot) < 0) throw new HostCallError('mprotect', [address, length, prot], lastErrno());
}

/** The kernel's own call: libc's refuses its private signals. `action`, `old`: struct kernel_sigaction, four words. */
export function rtSigaction(signal: number, action: BigUint64Array, old: BigUint64Array | undefined): void {
  raw('rt_sigaction', SYS_rt_sigaction, signal, addressOf(action), old === undefined ? 0 : addressOf(old), 8);
}

/** The call by which a thread installs a filter for itself. Its memory is not freed: other threads read it. */
export function seccompCall(filter: Uint8Array): RawCall {
  const program = new BigUint64Array([BigInt(filter.byteLength / 8), addressOf(filter)]); // struct sock_fprog
  filters.push(filter, program);
  return { nr: SYS_seccomp, args: [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, addressOf(program)] };
}

const filters: ArrayBufferView[] = [];

/** Makes a call in this thread. Throws HostCallError. */
export function ownCall(name: string, { nr, args }: RawCall): void {
  raw(name, nr, ...args);
}

/** Installs a filter (struct sock_filter[]) for all threads, with no_new_privs for each. */
export function seccompAllThreads(filter: Uint8Array): void {
  const program = new BigUint64Array([BigInt(filter.byteLength / 8), addressOf(filter)]); // struct sock_fprog: len u16, filter
  // Filters once turned on mitigations that cost every system call; what they are against is not defended here (docs/threat-model.md).
  const flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  const thread = raw('seccomp', SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, addressOf(program));
  if (thread !== 0) throw new HostCallError('seccomp', [`thread ${thread} cannot have the filter of ${filter.byteLength} bytes`], ESRCH);
}

/** Version of the kernel's Landlock; 0 without it. */
export function landlockVersion(): number {
  try {
    return raw('landlock_create_ruleset', SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
  } catch {
    return 0;
  }
}

/** `attributes`: struct landlock_ruleset_attr. */
export function landlockCreate(attributes: BigUint64Array): number {
  return raw('landlock_create_ruleset', SYS_landlock_create_ruleset, addressOf(attributes), attributes.byteLength, 0);
}

/** Rights beneath an O_PATH descriptor's file. */
export function landlockAllow(ruleset: number, rights: number, parent: number): void {
  const rule = new DataView(new ArrayBuffer(12)); // struct landlock_path_beneath_attr, packed: allowed_access u64, parent_fd s32
  rule.setBigUint64(0, BigInt(rights), true);
  rule.setInt32(8, parent, true);
  raw('landlock_add_rule', SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, addressOf(rule), 0);
}

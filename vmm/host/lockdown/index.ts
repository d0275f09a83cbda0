/**
 * The process gives up what it does not need while a guest runs: privileges, files, system calls. For a process that runs
 * machines and nothing else (the CLI): all its threads are bound, for good.
 */
import { EPERM } from '../../../assembly/contract/generated/errno.ts';
import { addressOf } from '../ffi.ts';
import { close } from '../sys.ts';
import { PR_SET_NO_NEW_PRIVS } from '../uapi/linux.ts';
import { _LINUX_CAPABILITY_VERSION_3, SYS_capset, SYS_landlock_restrict_self, SYS_prctl } from '../uapi/lockdown.ts';
import { landlockVersion, seccompAllThreads } from './calls.ts';
import { everyThread, type RawCall } from './every-thread.ts';
import { seccompFilter } from './filter.ts';
import { landlockRules, type OpenPaths } from './landlock.ts';
import { seccompRules } from './policy.ts';

export interface LockDown {
  /** What may still be opened. */
  readonly paths: OpenPaths;
  /** The accelerator is KVM. */
  readonly kvm: boolean;
  /** A reset of the guest starts it anew: its kernel and /dev/kvm are opened again. */
  readonly reopen: boolean;
}

// struct __user_cap_header_struct and two __user_cap_data_struct: no capability in any set. Not freed: other threads read them.
const CAPABILITIES = new Uint32Array([_LINUX_CAPABILITY_VERSION_3, 0]);
const NONE = new Uint32Array(6);

/** Throws LOCKDOWN or HostCallError when the kernel refuses, FFI_MISSING without the library; then some of it may be done. */
export function lockDown({ paths, kvm, reopen }: LockDown): { landlock: number } {
  const calls: RawCall[] = [
    { nr: SYS_prctl, args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0] },
    { nr: SYS_capset, args: [addressOf(CAPABILITIES), addressOf(NONE)] },
  ];
  const landlock = landlockVersion();
  const ruleset = landlock > 0 ? landlockRules(landlock, paths) : undefined;
  if (ruleset !== undefined) calls.push({ nr: SYS_landlock_restrict_self, args: [ruleset, 0] });
  everyThread(calls);
  if (ruleset !== undefined) close(ruleset);
  const rules = seccompRules({ pid: process.pid, ring: kvm, reopen, unlink: paths.remove.length > 0 });
  seccompAllThreads(seccompFilter(rules, EPERM));
  return { landlock };
}

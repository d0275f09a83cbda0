/**
 * The process gives up what it does not need while a guest runs: privileges, files, system calls. For a process that runs
 * machines and nothing else (the CLI): all its threads are bound, for good.
 */
import { EPERM } from '../../../assembly/contract/generated/errno.ts';
import { addressOf } from '../ffi.ts';
import { close } from '../sys.ts';
import { PR_SET_NO_NEW_PRIVS } from '../uapi/linux.ts';
import {
  _LINUX_CAPABILITY_VERSION_3, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SETGID, CAP_SETUID, SYS_capset, SYS_landlock_restrict_self, SYS_prctl,
} from '../uapi/lockdown.ts';
import { landlockVersion, ownCall, type RawCall, seccompAllThreads, seccompCall } from './calls.ts';
import { everyThread } from './every-thread.ts';
import { seccompFilter } from './filter.ts';
import { landlockRules, type OpenPaths, type SharedRoot, shareRules } from './landlock.ts';
import { seccompRules, shareSeccompRules } from './policy.ts';

export interface LockDown {
  /** What may still be opened. */
  readonly paths: OpenPaths;
  /** The accelerator is KVM. */
  readonly kvm: boolean;
  /** A reset of the guest starts it anew: its kernel and /dev/kvm are opened again. */
  readonly reopen: boolean;
  /** Threads that bind themselves (`lockOwnThread`), by their ids. */
  readonly but?: readonly number[];
}

// struct __user_cap_header_struct and two __user_cap_data_struct: no capability in any set. Not freed: other threads read them.
const CAPABILITIES = new Uint32Array([_LINUX_CAPABILITY_VERSION_3, 0]);
const NONE = new Uint32Array(6);

/** Throws LOCKDOWN or HostCallError when the kernel refuses, FFI_MISSING without the library; then some of it may be done. */
export function lockDown({ paths, kvm, reopen, but = [] }: LockDown): { landlock: number } {
  const calls: RawCall[] = [
    { nr: SYS_prctl, args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0] },
    { nr: SYS_capset, args: [addressOf(CAPABILITIES), addressOf(NONE)] },
  ];
  const landlock = landlockVersion();
  const ruleset = landlock > 0 ? landlockRules(landlock, paths) : undefined;
  if (ruleset !== undefined) calls.push({ nr: SYS_landlock_restrict_self, args: [ruleset, 0] });
  const filter = seccompFilter(seccompRules({ pid: process.pid, ring: kvm, reopen, unlink: paths.remove.length > 0, files: ruleset !== undefined && (paths.write?.length ?? 0) > 0, network: paths.network === true }), EPERM);
  // A filter for all threads at once is refused where one has another of its own, and would bind one that shall have its own later.
  if (but.length > 0) calls.push(seccompCall(filter));
  everyThread(calls, but);
  if (ruleset !== undefined) close(ruleset);
  if (but.length === 0) seccompAllThreads(filter);
  return { landlock };
}

/** What a thread that serves directories still needs. */
export interface OwnThread {
  /** Descriptors of all that it opens files beneath; undefined: more may come, so that Landlock cannot hold it. */
  readonly roots: readonly SharedRoot[] | undefined;
  /** It acts for many users: the capabilities of a file server, where it has them. */
  readonly privileged: boolean;
}

/** Binds the calling thread for good. Throws as `lockDown`. */
export function lockOwnThread({ roots, privileged }: OwnThread): void {
  ownCall('prctl', { nr: SYS_prctl, args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0] });
  const bits = privileged ? FILE_SERVER.reduce((all, capability) => all | (1 << capability), 0) >>> 0 : 0;
  // Effective, permitted, inheritable; twice, for the high halves.
  const sets = new Uint32Array(256);
  sets.set([bits, bits, 0]);
  ownCall('capset', { nr: SYS_capset, args: [addressOf(CAPABILITIES), addressOf(sets)] });
  const landlock = roots === undefined ? 0 : landlockVersion();
  if (landlock > 0) {
    const ruleset = shareRules(landlock, roots ?? []);
    ownCall('landlock_restrict_self', { nr: SYS_landlock_restrict_self, args: [ruleset, 0] });
    close(ruleset);
  }
  ownCall('seccomp', seccompCall(seccompFilter(shareSeccompRules(process.pid), EPERM)));
}

/** The highest of them is below 32: the high halves are empty. */
const FILE_SERVER = [CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_SETGID, CAP_SETUID, CAP_MKNOD, CAP_SETFCAP];

/**
 * What a process that runs machines still needs of the kernel, once the guest runs: Node's loop, its threads and its
 * compilers; memory; descriptors that are open; KVM's ioctls; futexes. No program, socket or name is made any more.
 */
import { ENOSYS, EPERM } from '../../../assembly/contract/generated/errno.ts';
import * as L from '../uapi/lockdown.ts';
import type { Verdict } from './filter.ts';

const MEMORY = [
  L.SYS_mmap, L.SYS_mprotect, L.SYS_munmap, L.SYS_brk, L.SYS_mremap, L.SYS_msync, L.SYS_mincore, L.SYS_madvise, L.SYS_pkey_alloc, L.SYS_pkey_free, L.SYS_pkey_mprotect, L.SYS_membarrier,
  L.SYS_get_mempolicy,
];
const DESCRIPTORS = [
  L.SYS_read, L.SYS_write, L.SYS_close, L.SYS_close_range, L.SYS_fstat, L.SYS_newfstatat, L.SYS_stat, L.SYS_lstat, L.SYS_statx, L.SYS_lseek, L.SYS_pread64, L.SYS_pwrite64, L.SYS_readv, L.SYS_writev, L.SYS_preadv,
  L.SYS_pwritev, L.SYS_preadv2, L.SYS_pwritev2, L.SYS_fcntl, L.SYS_flock, L.SYS_fsync, L.SYS_fdatasync, L.SYS_ftruncate, L.SYS_fallocate, L.SYS_getdents64, L.SYS_getcwd, L.SYS_readlink,
  L.SYS_readlinkat, L.SYS_access, L.SYS_faccessat, L.SYS_faccessat2, L.SYS_dup, L.SYS_dup2, L.SYS_dup3, L.SYS_pipe, L.SYS_pipe2, L.SYS_eventfd2, L.SYS_ioctl, L.SYS_poll, L.SYS_ppoll,
  L.SYS_epoll_create1, L.SYS_epoll_ctl, L.SYS_epoll_wait, L.SYS_epoll_pwait, L.SYS_epoll_pwait2, L.SYS_io_uring_enter, L.SYS_umask,
];
/** Of sockets that are open: gdb's, and standard streams. */
const SOCKETS = [
  L.SYS_accept4, L.SYS_sendmsg, L.SYS_recvmsg, L.SYS_sendto, L.SYS_recvfrom, L.SYS_shutdown, L.SYS_getsockname, L.SYS_getpeername, L.SYS_getsockopt, L.SYS_setsockopt,
];
const THREADS = [
  L.SYS_futex, L.SYS_rt_sigaction, L.SYS_rt_sigprocmask, L.SYS_rt_sigreturn, L.SYS_rt_sigtimedwait, L.SYS_sigaltstack, L.SYS_sched_yield, L.SYS_sched_getaffinity, L.SYS_sched_getparam,
  L.SYS_sched_getscheduler, L.SYS_set_robust_list, L.SYS_rseq, L.SYS_restart_syscall, L.SYS_exit, L.SYS_exit_group, L.SYS_gettid, L.SYS_getpid, L.SYS_prctl, L.SYS_arch_prctl, L.SYS_wait4,
];
const QUESTIONS = [
  L.SYS_uname, L.SYS_sysinfo, L.SYS_getrlimit, L.SYS_getrusage, L.SYS_getuid, L.SYS_getgid, L.SYS_geteuid, L.SYS_getegid, L.SYS_getcpu, L.SYS_getrandom, L.SYS_gettimeofday,
  L.SYS_clock_gettime, L.SYS_clock_getres, L.SYS_clock_nanosleep, L.SYS_nanosleep,
];

export interface SeccompOptions {
  readonly pid: number;
  /** Accelerator kvm: the thread of a busy disk makes its ring late. */
  readonly ring: boolean;
  /** A reset opens /dev/kvm anew. */
  readonly reopen: boolean;
  /** The socket's name goes when its server is closed. */
  readonly unlink: boolean;
  /** Files of its own are made and renamed in some folders, which Landlock holds it to. */
  readonly files: boolean;
  /** Connections of a guest's are made and taken here: a user-mode network. */
  readonly network: boolean;
}

/** Verdicts for all else than these: EPERM. */
export function seccompRules({ pid, ring, reopen, unlink, files, network }: SeccompOptions): Map<number, Verdict> {
  const rules = new Map<number, Verdict>();
  for (const nr of [...MEMORY, ...DESCRIPTORS, ...SOCKETS, ...THREADS, ...QUESTIONS]) rules.set(nr, 'allow');
  const when = (nr: number, ...anyOf: { arg: number; mask: number; equals: number }[][]): void => void rules.set(nr, { anyOf, otherwise: EPERM });
  const ALL = 0xffff_ffff;
  // A thread, never a process. The flags of clone3 lie in memory, where a filter cannot look: libc then asks clone.
  when(L.SYS_clone, [{ arg: 0, mask: L.CLONE_THREAD, equals: L.CLONE_THREAD }]);
  rules.set(L.SYS_clone3, { errno: ENOSYS });
  // This process alone.
  when(L.SYS_tgkill, [{ arg: 0, mask: ALL, equals: pid }]);
  when(L.SYS_kill, [{ arg: 0, mask: ALL, equals: pid }]);
  when(L.SYS_prlimit64, [{ arg: 2, mask: ALL, equals: 0 }]);
  // Nothing is created or emptied; and read alone, but for what a reset opens.
  const made = (L.O_CREAT | L.O_TRUNC | (L.O_TMPFILE & ~0x10000)) >>> 0;
  when(L.SYS_openat, [{ arg: 2, mask: (reopen ? made : made | L.O_ACCMODE) >>> 0, equals: 0 }]);
  if (ring) for (const nr of [L.SYS_io_uring_setup, L.SYS_io_uring_register]) rules.set(nr, 'allow');
  if (unlink) rules.set(L.SYS_unlink, 'allow');
  if (files) for (const nr of [L.SYS_openat, L.SYS_rename, L.SYS_symlink, L.SYS_unlink]) rules.set(nr, 'allow');
  // Of the Internet's families alone.
  if (network) {
    when(L.SYS_socket, [{ arg: 0, mask: ALL, equals: L.AF_INET }], [{ arg: 0, mask: ALL, equals: L.AF_INET6 }]);
    for (const nr of [L.SYS_connect, L.SYS_bind, L.SYS_sendmmsg, L.SYS_recvmmsg]) rules.set(nr, 'allow');
  }
  return rules;
}

/** Files beneath descriptors that are open. */
const FILES = [
  L.SYS_openat, L.SYS_openat2, L.SYS_mkdirat, L.SYS_mknodat, L.SYS_symlinkat, L.SYS_linkat, L.SYS_unlinkat, L.SYS_renameat2, L.SYS_fchmodat, L.SYS_fchownat, L.SYS_utimensat, L.SYS_syncfs,
  L.SYS_fstatfs, L.SYS_copy_file_range, L.SYS_setxattr, L.SYS_lsetxattr, L.SYS_getxattr, L.SYS_lgetxattr, L.SYS_listxattr, L.SYS_removexattr,
];
/** What else happens beneath them. */
const CHANGES = [L.SYS_inotify_add_watch, L.SYS_inotify_rm_watch];
/** Whose a new file is. */
const IDS = [L.SYS_setfsuid, L.SYS_setfsgid, L.SYS_setgroups];

/** Verdicts for a thread that serves directories: as for the others, and files. */
export function shareSeccompRules(pid: number): Map<number, Verdict> {
  const rules = seccompRules({ pid, ring: false, reopen: false, unlink: false, files: false, network: false });
  for (const nr of [...FILES, ...CHANGES, ...IDS]) rules.set(nr, 'allow');
  return rules;
}

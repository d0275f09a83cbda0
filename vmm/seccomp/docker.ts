/**
 * What Docker lets a container call when nothing else is asked for: the table of moby's default profile (moby/profiles,
 * seccomp/default_linux.go, as of 2026), in a form of our own. Every other call is refused with EPERM. Some are given
 * back with a capability. Of the socket families AF_VSOCK and AF_ALG are refused, io_uring is as a whole.
 */
import { ENOSYS, EPERM } from '../../assembly/contract/generated/errno.ts';
import { SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO } from './generated/bpf.ts';
import type { ArgumentTest, Profile, Rule } from './rules.ts';


/** For everybody. Names ending in 32 or 64 and the like are those of i386. */
const ALWAYS = `
  accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64
  clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat
  dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat
  exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl
  fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64
  futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64
  getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
  getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup
  io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat
  listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create
  memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect
  poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace
  pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
  removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
  rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
  sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
  set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
  setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr
  setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs
  statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
  timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times
  tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid
  write writev`;

/** By a capability of the bounding set; its number in linux/capability.h. */
const WITH_CAPABILITY: readonly (readonly [capability: number, names: string])[] = [
  [2 /* DAC_READ_SEARCH */, 'open_by_handle_at'],
  [16 /* SYS_MODULE */, 'delete_module init_module finit_module'],
  [17 /* SYS_RAWIO */, 'iopl ioperm'],
  [18 /* SYS_CHROOT */, 'chroot'],
  [19 /* SYS_PTRACE */, 'kcmp pidfd_getfd process_madvise'],
  [20 /* SYS_PACCT */, 'acct'],
  [21 /* SYS_ADMIN */, `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr
    mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare`],
  [22 /* SYS_BOOT */, 'reboot'],
  [23 /* SYS_NICE */, 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
  [25 /* SYS_TIME */, 'settimeofday stime clock_settime clock_settime64'],
  [26 /* SYS_TTY_CONFIG */, 'vhangup'],
  [34 /* SYSLOG */, 'syslog'],
  [38 /* PERFMON */, 'perf_event_open'],
  [39 /* BPF */, 'bpf'],
];
const CAP_SYS_ADMIN = 1n << 21n;

/** CLONE_NEW* of <linux/sched.h>: NS, CGROUP, UTS, IPC, USER, PID, NET. */
const CLONE_NAMESPACES = 0x7e02_0000n;
/** personality(2): Linux, Linux with the addresses of old programs, both with uname26, and the question. */
const PERSONALITIES = [0n, 8n, 0x20000n, 0x20008n, 0xffff_ffffn];
/** <linux/socket.h>, AF_UNIX = 1 to AF_ROSE = 11 (below 12), then each. Not: DECnet, ECONET, ATMSVC, IRDA, WANPIPE, ISDN, CAIF, ALG, VSOCK. */
const FAMILIES_BELOW = 12n;
const FAMILIES = [13n, 14n, 15n, 16n, 17n, 18n, 21n, 22n, 24n, 26n, 27n, 28n, 29n, 30n, 31n, 32n, 33n, 35n, 36n, 39n, 41n, 42n, 43n, 44n, 45n];

const words = (text: string): string[] => text.trim().split(/\s+/);
const allow = (names: readonly string[], ...args: ArgumentTest[]): Rule => ({ names, action: SECCOMP_RET_ALLOW, args });
const is = (value: bigint): ArgumentTest => ({ index: 0, op: 'EQ', value });

/** The profile of a container whose bounding set is `capabilities` (bit n: capability n). */
export function dockerProfile(capabilities: bigint): Profile {
  const rules = [
    allow(words(ALWAYS)),
    allow(['socket'], { index: 0, op: 'LT', value: FAMILIES_BELOW }),
    ...FAMILIES.map((family) => allow(['socket'], is(family))),
    ...PERSONALITIES.map((persona) => allow(['personality'], is(persona))),
  ];
  for (const [capability, names] of WITH_CAPABILITY) if (capabilities >> BigInt(capability) & 1n) rules.push(allow(words(names)));
  if (!(capabilities & CAP_SYS_ADMIN)) {
    rules.push(allow(['clone'], { index: 0, op: 'MASKED_EQ', value: CLONE_NAMESPACES, valueTwo: 0n }));
    // Its flags lie in memory, where a filter cannot look; C libraries go on with clone.
    rules.push({ names: ['clone3'], action: SECCOMP_RET_ERRNO | ENOSYS });
  }
  return { defaultAction: SECCOMP_RET_ERRNO | EPERM, architectures: ['x86_64', 'i386', 'x32'], rules };
}

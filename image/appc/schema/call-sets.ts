/** Sets of system calls that rkt knows by systemd's names (systemd.exec(5), "SystemCallFilter=", of version 231: `@systemd/mount`). */
const CLOCK = 'adjtimex clock_adjtime clock_settime settimeofday stime';
const RAW_IO = 'ioperm iopl pciconfig_iobase pciconfig_read pciconfig_write s390_pci_mmio_read s390_pci_mmio_write';
const MODULE = 'delete_module finit_module init_module';

const SYSTEMD: Readonly<Record<string, string>> = {
  clock: CLOCK,
  'default-whitelist': 'clock_getres clock_gettime clock_nanosleep execve exit exit_group getrlimit gettimeofday nanosleep pause rt_sigreturn sigreturn time',
  mount: 'chroot mount oldumount pivot_root umount umount2',
  'network-io': 'accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall socketpair',
  obsolete: '_sysctl afs_syscall break create_module ftime get_kernel_syms getpmsg gtty lock mpx prof profil putpmsg query_module security sgetmask ssetmask stty sysfs tuxcall ulimit uselib ustat vserver',
  privileged: `${CLOCK} ${MODULE} ${RAW_IO} acct bdflush bpf capset chown chown32 chroot fchown fchown32 fchownat kexec_file_load kexec_load lchown lchown32 nfsservctl pivot_root quotactl reboot setdomainname setfsuid setfsuid32 setgroups setgroups32 sethostname setresuid setresuid32 setreuid setreuid32 setuid setuid32 swapoff swapon sysctl vhangup`,
  process: 'arch_prctl clone execve execveat fork kill prctl setns tgkill tkill unshare vfork',
  'raw-io': RAW_IO,
};

/** The calls of a set; undefined: it is none of these. */
export function callsOf(name: string): readonly string[] | undefined {
  const set = /^@systemd\/([a-z-]+)$/.exec(name)?.[1] ?? '';
  return Object.hasOwn(SYSTEMD, set) ? SYSTEMD[set]?.split(' ') : undefined;
}

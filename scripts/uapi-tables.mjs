// What scripts/uapi.mjs takes from the system's C headers.

/**
 * One TypeScript file each, by its path: C headers, constants (`NAME=EXPRESSION` gives an expression another name), and
 * structures with the fields wanted (a field may be a member path). Files in assembly/ have both compilers as readers: their
 * constants have a type (`typed`: type, names, heading), and of a structure each field is a constant of its own (`fields`: prefix, structure, fields).
 */
export const FILES = {
  'vmm/host/uapi/kvm.ts': {
    source: 'Linux Documentation/virt/kvm/api.rst, <linux/kvm.h>, <asm/kvm.h>, <asm/kvm_para.h>',
    headers: ['linux/kvm.h', 'asm/kvm_para.h'],
    constants: `KVM_API_VERSION
      KVM_GET_API_VERSION KVM_CREATE_VM KVM_GET_MSR_INDEX_LIST KVM_CHECK_EXTENSION KVM_GET_VCPU_MMAP_SIZE KVM_GET_SUPPORTED_CPUID
      KVM_CREATE_VCPU KVM_SET_USER_MEMORY_REGION KVM_SET_TSS_ADDR KVM_SET_IDENTITY_MAP_ADDR KVM_CREATE_IRQCHIP KVM_IRQ_LINE
      KVM_GET_IRQCHIP KVM_SET_IRQCHIP KVM_IRQFD KVM_IOEVENTFD KVM_SET_CLOCK KVM_GET_CLOCK KVM_GET_STATS_FD
      KVM_RUN KVM_GET_REGS KVM_SET_REGS KVM_GET_SREGS KVM_SET_SREGS KVM_TRANSLATE KVM_GET_MSRS KVM_SET_MSRS KVM_GET_FPU KVM_SET_FPU
      KVM_GET_LAPIC KVM_SET_LAPIC KVM_SET_CPUID2 KVM_GET_MP_STATE KVM_SET_MP_STATE KVM_NMI KVM_SET_GUEST_DEBUG KVM_GET_VCPU_EVENTS KVM_SET_VCPU_EVENTS
      KVM_GET_DEBUGREGS KVM_SET_DEBUGREGS KVM_GET_XSAVE KVM_SET_XSAVE KVM_GET_XCRS KVM_SET_XCRS KVM_GET_TSC_KHZ
      KVM_CAP_IRQCHIP KVM_CAP_IRQFD KVM_CAP_IOEVENTFD
      KVM_CAP_GET_TSC_KHZ
      KVM_CAP_TSC_DEADLINE_TIMER KVM_CAP_IMMEDIATE_EXIT KVM_CAP_BINARY_STATS_FD
      KVM_MEM_LOG_DIRTY_PAGES KVM_MEM_READONLY
      KVM_IOEVENTFD_FLAG_DATAMATCH KVM_IOEVENTFD_FLAG_PIO KVM_IOEVENTFD_FLAG_DEASSIGN KVM_IRQFD_FLAG_DEASSIGN
      KVM_EXIT_FAIL_ENTRY KVM_EXIT_INTERNAL_ERROR
      KVM_INTERNAL_ERROR_EMULATION KVM_INTERNAL_ERROR_SIMUL_EX KVM_INTERNAL_ERROR_DELIVERY_EV KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON
      KVM_MP_STATE_UNINITIALIZED KVM_MP_STATE_INIT_RECEIVED KVM_MP_STATE_HALTED
      KVM_GUESTDBG_ENABLE KVM_GUESTDBG_SINGLESTEP KVM_GUESTDBG_USE_SW_BP KVM_GUESTDBG_USE_HW_BP KVM_GUESTDBG_INJECT_DB KVM_GUESTDBG_INJECT_BP KVM_GUESTDBG_BLOCKIRQ KVM_CAP_SET_GUEST_DEBUG2
      KVM_IRQCHIP_PIC_MASTER KVM_IRQCHIP_PIC_SLAVE KVM_IRQCHIP_IOAPIC
      KVM_CPUID_SIGNATURE`,
    structs: {
      'struct kvm_userspace_memory_region': 'slot flags guest_phys_addr memory_size userspace_addr',
      'struct kvm_regs': 'rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags',
      'struct kvm_segment': 'base limit selector type present dpl db s l g avl unusable',
      'struct kvm_sregs': 'cs ds es fs gs ss tr ldt gdt.base gdt.limit idt.base idt.limit cr0 cr2 cr3 cr4 cr8 efer apic_base interrupt_bitmap',
      'struct kvm_run': `immediate_exit exit_reason flags hw.hardware_exit_reason
        fail_entry.hardware_entry_failure_reason
        internal.suberror internal.ndata internal.data emulation_failure.flags emulation_failure.insn_size emulation_failure.insn_bytes debug.arch.exception debug.arch.pc debug.arch.dr6`,
      'struct kvm_cpuid_entry2': 'function index flags eax ebx ecx edx',
      'struct kvm_cpuid2': 'nent entries',
      'struct kvm_msr_entry': 'index data',
      'struct kvm_msrs': 'nmsrs entries',
      'struct kvm_msr_list': 'nmsrs indices',
      'struct kvm_fpu': 'fpr fcw fsw ftwx last_opcode last_ip last_dp xmm mxcsr',
      'struct kvm_lapic_state': '',
      'struct kvm_mp_state': '',
      'struct kvm_vcpu_events': 'flags',
      'struct kvm_debugregs': 'flags',
      'struct kvm_guest_debug': 'control arch.debugreg',
      'struct kvm_xsave': '',
      'struct kvm_xcrs': 'flags',
      'struct kvm_irq_level': 'irq level',
      'struct kvm_irqchip': 'chip_id chip',
      'struct kvm_ioapic_state': 'redirtbl',
      'struct kvm_irqfd': 'fd gsi flags',
      'struct kvm_ioeventfd': 'datamatch addr len fd flags',
      'struct kvm_clock_data': 'clock flags',
      'struct kvm_translation': 'linear_address physical_address valid',
      'struct kvm_stats_header': 'flags name_size num_desc desc_offset data_offset',
      'struct kvm_stats_desc': 'flags size offset name',
    },
  },
  'vmm/host/uapi/io_uring.ts': {
    source: '<linux/io_uring.h>, io_uring_setup(2), io_uring_enter(2)',
    headers: ['linux/io_uring.h', 'sys/syscall.h'],
    constants: `SYS_io_uring_setup SYS_io_uring_enter
      IORING_OP_READV IORING_OP_WRITEV IORING_OP_FSYNC IORING_OP_POLL_ADD IORING_OP_READ IORING_OP_WRITE
      IORING_SETUP_SINGLE_ISSUER IORING_SETUP_DEFER_TASKRUN
      IORING_SETUP_TASKRUN_FLAG IORING_SQ_TASKRUN
      IORING_ENTER_GETEVENTS IORING_FSYNC_DATASYNC IORING_FEAT_SINGLE_MMAP IORING_FEAT_NODROP
      IORING_OFF_SQ_RING IORING_OFF_SQES IORING_POLL_ADD_MULTI IORING_CQE_F_MORE IOSQE_CQE_SKIP_SUCCESS`,
    structs: {
      'struct io_uring_params': `sq_entries cq_entries flags sq_thread_cpu sq_thread_idle features wq_fd sq_off.head sq_off.tail sq_off.ring_mask sq_off.ring_entries sq_off.flags
        sq_off.dropped sq_off.array cq_off.head cq_off.tail cq_off.ring_mask cq_off.ring_entries cq_off.overflow cq_off.cqes`,
      'struct io_uring_sqe': 'opcode flags fd off addr len rw_flags user_data',
      'struct io_uring_cqe': 'user_data res flags',
    },
  },
  'vmm/seccomp/generated/bpf.ts': {
    source: '<linux/seccomp.h>, <linux/filter.h>, <linux/audit.h>',
    headers: ['linux/seccomp.h', 'linux/filter.h', 'linux/audit.h'],
    constants: `BPF_LD BPF_W BPF_ABS BPF_JMP BPF_JA BPF_JEQ BPF_JGE BPF_JGT BPF_ALU BPF_AND BPF_K BPF_RET BPF_MAXINSNS
      SECCOMP_RET_KILL_PROCESS SECCOMP_RET_KILL_THREAD SECCOMP_RET_TRAP SECCOMP_RET_ERRNO SECCOMP_RET_TRACE SECCOMP_RET_LOG SECCOMP_RET_ALLOW SECCOMP_RET_DATA
      AUDIT_ARCH_X86_64 AUDIT_ARCH_I386`,
    structs: { 'struct seccomp_data': 'nr arch args' },
  },
  'vmm/host/uapi/lockdown.ts': {
    source: '<sys/syscall.h>, <sys/socket.h>, <linux/seccomp.h>, <linux/capability.h>, <linux/landlock.h> (rights and scopes newer than these headers: landlock(7))',
    headers: ['sys/syscall.h', 'linux/seccomp.h', 'linux/capability.h', 'linux/landlock.h', 'sched.h', 'fcntl.h', 'errno.h', 'sys/mman.h', 'sys/socket.h'],
    defines: ['_GNU_SOURCE'],
    constants: `SYS_read SYS_write SYS_close SYS_fstat SYS_lstat SYS_stat SYS_poll SYS_lseek SYS_mmap SYS_mprotect SYS_munmap SYS_brk SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_ioctl SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_access SYS_pipe SYS_sched_yield SYS_mremap SYS_msync SYS_mincore SYS_madvise SYS_dup SYS_dup2 SYS_nanosleep SYS_getpid SYS_clone SYS_exit SYS_wait4 SYS_kill SYS_uname SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync SYS_ftruncate SYS_getcwd SYS_readlink SYS_umask SYS_gettimeofday SYS_getrlimit SYS_getrusage SYS_sysinfo SYS_getuid SYS_getgid SYS_geteuid SYS_getegid SYS_sigaltstack SYS_prctl SYS_arch_prctl SYS_gettid SYS_futex SYS_sched_getaffinity SYS_getdents64 SYS_restart_syscall SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_exit_group SYS_epoll_wait SYS_epoll_ctl SYS_tgkill SYS_openat SYS_newfstatat SYS_readlinkat SYS_faccessat SYS_ppoll SYS_set_robust_list SYS_fallocate SYS_eventfd2 SYS_epoll_create1 SYS_dup3 SYS_pipe2 SYS_preadv SYS_pwritev SYS_prlimit64 SYS_getcpu SYS_getrandom SYS_membarrier SYS_preadv2 SYS_pwritev2 SYS_statx SYS_rseq SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_clone3 SYS_close_range SYS_faccessat2 SYS_epoll_pwait SYS_epoll_pwait2 SYS_accept4 SYS_sendmsg SYS_recvmsg SYS_sendto SYS_recvfrom SYS_shutdown SYS_getsockname SYS_getpeername SYS_getsockopt SYS_setsockopt SYS_unlink SYS_rename SYS_symlink SYS_rt_sigtimedwait SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_sched_getparam SYS_sched_getscheduler SYS_get_mempolicy SYS_capset SYS_seccomp SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self SYS_openat2 SYS_mkdirat SYS_mknodat SYS_symlinkat SYS_linkat SYS_unlinkat SYS_renameat2 SYS_fchmodat SYS_fchownat SYS_utimensat SYS_syncfs SYS_fstatfs SYS_copy_file_range SYS_setxattr SYS_lsetxattr SYS_getxattr SYS_lgetxattr SYS_listxattr SYS_removexattr SYS_setfsuid SYS_setfsgid SYS_setgroups SYS_inotify_add_watch SYS_inotify_rm_watch SYS_socket SYS_connect SYS_bind SYS_sendmmsg SYS_recvmmsg
      CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_SETGID CAP_SETUID CAP_MKNOD CAP_SETFCAP
      AF_INET AF_INET6 SECCOMP_SET_MODE_FILTER SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_SPEC_ALLOW CLONE_THREAD O_CREAT O_TRUNC O_TMPFILE O_ACCMODE PROT_EXEC
      _LINUX_CAPABILITY_VERSION_3
      LANDLOCK_CREATE_RULESET_VERSION LANDLOCK_RULE_PATH_BENEATH LANDLOCK_ACCESS_FS_EXECUTE LANDLOCK_ACCESS_FS_WRITE_FILE LANDLOCK_ACCESS_FS_READ_FILE LANDLOCK_ACCESS_FS_READ_DIR
      LANDLOCK_ACCESS_FS_REMOVE_FILE LANDLOCK_ACCESS_FS_MAKE_REG LANDLOCK_ACCESS_FS_MAKE_SYM LANDLOCK_ACCESS_FS_REFER=0x2000 LANDLOCK_ACCESS_FS_TRUNCATE=0x4000 LANDLOCK_ACCESS_FS_IOCTL_DEV=0x8000
      LANDLOCK_ACCESS_NET_BIND_TCP=1 LANDLOCK_ACCESS_NET_CONNECT_TCP=2 LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET=1`,
  },
  'vmm/host/uapi/net.ts': {
    source: '<linux/if_tun.h>, <linux/if.h>, <sys/socket.h>, <sys/un.h>, <fcntl.h>',
    headers: ['sys/socket.h', 'sys/un.h', 'netinet/in.h', 'sys/ioctl.h', 'fcntl.h', 'linux/if.h', 'linux/if_tun.h', 'linux/sockios.h'],
    constants: `TUNSETIFF TUNGETIFF TUNSETOFFLOAD TUNSETVNETHDRSZ IFF_TAP IFF_NO_PI IFF_VNET_HDR IFF_UP IFNAMSIZ SIOCGIFFLAGS SIOCSIFFLAGS SIOCGIFADDR SIOCGIFNETMASK
      AF_UNIX AF_INET SOCK_STREAM SOCK_DGRAM SOCK_SEQPACKET SOCK_CLOEXEC SOL_SOCKET SO_TYPE SCM_RIGHTS MSG_DONTWAIT MSG_NOSIGNAL MSG_CMSG_CLOEXEC F_DUPFD_CLOEXEC F_GETFL F_SETFL O_NONBLOCK`,
    structs: {
      'struct ifreq': 'ifr_name ifr_flags ifr_addr',
      'struct sockaddr_in': 'sin_addr',
      'struct sockaddr_un': 'sun_family sun_path',
      'struct msghdr': 'msg_name msg_namelen msg_iov msg_iovlen msg_control msg_controllen',
      'struct cmsghdr': 'cmsg_len cmsg_level cmsg_type',
    },
  },
  'vmm/host/uapi/netns.ts': {
    source: '<sched.h>, <sys/mount.h>, <linux/rtnetlink.h>, <linux/pkt_cls.h>, <linux/tc_act/tc_mirred.h>',
    headers: ['sched.h', 'sys/mount.h', 'sys/socket.h', 'sys/ioctl.h', 'net/if.h', 'linux/sockios.h', 'linux/if_ether.h', 'linux/netlink.h', 'linux/rtnetlink.h', 'linux/pkt_sched.h', 'linux/pkt_cls.h', 'linux/tc_act/tc_mirred.h'],
    defines: ['_GNU_SOURCE'],
    constants: `CLONE_NEWNET MS_BIND SIOCGIFHWADDR SIOCSIFHWADDR SIOCGIFMTU SIOCSIFMTU SIOCGIFINDEX SIOCSIFADDR AF_NETLINK SOCK_RAW NETLINK_ROUTE ETH_P_ALL
      NLM_F_REQUEST NLM_F_ACK NLM_F_CREATE NLM_F_EXCL NLMSG_ERROR RTM_NEWQDISC RTM_NEWTFILTER TCA_KIND TCA_OPTIONS TC_H_INGRESS TCA_U32_SEL TCA_U32_ACT TCA_ACT_KIND TCA_ACT_OPTIONS
      TCA_MIRRED_PARMS TCA_EGRESS_REDIR TC_ACT_STOLEN TC_U32_TERMINAL`,
    structs: {
      'struct nlmsghdr': 'nlmsg_len nlmsg_type nlmsg_flags',
      'struct tcmsg': 'tcm_ifindex tcm_handle tcm_parent tcm_info',
      'struct tc_u32_sel': 'flags nkeys',
      'struct tc_u32_key': '',
      'struct tc_mirred': 'action eaction ifindex',
    },
  },
  'vmm/host/uapi/linux.ts': {
    source: '<sys/mman.h>, <sys/epoll.h>, <signal.h>, <fcntl.h>, <termios.h>, <sys/uio.h>',
    headers: ['sys/mman.h', 'sys/epoll.h', 'sys/eventfd.h', 'signal.h', 'fcntl.h', 'asm/termbits.h', 'asm/ioctls.h', 'sys/uio.h', 'sys/syscall.h', 'sys/file.h', 'sys/prctl.h', 'linux/falloc.h', 'time.h', 'poll.h', 'linux/fs.h'],
    defines: ['_GNU_SOURCE'],
    constants: `PROT_READ PROT_WRITE MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_NORESERVE MAP_POPULATE MADV_DONTNEED MADV_HUGEPAGE MFD_CLOEXEC
      EFD_CLOEXEC EFD_NONBLOCK EPOLL_CLOEXEC EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLET
      SA_RESTART O_RDONLY O_RDWR O_CLOEXEC O_NOCTTY O_PATH SYS_tgkill SYS_gettid SYS_preadv2 SYS_rt_sigaction
      LOCK_SH LOCK_EX LOCK_NB LOCK_UN FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_ZERO_RANGE SEEK_SET SEEK_END SEEK_DATA SEEK_HOLE RWF_DSYNC RWF_NOWAIT PR_SET_NO_NEW_PRIVS
      TCGETS TCSETSW TCSETSF TIOCGWINSZ TIOCSWINSZ TIOCGPTN TIOCSPTLCK
      ISIG ICANON ECHO ECHONL IEXTEN IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON OPOST CSIZE PARENB CS8 VMIN VTIME POLLIN`,
    structs: {
      'struct epoll_event': 'events data',
      'struct iovec': 'iov_base iov_len',
      'struct termios': 'c_iflag c_oflag c_cflag c_lflag c_cc',
    },
  },
  'vmm/host/uapi/fuse.ts': {
    source: '<linux/fuse.h>',
    headers: ['linux/fuse.h'],
    structs: {
      'struct fuse_attr': 'ino size blocks atime mtime ctime atimensec mtimensec ctimensec mode nlink uid gid rdev blksize flags',
      'struct fuse_entry_out': 'nodeid generation entry_valid attr_valid entry_valid_nsec attr',
      'struct fuse_attr_out': 'attr_valid attr_valid_nsec attr',
      'struct fuse_open_out': 'fh open_flags',
      'struct fuse_getattr_in': 'getattr_flags fh',
      'struct fuse_setattr_in': 'valid fh size atime mtime atimensec mtimensec mode uid gid',
      'struct fuse_open_in': 'flags open_flags',
      'struct fuse_create_in': 'flags mode open_flags',
      'struct fuse_mknod_in': 'mode rdev',
      'struct fuse_mkdir_in': 'mode',
      'struct fuse_rename2_in': 'newdir flags',
      'struct fuse_link_in': 'oldnodeid',
      'struct fuse_flush_in': 'lock_owner',
      'struct fuse_read_in': 'fh offset size',
      'struct fuse_write_in': 'fh offset size write_flags flags',
      'struct fuse_write_out': 'size',
      'struct fuse_kstatfs': 'blocks bfree bavail files ffree bsize namelen frsize',
      'struct fuse_fsync_in': 'fh fsync_flags',
      'struct fuse_setxattr_in': 'size flags',
      'struct fuse_getxattr_in': 'size',
      'struct fuse_lk_in': 'fh owner lk.start lk.end lk.type lk.pid lk_flags',
      'struct fuse_file_lock': 'start end type pid',
      'struct fuse_fallocate_in': 'fh offset length mode',
      'struct fuse_lseek_in': 'fh offset whence',
      'struct fuse_copy_file_range_in': 'fh_in off_in nodeid_out fh_out off_out len flags',
      'struct fuse_dirent': 'ino off namelen type name',
    },
  },
  'vmm/host/uapi/files.ts': {
    source: '<sys/syscall.h>, <fcntl.h>, <linux/openat2.h>, <linux/stat.h>, <sys/statfs.h>, <dirent.h>, <sys/inotify.h>',
    headers: ['sys/syscall.h', 'fcntl.h', 'linux/openat2.h', 'linux/stat.h', 'sys/statfs.h', 'dirent.h', 'sched.h', 'sys/xattr.h', 'sys/uio.h', 'sys/inotify.h'],
    defines: ['_GNU_SOURCE'],
    constants: `SYS_openat2 SYS_openat SYS_close SYS_statx SYS_preadv SYS_pwritev SYS_getdents64 SYS_lseek SYS_readlinkat SYS_mkdirat SYS_mknodat SYS_symlinkat SYS_linkat SYS_unlinkat SYS_renameat2
      SYS_fchmodat SYS_fchownat SYS_utimensat SYS_ftruncate SYS_fsync SYS_fdatasync SYS_syncfs SYS_fstatfs SYS_fallocate SYS_copy_file_range SYS_fcntl SYS_flock
      SYS_setxattr SYS_lsetxattr SYS_getxattr SYS_lgetxattr SYS_listxattr SYS_removexattr SYS_setfsuid SYS_setfsgid SYS_setgroups SYS_unshare SYS_umask SYS_read SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch
      O_WRONLY O_CREAT O_EXCL O_TRUNC O_APPEND O_NONBLOCK O_DIRECTORY O_NOFOLLOW O_TMPFILE
      RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_NO_XDEV
      AT_FDCWD AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_EMPTY_PATH AT_REMOVEDIR
      STATX_BASIC_STATS STATX_BTIME STATX_MNT_ID
      S_IFMT S_IFDIR S_IFREG S_IFLNK S_IFIFO S_IFSOCK S_IFBLK S_IFCHR S_ISUID S_ISGID S_IXGRP
      F_OFD_GETLK F_OFD_SETLK F_RDLCK F_UNLCK F_WRLCK UTIME_NOW UTIME_OMIT CLONE_FS
      RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT
      IN_CLOEXEC IN_NONBLOCK IN_CREATE IN_DELETE IN_MODIFY IN_ATTRIB IN_MOVED_FROM IN_MOVED_TO IN_CLOSE_WRITE IN_IGNORED IN_Q_OVERFLOW IN_ISDIR`,
    structs: {
      'struct open_how': 'flags mode resolve',
      'struct statx': 'stx_blksize stx_nlink stx_uid stx_gid stx_mode stx_ino stx_size stx_blocks stx_atime stx_btime stx_ctime stx_mtime stx_rdev_major stx_rdev_minor stx_dev_major stx_dev_minor stx_mnt_id',
      'struct statfs': 'f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_namelen f_frsize',
      'struct dirent64': 'd_ino d_off d_reclen d_type d_name',
      'struct flock': 'l_type l_whence l_start l_len l_pid',
      'struct inotify_event': 'wd mask len name',
    },
  },
  'assembly/contract/generated/errno.ts': {
    source: '<errno.h>',
    headers: ['errno.h'],
    typed: [['i32', 'EPERM ENOENT ESRCH EINTR EIO ENXIO EBADF EAGAIN ENOMEM EACCES EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE EFBIG ENOSPC EROFS EPIPE ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENODATA EOPNOTSUPP ESTALE EBADMSG EMSGSIZE ENOBUFS ECONNREFUSED EBADFD']],
  },
  'assembly/contract/generated/kvm_run.ts': {
    source: '<linux/kvm.h>',
    headers: ['linux/kvm.h'],
    typed: [
      ['u32', `KVM_EXIT_IO KVM_EXIT_DEBUG KVM_EXIT_HLT KVM_EXIT_MMIO KVM_EXIT_IRQ_WINDOW_OPEN KVM_EXIT_SHUTDOWN KVM_EXIT_FAIL_ENTRY KVM_EXIT_INTR KVM_EXIT_INTERNAL_ERROR
        KVM_EXIT_SYSTEM_EVENT KVM_EXIT_IOAPIC_EOI KVM_EXIT_IO_OUT`],
    ],
    fields: { KVM_RUN_: ['struct kvm_run', 'exit_reason io.direction io.size io.port io.count io.data_offset mmio.phys_addr mmio.data mmio.len mmio.is_write'] },
  },
  'assembly/contract/generated/fuse.ts': {
    source: '<linux/fuse.h> (what is younger than 7.38: Linux 6.12)',
    headers: ['linux/fuse.h'],
    typed: [
      ['u32', 'FUSE_KERNEL_VERSION FUSE_ROOT_ID'],
      ['u32', `FUSE_LOOKUP FUSE_FORGET FUSE_GETATTR FUSE_SETATTR FUSE_READLINK FUSE_SYMLINK FUSE_MKNOD FUSE_MKDIR FUSE_UNLINK FUSE_RMDIR FUSE_RENAME FUSE_LINK FUSE_OPEN FUSE_READ
        FUSE_WRITE FUSE_STATFS FUSE_RELEASE FUSE_FSYNC FUSE_SETXATTR FUSE_GETXATTR FUSE_LISTXATTR FUSE_REMOVEXATTR FUSE_FLUSH FUSE_INIT FUSE_OPENDIR FUSE_READDIR FUSE_RELEASEDIR
        FUSE_FSYNCDIR FUSE_GETLK FUSE_SETLK FUSE_SETLKW FUSE_CREATE FUSE_INTERRUPT FUSE_DESTROY FUSE_BATCH_FORGET FUSE_FALLOCATE FUSE_READDIRPLUS FUSE_RENAME2
        FUSE_LSEEK FUSE_COPY_FILE_RANGE FUSE_SYNCFS FUSE_TMPFILE FUSE_STATX=52`, 'Operations.'],
      ['u64', `FUSE_ASYNC_READ FUSE_POSIX_LOCKS FUSE_ATOMIC_O_TRUNC FUSE_BIG_WRITES FUSE_FLOCK_LOCKS FUSE_AUTO_INVAL_DATA FUSE_DO_READDIRPLUS FUSE_READDIRPLUS_AUTO FUSE_ASYNC_DIO
        FUSE_WRITEBACK_CACHE FUSE_PARALLEL_DIROPS FUSE_MAX_PAGES FUSE_CACHE_SYMLINKS FUSE_SUBMOUNTS FUSE_HANDLE_KILLPRIV_V2 FUSE_SETXATTR_EXT FUSE_INIT_EXT
        FUSE_CREATE_SUPP_GROUP=1ull<<34 FUSE_DIRECT_IO_ALLOW_MMAP=1ull<<36`, 'Flags of FUSE_INIT.'],
      ['u32', 'FATTR_MODE FATTR_UID FATTR_GID FATTR_SIZE FATTR_ATIME FATTR_MTIME FATTR_FH FATTR_ATIME_NOW FATTR_MTIME_NOW FATTR_KILL_SUIDGID', 'What is valid in fuse_setattr_in.'],
      ['u32', 'FUSE_GETATTR_FH FUSE_WRITE_KILL_SUIDGID FUSE_OPEN_KILL_SUIDGID FUSE_LK_FLOCK FUSE_FSYNC_FDATASYNC FUSE_ATTR_SUBMOUNT FUSE_EXT_GROUPS=32 FOPEN_DIRECT_IO FOPEN_KEEP_CACHE', 'Flags of single operations.'],
    ],
    fields: {
      FUSE_IN_: ['struct fuse_in_header', 'len opcode unique nodeid uid gid pid total_extlen'],
    },
  },
  'assembly/contract/generated/virtio.ts': {
    source: 'virtio 1.2, <linux/virtio_*.h>; the text\'s names where Linux has others',
    headers: ['ids', 'config', 'ring', 'mmio', 'net', 'blk', 'console', 'balloon', 'vsock'].map((name) => `linux/virtio_${name}.h`),
    typed: [
      ['u32', 'VIRTIO_ID_NET VIRTIO_ID_BLOCK VIRTIO_ID_CONSOLE VIRTIO_ID_ENTROPY=VIRTIO_ID_RNG VIRTIO_ID_BALLOON VIRTIO_ID_SOCKET=VIRTIO_ID_VSOCK VIRTIO_ID_FS', 'Device IDs (§5).'],
      ['u32', `STATUS_ACKNOWLEDGE=VIRTIO_CONFIG_S_ACKNOWLEDGE STATUS_DRIVER=VIRTIO_CONFIG_S_DRIVER STATUS_DRIVER_OK=VIRTIO_CONFIG_S_DRIVER_OK
        STATUS_FEATURES_OK=VIRTIO_CONFIG_S_FEATURES_OK STATUS_DEVICE_NEEDS_RESET=VIRTIO_CONFIG_S_NEEDS_RESET STATUS_FAILED=VIRTIO_CONFIG_S_FAILED`, 'Device status field (§2.1).'],
      ['u64', features('VIRTIO_F_', 'INDIRECT_DESC=VIRTIO_RING_F_INDIRECT_DESC EVENT_IDX=VIRTIO_RING_F_EVENT_IDX VERSION_1 IN_ORDER RING_RESET'), 'Reserved feature bits (§6).'],
      ['u32', `VIRTQ_DESC_F_NEXT=VRING_DESC_F_NEXT VIRTQ_DESC_F_WRITE=VRING_DESC_F_WRITE VIRTQ_DESC_F_INDIRECT=VRING_DESC_F_INDIRECT
        VIRTQ_AVAIL_F_NO_INTERRUPT=VRING_AVAIL_F_NO_INTERRUPT VIRTQ_USED_F_NO_NOTIFY=VRING_USED_F_NO_NOTIFY`, 'Split virtqueues (§2.7).'],
      // QUEUE_RESET is younger than some headers.
      ['u32', `VIRTIO_MMIO_MAGIC_VALUE VIRTIO_MMIO_VERSION VIRTIO_MMIO_DEVICE_ID VIRTIO_MMIO_VENDOR_ID VIRTIO_MMIO_DEVICE_FEATURES VIRTIO_MMIO_DEVICE_FEATURES_SEL
        VIRTIO_MMIO_DRIVER_FEATURES VIRTIO_MMIO_DRIVER_FEATURES_SEL VIRTIO_MMIO_QUEUE_SEL VIRTIO_MMIO_QUEUE_NUM_MAX VIRTIO_MMIO_QUEUE_NUM VIRTIO_MMIO_QUEUE_READY
        VIRTIO_MMIO_QUEUE_NOTIFY VIRTIO_MMIO_INTERRUPT_STATUS VIRTIO_MMIO_INTERRUPT_ACK VIRTIO_MMIO_STATUS VIRTIO_MMIO_QUEUE_DESC_LOW VIRTIO_MMIO_QUEUE_DESC_HIGH
        VIRTIO_MMIO_QUEUE_DRIVER_LOW=VIRTIO_MMIO_QUEUE_AVAIL_LOW VIRTIO_MMIO_QUEUE_DRIVER_HIGH=VIRTIO_MMIO_QUEUE_AVAIL_HIGH
        VIRTIO_MMIO_QUEUE_DEVICE_LOW=VIRTIO_MMIO_QUEUE_USED_LOW VIRTIO_MMIO_QUEUE_DEVICE_HIGH=VIRTIO_MMIO_QUEUE_USED_HIGH
        VIRTIO_MMIO_SHM_SEL VIRTIO_MMIO_SHM_LEN_LOW VIRTIO_MMIO_SHM_BASE_HIGH VIRTIO_MMIO_QUEUE_RESET=0xc0 VIRTIO_MMIO_CONFIG_GENERATION VIRTIO_MMIO_CONFIG`, 'MMIO registers (§4.2.2).'],
      ['u32', 'INTERRUPT_USED=VIRTIO_MMIO_INT_VRING INTERRUPT_CONFIG=VIRTIO_MMIO_INT_CONFIG', 'InterruptStatus bits (§4.2.2).'],
      // USO is younger than some headers.
      ['u64', features('VIRTIO_NET_F_', `CSUM GUEST_CSUM CTRL_GUEST_OFFLOADS MTU MAC GUEST_TSO4 GUEST_TSO6 GUEST_ECN HOST_TSO4 HOST_TSO6 HOST_ECN MRG_RXBUF STATUS CTRL_VQ CTRL_RX CTRL_VLAN
        CTRL_RX_EXTRA GUEST_ANNOUNCE CTRL_MAC_ADDR GUEST_USO4=54 GUEST_USO6=55 HOST_USO=56`), 'Network device: features (§5.1.3), status (§5.1.4), header (§5.1.6), commands (§5.1.6.5).'],
      ['u32', `VIRTIO_NET_S_LINK_UP VIRTIO_NET_S_ANNOUNCE
        VIRTIO_NET_HDR_F_NEEDS_CSUM VIRTIO_NET_HDR_F_DATA_VALID VIRTIO_NET_HDR_GSO_NONE VIRTIO_NET_HDR_GSO_TCPV4 VIRTIO_NET_HDR_GSO_TCPV6 VIRTIO_NET_HDR_GSO_UDP_L4=5 VIRTIO_NET_HDR_GSO_ECN
        VIRTIO_NET_OK VIRTIO_NET_ERR VIRTIO_NET_CTRL_RX VIRTIO_NET_CTRL_RX_PROMISC VIRTIO_NET_CTRL_RX_ALLMULTI VIRTIO_NET_CTRL_RX_ALLUNI VIRTIO_NET_CTRL_RX_NOMULTI VIRTIO_NET_CTRL_RX_NOUNI
        VIRTIO_NET_CTRL_RX_NOBCAST VIRTIO_NET_CTRL_MAC VIRTIO_NET_CTRL_MAC_TABLE_SET VIRTIO_NET_CTRL_MAC_ADDR_SET VIRTIO_NET_CTRL_VLAN VIRTIO_NET_CTRL_VLAN_ADD VIRTIO_NET_CTRL_VLAN_DEL
        VIRTIO_NET_CTRL_ANNOUNCE VIRTIO_NET_CTRL_ANNOUNCE_ACK VIRTIO_NET_CTRL_GUEST_OFFLOADS VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET`],
      ['u64', features('VIRTIO_BLK_F_', 'SIZE_MAX SEG_MAX RO BLK_SIZE FLUSH TOPOLOGY CONFIG_WCE MQ DISCARD WRITE_ZEROES'), 'Block device: features (§5.2.3), requests and their status (§5.2.6).'],
      ['u32', `VIRTIO_BLK_T_IN VIRTIO_BLK_T_OUT VIRTIO_BLK_T_FLUSH VIRTIO_BLK_T_GET_ID VIRTIO_BLK_T_DISCARD VIRTIO_BLK_T_WRITE_ZEROES
        VIRTIO_BLK_S_OK VIRTIO_BLK_S_IOERR VIRTIO_BLK_S_UNSUPP VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP VIRTIO_BLK_ID_BYTES`],
      ['u64', features('VIRTIO_CONSOLE_F_', 'SIZE EMERG_WRITE'), 'Console: features (§5.3.3).'],
      ['u64', features('VIRTIO_BALLOON_F_', 'MUST_TELL_HOST STATS_VQ DEFLATE_ON_OOM PAGE_REPORTING=VIRTIO_BALLOON_F_REPORTING'), 'Balloon: features (§5.5.3); its pages are 4 KiB whatever the guest\'s are (§5.5.6).'],
      ['u32', 'VIRTIO_BALLOON_PFN_SHIFT'],
      ['u32', `VIRTIO_VSOCK_TYPE_STREAM VIRTIO_VSOCK_OP_REQUEST VIRTIO_VSOCK_OP_RESPONSE VIRTIO_VSOCK_OP_RST VIRTIO_VSOCK_OP_SHUTDOWN VIRTIO_VSOCK_OP_RW
        VIRTIO_VSOCK_OP_CREDIT_UPDATE VIRTIO_VSOCK_OP_CREDIT_REQUEST VIRTIO_VSOCK_SHUTDOWN_RCV VIRTIO_VSOCK_SHUTDOWN_SEND VIRTIO_VSOCK_EVENT_TRANSPORT_RESET`, 'Socket device: operations and events (§5.10.6).'],
    ],
  },
};

/** A feature is a bit's number in the headers, and the bit here. */
function features(prefix, names) {
  return names.split(/\s+/).map((name) => name.split('=')).map(([name, theirs]) => `${prefix}${name}=1ull<<${theirs ?? `${prefix}${name}`}`).join(' ');
}

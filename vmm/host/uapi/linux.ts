// Made by scripts/uapi.mjs from <sys/mman.h>, <sys/epoll.h>, <signal.h>, <fcntl.h>, <termios.h>, <sys/uio.h>; do not edit.

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 16;
export const MAP_ANONYMOUS = 32;
export const MAP_NORESERVE = 16384;
export const MAP_POPULATE = 32768;
export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
export const MFD_CLOEXEC = 1;
export const EFD_CLOEXEC = 0x80000;
export const EFD_NONBLOCK = 2048;
export const EPOLL_CLOEXEC = 0x80000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLET = 0x80000000;
export const SA_RESTART = 0x10000000;
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_CLOEXEC = 0x80000;
export const O_NOCTTY = 256;
export const O_PATH = 0x200000;
export const SYS_tgkill = 234;
export const SYS_gettid = 186;
export const SYS_preadv2 = 327;
export const SYS_rt_sigaction = 13;
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_COLLAPSE_RANGE = 8;
export const FALLOC_FL_ZERO_RANGE = 16;
export const SEEK_SET = 0;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const RWF_DSYNC = 2;
export const RWF_NOWAIT = 8;
export const PR_SET_NO_NEW_PRIVS = 38;
export const TCGETS = 21505;
export const TCSETSW = 21507;
export const TCSETSF = 21508;
export const TIOCGWINSZ = 21523;
export const TIOCSWINSZ = 21524;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const ISIG = 1;
export const ICANON = 2;
export const ECHO = 8;
export const ECHONL = 64;
export const IEXTEN = 32768;
export const IGNBRK = 1;
export const BRKINT = 2;
export const PARMRK = 8;
export const ISTRIP = 32;
export const INLCR = 64;
export const IGNCR = 128;
export const ICRNL = 256;
export const IXON = 1024;
export const OPOST = 1;
export const CSIZE = 48;
export const PARENB = 256;
export const CS8 = 48;
export const VMIN = 6;
export const VTIME = 5;
export const POLLIN = 1;

/** Byte offsets in `struct epoll_event`, and its size. */
export const epoll_event = {
  sizeof: 12,
  events: 0,
  data: 4,
} as const;

/** Byte offsets in `struct iovec`, and its size. */
export const iovec = {
  sizeof: 16,
  iov_base: 0,
  iov_len: 8,
} as const;

/** Byte offsets in `struct termios`, and its size. */
export const termios = {
  sizeof: 36,
  c_iflag: 0,
  c_oflag: 4,
  c_cflag: 8,
  c_lflag: 12,
  c_cc: 17,
} as const;

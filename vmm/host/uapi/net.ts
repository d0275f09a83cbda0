// Made by scripts/uapi.mjs from <linux/if_tun.h>, <linux/if.h>, <sys/socket.h>, <sys/un.h>, <fcntl.h>; do not edit.

export const TUNSETIFF = 0x400454ca;
export const TUNGETIFF = 0x800454d2;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNSETVNETHDRSZ = 0x400454d8;
export const IFF_TAP = 2;
export const IFF_NO_PI = 4096;
export const IFF_VNET_HDR = 16384;
export const IFF_UP = 1;
export const IFNAMSIZ = 16;
export const SIOCGIFFLAGS = 35091;
export const SIOCSIFFLAGS = 35092;
export const SIOCGIFADDR = 35093;
export const SIOCGIFNETMASK = 35099;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_TYPE = 3;
export const SCM_RIGHTS = 1;
export const MSG_DONTWAIT = 64;
export const MSG_NOSIGNAL = 16384;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const F_DUPFD_CLOEXEC = 1030;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const O_NONBLOCK = 2048;

/** Byte offsets in `struct ifreq`, and its size. */
export const ifreq = {
  sizeof: 40,
  ifr_name: 0,
  ifr_flags: 16,
  ifr_addr: 16,
} as const;

/** Byte offsets in `struct sockaddr_in`, and its size. */
export const sockaddr_in = {
  sizeof: 16,
  sin_addr: 4,
} as const;

/** Byte offsets in `struct sockaddr_un`, and its size. */
export const sockaddr_un = {
  sizeof: 110,
  sun_family: 0,
  sun_path: 2,
} as const;

/** Byte offsets in `struct msghdr`, and its size. */
export const msghdr = {
  sizeof: 56,
  msg_name: 0,
  msg_namelen: 8,
  msg_iov: 16,
  msg_iovlen: 24,
  msg_control: 32,
  msg_controllen: 40,
} as const;

/** Byte offsets in `struct cmsghdr`, and its size. */
export const cmsghdr = {
  sizeof: 16,
  cmsg_len: 0,
  cmsg_level: 8,
  cmsg_type: 12,
} as const;

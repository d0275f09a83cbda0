// Made by scripts/uapi.mjs from <sched.h>, <sys/mount.h>, <linux/rtnetlink.h>, <linux/pkt_cls.h>, <linux/tc_act/tc_mirred.h>; do not edit.

export const CLONE_NEWNET = 0x40000000;
export const MS_BIND = 4096;
export const SIOCGIFHWADDR = 35111;
export const SIOCSIFHWADDR = 35108;
export const SIOCGIFMTU = 35105;
export const SIOCSIFMTU = 35106;
export const SIOCGIFINDEX = 35123;
export const SIOCSIFADDR = 35094;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const ETH_P_ALL = 3;
export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_CREATE = 1024;
export const NLM_F_EXCL = 512;
export const NLMSG_ERROR = 2;
export const RTM_NEWQDISC = 36;
export const RTM_NEWTFILTER = 44;
export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;
export const TC_H_INGRESS = 0xfffffff1;
export const TCA_U32_SEL = 5;
export const TCA_U32_ACT = 7;
export const TCA_ACT_KIND = 1;
export const TCA_ACT_OPTIONS = 2;
export const TCA_MIRRED_PARMS = 2;
export const TCA_EGRESS_REDIR = 1;
export const TC_ACT_STOLEN = 4;
export const TC_U32_TERMINAL = 1;

/** Byte offsets in `struct nlmsghdr`, and its size. */
export const nlmsghdr = {
  sizeof: 16,
  nlmsg_len: 0,
  nlmsg_type: 4,
  nlmsg_flags: 6,
} as const;

/** Byte offsets in `struct tcmsg`, and its size. */
export const tcmsg = {
  sizeof: 20,
  tcm_ifindex: 4,
  tcm_handle: 8,
  tcm_parent: 12,
  tcm_info: 16,
} as const;

/** Byte offsets in `struct tc_u32_sel`, and its size. */
export const tc_u32_sel = {
  sizeof: 16,
  flags: 0,
  nkeys: 2,
} as const;

/** Byte offsets in `struct tc_u32_key`, and its size. */
export const tc_u32_key = {
  sizeof: 16,
} as const;

/** Byte offsets in `struct tc_mirred`, and its size. */
export const tc_mirred = {
  sizeof: 28,
  action: 8,
  eaction: 20,
  ifindex: 24,
} as const;

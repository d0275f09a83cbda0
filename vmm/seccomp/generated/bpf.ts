// Made by scripts/uapi.mjs from <linux/seccomp.h>, <linux/filter.h>, <linux/audit.h>; do not edit.

export const BPF_LD = 0;
export const BPF_W = 0;
export const BPF_ABS = 32;
export const BPF_JMP = 5;
export const BPF_JA = 0;
export const BPF_JEQ = 16;
export const BPF_JGE = 48;
export const BPF_JGT = 32;
export const BPF_ALU = 4;
export const BPF_AND = 80;
export const BPF_K = 0;
export const BPF_RET = 6;
export const BPF_MAXINSNS = 4096;
export const SECCOMP_RET_KILL_PROCESS = 0x80000000;
export const SECCOMP_RET_KILL_THREAD = 0;
export const SECCOMP_RET_TRAP = 0x30000;
export const SECCOMP_RET_ERRNO = 0x50000;
export const SECCOMP_RET_TRACE = 0x7ff00000;
export const SECCOMP_RET_LOG = 0x7ffc0000;
export const SECCOMP_RET_ALLOW = 0x7fff0000;
export const SECCOMP_RET_DATA = 65535;
export const AUDIT_ARCH_X86_64 = 0xc000003e;
export const AUDIT_ARCH_I386 = 0x40000003;

/** Byte offsets in `struct seccomp_data`, and its size. */
export const seccomp_data = {
  sizeof: 64,
  nr: 0,
  arch: 4,
  args: 16,
} as const;

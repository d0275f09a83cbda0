// Made by scripts/uapi.mjs from <errno.h>; do not edit.

export const EPERM: i32 = 1;
export const ESRCH: i32 = 3;
export const EINTR: i32 = 4;
export const EIO: i32 = 5;
export const ENXIO: i32 = 6;
export const EAGAIN: i32 = 11;
export const EBUSY: i32 = 16;
export const EEXIST: i32 = 17;
export const ENODEV: i32 = 19;
export const EINVAL: i32 = 22;
export const ENOSPC: i32 = 28;
export const EROFS: i32 = 30;
export const EPIPE: i32 = 32;
export const ERANGE: i32 = 34;
export const ENOSYS: i32 = 38;
export const ENODATA: i32 = 61;
export const EOPNOTSUPP: i32 = 95;

// Made by scripts/uapi.mjs from <linux/io_uring.h>, io_uring_setup(2), io_uring_enter(2); do not edit.

export const SYS_io_uring_setup = 425;
export const SYS_io_uring_enter = 426;
export const IORING_OP_READV = 1;
export const IORING_OP_WRITEV = 2;
export const IORING_OP_FSYNC = 3;
export const IORING_OP_POLL_ADD = 6;
export const IORING_OP_READ = 22;
export const IORING_OP_WRITE = 23;
export const IORING_SETUP_SINGLE_ISSUER = 4096;
export const IORING_SETUP_DEFER_TASKRUN = 8192;
export const IORING_SETUP_TASKRUN_FLAG = 512;
export const IORING_SQ_TASKRUN = 4;
export const IORING_ENTER_GETEVENTS = 1;
export const IORING_FSYNC_DATASYNC = 1;
export const IORING_FEAT_SINGLE_MMAP = 1;
export const IORING_FEAT_NODROP = 2;
export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_SQES = 0x10000000;
export const IORING_POLL_ADD_MULTI = 1;
export const IORING_CQE_F_MORE = 2;
export const IOSQE_CQE_SKIP_SUCCESS = 64;

/** Byte offsets in `struct io_uring_params`, and its size. */
export const io_uring_params = {
  sizeof: 120,
  sq_entries: 0,
  cq_entries: 4,
  flags: 8,
  sq_thread_cpu: 12,
  sq_thread_idle: 16,
  features: 20,
  wq_fd: 24,
  sq_off_head: 40,
  sq_off_tail: 44,
  sq_off_ring_mask: 48,
  sq_off_ring_entries: 52,
  sq_off_flags: 56,
  sq_off_dropped: 60,
  sq_off_array: 64,
  cq_off_head: 80,
  cq_off_tail: 84,
  cq_off_ring_mask: 88,
  cq_off_ring_entries: 92,
  cq_off_overflow: 96,
  cq_off_cqes: 100,
} as const;

/** Byte offsets in `struct io_uring_sqe`, and its size. */
export const io_uring_sqe = {
  sizeof: 64,
  opcode: 0,
  flags: 1,
  fd: 4,
  off: 8,
  addr: 16,
  len: 24,
  rw_flags: 28,
  user_data: 32,
} as const;

/** Byte offsets in `struct io_uring_cqe`, and its size. */
export const io_uring_cqe = {
  sizeof: 16,
  user_data: 0,
  res: 8,
  flags: 12,
} as const;

/** Numbers of assembly/core/machine.ts and host.ts that the host needs; a test compares them with those files. */
export const MACHINE_F_SOFT_IRQ = 1;
export const MACHINE_F_THREADS = 2;
export const MACHINE_F_DEBUG_EXIT = 4;

export const MACHINE_EV_POWEROFF = 1;
export const MACHINE_EV_REBOOT = 2;
export const MACHINE_EV_PANIC = 3;
export const MACHINE_EV_HALT = 4;
export const MACHINE_EV_RESET = 5;
export const MACHINE_EV_DEBUG_EXIT = 6;
export const MACHINE_EV_MARK = 8;
export const MACHINE_EV_INPUT = 9;
export const MACHINE_EV_NEEDS_RESET = 10;
export const MACHINE_EV_ACTIVE = 11;

/** Of the host alone: disk `a` answered a request of the guest with errno `b`. */
export const HOST_EV_DISK_ERROR = 0x100;
/** Of the host alone: the trace file cannot be written any more, errno `b`. */
export const HOST_EV_TRACE_ERROR = 0x101;

/** `queue` of `host_kick` and `device_process` for a reset and the like (assembly/core/host.ts). */
export const HOST_KICK_DEVICE = 0xffff;

/** `device` of `host_console` for COM1. */
export const HOST_SERIAL = 0x100;

export const MACHINE_EV_TRACE_PIO = 16;
export const MACHINE_EV_TRACE_MMIO = 17;
export const MACHINE_EV_TRACE_IRQ = 18;
export const MACHINE_EV_TRACE_VIRTIO = 19;

/** The machine as a whole: flags of `machine_init`, kinds of `host_event`, what can be traced. Both compilers read this folder: plain constants only. */

/** Interrupts go to the core's own IOAPIC (assembly/cpu), not to `host_irq`. */
export const MACHINE_F_SOFT_IRQ: u32 = 1;
/** Queues are processed by another thread than the one that runs a vCPU, so a vCPU may wait for it. */
export const MACHINE_F_THREADS: u32 = 2;
/** Port 0xf4 ends the run. */
export const MACHINE_F_DEBUG_EXIT: u32 = 4;

// Kinds of `host_event`. Those below MACHINE_EV_LAST_END also end the run.
export const MACHINE_EV_POWEROFF: u32 = 1; // POWER_CODE_POWEROFF
export const MACHINE_EV_REBOOT: u32 = 2; // POWER_CODE_REBOOT
export const MACHINE_EV_PANIC: u32 = 3; // POWER_CODE_PANIC
export const MACHINE_EV_HALT: u32 = 4; // POWER_CODE_HALT
export const MACHINE_EV_RESET: u32 = 5; // the i8042's reset line or port 0xcf9
export const MACHINE_EV_DEBUG_EXIT: u32 = 6; // a = byte written to port 0xf4
export const MACHINE_EV_LAST_END: u32 = 7;
export const MACHINE_EV_MARK: u32 = 8; // a = byte written to port 0x601
export const MACHINE_EV_INPUT: u32 = 9; // a = device that can take console input again
export const MACHINE_EV_NEEDS_RESET: u32 = 10; // a = slot, b = REASON_* of devices.ts
export const MACHINE_EV_ACTIVE: u32 = 11; // a = slot whose driver set DRIVER_OK
export const MACHINE_EV_TRACE_PIO: u32 = 16; // a = port | size << 16 | write << 24, b = value
export const MACHINE_EV_TRACE_MMIO: u32 = 17; // a = low half of the gpa, b = value in 56 bits, above it size | write << 7
export const MACHINE_EV_TRACE_IRQ: u32 = 18; // a = line
export const MACHINE_EV_TRACE_VIRTIO: u32 = 19; // a = slot | queue << 8, b = head of the chain
// Of the host alone, from the threads that serve disks and traces.
export const HOST_EV_DISK_ERROR: u32 = 0x100; // a = disk that answered a request with errno b
export const HOST_EV_TRACE_ERROR: u32 = 0x101; // the trace file cannot be written any more, b = errno
export const HOST_EV_NET_LOST: u32 = 0x102; // a = card whose cable has no other end any more, b = errno, 0 where it was closed
export const HOST_EV_NET_CAPTURE: u32 = 0x103; // a = card whose capture cannot be written any more, b = errno
export const HOST_EV_SHARE_STUCK: u32 = 0x104; // a = share for which a call of the host does not end
export const HOST_EV_SHARE_UNWATCHED: u32 = 0x105; // a = share with directories that cannot be watched, b = errno; 0: its guest raises no changes

// Bits of `machine_trace`, and of --trace.
export const TRACE_PIO: u32 = 1;
export const TRACE_MMIO: u32 = 2;
export const TRACE_IRQ: u32 = 4;
export const TRACE_VIRTIO: u32 = 8;
/** Of the host alone: executed blocks, in counted runs. */
export const TRACE_EXEC: u32 = 16;

/** What the guest writes to POWER_PORT (guest-kernel's vmm_power). */
export const POWER_CODE_POWEROFF: u32 = 1;
export const POWER_CODE_REBOOT: u32 = 2;
export const POWER_CODE_PANIC: u32 = 3;
export const POWER_CODE_HALT: u32 = 4;
/** Sleep control and status registers of the hardware-reduced machine (ACPI 6.5 §4.8.3.7), one byte each. */
export const SLEEP_CONTROL_PORT: u32 = 0x604;
export const SLEEP_STATUS_PORT: u32 = 0x605;
/** SLP_TYP of S5 in the DSDT's _S5_. */
export const S5_SLEEP_TYPE: u32 = 5;

/**
 * What the core asks of the host: the module's only imports beside its memory (vmm/core/instance.ts supplies them).
 * All pointers are offsets into the linear memory; the host checks each range before it touches it. No host address
 * or descriptor ever comes back: results are plain numbers.
 */

/** Sets GSI `line` to `level` (0 or 1); used when interrupts live outside the core (KVM's irqchip). */
@external('host', 'irq')
export declare function host_irq(line: u32, level: u32): void;

/** The driver rang queue `queue` of device slot `device` on this vCPU's thread. The host calls `device_process` itself or wakes the owner. */
@external('host', 'kick')
export declare function host_kick(device: u32, queue: u32): void;

/**
 * One block request on disk `disk`. `op`: VIRTIO_BLK_T_*. `offset`: bytes. `iov`: table of {u32 linear offset, u32 length} × `count`.
 * Returns bytes moved (≥ 0), -errno, or HOST_PENDING when the host will call `blk_complete(device, tag, result)` later.
 */
@external('host', 'blk')
export declare function host_blk(disk: u32, op: u32, offset: u64, iov: u32, count: u32, tag: u32): i32;

/** Request `tag` of the file system in `device` (assembly/contract/fs.ts), or FS_RESET. The host ends it by `fs_complete`, never within this call. */
@external('host', 'fs')
export declare function host_fs(device: u32, tag: u32): void;

/**
 * A frame of the card in slot `device`; `op`: HOST_NET_*. `hdr`: its virtio_net_hdr, in the device's own memory; `iov`: table of
 * {u32 linear offset, u32 length} × `count` for the frame itself, `bytes` long in all. The device is locked meanwhile.
 */
@external('host', 'net')
export declare function host_net(device: u32, op: u32, hdr: u32, iov: u32, count: u32, bytes: u32): i32;

/**
 * Bytes that device slot `device` (console or serial) sends to the user. Returns how many were taken; the rest is asked again
 * after `console_drained(device)`.
 */
@external('host', 'console')
export declare function host_console(device: u32, ptr: u32, len: u32): u32;

/** A vsock event for connection `conn`: see VSOCK_EV_* in assembly/contract/hooks.ts. Data at `ptr` is only valid during the call. */
@external('host', 'vsock')
export declare function host_vsock(conn: u32, event: u32, ptr: u32, len: u32): void;

/** A machine event (MACHINE_EV_* in assembly/contract/machine.ts): power, reset, debug exit, mark, trace. */
@external('host', 'event')
export declare function host_event(kind: u32, a: u32, b: u64): void;

/**
 * Guest memory `gpa`..`gpa + len` (bytes, both multiples of 4096) is unused: its host pages may go (balloon, free-page
 * reporting). It must read as zeros or as before afterwards.
 */
@external('host', 'discard')
export declare function host_discard(gpa: f64, len: f64): void;

/** Fills `len` bytes at `ptr` with random data (seeded in replay mode). */
@external('host', 'random')
export declare function host_random(ptr: u32, len: u32): void;

/** Monotonic time in nanoseconds. */
@external('host', 'now')
export declare function host_now(): f64;

/** Wall clock, nanoseconds since the epoch. */
@external('host', 'wall')
export declare function host_wall(): f64;

/**
 * `queue` of `host_kick` when the device itself has something to tell (a reset, an emergency write): the owner calls
 * `device_process(device, HOST_KICK_DEVICE)`.
 */


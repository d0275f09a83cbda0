/** Arguments and results of the core's imports (assembly/core/host.ts). Both compilers read this folder: plain constants only. */

/** Or'ed to `op` of a write by `host_blk`: the data must be stable before it completes (RWF_DSYNC), the driver expects a write-through cache. */
export const HOST_BLK_SYNC: u32 = 0x100;
/** Result of `host_blk` for a request that ends later, by `blk_complete`. */
export const HOST_PENDING: i32 = -0x7000_0000;

/**
 * `queue` of `host_kick` when the device itself has something to tell (a reset, an emergency write): the owner calls
 * `device_process(device, HOST_KICK_DEVICE)`.
 */
export const HOST_KICK_DEVICE: u32 = 0xffff;

/** `device` of `host_console` for COM1. */
export const HOST_SERIAL: u32 = 0x100;

/** Events of `host_vsock`. `conn` is a handle; for REQUEST `ptr` is the host's port and `len` the guest's. */
export const VSOCK_EV_REQUEST: u32 = 1; // answer with vsock_accept or vsock_reset
export const VSOCK_EV_CONNECTED: u32 = 2; // the guest accepted vsock_connect
export const VSOCK_EV_DATA: u32 = 3; // bytes at ptr, only during the call; tell vsock_consumed when they are gone
export const VSOCK_EV_SHUTDOWN: u32 = 4; // len = VIRTIO_VSOCK_SHUTDOWN_* the guest has announced so far
export const VSOCK_EV_RESET: u32 = 5; // the connection is gone, its handle dead
export const VSOCK_EV_WRITABLE: u32 = 6; // vsock_send took less than it was given: try again

/** `op` of `host_net`. */
export const HOST_NET_SEND: u32 = 0; // a frame of the guest's: bytes taken; -EAGAIN: process the queue when there is room; another -errno: it is lost
export const HOST_NET_RECEIVE: u32 = 1; // room for a frame: its bytes, 0 for none, -ENOBUFS: it is kept until there is more room
export const HOST_NET_RECEIVE_LAST: u32 = 2; // the same where room cannot grow: a frame that does not fit is lost, and the next one tried
export const HOST_NET_OFFLOADS: u32 = 3; // `bytes` are the NET_* that the driver takes

/** Devices as the host adds and serves them. Both compilers read this folder: plain constants only. */

// Why a device needs a reset: b of MACHINE_EV_NEEDS_RESET.
export const REASON_QUEUE_ADDRESS: u32 = 1; // a ring outside guest memory, misaligned, or of a wrong size
export const REASON_AVAIL_INDEX: u32 = 2; // more available entries than the queue holds
export const REASON_DESCRIPTOR: u32 = 3; // index out of range, loop, wrong order or flags
export const REASON_ADDRESS: u32 = 4; // a buffer outside guest memory
export const REASON_INDIRECT: u32 = 5; // a bad indirect table
export const REASON_REQUEST: u32 = 6; // a chain the device type cannot answer

/** Queues of device types that have a fixed number. */
export const CONSOLE_QUEUES: u32 = 2;
export const NET_QUEUES: u32 = 3;
export const RNG_QUEUES: u32 = 1;
export const VSOCK_QUEUES: u32 = 3;
/** With reporting_vq, which virtio 1.2 §5.5.2 numbers 4 and Linux 2: queue 2 and 3 are there, for both to be right. */
export const BALLOON_QUEUES: u32 = 5;

/** Bytes of a sector, the unit of capacities and requests whatever the block size (virtio 1.2 §5.2.4). */
export const SECTOR: u32 = 512;
// Flags of `blk_add`.
export const BLK_READ_ONLY: u32 = 1;
export const BLK_DISCARD: u32 = 2;
/** Most pieces of a request's table for `host_blk`, {u32 linear offset, u32 length} each. */
export const BLK_SEGMENTS: u32 = 128;
/** A result for `blk_complete_many`: u32 tag, i32 bytes moved or -errno. */
export const BLK_RESULT_SIZE: u32 = 8;

// Offloads of a card's host side (`net_add`, HOST_NET_OFFLOADS): TUN_F_* of <linux/if_tun.h>.
export const NET_CSUM: u32 = 1;
export const NET_TSO4: u32 = 2;
export const NET_TSO6: u32 = 4;
export const NET_ECN: u32 = 8;
export const NET_USO4: u32 = 0x20;
export const NET_USO6: u32 = 0x40;
// Flags of `net_link`.
export const NET_LINK_UP: u32 = 1;
export const NET_LINK_ANNOUNCE: u32 = 2;
/** A card's queues. */
export const NET_RXQ: u32 = 0;
export const NET_TXQ: u32 = 1;
export const NET_CTRLQ: u32 = 2;
/** Longest frame in either direction: an Ethernet header and the longest IPv6 packet (§5.1.6.3). */
export const NET_FRAME_MAX: u32 = 65589;
/** Pieces of the chains that are held for reception: less than IOV_MAX, and room for the longest chain beside one more. */
export const RX_PIECES_MAX: u32 = 300;
/** Bytes of struct virtio_net_hdr, which `host_net` moves apart from the frame. */
export const NET_HDR_SIZE: u32 = 12;

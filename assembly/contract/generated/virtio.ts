// Made by scripts/uapi.mjs from virtio 1.2, <linux/virtio_*.h>; the text's names where Linux has others; do not edit.

// Device IDs (§5).
export const VIRTIO_ID_NET: u32 = 1;
export const VIRTIO_ID_BLOCK: u32 = 2;
export const VIRTIO_ID_CONSOLE: u32 = 3;
export const VIRTIO_ID_ENTROPY: u32 = 4;
export const VIRTIO_ID_BALLOON: u32 = 5;
export const VIRTIO_ID_SOCKET: u32 = 19;
export const VIRTIO_ID_FS: u32 = 26;

// Device status field (§2.1).
export const STATUS_ACKNOWLEDGE: u32 = 1;
export const STATUS_DRIVER: u32 = 2;
export const STATUS_DRIVER_OK: u32 = 4;
export const STATUS_FEATURES_OK: u32 = 8;
export const STATUS_DEVICE_NEEDS_RESET: u32 = 64;
export const STATUS_FAILED: u32 = 128;

// Reserved feature bits (§6).
export const VIRTIO_F_INDIRECT_DESC: u64 = 0x10000000;
export const VIRTIO_F_EVENT_IDX: u64 = 0x20000000;
export const VIRTIO_F_VERSION_1: u64 = 0x100000000;
export const VIRTIO_F_IN_ORDER: u64 = 0x800000000;
export const VIRTIO_F_RING_RESET: u64 = 0x10000000000;

// Split virtqueues (§2.7).
export const VIRTQ_DESC_F_NEXT: u32 = 1;
export const VIRTQ_DESC_F_WRITE: u32 = 2;
export const VIRTQ_DESC_F_INDIRECT: u32 = 4;
export const VIRTQ_AVAIL_F_NO_INTERRUPT: u32 = 1;
export const VIRTQ_USED_F_NO_NOTIFY: u32 = 1;

// MMIO registers (§4.2.2).
export const VIRTIO_MMIO_MAGIC_VALUE: u32 = 0;
export const VIRTIO_MMIO_VERSION: u32 = 4;
export const VIRTIO_MMIO_DEVICE_ID: u32 = 8;
export const VIRTIO_MMIO_VENDOR_ID: u32 = 12;
export const VIRTIO_MMIO_DEVICE_FEATURES: u32 = 16;
export const VIRTIO_MMIO_DEVICE_FEATURES_SEL: u32 = 20;
export const VIRTIO_MMIO_DRIVER_FEATURES: u32 = 32;
export const VIRTIO_MMIO_DRIVER_FEATURES_SEL: u32 = 36;
export const VIRTIO_MMIO_QUEUE_SEL: u32 = 48;
export const VIRTIO_MMIO_QUEUE_NUM_MAX: u32 = 52;
export const VIRTIO_MMIO_QUEUE_NUM: u32 = 56;
export const VIRTIO_MMIO_QUEUE_READY: u32 = 68;
export const VIRTIO_MMIO_QUEUE_NOTIFY: u32 = 80;
export const VIRTIO_MMIO_INTERRUPT_STATUS: u32 = 96;
export const VIRTIO_MMIO_INTERRUPT_ACK: u32 = 100;
export const VIRTIO_MMIO_STATUS: u32 = 112;
export const VIRTIO_MMIO_QUEUE_DESC_LOW: u32 = 128;
export const VIRTIO_MMIO_QUEUE_DESC_HIGH: u32 = 132;
export const VIRTIO_MMIO_QUEUE_DRIVER_LOW: u32 = 144;
export const VIRTIO_MMIO_QUEUE_DRIVER_HIGH: u32 = 148;
export const VIRTIO_MMIO_QUEUE_DEVICE_LOW: u32 = 160;
export const VIRTIO_MMIO_QUEUE_DEVICE_HIGH: u32 = 164;
export const VIRTIO_MMIO_SHM_SEL: u32 = 172;
export const VIRTIO_MMIO_SHM_LEN_LOW: u32 = 176;
export const VIRTIO_MMIO_SHM_BASE_HIGH: u32 = 188;
export const VIRTIO_MMIO_QUEUE_RESET: u32 = 192;
export const VIRTIO_MMIO_CONFIG_GENERATION: u32 = 252;
export const VIRTIO_MMIO_CONFIG: u32 = 256;

// InterruptStatus bits (§4.2.2).
export const INTERRUPT_USED: u32 = 1;
export const INTERRUPT_CONFIG: u32 = 2;

// Network device: features (§5.1.3), status (§5.1.4), header (§5.1.6), commands (§5.1.6.5).
export const VIRTIO_NET_F_CSUM: u64 = 1;
export const VIRTIO_NET_F_GUEST_CSUM: u64 = 2;
export const VIRTIO_NET_F_CTRL_GUEST_OFFLOADS: u64 = 4;
export const VIRTIO_NET_F_MTU: u64 = 8;
export const VIRTIO_NET_F_MAC: u64 = 32;
export const VIRTIO_NET_F_GUEST_TSO4: u64 = 128;
export const VIRTIO_NET_F_GUEST_TSO6: u64 = 256;
export const VIRTIO_NET_F_GUEST_ECN: u64 = 512;
export const VIRTIO_NET_F_HOST_TSO4: u64 = 2048;
export const VIRTIO_NET_F_HOST_TSO6: u64 = 4096;
export const VIRTIO_NET_F_HOST_ECN: u64 = 8192;
export const VIRTIO_NET_F_MRG_RXBUF: u64 = 32768;
export const VIRTIO_NET_F_STATUS: u64 = 0x10000;
export const VIRTIO_NET_F_CTRL_VQ: u64 = 0x20000;
export const VIRTIO_NET_F_CTRL_RX: u64 = 0x40000;
export const VIRTIO_NET_F_CTRL_VLAN: u64 = 0x80000;
export const VIRTIO_NET_F_CTRL_RX_EXTRA: u64 = 0x100000;
export const VIRTIO_NET_F_GUEST_ANNOUNCE: u64 = 0x200000;
export const VIRTIO_NET_F_CTRL_MAC_ADDR: u64 = 0x800000;
export const VIRTIO_NET_F_GUEST_USO4: u64 = 0x40000000000000;
export const VIRTIO_NET_F_GUEST_USO6: u64 = 0x80000000000000;
export const VIRTIO_NET_F_HOST_USO: u64 = 0x100000000000000;
export const VIRTIO_NET_S_LINK_UP: u32 = 1;
export const VIRTIO_NET_S_ANNOUNCE: u32 = 2;
export const VIRTIO_NET_HDR_F_NEEDS_CSUM: u32 = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID: u32 = 2;
export const VIRTIO_NET_HDR_GSO_NONE: u32 = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4: u32 = 1;
export const VIRTIO_NET_HDR_GSO_TCPV6: u32 = 4;
export const VIRTIO_NET_HDR_GSO_UDP_L4: u32 = 5;
export const VIRTIO_NET_HDR_GSO_ECN: u32 = 128;
export const VIRTIO_NET_OK: u32 = 0;
export const VIRTIO_NET_ERR: u32 = 1;
export const VIRTIO_NET_CTRL_RX: u32 = 0;
export const VIRTIO_NET_CTRL_RX_PROMISC: u32 = 0;
export const VIRTIO_NET_CTRL_RX_ALLMULTI: u32 = 1;
export const VIRTIO_NET_CTRL_RX_ALLUNI: u32 = 2;
export const VIRTIO_NET_CTRL_RX_NOMULTI: u32 = 3;
export const VIRTIO_NET_CTRL_RX_NOUNI: u32 = 4;
export const VIRTIO_NET_CTRL_RX_NOBCAST: u32 = 5;
export const VIRTIO_NET_CTRL_MAC: u32 = 1;
export const VIRTIO_NET_CTRL_MAC_TABLE_SET: u32 = 0;
export const VIRTIO_NET_CTRL_MAC_ADDR_SET: u32 = 1;
export const VIRTIO_NET_CTRL_VLAN: u32 = 2;
export const VIRTIO_NET_CTRL_VLAN_ADD: u32 = 0;
export const VIRTIO_NET_CTRL_VLAN_DEL: u32 = 1;
export const VIRTIO_NET_CTRL_ANNOUNCE: u32 = 3;
export const VIRTIO_NET_CTRL_ANNOUNCE_ACK: u32 = 0;
export const VIRTIO_NET_CTRL_GUEST_OFFLOADS: u32 = 5;
export const VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET: u32 = 0;

// Block device: features (§5.2.3), requests and their status (§5.2.6).
export const VIRTIO_BLK_F_SIZE_MAX: u64 = 2;
export const VIRTIO_BLK_F_SEG_MAX: u64 = 4;
export const VIRTIO_BLK_F_RO: u64 = 32;
export const VIRTIO_BLK_F_BLK_SIZE: u64 = 64;
export const VIRTIO_BLK_F_FLUSH: u64 = 512;
export const VIRTIO_BLK_F_TOPOLOGY: u64 = 1024;
export const VIRTIO_BLK_F_CONFIG_WCE: u64 = 2048;
export const VIRTIO_BLK_F_MQ: u64 = 4096;
export const VIRTIO_BLK_F_DISCARD: u64 = 8192;
export const VIRTIO_BLK_F_WRITE_ZEROES: u64 = 16384;
export const VIRTIO_BLK_T_IN: u32 = 0;
export const VIRTIO_BLK_T_OUT: u32 = 1;
export const VIRTIO_BLK_T_FLUSH: u32 = 4;
export const VIRTIO_BLK_T_GET_ID: u32 = 8;
export const VIRTIO_BLK_T_DISCARD: u32 = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES: u32 = 13;
export const VIRTIO_BLK_S_OK: u32 = 0;
export const VIRTIO_BLK_S_IOERR: u32 = 1;
export const VIRTIO_BLK_S_UNSUPP: u32 = 2;
export const VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP: u32 = 1;
export const VIRTIO_BLK_ID_BYTES: u32 = 20;

// Console: features (§5.3.3).
export const VIRTIO_CONSOLE_F_SIZE: u64 = 1;
export const VIRTIO_CONSOLE_F_EMERG_WRITE: u64 = 4;

// Balloon: features (§5.5.3); its pages are 4 KiB whatever the guest's are (§5.5.6).
export const VIRTIO_BALLOON_F_MUST_TELL_HOST: u64 = 1;
export const VIRTIO_BALLOON_F_STATS_VQ: u64 = 2;
export const VIRTIO_BALLOON_F_DEFLATE_ON_OOM: u64 = 4;
export const VIRTIO_BALLOON_F_PAGE_REPORTING: u64 = 32;
export const VIRTIO_BALLOON_PFN_SHIFT: u32 = 12;

// Socket device: operations and events (§5.10.6).
export const VIRTIO_VSOCK_TYPE_STREAM: u32 = 1;
export const VIRTIO_VSOCK_OP_REQUEST: u32 = 1;
export const VIRTIO_VSOCK_OP_RESPONSE: u32 = 2;
export const VIRTIO_VSOCK_OP_RST: u32 = 3;
export const VIRTIO_VSOCK_OP_SHUTDOWN: u32 = 4;
export const VIRTIO_VSOCK_OP_RW: u32 = 5;
export const VIRTIO_VSOCK_OP_CREDIT_UPDATE: u32 = 6;
export const VIRTIO_VSOCK_OP_CREDIT_REQUEST: u32 = 7;
export const VIRTIO_VSOCK_SHUTDOWN_RCV: u32 = 1;
export const VIRTIO_VSOCK_SHUTDOWN_SEND: u32 = 2;
export const VIRTIO_VSOCK_EVENT_TRANSPORT_RESET: u32 = 0;

/** Network device (virtio 1.2, §5.1): its own state, all of it in the device's private area. */
import { NET_CSUM, NET_ECN, NET_TSO4, NET_TSO6, NET_USO4, NET_USO6 } from '../contract/devices';
import {
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_S_LINK_UP,
} from '../contract/generated/virtio';
import { Device, device_config, device_private } from './device';

// struct virtio_net_config (§5.1.4); max_virtqueue_pairs does not exist without MQ.
export const CONFIG_MAC: usize = 0;
export const CONFIG_STATUS: usize = 6;
export const CONFIG_MTU: usize = 10;
export const NET_CONFIG_LEN: u32 = 12;

export const ETH_ALEN: u32 = 6;
export const ETH_HLEN: u32 = 14;
export const VLAN_HLEN: u32 = 4;

// struct virtio_net_hdr (§5.1.6).
export const HDR_FLAGS: usize = 0;
export const HDR_GSO_TYPE: usize = 1;
export const HDR_LEN: usize = 2;
export const HDR_GSO_SIZE: usize = 4;
export const HDR_CSUM_START: usize = 6;
export const HDR_CSUM_OFFSET: usize = 8;
export const HDR_NUM_BUFFERS: usize = 10;
export const NET_HDR: u32 = 12;

/** Entries of the MAC filter; a driver that wants more gets all frames of that kind. */
export const MACS_MAX: u32 = 64;
/** Bytes of the VLAN filter, a bit a VLAN. */
export const VLANS_SIZE: u32 = 512;
export const RX_CHAINS_MAX: u32 = 256;

// Where things lie in the private area.
const NET_TX_HDR: usize = 0x80;
const NET_RX_HDR: usize = 0x90;
const NET_HDR_PIECES: usize = 0xa0;
const NET_MACS: usize = 0x100;
const NET_VLANS: usize = 0x300;
const NET_CHAINS: usize = 0x500;
const NET_PIECES: usize = 0x1100;
const NET_COMMAND: usize = 0x1a60;

@unmanaged
export class Net {
  /** What guest offloads are in force: NET_* of contract/devices.ts. */
  offloads: u32;
  mtu: u32;
  // Chains taken for reception, in order, and not yet used.
  rx_chains: u32;
  rx_pieces: u32;
  /** Their bytes, without what was cut. */
  rx_bytes: u32;
  /** The header's place was cut from the first chain: into so many pieces. 0: not yet. */
  hdr_pieces: u32;
  // Filter (§5.1.6.5).
  rx_mode: u32; // bit n: VIRTIO_NET_CTRL_RX command n
  macs: u32;
  all_unicast: u32; // more than the table holds
  all_multicast: u32;
  permanent_low: u32; // the card's own address, which a reset restores
  permanent_high: u32;
  moved: u32; // bytes in this turn
  rx_dropped: u32;
  tx_dropped: u32;
  filtered: u32;
  /** Frames in a row that came, none of them longer than the MTU. */
  rx_small: u32;
}

/** A chain held for reception. */
@unmanaged
export class NetChain {
  head: u32;
  length: u32; // writable bytes, the header's place included
  pieces: u32;
}

@inline
export function net(d: Device): Net {
  return changetype<Net>(device_private(d));
}

@inline
export function net_tx_hdr(d: Device): usize {
  return device_private(d) + NET_TX_HDR;
}

@inline
export function net_rx_hdr(d: Device): usize {
  return device_private(d) + NET_RX_HDR;
}

@inline
export function net_hdr_table(d: Device): usize {
  return device_private(d) + NET_HDR_PIECES;
}

@inline
export function net_mac(d: Device, index: u32): usize {
  return device_private(d) + NET_MACS + ((<usize>index) << 3);
}

@inline
export function net_vlans(d: Device): usize {
  return device_private(d) + NET_VLANS;
}

@inline
export function net_chain(d: Device, index: u32): NetChain {
  return changetype<NetChain>(device_private(d) + NET_CHAINS + <usize>index * sizeof_chain);
}

export const sizeof_chain: usize = 12;

@inline
export function net_table(d: Device): usize {
  return device_private(d) + NET_PIECES;
}

/** 16 bytes for a command's parts and a frame's first bytes. */
@inline
export function net_command(d: Device): usize {
  return device_private(d) + NET_COMMAND;
}

@inline
export function net_link_up(d: Device): bool {
  return (load<u16>(device_config(d) + CONFIG_STATUS) & <u16>VIRTIO_NET_S_LINK_UP) != 0;
}

/** Guest offloads of a set of feature bits. */
export function net_guest_offloads(features: u64): u32 {
  if ((features & VIRTIO_NET_F_GUEST_CSUM) == 0) return 0;
  let set = NET_CSUM;
  if ((features & VIRTIO_NET_F_GUEST_TSO4) != 0) set |= NET_TSO4;
  if ((features & VIRTIO_NET_F_GUEST_TSO6) != 0) set |= NET_TSO6;
  if ((features & VIRTIO_NET_F_GUEST_ECN) != 0) set |= NET_ECN;
  if ((features & VIRTIO_NET_F_GUEST_USO4) != 0) set |= NET_USO4;
  if ((features & VIRTIO_NET_F_GUEST_USO6) != 0) set |= NET_USO6;
  return set;
}

/** The feature bits that VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET may name (§5.1.6.5.8). */
export function net_offload_features(d: Device): u64 {
  if ((d.driver_features & VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) == 0) return 0;
  const all = VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_GUEST_USO4 |
    VIRTIO_NET_F_GUEST_USO6;
  return d.driver_features & all;
}

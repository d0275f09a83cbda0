/**
 * Network device (virtio 1.2, §5.1): the card itself. Frames go to and come from the host by `host_net`, straight between its descriptor
 * and guest memory; the virtio_net_hdr alone passes through the device's own memory, where it is checked once. All of it runs under
 * the device's lock, so the host's calls must not block, and must not call back.
 */
import {
  NET_CSUM, NET_CTRLQ, NET_ECN, NET_LINK_ANNOUNCE, NET_LINK_UP, NET_QUEUES, NET_RXQ, NET_TSO4, NET_TSO6, NET_TXQ, NET_USO4, NET_USO6,
} from '../contract/devices';
import { EINVAL, ENODEV } from '../contract/generated/errno';
import {
  VIRTIO_ID_NET, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS, VIRTIO_NET_S_ANNOUNCE, VIRTIO_NET_S_LINK_UP,
} from '../contract/generated/virtio';
import { HOST_NET_OFFLOADS } from '../contract/hooks';
import { own_copy, own_fill, own_put16, own_put32 } from '../core/guest';
import { host_net } from '../core/host';
import { Device, device_config, device_config_changed, device_lock, device_of, device_unlock } from './device';
import { net_control_process } from './net_control';
import { net_receive_process } from './net_rx';
import { CONFIG_MAC, CONFIG_MTU, CONFIG_STATUS, ETH_ALEN, net, NET_CONFIG_LEN, net_guest_offloads, net_vlans, VLANS_SIZE } from './net_state';
import { net_transmit_process } from './net_tx';
import { Queue } from './queue';
import { device_new } from './slot';

const NET_QUEUE_SIZE: u32 = 256;
const MTU_MIN: u32 = 68;
const MTU_MAX: u32 = 65535;

const FEATURES: u64 = VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX |
  VIRTIO_NET_F_CTRL_RX_EXTRA | VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_GUEST_ANNOUNCE;

/**
 * Puts a card with the address at `mac` into the empty `slot`, its link down. `offloads`: NET_* that the host's side does, in both
 * directions. 0, -EINVAL, or what `device_new` says.
 */
export function net_add(slot: u32, offloads: u32, mtu: u32, mac: u32): i32 {
  if (mtu < MTU_MIN || mtu > MTU_MAX) return -EINVAL;
  const added = device_new(slot, VIRTIO_ID_NET, FEATURES | offload_features(offloads), NET_QUEUES, NET_QUEUE_SIZE, NET_CONFIG_LEN);
  if (added < 0) return added;
  const d = device_of(slot, VIRTIO_ID_NET);
  const c = device_config(d);
  own_copy(c + CONFIG_MAC, mac, ETH_ALEN);
  own_put16(c + CONFIG_MTU, mtu);
  const n = net(d);
  n.mtu = mtu;
  n.permanent_low = load<u32>(c, CONFIG_MAC);
  n.permanent_high = load<u16>(c, CONFIG_MAC + 4);
  return 0;
}

function offload_features(offloads: u32): u64 {
  if ((offloads & NET_CSUM) == 0) return 0;
  let features = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
  if ((offloads & NET_TSO4) != 0) features |= VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_GUEST_TSO4;
  if ((offloads & NET_TSO6) != 0) features |= VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_GUEST_TSO6;
  if ((offloads & (NET_TSO4 | NET_TSO6)) != 0 && (offloads & NET_ECN) != 0) features |= VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_GUEST_ECN;
  if ((offloads & NET_USO4) != 0 && (offloads & NET_USO6) != 0) features |= VIRTIO_NET_F_HOST_USO | VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6;
  return features;
}

/** The link of the card in `slot`: NET_LINK_UP or not; NET_LINK_ANNOUNCE asks the driver to announce itself, too. -ENODEV. */
export function net_link(slot: u32, flags: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_NET);
  if (changetype<usize>(d) == 0) return -ENODEV;
  device_lock(d);
  const at = device_config(d) + CONFIG_STATUS;
  const old = <u32>load<u16>(at);
  let status = (flags & NET_LINK_UP) != 0 ? VIRTIO_NET_S_LINK_UP : 0;
  if ((flags & NET_LINK_ANNOUNCE) != 0 && (d.driver_features & VIRTIO_NET_F_GUEST_ANNOUNCE) != 0) status |= VIRTIO_NET_S_ANNOUNCE;
  else status |= old & VIRTIO_NET_S_ANNOUNCE;
  if (status != old) {
    own_put16(at, status);
    device_config_changed(d);
  }
  device_unlock(d);
  return 0;
}

// ---- called by the transport ---------------------------------------------------------------------------------

export function net_negotiated(d: Device): void {
  net(d).offloads = net_guest_offloads(d.driver_features);
  // The host's side learns of it from the owner, with the first queue that is rung.
  d.owner_pending = 1;
}

/** The owner tells the host what a driver takes. */
export function net_owner(d: Device): void {
  host_net(d.slot, HOST_NET_OFFLOADS, 0, 0, 0, net(d).offloads);
}

export function net_reset(d: Device): void {
  const n = net(d);
  d.stalled = 0;
  forget_chains(d);
  n.offloads = 0;
  n.rx_mode = 0;
  n.macs = 0;
  n.all_unicast = 0;
  n.all_multicast = 0;
  own_fill(net_vlans(d), 0, VLANS_SIZE);
  const c = device_config(d);
  own_put32(c + CONFIG_MAC, n.permanent_low);
  own_put16(c + CONFIG_MAC + 4, n.permanent_high);
  own_put16(c + CONFIG_STATUS, load<u16>(c, CONFIG_STATUS) & <u16>VIRTIO_NET_S_LINK_UP);
}

/** Chains that were held are the driver's again. */
export function net_queue_reset(d: Device, q: Queue): void {
  d.stalled &= ~(1 << q.index);
  if (q.index == NET_RXQ) forget_chains(d);
}

function forget_chains(d: Device): void {
  const n = net(d);
  n.rx_chains = 0;
  n.rx_pieces = 0;
  n.rx_bytes = 0;
  n.hdr_pieces = 0;
  n.rx_small = 0;
}

export function net_process(d: Device, q: Queue): bool {
  switch (q.index) {
    case NET_RXQ: return net_receive_process(d, q);
    case NET_TXQ: return net_transmit_process(d, q);
    case NET_CTRLQ: return net_control_process(d, q);
    default: return false;
  }
}

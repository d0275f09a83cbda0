/** Network device: the control queue (virtio 1.2, §5.1.6.5). A command is class, command and data, then a byte for its status. */
import {
  VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_CTRL_RX_NOBCAST,
  VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_ERR, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_OK, VIRTIO_NET_S_ANNOUNCE,
} from '../contract/generated/virtio';
import { REASON_REQUEST } from '../contract/devices';
import { HOST_NET_OFFLOADS } from '../contract/hooks';
import { own_copy, own_put16, own_put8 } from '../core/guest';
import { host_net } from '../core/host';
import { Device, device_active, device_config, device_fail } from './device';
import { CONFIG_MAC, CONFIG_STATUS, ETH_ALEN, MACS_MAX, net, net_command, net_guest_offloads, net_mac, net_offload_features, net_vlans } from './net_state';
import { chain_read, chain_write, Queue, queue_no_kick, queue_pop, queue_publish, queue_used, queue_want_kick } from './queue';

export function net_control_process(d: Device, q: Queue): bool {
  if ((d.driver_features & VIRTIO_NET_F_CTRL_VQ) == 0) return false;
  let left = q.size;
  queue_no_kick(d, q);
  while (left != 0) {
    const got = queue_pop(d, q);
    if (got < 0) break;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      break;
    }
    left--;
    if (q.write_bytes == 0 || q.read_bytes < 2) {
      device_fail(d, REASON_REQUEST);
      break;
    }
    const c = net_command(d);
    chain_read(q, c, 2);
    own_put8(c, command(d, q, load<u8>(c), load<u8>(c, 1)) ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    chain_write(q, 0, c, 1);
    queue_used(q, q.head, 1);
  }
  if (device_active(d)) queue_publish(d, q);
  return left == 0;
}

function command(d: Device, q: Queue, kind: u32, command: u32): bool {
  switch (kind) {
    case VIRTIO_NET_CTRL_RX: return set_mode(d, q, command);
    case VIRTIO_NET_CTRL_MAC: return command == VIRTIO_NET_CTRL_MAC_TABLE_SET ? set_table(d, q) : command == VIRTIO_NET_CTRL_MAC_ADDR_SET && set_address(d, q);
    case VIRTIO_NET_CTRL_VLAN: return set_vlan(d, q, command);
    case VIRTIO_NET_CTRL_ANNOUNCE: return command == VIRTIO_NET_CTRL_ANNOUNCE_ACK && announced(d);
    case VIRTIO_NET_CTRL_GUEST_OFFLOADS: return command == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET && set_offloads(d, q);
    default: return false;
  }
}

/** Reads exactly `length` bytes of the command's data. */
function data(d: Device, q: Queue, length: u32): bool {
  return q.read_bytes >= length && chain_read(q, net_command(d), length) == length;
}

function set_mode(d: Device, q: Queue, command: u32): bool {
  const feature = command <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
  if (command > VIRTIO_NET_CTRL_RX_NOBCAST || (d.driver_features & feature) == 0 || !data(d, q, 1)) return false;
  const bit: u32 = 1 << command;
  const n = net(d);
  n.rx_mode = load<u8>(net_command(d)) != 0 ? n.rx_mode | bit : n.rx_mode & ~bit;
  return true;
}

/** Unicast addresses, then multicast ones, each behind their number. A list that says more than it has changes nothing. */
function set_table(d: Device, q: Queue): bool {
  if ((d.driver_features & VIRTIO_NET_F_CTRL_RX) == 0) return false;
  const n = net(d);
  n.macs = 0;
  n.all_unicast = 0;
  n.all_multicast = 0;
  const unicast = add_addresses(d, q);
  if (unicast < 0) return refuse_table(d);
  n.all_unicast = unicast;
  const multicast = add_addresses(d, q);
  if (multicast < 0) return refuse_table(d);
  n.all_multicast = multicast;
  return true;
}

/** Rather too many frames than none. */
function refuse_table(d: Device): bool {
  const n = net(d);
  n.macs = 0;
  n.all_unicast = 1;
  n.all_multicast = 1;
  return false;
}

/** 0, 1 when the table has no room for them all, -1 for a malformed list. */
function add_addresses(d: Device, q: Queue): i32 {
  const n = net(d);
  if (!data(d, q, 4)) return -1;
  const count = load<u32>(net_command(d));
  if (<u64>count * ETH_ALEN > q.read_bytes) return -1;
  let over: i32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (!data(d, q, ETH_ALEN)) return -1;
    if (n.macs == MACS_MAX) {
      over = 1;
    } else {
      own_copy(net_mac(d, n.macs), net_command(d), ETH_ALEN);
      n.macs++;
    }
  }
  return over;
}

function set_address(d: Device, q: Queue): bool {
  if ((d.driver_features & VIRTIO_NET_F_CTRL_MAC_ADDR) == 0 || q.read_bytes != ETH_ALEN || !data(d, q, ETH_ALEN)) return false;
  own_copy(device_config(d) + CONFIG_MAC, net_command(d), ETH_ALEN);
  return true;
}

function set_vlan(d: Device, q: Queue, command: u32): bool {
  if ((d.driver_features & VIRTIO_NET_F_CTRL_VLAN) == 0 || command > VIRTIO_NET_CTRL_VLAN_DEL || !data(d, q, 2)) return false;
  const vlan = <u32>load<u16>(net_command(d));
  if (vlan > 0xfff) return false;
  const at = net_vlans(d) + (vlan >> 3);
  const bit = <u32>1 << (vlan & 7);
  own_put8(at, command == VIRTIO_NET_CTRL_VLAN_ADD ? load<u8>(at) | bit : load<u8>(at) & ~bit);
  return true;
}

function announced(d: Device): bool {
  if ((d.driver_features & VIRTIO_NET_F_GUEST_ANNOUNCE) == 0) return false;
  const at = device_config(d) + CONFIG_STATUS;
  own_put16(at, load<u16>(at) & ~<u16>VIRTIO_NET_S_ANNOUNCE);
  return true;
}

function set_offloads(d: Device, q: Queue): bool {
  if (!data(d, q, 8)) return false;
  const wanted = load<u64>(net_command(d));
  const may = net_offload_features(d);
  if (may == 0 || (wanted & ~may) != 0) return false;
  const n = net(d);
  n.offloads = net_guest_offloads(wanted);
  host_net(d.slot, HOST_NET_OFFLOADS, 0, 0, 0, n.offloads);
  return true;
}

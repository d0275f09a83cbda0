/** Network device: which frames the driver wants (virtio 1.2, §5.1.6.5.1 to 3). */
import {
  VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_CTRL_RX_NOUNI,
  VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_MAC,
} from '../contract/generated/virtio';
import { own_copy } from '../core/guest';
import { Device, device_config } from './device';
import { CONFIG_MAC, net, net_command, net_mac, net_table, net_vlans } from './net_state';
import { table_len, table_ptr } from './queue';

/** ETH_P_8021Q as it stands in a frame. */
const VLAN_TPID: u32 = 0x0081;
const LOOKED_AT: u32 = 16;

/** The frame of `length` bytes in the chains held: has it a VLAN tag? */
export function net_tagged(d: Device, length: u32): bool {
  return length >= LOOKED_AT && load<u16>(first_bytes(d, length), 12) == VLAN_TPID;
}

/** The frame of `length` bytes, 14 at least, in the chains held: is it for this driver? */
export function net_wanted(d: Device, length: u32): bool {
  const f = d.driver_features;
  if ((f & (VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN)) == 0) return true;
  const frame = first_bytes(d, length);
  if ((f & VIRTIO_NET_F_CTRL_VLAN) != 0 && net_tagged(d, length)) {
    const vlan = (<u32>load<u8>(frame, 14) & 0xf) << 8 | load<u8>(frame, 15);
    if ((load<u8>(net_vlans(d) + (vlan >> 3)) & (1 << (vlan & 7))) == 0) return false;
  }
  // A driver that made up its own address has nobody to tell it to.
  if ((f & VIRTIO_NET_F_CTRL_RX) == 0 || (f & VIRTIO_NET_F_MAC) == 0) return true;
  return address_wanted(d, load<u32>(frame), load<u16>(frame, 4));
}

@inline
function mode(d: Device, command: u32): bool {
  return (net(d).rx_mode & (1 << command)) != 0;
}

function address_wanted(d: Device, low: u32, high: u32): bool {
  if (mode(d, VIRTIO_NET_CTRL_RX_PROMISC)) return true;
  const n = net(d);
  if (low == 0xffff_ffff && high == 0xffff) return !mode(d, VIRTIO_NET_CTRL_RX_NOBCAST);
  if ((low & 1) != 0) {
    if (mode(d, VIRTIO_NET_CTRL_RX_NOMULTI)) return false;
    if (mode(d, VIRTIO_NET_CTRL_RX_ALLMULTI) || n.all_multicast != 0) return true;
  } else {
    if (mode(d, VIRTIO_NET_CTRL_RX_NOUNI)) return false;
    if (mode(d, VIRTIO_NET_CTRL_RX_ALLUNI) || n.all_unicast != 0) return true;
    const c = device_config(d) + CONFIG_MAC;
    if (load<u32>(c) == low && load<u16>(c, 4) == high) return true;
  }
  for (let i: u32 = 0; i < n.macs; i++) {
    if (load<u32>(net_mac(d, i)) == low && load<u16>(net_mac(d, i), 4) == high) return true;
  }
  return false;
}

/** Where the first 16 bytes of the frame lie in one piece; of a shorter frame what is behind it means nothing. */
function first_bytes(d: Device, length: u32): usize {
  const table = net_table(d);
  if (table_len(table, 0) >= LOOKED_AT) return table_ptr(table, 0);
  const to = net_command(d);
  let done: u32 = 0;
  for (let i: u32 = 0; done < LOOKED_AT && done < length && i < net(d).rx_pieces; i++) {
    const part = min<u32>(table_len(table, i), LOOKED_AT - done);
    own_copy(to + done, table_ptr(table, i), part);
    done += part;
  }
  return to;
}

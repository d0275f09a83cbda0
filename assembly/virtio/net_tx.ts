/** Network device: what the driver sends (virtio 1.2, §5.1.6.2). */
import { NET_FRAME_MAX, NET_TXQ, REASON_REQUEST } from '../contract/devices';
import { EAGAIN } from '../contract/generated/errno';
import {
  VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4,
} from '../contract/generated/virtio';
import { HOST_NET_SEND } from '../contract/hooks';
import { own_put16, own_put32, own_put8 } from '../core/guest';
import { host_net } from '../core/host';
import { Device, device_active, device_fail } from './device';
import {
  ETH_HLEN, HDR_CSUM_OFFSET, HDR_CSUM_START, HDR_FLAGS, HDR_GSO_SIZE, HDR_GSO_TYPE, HDR_LEN, HDR_NUM_BUFFERS, net, NET_HDR, net_link_up, net_tx_hdr,
} from './net_state';
import { chain_read, Queue, queue_no_kick, queue_pop, queue_publish, queue_unpop, queue_used, queue_want_kick } from './queue';

/** Bytes of one turn, after which the owner looks at its other work. */
const TX_BUDGET: u32 = 4 << 20;

export function net_transmit_process(d: Device, q: Queue): bool {
  const n = net(d);
  n.moved = 0;
  d.stalled &= ~(1 << NET_TXQ);
  let left = q.size;
  let more = false;
  queue_no_kick(d, q);
  for (;;) {
    if (left == 0 || n.moved > TX_BUDGET) {
      more = true;
      break;
    }
    const got = queue_pop(d, q);
    if (got < 0) break;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      break;
    }
    left--;
    // A header, all of it to be read (§5.1.6.2).
    if (q.nwrite != 0 || q.read_bytes < NET_HDR) {
      device_fail(d, REASON_REQUEST);
      break;
    }
    const length = q.read_bytes - NET_HDR;
    const hdr = net_tx_hdr(d);
    chain_read(q, hdr, NET_HDR);
    if (net_link_up(d) && length >= ETH_HLEN && length <= NET_FRAME_MAX && header_valid(d, hdr, <u32>length)) {
      const result = host_net(d.slot, HOST_NET_SEND, <u32>hdr, <u32>(q.table + ((<usize>q.at) << 3)), q.nread - q.at, <u32>length);
      if (result == -EAGAIN) {
        // The host's side is full: it processes this queue when there is room again.
        queue_unpop(q, 1);
        d.stalled |= 1 << NET_TXQ;
        break;
      }
      n.moved += <u32>length;
      if (result < 0) n.tx_dropped++;
    } else {
      n.tx_dropped++;
    }
    queue_used(q, q.head, 0);
  }
  if (device_active(d)) queue_publish(d, q);
  return more;
}

/**
 * Checks the header in the device's own memory, and takes out of it what the driver has no right to: it goes on to the host's kernel.
 * False: the frame is dropped.
 */
function header_valid(d: Device, hdr: usize, length: u32): bool {
  const f = d.driver_features;
  // Bits that are not known are ignored (§5.1.6.2.2).
  const flags = (f & VIRTIO_NET_F_CSUM) != 0 ? load<u8>(hdr, HDR_FLAGS) & VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
  own_put8(hdr + HDR_FLAGS, flags);
  own_put16(hdr + HDR_NUM_BUFFERS, 0);
  if (flags == 0) own_put32(hdr + HDR_CSUM_START, 0);
  else if (<u32>load<u16>(hdr, HDR_CSUM_START) + load<u16>(hdr, HDR_CSUM_OFFSET) + 2 > length) return false;
  const gso = <u32>load<u8>(hdr, HDR_GSO_TYPE);
  if (gso == VIRTIO_NET_HDR_GSO_NONE) {
    own_put32(hdr + HDR_LEN, 0); // hdr_len and gso_size
    return true;
  }
  if (flags == 0 || load<u16>(hdr, HDR_GSO_SIZE) == 0) return false;
  if ((gso & VIRTIO_NET_HDR_GSO_ECN) != 0 && (f & VIRTIO_NET_F_HOST_ECN) == 0) return false;
  if (<u32>load<u16>(hdr, HDR_LEN) > length) own_put16(hdr + HDR_LEN, min<u32>(length, 0xffff));
  switch (gso & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4: return (f & VIRTIO_NET_F_HOST_TSO4) != 0;
    case VIRTIO_NET_HDR_GSO_TCPV6: return (f & VIRTIO_NET_F_HOST_TSO6) != 0;
    case VIRTIO_NET_HDR_GSO_UDP_L4: return (f & VIRTIO_NET_F_HOST_USO) != 0 && (gso & VIRTIO_NET_HDR_GSO_ECN) == 0;
    default: return false;
  }
}

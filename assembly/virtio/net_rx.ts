/**
 * Network device: what the driver receives (virtio 1.2, §5.1.6.4). Chains are taken from the ring until the longest frame that may come
 * fits, and stay until a frame has filled them: the host reads each frame straight into them.
 */
import { NET_CSUM, NET_ECN, NET_FRAME_MAX, NET_TSO4, NET_TSO6, NET_USO4, NET_USO6, REASON_REQUEST, RX_PIECES_MAX } from '../contract/devices';
import { ENOBUFS } from '../contract/generated/errno';
import {
  VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_HDR_F_DATA_VALID, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4,
} from '../contract/generated/virtio';
import { HOST_NET_RECEIVE, HOST_NET_RECEIVE_LAST } from '../contract/hooks';
import { guest_copy, guest_written_at, own_copy, own_fill, own_put16, own_put8 } from '../core/guest';
import { host_net } from '../core/host';
import { Device, device_active, device_fail } from './device';
import { net_tagged, net_wanted } from './net_filter';
import {
  ETH_HLEN, HDR_FLAGS, HDR_GSO_SIZE, HDR_GSO_TYPE, HDR_NUM_BUFFERS, Net, net, net_chain, NET_HDR, net_hdr_table, net_link_up, net_rx_hdr, net_table,
  RX_CHAINS_MAX, sizeof_chain, VLAN_HLEN,
} from './net_state';
import {
  Queue, queue_no_kick, queue_pending, queue_pop, queue_publish, queue_unpop, queue_used, queue_want_kick, table_len, table_ptr, table_put,
} from './queue';

/** Bytes and frames of one turn, after which the owner looks at its other work. */
const RX_BUDGET: u32 = 4 << 20;
const RX_FRAMES: u32 = 256;
/** After so many short frames the next one is taken for a short one, too: buffers for 64 KiB are looked at 40 by 40, and by the host's kernel again. */
const SMALL_RUN: u32 = 32;

export function net_receive_process(d: Device, q: Queue): bool {
  const n = net(d);
  n.moved = 0;
  if (!net_link_up(d)) return false;
  let left = RX_FRAMES;
  let more = false;
  queue_no_kick(d, q);
  for (;;) {
    if (left == 0 || n.moved > RX_BUDGET) {
      more = true;
      break;
    }
    if (!gather(d, q)) break;
    if (n.rx_chains == 0) {
      if (queue_want_kick(d, q)) continue;
      break;
    }
    const result = receive(d, q);
    if (result == -ENOBUFS && n.rx_small >= SMALL_RUN) {
      n.rx_small = 0;
      continue;
    }
    if (result == -ENOBUFS) {
      // The host keeps a frame for which there is no room yet.
      if (queue_want_kick(d, q)) continue;
      break;
    }
    if (result <= 0) break;
    left--;
    n.moved += result;
    if (<u32>result > longest(n)) n.rx_small = 0;
    else if (n.rx_small < SMALL_RUN) n.rx_small++;
    if (!deliver(d, q, result)) n.rx_dropped++;
  }
  if (device_active(d)) queue_publish(d, q);
  return more;
}

/** Bytes that the longest frame may need, its header's place included. */
function wanted(d: Device): u32 {
  const n = net(d);
  if ((n.offloads & (NET_TSO4 | NET_TSO6 | NET_USO4 | NET_USO6)) != 0) return NET_FRAME_MAX + NET_HDR;
  return longest(n) + NET_HDR;
}

/** Of a frame without segments. */
@inline
function longest(n: Net): u32 {
  return max<u32>(n.mtu, 1500) + ETH_HLEN + VLAN_HLEN;
}

/** Bytes that are offered to the next frame: room for two, so that one which was cut to it shows that there is more. */
function expected(d: Device): u32 {
  const n = net(d);
  const most = wanted(d);
  return n.rx_small < SMALL_RUN ? most : min<u32>(most, 2 * longest(n) + NET_HDR);
}

@inline
function merges(d: Device): bool {
  return (d.driver_features & VIRTIO_NET_F_MRG_RXBUF) != 0;
}

/** Takes chains until there is room for the longest frame; without merging one alone. False: the driver broke a rule. */
function gather(d: Device, q: Queue): bool {
  const n = net(d);
  const want = expected(d);
  const most = merges(d) ? RX_CHAINS_MAX : 1;
  while (n.rx_chains < most && n.rx_bytes < want) {
    const got = queue_pop(d, q);
    if (got < 0) return false;
    if (got == 0) break;
    if (q.nread != 0 || q.write_bytes < NET_HDR) {
      device_fail(d, REASON_REQUEST);
      return false;
    }
    if (n.rx_pieces + q.nwrite > RX_PIECES_MAX) {
      queue_unpop(q, 1);
      break;
    }
    own_copy(net_table(d) + ((<usize>n.rx_pieces) << 3), q.table, (<usize>q.nwrite) << 3);
    const length = <u32>min<u64>(q.write_bytes, 0x0fff_ffff);
    const chain = net_chain(d, n.rx_chains);
    chain.head = q.head;
    chain.length = length;
    chain.pieces = q.nwrite;
    n.rx_pieces += q.nwrite;
    n.rx_bytes += length;
    n.rx_chains++;
  }
  if (n.rx_chains != 0 && n.hdr_pieces == 0) cut_header(d);
  return true;
}

/** Takes the header's place out of the first chain: the host reads the frame behind it. */
function cut_header(d: Device): void {
  const n = net(d);
  const table = net_table(d);
  let left = NET_HDR;
  let gone: u32 = 0;
  while (left != 0) {
    const ptr = table_ptr(table, gone);
    const have = table_len(table, gone);
    const part = min<u32>(have, left);
    table_put(net_hdr_table(d), n.hdr_pieces, ptr, part);
    n.hdr_pieces++;
    left -= part;
    if (part == have) gone++;
    else table_put(table, gone, ptr + part, have - part);
  }
  n.rx_bytes -= NET_HDR;
  net_chain(d, 0).pieces -= gone;
  drop_pieces(d, gone);
}

function drop_pieces(d: Device, count: u32): void {
  if (count == 0) return;
  const n = net(d);
  n.rx_pieces -= count;
  own_copy(net_table(d), net_table(d) + ((<usize>count) << 3), (<usize>n.rx_pieces) << 3);
}

/** Has the host put its next frame into the chains: its bytes, 0 for none, -ENOBUFS when it needs more room than there is. */
function receive(d: Device, q: Queue): i32 {
  const n = net(d);
  const hdr = net_rx_hdr(d);
  own_fill(hdr, 0, NET_HDR);
  // Room cannot grow, so that a frame which does not fit is lost: one buffer alone, all buffers that the ring holds, or the table is full.
  const short = expected(d) < wanted(d);
  const last = !merges(d) || n.rx_chains >= q.size || n.rx_bytes + NET_HDR >= wanted(d) || (!short && queue_pending(q) != 0);
  const result = host_net(d.slot, last ? HOST_NET_RECEIVE_LAST : HOST_NET_RECEIVE, <u32>hdr, <u32>net_table(d), n.rx_pieces, n.rx_bytes);
  return result > 0 && <u32>result > n.rx_bytes ? 0 : result;
}

/** Gives the driver the frame of `length` bytes that lies in the chains; false: it is not for this driver, and they wait for the next. */
function deliver(d: Device, q: Queue, length: u32): bool {
  const n = net(d);
  const hdr = net_rx_hdr(d);
  written(d, length);
  if (length < ETH_HLEN || !header_allowed(d, hdr, length)) return false;
  if (!net_wanted(d, length)) {
    n.filtered++;
    return true;
  }
  let left = length + NET_HDR;
  let used: u32 = 0;
  let pieces: u32 = 0;
  let bytes: u32 = 0;
  while (left != 0) {
    const chain = net_chain(d, used);
    const part = min<u32>(chain.length, left);
    queue_used(q, chain.head, part);
    left -= part;
    bytes += chain.length;
    pieces += chain.pieces;
    used++;
  }
  own_put16(hdr + HDR_NUM_BUFFERS, used);
  let at = hdr;
  for (let i: u32 = 0; i < n.hdr_pieces; i++) {
    const len = table_len(net_hdr_table(d), i);
    guest_copy(table_ptr(net_hdr_table(d), i), at, len);
    at += len;
  }
  n.hdr_pieces = 0;
  n.rx_bytes -= bytes - NET_HDR;
  n.rx_chains -= used;
  own_copy(changetype<usize>(net_chain(d, 0)), changetype<usize>(net_chain(d, used)), <usize>n.rx_chains * sizeof_chain);
  drop_pieces(d, pieces);
  return true;
}

/** Tells the write hook of what the host has written: the first `length` bytes of the chains. */
function written(d: Device, length: u32): void {
  const table = net_table(d);
  let left = length;
  for (let i: u32 = 0; left != 0; i++) {
    const part = min<u32>(table_len(table, i), left);
    guest_written_at(table_ptr(table, i), part);
    left -= part;
  }
}

/** Nothing in a header that the driver has not agreed to (§5.1.6.4.1): frames from before it changed its mind are lost. */
function header_allowed(d: Device, hdr: usize, length: u32): bool {
  const n = net(d);
  const flags = <u32>load<u8>(hdr, HDR_FLAGS) & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
  const gso = <u32>load<u8>(hdr, HDR_GSO_TYPE);
  if ((n.offloads & NET_CSUM) == 0) {
    // That a sum was checked need not be said; one that is missing is.
    if ((flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) return false;
    own_put8(hdr + HDR_FLAGS, 0);
  } else {
    own_put8(hdr + HDR_FLAGS, flags);
  }
  if (gso == VIRTIO_NET_HDR_GSO_NONE) return length <= n.mtu + ETH_HLEN || (length <= n.mtu + ETH_HLEN + VLAN_HLEN && net_tagged(d, length));
  if ((flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 || load<u16>(hdr, HDR_GSO_SIZE) == 0) return false;
  if ((gso & VIRTIO_NET_HDR_GSO_ECN) != 0 && (n.offloads & NET_ECN) == 0) return false;
  switch (gso & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4: return (n.offloads & NET_TSO4) != 0;
    case VIRTIO_NET_HDR_GSO_TCPV6: return (n.offloads & NET_TSO6) != 0;
    case VIRTIO_NET_HDR_GSO_UDP_L4: return (n.offloads & (NET_USO4 | NET_USO6)) != 0;
    default: return false;
  }
}

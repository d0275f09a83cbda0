/**
 * Socket device: what the host's side calls. Only the owner's thread does, from inside `host_vsock` too. Data goes into the guest's
 * receive buffers by copy (`vsock_send`) or by the host's own readv into them (`vsock_rx_begin`, `vsock_rx_commit`).
 */
import { REASON_REQUEST } from '../contract/devices';
import { EAGAIN, EINVAL, ENODEV, ENOSPC, EPIPE } from '../contract/generated/errno';
import { VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_SHUTDOWN_RCV, VIRTIO_VSOCK_SHUTDOWN_SEND, VIRTIO_VSOCK_TYPE_STREAM } from '../contract/generated/virtio';
import { guest_copy, guest_written_at, own_put32, own_put64 } from '../core/guest';
import { device_active, device_config, device_config_changed, device_enter, device_fail, device_leave } from './device';
import { chain_write, queue_at, queue_unpop, queue_used, table_len, table_ptr, table_put } from './queue';
import { credit, flush, HDR, header, PACKET_MAX, present, publish, RXQ, send_event, take_rx, VSOCK_HOST_CID, vsock_owner } from './vsock';
import {
  conn_alloc, conn_at, conn_by_handle, CONN_CONNECTING, CONN_ESTABLISHED, conn_find, conn_free, conn_handle, conn_post, CONN_REQUESTED, is_listening,
  LISTEN, LISTEN_MAX, PEND_CREDIT, PEND_REQUEST, PEND_RESPONSE, PEND_SHUTDOWN, reply_put, RX_CHAINS, RX_CHAINS_MAX, RX_PIECES, RX_PIECES_MAX, RxChain,
  table_reset, VSOCK_HDR, vsock_state,
} from './vsock_table';

/** The guest may connect to host port `port`. 0, -ENODEV, -ENOSPC. */
export function vsock_listen(port: u32): i32 {
  const s = vsock_state();
  if (s.slot == 0) return -ENODEV;
  if (is_listening(port)) return 0;
  if (s.listen_count >= LISTEN_MAX) return -ENOSPC;
  own_put32(LISTEN + (s.listen_count << 2), port);
  s.listen_count++;
  return 0;
}

/** No more connections to `port`; those that exist stay. */
export function vsock_unlisten(port: u32): i32 {
  const s = vsock_state();
  for (let i: u32 = 0; i < s.listen_count; i++) {
    if (load<u32>(LISTEN + (i << 2)) != port) continue;
    s.listen_count--;
    own_put32(LISTEN + (i << 2), load<u32>(LISTEN + (s.listen_count << 2)));
    return 0;
  }
  return -EINVAL;
}

/**
 * Connects to the guest's `port`: the handle, and later VSOCK_EV_CONNECTED or VSOCK_EV_RESET. -ENODEV without a driver,
 * -ENOSPC without a free connection.
 */
export function vsock_connect(port: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  let result: i32 = -ENODEV;
  if (device_active(d)) {
    const s = vsock_state();
    // Host ports of the upper half, each in turn: a port is free for this guest port again long after its use.
    let host_port = 0x8000_0000 | s.next_port;
    while (conn_find(host_port, port) >= 0) {
      s.next_port = (s.next_port + 1) & 0x3fff_ffff;
      host_port = 0x8000_0000 | s.next_port;
    }
    s.next_port = (s.next_port + 1) & 0x3fff_ffff;
    const index = conn_alloc(host_port, port, CONN_CONNECTING);
    if (index < 0) {
      result = -ENOSPC;
    } else {
      conn_post(index, PEND_REQUEST);
      flush(d);
      publish(d, RXQ);
      result = conn_handle(index);
    }
  }
  device_leave(d, entered);
  return result;
}

/** Accepts VSOCK_EV_REQUEST. -EPIPE for a dead handle, -EINVAL when there is nothing to accept. */
export function vsock_accept(handle: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  let result = -EPIPE;
  const index = conn_by_handle(handle);
  if (index >= 0) {
    const c = conn_at(index);
    result = -EINVAL;
    if (c.state == CONN_REQUESTED) {
      c.state = CONN_ESTABLISHED;
      conn_post(index, PEND_RESPONSE);
      flush(d);
      publish(d, RXQ);
      result = 0;
    }
  }
  device_leave(d, entered);
  return result;
}

/** Is `handle` a connection that may send now? The index, or -errno; `want_write` asks for VSOCK_EV_WRITABLE. */
function sendable(handle: u32): i32 {
  const index = conn_by_handle(handle);
  if (index < 0) return -EPIPE;
  const c = conn_at(index);
  if (c.state != CONN_ESTABLISHED) return c.state == CONN_CONNECTING ? -EAGAIN : -EPIPE;
  if ((c.local_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0 || (c.peer_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0) return -EPIPE;
  return index;
}

/**
 * Sends `len` bytes at `ptr`, as many as the guest has credit and buffers for. Returns how many were taken (fewer:
 * VSOCK_EV_WRITABLE follows), -EPIPE when the connection cannot send any more, -EAGAIN before it is established.
 */
export function vsock_send(handle: u32, ptr: u32, len: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  let done: u32 = 0;
  const index = sendable(handle);
  if (index >= 0) {
    const c = conn_at(index);
    const q = queue_at(d, RXQ);
    if (flush(d)) {
      while (done < len) {
        const available = credit(c);
        if (available == 0 || !take_rx(d, q)) break;
        const n = min<u32>(min<u32>(available, len - done), <u32>min<u64>(q.write_bytes - HDR, PACKET_MAX));
        if (n == 0) { // room for a header only
          device_fail(d, REASON_REQUEST);
          break;
        }
        header(c, VIRTIO_VSOCK_OP_RW, 0, n);
        chain_write(q, 0, VSOCK_HDR + 64, HDR);
        chain_write(q, HDR, <usize>ptr + done, n);
        queue_used(q, q.head, HDR + n);
        c.tx_cnt += n;
        done += n;
      }
    }
    publish(d, RXQ);
    if (done < len) {
      c.want_write = 1;
      vsock_state().waiting = 1;
    }
  }
  device_leave(d, entered);
  return index < 0 ? index : done;
}

/**
 * Zero-copy sending, first half: takes receive buffers for up to `max` bytes. Returns how many pieces
 * {u32 linear offset, u32 length} lie at `vsock_rx_table()`, for the host's readv; 0 when there is no credit or buffer
 * (VSOCK_EV_WRITABLE follows) or the buffers need `vsock_send`; or -errno as `vsock_send`. `vsock_rx_commit` must
 * follow before anything else is sent.
 */
export function vsock_rx_begin(handle: u32, max: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  const index = sendable(handle);
  let count: u32 = 0;
  if (index >= 0) {
    const c = conn_at(index);
    const s = vsock_state();
    const q = queue_at(d, RXQ);
    const want = min<u32>(max, credit(c));
    let have: u32 = 0;
    let chains: u32 = 0;
    if (flush(d)) {
      while (have < want && chains < RX_CHAINS_MAX && take_rx(d, q)) {
        // The header must lie in one piece; other layouts are served by copy.
        const pieces = q.nwrite;
        if (table_len(q.table, q.nread) < HDR || q.write_bytes == HDR || count + pieces > RX_PIECES_MAX) {
          queue_unpop(q, 1);
          break;
        }
        const r = changetype<RxChain>(RX_CHAINS + (<usize>chains << 4));
        r.head = q.head;
        r.header = <u32>table_ptr(q.table, q.nread);
        r.first = count;
        let room: u32 = min<u32>(PACKET_MAX, want - have);
        let bytes: u32 = 0;
        for (let i: u32 = 0; i < pieces && room != 0; i++) {
          const skip = i == 0 ? HDR : 0;
          const n = min<u32>(table_len(q.table, q.nread + i) - skip, room);
          if (n == 0) continue;
          table_put(RX_PIECES, count, table_ptr(q.table, q.nread + i) + skip, n);
          count++;
          bytes += n;
          room -= n;
        }
        r.bytes = bytes;
        have += bytes;
        chains++;
      }
    }
    publish(d, RXQ);
    if (device_active(d)) {
      s.rx_count = chains;
      s.rx_handle = handle;
      s.rx_generation = d.generation;
    } else {
      count = 0;
    }
    if (count == 0) {
      c.want_write = 1;
      s.waiting = 1;
    }
  }
  device_leave(d, entered);
  return index < 0 ? index : count;
}

/** Where the pieces of `vsock_rx_begin` lie. */
export function vsock_rx_table(): u32 {
  return <u32>RX_PIECES;
}

/** Second half: the host has read `n` bytes (0 when none) into the pieces, from the front. Returns `n`, or -EPIPE when the device was reset meanwhile. */
export function vsock_rx_commit(handle: u32, n: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  const s = vsock_state();
  const q = queue_at(d, RXQ);
  const chains = s.rx_count;
  let result: i32 = -EPIPE;
  const index = conn_by_handle(handle);
  if (index >= 0 && chains != 0 && s.rx_handle == handle && s.rx_generation == d.generation && q.ready != 0) {
    const c = conn_at(index);
    let left = n;
    let used: u32 = 0;
    while (used < chains && left != 0) {
      const r = changetype<RxChain>(RX_CHAINS + (<usize>used << 4));
      const bytes = min<u32>(r.bytes, left);
      header(c, VIRTIO_VSOCK_OP_RW, 0, bytes);
      guest_copy(r.header, VSOCK_HDR + 64, HDR);
      let mark = bytes;
      for (let i = r.first; mark != 0; i++) {
        const len = min<u32>(table_len(RX_PIECES, i), mark);
        guest_written_at(table_ptr(RX_PIECES, i), len);
        mark -= len;
      }
      queue_used(q, r.head, HDR + bytes);
      c.tx_cnt += bytes;
      left -= bytes;
      used++;
    }
    queue_unpop(q, chains - used);
    s.rx_count = 0;
    flush(d);
    publish(d, RXQ);
    result = n - left;
  }
  s.rx_count = 0;
  device_leave(d, entered);
  return result;
}

/** The host has consumed `n` bytes of VSOCK_EV_DATA; the guest gets a credit update once half of its window is used up. */
export function vsock_consumed(handle: u32, n: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  const index = conn_by_handle(handle);
  if (index >= 0) {
    const c = conn_at(index);
    c.fwd_cnt += min<u32>(n, c.rx_cnt - c.fwd_cnt);
    if (c.fwd_cnt - c.last_fwd_cnt >= c.buf_alloc >> 1 && c.state == CONN_ESTABLISHED) {
      conn_post(index, PEND_CREDIT);
      // Inside a callback the queue's own pass flushes, so that many updates share one interrupt.
      if (entered) {
        flush(d);
        publish(d, RXQ);
      }
    }
  }
  device_leave(d, entered);
  return index < 0 ? -EPIPE : 0;
}

/** The window the guest has on `handle`: bytes it may have under way. From 4096 to 16 MiB, else -EINVAL. */
export function vsock_buffer(handle: u32, bytes: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  if (bytes < 4096 || bytes > 16 << 20) return -EINVAL;
  const entered = device_enter(d);
  const index = conn_by_handle(handle);
  if (index >= 0) {
    const c = conn_at(index);
    // What the guest may have sent by the old window stays within bounds.
    if (bytes > c.buf_alloc) {
      c.buf_alloc = bytes;
      if (c.state == CONN_ESTABLISHED) conn_post(index, PEND_CREDIT);
    }
  }
  device_leave(d, entered);
  return index < 0 ? -EPIPE : 0;
}

/** The host will not receive (1), send (2) or either (3) any more. After both the guest answers with a reset. */
export function vsock_shutdown(handle: u32, how: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  const index = conn_by_handle(handle);
  if (index >= 0 && (how & 3) != 0) {
    const c = conn_at(index);
    c.local_shutdown |= how & 3;
    if (c.state == CONN_ESTABLISHED) {
      conn_post(index, PEND_SHUTDOWN);
      flush(d);
      publish(d, RXQ);
    }
  }
  device_leave(d, entered);
  return index < 0 ? -EPIPE : 0;
}

/** Ends a connection at once; no event follows. */
export function vsock_reset(handle: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  const index = conn_by_handle(handle);
  if (index >= 0) {
    const c = conn_at(index);
    reply_put(VSOCK_HOST_CID, c.host_port, c.guest_port, VIRTIO_VSOCK_TYPE_STREAM);
    conn_free(index);
    flush(d);
    publish(d, RXQ);
  }
  device_leave(d, entered);
  return index < 0 ? -EPIPE : 0;
}

/** After a restore: all connections end, the host hears VSOCK_EV_RESET, the guest a transport reset. */
export function vsock_transport_reset(cid: u32): i32 {
  const d = present();
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  const s = vsock_state();
  table_reset(false);
  vsock_owner(d);
  if (cid != s.cid) {
    s.cid = cid;
    own_put64(device_config(d), cid);
    device_config_changed(d);
  }
  s.event_wanted = 1;
  send_event(d);
  device_leave(d, entered);
  return 0;
}

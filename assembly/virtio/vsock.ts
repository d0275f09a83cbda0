/**
 * Socket device (virtio 1.2, §5.10), stream sockets. What the guest sends goes to the host straight from guest memory;
 * what the host sends goes into the guest's receive buffers, by copy (vsock_host.ts) or by the host's own readv into
 * them. State beside class Device is at VSOCK_BASE (vsock_table.ts).
 *
 * The owner's thread alone calls these functions. A vCPU that resets the device
 * only marks connections; the owner tells the host.
 */
import { REASON_REQUEST, VSOCK_QUEUES } from '../contract/devices';
import { VSOCK_EV_CONNECTED, VSOCK_EV_DATA, VSOCK_EV_REQUEST, VSOCK_EV_RESET, VSOCK_EV_SHUTDOWN, VSOCK_EV_WRITABLE } from '../contract/hooks';
import { EINVAL } from '../contract/generated/errno';
import {
  VIRTIO_F_IN_ORDER, VIRTIO_ID_SOCKET, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VIRTIO_VSOCK_OP_CREDIT_UPDATE,
  VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_SHUTDOWN,
  VIRTIO_VSOCK_SHUTDOWN_RCV, VIRTIO_VSOCK_SHUTDOWN_SEND, VIRTIO_VSOCK_TYPE_STREAM,
} from '../contract/generated/virtio';
import { own_put32, own_put64 } from '../core/guest';
import { host_vsock } from '../core/host';
import { Device, device_active, device_config, device_fail } from './device';
import { device_new } from './slot';
import { chain_read, chain_write, Queue, queue_at, queue_no_kick, queue_pop, queue_publish, queue_used, queue_want_kick, table_len, table_ptr } from './queue';
import {
  Conn, conn_alloc, conn_at, CONN_CLOSED, CONN_CONNECTING, CONN_ESTABLISHED, conn_find, conn_free, conn_handle, CONN_MAX, conn_post, CONN_REQUESTED,
  conn_take_pending, is_listening, PEND_CREDIT, PEND_REQUEST, PEND_RESPONSE, PEND_SHUTDOWN, reply_put, reply_room, reply_take, table_reset,
  vsock_device, VSOCK_HDR, vsock_state, VsockHdr,
} from './vsock_table';

export const VIRTIO_VSOCK_F_STREAM: u64 = 1 << 0;

export const VSOCK_HOST_CID: u32 = 2;

export const RXQ: u32 = 0;
const TXQ: u32 = 1;
const EVENTQ: u32 = 2;
const VSOCK_QUEUE_SIZE: u32 = 256;
const CONFIG_LEN: u32 = 8;
export const HDR: u32 = 44;
/** Most payload bytes of one packet to the guest: what Linux accepts (VIRTIO_VSOCK_MAX_PKT_BUF_SIZE). */
export const PACKET_MAX: u32 = 65536;
/** Payload that one call takes from the guest before the owner looks at its other work. */
const VSOCK_BUDGET: u32 = 4 << 20;

// ---- set-up --------------------------------------------------------------------------------------------------

/** Puts the socket device of guest `cid` into `slot`; a machine has one. */
export function vsock_add(slot: u32, cid: u32): i32 {
  if (cid <= VSOCK_HOST_CID || cid == 0xffff_ffff) return -EINVAL;
  const added = device_new(slot, VIRTIO_ID_SOCKET, VIRTIO_VSOCK_F_STREAM | VIRTIO_F_IN_ORDER, VSOCK_QUEUES, VSOCK_QUEUE_SIZE, CONFIG_LEN);
  if (added < 0) return added;
  table_reset(true);
  const s = vsock_state();
  s.slot = slot + 1;
  s.cid = cid;
  s.next_port = 0;
  own_put64(device_config(vsock_device()) + 0, cid);
  return 0;
}

/** The device, or null when the machine has none: each export's first step. */
export function present(): Device {
  return vsock_state().slot == 0 ? changetype<Device>(0) : vsock_device();
}

// ---- called by the transport ---------------------------------------------------------------------------------

/** Connections die with the device; the owner tells the host (`vsock_owner`). */
export function vsock_reset_device(): void {
  table_reset(false);
}

/** A stopped receive queue takes back what `vsock_rx_begin` had. */
export function vsock_queue_reset(q: Queue): void {
  if (q.index == RXQ) vsock_state().rx_count = 0;
}

/** Tells the host of connections that a reset ended. */
export function vsock_owner(d: Device): void {
  for (let i: u32 = 0; i < CONN_MAX; i++) {
    const c = conn_at(i);
    if (c.state != CONN_CLOSED) continue;
    const handle = conn_handle(i);
    conn_free(i);
    emit(d, handle, VSOCK_EV_RESET, 0, 0);
  }
}

function emit(d: Device, handle: u32, event: u32, ptr: u32, len: u32): void {
  d.in_callback = 1;
  host_vsock(handle, event, ptr, len);
  d.in_callback = 0;
}

export function vsock_process(d: Device, q: Queue): bool {
  let more = false;
  if (q.index == TXQ) {
    more = receive_from_guest(d, q);
  } else if (q.index == RXQ) {
    const s = vsock_state();
    flush(d);
    if (s.tx_stalled != 0 && reply_room()) {
      const tx = queue_at(d, TXQ);
      s.tx_stalled = 0;
      if (tx.ready != 0) more = receive_from_guest(d, tx);
    }
    offer_room(d);
  } else {
    send_event(d);
  }
  if (device_active(d)) {
    flush(d);
    publish(d, RXQ);
  }
  return more;
}

export function publish(d: Device, index: u32): void {
  if (!device_active(d)) return;
  const q = queue_at(d, index);
  if (q.ready != 0) queue_publish(d, q);
}

// ---- guest to host -------------------------------------------------------------------------------------------

function receive_from_guest(d: Device, q: Queue): bool {
  const s = vsock_state();
  let left = q.size;
  let more = false;
  s.moved = 0;
  queue_no_kick(d, q);
  for (;;) {
    // Each packet may need an answer: without room for one the queue waits for receive buffers (§5.10.6.1.2).
    if (!reply_room()) {
      s.tx_stalled = 1;
      break;
    }
    if (left == 0 || s.moved > VSOCK_BUDGET) {
      more = true;
      break;
    }
    const got = queue_pop(d, q);
    if (got < 0) return false;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      break;
    }
    left--;
    const head = q.head;
    packet(d, q);
    if (!device_active(d) || q.ready == 0) return false;
    queue_used(q, head, 0);
  }
  queue_publish(d, q);
  return more;
}

function packet(d: Device, q: Queue): void {
  const h = changetype<VsockHdr>(VSOCK_HDR);
  const s = vsock_state();
  if (chain_read(q, VSOCK_HDR, HDR) < HDR) {
    d.errors++;
    return;
  }
  const op = <u32>h.op;
  const host_port = h.dst_port;
  const guest_port = h.src_port;
  if (h.src_cid != <u64>s.cid) {
    d.errors++;
    return;
  }
  if (h.dst_cid != <u64>VSOCK_HOST_CID || <u32>h.type != VIRTIO_VSOCK_TYPE_STREAM) {
    // Nobody there, or a type we do not have (§5.10.6.4.1).
    if (op != VIRTIO_VSOCK_OP_RST) reply_put(h.dst_cid, host_port, guest_port, <u32>h.type);
    return;
  }
  const index = conn_find(host_port, guest_port);
  if (index < 0) {
    if (op == VIRTIO_VSOCK_OP_REQUEST && request(d, host_port, guest_port, h)) return;
    if (op != VIRTIO_VSOCK_OP_RST) reply_put(VSOCK_HOST_CID, host_port, guest_port, VIRTIO_VSOCK_TYPE_STREAM);
    return;
  }
  const c = conn_at(index);
  const handle = conn_handle(index);
  c.peer_buf_alloc = h.buf_alloc;
  c.peer_fwd_cnt = h.fwd_cnt;
  switch (op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
      if (c.state != CONN_CONNECTING) {
        kill(d, index, true);
        return;
      }
      c.state = CONN_ESTABLISHED;
      emit(d, handle, VSOCK_EV_CONNECTED, 0, 0);
      return;
    case VIRTIO_VSOCK_OP_RST: kill(d, index, false); return;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      c.peer_shutdown |= h.flags & (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
      emit(d, handle, VSOCK_EV_SHUTDOWN, 0, c.peer_shutdown);
      return;
    case VIRTIO_VSOCK_OP_RW:
      // The credit that we gave is a bound (§5.10.6.3.2), the chain another.
      if (c.state != CONN_ESTABLISHED || (c.peer_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0 || <u64>h.len > q.read_bytes ||
        h.len > c.buf_alloc || c.rx_cnt + h.len - c.fwd_cnt > c.buf_alloc) {
        kill(d, index, true);
        return;
      }
      deliver(d, q, index, handle, h.len);
      if (conn_handle(index) == handle) room(d, index);
      return;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE: room(d, index); return;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST: conn_post(index, PEND_CREDIT); return;
    default: kill(d, index, true); return; // REQUEST on a live connection, or no operation at all
  }
}

/** A new connection from the guest, if the host listens on that port and there is room. */
function request(d: Device, host_port: u32, guest_port: u32, h: VsockHdr): bool {
  if (!is_listening(host_port)) return false;
  const index = conn_alloc(host_port, guest_port, CONN_REQUESTED);
  if (index < 0) return false;
  const c = conn_at(index);
  c.peer_buf_alloc = h.buf_alloc;
  c.peer_fwd_cnt = h.fwd_cnt;
  emit(d, conn_handle(index), VSOCK_EV_REQUEST, host_port, guest_port);
  return true;
}

/** Hands the payload on, piece by piece; the host may end the connection at any of them. */
function deliver(d: Device, q: Queue, index: u32, handle: u32, length: u32): void {
  const c = conn_at(index);
  const s = vsock_state();
  c.rx_cnt += length;
  s.moved += length;
  let left = length;
  for (let i = q.at; i < q.nread && left != 0; i++) {
    const n = min<u32>(table_len(q.table, i), left);
    left -= n;
    if ((c.local_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0) c.fwd_cnt += n; // nobody reads: gone at once
    else emit(d, handle, VSOCK_EV_DATA, <u32>table_ptr(q.table, i), n);
    if (conn_handle(index) != handle || c.state != CONN_ESTABLISHED) return;
  }
}

/** Ends a connection that the guest broke or reset. */
function kill(d: Device, index: u32, reset: bool): void {
  const c = conn_at(index);
  const handle = conn_handle(index);
  if (reset) reply_put(VSOCK_HOST_CID, c.host_port, c.guest_port, VIRTIO_VSOCK_TYPE_STREAM);
  conn_free(index);
  emit(d, handle, VSOCK_EV_RESET, 0, 0);
}

// ---- host to guest -------------------------------------------------------------------------------------------

/** Bytes the guest still has room for (§5.10.6.3). */
export function credit(c: Conn): u32 {
  const under_way = c.tx_cnt - c.peer_fwd_cnt;
  return under_way > c.peer_buf_alloc ? 0 : c.peer_buf_alloc - under_way;
}

export function header(c: Conn, op: u32, flags: u32, len: u32): void {
  const s = vsock_state();
  fill_header(VSOCK_HOST_CID, s.cid, c.host_port, c.guest_port, VIRTIO_VSOCK_TYPE_STREAM, op, flags, len, c.buf_alloc, c.fwd_cnt);
  c.last_fwd_cnt = c.fwd_cnt;
}

function fill_header(src_cid: u64, dst_cid: u64, src_port: u32, dst_port: u32, type: u32, op: u32, flags: u32, len: u32, buf_alloc: u32, fwd_cnt: u32): void {
  const h = changetype<VsockHdr>(VSOCK_HDR + 64); // apart from the one being parsed
  h.src_cid = src_cid;
  h.dst_cid = dst_cid;
  h.src_port = src_port;
  h.dst_port = dst_port;
  h.len = len;
  h.type = <u16>type;
  h.op = <u16>op;
  h.flags = flags;
  h.buf_alloc = buf_alloc;
  h.fwd_cnt = fwd_cnt;
}

/** The receive queue with a chain taken that holds at least a header, or false. All that goes to the guest goes by here: nothing does while it stands. */
export function take_rx(d: Device, q: Queue): bool {
  if (d.quiesced != 0 || !device_active(d) || q.ready == 0 || vsock_state().rx_count != 0) return false;
  for (;;) {
    const got = queue_pop(d, q);
    if (got < 0) return false;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      return false;
    }
    if (q.write_bytes < HDR) {
      device_fail(d, REASON_REQUEST);
      return false;
    }
    return true;
  }
}

/** Sends the header prepared by `header` alone. */
function put_header(q: Queue): void {
  chain_write(q, 0, VSOCK_HDR + 64, HDR);
  queue_used(q, q.head, HDR);
}

/** Sends what waits: resets, then operations of connections. False when receive buffers ran out before all were sent. */
export function flush(d: Device): bool {
  const q = queue_at(d, RXQ);
  const s = vsock_state();
  while (s.reply_head != s.reply_tail) {
    if (!take_rx(d, q)) return false;
    const r = reply_take();
    fill_header(r.cid, s.cid, r.host_port, r.guest_port, r.type, VIRTIO_VSOCK_OP_RST, 0, 0, 0, 0);
    put_header(q);
  }
  while (s.pending_head != 0) {
    if (!take_rx(d, q)) return false;
    const index = s.pending_head - 1;
    const c = conn_at(index);
    const p = conn_take_pending(index);
    if (p == PEND_REQUEST) header(c, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
    else if (p == PEND_RESPONSE) header(c, VIRTIO_VSOCK_OP_RESPONSE, 0, 0);
    else if (p == PEND_SHUTDOWN) header(c, VIRTIO_VSOCK_OP_SHUTDOWN, c.local_shutdown, 0);
    else header(c, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
    put_header(q);
  }
  return true;
}

/** The guest told of more room: the host may send again. */
export function room(d: Device, index: u32): void {
  const c = conn_at(index);
  if (c.want_write == 0 || c.state != CONN_ESTABLISHED || credit(c) == 0) return;
  c.want_write = 0;
  emit(d, conn_handle(index), VSOCK_EV_WRITABLE, 0, 0);
}

/** Receive buffers came: connections that wait for them get their turn, starting behind the one served first last time. */
function offer_room(d: Device): void {
  const s = vsock_state();
  if (s.waiting == 0) return;
  s.waiting = 0;
  const start = s.turn;
  s.turn = (start + 1) % CONN_MAX;
  for (let n: u32 = 0; n < CONN_MAX; n++) {
    if (!device_active(d)) return;
    const index = (start + n) % CONN_MAX;
    if (conn_at(index).want_write != 0) room(d, index);
  }
}

/** Tells the driver that all connections are gone (§5.10.6.7), now or when it gives an event buffer. */
export function send_event(d: Device): void {
  const s = vsock_state();
  const q = queue_at(d, EVENTQ);
  if (s.event_wanted == 0 || !device_active(d) || q.ready == 0) return;
  const got = queue_pop(d, q);
  if (got < 0) return;
  if (got == 0) {
    if (queue_want_kick(d, q)) send_event(d);
    return;
  }
  own_put32(VSOCK_HDR + 128, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
  const n = chain_write(q, 0, VSOCK_HDR + 128, 4);
  queue_used(q, q.head, n);
  s.event_wanted = 0;
  queue_publish(d, q);
}

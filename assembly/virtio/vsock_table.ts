/**
 * What the socket device keeps at VSOCK_BASE:
 *
 *   0x00000  class Vsock
 *   0x00100  ports the host listens on, u32 × LISTEN_MAX
 *   0x00200  hash of (host port, guest port) to connection, u16 × BUCKETS (index + 1)
 *   0x00800  header being parsed (+0), being sent (+64), event (+128)
 *   0x01000  class Conn × CONN_MAX
 *   0x11000  class RxChain × RX_CHAINS_MAX and, at 0x12000, the pieces of a zero-copy send
 *   0x14000  ring of resets to send, class Reply × REPLIES
 *
 * A connection's handle is its index and a generation, so that a handle of a connection that is gone means nothing.
 */
import { VSOCK_BASE } from '../core/layout';
import { own_fill, own_put16 } from '../core/guest';
import { Device, device_at } from './device';

export const CONN_MAX: u32 = 512;
const INDEX_BITS: u32 = 9;
const BUCKETS: u32 = 512;
export const LISTEN_MAX: u32 = 64;
export const REPLIES: u32 = 1024;
/** Resets that packets of the guest may leave waiting; the rest of the ring is for resets by the host. */
const REPLIES_GUEST: u32 = 512;
export const RX_CHAINS_MAX: u32 = 64;
export const RX_PIECES_MAX: u32 = 512;

/** Bytes the guest may have under way to the host on one connection, until `vsock_buffer` says otherwise. */
export const VSOCK_BUF_ALLOC: u32 = 262144;

const BASE: usize = <usize>VSOCK_BASE;
export const LISTEN: usize = BASE + 0x100;
const HASH: usize = BASE + 0x200;
export const VSOCK_HDR: usize = BASE + 0x800;
const CONNS: usize = BASE + 0x1000;
export const RX_CHAINS: usize = BASE + 0x11000;
export const RX_PIECES: usize = BASE + 0x12000;
const REPLY_RING: usize = BASE + 0x14000;

export const CONN_FREE: u32 = 0;
export const CONN_REQUESTED: u32 = 1; // by the guest, the host has not answered
export const CONN_CONNECTING: u32 = 2; // by the host, the guest has not answered
export const CONN_ESTABLISHED: u32 = 3;
export const CONN_CLOSED: u32 = 4; // gone by a reset, the host has not heard

// Operations that wait for a receive buffer, in the order they are sent.
export const PEND_REQUEST: u32 = 1;
export const PEND_RESPONSE: u32 = 2;
export const PEND_CREDIT: u32 = 4;
export const PEND_SHUTDOWN: u32 = 8;

@unmanaged
export class Vsock {
  slot: u32; // of the device, plus 1
  cid: u32;
  listen_count: u32;
  next_port: u32;
  pending_head: u32; // connections with operations to send, index + 1
  pending_tail: u32;
  reply_head: u32;
  reply_tail: u32;
  tx_stalled: u32; // the transmit queue waits for room in the ring of resets
  waiting: u32; // some connection wants to send
  turn: u32;
  event_wanted: u32;
  rx_count: u32; // chains that vsock_rx_begin holds
  rx_handle: u32;
  rx_generation: u32;
  moved: u32; // payload bytes in this call
  free_hint: u32;
}

@unmanaged
export class Conn {
  state: u32;
  generation: u32;
  host_port: u32;
  guest_port: u32;
  peer_buf_alloc: u32;
  peer_fwd_cnt: u32;
  tx_cnt: u32; // payload bytes sent to the guest
  rx_cnt: u32; // received from the guest
  fwd_cnt: u32; // of these consumed by the host
  last_fwd_cnt: u32; // as the guest knows it
  buf_alloc: u32;
  peer_shutdown: u32;
  local_shutdown: u32;
  pending: u32; // PEND_*
  queued: u32; // on the pending list
  next_pending: u32; // index + 1
  next_hash: u32; // index + 1
  want_write: u32;
}
const CONN_SHIFT: usize = 7;

/** struct virtio_vsock_hdr, 44 bytes (§5.10.6). */
@unmanaged
export class VsockHdr {
  src_cid: u64;
  dst_cid: u64;
  src_port: u32;
  dst_port: u32;
  len: u32;
  type: u16;
  op: u16;
  flags: u32;
  buf_alloc: u32;
  fwd_cnt: u32;
}

/** A chain of a zero-copy send. */
@unmanaged
export class RxChain {
  head: u32;
  header: u32; // linear
  first: u32; // index of its first piece
  bytes: u32;
}

/** A reset to send. */
@unmanaged
export class Reply {
  cid: u64;
  host_port: u32;
  guest_port: u32;
  type: u32;
  reserved: u32;
}
const REPLY_SIZE: usize = 24;

@inline
export function vsock_state(): Vsock {
  return changetype<Vsock>(BASE);
}

@inline
export function vsock_device(): Device {
  return device_at(vsock_state().slot - 1);
}

@inline
export function conn_at(index: u32): Conn {
  return changetype<Conn>(CONNS + (<usize>index << CONN_SHIFT));
}

// ---- connections ---------------------------------------------------------------------------------------------

/** Forgets everything (`all`: at the device's start), or lets the connections of a reset device wait for the owner. */
export function table_reset(all: bool): void {
  const s = vsock_state();
  if (all) {
    own_fill(BASE, 0, 0x1a000);
  } else {
    own_fill(HASH, 0, BUCKETS * 2);
    s.pending_head = 0;
    s.pending_tail = 0;
    s.reply_head = 0;
    s.reply_tail = 0;
    s.tx_stalled = 0;
    s.waiting = 0;
    s.event_wanted = 0;
    s.rx_count = 0;
    for (let i: u32 = 0; i < CONN_MAX; i++) {
      const c = conn_at(i);
      if (c.state != CONN_FREE) c.state = CONN_CLOSED;
      c.pending = 0;
      c.queued = 0;
      c.next_pending = 0;
      c.next_hash = 0;
      c.want_write = 0;
    }
  }
}

@inline
function bucket(host_port: u32, guest_port: u32): usize {
  return HASH + (<usize>((host_port * 0x9e37_79b1 ^ guest_port * 0x85eb_ca6b) >> 23) << 1);
}

/** The live connection between two ports, or -1. */
export function conn_find(host_port: u32, guest_port: u32): i32 {
  let i = <u32>load<u16>(bucket(host_port, guest_port));
  while (i != 0) {
    const c = conn_at(i - 1);
    if (c.host_port == host_port && c.guest_port == guest_port) return i - 1;
    i = c.next_hash;
  }
  return -1;
}

/** A new connection in `state`, or -1 when all are taken. */
export function conn_alloc(host_port: u32, guest_port: u32, state: u32): i32 {
  const s = vsock_state();
  for (let n: u32 = 0; n < CONN_MAX; n++) {
    const index = (s.free_hint + n) % CONN_MAX;
    const c = conn_at(index);
    if (c.state != CONN_FREE) continue;
    s.free_hint = (index + 1) % CONN_MAX;
    const generation = c.generation;
    own_fill(changetype<usize>(c), 0, 1 << CONN_SHIFT);
    c.generation = generation + 1 == 1 << (31 - INDEX_BITS) ? 1 : generation + 1;
    c.state = state;
    c.host_port = host_port;
    c.guest_port = guest_port;
    c.buf_alloc = VSOCK_BUF_ALLOC;
    const b = bucket(host_port, guest_port);
    c.next_hash = load<u16>(b);
    own_put16(b, index + 1);
    return index;
  }
  return -1;
}

export function conn_free(index: u32): void {
  const c = conn_at(index);
  if (c.state != CONN_CLOSED) unhash(index);
  if (c.queued != 0) unqueue(index);
  c.state = CONN_FREE;
  c.pending = 0;
  c.want_write = 0;
}

function unhash(index: u32): void {
  const c = conn_at(index);
  const b = bucket(c.host_port, c.guest_port);
  let i = <u32>load<u16>(b);
  if (i == index + 1) {
    own_put16(b, c.next_hash);
    return;
  }
  while (i != 0) {
    const at = conn_at(i - 1);
    if (at.next_hash == index + 1) {
      at.next_hash = c.next_hash;
      return;
    }
    i = at.next_hash;
  }
}

/** 1..2^31-1; never 0. */
export function conn_handle(index: u32): u32 {
  return (conn_at(index).generation << INDEX_BITS) | index;
}

/** The index of a live connection, or -1. */
export function conn_by_handle(handle: u32): i32 {
  const index = handle & (CONN_MAX - 1);
  const c = conn_at(index);
  if (c.generation != handle >> INDEX_BITS || c.state == CONN_FREE || c.state == CONN_CLOSED) return -1;
  return index;
}

export function is_listening(port: u32): bool {
  const n = vsock_state().listen_count;
  for (let i: u32 = 0; i < n; i++) {
    if (load<u32>(LISTEN + (i << 2)) == port) return true;
  }
  return false;
}

// ---- what waits for receive buffers --------------------------------------------------------------------------

/** Queues operation `what` of a connection. */
export function conn_post(index: u32, what: u32): void {
  const s = vsock_state();
  const c = conn_at(index);
  c.pending |= what;
  if (c.queued != 0) return;
  c.queued = 1;
  c.next_pending = 0;
  if (s.pending_tail != 0) conn_at(s.pending_tail - 1).next_pending = index + 1;
  else s.pending_head = index + 1;
  s.pending_tail = index + 1;
}

/** Takes the next operation of the first connection on the list, which leaves it with its last one. */
export function conn_take_pending(index: u32): u32 {
  const c = conn_at(index);
  const what: u32 = 1 << ctz<u32>(c.pending);
  c.pending &= ~what;
  if (c.pending == 0) unqueue(index);
  return what;
}

function unqueue(index: u32): void {
  const s = vsock_state();
  const c = conn_at(index);
  c.queued = 0;
  let before: u32 = 0;
  let i = s.pending_head;
  while (i != 0 && i != index + 1) {
    before = i;
    i = conn_at(i - 1).next_pending;
  }
  if (i == 0) return;
  if (before == 0) s.pending_head = c.next_pending;
  else conn_at(before - 1).next_pending = c.next_pending;
  if (s.pending_tail == index + 1) s.pending_tail = before;
  c.next_pending = 0;
}

/** May another packet of the guest be looked at? It may need a reset as its answer. */
export function reply_room(): bool {
  const s = vsock_state();
  return s.reply_head - s.reply_tail < REPLIES_GUEST;
}

/** Queues a reset. With the ring full it is dropped: the guest's next packet on that connection asks for it again. */
export function reply_put(cid: u64, host_port: u32, guest_port: u32, type: u32): void {
  const s = vsock_state();
  if (s.reply_head - s.reply_tail >= REPLIES) return;
  const r = changetype<Reply>(REPLY_RING + <usize>(s.reply_head % REPLIES) * REPLY_SIZE);
  r.cid = cid;
  r.host_port = host_port;
  r.guest_port = guest_port;
  r.type = type;
  s.reply_head++;
}

/** The oldest reset; the ring is not empty. */
export function reply_take(): Reply {
  const s = vsock_state();
  const r = changetype<Reply>(REPLY_RING + <usize>(s.reply_tail % REPLIES) * REPLY_SIZE);
  s.reply_tail++;
  return r;
}

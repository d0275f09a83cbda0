/**
 * Split virtqueues (virtio 1.2, §2.7), device side. Ring addresses are checked once, when the driver enables the queue;
 * a chain is checked as a whole and turned into a table of linear (offset, length) pairs, so that device types never
 * see a guest physical address. All functions run under the device's lock.
 *
 *   avail ring: u16 flags, u16 idx, u16 ring[size], u16 used_event
 *   used ring:  u16 flags, u16 idx, {u32 id, u32 len} ring[size], u16 avail_event
 *   descriptor: u64 addr, u32 len, u16 flags, u16 next
 */
import { REASON_ADDRESS, REASON_AVAIL_INDEX, REASON_DESCRIPTOR, REASON_INDIRECT, REASON_QUEUE_ADDRESS } from '../contract/devices';
import { MACHINE_EV_TRACE_VIRTIO, TRACE_VIRTIO } from '../contract/machine';
import {
  INTERRUPT_USED, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTQ_AVAIL_F_NO_INTERRUPT, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE, VIRTQ_USED_F_NO_NOTIFY,
} from '../contract/generated/virtio';
import { DEV_QUEUES, Device, device_fail, interrupt_trigger } from './device';
import { guest_copy, guest_ptr, guest_publish16, guest_store64, own_copy, own_put32 } from '../core/guest';
import { machine, machine_event } from '../core/machine';

export const QUEUE_MAX: u32 = 8;
export const QUEUE_SIZE_MAX: u32 = 256;
export const QUEUE_STRIDE: usize = 128;

@unmanaged
export class Queue {
  index: u32;
  max: u32;
  // Registers, guest physical; fixed while ready.
  size: u32;
  ready: u32;
  desc: u64;
  avail: u64;
  used: u64;
  // Checked linear offsets, valid while ready.
  desc_ptr: usize;
  avail_ptr: usize;
  used_ptr: usize;
  // Cursors, all modulo 2^16.
  last_avail: u32;
  used_idx: u32; // of the next used element
  published: u32; // what the driver was told
  inflight: u32; // chains taken and not yet over, those of before a reset too, where a device keeps some
  epoch: u32; // counts resets and stops: a chain of another epoch is not this ring's
  resetting: u32; // QueueReset: 1 while requests in flight are not over
  // The chain taken last.
  table: usize; // {u32 linear offset, u32 length} × (nread + nwrite)
  head: u32;
  nread: u32;
  nwrite: u32;
  at: u32; // first entry of the readable part not consumed
  read_bytes: u64; // left to read
  write_bytes: u64;
}

@inline
export function queue_at(d: Device, index: u32): Queue {
  return changetype<Queue>(changetype<usize>(d) + DEV_QUEUES + <usize>index * QUEUE_STRIDE);
}

/** Default state of a queue (§2.6.1); the place of its table and the count of requests in flight stay. */
export function queue_reset(q: Queue): void {
  q.size = q.max;
  q.ready = 0;
  q.epoch++;
  q.desc = 0;
  q.avail = 0;
  q.used = 0;
  q.desc_ptr = 0;
  q.avail_ptr = 0;
  q.used_ptr = 0;
  q.last_avail = 0;
  q.used_idx = 0;
  q.published = 0;
  q.nread = 0;
  q.nwrite = 0;
  q.read_bytes = 0;
  q.write_bytes = 0;
}

/** The driver set QueueReady: checks size, alignment and place of all three parts (§2.7). False leaves it disabled. */
export function queue_enable(d: Device, q: Queue): bool {
  const size = q.size;
  const desc = q.desc;
  const avail = q.avail;
  const used = q.used;
  q.ready = 0;
  if (size != 0 && size <= q.max && (size & (size - 1)) == 0 && (desc & 15) == 0 && (avail & 1) == 0 && (used & 3) == 0) {
    const desc_ptr = guest_ptr(desc, <u64>size * 16);
    const avail_ptr = guest_ptr(avail, <u64>size * 2 + 6);
    const used_ptr = guest_ptr(used, <u64>size * 8 + 6);
    if (desc_ptr != 0 && avail_ptr != 0 && used_ptr != 0) {
      q.desc_ptr = desc_ptr;
      q.avail_ptr = avail_ptr;
      q.used_ptr = used_ptr;
      q.last_avail = 0;
      q.used_idx = 0;
      q.published = 0;
      q.ready = 1;
      return true;
    }
  }
  device_fail(d, REASON_QUEUE_ADDRESS);
  return false;
}

// ---- available ring ------------------------------------------------------------------------------------------

/** How many chains the driver has made available and the device has not taken. More than the queue holds is an attack. */
@inline
export function queue_pending(q: Queue): u32 {
  return (<u32>atomic.load<u16>(q.avail_ptr, 2) - q.last_avail) & 0xffff;
}

/** Takes the next chain into `q`. 1, 0 when there is none, -1 when the driver broke a rule (the device then stops). */
export function queue_pop(d: Device, q: Queue): i32 {
  const pending = queue_pending(q);
  if (pending == 0) return 0;
  if (pending > q.size) {
    device_fail(d, REASON_AVAIL_INDEX);
    return -1;
  }
  const head = <u32>load<u16>(q.avail_ptr + 4 + ((q.last_avail & (q.size - 1)) << 1));
  const reason = chain_parse(d, q, head);
  if (reason != 0) {
    device_fail(d, reason);
    return -1;
  }
  q.head = head;
  q.last_avail = (q.last_avail + 1) & 0xffff;
  d.requests++;
  if ((machine().trace & TRACE_VIRTIO) != 0) machine_event(MACHINE_EV_TRACE_VIRTIO, d.slot | (q.index << 8), head);
  return 1;
}

/** Puts back the last `n` chains taken: none of them has been used. */
@inline
export function queue_unpop(q: Queue, n: u32): void {
  q.last_avail = (q.last_avail - n) & 0xffff;
}

/** Walks the chain at `head` and fills the table. Each descriptor is read once. 0 or REASON_*. */
function chain_parse(d: Device, q: Queue, head: u32): u32 {
  let table = q.desc_ptr;
  let entries = q.size;
  let index = head;
  let indirect = false;
  let seen: u32 = 0;
  let nread: u32 = 0;
  let nwrite: u32 = 0;
  let read_bytes: u64 = 0;
  let write_bytes: u64 = 0;
  const out = q.table;
  let end: u32 = 0; // linear end of the entry written last
  let writes = false;
  for (;;) {
    if (index >= entries) return REASON_DESCRIPTOR;
    // No chain is longer than the queue, inside a table or not (§2.7.5.3.1): this also ends loops.
    if (seen >= q.size) return REASON_DESCRIPTOR;
    const p = table + (<usize>index << 4);
    const addr = load<u64>(p);
    const meta = load<u64>(p, 8);
    const len = <u32>meta;
    const flags = <u32>(meta >> 32) & 0xffff;
    if ((flags & VIRTQ_DESC_F_INDIRECT) != 0) {
      if (indirect || (d.driver_features & VIRTIO_F_INDIRECT_DESC) == 0 || (flags & VIRTQ_DESC_F_NEXT) != 0) return REASON_INDIRECT;
      if (len == 0 || (len & 15) != 0) return REASON_INDIRECT;
      table = guest_ptr(addr, len);
      if (table == 0) return REASON_INDIRECT;
      entries = len >> 4;
      index = 0;
      indirect = true;
      continue;
    }
    seen++;
    const write = (flags & VIRTQ_DESC_F_WRITE) != 0;
    if (!write && writes) return REASON_DESCRIPTOR; // readable after writable (§2.7.4.2)
    writes = write;
    if (len != 0) {
      const ptr = guest_ptr(addr, len);
      if (ptr == 0) return REASON_ADDRESS;
      const n = nread + nwrite;
      if (n != 0 && <u32>ptr == end && write == (nwrite != 0)) {
        // Adjacent pieces become one: fewer entries for the host's readv.
        const last = out + ((n - 1) << 3);
        own_put32(last + 4, load<u32>(last, 4) + len);
      } else {
        own_put32(out + (n << 3), <u32>ptr);
        own_put32(out + (n << 3) + 4, len);
        if (write) nwrite++;
        else nread++;
      }
      end = <u32>ptr + len;
      if (write) write_bytes += len;
      else read_bytes += len;
    }
    if ((flags & VIRTQ_DESC_F_NEXT) == 0) break;
    index = <u32>(meta >> 48);
  }
  q.nread = nread;
  q.nwrite = nwrite;
  q.at = 0;
  q.read_bytes = read_bytes;
  q.write_bytes = write_bytes;
  return 0;
}

// ---- the chain taken last ------------------------------------------------------------------------------------

@inline
export function table_ptr(table: usize, index: u32): usize {
  return <usize>load<u32>(table + (<usize>index << 3));
}

@inline
export function table_len(table: usize, index: u32): u32 {
  return load<u32>(table + (<usize>index << 3), 4);
}

@inline
export function table_put(table: usize, index: u32, ptr: usize, len: u32): void {
  own_put32(table + (<usize>index << 3), <u32>ptr);
  own_put32(table + (<usize>index << 3) + 4, len);
}

/** Reads `len` bytes from the front of the readable part into the core's own memory at `to`; returns how many there were. */
export function chain_read(q: Queue, to: usize, len: u32): u32 {
  let done: u32 = 0;
  while (done < len && q.at < q.nread) {
    const ptr = table_ptr(q.table, q.at);
    const have = table_len(q.table, q.at);
    const n = min<u32>(have, len - done);
    own_copy(to + done, ptr, n);
    done += n;
    if (n == have) q.at++;
    else table_put(q.table, q.at, ptr + n, have - n);
  }
  q.read_bytes -= done;
  return done;
}

/** Copies `len` bytes at `from` into the writable part, `offset` bytes behind its start; returns how many fitted. */
export function chain_write(q: Queue, offset: u32, from: usize, len: u32): u32 {
  let skip = offset;
  let done: u32 = 0;
  const last = q.nread + q.nwrite;
  for (let i = q.nread; i < last && done < len; i++) {
    const have = table_len(q.table, i);
    if (skip >= have) {
      skip -= have;
      continue;
    }
    const n = min<u32>(have - skip, len - done);
    guest_copy(table_ptr(q.table, i) + skip, from + done, n);
    skip = 0;
    done += n;
  }
  return done;
}

// ---- used ring -----------------------------------------------------------------------------------------------

/** Gives chain `head` back with `len` bytes written; the driver sees it at the next `queue_publish`. */
export function queue_used(q: Queue, head: u32, len: u32): void {
  const p = q.used_ptr + 4 + ((q.used_idx & (q.size - 1)) << 3);
  // One store of id and len; used elements are 4-aligned, WebAssembly's plain stores need no alignment.
  guest_store64(p, <u64>head | (<u64>len << 32));
  q.used_idx = (q.used_idx + 1) & 0xffff;
}

/** Shows the driver all used elements and interrupts it if it wants (§2.7.7, §2.7.10). */
export function queue_publish(d: Device, q: Queue): void {
  const old = q.published;
  const now = q.used_idx;
  if (old == now || q.ready == 0) return;
  // Release: the elements and the buffers are visible before the index. Sequentially consistent, so the driver's
  // wish below is read after the index is visible: one of the two sides always sees the other.
  guest_publish16(q.used_ptr + 2, now);
  q.published = now;
  let wanted: bool;
  if ((d.driver_features & VIRTIO_F_EVENT_IDX) != 0) {
    const event = <u32>atomic.load<u16>(q.avail_ptr + 4 + (q.size << 1));
    wanted = ((now - event - 1) & 0xffff) < ((now - old) & 0xffff);
  } else {
    wanted = (<u32>atomic.load<u16>(q.avail_ptr) & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
  }
  if (wanted) interrupt_trigger(d, INTERRUPT_USED);
}

/**
 * Asks for a notification when the driver adds a chain, unless the owner polls, then looks again (the driver may have
 * added one before it saw the wish). True when there is something to take.
 */
export function queue_want_kick(d: Device, q: Queue): bool {
  if (d.polled != 0) return queue_pending(q) != 0;
  if ((d.driver_features & VIRTIO_F_EVENT_IDX) != 0) guest_publish16(q.used_ptr + 4 + (q.size << 3), q.last_avail);
  else guest_publish16(q.used_ptr, 0);
  return queue_pending(q) != 0;
}

/** No notifications for now. With event index a stale avail_event says the same, so nothing is written. */
export function queue_no_kick(d: Device, q: Queue): void {
  if ((d.driver_features & VIRTIO_F_EVENT_IDX) == 0) guest_publish16(q.used_ptr, VIRTQ_USED_F_NO_NOTIFY);
}

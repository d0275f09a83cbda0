/**
 * Block device (virtio 1.2, §5.2). A request is parsed into (operation, byte offset, table of linear pieces) and given to
 * the host, which answers at once or later by `blk_complete`. Requests in flight live at BLK_BASE + slot * BLK_STRIDE:
 *
 *   0x0000  class BlkRequest × BLK_REQUESTS, indexed by tag
 *   0x8000  tables, BLK_SEGMENTS × {u32 linear offset, u32 length} a tag
 *
 * A tag stays taken until the host completes it, whatever the driver does meanwhile; a request of before a reset is
 * only counted off.
 */
import { BLK_DISCARD, BLK_READ_ONLY, BLK_RESULT_SIZE, BLK_SEGMENTS, REASON_REQUEST, SECTOR } from '../contract/devices';
import { HOST_BLK_SYNC, HOST_PENDING } from '../contract/hooks';
import { EINVAL, ENODEV, EOPNOTSUPP } from '../contract/generated/errno';
import {
  VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_SIZE_MAX, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, VIRTIO_ID_BLOCK,
} from '../contract/generated/virtio';
import { BLK_BASE, BLK_STRIDE } from '../core/layout';
import { host_blk } from '../core/host';
import { guest_copy, guest_fill, guest_store8, guest_written_at, own_copy, own_fill, own_put16, own_put32, own_put64, own_put8 } from '../core/guest';
import { Device, device_active, device_config, device_config_changed, device_fail, device_lock, device_of, device_private, device_unlock } from './device';
import { device_new } from './slot';
import { Queue, chain_read, queue_at, queue_no_kick, queue_pop, queue_publish, queue_used, queue_want_kick, table_len, table_ptr, table_put } from './queue';
import { tag_free, tag_take } from './tags';

// struct virtio_blk_config (§5.2.4).
const CONFIG_CAPACITY: usize = 0;
const CONFIG_SIZE_MAX: usize = 8;
const CONFIG_SEG_MAX: usize = 12;
const CONFIG_BLK_SIZE: usize = 20;
const CONFIG_PHYSICAL_BLOCK_EXP: usize = 24;
const CONFIG_MIN_IO_SIZE: usize = 26;
const CONFIG_OPT_IO_SIZE: usize = 28;
const CONFIG_WRITEBACK: usize = 32;
const CONFIG_NUM_QUEUES: usize = 34;
const CONFIG_MAX_DISCARD_SECTORS: usize = 36;
const CONFIG_MAX_DISCARD_SEG: usize = 40;
const CONFIG_DISCARD_SECTOR_ALIGNMENT: usize = 44;
const CONFIG_MAX_WRITE_ZEROES_SECTORS: usize = 48;
const CONFIG_MAX_WRITE_ZEROES_SEG: usize = 52;
const CONFIG_WRITE_ZEROES_MAY_UNMAP: usize = 56;
const CONFIG_LEN: u32 = 60;

export const BLK_QUEUE_SIZE: u32 = 256;
/** Pieces of one request: with header and status they fit a chain of half the queue. */
export const BLK_SEG_MAX: u32 = 126;
const BLK_SIZE_MAX: u32 = 1 << 20;
/** Most bytes of one request: what seg_max pieces of size_max hold, far below the i32 that `host_blk` returns. */
const BLK_BYTES_MAX: u64 = 128 << 20;
/** 2 GiB less a sector: a discard's byte count stays a positive i32. */
const BLK_DISCARD_SECTORS: u32 = 0x3f_ffff;
/** Most bytes that one call of `blk_process` moves or clears; the owner then looks at its other work. */
const BLK_BUDGET: u64 = 64 << 20;

export const BLK_REQUESTS: u32 = 256;
const BLK_TABLES: usize = 0x8000;

@unmanaged
class Blk {
  moved: u64; // bytes in this call of blk_process
  disk: u32;
  read_only: u32;
  // The request being parsed: struct virtio_blk_req's head, and struct virtio_blk_discard_write_zeroes.
  header_type: u32;
  header_reserved: u32;
  header_sector: u64;
  segment_sector: u64;
  segment_num: u32;
  segment_flags: u32;
  write_through: u32; // each write is stable before it completes (§5.2.6.2)
}

/** In the private state: one bit a tag in use, and the ID string. */
const BLK_TAGS: usize = 0x100;
const BLK_ID: usize = 0x140;

@unmanaged
export class BlkRequest {
  epoch: u32; // of the queue when the request was taken
  queue: u32;
  head: u32;
  op: u32;
  status_ptr: u32; // the chain's last writable byte
  length: u32; // data bytes
  pieces: u32; // of the table
  busy: u32;
}

@inline
function blk(d: Device): Blk {
  return changetype<Blk>(device_private(d));
}

@inline
function request_at(d: Device, tag: u32): BlkRequest {
  return changetype<BlkRequest>(<usize>(BLK_BASE + d.slot * BLK_STRIDE) + <usize>tag * 32);
}

@inline
function table_at(d: Device, tag: u32): usize {
  return <usize>(BLK_BASE + d.slot * BLK_STRIDE) + BLK_TABLES + <usize>tag * (BLK_SEGMENTS * 8);
}

/**
 * Puts a disk into `slot`. `sectors`: capacity in 512-byte sectors, 0 for a spare slot that is filled later.
 * `block_size`: logical block, a power of two from 512 to 4096. `queues`: request queues, 1..8. The ID string is empty until `blk_id`
 * sets it. 0, -EINVAL, -EBUSY or what the bus says.
 */
export function blk_add(slot: u32, disk: u32, sectors: f64, flags: u32, block_size: u32, queues: u32): i32 {
  if (block_size < SECTOR || block_size > 4096 || (block_size & (block_size - 1)) != 0) return -EINVAL;
  if (queues == 0 || queues > 8 || !(sectors >= 0) || sectors > 36028797018963967.0) return -EINVAL;
  const ro = (flags & BLK_READ_ONLY) != 0;
  let features = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_TOPOLOGY;
  if (ro) features |= VIRTIO_BLK_F_RO;
  else features |= VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_WRITE_ZEROES;
  if (!ro && (flags & BLK_DISCARD) != 0) features |= VIRTIO_BLK_F_DISCARD;
  if (queues > 1) features |= VIRTIO_BLK_F_MQ;
  const added = device_new(slot, VIRTIO_ID_BLOCK, features, queues, BLK_QUEUE_SIZE, CONFIG_LEN);
  if (added < 0) return added;
  const d = device_of(slot, VIRTIO_ID_BLOCK);
  const c = device_config(d);
  own_put64(c + CONFIG_CAPACITY, <u64>sectors);
  own_put32(c + CONFIG_SIZE_MAX, BLK_SIZE_MAX);
  own_put32(c + CONFIG_SEG_MAX, BLK_SEG_MAX);
  own_put32(c + CONFIG_BLK_SIZE, block_size);
  own_put8(c + CONFIG_PHYSICAL_BLOCK_EXP, 12 - <u32>ctz<u32>(block_size));
  own_put16(c + CONFIG_MIN_IO_SIZE, 4096 / block_size);
  own_put32(c + CONFIG_OPT_IO_SIZE, 0);
  own_put8(c + CONFIG_WRITEBACK, 1);
  own_put16(c + CONFIG_NUM_QUEUES, queues);
  if ((features & VIRTIO_BLK_F_DISCARD) != 0) {
    own_put32(c + CONFIG_MAX_DISCARD_SECTORS, BLK_DISCARD_SECTORS);
    own_put32(c + CONFIG_MAX_DISCARD_SEG, 1);
    own_put32(c + CONFIG_DISCARD_SECTOR_ALIGNMENT, 4096 / SECTOR);
  }
  if (!ro) {
    own_put32(c + CONFIG_MAX_WRITE_ZEROES_SECTORS, BLK_DISCARD_SECTORS);
    own_put32(c + CONFIG_MAX_WRITE_ZEROES_SEG, 1);
    own_put8(c + CONFIG_WRITE_ZEROES_MAY_UNMAP, 1);
  }
  own_fill(changetype<usize>(request_at(d, 0)), 0, BLK_REQUESTS * 32);
  const b = blk(d);
  b.disk = disk;
  b.read_only = ro ? 1 : 0;
  return 0;
}

/** The 20 bytes that GET_ID answers, from `ptr`. -ENODEV when `slot` is no disk. */
export function blk_id(slot: u32, ptr: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_BLOCK);
  if (changetype<usize>(d) == 0) return -ENODEV;
  own_copy(device_private(d) + BLK_ID, ptr, VIRTIO_BLK_ID_BYTES);
  return 0;
}

/** The disk in `slot` now has `sectors` (hot attach and resize): the driver gets a configuration change. */
export function blk_set_capacity(slot: u32, sectors: f64): i32 {
  const d = device_of(slot, VIRTIO_ID_BLOCK);
  if (changetype<usize>(d) == 0) return -ENODEV;
  if (!(sectors >= 0) || sectors > 36028797018963967.0) return -EINVAL;
  device_lock(d);
  own_put64(device_config(d) + CONFIG_CAPACITY, <u64>sectors);
  device_config_changed(d);
  device_unlock(d);
  return 0;
}

// ---- called by the transport ---------------------------------------------------------------------------------

/** A driver that cannot flush starts with a write-through cache (§5.2.5.2). */
export function blk_negotiated(d: Device): void {
  if ((d.features & VIRTIO_BLK_F_CONFIG_WCE) != 0) own_put8(device_config(d) + CONFIG_WRITEBACK, (d.driver_features & VIRTIO_BLK_F_FLUSH) != 0 ? 1 : 0);
  blk_cache_mode(d);
}

/** Write-back only while the driver knows how to flush and has not switched the cache off (§5.2.5, §5.2.6.2). */
function blk_cache_mode(d: Device): void {
  const f = d.driver_features;
  let back = (f & VIRTIO_BLK_F_FLUSH) != 0;
  if ((f & VIRTIO_BLK_F_CONFIG_WCE) != 0) back = load<u8>(device_config(d) + CONFIG_WRITEBACK) != 0;
  blk(d).write_through = back ? 0 : 1;
}

export function blk_config_write(d: Device, offset: u32, size: u32, value: u64): void {
  if (offset != <u32>CONFIG_WRITEBACK || size != 1 || (d.driver_features & VIRTIO_BLK_F_CONFIG_WCE) == 0) {
    d.ignored++;
    return;
  }
  own_put8(device_config(d) + CONFIG_WRITEBACK, (value & 1) != 0 ? 1 : 0);
  blk_cache_mode(d);
}

export function blk_reset(d: Device): void {
  d.stalled = 0;
  own_put8(device_config(d) + CONFIG_WRITEBACK, (d.features & VIRTIO_BLK_F_CONFIG_WCE) != 0 ? 1 : 0);
}

/** Requests of `q` in flight are orphans; QueueReset reads 1 when the last is over. */
export function blk_queue_reset(d: Device, q: Queue): void {
  d.stalled &= ~(1 << q.index);
}

export function blk_process(d: Device, q: Queue): bool {
  const b = blk(d);
  b.moved = 0;
  // A driver that keeps adding is served a queue's worth, then the owner looks at its other work.
  let left = q.size;
  let more = false;
  queue_no_kick(d, q);
  for (;;) {
    if (left == 0 || b.moved > BLK_BUDGET) {
      more = true;
      break;
    }
    const tag = tag_take(device_private(d) + BLK_TAGS, BLK_REQUESTS);
    if (tag < 0) {
      d.stalled |= 1 << q.index;
      break;
    }
    const got = queue_pop(d, q);
    if (got != 1) {
      tag_free(device_private(d) + BLK_TAGS, tag);
      if (got < 0 || !queue_want_kick(d, q)) break;
      continue;
    }
    left--;
    blk_request(d, q, tag);
    if (!device_active(d)) break;
  }
  if (device_active(d)) queue_publish(d, q);
  return more;
}

// ---- one request ---------------------------------------------------------------------------------------------

function blk_request(d: Device, q: Queue, tag: u32): void {
  const b = blk(d);
  const r = request_at(d, tag);
  // The status byte is the last writable one; without it there is nowhere to answer (§5.2.6).
  if (q.write_bytes == 0) {
    tag_free(device_private(d) + BLK_TAGS, tag);
    device_fail(d, REASON_REQUEST);
    return;
  }
  const last = q.nread + q.nwrite - 1;
  const last_len = table_len(q.table, last);
  const status_ptr = table_ptr(q.table, last) + last_len - 1;
  table_put(q.table, last, table_ptr(q.table, last), last_len - 1);
  r.epoch = q.epoch;
  r.queue = q.index;
  r.head = q.head;
  r.status_ptr = <u32>status_ptr;
  r.length = 0;
  r.pieces = 0;
  r.busy = 1;
  q.inflight++;
  atomic_add_inflight(d);

  if (chain_read(q, changetype<usize>(b) + offsetof<Blk>('header_type'), 16) < 16) {
    r.op = VIRTIO_BLK_T_OUT;
    finish(d, tag, VIRTIO_BLK_S_IOERR);
    return;
  }
  const type = b.header_type;
  r.op = type;
  let status: u32;
  switch (type) {
    case VIRTIO_BLK_T_IN: status = start_in(d, q, r, tag); break;
    case VIRTIO_BLK_T_OUT: status = start_out(d, q, r, tag); break;
    case VIRTIO_BLK_T_FLUSH: status = start_flush(d, tag); break;
    case VIRTIO_BLK_T_GET_ID: status = get_id(d, q, r, tag); break;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES: status = start_range(d, q, r, tag); break;
    default: status = VIRTIO_BLK_S_UNSUPP; break;
  }
  if (status != STARTED) finish(d, tag, status);
}

/** What the start functions return when the host has the request, or has ended it. */
const STARTED: u32 = 0x100;

function start_in(d: Device, q: Queue, r: BlkRequest, tag: u32): u32 {
  const length = q.write_bytes - 1;
  if (!pieces(d, q, r, tag, q.nread, q.nread + q.nwrite, length)) return VIRTIO_BLK_S_IOERR;
  if (!in_range(d, length)) return VIRTIO_BLK_S_IOERR;
  return start(d, tag, VIRTIO_BLK_T_IN, blk(d).header_sector * SECTOR);
}

function start_out(d: Device, q: Queue, r: BlkRequest, tag: u32): u32 {
  const b = blk(d);
  if (b.read_only != 0) return VIRTIO_BLK_S_IOERR; // §5.2.6.2
  if (!pieces(d, q, r, tag, q.at, q.nread, q.read_bytes) || !in_range(d, q.read_bytes)) return VIRTIO_BLK_S_IOERR;
  return start(d, tag, VIRTIO_BLK_T_OUT | (b.write_through != 0 ? HOST_BLK_SYNC : 0), b.header_sector * SECTOR);
}

function start_flush(d: Device, tag: u32): u32 {
  if (blk(d).read_only != 0) return VIRTIO_BLK_S_OK;
  return start(d, tag, VIRTIO_BLK_T_FLUSH, 0);
}

function get_id(d: Device, q: Queue, r: BlkRequest, tag: u32): u32 {
  // At most 20 bytes, without a terminator when all are used (§5.2.6.1).
  const length = q.write_bytes - 1;
  if (!pieces(d, q, r, tag, q.nread, q.nread + q.nwrite, length)) return VIRTIO_BLK_S_IOERR;
  let left = VIRTIO_BLK_ID_BYTES;
  const table = table_at(d, tag);
  const id = device_private(d) + BLK_ID;
  let at: u32 = 0;
  for (let i: u32 = 0; i < r.pieces; i++) {
    const n = min<u32>(left, table_len(table, i));
    guest_copy(table_ptr(table, i), id + at, n);
    if (table_len(table, i) > n) guest_fill(table_ptr(table, i) + n, 0, table_len(table, i) - n);
    at += n;
    left -= n;
  }
  return VIRTIO_BLK_S_OK;
}

/** DISCARD and WRITE_ZEROES: one segment, as the configuration space says (§5.2.6.2). */
function start_range(d: Device, q: Queue, r: BlkRequest, tag: u32): u32 {
  const b = blk(d);
  const discard = r.op == VIRTIO_BLK_T_DISCARD;
  const feature = discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES;
  if ((d.driver_features & feature) == 0) return VIRTIO_BLK_S_UNSUPP;
  if (b.read_only != 0 || q.read_bytes != 16) return VIRTIO_BLK_S_IOERR;
  chain_read(q, changetype<usize>(b) + offsetof<Blk>('segment_sector'), 16);
  const flags = b.segment_flags;
  if ((flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0) return VIRTIO_BLK_S_UNSUPP;
  if (discard && flags != 0) return VIRTIO_BLK_S_UNSUPP;
  const sectors = b.segment_num;
  const capacity = load<u64>(device_config(d), CONFIG_CAPACITY);
  if (sectors > BLK_DISCARD_SECTORS || b.segment_sector > capacity || <u64>sectors > capacity - b.segment_sector) return VIRTIO_BLK_S_IOERR;
  if (sectors == 0) return VIRTIO_BLK_S_OK;
  // For these two the table holds {flags, bytes}.
  table_put(table_at(d, tag), 0, flags, sectors * SECTOR);
  r.pieces = 1;
  r.length = 0;
  return start(d, tag, r.op, b.segment_sector * SECTOR);
}

/** Copies entries `from`..`to` of the chain into the request's table. False when they are too many or too long. */
function pieces(d: Device, q: Queue, r: BlkRequest, tag: u32, from: u32, to: u32, length: u64): bool {
  if (length > BLK_BYTES_MAX) return false;
  const table = table_at(d, tag);
  let n: u32 = 0;
  for (let i = from; i < to; i++) {
    const len = table_len(q.table, i);
    if (len == 0) continue;
    if (n == BLK_SEGMENTS) return false;
    table_put(table, n, table_ptr(q.table, i), len);
    n++;
  }
  r.pieces = n;
  r.length = <u32>length;
  return true;
}

/** Whole sectors inside the disk; cannot wrap. */
function in_range(d: Device, length: u64): bool {
  const sector = blk(d).header_sector;
  const capacity = load<u64>(device_config(d), CONFIG_CAPACITY);
  return length % SECTOR == 0 && sector <= capacity && length / SECTOR <= capacity - sector;
}

function start(d: Device, tag: u32, op: u32, offset: u64): u32 {
  const b = blk(d);
  const r = request_at(d, tag);
  b.moved += r.length;
  if ((r.op == VIRTIO_BLK_T_IN || r.op == VIRTIO_BLK_T_OUT) && r.length == 0) return VIRTIO_BLK_S_OK;
  const result = host_blk(b.disk, op, offset, <u32>table_at(d, tag), r.pieces, tag);
  if (result != HOST_PENDING) complete(d, tag, result);
  return STARTED;
}

function complete(d: Device, tag: u32, result: i32): void {
  const r = request_at(d, tag);
  let status = VIRTIO_BLK_S_OK;
  if (result < 0) status = result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
  else if ((r.op == VIRTIO_BLK_T_IN || r.op == VIRTIO_BLK_T_OUT) && <u32>result != r.length) status = VIRTIO_BLK_S_IOERR;
  finish(d, tag, status);
}

/** Answers a request and frees its tag. One of before a reset only leaves: its chain is the driver's again. */
function finish(d: Device, tag: u32, status: u32): void {
  const r = request_at(d, tag);
  const q = queue_at(d, r.queue);
  const reads = r.op == VIRTIO_BLK_T_IN || r.op == VIRTIO_BLK_T_GET_ID;
  const table = table_at(d, tag);
  if (reads && r.op == VIRTIO_BLK_T_IN) {
    for (let i: u32 = 0; i < r.pieces; i++) guest_written_at(table_ptr(table, i), table_len(table, i));
  }
  if (r.epoch == q.epoch && q.ready != 0 && device_active(d)) {
    // A failed read leaves zeros, not what was there, so that `len` bytes are indeed written (§2.7.8.2).
    if (status != VIRTIO_BLK_S_OK && reads) {
      for (let i: u32 = 0; i < r.pieces; i++) guest_fill(table_ptr(table, i), 0, table_len(table, i));
      blk(d).moved += r.length;
    }
    guest_store8(r.status_ptr, status);
    queue_used(q, r.head, (reads ? r.length : 0) + 1);
  }
  q.inflight--;
  if (q.inflight == 0) q.resetting = 0;
  r.busy = 0;
  tag_free(device_private(d) + BLK_TAGS, tag);
  atomic_sub_inflight(d);
}

// ---- completions ---------------------------------------------------------------------------------------------

/** The host ends request `tag` of the disk in `slot`: bytes moved or -errno. -EINVAL for a tag that is not in flight. */
export function blk_complete(slot: u32, tag: u32, result: i32): i32 {
  const d = device_of(slot, VIRTIO_ID_BLOCK);
  if (changetype<usize>(d) == 0) return -ENODEV;
  if (tag >= BLK_REQUESTS || request_at(d, tag).busy == 0) return -EINVAL;
  device_lock(d);
  complete(d, tag, result);
  const more = completed(d);
  device_unlock(d);
  return more ? 1 : 0;
}

/**
 * Ends several requests with one lock and one interrupt: `count` × {u32 tag, i32 result} at `ptr`. 1 when
 * `device_poll` should be called soon, else 0; tags that are not in flight are skipped.
 */
export function blk_complete_many(slot: u32, ptr: u32, count: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_BLOCK);
  if (changetype<usize>(d) == 0) return -ENODEV;
  device_lock(d);
  for (let i: u32 = 0; i < count; i++) {
    const tag = load<u32>(<usize>ptr + i * BLK_RESULT_SIZE);
    if (tag < BLK_REQUESTS && request_at(d, tag).busy != 0) complete(d, tag, load<i32>(<usize>ptr + i * BLK_RESULT_SIZE, 4));
  }
  const more = completed(d);
  device_unlock(d);
  return more ? 1 : 0;
}

/** Shows the driver what is done, and takes what waited for a tag. */
function completed(d: Device): bool {
  let more = false;
  if (!device_active(d)) return false;
  for (let i: u32 = 0; i < d.queue_count; i++) {
    const q = queue_at(d, i);
    if (q.ready == 0) continue;
    queue_publish(d, q);
    if ((d.stalled & (1 << i)) != 0 && d.quiesced == 0) {
      d.stalled &= ~(1 << i);
      if (blk_process(d, q)) more = true;
    }
  }
  return more;
}

function atomic_add_inflight(d: Device): void {
  atomic.add<u32>(changetype<usize>(d) + offsetof<Device>('inflight'), 1);
}

/** A vCPU may wait in `device_reset` for the last one; a notification costs more than the request itself. */
function atomic_sub_inflight(d: Device): void {
  const p = changetype<usize>(d) + offsetof<Device>('inflight');
  if (atomic.sub<u32>(p, 1) == 1 && d.resetting != 0) {
    d.resetting = 0;
    atomic.notify(p, -1);
  }
}

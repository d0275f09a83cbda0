/**
 * File system device (virtio 1.2, §5.11): FUSE requests (<linux/fuse.h>). A request is parsed into a block of numbers and checked
 * names (fs_parse.ts, assembly/contract/fs.ts) and given to the host, which works on it without the device's lock and ends it by
 * `fs_complete`. One request at a time is with the host, beside those that wait for a lock.
 */
import { FS_NO_GROUP, FS_QUEUES, FS_REPLY, FS_REPLY_SIZE, FS_REQUEST_SIZE, FS_REQUESTS, FS_RESET, FS_TAG_BYTES, FS_PIECES } from '../contract/fs';
import { EINVAL, EIO, ENODEV } from '../contract/generated/errno';
import { FUSE_BATCH_FORGET, FUSE_FORGET, FUSE_INIT, FUSE_INTERRUPT, FUSE_READ } from '../contract/generated/fuse';
import { VIRTIO_ID_FS } from '../contract/generated/virtio';
import { guest_store32, guest_store64, guest_copy, guest_written_at, own_copy, own_fill, own_put32 } from '../core/guest';
import { host_fs } from '../core/host';
import { FS_BASE, FS_STRIDE } from '../core/layout';
import { Device, device_active, device_config, device_lock, device_of, device_private, device_unlock } from './device';
import { FsRequest, copy_pieces, fs_parse } from './fs_parse';
import { fs_init } from './fs_init';
import { device_new } from './slot';
import { Queue, queue_at, queue_no_kick, queue_pop, queue_publish, queue_used, queue_want_kick, table_len, table_ptr } from './queue';
import { tag_free, tag_take } from './tags';

// struct virtio_fs_config (§5.11.4): tag, then the number of request queues.
const CONFIG_NUM_REQUEST_QUEUES: usize = 36;
const CONFIG_LEN: u32 = 40;
const FS_QUEUE_SIZE: u32 = 256;
/** Bytes of struct fuse_out_header. */
const OUT_HEADER: u32 = 16;

@unmanaged
class Fs {
  flags: u32; // FS_*
  /** The file system's session: 0 before FUSE_INIT. */
  ready: u32;
  /** Tag plus one of the request that the host works on. */
  current: u32;
}

/** In the private state: one bit a tag in use. */
const FS_TAGS: usize = 0x100;

@inline
function fs(d: Device): Fs {
  return changetype<Fs>(device_private(d));
}

@inline
function area(d: Device): usize {
  return <usize>(FS_BASE + d.slot * FS_STRIDE);
}

@inline
function request_at(d: Device, tag: u32): FsRequest {
  return changetype<FsRequest>(area(d) + <usize>tag * FS_REQUEST_SIZE);
}

/** Puts a file system into `slot`; `tag`: FS_TAG_BYTES of it, padded by zeros. 0 or what the bus says. */
export function fs_add(slot: u32, tag: u32, flags: u32): i32 {
  const added = device_new(slot, VIRTIO_ID_FS, 0, FS_QUEUES, FS_QUEUE_SIZE, CONFIG_LEN);
  if (added < 0) return added;
  const d = device_of(slot, VIRTIO_ID_FS);
  own_copy(device_config(d), tag, FS_TAG_BYTES);
  own_put32(device_config(d) + CONFIG_NUM_REQUEST_QUEUES, FS_QUEUES - 1);
  own_fill(area(d), 0, FS_REQUESTS * FS_REQUEST_SIZE);
  fs(d).flags = flags;
  return 0;
}

// ---- called by the transport ---------------------------------------------------------------------------------

/** What the host has open goes when its owner hears of the reset. */
export function fs_reset(d: Device): void {
  fs(d).ready = 0;
  d.stalled = 0;
}

export function fs_owner(d: Device): void {
  host_fs(d.slot, FS_RESET);
}

export function fs_queue_reset(d: Device, q: Queue): void {
  d.stalled &= ~(1 << q.index);
}

/** Takes one request, whose work is done without the lock; true: call again when it is over. */
export function fs_process(d: Device, q: Queue): bool {
  if (fs(d).current != 0) return true;
  queue_no_kick(d, q);
  const tag = tag_take(device_private(d) + FS_TAGS, FS_REQUESTS);
  if (tag < 0) {
    d.stalled |= 1 << q.index;
    return false;
  }
  let got = queue_pop(d, q);
  while (got == 0 && queue_want_kick(d, q)) got = queue_pop(d, q);
  if (got == 1) {
    take(d, q, tag);
    return true;
  }
  tag_free(device_private(d) + FS_TAGS, tag);
  return false;
}

// ---- one request ---------------------------------------------------------------------------------------------

function take(d: Device, q: Queue, tag: u32): void {
  const r = request_at(d, tag);
  own_fill(changetype<usize>(r), 0, FS_REQUEST_SIZE);
  r.group = FS_NO_GROUP;
  r.epoch = q.epoch;
  r.queue = q.index;
  r.head = q.head;
  r.busy = 1;
  q.inflight++;
  atomic.add<u32>(changetype<usize>(d) + offsetof<Device>('inflight'), 1);
  place(d, q, r);
  let result = fs_parse(q, r, area(d));
  if (result == 0 && r.opcode == FUSE_INIT) {
    const length = fs_init(r, area(d) + FS_REPLY, fs(d).flags);
    fs(d).ready = length > 0 ? 1 : 0;
    // The host forgets what an earlier mount had.
    host_fs(d.slot, FS_RESET);
    end(d, tag, length < 0 ? length : 0, length < 0 ? 0 : <u32>length);
  } else {
    if (result == 0 && fs(d).ready == 0) result = -EIO;
    if (result != 0) end(d, tag, result, 0);
    else {
      fs(d).current = tag + 1;
      host_fs(d.slot, tag);
      return;
    }
  }
  queue_publish(d, q);
}

/** Where the answer goes: the first writable piece has room for the header in one, as Linux makes it; else there is none. */
function place(d: Device, q: Queue, r: FsRequest): void {
  if (q.nwrite == 0 || table_len(q.table, q.nread) < OUT_HEADER) return;
  r.reply = <u32>table_ptr(q.table, q.nread);
  r.room = <u32>min<u64>(q.write_bytes - OUT_HEADER, 0x7fff_ffff);
  // The queue's own table is the next request's.
  r.answers = copy_pieces(area(d) + FS_PIECES, q, q.nread, q.nread + q.nwrite, OUT_HEADER, r.room);
}

/** Operations that nobody waits for an answer to. */
@inline
function silent(opcode: u32): bool {
  return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/**
 * Answers a request and frees its tag. `result`: 0 or -errno; `length`: bytes of the answer, at FS_REPLY or, for READ, in place. One of
 * before a reset only leaves: its chain is the driver's again.
 */
function end(d: Device, tag: u32, result: i32, length: u32): void {
  const r = request_at(d, tag);
  const q = queue_at(d, r.queue);
  const read = r.opcode == FUSE_READ && result == 0;
  if (read) written(area(d) + FS_PIECES, r.answers, length);
  if (r.epoch == q.epoch && q.ready != 0 && device_active(d)) {
    let used: u32 = 0;
    if (r.reply != 0 && !silent(r.opcode)) {
      if (result == 0 && length > r.room) result = -EIO;
      const payload = result == 0 ? length : 0;
      if (payload != 0 && !read) answer(area(d) + FS_PIECES, r.answers, area(d) + FS_REPLY, payload);
      used = OUT_HEADER + payload;
      guest_store32(r.reply, used);
      guest_store32(r.reply + 4, result);
      guest_store64(r.reply + 8, r.unique);
    }
    queue_used(q, r.head, used);
  }
  q.inflight--;
  if (q.inflight == 0) q.resetting = 0;
  r.busy = 0;
  tag_free(device_private(d) + FS_TAGS, tag);
  const p = changetype<usize>(d) + offsetof<Device>('inflight');
  if (atomic.sub<u32>(p, 1) == 1 && d.resetting != 0) {
    d.resetting = 0;
    atomic.notify(p, -1);
  }
}

function answer(table: usize, pieces: u32, from: usize, length: u32): void {
  let done: u32 = 0;
  for (let i: u32 = 0; i < pieces && done < length; i++) {
    const n = min<u32>(table_len(table, i), length - done);
    guest_copy(table_ptr(table, i), from + done, n);
    done += n;
  }
}

function written(table: usize, pieces: u32, length: u32): void {
  let done: u32 = 0;
  for (let i: u32 = 0; i < pieces && done < length; i++) {
    const n = min<u32>(table_len(table, i), length - done);
    guest_written_at(table_ptr(table, i), n);
    done += n;
  }
}

// ---- exports for the owner -----------------------------------------------------------------------------------

/**
 * The host ends request `tag`: 0 and `length` bytes of answer, or -errno. 1 when the device should be processed again, else 0; -EINVAL for
 * a tag that is not in flight.
 */
export function fs_complete(slot: u32, tag: u32, result: i32, length: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_FS);
  if (changetype<usize>(d) == 0) return -ENODEV;
  if (tag >= FS_REQUESTS || request_at(d, tag).busy == 0 || length > <u32>0x7fff_ffff) return -EINVAL;
  device_lock(d);
  const now = fs(d).current == tag + 1;
  if (now) fs(d).current = 0;
  const r = request_at(d, tag);
  // The answer's place and the pieces are those of the request that the host works on.
  if (!now || (r.opcode != FUSE_READ && length > FS_REPLY_SIZE) || (r.opcode == FUSE_READ && length > r.bytes)) {
    if (length != 0) result = -EIO;
    length = 0;
  }
  end(d, tag, min<i32>(result, 0), length);
  const more = d.stalled != 0;
  if (device_active(d)) {
    const q = queue_at(d, r.queue);
    if (q.ready != 0) queue_publish(d, q);
  }
  d.stalled = 0;
  device_unlock(d);
  return more ? 1 : 0;
}

/** The host keeps the request that it works on for later: others are taken meanwhile. */
export function fs_keep(slot: u32): void {
  const d = device_of(slot, VIRTIO_ID_FS);
  if (changetype<usize>(d) == 0) return;
  device_lock(d);
  const current = fs(d).current;
  fs(d).current = 0;
  // Its pieces are the next one's.
  if (current != 0) request_at(d, current - 1).answers = 0;
  device_unlock(d);
}

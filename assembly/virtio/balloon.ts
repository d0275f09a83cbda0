/**
 * Memory balloon (virtio 1.2, §5.5): inflate, deflate, statistics and free-page reporting. Pages that the guest gives
 * up go to the host as ranges; the guest takes them back by touching them.
 */
import { EINVAL, ENODEV } from '../contract/generated/errno';
import { BALLOON_QUEUES } from '../contract/devices';
import {
  VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_MUST_TELL_HOST, VIRTIO_BALLOON_F_PAGE_REPORTING, VIRTIO_BALLOON_F_STATS_VQ,
  VIRTIO_BALLOON_PFN_SHIFT, VIRTIO_F_IN_ORDER, VIRTIO_ID_BALLOON,
} from '../contract/generated/virtio';
import { host_discard } from '../core/host';
import { guest_gpa, guest_ptr, guest_written_at, own_fill, own_put32, own_put64 } from '../core/guest';
import { Device, device_active, device_config, device_config_changed, device_enter, device_leave, device_of, device_private } from './device';
import { device_new } from './slot';
import { Queue, chain_read, queue_at, queue_no_kick, queue_pop, queue_publish, queue_used, queue_want_kick, table_len, table_ptr } from './queue';

// struct virtio_balloon_config (§5.5.4).
const CONFIG_NUM_PAGES: usize = 0;
const CONFIG_ACTUAL: u32 = 4;
const CONFIG_LEN: u32 = 16;

const INFLATEQ: u32 = 0;
const DEFLATEQ: u32 = 1;
const BALLOON_QUEUE_SIZE: u32 = 128;
/** Page numbers taken from one buffer: Linux sends 256. */
const BALLOON_PFNS_MAX: u32 = 4096;
/** Ranges given to the host in one call of `balloon_process`; the owner then looks at its other work. */
const BALLOON_BUDGET: u32 = 4096;

/** Statistics tags (§5.5.6.3) that are kept, by number. */
export const BALLOON_STATS_MAX: u32 = 16;

@unmanaged
class Balloon {
  pfn: u32; // the page number just read
  run_start: u32; // pages run_start..run_start + run_count wait to be told to the host
  run_count: u32;
  stats_held: u32; // 1: a statistics buffer is here, to be given back when new figures are wanted
  stats_head: u32;
  stats_count: u32; // counts arrivals
  ranges: u32; // given to the host in this call
  stat_tag: u16; // struct virtio_balloon_stat just read
  stat_pad: u16;
  stat_pad2: u32;
  stat_value: u64;
  reported: u64; // bytes
  inflated: u64; // pages, in all
}

const STATS: usize = 0x100;

@inline
function state(d: Device): Balloon {
  return changetype<Balloon>(device_private(d));
}

/** `features`: VIRTIO_BALLOON_F_* (the low half) that are offered. */
export function balloon_add(slot: u32, features: u32): i32 {
  const known = <u32>(VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_REPORTING);
  if ((features & ~known) != 0) return -EINVAL;
  // The text gives reporting_vq number 4; Linux numbers the queues that exist without gaps. All others than inflateq,
  // deflateq and statsq take reports, so both find theirs.
  const queues: u32 = (features & <u32>VIRTIO_BALLOON_F_PAGE_REPORTING) != 0 ? BALLOON_QUEUES : (features & <u32>VIRTIO_BALLOON_F_STATS_VQ) != 0 ? 3 : 2;
  return device_new(slot, VIRTIO_ID_BALLOON, <u64>features | VIRTIO_F_IN_ORDER, queues, BALLOON_QUEUE_SIZE, CONFIG_LEN);
}

/** Asks the guest to give up `pages` of 4 KiB in all. */
export function balloon_set(slot: u32, pages: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_BALLOON);
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  own_put32(device_config(d) + CONFIG_NUM_PAGES, pages);
  device_config_changed(d);
  device_leave(d, entered);
  return 0;
}

/** How many pages the guest says it has given up. */
export function balloon_actual(slot: u32): u32 {
  const d = device_of(slot, VIRTIO_ID_BALLOON);
  return changetype<usize>(d) == 0 ? 0 : load<u32>(device_config(d) + CONFIG_ACTUAL);
}

/** Bytes that free-page reporting has given back so far. */
export function balloon_reported(slot: u32): f64 {
  const d = device_of(slot, VIRTIO_ID_BALLOON);
  return changetype<usize>(d) == 0 ? 0 : <f64>state(d).reported;
}

/** Asks the guest for new statistics. 0, or -EINVAL when it has none to give now. */
export function balloon_stats_request(slot: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_BALLOON);
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  let result = -EINVAL;
  const s = state(d);
  const q = queue_at(d, 2);
  if (device_active(d) && s.stats_held != 0 && q.ready != 0) {
    s.stats_held = 0;
    queue_used(q, s.stats_head, 0);
    queue_publish(d, q);
    result = 0;
  }
  device_leave(d, entered);
  return result;
}

/** The value of statistics tag `tag` (§5.5.6.3) as the guest told it last, -1 when it never did. */
export function balloon_stat(slot: u32, tag: u32): f64 {
  const d = device_of(slot, VIRTIO_ID_BALLOON);
  if (changetype<usize>(d) == 0 || tag >= BALLOON_STATS_MAX) return -1;
  const p = device_private(d) + STATS + (<usize>tag << 4);
  return load<u32>(p) == 0 ? -1 : <f64>load<u64>(p, 8);
}

/** How many times statistics have arrived. */
export function balloon_stats_count(slot: u32): u32 {
  const d = device_of(slot, VIRTIO_ID_BALLOON);
  return changetype<usize>(d) == 0 ? 0 : state(d).stats_count;
}

export function balloon_reset(d: Device): void {
  state(d).stats_held = 0;
  own_put32(device_config(d) + CONFIG_ACTUAL, 0);
}

/** A queue that is stopped takes the buffer it held with it. */
export function balloon_queue_reset(d: Device, q: Queue): void {
  if (q.index == 2) state(d).stats_held = 0;
}

/** `actual` is the driver's to write (§5.5.6.1). */
export function balloon_config_write(d: Device, offset: u32, size: u32, value: u64): void {
  if (offset == CONFIG_ACTUAL && size == 4) own_put32(device_config(d) + CONFIG_ACTUAL, <u32>value);
  else d.ignored++;
}

function is_stats(d: Device, q: Queue): bool {
  return (d.driver_features & VIRTIO_BALLOON_F_STATS_VQ) != 0 && q.index == 2;
}

export function balloon_process(d: Device, q: Queue): bool {
  let left = q.size;
  state(d).ranges = 0;
  queue_no_kick(d, q);
  while (left != 0 && state(d).ranges < BALLOON_BUDGET) {
    const got = queue_pop(d, q);
    if (got < 0) return false;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      queue_publish(d, q);
      return false;
    }
    left--;
    if (is_stats(d, q)) {
      statistics(d, q);
      continue;
    }
    if (q.index == INFLATEQ) inflate(d, q);
    else if (q.index != DEFLATEQ && (d.driver_features & VIRTIO_BALLOON_F_PAGE_REPORTING) != 0) report(d, q);
    queue_used(q, q.head, 0);
  }
  if (device_active(d)) queue_publish(d, q);
  return true;
}

/** An array of page numbers; neighbours go to the host together. */
function inflate(d: Device, q: Queue): void {
  const s = state(d);
  s.run_count = 0;
  for (let i: u32 = 0; i < BALLOON_PFNS_MAX; i++) {
    if (chain_read(q, changetype<usize>(s) + offsetof<Balloon>('pfn'), 4) < 4) break;
    const pfn = s.pfn;
    s.inflated++;
    if (s.run_count != 0) {
      if (pfn == s.run_start + s.run_count) {
        s.run_count++;
        continue;
      }
      // Linux's page lists often run downwards.
      if (pfn + 1 == s.run_start) {
        s.run_start = pfn;
        s.run_count++;
        continue;
      }
      discard(d, <u64>s.run_start << VIRTIO_BALLOON_PFN_SHIFT, <u64>s.run_count << VIRTIO_BALLOON_PFN_SHIFT);
    }
    s.run_start = pfn;
    s.run_count = 1;
  }
  if (s.run_count != 0) discard(d, <u64>s.run_start << VIRTIO_BALLOON_PFN_SHIFT, <u64>s.run_count << VIRTIO_BALLOON_PFN_SHIFT);
}

/** Free pages (§5.5.6.7): each buffer of the chain is one free range; only whole pages in it are given back. */
function report(d: Device, q: Queue): void {
  const s = state(d);
  const last = q.nread + q.nwrite;
  for (let i = q.nread; i < last; i++) {
    const gpa = <u64>guest_gpa(table_ptr(q.table, i));
    const start = (gpa + 0xfff) & ~(<u64>0xfff);
    const end = (gpa + table_len(q.table, i)) & ~(<u64>0xfff);
    if (end <= start) continue;
    discard(d, start, end - start);
    s.reported += end - start;
  }
}

/** A range outside guest memory is not the host's to touch. */
function discard(d: Device, gpa: u64, len: u64): void {
  const ptr = guest_ptr(gpa, len);
  if (ptr == 0) return;
  state(d).ranges++;
  host_discard(<f64>gpa, <f64>len);
  guest_written_at(ptr, <usize>len);
}

/** Keeps the figures, and the buffer until new ones are wanted (§5.5.6.3.1). */
function statistics(d: Device, q: Queue): void {
  const s = state(d);
  const at = changetype<usize>(s);
  own_fill(device_private(d) + STATS, 0, BALLOON_STATS_MAX << 4);
  // struct virtio_balloon_stat is packed: u16 tag, u64 value.
  for (let i: u32 = 0; i < BALLOON_STATS_MAX * 4; i++) {
    if (chain_read(q, at + offsetof<Balloon>('stat_tag'), 2) < 2) break;
    if (chain_read(q, at + offsetof<Balloon>('stat_value'), 8) < 8) break;
    const tag = <u32>s.stat_tag;
    if (tag < BALLOON_STATS_MAX) {
      const p = device_private(d) + STATS + (<usize>tag << 4);
      own_put32(p, 1);
      own_put64(p + 8, s.stat_value);
    }
  }
  s.stats_count++;
  // A second buffer while one is held: give the older one back, the driver must not wait for it for ever.
  if (s.stats_held != 0) queue_used(q, s.stats_head, 0);
  s.stats_held = 1;
  s.stats_head = q.head;
}

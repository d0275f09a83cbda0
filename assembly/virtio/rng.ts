/** Entropy device (virtio 1.2, §5.4): one queue of writable buffers. */
import { REASON_REQUEST, RNG_QUEUES } from '../contract/devices';
import { VIRTIO_F_IN_ORDER, VIRTIO_ID_ENTROPY } from '../contract/generated/virtio';
import { host_random } from '../core/host';
import { guest_written_at } from '../core/guest';
import { Device, device_active, device_fail } from './device';
import { device_new } from './slot';
import { Queue, queue_no_kick, queue_pop, queue_publish, queue_used, queue_want_kick, table_len, table_ptr } from './queue';

/** Most bytes for one buffer: drivers ask for tens, and may get fewer than they ask for. */
export const RNG_BYTES_MAX: u32 = 4096;
const RNG_QUEUE_SIZE: u32 = 64;

export function rng_add(slot: u32): i32 {
  return device_new(slot, VIRTIO_ID_ENTROPY, VIRTIO_F_IN_ORDER, RNG_QUEUES, RNG_QUEUE_SIZE, 0);
}

export function rng_process(d: Device, q: Queue): bool {
  let left = q.size;
  queue_no_kick(d, q);
  while (left != 0) {
    const got = queue_pop(d, q);
    if (got < 0) return false;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      queue_publish(d, q);
      return false;
    }
    left--;
    // The device must put at least one byte into each buffer (§5.4.6.2); where there is no room it cannot.
    if (q.write_bytes == 0 || q.nread != 0) {
      device_fail(d, REASON_REQUEST);
      return false;
    }
    let done: u32 = 0;
    const last = q.nread + q.nwrite;
    for (let i = q.nread; i < last && done < RNG_BYTES_MAX; i++) {
      const n = min<u32>(table_len(q.table, i), RNG_BYTES_MAX - done);
      host_random(<u32>table_ptr(q.table, i), n);
      guest_written_at(table_ptr(q.table, i), n);
      done += n;
    }
    queue_used(q, q.head, done);
  }
  if (device_active(d)) queue_publish(d, q);
  return true;
}

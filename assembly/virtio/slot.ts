/** Putting a device into a slot. */
import { EBUSY, EINVAL } from '../contract/generated/errno';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1 } from '../contract/generated/virtio';
import { BUS_MMIO, bus_add } from '../core/bus';
import { own_fill } from '../core/guest';
import { BUS_VIRTIO } from '../core/kinds';
import { DEVICE_STRIDE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_SLOTS, VIRTIO_MMIO_STRIDE } from '../core/layout';
import { CONFIG_MAX, DEV_TABLES, DEV_TABLE_SIZE, DEVICE_STATE_VERSION, device_at } from './device';
import { QUEUE_MAX, QUEUE_SIZE_MAX, queue_at, queue_reset } from './queue';

/**
 * Puts a device of `kind` into the empty `slot`: interrupt and address follow from the slot. `features` beside the
 * common ones that every device here offers. 0, -EINVAL, -EBUSY, or what `bus_add` says.
 */
export function device_new(slot: u32, kind: u32, features: u64, queues: u32, queue_size: u32, config_len: u32): i32 {
  if (slot >= VIRTIO_MMIO_SLOTS || queues > QUEUE_MAX || queue_size > QUEUE_SIZE_MAX || config_len > CONFIG_MAX) return -EINVAL;
  const d = device_at(slot);
  if (d.kind != 0) return -EBUSY;
  const added = bus_add(BUS_MMIO, <u64>VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE, VIRTIO_MMIO_STRIDE, BUS_VIRTIO, slot);
  if (added < 0) return added;
  own_fill(changetype<usize>(d), 0, DEVICE_STRIDE);
  d.slot = slot;
  d.version = DEVICE_STATE_VERSION;
  d.line = VIRTIO_MMIO_IRQ + slot;
  d.features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_RESET;
  d.queue_count = queues;
  d.config_len = config_len;
  for (let i: u32 = 0; i < queues; i++) {
    const q = queue_at(d, i);
    q.index = i;
    q.max = queue_size;
    q.table = changetype<usize>(d) + DEV_TABLES + <usize>(i & 1) * DEV_TABLE_SIZE;
    queue_reset(q);
  }
  d.kind = kind;
  return 0;
}

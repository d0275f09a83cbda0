/** What the transport asks of a device type: one switch over the device ID for each question. */
import {
  VIRTIO_ID_BALLOON, VIRTIO_ID_BLOCK, VIRTIO_ID_CONSOLE, VIRTIO_ID_ENTROPY, VIRTIO_ID_FS, VIRTIO_ID_NET, VIRTIO_ID_SOCKET,
} from '../contract/generated/virtio';
import { Device } from './device';
import { Queue } from './queue';
import { blk_config_write, blk_negotiated, blk_process, blk_queue_reset, blk_reset } from './blk';
import { console_config_write, console_owner, console_process, console_queue_reset, console_reset } from './console';
import { fs_owner, fs_process, fs_queue_reset, fs_reset } from './fs';
import { net_negotiated, net_owner, net_process, net_queue_reset, net_reset } from './net';
import { vsock_owner, vsock_process, vsock_queue_reset, vsock_reset_device } from './vsock';
import { rng_process } from './rng';
import { balloon_config_write, balloon_process, balloon_queue_reset, balloon_reset } from './balloon';

/** FEATURES_OK: `driver_features` are fixed. */
export function type_negotiated(d: Device): void {
  if (d.kind == VIRTIO_ID_BLOCK) blk_negotiated(d);
  else if (d.kind == VIRTIO_ID_NET) net_negotiated(d);
}

/** The driver reset the device; runs on a vCPU's thread under the lock, so it changes linear memory and calls nobody. */
export function type_reset(d: Device): void {
  switch (d.kind) {
    case VIRTIO_ID_BLOCK: blk_reset(d); break;
    case VIRTIO_ID_NET: net_reset(d); break;
    case VIRTIO_ID_CONSOLE: console_reset(d); break;
    case VIRTIO_ID_SOCKET: vsock_reset_device(); break;
    case VIRTIO_ID_BALLOON: balloon_reset(d); break;
    case VIRTIO_ID_FS: fs_reset(d); break;
    default: break;
  }
}

/** The owner tells the host what a vCPU left: connections gone by a reset, emergency output. Under the lock. */
export function type_owner(d: Device): void {
  if (d.kind == VIRTIO_ID_SOCKET) vsock_owner(d);
  else if (d.kind == VIRTIO_ID_NET) net_owner(d);
  else if (d.kind == VIRTIO_ID_CONSOLE) console_owner(d);
  else if (d.kind == VIRTIO_ID_FS) fs_owner(d);
}

/** One queue is reset (§2.6.1) or stopped. */
export function type_queue_reset(d: Device, q: Queue): void {
  if (d.kind == VIRTIO_ID_BLOCK) blk_queue_reset(d, q);
  else if (d.kind == VIRTIO_ID_NET) net_queue_reset(d, q);
  else if (d.kind == VIRTIO_ID_BALLOON) balloon_queue_reset(d, q);
  else if (d.kind == VIRTIO_ID_CONSOLE) console_queue_reset(d, q);
  else if (d.kind == VIRTIO_ID_SOCKET) vsock_queue_reset(q);
  else if (d.kind == VIRTIO_ID_FS) fs_queue_reset(d, q);
}

/** A write into configuration space that lies inside it. Under the lock. */
export function type_config_write(d: Device, offset: u32, size: u32, value: u64): void {
  switch (d.kind) {
    case VIRTIO_ID_BLOCK: blk_config_write(d, offset, size, value); break;
    case VIRTIO_ID_CONSOLE: console_config_write(d, offset, value); break;
    case VIRTIO_ID_BALLOON: balloon_config_write(d, offset, size, value); break;
    default: break;
  }
}

/** Works on `q`, at most a bounded amount. True when more is left. Under the lock, the device active, the queue ready. */
export function type_process(d: Device, q: Queue): bool {
  switch (d.kind) {
    case VIRTIO_ID_BLOCK: return blk_process(d, q);
    case VIRTIO_ID_NET: return net_process(d, q);
    case VIRTIO_ID_CONSOLE: return console_process(d, q);
    case VIRTIO_ID_SOCKET: return vsock_process(d, q);
    case VIRTIO_ID_ENTROPY: return rng_process(d, q);
    case VIRTIO_ID_BALLOON: return balloon_process(d, q);
    case VIRTIO_ID_FS: return fs_process(d, q);
    default: return false;
  }
}

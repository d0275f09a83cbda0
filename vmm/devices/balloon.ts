import { BALLOON_QUEUES } from '../../assembly/contract/devices.ts';
import { VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_PAGE_REPORTING, VIRTIO_BALLOON_PFN_SHIFT } from '../../assembly/contract/generated/virtio.ts';
import type { DevicePort, HostDevice } from './device.ts';

const FEATURES = VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_REPORTING;

/** Takes memory from the guest that it does not use, or is asked to give up (virtio 1.2 §5.5): the core's host discards it. */
export class Balloon implements HostDevice {
  readonly name = 'the balloon';
  readonly queues = BALLOON_QUEUES;
  #port: DevicePort | undefined;
  #pages = 0;

  add({ core, slot }: DevicePort): number {
    return core.balloon_add(slot, FEATURES);
  }

  attach(port: DevicePort): void {
    this.#port = port;
    if (this.#pages > 0) port.core.balloon_set(port.slot, this.#pages);
  }

  detach(): void {
    this.#port = undefined;
  }

  /** Asks the guest to give up so many bytes in all, now and after a reset; it takes them back where it would kill a process for lack of memory. */
  set(bytes: number): void {
    this.#pages = Math.floor(bytes / 2 ** VIRTIO_BALLOON_PFN_SHIFT);
    this.#port?.core.balloon_set(this.#port.slot, this.#pages);
  }
}

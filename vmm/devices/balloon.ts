import { BALLOON_QUEUES } from '../../assembly/contract/devices.ts';
import { VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_PAGE_REPORTING } from '../../assembly/contract/generated/virtio.ts';
import type { HostDevice } from './device.ts';

const FEATURES = VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_REPORTING;

/** Takes memory that the guest does not use from it (virtio 1.2 §5.5): the core's host discards it. */
export const BALLOON: HostDevice = {
  name: 'the balloon',
  queues: BALLOON_QUEUES,
  add: ({ core, slot }) => core.balloon_add(slot, FEATURES),
};

import { RNG_QUEUES } from '../../assembly/contract/devices.ts';
import type { HostDevice } from './device.ts';

/** The entropy device (virtio 1.2 §5.4): its bytes come from the core's host. */
export const RNG: HostDevice = {
  name: 'the entropy device',
  queues: RNG_QUEUES,
  add: ({ core, slot }) => core.rng_add(slot),
};

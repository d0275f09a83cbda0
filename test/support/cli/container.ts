import { capabilitySet } from '../../../vmm/container/capabilities.ts';
import type { ContainerOptions } from '../../../vmm/container/options.ts';

const SIGTERM = 15;

/** A container with Docker's defaults for everything but its command. */
export function containerOptions(command: readonly string[]): ContainerOptions {
  return {
    name: 'test', hostname: 'test', command, entrypoint: undefined, env: ['PATH=/bin'], workdir: undefined, user: undefined, readOnly: false, tmpfs: [],
    rlimits: [], capabilities: capabilitySet([], []), init: false, interactive: false, tty: false, stopSignal: SIGTERM, cpuQuota: undefined, scratch: undefined,
  };
}

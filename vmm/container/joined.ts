/** A container that runs in another's machine, as one of its own would be asked for. */
import type { ImageProcessConfig } from '../../image/documents/config.ts';
import { VmmError } from '../../base/errors.ts';
import type { ContainerSpec } from '../agent/spec.ts';
import type { ShareExport } from '../guest/guest.ts';
import { planMounts } from './mounts.ts';
import { NO_NETWORK } from './network.ts';
import { type ContainerOptions, withDefaults } from './options.ts';
import { containerSpec } from './spec.ts';
import type { JoinedSpec } from './spec-text.ts';

/** Settings of the kernel that are the IPC namespace's, which it has of its own (ipc/ipc_sysctl.c, ipc/mq_sysctl.c). */
const OWN_SYSCTL = /^(kernel\.(sem|shm\w*|msg\w*)|fs\.mqueue\.\w+)=/;
/** What its machine says. */
const MACHINE: readonly (keyof ContainerSpec)[] = ['root', 'overlay', 'files', 'hostname', 'domain'];

export interface JoinedContainer {
  readonly spec: JoinedSpec;
  readonly stopSignal: number;
  /** What of the host's its mounts are of; the machine has to have it already. */
  readonly shares: readonly ShareExport[];
}

/** Throws USAGE for what is a machine's matter. */
export function joinedContainer(image: ImageProcessConfig, options: ContainerOptions): JoinedContainer {
  const whole = withDefaults({ ...options, network: NO_NETWORK }, image);
  if (Object.values(whole.limits).some((limit) => limit !== undefined)) throw new VmmError('USAGE', 'a container that joins the network of another has no limits of disks and mounts: they are its machine’s', { hint: 'leave --device-… and --mount-limit away' });
  const { sysctls = [] } = options;
  const other = sysctls.find((setting) => !OWN_SYSCTL.test(setting));
  if (other !== undefined) throw new VmmError('USAGE', `--sysctl ${other}: the kernel is that of the container whose network is joined`, { hint: 'give it to that one' });
  const { exports, mounts } = planMounts(whole.mounts);
  const spec = containerSpec({ image, options: whole, size: undefined, scratch: true, mounts });
  const own = Object.fromEntries(Object.entries({ ...spec, sysctls }).filter(([key]) => !MACHINE.includes(key as keyof ContainerSpec))) as unknown as JoinedSpec;
  return { spec: own, stopSignal: whole.stopSignal, shares: exports };
}

/** Who is measured: this VMM and others by their command lines. */
import { NODE, qemu, UNVERIFIED, vmm } from './machines.ts';
import { HERE, type Peer, type Program } from './peer.ts';
import { KATA, podman, runtime } from './runtimes.ts';

/**
 * `kvm`: whether KVM is hardware here; nothing boots on another one. `programs`: this vmm, and other revisions of it. The first of a scenario is what others
 * are compared with.
 */
export function allPeers(kvm: boolean, programs: readonly Program[] = [HERE]): readonly Peer[] {
  const accels = kvm ? (['tcg', 'kvm'] as const) : (['tcg'] as const);
  return [
    ...programs.map((each) => vmm('wasm', each)), ...(kvm ? programs.map((each) => vmm('kvm', each)) : []), NODE, ...accels.flatMap((accel) => [qemu('microvm', accel), qemu('q35', accel)]), qemu('microvm', 'tcg', true),
    runtime('runc'), runtime('crun'), podman(), KATA, ...UNVERIFIED,
  ];
}

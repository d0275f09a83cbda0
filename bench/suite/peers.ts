/** Who is measured: this VMM and others by their command lines. */
import { NODE, qemu, UNVERIFIED, vmm } from './machines.ts';
import type { Peer } from './peer.ts';
import { KATA, podman, runtime } from './runtimes.ts';

/** `kvm`: whether KVM is hardware here; nothing boots on another one. The first of a scenario is what others are compared with. */
export function allPeers(kvm: boolean): readonly Peer[] {
  const accels = kvm ? (['tcg', 'kvm'] as const) : (['tcg'] as const);
  return [
    vmm('wasm'), ...(kvm ? [vmm('kvm')] : []), NODE, ...accels.flatMap((accel) => [qemu('microvm', accel), qemu('q35', accel)]), qemu('microvm', 'tcg', true),
    runtime('runc'), runtime('crun'), podman(), KATA, ...UNVERIFIED,
  ];
}

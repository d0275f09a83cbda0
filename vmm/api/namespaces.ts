/** A pod's network namespace on the host, and its interfaces as cables of a machine. Needs the FFI library, and root. */
import { NET_HDR_SIZE } from '../../assembly/contract/devices.ts';
import { joinTap } from '../host/netns.ts';
import type { CableSpec } from '../devices/net/spec.ts';

export { makeNamespace } from '../host/netns.ts';

/** A cable to the interface `name` of the namespace at `path`, which takes the card's address; `tap` is the name of the tap beside it. */
export function cableTo(path: string, name: string, tap: string, mac: Uint8Array): { readonly cable: CableSpec; readonly mtu: number } {
  const { fd, mtu } = joinTap(path, name, tap, { mac, hdrSize: NET_HDR_SIZE });
  return { cable: { kind: 'fd', fd }, mtu };
}

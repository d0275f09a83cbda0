/**
 * Whether devices, on threads of their own, may have written guest memory meanwhile: for lockstep (cpu/jit/check.ts). All that a device writes
 * it writes under its lock, for a request in flight, or between the halves of `vsock_rx_begin`; so nothing was written between two looks
 * that both found none of them, with no lock taken in between.
 */
import { VIRTIO_ID_SOCKET } from '../contract/generated/virtio';
import { DEVICE_MAX } from '../core/layout';
import { DEVICE_TURNS, Device, device_at } from './device';
import { vsock_state } from './vsock_table';

/** -1 while a device may be writing, else how often locks were taken. */
export function devices_turns(): i64 {
  let turns: i64 = 0;
  for (let slot: u32 = 0; slot < DEVICE_MAX; slot++) {
    const d = device_at(slot);
    const at = changetype<usize>(d);
    if (atomic.load<u32>(at + offsetof<Device>('lock')) | atomic.load<u32>(at + offsetof<Device>('inflight'))) return -1;
    if (d.kind == VIRTIO_ID_SOCKET && vsock_state().rx_count != 0) return -1;
    turns += atomic.load<u32>(DEVICE_TURNS + (slot << 2));
  }
  return turns;
}

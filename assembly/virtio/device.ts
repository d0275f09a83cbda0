
import { MACHINE_EV_NEEDS_RESET } from '../contract/machine';
import {
  INTERRUPT_CONFIG, STATUS_DEVICE_NEEDS_RESET, STATUS_DRIVER_OK,
} from '../contract/generated/virtio';
import { DEVICE_BASE, DEVICE_MAX, DEVICE_STRIDE, JIT_CHECK_BASE } from '../core/layout';
import { interrupt_pulse } from '../interrupt/lines';
import { lock, unlock } from '../core/lock';
import { machine_event } from '../core/machine';

export const DEVICE_STATE_VERSION: u32 = 1;

/** How often the lock of the device in each slot was taken (turns.ts): not in its state, for it is no part of the machine's. */
export const DEVICE_TURNS: usize = JIT_CHECK_BASE + 0x800;

export const DEV_CONFIG: usize = 0x100;
export const CONFIG_MAX: u32 = 0x100;
export const DEV_QUEUES: usize = 0x200;
export const DEV_TABLES: usize = 0x600;
export const DEV_TABLE_SIZE: usize = 0x800;
export const DEV_PRIVATE: usize = 0x1600;

@unmanaged
export class Device {
  kind: u32; // device ID, 0 = empty slot
  slot: u32;
  version: u32; // DEVICE_STATE_VERSION
  lock: u32; // core/lock.ts
  status: u32;
  interrupt_status: u32; // atomic
  features: u64; // offered
  driver_features: u64; // accepted, fixed by FEATURES_OK
  features_sel: u32;
  driver_features_sel: u32;
  queue_sel: u32;
  queue_count: u32;
  config_len: u32;
  config_generation: u32;
  generation: u32; // counts resets
  inflight: u32; // requests the host still works on, those of before a reset too
  quiesced: u32;
  resetting: u32; // status before a reset whose requests in flight are not over, else 0
  in_callback: u32; // the owner is inside an import and may call back without the lock
  owner_pending: u32; // a vCPU reset the device or left something that only the owner may tell the host
  line: u32;
  reason: u32; // REASON_* of the last DEVICE_NEEDS_RESET
  // Counters.
  kicks: u32;
  requests: u32;
  interrupts: u32;
  errors: u32;
  ignored: u32; // register accesses that broke a rule
  stalled: u32; // queues (a bit each) that take nothing before a request in flight is over
  polled: u32; // the owner looks at the queues by itself and wants no notifications
}

@inline
export function device_at(slot: u32): Device {
  return changetype<Device>(<usize>(DEVICE_BASE + slot * DEVICE_STRIDE));
}

/** The device in `slot` when it is of `kind`, else null: exported functions check what the host gives. */
export function device_of(slot: u32, kind: u32): Device {
  if (slot >= DEVICE_MAX || device_at(slot).kind != kind) return changetype<Device>(0);
  return device_at(slot);
}

/** Where the device type's own state lies. */
@inline
export function device_private(d: Device): usize {
  return changetype<usize>(d) + DEV_PRIVATE;
}

@inline
export function device_config(d: Device): usize {
  return changetype<usize>(d) + DEV_CONFIG;
}

// ---- lock ----------------------------------------------------------------------------------------------------

export function device_lock(d: Device): void {
  lock(changetype<usize>(d) + offsetof<Device>('lock'));
  const at: usize = <usize>(d.slot & (DEVICE_MAX - 1)) << 2;
  atomic.store<u32>(DEVICE_TURNS + at, load<u32>(DEVICE_TURNS + at) + 1);
}

export function device_unlock(d: Device): void {
  unlock(changetype<usize>(d) + offsetof<Device>('lock'));
}

/**
 * For functions that the owner may call from inside an import: takes the lock unless the owner holds it already.
 * Returns what `device_leave` needs.
 */
export function device_enter(d: Device): bool {
  if (d.in_callback != 0) return false;
  device_lock(d);
  return true;
}

export function device_leave(d: Device, entered: bool): void {
  if (entered) device_unlock(d);
}

// ---- interrupts and errors -----------------------------------------------------------------------------------

@inline
export function device_active(d: Device): bool {
  return (d.status & (STATUS_DRIVER_OK | STATUS_DEVICE_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

/** Tells the driver: INTERRUPT_USED or INTERRUPT_CONFIG. Nothing before DRIVER_OK (§2.1.2). */
export function interrupt_trigger(d: Device, kind: u32): void {
  if ((d.status & STATUS_DRIVER_OK) == 0) return;
  atomic.or<u32>(changetype<usize>(d) + offsetof<Device>('interrupt_status'), kind);
  d.interrupts++;
  interrupt_pulse(d.line);
}

/** The driver broke the rules: this device, and only it, stops until it is reset (§2.1.2). Under the lock. */
export function device_fail(d: Device, reason: u32): void {
  d.errors++;
  if ((d.status & STATUS_DEVICE_NEEDS_RESET) != 0) return;
  d.reason = reason;
  d.status |= STATUS_DEVICE_NEEDS_RESET;
  machine_event(MACHINE_EV_NEEDS_RESET, d.slot, reason);
  interrupt_trigger(d, INTERRUPT_CONFIG);
}

/** Configuration space changed (under the lock): a new generation and, once the driver is up, a notification. */
export function device_config_changed(d: Device): void {
  d.config_generation++;
  if (device_active(d)) interrupt_trigger(d, INTERRUPT_CONFIG);
}

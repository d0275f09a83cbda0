/**
 * virtio over MMIO, register layout version 2 (virtio 1.2, §4.2.2), device side: negotiation, status, queues and
 * reset for every device type.
 */
import { HOST_KICK_DEVICE } from '../contract/hooks';
import { MACHINE_EV_ACTIVE, MACHINE_F_THREADS } from '../contract/machine';
import { ENODEV } from '../contract/generated/errno';
import {
  INTERRUPT_CONFIG, INTERRUPT_USED, STATUS_ACKNOWLEDGE, STATUS_DEVICE_NEEDS_RESET, STATUS_DRIVER, STATUS_DRIVER_OK, STATUS_FAILED,
  STATUS_FEATURES_OK, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1, VIRTIO_MMIO_CONFIG, VIRTIO_MMIO_CONFIG_GENERATION,
  VIRTIO_MMIO_DEVICE_FEATURES, VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_DRIVER_FEATURES,
  VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_MAGIC_VALUE,
  VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, VIRTIO_MMIO_QUEUE_DEVICE_LOW,
  VIRTIO_MMIO_QUEUE_DRIVER_HIGH, VIRTIO_MMIO_QUEUE_DRIVER_LOW, VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_QUEUE_NUM, VIRTIO_MMIO_QUEUE_NUM_MAX,
  VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_RESET, VIRTIO_MMIO_QUEUE_SEL, VIRTIO_MMIO_SHM_BASE_HIGH, VIRTIO_MMIO_SHM_LEN_LOW,
  VIRTIO_MMIO_SHM_SEL, VIRTIO_MMIO_STATUS, VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_VERSION,
} from '../contract/generated/virtio';
import { DEVICE_STATE_VERSION, Device, device_active, device_at, device_config, device_lock, device_unlock, interrupt_trigger } from './device';
import { Queue, queue_at, queue_enable, queue_pending, queue_reset } from './queue';
import { type_config_write, type_negotiated, type_owner, type_process, type_queue_reset, type_reset } from './types';
import { DEVICE_MAX } from '../core/layout';
import { host_kick } from '../core/host';
import { machine, machine_event } from '../core/machine';

const MAGIC: u32 = 0x7472_6976; // "virt"
const VENDOR: u32 = 0x204d_4d56; // "VMM "

/** How long a vCPU that resets a device waits for requests in flight, in steps of RESET_STEP_NS. */
const RESET_STEPS: i32 = 2000;
const RESET_STEP_NS: i64 = 500_000;

// ---- reads ---------------------------------------------------------------------------------------------------

export function virtio_mmio_read(slot: u32, offset: u32, size: u32): u64 {
  const d = device_at(slot);
  if (offset >= VIRTIO_MMIO_CONFIG) return config_read(d, offset - VIRTIO_MMIO_CONFIG, size);
  // Control registers are reached by aligned 32-bit accesses only (§4.2.2.2).
  if (size != 4 || (offset & 3) != 0) {
    d.ignored++;
    return 0;
  }
  return register_read(d, offset);
}

function register_read(d: Device, offset: u32): u32 {
  switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE: return MAGIC;
    case VIRTIO_MMIO_VERSION: return 2;
    case VIRTIO_MMIO_DEVICE_ID: return d.kind;
    case VIRTIO_MMIO_VENDOR_ID: return VENDOR;
    case VIRTIO_MMIO_DEVICE_FEATURES: {
      const sel = d.features_sel;
      return sel > 1 ? 0 : <u32>(d.features >> (<u64>sel << 5));
    }
    case VIRTIO_MMIO_QUEUE_NUM_MAX: {
      const sel = d.queue_sel;
      return sel < d.queue_count ? queue_at(d, sel).max : 0;
    }
    case VIRTIO_MMIO_QUEUE_READY: {
      const sel = d.queue_sel;
      return sel < d.queue_count ? queue_at(d, sel).ready : 0;
    }
    case VIRTIO_MMIO_QUEUE_RESET: {
      const sel = d.queue_sel;
      return sel < d.queue_count ? queue_at(d, sel).resetting : 0;
    }
    case VIRTIO_MMIO_INTERRUPT_STATUS:
      return atomic.load<u32>(changetype<usize>(d) + offsetof<Device>('interrupt_status'));
    case VIRTIO_MMIO_STATUS: {
      const status = d.status;
      // 0 says that the reset is over (§4.2.2.1); while the host may still write guest memory it is not.
      return status == 0 && d.inflight != 0 ? d.resetting : status;
    }
    case VIRTIO_MMIO_CONFIG_GENERATION: {
      device_lock(d);
      const generation = d.config_generation;
      device_unlock(d);
      return generation;
    }
    default:
      // No shared memory regions: lengths and addresses of all ones (§4.2.2.1).
      if (offset >= VIRTIO_MMIO_SHM_LEN_LOW && offset <= VIRTIO_MMIO_SHM_BASE_HIGH) return 0xffff_ffff;
      return 0;
  }
}

/** Configuration space, by the field's own width (§4.2.2.2). Beyond its end it reads as 0. */
function config_read(d: Device, offset: u32, size: u32): u64 {
  if (offset >= d.config_len || size > d.config_len - offset) {
    d.ignored++;
    return 0;
  }
  const p = device_config(d) + offset;
  device_lock(d);
  let value: u64;
  switch (size) {
    case 1: value = load<u8>(p); break;
    case 2: value = load<u16>(p); break;
    case 4: value = load<u32>(p); break;
    default: value = load<u64>(p); break;
  }
  device_unlock(d);
  return value;
}

// ---- writes --------------------------------------------------------------------------------------------------

export function virtio_mmio_write(slot: u32, offset: u32, size: u32, value: u64): void {
  const d = device_at(slot);
  if (offset >= VIRTIO_MMIO_CONFIG) {
    const at = offset - VIRTIO_MMIO_CONFIG;
    if (at < d.config_len && size <= d.config_len - at) {
      device_lock(d);
      type_config_write(d, at, size, value);
      const tell = d.owner_pending != 0;
      device_unlock(d);
      if (tell) host_kick(d.slot, HOST_KICK_DEVICE);
    } else {
      d.ignored++;
    }
    return;
  }
  if (size != 4 || (offset & 3) != 0) {
    d.ignored++;
    return;
  }
  const v = <u32>value;
  switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL: d.features_sel = v; break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL: d.driver_features_sel = v; break;
    case VIRTIO_MMIO_DRIVER_FEATURES: driver_features(d, v); break;
    case VIRTIO_MMIO_QUEUE_SEL: d.queue_sel = v; break;
    case VIRTIO_MMIO_QUEUE_NOTIFY: queue_notify(d, v); break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
      atomic.and<u32>(changetype<usize>(d) + offsetof<Device>('interrupt_status'), ~(v & (INTERRUPT_USED | INTERRUPT_CONFIG)));
      break;
    case VIRTIO_MMIO_STATUS: status_write(d, v); break;
    case VIRTIO_MMIO_SHM_SEL: break;
    default: queue_write(d, offset, v); break;
  }
}

/** Features are the driver's to choose after DRIVER and until FEATURES_OK (§3.1.1). */
function driver_features(d: Device, v: u32): void {
  const sel = d.driver_features_sel;
  if ((d.status & (STATUS_DRIVER | STATUS_FEATURES_OK)) != STATUS_DRIVER) {
    d.ignored++;
    return;
  }
  if (sel == 0) d.driver_features = (d.driver_features & 0xffff_ffff_0000_0000) | v;
  else if (sel == 1) d.driver_features = (d.driver_features & 0x0000_0000_ffff_ffff) | (<u64>v << 32);
  else if (v != 0) d.driver_features |= <u64>1 << 63; // a feature nobody offers: FEATURES_OK will be refused
}

/** The registers of the selected queue. All but QueueReady and QueueReset are fixed while the queue is ready (§4.2.2.2). */
function queue_write(d: Device, offset: u32, v: u32): void {
  const sel = d.queue_sel;
  if (sel >= d.queue_count) {
    d.ignored++;
    return;
  }
  const q = queue_at(d, sel);
  if (offset == VIRTIO_MMIO_QUEUE_READY || offset == VIRTIO_MMIO_QUEUE_RESET) {
    device_lock(d);
    if (offset == VIRTIO_MMIO_QUEUE_READY) queue_ready(d, q, v);
    else queue_reset_write(d, q, v);
    device_unlock(d);
    return;
  }
  device_lock(d);
  if (q.ready != 0) {
    d.ignored++;
    device_unlock(d);
    return;
  }
  switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM: q.size = v; break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW: q.desc = low(q.desc, v); break;
    case VIRTIO_MMIO_QUEUE_DESC_HIGH: q.desc = high(q.desc, v); break;
    case VIRTIO_MMIO_QUEUE_DRIVER_LOW: q.avail = low(q.avail, v); break;
    case VIRTIO_MMIO_QUEUE_DRIVER_HIGH: q.avail = high(q.avail, v); break;
    case VIRTIO_MMIO_QUEUE_DEVICE_LOW: q.used = low(q.used, v); break;
    case VIRTIO_MMIO_QUEUE_DEVICE_HIGH: q.used = high(q.used, v); break;
    default: d.ignored++; break;
  }
  device_unlock(d);
}

@inline
function low(old: u64, v: u32): u64 {
  return (old & 0xffff_ffff_0000_0000) | v;
}

@inline
function high(old: u64, v: u32): u64 {
  return (old & 0x0000_0000_ffff_ffff) | (<u64>v << 32);
}

function queue_ready(d: Device, q: Queue, v: u32): void {
  if ((v & 1) == 0) {
    if (q.ready == 0) return;
    q.epoch++;
    q.ready = 0;
    type_queue_reset(d, q);
    return;
  }
  if (q.ready != 0) return;
  if ((d.status & STATUS_FEATURES_OK) == 0 || q.resetting != 0) {
    d.ignored++;
    return;
  }
  queue_enable(d, q);
}

/** Queue reset (§2.6.1): done at once, or when the last request of this queue that the host works on is over; QueueReset reads 1 until then. */
function queue_reset_write(d: Device, q: Queue, v: u32): void {
  if (v != 1 || (d.driver_features & VIRTIO_F_RING_RESET) == 0 || (d.status & STATUS_DRIVER_OK) == 0) {
    d.ignored++;
    return;
  }
  queue_reset(q);
  q.resetting = 1;
  type_queue_reset(d, q);
  if (q.inflight == 0) q.resetting = 0;
}

function queue_notify(d: Device, queue: u32): void {
  if (queue >= d.queue_count || !device_active(d) || queue_at(d, queue).ready == 0) {
    d.ignored++;
    return;
  }
  d.kicks++;
  host_kick(d.slot, queue);
}

// ---- status --------------------------------------------------------------------------------------------------

/** Bits are only ever added; 0 resets (§2.1.1, §4.2.2.1). */
function status_write(d: Device, v: u32): void {
  if (v == 0) {
    device_reset(d);
    return;
  }
  device_lock(d);
  const old = d.status;
  let status = old | (v & (STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FAILED));
  if ((v & STATUS_FEATURES_OK) != 0 && (old & STATUS_FEATURES_OK) == 0) {
    // Refused by leaving the bit clear (§3.1.1 step 5).
    const wanted = d.driver_features;
    if ((wanted & ~d.features) == 0 && (wanted & VIRTIO_F_VERSION_1) != 0 && (status & STATUS_DRIVER) != 0) {
      status |= STATUS_FEATURES_OK;
      type_negotiated(d);
    }
  }
  let started = false;
  if ((v & STATUS_DRIVER_OK) != 0 && (old & STATUS_DRIVER_OK) == 0 && (status & STATUS_FEATURES_OK) != 0) {
    status |= STATUS_DRIVER_OK;
    started = true;
  }
  d.status = status;
  if (started) {
    // The error came before the driver could be told of it.
    if ((status & STATUS_DEVICE_NEEDS_RESET) != 0) interrupt_trigger(d, INTERRUPT_CONFIG);
  }
  device_unlock(d);
  if (!started) return;
  machine_event(MACHINE_EV_ACTIVE, d.slot, 0);
  // Linux's balloon rings before DRIVER_OK, which is ignored; what it offered then must not wait for the next time.
  for (let i: u32 = 0; i < d.queue_count; i++) {
    const q = queue_at(d, i);
    if (q.ready != 0 && queue_pending(q) != 0) host_kick(d.slot, i);
  }
}

/**
 * Back to the state after power-on, on the calling vCPU's thread. The owner is told by a kick. Requests the host still
 * works on may write their old buffers: Status reads as before until they are over, and where another thread completes
 * them the vCPU waits here, since Linux does not read Status back.
 */
export function device_reset(d: Device): void {
  device_lock(d);
  const old = d.status;
  d.status = 0;
  d.driver_features = 0;
  d.features_sel = 0;
  d.driver_features_sel = 0;
  d.queue_sel = 0;
  d.generation++;
  d.reason = 0;
  atomic.store<u32>(changetype<usize>(d) + offsetof<Device>('interrupt_status'), 0);
  for (let i: u32 = 0; i < d.queue_count; i++) {
    const q = queue_at(d, i);
    queue_reset(q);
    q.resetting = 0;
  }
  // A second reset before the first is over must not make it look over.
  if (d.inflight == 0) d.resetting = 0;
  else if (old != 0) d.resetting = old;
  type_reset(d);
  const tell = old != 0;
  if (tell) d.owner_pending = 1;
  device_unlock(d);
  if (!tell) return;
  host_kick(d.slot, HOST_KICK_DEVICE);
  if ((machine().flags & MACHINE_F_THREADS) == 0) return;
  const p = changetype<usize>(d) + offsetof<Device>('inflight');
  for (let i = 0; i < RESET_STEPS; i++) {
    const n = atomic.load<u32>(p);
    if (n == 0) return;
    atomic.wait<u32>(p, n, RESET_STEP_NS);
  }
}

// ---- exports for the owner -----------------------------------------------------------------------------------

/**
 * Works on queue `queue` of device `slot`, or hears of a reset and the like (HOST_KICK_DEVICE). The owner calls it after `host_kick`
 * or the queue's ioeventfd. 1: more is left, call again soon; 0: nothing to do until the next kick or completion;
 * -ENODEV.
 */
export function device_process(slot: u32, queue: u32): i32 {
  if (slot >= DEVICE_MAX || device_at(slot).kind == 0) return -ENODEV;
  const d = device_at(slot);
  let more = false;
  device_lock(d);
  if (d.owner_pending != 0) {
    d.owner_pending = 0;
    type_owner(d);
  }
  if (d.quiesced == 0 && queue < d.queue_count && device_active(d)) {
    const q = queue_at(d, queue);
    if (q.ready != 0) more = type_process(d, q);
  }
  device_unlock(d);
  return more ? 1 : 0;
}

/** Works on all queues of a device: after a resume or a restore. As `device_process`. */
export function device_poll(slot: u32): i32 {
  if (slot >= DEVICE_MAX || device_at(slot).kind == 0) return -ENODEV;
  let more = 0;
  const n = device_at(slot).queue_count;
  for (let i: u32 = 0; i < n; i++) more |= device_process(slot, i);
  return more;
}

/**
 * The owner looks at the device's queues by itself (`on` 1, device_waiting), so that the driver need not notify it, or no
 * longer does: then it processes all queues once, which asks for notifications again. -ENODEV.
 */
export function device_polled(slot: u32, on: u32): i32 {
  if (slot >= DEVICE_MAX || device_at(slot).kind == 0) return -ENODEV;
  const d = device_at(slot);
  device_lock(d);
  d.polled = on;
  device_unlock(d);
  return 0;
}

/** 1 when a queue of the device has chains to take. Without the lock: what a driver does meanwhile is seen the next time. */
export function device_waiting(slot: u32): i32 {
  if (slot >= DEVICE_MAX) return 0;
  const d = device_at(slot);
  if (d.quiesced != 0 || !device_active(d)) return 0;
  const n = d.queue_count;
  for (let i: u32 = 0; i < n; i++) {
    const q = queue_at(d, i);
    if (q.ready != 0 && (d.stalled & (1 << i)) == 0 && queue_pending(q) != 0) return 1;
  }
  return 0;
}

/** Stops taking requests. Returns how many the host still works on: quiet when 0. -ENODEV. */
export function device_quiesce(slot: u32): i32 {
  if (slot >= DEVICE_MAX || device_at(slot).kind == 0) return -ENODEV;
  const d = device_at(slot);
  device_lock(d);
  d.quiesced = 1;
  const inflight = d.inflight;
  device_unlock(d);
  return inflight;
}

/** Takes requests again; the owner works on what has come meanwhile (`device_poll`). 0, -ENODEV. */
export function device_resume(slot: u32): i32 {
  if (slot >= DEVICE_MAX || device_at(slot).kind == 0) return -ENODEV;
  const d = device_at(slot);
  device_lock(d);
  d.quiesced = 0;
  device_unlock(d);
  return 0;
}

/** The driver's requests in flight, as `device_quiesce` counts them. */
export function device_inflight(slot: u32): i32 {
  if (slot >= DEVICE_MAX || device_at(slot).kind == 0) return -ENODEV;
  return atomic.load<u32>(changetype<usize>(device_at(slot)) + offsetof<Device>('inflight'));
}

/** Version of the state record of the device in `slot`: a restore refuses another one. 0 for an empty slot. */
export function device_version(slot: u32): u32 {
  return slot < DEVICE_MAX && device_at(slot).kind != 0 ? DEVICE_STATE_VERSION : 0;
}


/**
 * Console device (virtio 1.2, §5.3): port 0 alone, size and emergency write. Queue 0 carries input to the guest, queue
 * 1 output. The host may take less output than there is; the rest stays in the queue until `console_drained`.
 */
import { CONSOLE_QUEUES } from '../contract/devices';
import { HOST_SERIAL } from '../contract/hooks';
import { MACHINE_EV_INPUT } from '../contract/machine';
import { EINVAL, ENODEV } from '../contract/generated/errno';
import { VIRTIO_CONSOLE_F_EMERG_WRITE, VIRTIO_CONSOLE_F_SIZE, VIRTIO_F_IN_ORDER, VIRTIO_ID_CONSOLE } from '../contract/generated/virtio';
import { host_console } from '../core/host';
import { own_put16, own_put32, own_put8 } from '../core/guest';
import { machine_event } from '../core/machine';
import { serial_drained } from '../legacy/serial';
import { Device, device_active, device_config, device_config_changed, device_enter, device_leave, device_of, device_private } from './device';
import { device_new } from './slot';
import { Queue, chain_write, queue_at, queue_no_kick, queue_pop, queue_publish, queue_unpop, queue_used, queue_want_kick, table_len, table_ptr } from './queue';

// struct virtio_console_config (§5.3.4).
const CONFIG_COLS: usize = 0;
const CONFIG_ROWS: usize = 2;
const CONFIG_MAX_NR_PORTS: usize = 4;
const CONFIG_EMERG_WR: u32 = 8;
const CONFIG_LEN: u32 = 12;

const RECEIVEQ: u32 = 0;
const TRANSMITQ: u32 = 1;
const CONSOLE_QUEUE_SIZE: u32 = 128;
/** Output bytes that one call moves; a chain may name the same page many times, so descriptors alone are no bound. */
const CONSOLE_BUDGET: u32 = 1 << 20;

/** Emergency writes wait here, behind class Console; more than these are dropped. */
const EMERGENCY: usize = 0x40;
const EMERGENCY_MAX: u32 = 256;

@unmanaged
class Console {
  sent: u32; // bytes of the chain at the head of queue 1 that the host has taken
  blocked: u32; // the host took less than it was given
  input_wanted: u32; // `console_input` did not find room for all
  emergency: u32; // bytes of emergency writes that the owner has not passed on
}

@inline
function state(d: Device): Console {
  return changetype<Console>(device_private(d));
}

export function console_add(slot: u32, cols: u32, rows: u32): i32 {
  const features = VIRTIO_CONSOLE_F_SIZE | VIRTIO_CONSOLE_F_EMERG_WRITE | VIRTIO_F_IN_ORDER;
  const added = device_new(slot, VIRTIO_ID_CONSOLE, features, CONSOLE_QUEUES, CONSOLE_QUEUE_SIZE, CONFIG_LEN);
  if (added < 0) return added;
  const c = device_config(device_of(slot, VIRTIO_ID_CONSOLE));
  own_put16(c + CONFIG_COLS, cols);
  own_put16(c + CONFIG_ROWS, rows);
  own_put32(c + CONFIG_MAX_NR_PORTS, 1);
  return 0;
}

/** The terminal has a new size; the driver gets a configuration change. */
export function console_resize(slot: u32, cols: u32, rows: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_CONSOLE);
  if (changetype<usize>(d) == 0) return -ENODEV;
  if (cols > 0xffff || rows > 0xffff) return -EINVAL;
  const entered = device_enter(d);
  const c = device_config(d);
  own_put16(c + CONFIG_COLS, cols);
  own_put16(c + CONFIG_ROWS, rows);
  if ((d.driver_features & VIRTIO_CONSOLE_F_SIZE) != 0) device_config_changed(d);
  device_leave(d, entered);
  return 0;
}

export function console_reset(d: Device): void {
  const s = state(d);
  s.sent = 0;
  s.blocked = 0;
}

/** A queue that is stopped forgets the chain it was at. */
export function console_queue_reset(d: Device, q: Queue): void {
  if (q.index == TRANSMITQ) console_reset(d);
}

/** Emergency write: one byte, at any time, also without any queue (§5.3.4). A vCPU's thread, so the owner sends it. */
export function console_config_write(d: Device, offset: u32, value: u64): void {
  const s = state(d);
  if (offset != CONFIG_EMERG_WR || s.emergency >= EMERGENCY_MAX) {
    d.ignored++;
    return;
  }
  own_put8(device_private(d) + EMERGENCY + s.emergency, <u32>value & 0xff);
  s.emergency++;
  d.owner_pending = 1;
}

/** Passes emergency writes on. */
export function console_owner(d: Device): void {
  const s = state(d);
  const n = s.emergency;
  s.emergency = 0;
  if (n == 0) return;
  d.in_callback = 1;
  host_console(d.slot, <u32>(device_private(d) + EMERGENCY), n);
  d.in_callback = 0;
}

export function console_process(d: Device, q: Queue): bool {
  if (q.index == TRANSMITQ) return transmit(d, q);
  const s = state(d);
  if (s.input_wanted != 0) {
    s.input_wanted = 0;
    d.in_callback = 1;
    machine_event(MACHINE_EV_INPUT, d.slot, 0);
    d.in_callback = 0;
  }
  return false;
}

// ---- output --------------------------------------------------------------------------------------------------

function transmit(d: Device, q: Queue): bool {
  const s = state(d);
  if (s.blocked != 0) return false;
  let budget = CONSOLE_BUDGET;
  let left = q.size;
  let more = false;
  queue_no_kick(d, q);
  for (;;) {
    if (left == 0 || budget == 0) {
      more = true;
      break;
    }
    const got = queue_pop(d, q);
    if (got < 0) break;
    if (got == 0) {
      if (queue_want_kick(d, q)) continue;
      break;
    }
    left--;
    const taken = send(d, q, s.sent, budget);
    if (!device_active(d)) return false;
    budget -= taken;
    const sent = <u64>s.sent + taken;
    if (sent < q.read_bytes) {
      // The same chain is taken again later; whatever the driver makes of it meanwhile, it is checked anew.
      s.sent = <u32>sent;
      queue_unpop(q, 1);
      if (budget == 0) more = true;
      else s.blocked = 1;
      break;
    }
    s.sent = 0;
    queue_used(q, q.head, 0);
  }
  if (device_active(d)) queue_publish(d, q);
  return more;
}

/** Gives the host the chain from byte `skip` on, at most `limit` bytes; returns how many it took. */
function send(d: Device, q: Queue, skip: u32, limit: u32): u32 {
  let at = skip;
  let done: u32 = 0;
  for (let i: u32 = 0; i < q.nread && done < limit; i++) {
    const have = table_len(q.table, i);
    if (at >= have) {
      at -= have;
      continue;
    }
    const n = min<u32>(have - at, limit - done);
    d.in_callback = 1;
    const taken = min<u32>(host_console(d.slot, <u32>table_ptr(q.table, i) + at, n), n);
    d.in_callback = 0;
    done += taken;
    if (taken < n) break;
    at = 0;
  }
  return done;
}

/** The host takes output again, of console `slot` or of HOST_SERIAL. 1 when `device_process(slot, 1)` should follow soon. */
export function console_drained(slot: u32): i32 {
  if (slot == HOST_SERIAL) return serial_drained();
  const d = device_of(slot, VIRTIO_ID_CONSOLE);
  if (changetype<usize>(d) == 0) return -ENODEV;
  let more = false;
  const entered = device_enter(d);
  state(d).blocked = 0;
  if (entered && device_active(d) && d.quiesced == 0) {
    const q = queue_at(d, TRANSMITQ);
    if (q.ready != 0) more = transmit(d, q);
  } else {
    more = true; // called from inside `host_console`: the queue is in use
  }
  device_leave(d, entered);
  return more ? 1 : 0;
}

// ---- input ---------------------------------------------------------------------------------------------------

/**
 * Input for the guest: `len` bytes at `ptr`. Returns how many were taken; when fewer, MACHINE_EV_INPUT says that there
 * is room again. -ENODEV.
 */
export function console_input(slot: u32, ptr: u32, len: u32): i32 {
  const d = device_of(slot, VIRTIO_ID_CONSOLE);
  if (changetype<usize>(d) == 0) return -ENODEV;
  const entered = device_enter(d);
  let done: u32 = 0;
  const q = queue_at(d, RECEIVEQ);
  if (device_active(d) && q.ready != 0 && d.quiesced == 0) {
    while (done < len) {
      const got = queue_pop(d, q);
      if (got < 0) break;
      if (got == 0) {
        if (queue_want_kick(d, q)) continue;
        break;
      }
      const n = chain_write(q, 0, <usize>ptr + done, len - done);
      queue_used(q, q.head, n);
      done += n;
      // A chain without room is given back empty; a driver that adds only such ones gets no more of this call.
      if (n == 0) break;
    }
    if (device_active(d)) queue_publish(d, q);
  }
  if (done < len) state(d).input_wanted = 1;
  device_leave(d, entered);
  return done;
}

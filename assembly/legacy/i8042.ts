/**
 * Keyboard controller 8042, as far as a guest without a keyboard needs one: the reset line, and answers that let Linux's
 * probe find no device quickly.
 */
import { MACHINE_EV_RESET } from '../contract/machine';
import { I8042_STATE } from '../core/layout';
import { BUS_I8042 } from '../core/kinds';
import { BUS_PIO, bus_add } from '../core/bus';
import { machine_event } from '../core/machine';

const STATUS_OBF: u32 = 0x01; // output buffer full
const STATUS_SYS: u32 = 0x04; // self test passed
const STATUS_CMD: u32 = 0x08; // the last write was a command
const STATUS_MUXERR: u32 = 0x40; // also: time-out of a device

const CMD_READ_CTR: u32 = 0x20;
const CMD_WRITE_CTR: u32 = 0x60;
const CMD_AUX_DISABLE: u32 = 0xa7;
const CMD_AUX_ENABLE: u32 = 0xa8;
const CMD_AUX_TEST: u32 = 0xa9;
const CMD_TEST: u32 = 0xaa;
const CMD_KBD_TEST: u32 = 0xab;
const CMD_KBD_DISABLE: u32 = 0xad;
const CMD_KBD_ENABLE: u32 = 0xae;
const CMD_READ_OUTPUT: u32 = 0xd0;
const CMD_WRITE_OUTPUT: u32 = 0xd1;
/** 0xf0..0xff pulse output lines; line 0 is the CPU's reset. */
const CMD_PULSE: u32 = 0xf0;

const CTR_KBD_DISABLED: u32 = 0x10;
const CTR_AUX_DISABLED: u32 = 0x20;

@unmanaged
class I8042 {
  ctr: u32;
  status: u32;
  output: u32;
  pending: u32; // command that waits for its data byte
}

@inline
function state(): I8042 {
  return changetype<I8042>(<usize>I8042_STATE);
}

export function i8042_add(): i32 {
  const s = state();
  s.ctr = CTR_KBD_DISABLED | CTR_AUX_DISABLED;
  s.status = STATUS_SYS;
  s.output = 0;
  s.pending = 0;
  const result = bus_add(BUS_PIO, 0x60, 1, BUS_I8042, 0);
  return result < 0 ? result : bus_add(BUS_PIO, 0x64, 1, BUS_I8042, 4);
}

function answer(s: I8042, value: u32): void {
  s.output = value;
  s.status |= STATUS_OBF;
}

/** `offset`: 0 data, 4 status. */
export function i8042_read(offset: u32): u32 {
  const s = state();
  if (offset != 0) return s.status;
  s.status &= ~(STATUS_OBF | STATUS_MUXERR);
  return s.output;
}

export function i8042_write(offset: u32, value: u32): void {
  const s = state();
  const v = value & 0xff;
  if (offset == 0) {
    data(s, v);
    return;
  }
  s.status |= STATUS_CMD;
  s.pending = 0;
  switch (v) {
    case CMD_READ_CTR: answer(s, s.ctr); break;
    case CMD_WRITE_CTR:
    case CMD_WRITE_OUTPUT: s.pending = v; break;
    case CMD_TEST: answer(s, 0x55); break;
    case CMD_KBD_TEST: answer(s, 0x00); break;
    case CMD_AUX_TEST: answer(s, 0xff); break; // no mouse port
    case CMD_AUX_DISABLE: s.ctr |= CTR_AUX_DISABLED; break;
    case CMD_AUX_ENABLE: s.ctr &= ~CTR_AUX_DISABLED; break;
    case CMD_KBD_DISABLE: s.ctr |= CTR_KBD_DISABLED; break;
    case CMD_KBD_ENABLE: s.ctr &= ~CTR_KBD_DISABLED; break;
    case CMD_READ_OUTPUT: answer(s, 0x03); break; // A20 on, reset not active
    default:
      if (v >= CMD_PULSE && (v & 1) == 0) machine_event(MACHINE_EV_RESET, v, 0);
      break;
  }
}

function data(s: I8042, v: u32): void {
  s.status &= ~STATUS_CMD;
  const command = s.pending;
  s.pending = 0;
  if (command == CMD_WRITE_CTR) {
    s.ctr = v;
  } else if (command == CMD_WRITE_OUTPUT) {
    if ((v & 1) == 0) machine_event(MACHINE_EV_RESET, v, 0);
  } else {
    // A byte for the keyboard: none is there, the controller reports a time-out.
    answer(s, 0xfe);
    s.status |= STATUS_MUXERR;
  }
}

/**
 * The machine's own ports: `vmm_power` (0x600), `vmm_mark` (0x601), ACPI's sleep registers (0x604 and 0x605, named by
 * vmm/boot/acpi.ts), the debug exit (0xf4) and the reset control register (0xcf9) that Linux tries after the keyboard
 * controller.
 */
import {
  MACHINE_EV_DEBUG_EXIT, MACHINE_EV_HALT, MACHINE_EV_MARK, MACHINE_EV_PANIC, MACHINE_EV_POWEROFF, MACHINE_EV_REBOOT, MACHINE_EV_RESET,
  MACHINE_F_DEBUG_EXIT, POWER_CODE_HALT, POWER_CODE_PANIC, POWER_CODE_POWEROFF, POWER_CODE_REBOOT, S5_SLEEP_TYPE, SLEEP_CONTROL_PORT,
  SLEEP_STATUS_PORT,
} from '../contract/machine';
import { DEBUG_EXIT_PORT, MARK_PORT, POWER_PORT, POWER_STATE } from '../core/layout';
import { BUS_PIO, bus_add } from '../core/bus';
import { BUS_POWER } from '../core/kinds';
import { machine, machine_event } from '../core/machine';

// `arg` of the bus range.
export const POWER_CONTROL: u32 = 0;
export const POWER_MARK: u32 = 1;
export const POWER_DEBUG_EXIT: u32 = 2;
export const POWER_RESET_CONTROL: u32 = 3;
export const POWER_SLEEP_CONTROL: u32 = 4;
export const POWER_SLEEP_STATUS: u32 = 5;

/** What a read of `vmm_power` gives: 'V'. */
const SIGNATURE: u32 = 0x56;
const RESET_CONTROL_PORT: u32 = 0xcf9;
/** So that wider OUTs fit, of which the low byte counts: as QEMU's isa-debug-exit with iosize 4. */
const DEBUG_EXIT_SIZE: u32 = 4;
/** Reset control register: bit 2 going up resets the CPU (bit 1 says how hard). */
const RESET_CPU: u32 = 4;
/** Sleep control register (ACPI 6.5 §4.8.3.7): bits 2 to 4 SLP_TYP, bit 5 SLP_EN; the rest is reserved. */
const SLP_TYP: u32 = 0x1c;
const SLP_EN: u32 = 0x20;
const SLP_TYP_SHIFT: u32 = 2;

/** Claims the ports. */
export function power_add(): i32 {
  state().marks = 0;
  let result = bus_add(BUS_PIO, POWER_PORT, 1, BUS_POWER, POWER_CONTROL);
  if (result == 0) result = bus_add(BUS_PIO, MARK_PORT, 1, BUS_POWER, POWER_MARK);
  if (result == 0) result = bus_add(BUS_PIO, RESET_CONTROL_PORT, 1, BUS_POWER, POWER_RESET_CONTROL);
  if (result == 0) result = bus_add(BUS_PIO, SLEEP_CONTROL_PORT, 1, BUS_POWER, POWER_SLEEP_CONTROL);
  if (result == 0) result = bus_add(BUS_PIO, SLEEP_STATUS_PORT, 1, BUS_POWER, POWER_SLEEP_STATUS);
  if (result == 0 && (machine().flags & MACHINE_F_DEBUG_EXIT) != 0) result = bus_add(BUS_PIO, DEBUG_EXIT_PORT, DEBUG_EXIT_SIZE, BUS_POWER, POWER_DEBUG_EXIT);
  return result;
}

export function power_read(arg: u32): u32 {
  if (arg == POWER_CONTROL) return SIGNATURE;
  // SLP_EN reads as 0, and there is no sleep to wake from: WAK_STS is never set.
  return arg == POWER_RESET_CONTROL || arg == POWER_SLEEP_CONTROL || arg == POWER_SLEEP_STATUS ? 0 : 0xff;
}

/** Marks that are passed on: the host keeps each. */
const MARKS_MAX: u32 = 1024;

@unmanaged
class Power {
  marks: u32;
}

@inline
function state(): Power {
  return changetype<Power>(<usize>POWER_STATE);
}

export function power_write(arg: u32, value: u32): void {
  const v = value & 0xff;
  switch (arg) {
    case POWER_CONTROL:
      if (v == POWER_CODE_POWEROFF) machine_event(MACHINE_EV_POWEROFF, v, 0);
      else if (v == POWER_CODE_REBOOT) machine_event(MACHINE_EV_REBOOT, v, 0);
      else if (v == POWER_CODE_PANIC) machine_event(MACHINE_EV_PANIC, v, 0);
      else if (v == POWER_CODE_HALT) machine_event(MACHINE_EV_HALT, v, 0);
      break;
    case POWER_MARK:
      if (state().marks < MARKS_MAX) {
        state().marks++;
        machine_event(MACHINE_EV_MARK, v, 0);
      }
      break;
    case POWER_DEBUG_EXIT: machine_event(MACHINE_EV_DEBUG_EXIT, v, 0); break;
    case POWER_RESET_CONTROL:
      if ((v & RESET_CPU) != 0) machine_event(MACHINE_EV_RESET, v, 0);
      break;
    case POWER_SLEEP_CONTROL:
      if ((v & SLP_EN) != 0 && (v & SLP_TYP) == S5_SLEEP_TYPE << SLP_TYP_SHIFT) machine_event(MACHINE_EV_POWEROFF, v, 0);
      break;
    default: break;
  }
}

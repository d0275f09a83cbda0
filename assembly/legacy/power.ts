/**
 * The machine's own ports: `vmm_power` (0x600), `vmm_mark` (0x601), the debug exit (0xf4) and the reset control
 * register (0xcf9) that Linux tries after the keyboard controller.
 */
import { DEBUG_EXIT_PORT, MARK_PORT, POWER_PORT } from "../core/layout";
import { BUS_PIO, BUS_POWER, bus_add } from "../core/bus";
import {
  MACHINE_EV_DEBUG_EXIT, MACHINE_EV_HALT, MACHINE_EV_MARK, MACHINE_EV_PANIC, MACHINE_EV_POWEROFF, MACHINE_EV_REBOOT,
  MACHINE_EV_RESET, MACHINE_F_DEBUG_EXIT, machine, machine_event,
} from "../core/machine";

// `arg` of the bus range.
export const POWER_CONTROL: u32 = 0;
export const POWER_MARK: u32 = 1;
export const POWER_DEBUG_EXIT: u32 = 2;
export const POWER_RESET_CONTROL: u32 = 3;

/** What a read of `vmm_power` gives: 'V'. */
const SIGNATURE: u32 = 0x56;
const RESET_CONTROL_PORT: u32 = 0xcf9;
/** Reset control register: bit 2 going up resets the CPU (bit 1 says how hard). */
const RESET_CPU: u32 = 4;

/** Claims the ports. */
export function power_add(): i32 {
  let result = bus_add(BUS_PIO, POWER_PORT, 1, BUS_POWER, POWER_CONTROL);
  if (result == 0) result = bus_add(BUS_PIO, MARK_PORT, 1, BUS_POWER, POWER_MARK);
  if (result == 0) result = bus_add(BUS_PIO, RESET_CONTROL_PORT, 1, BUS_POWER, POWER_RESET_CONTROL);
  if (result == 0 && (machine().flags & MACHINE_F_DEBUG_EXIT) != 0) result = bus_add(BUS_PIO, DEBUG_EXIT_PORT, 1, BUS_POWER, POWER_DEBUG_EXIT);
  return result;
}

export function power_read(arg: u32): u32 {
  if (arg == POWER_CONTROL) return SIGNATURE;
  return arg == POWER_RESET_CONTROL ? 0 : 0xff;
}

export function power_write(arg: u32, value: u32): void {
  const v = value & 0xff;
  switch (arg) {
    case POWER_CONTROL:
      if (v == 1) machine_event(MACHINE_EV_POWEROFF, v, 0);
      else if (v == 2) machine_event(MACHINE_EV_REBOOT, v, 0);
      else if (v == 3) machine_event(MACHINE_EV_PANIC, v, 0);
      else if (v == 4) machine_event(MACHINE_EV_HALT, v, 0);
      break;
    case POWER_MARK: machine_event(MACHINE_EV_MARK, v, 0); break;
    case POWER_DEBUG_EXIT: machine_event(MACHINE_EV_DEBUG_EXIT, v, 0); break;
    case POWER_RESET_CONTROL:
      if ((v & RESET_CPU) != 0) machine_event(MACHINE_EV_RESET, v, 0);
      break;
    default: break;
  }
}

/**
 * COM1, a 16550A UART (National Semiconductor PC16550D data sheet), as far as Linux's 8250 driver and small guests use
 * one. Output goes to `host_console(HOST_SERIAL, …)`, a byte at a time; a byte the host does not take is held and the
 * transmitter is busy until `console_drained`. Any vCPU may reach the ports, hence the lock.
 */
import { HOST_SERIAL } from '../contract/hooks';
import { MACHINE_EV_INPUT } from '../contract/machine';
import { COM1_IRQ, COM1_PORT, SERIAL_RX, SERIAL_STATE } from '../core/layout';
import { host_console } from '../core/host';
import { BUS_PIO, bus_add } from '../core/bus';
import { BUS_SERIAL } from '../core/kinds';
import { interrupt_pulse } from '../interrupt/lines';
import { lock, unlock } from '../core/lock';
import { machine_event } from '../core/machine';
import { own_copy, own_put8 } from '../core/guest';

// Register offsets.
const UART_DATA: u32 = 0; // RBR, THR; DLL with DLAB
const UART_IER: u32 = 1; // DLM with DLAB
const UART_IIR: u32 = 2; // FCR when written
const UART_LCR: u32 = 3;
const UART_MCR: u32 = 4;
const UART_LSR: u32 = 5;
const UART_MSR: u32 = 6;
const UART_SCR: u32 = 7;

const IER_RDI: u32 = 0x01;
const IER_THRI: u32 = 0x02;
const IER_MSI: u32 = 0x08;

const IIR_NO_INT: u32 = 0x01;
const IIR_THRI: u32 = 0x02;
const IIR_RDI: u32 = 0x04;
const IIR_MSI: u32 = 0x00;
const IIR_FIFO: u32 = 0xc0;

const FCR_ENABLE: u32 = 0x01;
const FCR_CLEAR_RX: u32 = 0x02;

const LCR_DLAB: u32 = 0x80;

const MCR_OUT2: u32 = 0x08; // gates the interrupt on a PC
const MCR_LOOP: u32 = 0x10;

const LSR_DR: u32 = 0x01;
const LSR_OE: u32 = 0x02;
const LSR_THRE: u32 = 0x20;
const LSR_TEMT: u32 = 0x40;

const MSR_DELTA: u32 = 0x0f;
/** Carrier, data set ready, clear to send: a terminal is there. */
const MSR_CONNECTED: u32 = 0xb0;

/** Input waits here; larger than the chip's 16 bytes, which a guest cannot see. */
const RX_SIZE: u32 = 4096;
/**
 * Input is only given to a guest that listens: drivers clear the FIFO and read it empty before they do, and what a file or a
 * pipe had sent until then would be lost. One that listens has the receive interrupt on and let out of the chip (a
 * probe of IER sets the first alone), or looks at the line status, or at IIR for that interrupt, so often while it has nothing to
 * send that it waits for data.
 */
const POLLS: u32 = 64;
const RX: usize = <usize>SERIAL_RX;

@unmanaged
class Serial {
  lock: u32;
  ier: u32;
  fcr: u32;
  lcr: u32;
  mcr: u32;
  msr: u32;
  scr: u32;
  divisor: u32;
  overrun: u32;
  thr_empty: u32; // the "transmitter empty" interrupt is pending
  line: u32; // level of the interrupt output
  held: u32; // 1: `tx` waits for the host
  tx: u32;
  rx_head: u32; // counts bytes put in
  rx_tail: u32; // counts bytes taken out
  input_wanted: u32;
  polls: u32; // looks for data in a row, up to POLLS, where no interrupt tells of it
}

@inline
function state(): Serial {
  return changetype<Serial>(<usize>SERIAL_STATE);
}

@inline
function listens(s: Serial): bool {
  return ((s.ier & IER_RDI) != 0 && (s.mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2) || s.polls == POLLS;
}

/** The guest has begun to listen: true when the host waits for that. */
function heard(s: Serial): bool {
  if (s.input_wanted == 0 || !listens(s) || s.rx_head != s.rx_tail) return false;
  s.input_wanted = 0;
  return true;
}

/** The guest has looked for data in vain. */
function polled(s: Serial): bool {
  if (s.polls == POLLS || listens(s)) return false;
  s.polls++;
  return heard(s);
}

/** Puts the UART at COM1. */
export function serial_add(): i32 {
  const s = state();
  memory.fill(changetype<usize>(s), 0, offsetof<Serial>());
  s.msr = MSR_CONNECTED;
  s.divisor = 1;
  return bus_add(BUS_PIO, COM1_PORT, 8, BUS_SERIAL, 0);
}

/** The interrupt of highest priority that is pending and enabled. */
function iir(s: Serial): u32 {
  if ((s.ier & IER_RDI) != 0 && s.rx_head != s.rx_tail) return IIR_RDI;
  if ((s.ier & IER_THRI) != 0 && s.thr_empty != 0) return IIR_THRI;
  if ((s.ier & IER_MSI) != 0 && (s.msr & MSR_DELTA) != 0) return IIR_MSI;
  return IIR_NO_INT;
}

/** The line is an ISA one: a rising level is an edge. In loop-back mode the output is off. */
function update(s: Serial): void {
  const level: u32 = iir(s) != IIR_NO_INT && (s.mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 ? 1 : 0;
  const rises = level != 0 && s.line == 0;
  s.line = level;
  if (rises) interrupt_pulse(COM1_IRQ);
}

export function serial_read(offset: u32): u32 {
  const s = state();
  lock(changetype<usize>(s));
  let tell = false;
  let value: u32 = 0;
  switch (offset) {
    case UART_DATA:
      if ((s.lcr & LCR_DLAB) != 0) {
        value = s.divisor & 0xff;
      } else if (s.rx_head != s.rx_tail) {
        value = load<u8>(RX + (s.rx_tail % RX_SIZE));
        s.rx_tail++;
        tell = heard(s);
      }
      break;
    case UART_IER: value = (s.lcr & LCR_DLAB) != 0 ? s.divisor >> 8 : s.ier; break;
    case UART_IIR:
      value = iir(s);
      if (value == IIR_THRI) s.thr_empty = 0;
      if (value == IIR_NO_INT && (s.ier & IER_RDI) != 0) tell = polled(s);
      if ((s.fcr & FCR_ENABLE) != 0) value |= IIR_FIFO;
      break;
    case UART_LCR: value = s.lcr; break;
    case UART_MCR: value = s.mcr; break;
    case UART_LSR:
      value = s.held != 0 ? 0 : LSR_THRE | LSR_TEMT;
      if (s.rx_head != s.rx_tail) value |= LSR_DR;
      if (s.overrun != 0) value |= LSR_OE;
      s.overrun = 0;
      if (s.held == 0) tell = polled(s);
      break;
    case UART_MSR:
      value = (s.mcr & MCR_LOOP) != 0 ? loop_msr(s.mcr) : s.msr;
      s.msr &= ~MSR_DELTA;
      break;
    case UART_SCR: value = s.scr; break;
    default: break;
  }
  update(s);
  unlock(changetype<usize>(s));
  if (tell) machine_event(MACHINE_EV_INPUT, HOST_SERIAL, 0);
  return value;
}

/** In loop-back mode the modem outputs come back: RTS as CTS, DTR as DSR, OUT1 as RI, OUT2 as DCD. */
function loop_msr(mcr: u32): u32 {
  return ((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4);
}

export function serial_write(offset: u32, value: u32): void {
  const s = state();
  const v = value & 0xff;
  let tell = false;
  lock(changetype<usize>(s));
  switch (offset) {
    case UART_DATA:
      if ((s.lcr & LCR_DLAB) != 0) {
        s.divisor = (s.divisor & 0xff00) | v;
      } else {
        if (s.polls < POLLS) s.polls = 0;
        transmit(s, v);
      }
      break;
    case UART_IER:
      if ((s.lcr & LCR_DLAB) != 0) {
        s.divisor = (s.divisor & 0xff) | (v << 8);
      } else {
        // Enabling the interrupt while the transmitter is empty raises it.
        if ((v & ~s.ier & IER_THRI) != 0 && s.held == 0) s.thr_empty = 1;
        s.ier = v & 0x0f;
        s.polls = 0;
        tell = heard(s);
      }
      break;
    case UART_IIR: // FCR
      s.fcr = v & 0xc9;
      if ((v & FCR_CLEAR_RX) != 0) s.rx_tail = s.rx_head;
      s.polls = 0;
      tell = heard(s);
      break;
    case UART_LCR: s.lcr = v; break;
    case UART_MCR:
      s.mcr = v & 0x1f;
      tell = heard(s);
      break;
    case UART_SCR: s.scr = v; break;
    default: break;
  }
  update(s);
  unlock(changetype<usize>(s));
  if (tell) machine_event(MACHINE_EV_INPUT, HOST_SERIAL, 0);
}

function transmit(s: Serial, v: u32): void {
  if ((s.mcr & MCR_LOOP) != 0) {
    if (s.rx_head - s.rx_tail < RX_SIZE) {
      own_put8(RX + (s.rx_head % RX_SIZE), v);
      s.rx_head++;
    } else {
      s.overrun = 1;
    }
    s.thr_empty = 1;
    return;
  }
  if (s.held != 0) return; // written while busy: the data sheet leaves the byte undefined, ours is lost
  s.tx = v;
  s.thr_empty = 0;
  s.held = 1;
  push(s);
}

/** Offers the held byte to the host. */
function push(s: Serial): void {
  if (host_console(HOST_SERIAL, <u32>(changetype<usize>(s) + offsetof<Serial>('tx')), 1) == 0) return;
  s.held = 0;
  s.thr_empty = 1;
}

/** The host takes output again. */
export function serial_drained(): i32 {
  const s = state();
  lock(changetype<usize>(s));
  if (s.held != 0) push(s);
  update(s);
  unlock(changetype<usize>(s));
  return 0;
}

/**
 * Input for the guest: `len` bytes at `ptr`; returns how many were taken, none while the guest does not listen. For the rest
 * wait for MACHINE_EV_INPUT of HOST_SERIAL.
 */
export function serial_input(ptr: u32, len: u32): u32 {
  const s = state();
  lock(changetype<usize>(s));
  let done: u32 = 0;
  while (listens(s) && done < len && s.rx_head - s.rx_tail < RX_SIZE) {
    own_copy(RX + (s.rx_head % RX_SIZE), <usize>ptr + done, 1);
    s.rx_head++;
    done++;
  }
  if (done < len) s.input_wanted = 1;
  update(s);
  unlock(changetype<usize>(s));
  return done;
}

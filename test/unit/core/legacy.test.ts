import { beforeEach, describe, expect, test } from 'vitest';
import { POWER_CODE_REBOOT, S5_SLEEP_TYPE, SLEEP_CONTROL_PORT, SLEEP_STATUS_PORT } from '../../../assembly/contract/machine.ts';
import { loadCore } from '../../support/devices/core.ts';

const core = loadCore();
const inb = (port: number) => core.x.bus_pio_read!(port, 1) & 0xff;
const outb = (port: number, value: number) => core.x.bus_pio_write!(port, 1, value);

beforeEach(() => core.restart());

describe('serial', () => {
  const COM1 = 0x3f8;
  const irqs = () => core.host.irqs.splice(0).filter((line) => line === 4).length;

  beforeEach(() => {
    core.x.serial_add!();
  });

  test('after reset the transmitter is empty and no interrupt is pending', () => {
    expect(inb(COM1 + 5)).toBe(0x60);
    expect(inb(COM1 + 2)).toBe(0x01);
    expect(inb(COM1 + 6)).toBe(0xb0);
  });

  test('a byte the host does not take keeps the transmitter busy until it is drained', () => {
    let ready = false;
    core.host.onConsole = (_device, bytes) => (ready ? bytes.length : 0);
    outb(COM1, 0x41);
    expect(inb(COM1 + 5)).toBe(0);
    ready = true;
    core.x.console_drained!(0x100);
    expect(inb(COM1 + 5)).toBe(0x60);
    expect(core.host.consoleText(0x100)).toBe('A');
  });

  test('input waits for a guest that listens: nothing of it is lost to a driver that sets the chip up', () => {
    const text = core.scratch(Buffer.from('hi'));
    expect(core.x.serial_input!(text, 2)).toBe(0);
    // As Linux does: autoconfiguration, console output with its polls, start-up of the port.
    outb(COM1 + 1, 0x0f);
    expect(core.x.serial_input!(text, 2)).toBe(0);
    outb(COM1 + 1, 0);
    outb(COM1 + 2, 0x07);
    for (let i = 0; i < 200; i++) {
      inb(COM1 + 5);
      outb(COM1, 0x41);
    }
    inb(COM1);
    outb(COM1 + 3, 0x03);
    expect(core.x.serial_input!(text, 2)).toBe(0);
    outb(COM1 + 4, 0x09);
    expect(core.host.events).toEqual([]);
    outb(COM1 + 1, 0x05);
    expect(core.host.events).toEqual([{ kind: 9, a: 0x100, b: 0n }]);
    expect(core.x.serial_input!(text, 2)).toBe(2);
    expect([inb(COM1), inb(COM1)]).toEqual([0x68, 0x69]);
    // The port is closed.
    outb(COM1 + 1, 0);
    expect(core.x.serial_input!(text, 2)).toBe(0);
  });

  test('a FIFO that the guest clears makes room: the rest of the input is asked for', () => {
    outb(COM1 + 4, 0x08);
    outb(COM1 + 1, 0x01);
    expect(core.x.serial_input!(core.scratch(Buffer.alloc(5000)), 5000)).toBe(4096);
    outb(COM1 + 2, 0x02);
    expect(core.host.events).toEqual([{ kind: 9, a: 0x100, b: 0n }]);
  });

  test('a guest that looks for the interrupt in IIR without OUT2 listens', () => {
    const text = core.scratch(Buffer.from('a'));
    outb(COM1 + 1, 0x01);
    expect(core.x.serial_input!(text, 1)).toBe(0);
    for (let i = 0; i < 64; i++) inb(COM1 + 2);
    expect(core.host.events).toEqual([{ kind: 9, a: 0x100, b: 0n }]);
    expect(core.x.serial_input!(text, 1)).toBe(1);
    expect(inb(COM1 + 2)).toBe(0x04);
  });

  test('a guest that polls for input listens, too', () => {
    const text = core.scratch(Buffer.from('a'));
    expect(core.x.serial_input!(text, 1)).toBe(0);
    let polls = 0;
    while (core.host.events.length === 0) {
      inb(COM1 + 5);
      polls++;
    }
    expect(polls).toBe(64);
    expect(core.x.serial_input!(text, 1)).toBe(1);
    // Its echo does not change that.
    outb(COM1, 0x61);
    expect(core.x.serial_input!(text, 1)).toBe(1);
    inb(COM1);
    expect([inb(COM1 + 5) & 1, inb(COM1)]).toEqual([1, 0x61]);
  });

  const listen = (): void => {
    outb(COM1 + 4, 0x08);
    outb(COM1 + 1, 0x01);
  };

  test('input is read in order; DR says when there is more', () => {
    listen();
    expect(core.x.serial_input!(core.scratch(Buffer.from('hi')), 2)).toBe(2);
    expect(inb(COM1 + 5) & 1).toBe(1);
    expect([inb(COM1), inb(COM1)]).toEqual([0x68, 0x69]);
    expect(inb(COM1 + 5) & 1).toBe(0);
    expect(inb(COM1)).toBe(0);
  });

  test('received data interrupt: one edge for a run of input, IIR says why', () => {
    outb(COM1 + 4, 0x08);
    outb(COM1 + 1, 0x01);
    core.x.serial_input!(core.scratch(Buffer.from('ab')), 2);
    expect(irqs()).toBe(1);
    expect(inb(COM1 + 2)).toBe(0x04);
    inb(COM1);
    inb(COM1);
    expect(inb(COM1 + 2)).toBe(0x01);
    core.x.serial_input!(core.scratch(Buffer.from('c')), 1);
    expect(irqs()).toBe(1);
  });

  test('transmitter interrupt: enabling it raises it, reading IIR clears it, the next byte raises it again', () => {
    outb(COM1 + 4, 0x08);
    outb(COM1 + 1, 0x02);
    expect(irqs()).toBe(1);
    expect(inb(COM1 + 2)).toBe(0x02);
    expect(inb(COM1 + 2)).toBe(0x01);
    outb(COM1, 0x41);
    expect(irqs()).toBe(1);
  });

  test('without OUT2 there is no interrupt', () => {
    listen();
    core.x.serial_input!(core.scratch(Buffer.from('a')), 1);
    expect(irqs()).toBe(1);
    outb(COM1 + 4, 0);
    outb(COM1 + 1, 0x03);
    expect(irqs()).toBe(0);
    outb(COM1 + 4, 0x08);
    expect(irqs()).toBe(1);
  });

  test('FIFO control: IIR shows the FIFO, a clear drops input', () => {
    outb(COM1 + 2, 0x01);
    expect(inb(COM1 + 2) & 0xc0).toBe(0xc0);
    listen();
    core.x.serial_input!(core.scratch(Buffer.from('abc')), 3);
    outb(COM1 + 2, 0x03);
    expect(inb(COM1 + 5) & 1).toBe(0);
  });

  test('the divisor is behind DLAB, IER and data are not touched', () => {
    outb(COM1 + 1, 0x0f);
    outb(COM1 + 3, 0x80);
    outb(COM1, 0x34);
    outb(COM1 + 1, 0x12);
    expect([inb(COM1), inb(COM1 + 1)]).toEqual([0x34, 0x12]);
    outb(COM1 + 3, 0x03);
    expect(inb(COM1 + 1)).toBe(0x0f);
    expect(core.host.consoleText(0x100)).toBe('');
  });

  test('loop-back returns what is sent, and modem outputs as inputs, and tells the host nothing', () => {
    outb(COM1 + 4, 0x1a);
    expect(inb(COM1 + 6) & 0xf0).toBe(0x90);
    outb(COM1, 0x55);
    expect(inb(COM1)).toBe(0x55);
    expect(core.host.consoleText(0x100)).toBe('');
  });

  test('the scratch register keeps its value', () => {
    outb(COM1 + 7, 0xa5);
    expect(inb(COM1 + 7)).toBe(0xa5);
  });

  test('input beyond the buffer is refused and asked for again when there is room', () => {
    const big = Buffer.alloc(5000, 0x61);
    listen();
    expect(core.x.serial_input!(core.scratch(big), 5000)).toBe(4096);
    for (let i = 0; i < 4095; i++) inb(COM1);
    expect(core.host.events).toEqual([]);
    inb(COM1);
    expect(core.host.events).toEqual([{ kind: 9, a: 0x100, b: 0n }]);
  });
});

describe('i8042', () => {
  beforeEach(() => {
    core.x.i8042_add!();
  });

  test('command 0xfe resets the machine', () => {
    outb(0x64, 0xfe);
    expect(core.host.events.map((event) => event.kind)).toEqual([5]);
    expect(core.x.machine_exit_request!()).toBe(5);
  });

  test('pulse commands that leave the reset line alone do nothing', () => {
    outb(0x64, 0xff);
    outb(0x64, 0xfd);
    expect(core.host.events).toEqual([]);
  });

  test('self test answers 0x55, the output buffer flag follows', () => {
    expect(inb(0x64) & 1).toBe(0);
    outb(0x64, 0xaa);
    expect(inb(0x64) & 1).toBe(1);
    expect(inb(0x60)).toBe(0x55);
    expect(inb(0x64) & 1).toBe(0);
  });

  test('the command byte is kept', () => {
    outb(0x64, 0x60);
    outb(0x60, 0x43);
    outb(0x64, 0x20);
    expect(inb(0x60)).toBe(0x43);
  });

  test('a byte for the keyboard is answered with a time-out', () => {
    outb(0x60, 0xf2);
    expect(inb(0x64) & 0x41).toBe(0x41);
    expect(inb(0x60)).toBe(0xfe);
  });
});

describe('rtc', () => {
  const read = (index: number) => {
    outb(0x70, index);
    return inb(0x71);
  };

  beforeEach(() => {
    core.x.rtc_add!();
  });

  const fields = () => [read(0x32), read(9), read(8), read(7), read(4), read(2), read(0), read(6)];

  test.each([
    ['2024-02-29T23:59:58Z', [0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58, 5]],
    ['1999-12-31T00:00:00Z', [0x19, 0x99, 0x12, 0x31, 0x00, 0x00, 0x00, 6]],
    ['2000-03-01T12:34:56Z', [0x20, 0x00, 0x03, 0x01, 0x12, 0x34, 0x56, 4]],
    ['2100-03-01T01:02:03Z', [0x21, 0x00, 0x03, 0x01, 0x01, 0x02, 0x03, 2]],
    ['1970-01-01T00:00:00Z', [0x19, 0x70, 0x01, 0x01, 0x00, 0x00, 0x00, 5]],
  ])('%s reads in BCD', (date, expected) => {
    core.host.wall = Date.parse(date) * 1e6;
    expect(fields()).toEqual(expected);
  });

  test('binary mode', () => {
    core.host.wall = Date.parse('2024-10-31T23:59:58Z') * 1e6;
    outb(0x70, 11);
    outb(0x71, 0x06);
    expect(fields()).toEqual([20, 24, 10, 31, 23, 59, 58, 5]);
  });

  test('update in progress is told in the last 244 µs of a second', () => {
    core.host.wall = 1_700_000_000e9;
    expect(read(10) & 0x80).toBe(0);
    core.host.wall = 1_700_000_000e9 + 999_800_000;
    expect(read(10) & 0x80).toBe(0x80);
  });

  test('the battery is good, no interrupt is pending, memory keeps bytes, the index port is write-only', () => {
    expect(read(13)).toBe(0x80);
    expect(read(12)).toBe(0);
    outb(0x70, 0x40);
    outb(0x71, 0x99);
    expect(read(0x40)).toBe(0x99);
    expect(inb(0x70)).toBe(0xff);
  });

  test('a clock before 1970 reads as 1970', () => {
    core.host.wall = -1e9;
    expect(fields().slice(0, 3)).toEqual([0x19, 0x70, 0x01]);
  });
});

describe('power', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ])('byte %i to port 0x600 is event %i', (value, event) => {
    core.x.power_add!();
    outb(0x600, value);
    expect(core.host.events.map(({ kind }) => kind)).toEqual([event]);
  });

  test('other bytes are nothing', () => {
    core.x.power_add!();
    outb(0x600, 0);
    outb(0x600, 5);
    expect(core.host.events).toEqual([]);
  });

  test('port 0x600 reads its signature', () => {
    core.x.power_add!();
    expect(inb(0x600)).toBe(0x56);
  });

  test('the debug exit exists only when asked for', () => {
    core.x.power_add!();
    outb(0xf4, 3);
    expect(core.host.events).toEqual([]);
    core.restart(1, 4);
    core.x.power_add!();
    outb(0xf4, 3);
    expect(core.host.events).toEqual([{ kind: 6, a: 3, b: 0n }]);
  });

  test('the reset control register resets on bit 2', () => {
    core.x.power_add!();
    outb(0xcf9, 2);
    expect(core.host.events).toEqual([]);
    outb(0xcf9, 6);
    expect(core.host.events.map(({ kind }) => kind)).toEqual([5]);
  });

  test('the sleep control register that the FADT names powers off on SLP_EN with the type of _S5_ alone', () => {
    const SLP_EN = 0x20;
    core.x.power_add!();
    for (const value of [0, SLP_EN, S5_SLEEP_TYPE << 2, SLP_EN | (3 << 2), SLP_EN | (7 << 2)]) outb(SLEEP_CONTROL_PORT, value);
    outb(SLEEP_STATUS_PORT, 0x80);
    expect(core.host.events).toEqual([]);
    expect([inb(SLEEP_CONTROL_PORT), inb(SLEEP_STATUS_PORT)]).toEqual([0, 0]);
    outb(SLEEP_CONTROL_PORT, SLP_EN | (S5_SLEEP_TYPE << 2));
    expect(core.host.events.map(({ kind }) => kind)).toEqual([1]);
  });

  test('the reset register that the FADT names reboots', () => {
    core.x.power_add!();
    outb(0x600, POWER_CODE_REBOOT);
    expect(core.host.events.map(({ kind }) => kind)).toEqual([2]);
  });
});

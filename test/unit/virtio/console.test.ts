/** virtio 1.2, §5.3: console device, port 0. */
import { beforeEach, describe, expect, test } from 'vitest';
import { loadCore } from '../../support/devices/core.ts';
import { Driver, type DriverQueue, F, REG, STATUS } from '../../support/devices/driver.ts';

const core = loadCore();
const SLOT = 0;
const SIZE = 1n;
const EV_INPUT = 9;
let d: Driver;
let rx: DriverQueue;
let tx: DriverQueue;

beforeEach(() => {
  core.restart();
  expect(core.x.console_add!(SLOT, 80, 24)).toBe(0);
  d = new Driver(core, SLOT);
  [rx, tx] = d.start([8, 8], F.version1 | F.indirect | SIZE) as [DriverQueue, DriverQueue];
});

const send = (text: string) => {
  tx.add([{ gpa: d.buffer(Buffer.from(text)), len: text.length }]);
  tx.kick();
};
const input = (text: string) => core.x.console_input!(SLOT, core.scratch(Buffer.from(text)), text.length);
const inputEvents = () => core.host.events.filter((event) => event.kind === EV_INPUT).length;

describe('emergency write', () => {
  test('5.3.5.1 a write to emerg_wr is allowed on an unconfigured device, and its low byte comes out', () => {
    const c = new Driver(core, SLOT);
    c.write(REG.status, 0);
    for (const byte of [0x1248, 0x69]) c.write(REG.config + 8, byte);
    expect(core.host.consoleText(SLOT)).toBe('Hi');
  });

  test('emergency writes that nobody fetches are bounded', () => {
    core.host.inline = false;
    for (let i = 0; i < 1000; i++) d.write(REG.config + 8, 0x78);
    core.x.device_process!(SLOT, 0xffff);
    expect(core.host.consoleText(SLOT)).toBe('x'.repeat(256));
  });
});

describe('size', () => {
  test('a new size is in the configuration, with a notification', () => {
    expect(core.x.console_resize!(SLOT, 132, 50)).toBe(0);
    expect([d.read(REG.config, 2), d.read(REG.config + 2, 2)]).toEqual([132, 50]);
    expect(d.read(REG.interruptStatus)).toBe(2);
  });

  test('without the feature a new size sends nothing', () => {
    d.start([8, 8], F.version1);
    core.x.console_resize!(SLOT, 132, 50);
    expect(d.read(REG.interruptStatus)).toBe(0);
  });

  test('sizes beyond 16 bits are refused', () => {
    expect(core.x.console_resize!(SLOT, 65536, 1)).toBe(-22);
  });
});

describe('output', () => {
  test('buffers come out in order, with a used length of 0', () => {
    send('one ');
    send('two');
    expect(core.host.consoleText(SLOT)).toBe('one two');
    expect(tx.takeUsed().map(({ len }) => len)).toEqual([0, 0]);
  });

  test('a host that takes nothing stops the queue; drained, nothing is lost or doubled', () => {
    core.host.onConsole = () => 0;
    send('hello ');
    send('world');
    expect(tx.usedIdx).toBe(0);
    core.host.onConsole = undefined;
    expect(core.x.console_drained!(SLOT)).toBe(0);
    expect(core.host.consoleText(SLOT)).toBe('hello world');
    expect(tx.takeUsed()).toHaveLength(2);
  });

  test('a host that takes a few bytes at a time gets each byte once', () => {
    let room = 0;
    core.host.onConsole = (_device, bytes) => {
      const taken = Math.min(room, bytes.length);
      room -= taken;
      return taken;
    };
    tx.add([{ gpa: d.buffer(Buffer.from('abcdef')), len: 6 }, { gpa: d.buffer(Buffer.from('ghijkl')), len: 6 }]);
    tx.kick();
    for (let i = 0; i < 10 && tx.usedIdx === 0; i++) {
      room = 5;
      core.x.console_drained!(SLOT);
    }
    expect(core.host.consoleText(SLOT)).toBe('abcdefghijkl');
    expect(tx.takeUsed()).toHaveLength(1);
  });

  test('a chain of megabytes is given out in bounded steps', () => {
    core.host.inline = false;
    let most = 0;
    core.host.onConsole = (_device, bytes) => {
      most += bytes.length;
      return bytes.length;
    };
    tx.add([
      { gpa: 0, len: core.ramBytes },
      { gpa: 0, len: core.ramBytes },
    ]);
    expect(core.x.device_process!(SLOT, 1)).toBe(1);
    expect(most).toBe(1 << 20);
    let calls = 1;
    while (core.x.device_process!(SLOT, 1) === 1) calls++;
    expect(calls).toBeLessThanOrEqual(9);
    expect(most).toBe(2 * core.ramBytes);
    expect(tx.takeUsed()).toHaveLength(1);
  });

  test('a chain of 4 GiB and more in total does not confuse the count', () => {
    tx.add(Array.from({ length: 8 }, () => ({ gpa: 0, len: core.ramBytes })));
    core.host.onConsole = (_device, bytes) => bytes.length;
    tx.kick();
    expect(tx.takeUsed()).toHaveLength(1);
  });

  test('a reset while output is held starts anew', () => {
    core.host.onConsole = (_device, bytes) => Math.min(2, bytes.length);
    send('abc');
    core.host.onConsole = undefined;
    [rx, tx] = d.start([8, 8]) as [DriverQueue, DriverQueue];
    send('XYZ');
    expect(core.host.consoleText(SLOT)).toBe('abXYZ');
  });
});

describe('input', () => {
  test('input fills the buffers the driver gave', () => {
    const gpa = d.memory.take(64);
    rx.add([{ gpa, len: 64, write: true }]);
    expect(input('hello')).toBe(5);
    expect(rx.takeUsed()).toEqual([{ id: 0, len: 5 }]);
    expect(core.guest(gpa, 5).toString()).toBe('hello');
    expect(d.takeIrqs()).toBe(1);
  });

  test('without room input is refused and asked for when buffers come', () => {
    expect(input('hello')).toBe(0);
    expect(inputEvents()).toBe(0);
    rx.add([{ gpa: d.memory.take(3), len: 3, write: true }]);
    rx.kick();
    expect(inputEvents()).toBe(1);
    expect(input('hello')).toBe(3);
  });

  test('input is spread over several buffers', () => {
    const [a, b] = [d.memory.take(4), d.memory.take(4)];
    rx.add([{ gpa: a, len: 2, write: true }]);
    rx.add([{ gpa: b, len: 4, write: true }]);
    expect(input('abcde')).toBe(5);
    expect(core.guest(a, 2).toString() + core.guest(b, 3).toString()).toBe('abcde');
    expect(d.takeIrqs()).toBe(1);
  });

  test('before DRIVER_OK nothing is taken', () => {
    d.write(REG.status, 0);
    expect(input('x')).toBe(0);
  });

  test('a buffer without writable bytes takes none and ends the call', () => {
    rx.add([{ gpa: 0x1000, len: 16 }]);
    expect(input('x')).toBe(0);
    expect(rx.takeUsed()).toEqual([{ id: 0, len: 0 }]);
  });

  test('input from inside the output call (an echo) arrives', () => {
    rx.add([{ gpa: d.memory.take(16), len: 16, write: true }]);
    core.host.onConsole = (_device, bytes) => {
      input(bytes.toString());
      return bytes.length;
    };
    send('ping');
    expect(rx.takeUsed()).toEqual([{ id: 0, len: 4 }]);
  });

  test('a broken receive ring stops this device only', () => {
    rx.setAvailIdx(100);
    expect(input('x')).toBe(0);
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
  });

  test('slots that are no console are refused', () => {
    expect(core.x.console_input!(5, 0x30_0000, 1)).toBe(-19);
    expect(core.x.console_resize!(5, 1, 1)).toBe(-19);
    expect(core.x.console_drained!(5)).toBe(-19);
  });
});

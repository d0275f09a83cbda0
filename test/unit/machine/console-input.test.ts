/** Input of a console: ConsoleInput keeps it, HostConsole offers it. */
import { beforeEach, expect, test, vi } from 'vitest';
import { ConsoleInput, HostConsole } from '../../../vmm/devices/console.ts';

const MIB = 1 << 20;
const SETTLE_MS = 200;

/** A device that takes what it has room for. */
class Port {
  room = 0;
  taken = Buffer.alloc(0);
  readonly settleMs: number;
  readonly scratch = { bytes: new Uint8Array(4096), offset: 0 };

  constructor(settleMs = 0) {
    this.settleMs = settleMs;
  }

  input(_ptr: number, length: number): number {
    const n = Math.min(length, this.room);
    this.taken = Buffer.concat([this.taken, this.scratch.bytes.subarray(0, n)]);
    this.room -= n;
    return n;
  }

  drained(): void {}
}

const open = (port: Port, input: ConsoleInput): HostConsole => new HostConsole(port, port.scratch, input);
const settled = async (promise: Promise<unknown>): Promise<boolean> => (await Promise.race([promise.then(() => true), new Promise((done) => setImmediate(() => done(false)))])) as boolean;

let input: ConsoleInput;
beforeEach(() => {
  vi.useRealTimers();
  input = new ConsoleInput();
});

test('input from before the console is there is offered when the device can take it', () => {
  void input.write(Buffer.from('early'));
  const port = new Port();
  const console = open(port, input);
  expect(port.taken.toString()).toBe('');
  port.room = 3;
  console.ready();
  expect(port.taken.toString()).toBe('ear');
  port.room = 100;
  console.ready();
  void input.write(Buffer.from(' bird'));
  expect(port.taken.toString()).toBe('early bird');
});

test('what a machine has not taken goes to it after a reset, once', () => {
  const first = new Port();
  const before = open(first, input);
  void input.write(Buffer.from('abcdef'));
  first.room = 2;
  before.ready();
  before.close();
  void input.write(Buffer.from('gh'));
  const second = new Port();
  const after = open(second, input);
  second.room = 100;
  after.ready();
  expect([first.taken.toString(), second.taken.toString()]).toEqual(['ab', 'cdefgh']);
});

test('a writer waits while 1 MiB does, and what comes without waiting is dropped', async () => {
  const port = new Port();
  const console = open(port, input);
  expect(await settled(input.write(new Uint8Array(MIB - 1)))).toBe(true);
  const full = input.write(new Uint8Array(10).fill(1));
  expect(await settled(full)).toBe(false);
  void input.write(new Uint8Array(10).fill(2));
  port.room = 10;
  console.ready();
  expect(await settled(full)).toBe(true);
  port.room = 2 * MIB;
  console.ready();
  expect(port.taken.length).toBe(MIB + 9);
  expect(port.taken.includes(2)).toBe(false);
});

test('the end lets those go who wait, and those who come later', async () => {
  open(new Port(), input);
  const full = input.write(new Uint8Array(MIB));
  expect(await settled(full)).toBe(false);
  input.close();
  expect([await settled(full), await settled(input.write(new Uint8Array(MIB))), await settled(input.write(new Uint8Array(1)))]).toEqual([true, true, true]);
  expect(input.first).toBeUndefined();
});

test('a driver that throws early input away gets none before its first output, or some time after its first buffers', async () => {
  vi.useFakeTimers();
  for (const sign of ['output', 'time'] as const) {
    const kept = new ConsoleInput();
    const port = new Port(SETTLE_MS);
    const console = open(port, kept);
    void kept.write(Buffer.from('x'));
    port.room = 100;
    await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
    expect(port.taken.length, sign).toBe(0);
    console.ready();
    await vi.advanceTimersByTimeAsync(SETTLE_MS - 1);
    expect(port.taken.length, sign).toBe(0);
    if (sign === 'output') console.output(Buffer.from('boot'));
    await vi.advanceTimersByTimeAsync(sign === 'output' ? 0 : 1);
    await vi.runAllTimersAsync();
    expect(port.taken.toString(), sign).toBe('x');
  }
});

test('a console that is closed while its driver settles offers nothing', async () => {
  vi.useFakeTimers();
  const port = new Port(SETTLE_MS);
  const console = open(port, input);
  void input.write(Buffer.from('x'));
  port.room = 100;
  console.ready();
  console.close();
  await vi.runAllTimersAsync();
  expect(port.taken.length).toBe(0);
});

/** A guest CPU that changes rings and registers while the owner works on the queue: another thread over the same memory. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { loadCore } from '../../support/devices/core.ts';
import { Driver, REG, STATUS } from '../../support/devices/driver.ts';

const ROUNDS = 20_000;

/** Writes random values over the rings until told to stop. */
const ATTACKER = `
  const { workerData } = require('node:worker_threads');
  const { memory, from, to, stop } = workerData;
  const words = new Uint32Array(memory.buffer);
  const flag = new Int32Array(stop);
  let x = 0x9e3779b9;
  Atomics.store(flag, 1, 1);
  Atomics.notify(flag, 1);
  while (Atomics.load(flag, 0) === 0) {
    for (let i = 0; i < 1000; i++) {
      x ^= x << 13; x ^= x >>> 17; x ^= x << 5;
      const at = (from >> 2) + ((x >>> 0) % ((to - from) >> 2));
      words[at] = x & 1 ? x : words[at] ^ (1 << (x >>> 27));
    }
  }
`;

test('a thread that scribbles over the rings of three devices: no trap, nothing outside guest memory', async () => {
  const core = loadCore();
  core.host.inline = false;
  core.host.disks = [Buffer.alloc(1 << 20)];
  core.x.blk_add!(4, 0, 2048, 0, 512, 1);
  core.x.console_add!(0, 80, 25);
  core.x.rng_add!(2);
  const drivers = [4, 0, 2].map((slot, i) => {
    const d = new Driver(core, slot);
    d.memory.take(i * 0x2000);
    return d;
  });
  const sizes = [[16], [16, 16], [16]];
  const start = () => {
    for (const [i, d] of drivers.entries()) {
      d.negotiate();
      const at = 0x1_0000 + i * 0x2000;
      for (const [index, size] of sizes[i]!.entries()) {
        d.write(REG.queueSel, index);
        d.write(REG.queueNum, size);
        d.write64(REG.descLow, BigInt(at + index * 0x800));
        d.write64(REG.driverLow, BigInt(at + index * 0x800 + 0x400));
        d.write64(REG.deviceLow, BigInt(at + index * 0x800 + 0x500));
        d.write(REG.queueReady, 1);
      }
      d.ready();
    }
  };
  const stop = new SharedArrayBuffer(8);
  const flag = new Int32Array(stop);
  const worker = new Worker(ATTACKER, { eval: true, workerData: { memory: core.memory, from: RAM_BASE + 0x1_0000, to: RAM_BASE + 0x1_6000, stop } });
  const ended = once(worker, 'exit');
  const running = (Atomics as unknown as { waitAsync: (a: Int32Array, i: number, v: number) => { async: boolean; value: Promise<string> } }).waitAsync(flag, 1, 0);
  if (running.async) await running.value;
  let failures = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      if (round % 4 === 0) start();
      for (const [i, d] of drivers.entries()) {
        for (const index of sizes[i]!.keys()) core.x.device_process!(d.slot, index);
        if ((d.status & STATUS.needsReset) !== 0) failures++;
      }
      core.x.console_input!(0, core.scratch(Buffer.alloc(64)), 64);
      if (round % 100 === 0) check();
    }
  } finally {
    Atomics.store(flag, 0, 1);
    await ended;
  }
  function check(): void {
    expect(core.host.violations).toEqual([]);
    core.host.clear();
  }
  expect(core.canariesIntact()).toBe(true);
  expect(failures).toBeGreaterThan(100); // the attack does reach the devices
});

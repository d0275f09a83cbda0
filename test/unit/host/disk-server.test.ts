/** The host side of virtio-blk (§5.2.6) on real files: system calls that block, and io_uring in the real I/O thread. */
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST_EV_TRACE_ERROR } from '../../../assembly/contract/machine.ts';
import { afterAll, describe, expect, test } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { IoMachine } from '../../support/devices/io-machine.ts';
import type { OpenDisk } from '../../../vmm/devices/disk/open.ts';
import { DiskServer } from '../../../vmm/devices/disk/server.ts';
import { DiskTable } from '../../../vmm/devices/disk/table.ts';
import { openTrace, sharedTrace, traceMask } from '../../../vmm/core/trace.ts';
import { acquireLinearMemory, releaseLinearMemory } from '../../../vmm/host/linear-memory.ts';

const DIST = new URL('../../../dist/', import.meta.url);
const T = { in: 0, out: 1, flush: 4, discard: 11, writeZeroes: 13 };
const SYNC = 0x100;
const OK = 0;
const IOERR = 1;
const MIB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), 'vmm-disk-'));
afterAll(() => rmSync(folder, { recursive: true }));

const tableOf = (target: OpenDisk): DiskTable => {
  const table = new DiskTable();
  table.set(0, target);
  return table;
};
let count = 0;
function disk(size = 4 * MIB, readOnly = false): OpenDisk & { blocks(): number; bytes(): Buffer } {
  const path = join(folder, `disk${count++}`);
  writeFileSync(path, Buffer.alloc(size, 0x61));
  const fd = openSync(path, readOnly ? 'r' : 'r+');
  return { path, readOnly, id: 'x', fd, size, blocks: () => fstatSync(fd).blocks, bytes: () => readFileSync(path) };
}

describe('system calls that block', () => {
  const linear = acquireLinearMemory((RAM_BASE + MIB) / 65536);
  afterAll(() => releaseLinearMemory(linear));
  const words = new Uint32Array(linear.memory.buffer);
  const TABLE = 0x1000;
  const request = (target: OpenDisk, op: number, offset: number, table: readonly (readonly [number, number])[]): number => {
    table.flat().forEach((word, i) => {
      words[TABLE / 4 + i] = word;
    });
    return new DiskServer(linear.memory, MIB, tableOf(target)).request(0, op, offset, TABLE, table.length);
  };

  test('a discard makes a hole: the blocks are gone, the size stays, zeros are read', () => {
    const target = disk();
    const before = target.blocks();
    expect(request(target, T.discard, MIB, [[0, 2 * MIB]])).toBe(0);
    expect(before - target.blocks()).toBeGreaterThanOrEqual((2 * MIB) / 512);
    const bytes = target.bytes();
    expect(bytes.length).toBe(4 * MIB);
    expect([bytes[MIB - 1], bytes[MIB], bytes[3 * MIB - 1], bytes[3 * MIB]]).toEqual([0x61, 0, 0, 0x61]);
    closeSync(target.fd);
  });

  test.each([
    ['with UNMAP a hole', 1, true],
    ['without UNMAP zeros that keep their blocks', 0, false],
  ])('write zeroes: %s', (_name, flags, hole) => {
    const target = disk();
    const before = target.blocks();
    expect(request(target, T.writeZeroes, 4096, [[flags, MIB]])).toBe(0);
    if (hole) expect(before - target.blocks()).toBeGreaterThanOrEqual(MIB / 512);
    else expect(target.blocks()).toBeGreaterThanOrEqual(before);
    expect(target.bytes().equals(Buffer.concat([Buffer.alloc(4096, 0x61), Buffer.alloc(MIB), Buffer.alloc(3 * MIB - 4096, 0x61)]))).toBe(true);
    closeSync(target.fd);
  });

  test('ranges beyond the disk, and writes to a read-only one, are refused', () => {
    const target = disk(MIB);
    for (const op of [T.discard, T.writeZeroes]) expect(request(target, op, MIB - 512, [[0, 1024]])).toBe(-22);
    expect(request(target, T.in, MIB - 512, [[RAM_BASE, 1024]])).toBe(-22);
    expect(request(target, T.in, 0, [[RAM_BASE + MIB - 512, 1024]])).toBe(-22);
    expect(request(target, T.in, 0, [[RAM_BASE - 512, 512]])).toBe(-22);
    closeSync(target.fd);
    const readOnly = disk(MIB, true);
    for (const [op, table] of [[T.out, [[RAM_BASE, 512]]], [T.discard, [[0, 512]]], [T.writeZeroes, [[0, 512]]]] as const) expect(request(readOnly, op, 0, table)).toBe(-30);
    closeSync(readOnly.fd);
  });

  test('a disk that became shorter gives EIO, and what it still has', () => {
    const target = disk(MIB);
    ftruncateSync(target.fd, 8192);
    expect(request(target, T.in, 4096, [[RAM_BASE, 8192]])).toBe(-5);
    expect(request(target, T.in, 4096, [[RAM_BASE, 4096]])).toBe(4096);
    closeSync(target.fd);
  });

  test('where the file system takes no fallocate, zeros are written and discards are forgotten', () => {
    // /dev/full: fallocate gives ENODEV, and a write ENOSPC.
    const fd = openSync('/dev/full', 'r+');
    const target = { path: '/dev/full', readOnly: false, id: 'x', fd, size: MIB };
    expect(request(target, T.discard, 0, [[0, 4096]])).toBe(0);
    expect(request(target, T.writeZeroes, 0, [[0, 4096]])).toBe(-28);
    closeSync(fd);
  });
});

describe.each([['io_uring', false], ['system calls that block', true]])('the I/O thread with %s', (_name, blocking) => {
  /** Submits all, then waits for all of them: status bytes by request. */
  const run = (machine: IoMachine, requests: readonly (readonly [type: number, offset: number, length: number])[]): number[] => {
    const status = new Array<number>(requests.length).fill(-1);
    requests.forEach(([type, offset, length], n) => machine.driver.submit(n, type, offset, length));
    machine.kick();
    for (let left = requests.length; left > 0; ) {
      const taken = machine.driver.take((n, byte) => {
        status[n] = byte;
      });
      left -= taken;
      if (taken === 0) machine.interrupt();
    }
    return status;
  };

  test('32 writes, a flush and 32 reads at once come back with their data', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    for (let n = 0; n < 32; n++) machine.driver.buffer(n).fill(n + 1, 0, 65536);
    expect(run(machine, Array.from({ length: 32 }, (_, n) => [T.out, n * 65536, 65536] as const))).toEqual(new Array(32).fill(OK));
    expect(run(machine, [[T.flush, 0, 0]])).toEqual([OK]);
    const bytes = target.bytes();
    for (let n = 0; n < 32; n++) expect([bytes[n * 65536], bytes[n * 65536 + 65535]]).toEqual([n + 1, n + 1]);
    for (let n = 0; n < 32; n++) machine.driver.buffer(n).fill(0, 0, 65536);
    expect(run(machine, Array.from({ length: 32 }, (_, n) => [T.in, (31 - n) * 65536, 65536] as const))).toEqual(new Array(32).fill(OK));
    for (let n = 0; n < 32; n++) expect(machine.driver.buffer(n)[65535]).toBe(32 - n);
    await machine.stop();
    closeSync(target.fd);
  });

  test('a file that became shorter fails the requests that need the missing part, and no others', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    ftruncateSync(target.fd, 2 * MIB + 4096);
    expect(run(machine, [[T.in, 0, 4096], [T.in, 2 * MIB, 8192], [T.in, 3 * MIB, 4096], [T.flush, 0, 0]])).toEqual([OK, IOERR, IOERR, OK]);
    // Long ones are read from the page cache at first, which has a part only.
    expect(run(machine, [[T.in, 0, 65536], [T.in, 2 * MIB - 57344, 65536], [T.in, 3 * MIB, 65536]])).toEqual([OK, IOERR, IOERR]);
    await machine.stop();
    closeSync(target.fd);
  });

  test('a full disk fails the write', async () => {
    const fd = openSync('/dev/full', 'r+');
    const machine = new IoMachine(DIST, { path: '/dev/full', readOnly: false, id: 'x', fd, size: MIB }, blocking);
    expect(run(machine, [[T.out, 0, 4096]])).toEqual([IOERR]);
    await machine.stop();
    closeSync(fd);
  });

  test('writes what it does into the trace itself, and nothing of it comes as a message', async () => {
    const target = disk();
    const path = join(folder, `trace${blocking}`);
    const trace = { file: openTrace(path), mask: traceMask('virtio,irq') };
    const machine = new IoMachine(DIST, target, blocking, trace);
    expect(run(machine, Array.from({ length: 16 }, (_, n) => [T.in, n * 4096, 4096] as const))).toEqual(new Array(16).fill(OK));
    await machine.stop();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.filter((line) => / io virtio slot=0 queue=0 head=\d+$/.test(line))).toHaveLength(16);
    expect(lines.some((line) => / io irq line=\d+$/.test(line))).toBe(true);
    expect(machine.events).toEqual([]);
    for (const fd of [trace.file.fd, target.fd]) closeSync(fd);
  });

  test('tells once that its trace is lost, and goes on', async () => {
    const target = disk();
    const trace = { file: sharedTrace(openSync('/dev/full', 'w')), mask: traceMask('virtio,irq') };
    const machine = new IoMachine(DIST, target, blocking, trace);
    expect(run(machine, Array.from({ length: 16 }, (_, n) => [T.in, n * 4096, 4096] as const))).toEqual(new Array(16).fill(OK));
    await machine.stop();
    expect(machine.events).toEqual([[HOST_EV_TRACE_ERROR, BigInt(constants.errno.ENOSPC)]]);
    for (const fd of [trace.file.fd, target.fd]) closeSync(fd);
  });

  test.skipIf(blocking)('a driver that is busy is served without notifications, one that was idle asks for them again', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    let kicks = 0;
    for (let i = 0; i < 20_000; i++) {
      machine.driver.submit(0, T.in, (i % 1024) * 4096, 4096);
      if (machine.driver.wantsKick) {
        kicks++;
        machine.kick();
      }
      while (machine.driver.take((_n, status) => expect(status).toBe(OK)) === 0);
    }
    expect(kicks).toBeLessThan(20_000);
    while (!machine.driver.wantsKick) await new Promise((resolve) => setImmediate(resolve));
    expect(run(machine, [[T.in, 0, 4096]])).toEqual([OK]);
    expect(await machine.stop()).toBe(0);
    closeSync(target.fd);
  });

  test('requests from before DRIVER_OK are served, without another notification', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    for (let i = 0; i < 50; i++) {
      machine.driver.start();
      machine.driver.submit(0, T.in, 0, 4096);
      machine.driver.ready();
      while (machine.driver.take((_n, status) => expect(status).toBe(OK)) === 0) machine.interrupt();
    }
    expect(await machine.stop()).toBe(0);
    closeSync(target.fd);
  });

  test('a driver that resets the device while it is busy goes on afterwards', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    for (let i = 0; i < 200; i++) {
      for (let n = 0; n < 32; n++) machine.driver.submit(n, T.in, n * 4096, 4096);
      machine.kick();
      for (let turn = 0; turn < i; turn++) machine.driver.take(() => {});
      machine.driver.start();
      machine.driver.ready();
      expect(run(machine, [[T.in, 0, 4096], [T.in, 4096, 4096]])).toEqual([OK, OK]);
    }
    expect(await machine.stop()).toBe(0);
    closeSync(target.fd);
  });

  test('a request that comes just when the thread gives up looking is not lost', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    const now = (): bigint => process.hrtime.bigint();
    const spin = (ns: number): void => {
      for (const end = now() + BigInt(ns); now() < end; );
    };
    for (let i = 0; i < 4000; i++) {
      // The thread looks for 50 µs; the gaps lie around that.
      spin((i % 200) * 500);
      machine.driver.submit(0, T.in, 0, 4096);
      if (machine.driver.wantsKick) machine.kick();
      const end = now() + 20_000_000_000n;
      while (machine.driver.take((_n, status) => expect(status).toBe(OK)) === 0) expect(now() < end, `request ${i} is lost`).toBe(true);
    }
    expect(await machine.stop()).toBe(0);
    closeSync(target.fd);
  });

  test('the end waits for requests in flight: nothing is written to the memory afterwards', async () => {
    const target = disk();
    for (let round = 0; round < 5; round++) {
      const machine = new IoMachine(DIST, target, blocking);
      for (let n = 0; n < 32; n++) machine.driver.submit(n, T.in, n * 65536, 65536);
      machine.kick();
      machine.interrupt();
      expect(await machine.stop()).toBe(0);
    }
    closeSync(target.fd);
  });

  test('a quiesced device ends what it has taken, and takes nothing more', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    for (let n = 0; n < 16; n++) machine.driver.submit(n, T.in, n * 65536, 65536);
    machine.kick();
    while (machine.core.device_quiesce(0) > 0) await new Promise((resolve) => setImmediate(resolve));
    const before = machine.driver.take((_n, status) => expect(status).toBe(OK));
    for (let n = 16; n < 32; n++) machine.driver.submit(n, T.in, n * 65536, 65536);
    machine.kick();
    machine.kick();
    expect(machine.core.device_quiesce(0)).toBe(0);
    expect(machine.driver.take(() => {})).toBe(0);
    expect(before).toBeLessThanOrEqual(16);
    expect(await machine.stop()).toBe(0);
    closeSync(target.fd);
  });

  test('held, its thread stands with nothing in flight; what comes meanwhile waits, and is worked on afterwards without another word', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    let taken = 0;
    const take = (): void => {
      taken += machine.driver.take((_n, status) => expect(status).toBe(OK));
    };
    for (let round = 1; round <= 20; round++) {
      for (let n = 0; n < 8; n++) machine.driver.submit(n, T.in, n * 65536, 65536);
      machine.kick();
      await machine.hold(round);
      expect(machine.core.device_quiesce(0)).toBe(0);
      take();
      const before = taken;
      for (let n = 8; n < 16; n++) machine.driver.submit(n, T.in, n * 65536, 65536);
      machine.kick();
      take();
      expect(taken).toBe(before);
      machine.goOn();
      while (taken < 16 * round) {
        machine.interrupt();
        take();
      }
    }
    expect(await machine.stop()).toBe(0);
    closeSync(target.fd);
  });

  test('one that is held can be ended, and then stands for good', async () => {
    const target = disk();
    const machine = new IoMachine(DIST, target, blocking);
    await machine.hold(1);
    expect(await machine.stop()).toBe(0);
    await machine.over();
    closeSync(target.fd);
  });
});

test('a write that must be stable (RWF_DSYNC) arrives', () => {
  const linear = acquireLinearMemory((RAM_BASE + MIB) / 65536);
  const target = disk(MIB);
  new Uint8Array(linear.memory.buffer).fill(0x7a, RAM_BASE, RAM_BASE + 512);
  new Uint32Array(linear.memory.buffer).set([RAM_BASE, 512], 0x1000 / 4);
  expect(new DiskServer(linear.memory, MIB, tableOf(target)).request(0, T.out | SYNC, 512, 0x1000, 1)).toBe(512);
  const got = Buffer.alloc(1);
  readSync(target.fd, got, 0, 1, 1023);
  expect(got[0]).toBe(0x7a);
  closeSync(target.fd);
  releaseLinearMemory(linear);
});

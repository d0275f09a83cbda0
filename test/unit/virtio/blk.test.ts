/** virtio 1.2, §5.2: block device. */
import { beforeEach, describe, expect, test } from 'vitest';
import { HOST_PENDING, loadCore } from '../../support/devices/core.ts';
import { Driver, type DriverQueue, F, REG, STATUS } from '../../support/devices/driver.ts';

const core = loadCore();
const SLOT = 4;
const DISK = 0;
const T = { in: 0, out: 1, flush: 4, getId: 8, getLifetime: 10, discard: 11, writeZeroes: 13 };
const BF = { ro: 1n << 5n, flush: 1n << 9n, wce: 1n << 11n, mq: 1n << 12n, discard: 1n << 13n, writeZeroes: 1n << 14n };
const SYNC = 0x100;
const FLAG = { readOnly: 1, discard: 2 };
const SECTORS = 2048;
let d: Driver;
let q: DriverQueue;

function start(options: { flags?: number; features?: bigint; queues?: number; size?: number } = {}): void {
  core.restart();
  core.host.disks = [Buffer.from(Array.from({ length: SECTORS * 512 }, (_, i) => (i >> 9) & 0xff))];
  expect(core.x.blk_add!(SLOT, DISK, SECTORS, options.flags ?? FLAG.discard, 512, options.queues ?? 1)).toBe(0);
  d = new Driver(core, SLOT);
  q = d.start(Array(options.queues ?? 1).fill(options.size ?? 64), options.features)[0]!;
}

beforeEach(() => start());

interface Request {
  data: number;
  status: number;
  id: number;
}

/** Adds a request; `data` readable (bytes) or writable (a length). */
function add(type: number, sector: number | bigint, data: Buffer | number, queue = q, publish = true): Request {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(type, 0);
  head.writeBigUInt64LE(BigInt(sector), 8);
  const headGpa = d.buffer(head);
  const status = d.buffer(Buffer.from([0xff]));
  const pieces = [{ gpa: headGpa, len: 16, write: false }];
  let dataGpa = 0;
  if (typeof data === 'number') {
    if (data > 0) {
      dataGpa = d.buffer(Buffer.alloc(data, 0xcc));
      pieces.push({ gpa: dataGpa, len: data, write: true });
    }
  } else if (data.length > 0) {
    dataGpa = d.buffer(data);
    pieces.push({ gpa: dataGpa, len: data.length, write: false });
  }
  pieces.push({ gpa: status, len: 1, write: true });
  return { data: dataGpa, status, id: queue.add(pieces, { publish }) };
}

const statusOf = (request: Request) => core.guest(request.status, 1)[0];

function submit(type: number, sector: number | bigint, data: Buffer | number): Request & { result: number; len: number } {
  const request = add(type, sector, data);
  q.kick();
  const used = q.takeUsed();
  expect(used.map(({ id }) => id)).toEqual([request.id]);
  return { ...request, result: statusOf(request)!, len: used[0]!.len };
}

function segment(sector: number | bigint, sectors: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(BigInt(sector), 0);
  bytes.writeUInt32LE(sectors, 8);
  bytes.writeUInt32LE(flags, 12);
  return bytes;
}

describe('configuration', () => {
  test('capacity, limits, topology', () => {
    expect(d.read64(REG.config)).toBe(BigInt(SECTORS));
    expect(d.read(REG.config + 8)).toBe(1 << 20);
    expect(d.read(REG.config + 12)).toBe(126);
    expect(d.read(REG.config + 20)).toBe(512);
    expect(d.read(REG.config + 24, 1)).toBe(3);
    expect(d.read(REG.config + 26, 2)).toBe(8);
  });

  test('5.2.5.2 FLUSH is offered where CONFIG_WCE is', () => {
    expect(d.offered() & (BF.flush | BF.wce)).toBe(BF.flush | BF.wce);
    start({ flags: FLAG.readOnly });
    expect(d.offered() & (BF.flush | BF.wce | BF.ro)).toBe(BF.ro);
  });

  test('5.2.5.2 writeback starts as 0 when CONFIG_WCE is negotiated and FLUSH is not', () => {
    start({ features: F.version1 | BF.wce });
    expect(d.read(REG.config + 32, 1)).toBe(0);
    start({ features: F.version1 | BF.wce | BF.flush });
    expect(d.read(REG.config + 32, 1)).toBe(1);
  });

  test('5.2.5.2 padding reads 0', () => {
    expect(d.read(REG.config + 33, 1)).toBe(0);
    expect([57, 58, 59].map((at) => d.read(REG.config + at, 1))).toEqual([0, 0, 0]);
  });

  test('num_queues and as many queues', () => {
    start({ queues: 4 });
    expect(d.offered() & BF.mq).toBe(BF.mq);
    expect(d.read(REG.config + 34, 2)).toBe(4);
    const most = (queue: number) => {
      d.write(REG.queueSel, queue);
      return d.read(REG.queueNumMax);
    };
    expect([3, 4].map(most)).toEqual([256, 0]);
  });

  test('a new capacity is announced by a configuration change', () => {
    d.takeIrqs();
    expect(core.x.blk_set_capacity!(SLOT, 4096)).toBe(0);
    expect(d.read64(REG.config)).toBe(4096n);
    expect(d.read(REG.interruptStatus)).toBe(2);
    expect(d.takeIrqs()).toBe(1);
  });

  test('bad arguments are refused', () => {
    core.restart();
    expect(core.x.blk_add!(SLOT, 0, -1, 0, 512, 1)).toBe(-22);
    expect(core.x.blk_add!(SLOT, 0, Number.NaN, 0, 512, 1)).toBe(-22);
    expect(core.x.blk_add!(SLOT, 0, 1, 0, 513, 1)).toBe(-22);
    expect(core.x.blk_add!(SLOT, 0, 1, 0, 8192, 1)).toBe(-22);
    expect(core.x.blk_add!(SLOT, 0, 1, 0, 512, 9)).toBe(-22);
    expect(core.x.blk_set_capacity!(SLOT, 1)).toBe(-19);
    expect(core.x.blk_complete!(SLOT, 0, 0)).toBe(-19);
  });
});

describe('read and write', () => {
  test('IN reads whole sectors from its sector', () => {
    const { result, len, data } = submit(T.in, 7, 1024);
    expect([result, len]).toEqual([0, 1025]);
    expect(core.guest(data, 1024)).toEqual(Buffer.concat([Buffer.alloc(512, 7), Buffer.alloc(512, 8)]));
  });

  test('OUT writes whole sectors; len is the status byte alone', () => {
    const { result, len } = submit(T.out, 3, Buffer.alloc(512, 0xab));
    expect([result, len]).toEqual([0, 1]);
    expect(core.host.disks[0]!.subarray(3 * 512, 4 * 512)).toEqual(Buffer.alloc(512, 0xab));
  });

  test.each([
    [T.in, SECTORS, 512],
    [T.in, SECTORS - 1, 1024],
    [T.in, 0xffff_ffff_ffff_ffffn, 512],
    [T.in, 0x0080_0000_0000_0000n, 512],
    [T.in, 0, 511],
    [T.in, 0, 513],
  ])('IN (type %i) at sector %s of %i bytes fails, and leaves zeros', (type, sector, length) => {
    const { result, data, len } = submit(type, sector, length);
    expect([result, len]).toEqual([1, length + 1]);
    expect(core.guest(data, length)).toEqual(Buffer.alloc(length));
    expect(core.host.blkCalls).toEqual([]);
  });

  test.each([
    [SECTORS, 512],
    [SECTORS - 1, 1024],
    [0xffff_ffff_ffff_ffffn, 512],
    [0, 100],
  ])('OUT at sector %s of %i bytes fails and writes nothing', (sector, length) => {
    const { result, len } = submit(T.out, sector, Buffer.alloc(length, 1));
    expect([result, len]).toEqual([1, 1]);
    expect(core.host.blkCalls).toEqual([]);
  });

  test('the last sector is inside', () => {
    expect(submit(T.in, SECTORS - 1, 512).result).toBe(0);
  });

  test('requests without data succeed', () => {
    expect(submit(T.in, 0, 0).result).toBe(0);
    expect(submit(T.out, 0, Buffer.alloc(0)).result).toBe(0);
    expect(core.host.blkCalls).toEqual([]);
  });

  test('a request shorter than its header fails', () => {
    const head = d.buffer(Buffer.alloc(15));
    const status = d.buffer(Buffer.from([0xff]));
    q.add([{ gpa: head, len: 15 }, { gpa: status, len: 1, write: true }]);
    q.kick();
    expect(q.takeUsed()).toHaveLength(1);
    expect(core.guest(status, 1)[0]).toBe(1);
  });

  test('a request without a status byte needs a reset', () => {
    q.add([{ gpa: d.buffer(Buffer.alloc(16)), len: 16 }]);
    q.kick();
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(q.usedIdx).toBe(0);
    expect(core.x.device_inflight!(SLOT)).toBe(0);
  });

  test('126 pieces pass, 129 fail', () => {
    for (const [pieces, result] of [
      [126, 0],
      [129, 1],
    ] as const) {
      start({ size: 256 });
      const head = d.buffer(Buffer.alloc(16));
      const data = d.memory.take(pieces * 1024);
      const status = d.buffer(Buffer.from([0xff]));
      const parts = Array.from({ length: pieces }, (_, i) => ({ gpa: data + i * 1024, len: 512, write: true }));
      q.add([{ gpa: head, len: 16 }, ...parts, { gpa: status, len: 1, write: true }]);
      q.kick();
      expect(q.takeUsed()).toHaveLength(1);
      expect(core.guest(status, 1)[0]).toBe(result);
    }
  });

  test('more than 128 MiB in one request fails without a call', () => {
    const head = d.buffer(Buffer.alloc(16));
    const status = d.buffer(Buffer.from([0xff]));
    const parts = Array.from({ length: 40 }, (_, i) => ({ gpa: i % 2 === 0 ? 0 : 512, len: core.ramBytes - 512, write: false }));
    q.add([{ gpa: head, len: 16 }, ...parts, { gpa: status, len: 1, write: true }]);
    const type = Buffer.alloc(4);
    type.writeUInt32LE(T.out);
    d.put(head, type);
    q.kick();
    expect(core.guest(status, 1)[0]).toBe(1);
    expect(core.host.blkCalls).toEqual([]);
  });

  test('neighbouring pieces become one for the host', () => {
    const head = d.buffer(Buffer.alloc(16));
    const data = d.memory.take(4096, 4096);
    const status = d.buffer(Buffer.from([0xff]));
    const parts = [0, 1, 2, 3].map((i) => ({ gpa: data + i * 1024, len: 1024, write: true }));
    q.add([{ gpa: head, len: 16 }, ...parts, { gpa: status, len: 1, write: true }]);
    q.kick();
    expect(core.host.blkCalls[0]!.iov.map(({ len }) => len)).toEqual([4096]);
  });
});

describe('other requests', () => {
  test('GET_ID gives the 20 bytes of the ID, padded with zeros', () => {
    core.x.blk_id!(SLOT, core.scratch(Buffer.from('root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0')));
    const { result, len, data } = submit(T.getId, 0, 20);
    expect([result, len]).toEqual([0, 21]);
    expect(core.guest(data, 20).toString()).toBe(`root${'\0'.repeat(16)}`);
    expect(core.guest(submit(T.getId, 0, 8).data, 8).toString()).toBe('root\0\0\0\0');
    expect(core.guest(submit(T.getId, 0, 32).data, 32).toString()).toBe(`root${'\0'.repeat(28)}`);
  });

  test('FLUSH asks the host and takes its answer', () => {
    expect(submit(T.flush, 0, 0).result).toBe(0);
    expect(core.host.blkCalls.map(({ op, iov }) => [op, iov])).toEqual([[T.flush, []]]);
    core.host.onBlk = () => -5;
    expect(submit(T.flush, 0, 0).result).toBe(1);
  });

  test('5.2.6.2 a write to a read-only device fails with IOERR and writes nothing', () => {
    start({ flags: FLAG.readOnly });
    const before = Buffer.from(core.host.disks[0]!);
    expect(submit(T.out, 0, Buffer.alloc(512, 9)).result).toBe(1);
    expect(core.host.blkCalls).toEqual([]);
    expect(core.host.disks[0]!.equals(before)).toBe(true);
    start({ flags: FLAG.readOnly, features: F.version1 });
    expect(submit(T.out, 0, Buffer.alloc(512, 9)).result).toBe(1);
    expect(core.host.blkCalls).toEqual([]);
  });

  test('5.2.6.2 unknown flags of discard and write zeroes are UNSUPP', () => {
    for (const type of [T.discard, T.writeZeroes]) {
      for (const flags of [2, 3, 0x8000_0000]) expect(submit(type, 0, segment(0, 8, flags)).result).toBe(2);
    }
    expect(core.host.blkCalls).toEqual([]);
  });

  test('5.2.6.2 the unmap flag of a discard is UNSUPP', () => {
    expect(submit(T.discard, 0, segment(0, 8, 1)).result).toBe(2);
  });

  test('5.2.6.2 after write zeroes the range reads zeros, with and without unmap', () => {
    for (const [sector, flags] of [
      [10, 0],
      [20, 1],
    ] as const) {
      expect(submit(T.writeZeroes, 0, segment(sector, 4, flags)).result).toBe(0);
      expect(core.guest(submit(T.in, sector, 2048).data, 2048)).toEqual(Buffer.alloc(2048));
      expect(core.guest(submit(T.in, sector + 4, 512).data, 512)).toEqual(Buffer.alloc(512, sector + 4));
    }
    expect(core.host.blkCalls.filter(({ op }) => op === T.writeZeroes).map(({ offset, iov }) => [offset, iov])).toEqual([
      [5120, [{ ptr: 0, len: 2048 }]],
      [10240, [{ ptr: 1, len: 2048 }]],
    ]);
  });

  test('discard goes to the host with its range', () => {
    expect(submit(T.discard, 0, segment(16, 8)).result).toBe(0);
    expect(core.host.blkCalls.map(({ op, offset, iov }) => [op, offset, iov])).toEqual([[T.discard, 8192, [{ ptr: 0, len: 4096 }]]]);
  });

  test.each([
    ['a range behind the end', segment(SECTORS - 1, 2)],
    ['a range that wraps', segment(0xffff_ffff_ffff_ffffn, 1)],
    ['more sectors than offered', segment(0, 0x40_0000)],
    ['two segments where one is offered', Buffer.concat([segment(0, 1), segment(2, 1)])],
    ['half a segment', Buffer.alloc(8)],
  ])('discard with %s fails', (_name, data) => {
    expect(submit(T.discard, 0, data).result).toBe(1);
    expect(core.host.blkCalls).toEqual([]);
  });

  test('discard that was not negotiated is UNSUPP', () => {
    start({ features: F.version1 | BF.writeZeroes });
    expect(submit(T.discard, 0, segment(0, 8)).result).toBe(2);
  });

  test('5.2.6.2 zone requests are UNSUPP as long as ZONED is not negotiated, like each unknown type', () => {
    for (const type of [15, 16, 18, 20, 22, 24, 26, T.getLifetime, 2, 3, 14, 99, 0xffff_ffff]) {
      const { result, len } = submit(type, 0, 512);
      expect([type, result, len]).toEqual([type, 2, 1]);
    }
  });

  test('5.2.6.2 without FLUSH and CONFIG_WCE each write is stable before it completes', () => {
    start({ features: F.version1 });
    submit(T.out, 0, Buffer.alloc(512));
    expect(core.host.blkCalls[0]!.op).toBe(T.out | SYNC);
  });

  test('5.2.6.2 with writeback 0 each write is stable before it completes, with 1 it is not', () => {
    submit(T.out, 0, Buffer.alloc(512));
    d.write(REG.config + 32, 0, 1);
    submit(T.out, 0, Buffer.alloc(512));
    d.write(REG.config + 32, 1, 1);
    submit(T.out, 0, Buffer.alloc(512));
    expect(core.host.blkCalls.map(({ op }) => op)).toEqual([T.out, T.out | SYNC, T.out]);
  });

  test('5.2.6.2 a flush completes only when the host has committed', () => {
    core.host.onBlk = () => HOST_PENDING;
    const request = add(T.flush, 0, 0);
    q.kick();
    expect(q.usedIdx).toBe(0);
    core.x.blk_complete!(SLOT, core.host.blkCalls[0]!.tag, 0);
    expect(q.takeUsed()).toHaveLength(1);
    expect(statusOf(request)).toBe(0);
  });

  test('host errors: EOPNOTSUPP is UNSUPP, others and short transfers are IOERR', () => {
    for (const [answer, result] of [
      [-95, 2],
      [-5, 1],
      [-28, 1],
      [0, 1],
      [511, 1],
      [512, 0],
    ]) {
      core.host.onBlk = () => answer!;
      expect([answer, submit(T.out, 0, Buffer.alloc(512)).result]).toEqual([answer, result]);
    }
  });
});

describe('requests in flight', () => {
  const tags = () => core.host.blkCalls.map(({ tag }) => tag);

  beforeEach(() => {
    core.host.onBlk = () => HOST_PENDING;
  });

  test('completions come in any order', () => {
    const requests = [1, 2, 3].map((sector) => add(T.in, sector, 512));
    q.kick();
    expect(core.x.device_inflight!(SLOT)).toBe(3);
    for (const i of [2, 0, 1]) core.x.blk_complete!(SLOT, tags()[i]!, 512);
    expect(q.takeUsed().map(({ id }) => id)).toEqual([requests[2]!.id, requests[0]!.id, requests[1]!.id]);
    expect(core.x.device_inflight!(SLOT)).toBe(0);
  });

  test('many completions cost one interrupt', () => {
    for (let i = 0; i < 10; i++) add(T.in, i, 512);
    q.kick();
    const table = Buffer.alloc(80);
    for (const [i, tag] of tags().entries()) {
      table.writeUInt32LE(tag, i * 8);
      table.writeInt32LE(512, i * 8 + 4);
    }
    expect(core.x.blk_complete_many!(SLOT, core.scratch(table), 10)).toBe(0);
    expect(q.takeUsed()).toHaveLength(10);
    expect(d.takeIrqs()).toBe(1);
  });

  test('a tag that is not in flight is refused', () => {
    add(T.in, 0, 512);
    q.kick();
    expect(core.x.blk_complete!(SLOT, tags()[0]! + 1, 512)).toBe(-22);
    expect(core.x.blk_complete!(SLOT, 0xffff_ffff, 512)).toBe(-22);
    expect(core.x.blk_complete!(SLOT, tags()[0]!, 512)).toBe(0);
    expect(core.x.blk_complete!(SLOT, tags()[0]!, 512)).toBe(-22);
  });

  test('a reset makes orphans: nothing is written to the rings, the tags come back', () => {
    const { data } = add(T.in, 0, 512);
    q.kick();
    d.write(REG.status, 0);
    expect(d.status).not.toBe(0); // the host may still write the buffer
    [q] = d.start([64]) as [DriverQueue];
    core.takeDirty(data);
    core.x.blk_complete!(SLOT, tags()[0]!, 512);
    expect(core.takeDirty(data)).toBe(true);
    expect(q.usedIdx).toBe(0);
    expect(core.x.device_inflight!(SLOT)).toBe(0);
    core.host.onBlk = undefined;
    expect(submit(T.in, 1, 512).result).toBe(0);
  });

  test('the status after a reset reads 0 when the last request is over', () => {
    add(T.in, 0, 512);
    q.kick();
    d.write(REG.status, 0);
    expect(d.status).toBe(15);
    d.write(REG.status, 0);
    expect(d.status).toBe(15);
    core.x.blk_complete!(SLOT, tags()[0]!, 512);
    expect(d.status).toBe(0);
  });

  test('a queue that was stopped and started again gets no element of before', () => {
    add(T.in, 0, 512);
    q.kick();
    d.write(REG.queueSel, 0);
    d.write(REG.queueReady, 0);
    q.clear();
    expect(q.enable()).toBe(1);
    core.x.blk_complete!(SLOT, tags()[0]!, 512);
    expect(q.usedIdx).toBe(0);
  });

  test('256 requests in flight: the next waits for a tag and is taken at a completion', () => {
    start({ queues: 4, size: 256, features: F.version1 | F.indirect | BF.mq });
    core.host.onBlk = () => HOST_PENDING;
    const head = d.buffer(Buffer.alloc(16));
    const data = d.memory.take(513);
    for (let i = 0; i < 300; i++) {
      d.queues[i % 4]!.add([{ gpa: head, len: 16 }, { gpa: data, len: 513, write: true }], { indirect: true });
    }
    for (const queue of d.queues) queue.kick();
    expect(core.host.blkCalls).toHaveLength(256);
    for (let i = 0; i < 300; i++) core.x.blk_complete!(SLOT, core.host.blkCalls[i]!.tag, 512);
    expect(core.host.blkCalls).toHaveLength(300);
    expect(d.queues.map((queue) => queue.takeUsed().length)).toEqual([75, 75, 75, 75]);
  });

  test('quiesce: no new request is taken, those in flight are counted until they are over', () => {
    add(T.in, 0, 512);
    q.kick();
    expect(core.x.device_quiesce!(SLOT)).toBe(1);
    add(T.in, 1, 512);
    q.kick();
    expect(core.host.blkCalls).toHaveLength(1);
    core.x.blk_complete!(SLOT, tags()[0]!, 512);
    expect(core.x.device_inflight!(SLOT)).toBe(0);
    core.x.device_resume!(SLOT);
    core.x.device_poll!(SLOT);
    expect(core.host.blkCalls).toHaveLength(2);
  });

  test('an owner that polls asks for no notifications, sees what waits, and asks again when it stops', () => {
    core.x.device_polled!(SLOT, 1);
    expect(core.x.device_waiting!(SLOT)).toBe(0);
    add(T.in, 0, 512);
    expect(core.x.device_waiting!(SLOT)).toBe(1);
    const asked = q.availEvent;
    core.x.device_process!(SLOT, 0);
    expect(core.x.device_waiting!(SLOT)).toBe(0);
    expect({ taken: core.host.blkCalls.length, asked: q.availEvent }).toEqual({ taken: 1, asked });
    core.x.device_polled!(SLOT, 0);
    core.x.device_process!(SLOT, 0);
    expect(q.availEvent).toBe((asked + 1) & 0xffff);
    for (const call of ['device_polled', 'device_waiting']) expect([0, -19]).toContain(core.x[call]!(7, 1));
  });

  test('a queue that is disabled does not wait for its owner, whatever its ring holds', () => {
    core.x.device_polled!(SLOT, 1);
    add(T.in, 0, 512);
    expect(core.x.device_waiting!(SLOT)).toBe(1);
    d.write(REG.queueSel, 0);
    d.write(REG.queueReady, 0);
    core.x.device_process!(SLOT, 0);
    expect(core.x.device_waiting!(SLOT)).toBe(0);
  });

  test('a queue whose requests are all in flight does not wait for its owner', () => {
    start({ queues: 2, size: 256, features: F.version1 | F.indirect | BF.mq });
    core.host.onBlk = () => HOST_PENDING;
    core.x.device_polled!(SLOT, 1);
    const head = d.buffer(Buffer.alloc(16));
    const status = d.buffer(Buffer.from([0xff]));
    const fill = (queue: number): void => {
      for (let i = 0; i < 150; i++) d.queues[queue]!.add([{ gpa: head, len: 16 }, { gpa: 0x20_0000, len: 512, write: true }, { gpa: status, len: 1, write: true }], { indirect: true });
      core.x.device_process!(SLOT, queue);
    };
    fill(0);
    fill(1);
    expect(core.host.blkCalls).toHaveLength(256);
    expect(core.x.device_waiting!(SLOT)).toBe(0);
    core.x.device_quiesce!(SLOT);
    core.x.blk_complete!(SLOT, core.host.blkCalls[0]!.tag, 512);
    expect(core.x.device_waiting!(SLOT)).toBe(0);
    core.x.device_resume!(SLOT);
    core.x.device_poll!(SLOT);
    for (let i = 1; i < 300; i++) core.x.blk_complete!(SLOT, core.host.blkCalls[i]!.tag, 512);
    expect(core.x.device_inflight!(SLOT)).toBe(0);
  });

  test('work of one call is bounded: a queue filled with 2 MiB reads is left after 64 MiB', () => {
    core.host.inline = false;
    core.host.onBlk = (call) => call.iov.reduce((sum, { len }) => sum + len, 0);
    core.x.blk_set_capacity!(SLOT, 1 << 20);
    const head = d.buffer(Buffer.alloc(16));
    const status = d.buffer(Buffer.from([0xff]));
    for (let i = 0; i < 40; i++) q.add([{ gpa: head, len: 16 }, { gpa: 0x20_0000, len: 0x1f_fe00, write: true }, { gpa: status, len: 1, write: true }], { indirect: true });
    expect(core.x.device_process!(SLOT, 0)).toBe(1);
    expect(q.takeUsed().length).toBeLessThan(40);
    expect(core.x.device_process!(SLOT, 0)).toBe(0);
    expect(q.takeUsed().length).toBeGreaterThan(0);
  });
});

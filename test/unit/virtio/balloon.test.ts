/** virtio 1.2, §5.5: memory balloon. */
import { beforeEach, describe, expect, test } from 'vitest';
import { loadCore } from '../../support/devices/core.ts';
import { Driver, type DriverQueue, F, REG } from '../../support/devices/driver.ts';

const core = loadCore();
const SLOT = 3;
const BF = { mustTellHost: 1, stats: 2, deflateOnOom: 4, poison: 16, reporting: 32 };
const ALL = BF.mustTellHost | BF.stats | BF.deflateOnOom | BF.reporting;
let d: Driver;
let queues: DriverQueue[];

function start(offered = ALL, features?: bigint, count = 4): void {
  core.restart();
  expect(core.x.balloon_add!(SLOT, offered)).toBe(0);
  d = new Driver(core, SLOT);
  queues = d.start(Array(count).fill(16), features);
}

beforeEach(() => start());

const pfns = (...numbers: number[]) => Buffer.from(new Uint32Array(numbers).buffer);

function give(queue: number, bytes: Buffer): void {
  queues[queue]!.add([{ gpa: d.buffer(bytes), len: bytes.length }]);
  queues[queue]!.kick();
}

function stats(...entries: [number, bigint][]): Buffer {
  return Buffer.concat(
    entries.map(([tag, value]) => {
      const bytes = Buffer.alloc(10);
      bytes.writeUInt16LE(tag);
      bytes.writeBigUInt64LE(value, 2);
      return bytes;
    }),
  );
}

describe('inflate and deflate', () => {
  test('a new target is in num_pages, with a notification', () => {
    core.x.balloon_set!(SLOT, 1234);
    expect(d.read(REG.config)).toBe(1234);
    expect(d.read(REG.interruptStatus)).toBe(2);
  });

  test('actual is the driver’s to write', () => {
    d.write(REG.config + 4, 77);
    expect(core.x.balloon_actual!(SLOT)).toBe(77);
    d.write(REG.config, 5);
    expect(d.read(REG.config)).toBe(0);
  });

  test('pages go to the host, neighbours together, in both directions', () => {
    give(0, pfns(100, 101, 102, 300, 299, 298, 500));
    expect(core.host.discards).toEqual([
      { gpa: 100 << 12, len: 3 << 12 },
      { gpa: 298 << 12, len: 3 << 12 },
      { gpa: 500 << 12, len: 1 << 12 },
    ]);
    expect(queues[0]!.takeUsed()).toEqual([{ id: 0, len: 0 }]);
  });

  test('pages that go are marked as written', () => {
    core.takeDirty(0x20_0000);
    give(0, pfns(0x200));
    expect(core.takeDirty(0x20_0000)).toBe(true);
  });

  test('pages outside memory are not the host’s to touch', () => {
    give(0, pfns(core.ramBytes >> 12, 0xffff_ffff, 0xf_ffff, 0));
    expect(core.host.discards).toEqual([{ gpa: 0, len: 4096 }]);
    expect(core.host.violations).toEqual([]);
  });

  test('5.5.6.2 a page is not changed before its number is in an inflate request', () => {
    d.put(0x20_0000, Buffer.from('keep'));
    give(0, pfns(0x201));
    expect(core.guest(0x20_0000, 4).toString()).toBe('keep');
  });

  test('5.5.6.2 with MUST_TELL_HOST a deflate request is acknowledged and changes no page', () => {
    give(0, pfns(0x200));
    d.put(0x20_0000, Buffer.from('mine'));
    give(1, pfns(0x200));
    expect(queues[1]!.takeUsed()).toHaveLength(1);
    expect(core.guest(0x20_0000, 4).toString()).toBe('mine');
    expect(core.host.discards).toHaveLength(1);
  });

  test('a request of a million page numbers is bounded', () => {
    queues[0]!.add([{ gpa: 0, len: core.ramBytes }]);
    queues[0]!.kick();
    expect(queues[0]!.takeUsed()).toHaveLength(1);
    expect(core.host.discards.length).toBeLessThanOrEqual(4096);
  });

  test('unknown features are refused', () => {
    core.restart();
    expect(core.x.balloon_add!(SLOT, 8)).toBe(-22);
  });
});

describe('statistics', () => {
  test('5.5.6.3.2 entries are accepted in any order', () => {
    give(2, stats([5, 1000n], [0, 7n], [4, 300n]));
    expect([0, 4, 5, 6].map((tag) => core.x.balloon_stat!(SLOT, tag))).toEqual([7, 300, 1000, -1]);
    expect(core.x.balloon_stats_count!(SLOT)).toBe(1);
  });

  test('5.5.6.3.2 tags that are not known are ignored', () => {
    give(2, stats([999, 1n], [0xffff, 2n], [4, 300n], [17, 3n]));
    expect(core.x.balloon_stat!(SLOT, 4)).toBe(300);
    expect(core.x.balloon_stat!(SLOT, 999)).toBe(-1);
  });

  test('the buffer is kept and given back when new figures are wanted', () => {
    give(2, stats());
    expect(queues[2]!.usedIdx).toBe(0);
    expect(core.x.balloon_stats_request!(SLOT)).toBe(0);
    expect(queues[2]!.takeUsed()).toEqual([{ id: 0, len: 0 }]);
    expect(core.x.balloon_stats_request!(SLOT)).toBe(-22);
    give(2, stats([4, 9n]));
    expect(core.x.balloon_stat!(SLOT, 4)).toBe(9);
  });

  test('a second buffer frees the first', () => {
    give(2, stats([4, 1n]));
    give(2, stats([4, 2n]));
    expect(queues[2]!.takeUsed()).toHaveLength(1);
  });

  test('a reset forgets the buffer', () => {
    give(2, stats());
    d.write(REG.status, 0);
    expect(core.x.balloon_stats_request!(SLOT)).toBe(-22);
    d.start(Array(4).fill(16));
    expect(core.x.balloon_stats_request!(SLOT)).toBe(-22);
  });
});

describe('free-page reporting', () => {
  const report = (queue: number, ...pieces: [number, number][]) => {
    queues[queue]!.add(pieces.map(([gpa, len]) => ({ gpa, len, write: true })));
    queues[queue]!.kick();
  };

  test('5.5.6.7.2 reported ranges go to the host and are acknowledged', () => {
    report(3, [0x20_0000, 0x8_0000], [0x30_0000, 0x1000]);
    expect(core.host.discards).toEqual([
      { gpa: 0x20_0000, len: 0x8_0000 },
      { gpa: 0x30_0000, len: 0x1000 },
    ]);
    expect(queues[3]!.takeUsed()).toHaveLength(1);
    expect(core.x.balloon_reported!(SLOT)).toBe(0x8_1000);
  });

  test('5.5.6.7.2 PAGE_POISON is not offered, so no reported page has a value to keep', () => {
    expect(d.offered() & BigInt(BF.poison)).toBe(0n);
  });

  test('only whole pages are given back', () => {
    report(3, [0x20_0800, 0x1800], [0x30_0001, 0xffe]);
    expect(core.host.discards).toEqual([{ gpa: 0x20_1000, len: 0x1000 }]);
  });

  test('the queue has number 4 by the text, and the next free one for drivers that number without gaps', () => {
    start(ALL, undefined, 5);
    report(4, [0x20_0000, 0x1000]);
    expect(core.host.discards).toHaveLength(1);
    start(ALL, F.version1 | BigInt(BF.reporting), 3);
    report(2, [0x20_0000, 0x1000]);
    expect(core.host.discards).toHaveLength(1);
  });

  test('without the feature nothing is given back', () => {
    start(ALL, F.version1 | BigInt(BF.stats), 4);
    report(3, [0x20_0000, 0x1000]);
    expect(core.host.discards).toEqual([]);
  });
});

test('5.5.3.2 a driver without MUST_TELL_HOST is accepted and may use pages at once', () => {
  start(ALL, F.version1, 2);
  give(0, pfns(0x200));
  expect(core.host.discards).toHaveLength(1);
});

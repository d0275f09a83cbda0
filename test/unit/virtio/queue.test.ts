/** virtio 1.2, §2.7: split virtqueues, device side, seen through the entropy and the block device. */
import { beforeEach, describe, expect, test } from 'vitest';
import { loadCore } from '../../support/devices/core.ts';
import { DESC, Driver, type DriverQueue, F, STATUS } from '../../support/devices/driver.ts';

const core = loadCore();
const SLOT = 1;
let d: Driver;
let q: DriverQueue;

function start(features = F.version1 | F.indirect, size = 8): void {
  core.restart();
  core.x.rng_add!(SLOT);
  d = new Driver(core, SLOT);
  q = d.start([size], features)[0]!;
}

beforeEach(() => start());

const buffer = (len = 16) => ({ gpa: d.memory.take(len), len, write: true });
const broken = () => (d.status & STATUS.needsReset) !== 0;
const reason = () => Number(core.host.events.find((event) => event.kind === 10)?.b ?? 0n);

describe('descriptors', () => {
  test('2.7.5.1 a device-readable buffer is never written', () => {
    core.restart();
    core.x.blk_add!(4, 0, 2048, 0, 512, 1);
    core.host.disks = [Buffer.alloc(1 << 20)];
    const b = new Driver(core, 4);
    const [queue] = b.start([8]);
    for (const type of [0, 1, 4, 8, 11, 13, 99]) {
      const head = Buffer.alloc(16);
      head.writeUInt32LE(type);
      const readable = b.buffer(Buffer.concat([head, Buffer.alloc(512, 0xee)]));
      const status = b.memory.take(1);
      queue!.add([{ gpa: readable, len: 528 }, { gpa: status, len: 1, write: true }]);
      queue!.kick();
      expect(queue!.takeUsed()).toHaveLength(1);
      expect(core.guest(readable, 528)).toEqual(Buffer.concat([head, Buffer.alloc(512, 0xee)]));
    }
  });

  test('2.7.4.1 no assumption about the arrangement of descriptors: header, data and status split at each byte', () => {
    core.restart();
    core.x.blk_add!(4, 0, 2048, 0, 512, 1);
    core.host.disks = [Buffer.alloc(1 << 20, 0x33)];
    const b = new Driver(core, 4);
    const [queue] = b.start([256]);
    for (const cut of [1, 2, 3, 5, 7, 8, 15]) {
      const head = b.buffer(Buffer.alloc(16));
      const data = b.memory.take(513 + 64);
      const pieces = [];
      for (let at = 0; at < 16; at += cut) pieces.push({ gpa: head + at, len: Math.min(cut, 16 - at) });
      // Every other piece lies 16 bytes further, so that neighbours do not merge.
      const first = 100 + cut;
      pieces.push({ gpa: data, len: first, write: true }, { gpa: data + first + 16, len: 513 - first, write: true });
      queue!.add(pieces);
      queue!.kick();
      expect(queue!.takeUsed().map((used) => used.len)).toEqual([513]);
      expect(core.guest(data, first)).toEqual(Buffer.alloc(first, 0x33));
      expect(core.guest(data + first + 16, 512 - first)).toEqual(Buffer.alloc(512 - first, 0x33));
      expect(core.guest(data + first + 16 + 512 - first, 1)[0]).toBe(0);
    }
  });

  test('2.7.5.3.2 WRITE in a descriptor that refers to an indirect table is ignored', () => {
    const data = buffer();
    const table = d.memory.take(16);
    q.writeDescAt(table, data.gpa, 16, DESC.write, 0);
    q.writeDesc(0, table, 16, DESC.indirect | DESC.write, 0);
    q.offer(0);
    q.publish();
    q.kick();
    expect(q.takeUsed()).toEqual([{ id: 0, len: 16 }]);
    expect(core.guest(data.gpa, 1)[0]).toBe(0x5a);
  });

  test('2.7.5.3.2 normal descriptors may precede an indirect one', () => {
    const [a, b, c] = [buffer(), buffer(), buffer()];
    const table = d.memory.take(32);
    q.writeDesc(2, a.gpa, 16, DESC.write | DESC.next, 5);
    q.writeDesc(5, table, 32, DESC.indirect, 0);
    q.writeDescAt(table, b.gpa, 16, DESC.write | DESC.next, 1);
    q.writeDescAt(table + 16, c.gpa, 16, DESC.write, 0);
    q.offer(2);
    q.publish();
    q.kick();
    expect(q.takeUsed()).toEqual([{ id: 2, len: 48 }]);
    for (const piece of [a, b, c]) expect(core.guest(piece.gpa, 16)).toEqual(Buffer.alloc(16, 0x5a));
  });

  test.each([
    ['a descriptor index out of range', () => q.offer(8), 3],
    [
      'a next out of range',
      () => {
        q.writeDesc(0, 0x1000, 16, DESC.write | DESC.next, 8);
        q.offer(0);
      },
      3,
    ],
    [
      'a chain that loops',
      () => {
        q.writeDesc(0, 0x1000, 16, DESC.write | DESC.next, 1);
        q.writeDesc(1, 0x2000, 16, DESC.write | DESC.next, 0);
        q.offer(0);
      },
      3,
    ],
    [
      'a readable descriptor behind a writable one',
      () => {
        q.writeDesc(0, 0x1000, 16, DESC.write | DESC.next, 1);
        q.writeDesc(1, 0x2000, 16, 0, 0);
        q.offer(0);
      },
      3,
    ],
    [
      'a readable descriptor behind an empty writable one',
      () => {
        q.writeDesc(0, 0x1000, 0, DESC.write | DESC.next, 1);
        q.writeDesc(1, 0x2000, 16, 0, 0);
        q.offer(0);
      },
      3,
    ],
    [
      'a buffer behind the end of memory',
      () => {
        q.writeDesc(0, core.ramBytes - 8, 16, DESC.write, 0);
        q.offer(0);
      },
      4,
    ],
    [
      'a buffer that wraps',
      () => {
        q.writeDesc(0, 0xffff_ffff_ffff_fff0n, 32, DESC.write, 0);
        q.offer(0);
      },
      4,
    ],
    [
      'an indirect table within an indirect table',
      () => {
        q.writeDescAt(0x1000, 0x2000, 16, DESC.indirect, 0);
        q.writeDesc(0, 0x1000, 16, DESC.indirect, 0);
        q.offer(0);
      },
      5,
    ],
    [
      'INDIRECT together with NEXT',
      () => {
        q.writeDesc(0, 0x1000, 16, DESC.indirect | DESC.next, 1);
        q.offer(0);
      },
      5,
    ],
    [
      'an indirect table of 24 bytes',
      () => {
        q.writeDesc(0, 0x1000, 24, DESC.indirect, 0);
        q.offer(0);
      },
      5,
    ],
    [
      'an empty indirect table',
      () => {
        q.writeDesc(0, 0x1000, 0, DESC.indirect, 0);
        q.offer(0);
      },
      5,
    ],
    [
      'an indirect table outside memory',
      () => {
        q.writeDesc(0, core.ramBytes, 16, DESC.indirect, 0);
        q.offer(0);
      },
      5,
    ],
    [
      'an indirect chain longer than the queue',
      () => {
        for (let i = 0; i < 16; i++) q.writeDescAt(0x1000 + i * 16, 0x3000 + i * 64, 16, DESC.write | DESC.next, i + 1);
        q.writeDesc(0, 0x1000, 16 * 16, DESC.indirect, 0);
        q.offer(0);
      },
      3,
    ],
  ])('%s needs a reset', (_name, attack, expected) => {
    attack();
    q.publish();
    q.kick();
    expect(broken()).toBe(true);
    expect(reason()).toBe(expected);
    expect(q.usedIdx).toBe(0);
    expect(core.host.violations).toEqual([]);
  });

  test('an indirect descriptor without the feature needs a reset', () => {
    start(F.version1);
    q.add([buffer()], { indirect: true });
    q.kick();
    expect(reason()).toBe(5);
  });

  test('a chain as long as the queue is served', () => {
    q.add(Array.from({ length: 8 }, () => buffer()));
    q.kick();
    expect(q.takeUsed()).toEqual([{ id: 0, len: 128 }]);
  });

  test('an indirect chain as long as the queue is served', () => {
    q.add(Array.from({ length: 8 }, () => buffer()), { indirect: true });
    q.kick();
    expect(q.takeUsed()).toEqual([{ id: 0, len: 128 }]);
  });
});

describe('available ring', () => {
  test('more available entries than the queue holds needs a reset', () => {
    q.setAvailIdx(9);
    q.kick();
    expect(reason()).toBe(2);
  });

  test('indices wrap at 65536', () => {
    for (let i = 0; i < 8200; i++) {
      for (let n = 0; n < 8; n++) q.add([{ gpa: 0x1000, len: 4, write: true }], { publish: n === 7 });
      q.kick();
      if (q.takeUsed().length !== 8) throw new Error(`round ${i}`);
    }
    expect(q.usedIdx).toBe((8200 * 8) & 0xffff);
    expect(broken()).toBe(false);
  });

  test('queue sizes that are no power of two, 0 or above the maximum are refused', () => {
    for (const size of [0, 3, 12, 128, 65536, 0xffff_ffff]) {
      core.restart();
      core.x.rng_add!(SLOT);
      d = new Driver(core, SLOT);
      d.negotiate();
      expect(d.queue(0, 64).enable({ size })).toBe(0);
      expect(broken()).toBe(true);
    }
  });

  test.each([
    ['desc', 8],
    ['avail', 1],
    ['used', 2],
  ] as const)('a misaligned %s ring is refused', (ring, by) => {
    core.restart();
    core.x.rng_add!(SLOT);
    d = new Driver(core, SLOT);
    d.negotiate();
    const queue = d.queue(0, 8);
    expect(queue.enable({ [ring]: queue[ring] + by })).toBe(0);
    expect(reason()).toBe(1);
  });

  test.each(['desc', 'avail', 'used'] as const)('a %s ring that ends behind memory is refused', (ring) => {
    core.restart();
    core.x.rng_add!(SLOT);
    d = new Driver(core, SLOT);
    d.negotiate();
    const queue = d.queue(0, 8);
    expect(queue.enable({ [ring]: core.ramBytes - 16 })).toBe(0);
    expect(reason()).toBe(1);
  });

  test('rings that overlap each other do no harm', () => {
    core.restart();
    core.x.rng_add!(SLOT);
    d = new Driver(core, SLOT);
    d.negotiate();
    const queue = d.queue(0, 8);
    expect(queue.enable({ avail: queue.desc, used: queue.desc })).toBe(1);
    d.ready();
    queue.kick();
    expect(core.canariesIntact()).toBe(true);
    expect(core.host.violations).toEqual([]);
  });
});

describe('used buffer notifications', () => {
  test('2.7.7.2 without EVENT_IDX used_event is ignored', () => {
    q.setUsedEvent(5);
    q.add([buffer()]);
    q.kick();
    expect(d.takeIrqs()).toBe(1);
  });

  test('2.7.7.2 without EVENT_IDX and flags 0 a notification is sent', () => {
    q.add([buffer()]);
    q.kick();
    expect(d.takeIrqs()).toBe(1);
  });

  test('2.7.7.2 without EVENT_IDX and flags 1 none is sent', () => {
    q.setAvailFlags(1);
    q.add([buffer()]);
    q.kick();
    expect(q.takeUsed()).toHaveLength(1);
    expect(d.takeIrqs()).toBe(0);
  });

  test('2.7.7.2 with EVENT_IDX the low bit of flags is ignored', () => {
    start(F.version1 | F.eventIdx);
    q.setAvailFlags(1);
    q.add([buffer()]);
    q.kick();
    expect(d.takeIrqs()).toBe(1);
  });

  test('2.7.7.2 with EVENT_IDX a notification is sent when the index passes used_event', () => {
    start(F.version1 | F.eventIdx);
    q.setUsedEvent(2);
    const sent = [];
    for (let i = 0; i < 5; i++) {
      q.add([buffer()]);
      q.kick();
      sent.push(d.takeIrqs());
    }
    expect(sent).toEqual([0, 0, 1, 0, 0]);
  });

  test('2.7.7.2 with EVENT_IDX a batch that passes used_event sends one', () => {
    start(F.version1 | F.eventIdx);
    q.setUsedEvent(3);
    for (let i = 0; i < 6; i++) q.add([buffer()]);
    q.kick();
    expect(d.takeIrqs()).toBe(1);
  });
});

describe('used ring', () => {
  test('2.7.8.2 len is set before the index: each element is complete when the index shows it', () => {
    q.add([buffer(32)]);
    q.kick();
    expect(q.takeUsed()).toEqual([{ id: 0, len: 32 }]);
  });

  test('2.7.8.2 at least len bytes are written, from the first writable byte', () => {
    const [a, b] = [buffer(10), buffer(22)];
    q.add([a, b]);
    q.kick();
    const [used] = q.takeUsed();
    expect(used!.len).toBe(32);
    expect(Buffer.concat([core.guest(a.gpa, 10), core.guest(b.gpa, 22)])).toEqual(Buffer.alloc(32, 0x5a));
  });

  test('2.7.8.2 a failed block read still writes all that len says', () => {
    core.restart();
    core.x.blk_add!(4, 0, 2048, 0, 512, 1);
    core.host.onBlk = () => -5;
    const b = new Driver(core, 4);
    const [queue] = b.start([8]);
    const head = b.buffer(Buffer.alloc(16));
    const data = b.buffer(Buffer.alloc(513, 0xcc));
    queue!.add([{ gpa: head, len: 16 }, { gpa: data, len: 513, write: true }]);
    queue!.kick();
    expect(queue!.takeUsed()).toEqual([{ id: 0, len: 513 }]);
    expect(core.guest(data, 513)).toEqual(Buffer.concat([Buffer.alloc(512), Buffer.from([1])]));
  });

  test('writes of the device mark the pages of buffers and rings', () => {
    const piece = { gpa: 0x20_0000, len: 16, write: true };
    core.takeDirty(piece.gpa);
    core.takeDirty(q.used);
    q.add([piece]);
    q.kick();
    expect(core.takeDirty(piece.gpa)).toBe(true);
    expect(core.takeDirty(q.used)).toBe(true);
    expect(core.takeDirty(0x30_0000)).toBe(false);
  });
});

describe('available buffer notifications', () => {
  test('2.7.10.2 without EVENT_IDX flags are 0 or 1, and 0 when the device waits', () => {
    q.add([buffer()]);
    q.kick();
    expect(q.usedFlags).toBe(0);
  });

  test('2.7.10.2 with EVENT_IDX flags stay 0 and avail_event follows', () => {
    start(F.version1 | F.eventIdx);
    for (let i = 1; i < 5; i++) {
      q.add([buffer()]);
      q.kick();
      expect(q.usedFlags).toBe(0);
      expect(q.availEvent).toBe(i);
    }
  });

  test('2.7.10.2 spurious notifications are handled', () => {
    for (let i = 0; i < 3; i++) q.kick();
    expect(q.usedIdx).toBe(0);
    expect(broken()).toBe(false);
    expect(d.takeIrqs()).toBe(0);
  });
});

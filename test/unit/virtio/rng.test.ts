/** virtio 1.2, §5.4: entropy device. */
import { beforeEach, expect, test } from 'vitest';
import { loadCore } from '../../support/devices/core.ts';
import { Driver, type DriverQueue, STATUS } from '../../support/devices/driver.ts';

const core = loadCore();
let d: Driver;
let q: DriverQueue;

beforeEach(() => {
  core.restart();
  core.x.rng_add!(2);
  d = new Driver(core, 2);
  q = d.start([16])[0]!;
});

test.each([1, 2, 64, 4096])('5.4.6.2 a buffer of %i bytes gets one or more random bytes', (len) => {
  const gpa = d.memory.take(len);
  q.add([{ gpa, len, write: true }]);
  q.kick();
  expect(q.takeUsed()).toEqual([{ id: 0, len }]);
  expect(core.guest(gpa, len)).toEqual(Buffer.alloc(len, 0x5a));
});

test('a buffer of 1 MiB gets the first 4096 bytes', () => {
  q.add([{ gpa: 0x10_0000, len: 1 << 20, write: true }]);
  q.kick();
  expect(q.takeUsed()).toEqual([{ id: 0, len: 4096 }]);
  expect(core.guest(0x10_1000, 1)[0]).toBe(0);
});

test.each([
  ['a readable buffer', [{ gpa: 0x1000, len: 16 }]],
  ['an empty buffer', [{ gpa: 0x1000, len: 0, write: true }]],
  [
    'a readable part before the writable',
    [
      { gpa: 0x1000, len: 16 },
      { gpa: 0x2000, len: 16, write: true },
    ],
  ],
])('%s needs a reset', (_name, pieces) => {
  q.add(pieces);
  q.kick();
  expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
  expect(q.usedIdx).toBe(0);
});

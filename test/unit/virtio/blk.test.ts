import { expect, test } from 'vitest';
import { loadCore } from '../../support/core.ts';
import { Driver } from '../../support/driver.ts';

const core = loadCore();

test('first request: IN of one sector arrives in guest memory', () => {
  core.restart();
  core.host.disks = [Buffer.alloc(1 << 20, 7)];
  expect(core.x.blk_add!(4, 0, 2048, 0, 512, 1)).toBe(0);
  const d = new Driver(core, 4);
  const [q] = d.start([16]);
  const head = d.buffer(Buffer.alloc(16));
  const data = d.memory.take(512);
  const status = d.buffer(Buffer.from([0xff]));
  q!.add([{ gpa: head, len: 16 }, { gpa: data, len: 512, write: true }, { gpa: status, len: 1, write: true }]);
  q!.kick();
  expect(q!.takeUsed()).toEqual([{ id: 0, len: 513 }]);
  expect(core.guest(data, 512)).toEqual(Buffer.alloc(512, 7));
  expect(core.guest(status, 1)[0]).toBe(0);
  expect(d.takeIrqs()).toBe(1);
});

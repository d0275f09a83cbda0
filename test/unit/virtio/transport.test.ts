/** virtio 1.2: the device status field, features, configuration space, reset and the MMIO transport, device side. */
import { beforeEach, describe, expect, test } from 'vitest';
import { loadCore } from '../../support/devices/core.ts';
import { Driver, F, REG, STATUS } from '../../support/devices/driver.ts';

const core = loadCore();
const SLOT = 3;
const REQUEST = 0; // rng's queue
const NEEDS_RESET_EVENT = 10;
let d: Driver;

beforeEach(() => {
  core.restart();
  expect(core.x.rng_add!(SLOT)).toBe(0);
  d = new Driver(core, SLOT);
});

function askRandom(queue = d.queues[REQUEST]!) {
  const gpa = d.memory.take(64);
  const head = queue.add([{ gpa, len: 64, write: true }]);
  return { gpa, head };
}

describe('device status', () => {
  test('2.1.2 status is 0 after a reset', () => {
    d.start([8]);
    d.write(REG.status, 0);
    expect(d.status).toBe(0);
  });

  test('2.1.2 no buffer is consumed and no notification sent before DRIVER_OK', () => {
    d.negotiate();
    const q = d.queue(REQUEST, 8);
    expect(q.enable()).toBe(1);
    askRandom(q);
    q.kick();
    core.x.device_process!(SLOT, REQUEST);
    expect(q.usedIdx).toBe(0);
    expect(core.host.irqs).toEqual([]);
    d.ready();
    expect(q.takeUsed()).toHaveLength(1); // what was offered before is worked on at once
  });

  test('2.1.2 a broken ring sets DEVICE_NEEDS_RESET and sends a configuration change notification', () => {
    const [q] = d.start([8]);
    q!.setAvailIdx(9);
    q!.kick();
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(d.read(REG.interruptStatus)).toBe(2);
    expect(d.takeIrqs()).toBe(1);
    expect(core.host.events.filter((event) => event.kind === NEEDS_RESET_EVENT)).toEqual([{ kind: NEEDS_RESET_EVENT, a: SLOT, b: 2n }]);
  });

  test('2.1.2 an error before DRIVER_OK is told after it', () => {
    d.negotiate();
    const q = d.queue(REQUEST, 8);
    expect(q.enable({ desc: 0x7000_0000 })).toBe(0);
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(core.host.irqs).toEqual([]);
    d.ready();
    expect(d.read(REG.interruptStatus)).toBe(2);
  });

  test('a device that needs a reset stays silent, another one works on', () => {
    expect(core.x.rng_add!(SLOT + 1)).toBe(0);
    const other = new Driver(core, SLOT + 1, d.memory);
    other.start([8]);
    const [q] = d.start([8]);
    q!.setAvailIdx(100);
    q!.kick();
    q!.clear();
    askRandom(q);
    q!.kick();
    expect(q!.usedIdx).toBe(0);
    other.queues[0]!.add([{ gpa: d.memory.take(16), len: 16, write: true }]);
    other.queues[0]!.kick();
    expect(other.queues[0]!.takeUsed()).toHaveLength(1);
  });

  test('bits of the status cannot be cleared but by a reset', () => {
    d.negotiate();
    d.write(REG.status, STATUS.acknowledge);
    expect(d.status).toBe(STATUS.acknowledge | STATUS.driver | STATUS.featuresOk);
  });

  test('DRIVER_OK without FEATURES_OK is refused', () => {
    d.write(REG.status, 0);
    d.write(REG.status, STATUS.acknowledge | STATUS.driver | STATUS.driverOk);
    expect(d.status).toBe(STATUS.acknowledge | STATUS.driver);
  });

  test('FAILED is kept until a reset', () => {
    d.negotiate();
    d.write(REG.status, STATUS.failed | STATUS.acknowledge);
    expect(d.status & STATUS.failed).toBe(STATUS.failed);
  });
});

describe('feature bits', () => {
  test('2.2.2 FEATURES_OK stays clear for a feature that is not offered', () => {
    expect(d.negotiate(F.version1 | (1n << 27n)) & STATUS.featuresOk).toBe(0);
    expect(d.negotiate(F.version1) & STATUS.featuresOk).toBe(STATUS.featuresOk);
  });

  test('2.2.2 features of a third word are refused', () => {
    d.write(REG.status, 0);
    d.write(REG.status, 3);
    d.writeFeatures(F.version1);
    d.write(REG.driverFeaturesSel, 2);
    d.write(REG.driverFeatures, 1);
    d.write(REG.status, 3 | STATUS.featuresOk);
    expect(d.status & STATUS.featuresOk).toBe(0);
  });

  test('2.2.2 each subset of the offered features that has VERSION_1 is accepted', () => {
    const bits = [...Array(64).keys()].map(BigInt).filter((bit) => (d.offered() >> bit) & 1n).filter((bit) => bit !== 32n);
    for (let subset = 0; subset < 1 << bits.length; subset++) {
      const features = bits.reduce((sum, bit, i) => ((subset >> i) & 1 ? sum | (1n << bit) : sum), F.version1);
      expect(d.negotiate(features) & STATUS.featuresOk).toBe(STATUS.featuresOk);
    }
  });

  test('features are fixed after FEATURES_OK', () => {
    d.negotiate(F.version1 | F.eventIdx);
    d.writeFeatures(F.version1);
    const q = d.queue(REQUEST, 8);
    q.enable();
    d.ready();
    q.setUsedEvent(5);
    askRandom(q);
    q.kick();
    expect(d.takeIrqs()).toBe(0); // event index is still on
  });

  test('6.2 VERSION_1 is offered, and a driver without it is refused', () => {
    expect(d.offered() & F.version1).toBe(F.version1);
    expect(d.negotiate(0n) & STATUS.featuresOk).toBe(0);
  });

  test('6.2 with IN_ORDER buffers are used in the order they were made available', () => {
    d.start([8], F.version1 | F.inOrder);
    const q = d.queues[REQUEST]!;
    const heads = [1, 2, 3, 4].map(() => askRandom(q).head);
    q.kick();
    expect(q.takeUsed().map((used) => used.id)).toEqual(heads);
  });

  test('feature words beyond the second read 0', () => {
    d.write(REG.deviceFeaturesSel, 2);
    expect(d.read(REG.deviceFeatures)).toBe(0);
    d.write(REG.deviceFeaturesSel, 0xffff_ffff);
    expect(d.read(REG.deviceFeatures)).toBe(0);
  });
});

describe('device reset', () => {
  test('2.4.1 a reset reinitialises the status to 0', () => {
    d.start([8]);
    d.write(REG.status, 0);
    expect(d.read(REG.status)).toBe(0);
  });

  test('2.4.1 after a reset no notification is sent and no queue is touched', () => {
    const [q] = d.start([8]);
    askRandom(q);
    d.write(REG.status, 0);
    core.host.irqs.length = 0;
    q!.kick();
    core.x.device_process!(SLOT, REQUEST);
    expect(q!.usedIdx).toBe(0);
    expect(core.host.irqs).toEqual([]);
  });

  test('the owner is told of a reset', () => {
    d.start([8]);
    core.host.kicks.length = 0;
    d.write(REG.status, 0);
    expect(core.host.kicks).toEqual([{ device: SLOT, queue: 0xffff }]);
  });

  test('a device works again after a reset, from index 0', () => {
    d.start([8]);
    askRandom();
    d.queues[0]!.kick();
    const [q] = d.start([8]);
    askRandom(q);
    q!.kick();
    expect(q!.usedIdx).toBe(1);
  });
});

describe('configuration space', () => {
  test('2.5.2 fields can be read before FEATURES_OK, those of offered features too', () => {
    core.x.console_add!(0, 132, 43);
    const c = new Driver(core, 0);
    expect(c.status).toBe(0);
    expect(c.read(REG.config, 2)).toBe(132);
    expect(c.read(REG.config + 2, 2)).toBe(43);
  });

  test('the space reads by 1, 2, 4 and 8 bytes, and as 0 behind its end', () => {
    core.x.blk_add!(4, 0, 0x1122334455667, 0, 512, 1);
    const b = new Driver(core, 4);
    expect(b.read64(REG.config)).toBe(0x1122334455667n);
    expect(b.read(REG.config, 4)).toBe(0x34455667);
    expect(b.read(REG.config + 4, 4)).toBe(0x11223);
    expect(b.read(REG.config + 1, 1)).toBe(0x56);
    expect(b.read(REG.config + 0x3c, 4)).toBe(0);
    expect(b.read64(REG.config + 0x38)).toBe(0n);
    expect(b.read(REG.config + 0xefc, 4)).toBe(0);
  });

  test('writes outside a writable field change nothing', () => {
    core.x.blk_add!(4, 0, 2048, 0, 512, 1);
    const b = new Driver(core, 4);
    b.write(REG.config, 0xffff_ffff);
    b.write(REG.config + 0x3c, 0xffff_ffff);
    expect(b.read(REG.config)).toBe(2048);
  });
});

describe('MMIO registers', () => {
  test('4.2.2.1 MagicValue reads 0x74726976', () => {
    expect(d.read(REG.magic)).toBe(0x7472_6976);
  });

  test('4.2.2.1 Version reads 2', () => {
    expect(d.read(REG.version)).toBe(2);
  });

  test('4.2.2.1 InterruptStatus shows an event from the moment it takes place until it is acknowledged', () => {
    const [q] = d.start([8]);
    askRandom(q);
    expect(d.read(REG.interruptStatus)).toBe(0);
    q!.kick();
    expect(d.read(REG.interruptStatus)).toBe(1);
    expect(d.read(REG.interruptStatus)).toBe(1);
    d.write(REG.interruptAck, 1);
    expect(d.read(REG.interruptStatus)).toBe(0);
  });

  test('4.2.2.1 InterruptStatus has no bits for events that did not take place, and an acknowledgement clears only its own', () => {
    const [q] = d.start([8]);
    askRandom(q);
    q!.kick();
    d.write(REG.interruptAck, 0xffff_fffe);
    expect(d.read(REG.interruptStatus)).toBe(1);
  });

  test('4.2.2.1 a reset clears InterruptStatus and all QueueReady', () => {
    const [q] = d.start([8]);
    askRandom(q);
    q!.kick();
    d.write(REG.status, 0);
    expect(d.read(REG.interruptStatus)).toBe(0);
    d.write(REG.queueSel, 0);
    expect(d.read(REG.queueReady)).toBe(0);
  });

  test('4.2.2.1 ConfigGeneration changes with the configuration, and only then', () => {
    core.x.blk_add!(4, 0, 0, 0, 512, 1);
    const b = new Driver(core, 4);
    const before = b.read(REG.configGeneration);
    expect(b.read(REG.configGeneration)).toBe(before);
    core.x.blk_set_capacity!(4, 4096);
    expect(b.read(REG.configGeneration)).not.toBe(before);
    expect(b.read(REG.config)).toBe(4096);
  });

  test('4.2.2.1 queue memory is not accessed while QueueReady is 0', () => {
    const [q] = d.start([8]);
    d.write(REG.queueSel, 0);
    d.write(REG.queueReady, 0);
    expect(d.read(REG.queueReady)).toBe(0);
    askRandom(q);
    const before = core.guest(0, core.ramBytes);
    q!.kick();
    core.x.device_process!(SLOT, REQUEST);
    expect(core.guest(0, core.ramBytes).equals(before)).toBe(true);
  });

  test('4.2.2.1 QueueReset reads 0 on reset and after the queue is enabled', () => {
    d.start([8]);
    d.write(REG.queueSel, 0);
    expect(d.read(REG.queueReset)).toBe(0);
    d.write(REG.status, 0);
    d.write(REG.queueSel, 0);
    expect(d.read(REG.queueReset)).toBe(0);
  });

  test('4.2.2.1 writing 1 to QueueReset resets the queue; afterwards QueueReset and QueueReady read 0', () => {
    const [q] = d.start([8]);
    askRandom(q);
    q!.kick();
    d.write(REG.queueSel, 0);
    d.write(REG.queueReset, 1);
    expect(d.read(REG.queueReset)).toBe(0);
    expect(d.read(REG.queueReady)).toBe(0);
  });

  test('4.2.2.1 QueueReset reads 1 as long as requests of the queue are in flight', () => {
    core.x.blk_add!(4, 0, 2048, 0, 512, 1);
    core.host.onBlk = () => -0x7000_0000;
    const b = new Driver(core, 4);
    const [q] = b.start([8]);
    const data = b.memory.take(1024);
    q!.add([{ gpa: data, len: 16 }, { gpa: data + 16, len: 513, write: true }]);
    q!.kick();
    b.write(REG.queueSel, 0);
    b.write(REG.queueReset, 1);
    expect(b.read(REG.queueReset)).toBe(1);
    core.x.blk_complete!(4, core.host.blkCalls[0]!.tag, 512);
    expect(b.read(REG.queueReset)).toBe(0);
    expect(b.read(REG.queueReady)).toBe(0);
    expect(q!.usedIdx).toBe(0);
  });

  test('2.6.1.1.1 after a queue reset no request of the queue is executed and no notification sent', () => {
    const [q] = d.start([8]);
    d.write(REG.queueSel, 0);
    d.write(REG.queueReset, 1);
    askRandom(q);
    q!.kick();
    core.x.device_process!(SLOT, REQUEST);
    expect(q!.usedIdx).toBe(0);
    expect(d.takeIrqs()).toBe(0);
  });

  test('2.6.1.1.1 a queue reset puts available and used state back to the default', () => {
    const [q] = d.start([8]);
    for (let i = 0; i < 5; i++) askRandom(q);
    q!.kick();
    d.write(REG.queueSel, 0);
    d.write(REG.queueReset, 1);
    q!.clear();
    expect(q!.enable()).toBe(1);
    askRandom(q);
    q!.kick();
    expect(q!.takeUsed()).toHaveLength(1);
    expect(q!.usedIdx).toBe(1);
  });

  test('2.6.1.2.1 a queue enabled again takes its new size and place', () => {
    d.start([8]);
    d.write(REG.queueSel, 0);
    d.write(REG.queueReset, 1);
    const q = d.queue(REQUEST, 32);
    expect(q.enable()).toBe(1);
    for (let i = 0; i < 32; i++) askRandom(q);
    q.kick();
    expect(q.takeUsed()).toHaveLength(32);
  });

  test('QueueReset without RING_RESET does nothing', () => {
    d.start([8], F.version1);
    d.write(REG.queueSel, 0);
    d.write(REG.queueReset, 1);
    expect(d.read(REG.queueReady)).toBe(1);
  });

  test('DeviceID and VendorID', () => {
    expect(d.read(REG.deviceId)).toBe(4);
    expect(d.read(REG.vendor)).toBe(0x204d_4d56);
  });

  test('QueueNumMax is 0 for a queue that does not exist', () => {
    d.write(REG.queueSel, 0);
    expect(d.read(REG.queueNumMax)).toBe(64);
    d.write(REG.queueSel, 1);
    expect(d.read(REG.queueNumMax)).toBe(0);
    d.write(REG.queueSel, 0xffff_ffff);
    expect(d.read(REG.queueNumMax)).toBe(0);
    expect(d.read(REG.queueReady)).toBe(0);
  });

  test('no shared memory region exists: length and base read -1', () => {
    d.write(REG.shmSel, 0);
    for (const register of [REG.shmLenLow, REG.shmLenHigh, REG.shmBaseLow, REG.shmBaseHigh]) expect(d.read(register)).toBe(0xffff_ffff);
  });

  test('control registers answer aligned 32-bit accesses only', () => {
    expect(d.read(REG.magic, 1)).toBe(0);
    expect(d.read(REG.magic, 2)).toBe(0);
    expect(d.read64(REG.magic)).toBe(0n);
    expect(d.read(REG.magic + 2)).toBe(0);
    d.write(REG.status, 1, 1);
    expect(d.status).toBe(0);
  });

  test('queue registers are fixed while the queue is ready', () => {
    const [q] = d.start([8]);
    d.write(REG.queueSel, 0);
    d.write64(REG.descLow, 0n);
    d.write(REG.queueNum, 16);
    askRandom(q);
    q!.kick();
    expect(q!.takeUsed()).toHaveLength(1);
  });

  test('a notification of a queue that does not exist is ignored', () => {
    d.start([8]);
    core.host.kicks.length = 0;
    d.write(REG.queueNotify, 1);
    d.write(REG.queueNotify, 0xffff_ffff);
    expect(core.host.kicks).toEqual([]);
  });
});

describe('quiesce', () => {
  test('a quiesced device takes no request; resumed it works on what has come', () => {
    const [q] = d.start([8]);
    expect(core.x.device_quiesce!(SLOT)).toBe(0);
    askRandom(q);
    q!.kick();
    expect(q!.usedIdx).toBe(0);
    core.x.device_resume!(SLOT);
    expect(q!.usedIdx).toBe(0);
    core.x.device_poll!(SLOT);
    expect(q!.takeUsed()).toHaveLength(1);
  });

  test('an empty slot is -ENODEV', () => {
    for (const call of ['device_quiesce', 'device_resume', 'device_poll', 'device_inflight']) expect(core.x[call]!(7)).toBe(-19);
    expect(core.x.device_process!(7, 0)).toBe(-19);
    expect(core.x.device_process!(0xffff_ffff, 0)).toBe(-19);
    expect(core.x.device_version!(7)).toBe(0);
    expect(core.x.device_version!(SLOT)).toBe(1);
  });
});

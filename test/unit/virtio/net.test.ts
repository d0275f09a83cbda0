/** virtio 1.2, §5.1: network device. */
import { beforeEach, describe, expect, test } from 'vitest';
import { HOST_NET_OFFLOADS, HOST_NET_SEND, loadCore } from '../../support/devices/core.ts';
import { Driver, type DriverQueue, F, REG, STATUS } from '../../support/devices/driver.ts';

const core = loadCore();
const { host } = core;
const SLOT = 4;
const MAC = Buffer.from('02aabbccddee', 'hex');
const OTHER = Buffer.from('021111111111', 'hex');
const BROADCAST = Buffer.alloc(6, 0xff);
const GROUP = Buffer.from('01005e000001', 'hex');
const ALL_OFFLOADS = 0x6f;
const LINK_UP = 1;
const bit = (n: number): bigint => 1n << BigInt(n);
const N = {
  csum: bit(0), guestCsum: bit(1), guestOffloads: bit(2), mtu: bit(3), mac: bit(5), guestTso4: bit(7), guestTso6: bit(8), guestEcn: bit(9), hostTso4: bit(11), hostTso6: bit(12), hostEcn: bit(13),
  mrg: bit(15), status: bit(16), ctrlVq: bit(17), ctrlRx: bit(18), ctrlVlan: bit(19), ctrlRxExtra: bit(20), announce: bit(21), macAddr: bit(23), guestUso4: bit(54), guestUso6: bit(55), hostUso: bit(56),
};
const PLAIN = F.version1 | N.mac | N.status;

let d: Driver;
let rx: DriverQueue;
let tx: DriverQueue;
let ctrl: DriverQueue;

/** A card with these features; `offloads`: what the host's side does. */
function card(features?: bigint, offloads = ALL_OFFLOADS, mtu = 1500): void {
  core.restart();
  expect(core.x.net_add!(SLOT, offloads, mtu, core.scratch(MAC))).toBe(0);
  core.x.net_link!(SLOT, LINK_UP);
  d = new Driver(core, SLOT);
  [rx, tx, ctrl] = d.start([64, 16, 16], features) as [DriverQueue, DriverQueue, DriverQueue];
}

beforeEach(() => card(PLAIN | N.mrg));

function frame(to: Buffer, length = 60, fill = 0x42): Buffer {
  const bytes = Buffer.alloc(length, fill);
  to.copy(bytes, 0);
  OTHER.copy(bytes, 6);
  bytes.writeUInt16BE(0x0800, 12);
  return bytes;
}

function hdr({ flags = 0, gso = 0, hdrLen = 0, gsoSize = 0, start = 0, offset = 0, buffers = 0 } = {}): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = flags;
  bytes[1] = gso;
  [hdrLen, gsoSize, start, offset, buffers].forEach((value, i) => bytes.writeUInt16LE(value, 2 + 2 * i));
  return bytes;
}

function send(header: Buffer, body: Buffer): void {
  tx.add([{ gpa: d.buffer(header), len: 12 }, { gpa: d.buffer(body), len: body.length }]);
  tx.kick();
}

/** Buffers of these sizes for reception; where they lie. */
function offer(...sizes: number[]): number[] {
  const at = sizes.map((len) => {
    const gpa = d.memory.take(len);
    rx.add([{ gpa, len, write: true }]);
    return gpa;
  });
  rx.kick();
  return at;
}

function arrive(body: Buffer, header?: Buffer): void {
  host.arriving.push(header === undefined ? { frame: body } : { frame: body, hdr: header });
  core.process(SLOT, 0);
}

/** A command; its status byte. */
function command(kind: number, code: number, data: Buffer): number {
  const status = d.buffer(Buffer.from([0xee]));
  ctrl.add([{ gpa: d.buffer(Buffer.from([kind, code])), len: 2 }, { gpa: d.buffer(data), len: data.length }, { gpa: status, len: 1, write: true }]);
  ctrl.kick();
  return core.guest(status, 1)[0] as number;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
/** Did a frame to this address reach the driver? */
function reaches(to: Buffer, change: (body: Buffer) => Buffer = (body) => body): boolean {
  if (rx.usedIdx !== 0 || rx.availEvent === 0) offer(2000);
  const before = rx.usedIdx;
  arrive(change(frame(to)));
  return rx.usedIdx !== before;
}

describe('configuration', () => {
  test('the card shows its address, its MTU and its link', () => {
    expect(Buffer.from([0, 1, 2, 3, 4, 5].map((i) => d.read(REG.config + i, 1)))).toEqual(MAC);
    expect(d.read(REG.config + 6, 2)).toBe(1);
    expect(d.read(REG.config + 10, 2)).toBe(1500);
  });

  test('5.1.4.1 an mtu below 68 or above 65535 is refused', () => {
    core.restart();
    for (const mtu of [0, 67, 65536]) expect(core.x.net_add!(SLOT, 0, mtu, core.scratch(MAC))).toBe(-22);
    for (const mtu of [68, 65535]) {
      core.restart();
      expect(core.x.net_add!(SLOT, 0, mtu, core.scratch(MAC))).toBe(0);
    }
  });

  test('5.1.4.1 the mtu does not change once it is set', () => {
    for (const at of [0, 6, 10]) d.write(REG.config + at, 0x1234, 2);
    expect(d.read(REG.config + 10, 2)).toBe(1500);
    expect(d.read(REG.config, 2)).toBe(MAC.readUInt16LE(0));
  });

  test.each([
    ['1514 bytes', 1500, frame(MAC, 1514), true],
    ['1515 bytes', 1500, frame(MAC, 1515), false],
    ['9014 bytes of a card with an mtu of 9000', 9000, frame(MAC, 9014), true],
    ['1518 bytes with a VLAN tag', 1500, tagged(frame(MAC, 1518), 0), true],
  ])('5.1.4.1 a received frame of no more than mtu is passed, a longer one is not: %s', (_name, mtu, body, passed) => {
    card(PLAIN | N.mrg | N.mtu, ALL_OFFLOADS, mtu);
    offer(12000);
    arrive(body);
    expect(rx.takeUsed().length).toBe(passed ? 1 : 0);
  });

  test('5.1.4.1 a frame of mtu bytes is sent in one piece', () => {
    card(PLAIN | N.mtu, 0, 9000);
    send(hdr(), frame(OTHER, 9014));
    expect(host.sent.map(({ frame: body }) => body.length)).toEqual([9014]);
  });

  test.each([
    ['without offloads', 0, [], [N.csum, N.guestCsum, N.hostTso4, N.guestTso6, N.hostUso, N.guestOffloads]],
    ['with checksums alone', 1, [N.csum, N.guestCsum, N.guestOffloads], [N.hostTso4, N.guestTso4, N.hostEcn, N.hostUso]],
    ['without USO', 0xf, [N.hostTso4, N.guestTso6, N.hostEcn], [N.hostUso, N.guestUso4, N.guestUso6]],
    ['with all', ALL_OFFLOADS, [N.hostTso4, N.hostTso6, N.hostEcn, N.hostUso, N.guestUso4, N.guestUso6], []],
    ['TSO without checksums', 6, [], [N.csum, N.hostTso4, N.guestTso4]],
  ])('5.1.3.1 no feature is offered without those it requires: %s', (_name, offloads, there, missing) => {
    core.restart();
    core.x.net_add!(SLOT, offloads, 1500, core.scratch(MAC));
    const offered = new Driver(core, SLOT).offered();
    for (const feature of [...there, N.ctrlVq, N.ctrlRx, N.macAddr, N.announce, N.status]) expect(offered & feature).toBe(feature);
    for (const feature of missing) expect(offered & feature).toBe(0n);
  });

  test('a link that goes down or up is a configuration change, and no frame passes while it is down', () => {
    d.takeIrqs();
    const generation = d.read(REG.configGeneration);
    core.x.net_link!(SLOT, 0);
    expect(d.takeIrqs()).toBe(1);
    expect(d.read(REG.configGeneration)).not.toBe(generation);
    expect(d.read(REG.config + 6, 2)).toBe(0);
    core.x.net_link!(SLOT, 0);
    expect(d.takeIrqs()).toBe(0);
    offer(2000);
    arrive(frame(MAC));
    send(hdr(), frame(OTHER));
    expect([rx.usedIdx, host.sent.length, tx.takeUsed().length]).toEqual([0, 0, 1]);
    core.x.net_link!(SLOT, LINK_UP);
    core.process(SLOT, 0);
    expect(rx.takeUsed().length).toBe(1);
  });
});

describe('transmission', () => {
  test.each([[12, 60], [5, 7, 60], [72], [1, 1, 1, 9, 13, 47]])('a frame goes out whatever its pieces are: %j', (...sizes) => {
    const all = Buffer.concat([hdr(), frame(OTHER)]);
    let at = 0;
    tx.add(sizes.map((len) => {
      const gpa = d.buffer(all.subarray(at, at + len));
      at += len;
      return { gpa, len };
    }));
    tx.kick();
    expect(host.sent).toEqual([{ hdr: hdr(), frame: frame(OTHER) }]);
    expect(tx.takeUsed()).toEqual([{ id: 0, len: 0 }]);
  });

  test('5.1.6.2.2 flag bits that are not known are ignored', () => {
    card(PLAIN | N.csum);
    send(hdr({ flags: 0xfe, start: 34, offset: 16 }), frame(OTHER));
    expect(host.sent[0]!.hdr).toEqual(hdr());
  });

  test('5.1.6.2.2 csum_start and csum_offset are not used without NEEDS_CSUM', () => {
    card(PLAIN | N.csum);
    send(hdr({ start: 0xffff, offset: 0xffff }), frame(OTHER));
    send(hdr({ flags: 1, start: 34, offset: 16 }), frame(OTHER));
    expect(host.sent.map((one) => one.hdr)).toEqual([hdr(), hdr({ flags: 1, start: 34, offset: 16 })]);
  });

  test('5.1.6.2.2 hdr_len is not relied on: it is never longer than the frame', () => {
    card(PLAIN | N.csum | N.hostTso4);
    send(hdr({ flags: 1, gso: 1, hdrLen: 0xffff, gsoSize: 100, start: 34, offset: 16 }), frame(OTHER, 400));
    expect(host.sent[0]!.hdr.readUInt16LE(2)).toBe(400);
  });

  test('a header with what was not negotiated does not reach the host', () => {
    send(hdr({ flags: 1, start: 34, offset: 16 }), frame(OTHER));
    expect(host.sent[0]!.hdr).toEqual(hdr());
    send(hdr({ flags: 1, gso: 1, gsoSize: 100, start: 34, offset: 16 }), frame(OTHER, 400));
    expect([host.sent.length, tx.takeUsed().length]).toEqual([1, 2]);
  });

  test.each([
    ['TSO4', N.hostTso4, 1],
    ['TSO6', N.hostTso6, 4],
    ['USO', N.hostUso, 5],
    ['TSO4 with ECN', N.hostTso4 | N.hostEcn, 0x81],
  ])('%s is handed on when it was negotiated, and only then', (_name, features, gso) => {
    for (const has of [true, false]) {
      card(PLAIN | N.csum | (has ? features : 0n));
      const header = hdr({ flags: 1, gso, hdrLen: 54, gsoSize: 1448, start: 34, offset: 16 });
      send(header, frame(OTHER, 4000));
      expect(host.sent.map((one) => one.hdr)).toEqual(has ? [header] : []);
      expect(tx.takeUsed().length).toBe(1);
    }
  });

  test.each([
    ['a checksum behind the frame', hdr({ flags: 1, start: 50, offset: 9 }), 60],
    ['a checksum far behind it', hdr({ flags: 1, start: 0xffff, offset: 0xffff }), 60],
    ['segmentation without a size', hdr({ flags: 1, gso: 1, start: 34, offset: 16 }), 400],
    ['segmentation without a checksum', hdr({ gso: 1, gsoSize: 100 }), 400],
    ['UDP fragmentation, which is not offered', hdr({ flags: 1, gso: 3, gsoSize: 100, start: 34, offset: 6 }), 400],
    ['an unknown kind of segmentation', hdr({ flags: 1, gso: 9, gsoSize: 100, start: 34, offset: 6 }), 400],
    ['a frame without an Ethernet header', hdr(), 13],
    ['a frame that is longer than any', hdr(), 65590],
  ])('%s: the frame is lost, its buffer used, and the device goes on', (_name, header, length) => {
    card();
    const body = d.memory.take(length);
    tx.add([{ gpa: d.buffer(header), len: 12 }, { gpa: body, len: length }]);
    tx.kick();
    expect(host.sent).toEqual([]);
    send(hdr(), frame(OTHER));
    expect([host.sent.length, tx.takeUsed().length, d.status & STATUS.needsReset]).toEqual([1, 2, 0]);
  });

  test.each([
    ['eleven bytes', [{ gpa: 0x1000, len: 11 }]],
    ['a writable piece', [{ gpa: 0x1000, len: 72 }, { gpa: 0x2000, len: 10, write: true }]],
  ])('a chain of %s needs a reset', (_name, pieces) => {
    tx.add(pieces);
    tx.kick();
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
  });

  test('while the host has no room nothing is taken, and then all of it in order', () => {
    let room = 0;
    host.onNet = ({ op }) => (op === HOST_NET_SEND && room-- <= 0 ? -11 : undefined);
    for (let i = 0; i < 3; i++) send(hdr(), frame(OTHER, 60, i));
    expect([host.sent.length, tx.takeUsed().length, core.x.device_waiting!(SLOT)]).toEqual([0, 0, 0]);
    room = 100;
    core.process(SLOT, 1);
    expect(host.sent.map(({ frame: body }) => body[20])).toEqual([0, 1, 2]);
    expect(tx.takeUsed().length).toBe(3);
  });

  test('a frame that the host loses is used all the same', () => {
    host.onNet = () => -5;
    send(hdr(), frame(OTHER));
    expect(tx.takeUsed()).toEqual([{ id: 0, len: 0 }]);
  });
});

describe('reception', () => {
  test('5.1.6.3.2 num_buffers is the number of buffers that hold the frame', () => {
    const [first] = offer(100, 100, 2000) as [number];
    arrive(frame(MAC, 300));
    expect(core.guest(first, 12)).toEqual(hdr({ buffers: 3 }));
    expect(rx.takeUsed().map(({ len }) => len)).toEqual([100, 100, 112]);
  });

  test('5.1.6.3.2 without MRG_RXBUF one buffer is used, and num_buffers is 1', () => {
    card(PLAIN);
    const [first] = offer(1526, 1526) as [number];
    arrive(frame(MAC, 1000));
    expect(core.guest(first, 12)).toEqual(hdr({ buffers: 1 }));
    expect(rx.takeUsed()).toEqual([{ id: 0, len: 1012 }]);
    arrive(frame(MAC, 1514));
    expect(rx.takeUsed()).toEqual([{ id: 1, len: 1526 }]);
  });

  test('5.1.6.4.1 all buffers but the last are used to their full length, and hold the frame', () => {
    const sizes = [12, 50, 13, 2000];
    const places = offer(...sizes);
    const body = frame(MAC, 400, 0x37);
    arrive(body);
    const used = rx.takeUsed();
    expect(used.map(({ len }) => len)).toEqual([12, 50, 13, 412 - 75]);
    const bytes = Buffer.concat(places.map((gpa, i) => core.guest(gpa, used[i]!.len)));
    expect(bytes.subarray(12)).toEqual(body);
  });

  test('5.1.6.4.1 all buffers of a frame are shown together', () => {
    offer(100, 100, 2000);
    d.takeIrqs();
    arrive(frame(MAC, 300));
    expect([rx.usedIdx, d.takeIrqs()]).toEqual([3, 1]);
  });

  test('5.1.6.4.1 without GUEST_CSUM flags is 0, and a frame that lacks its checksum is not passed', () => {
    const [first] = offer(2000, 2000) as [number];
    arrive(frame(MAC), hdr({ flags: 2 }));
    expect(core.guest(first, 12)).toEqual(hdr({ buffers: 1 }));
    arrive(frame(MAC), hdr({ flags: 1, start: 34, offset: 16 }));
    expect(rx.takeUsed().length).toBe(1);
  });

  test.each([
    ['TCPV4', N.guestTso4, 1],
    ['TCPV6', N.guestTso6, 4],
    ['UDP_L4', N.guestUso4 | N.guestUso6, 5],
    ['ECN', N.guestTso4 | N.guestEcn, 0x81],
  ])('5.1.6.4.1 gso_type %s is given to a driver that negotiated it, and to no other', (_name, features, gso) => {
    const header = hdr({ flags: 1, gso, hdrLen: 54, gsoSize: 1448, start: 34, offset: 16 });
    for (const has of [true, false]) {
      card(PLAIN | N.mrg | N.guestCsum | (has ? features : 0n));
      const [first] = offer(70000) as [number];
      arrive(frame(MAC, 4000), header);
      expect(rx.takeUsed().length).toBe(has ? 1 : 0);
      if (has) expect(core.guest(first, 10)).toEqual(header.subarray(0, 10));
    }
  });

  test.each([
    ['without NEEDS_CSUM', hdr({ gso: 1, gsoSize: 1448 })],
    ['without gso_size', hdr({ flags: 1, gso: 1, start: 34, offset: 16 })],
  ])('5.1.6.4.1 a segmented frame %s is not passed', (_name, header) => {
    card();
    offer(70000);
    arrive(frame(MAC, 4000), header);
    expect(rx.takeUsed()).toEqual([]);
  });

  test('5.1.6.4.1 RSC_INFO is never set', () => {
    card();
    const [first] = offer(2000) as [number];
    command(0, 0, Buffer.from([1]));
    arrive(frame(MAC), hdr({ flags: 4 | 2 }));
    expect(core.guest(first, 1)[0]).toBe(2);
  });

  test('a frame waits while the driver has too few buffers, and comes once it has them', () => {
    offer(100, 100);
    arrive(frame(MAC, 400));
    expect([rx.takeUsed(), host.arriving.length]).toEqual([[], 1]);
    offer(100, 200);
    expect([rx.takeUsed().length, host.arriving.length]).toEqual([4, 0]);
  });

  test('a frame for which a whole ring has no room is lost, the next one comes', () => {
    card(PLAIN);
    offer(100, 1526);
    arrive(frame(MAC, 1000));
    expect([rx.takeUsed().length, host.arriving.length]).toEqual([0, 0]);
    arrive(frame(MAC, 60));
    expect(rx.takeUsed()).toEqual([{ id: 0, len: 72 }]);
  });

  test('after short frames little is offered to the next one, and a segment of 64 KiB comes whole all the same', () => {
    card(PLAIN | N.mrg | N.guestCsum | N.guestTso4);
    const room = (): number => host.netCalls.at(-1)?.bytes ?? 0;
    const small = (): void => {
      arrive(frame(MAC, 60));
      expect(rx.takeUsed().length).toBe(1);
    };
    offer(...new Array<number>(60).fill(1536));
    small();
    expect(room()).toBeGreaterThan(65_000);
    for (let i = 0; i < 90; i++) {
      offer(1536);
      small();
    }
    // What was held is used first.
    expect(room()).toBeLessThan(4 * 1536);
    const long = frame(MAC, 60_000, 7);
    arrive(long, hdr({ flags: 1, gso: 1, hdrLen: 54, gsoSize: 1448, start: 34, offset: 16 }));
    const used = rx.takeUsed();
    expect(used.reduce((sum, { len }) => sum + len, 0)).toBe(60_012);
    expect([used.length, host.arriving.length]).toEqual([40, 0]);
    offer(...new Array<number>(40).fill(1536));
    small();
    expect(room()).toBeGreaterThan(65_000);
  });

  test('many frames fill the buffers one after the other', () => {
    offer(...new Array<number>(40).fill(200));
    for (let i = 0; i < 25; i++) host.arriving.push({ frame: frame(MAC, 60 + 5 * i, i) });
    core.process(SLOT, 0);
    const used = rx.takeUsed();
    expect(used.map(({ len }) => len)).toEqual(Array.from({ length: 25 }, (_, i) => 72 + 5 * i));
  });

  test.each([
    ['eleven bytes', [{ gpa: 0x1000, len: 11, write: true }]],
    ['a readable piece', [{ gpa: 0x1000, len: 20 }, { gpa: 0x2000, len: 2000, write: true }]],
  ])('a buffer of %s needs a reset', (_name, pieces) => {
    rx.add(pieces);
    rx.kick();
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
  });

  test.each(['queue', 'device'])('buffers that were held are the driver’s again after a reset of the %s', (what) => {
    card(PLAIN | N.mrg | F.ringReset);
    const [gpa] = offer(2000) as [number];
    core.process(SLOT, 0);
    if (what === 'queue') {
      d.write(REG.queueSel, 0);
      d.write(REG.queueReset, 1);
    } else d.write(REG.status, 0);
    d.fill(gpa, 2000, 0x77);
    host.arriving.push({ frame: frame(MAC) });
    core.x.device_process!(SLOT, 0);
    expect(core.guest(gpa, 2000)).toEqual(Buffer.alloc(2000, 0x77));
    if (what === 'device') [rx] = d.start([64, 16, 16], PLAIN | N.mrg) as [DriverQueue];
    else {
      rx.clear();
      rx.enable();
    }
    offer(2000);
    expect(rx.takeUsed().length).toBe(1);
  });

  test('what is written is marked for the dirty bitmap', () => {
    const gpa = d.memory.take(4096, 4096);
    rx.add([{ gpa, len: 4000, write: true }]);
    rx.kick();
    core.takeDirty(gpa);
    arrive(frame(MAC, 500));
    expect(core.takeDirty(gpa)).toBe(true);
  });
});

function tagged(body: Buffer, vlan: number): Buffer {
  body.writeUInt16BE(0x8100, 12);
  body.writeUInt16BE(0x6000 | vlan, 14);
  return body;
}

describe('control queue', () => {
  beforeEach(() => {
    card();
    offer(...new Array<number>(40).fill(2000));
  });

  test('5.1.6.5.1 the driver gets its own address and broadcasts, and no other until it asks', () => {
    expect([MAC, OTHER, BROADCAST, GROUP].map((to) => reaches(to))).toEqual([true, false, true, false]);
  });

  test.each([
    ['PROMISC', 0, [true, true, true, true]],
    ['ALLMULTI', 1, [true, false, true, true]],
    ['ALLUNI', 2, [true, true, true, false]],
    ['NOMULTI', 3, [true, false, true, false]],
    ['NOUNI', 4, [false, false, true, false]],
    ['NOBCAST', 5, [true, false, false, false]],
  ])('5.1.6.5.1 %s is switched on and off', (_name, code, expected) => {
    expect(command(0, code, Buffer.from([1]))).toBe(0);
    expect([MAC, OTHER, BROADCAST, GROUP].map((to) => reaches(to))).toEqual(expected);
    expect(command(0, code, Buffer.from([0]))).toBe(0);
    expect([MAC, OTHER, BROADCAST, GROUP].map((to) => reaches(to))).toEqual([true, false, true, false]);
  });

  test('5.1.6.5.2 the filter table holds unicast and multicast addresses, and is empty after a reset', () => {
    expect(command(1, 0, Buffer.concat([u32(1), OTHER, u32(1), GROUP]))).toBe(0);
    expect([MAC, OTHER, GROUP].map((to) => reaches(to))).toEqual([true, true, true]);
    expect(command(1, 0, Buffer.concat([u32(0), u32(0)]))).toBe(0);
    expect([OTHER, GROUP].map((to) => reaches(to))).toEqual([false, false]);
    command(1, 0, Buffer.concat([u32(1), OTHER, u32(0)]));
    command(0, 0, Buffer.from([1]));
    [rx, tx, ctrl] = d.start([64, 16, 16]) as [DriverQueue, DriverQueue, DriverQueue];
    offer(2000, 2000);
    expect([OTHER, MAC].map((to) => reaches(to))).toEqual([false, true]);
  });

  test('5.1.6.5.2 a table that is too large lets all of its kind in', () => {
    const many = Buffer.concat([u32(100), ...Array.from({ length: 100 }, (_, i) => Buffer.from([2, 0, 0, 0, 0, i])), u32(0)]);
    expect(command(1, 0, many)).toBe(0);
    expect([OTHER, GROUP].map((to) => reaches(to))).toEqual([true, false]);
  });

  test('5.1.6.5.2 MAC_ADDR_SET changes the address before the command is used, until a reset', () => {
    expect(command(1, 1, OTHER)).toBe(0);
    expect(Buffer.from([0, 1, 2, 3, 4, 5].map((i) => d.read(REG.config + i, 1)))).toEqual(OTHER);
    expect([MAC, OTHER].map((to) => reaches(to))).toEqual([false, true]);
    d.write(REG.status, 0);
    expect(Buffer.from([0, 1, 2, 3, 4, 5].map((i) => d.read(REG.config + i, 1)))).toEqual(MAC);
  });

  test('5.1.6.5.3 without CTRL_VLAN all tagged frames are passed', () => {
    card(PLAIN | N.mrg | N.ctrlVq | N.ctrlRx);
    offer(2000);
    expect(reaches(MAC, (body) => tagged(body, 7))).toBe(true);
  });

  test('5.1.6.5.3 with CTRL_VLAN tagged frames are passed whose VLAN is in the table, and others are not', () => {
    expect(reaches(MAC, (body) => tagged(body, 7))).toBe(false);
    expect(command(2, 0, Buffer.from([7, 0]))).toBe(0);
    expect(reaches(MAC, (body) => tagged(body, 7))).toBe(true);
    expect(reaches(MAC, (body) => tagged(body, 8))).toBe(false);
    expect(command(2, 1, Buffer.from([7, 0]))).toBe(0);
    expect(reaches(MAC, (body) => tagged(body, 7))).toBe(false);
    expect(command(2, 0, Buffer.from([0, 0x10]))).toBe(1);
  });

  test('5.1.6.5.4 ANNOUNCE is cleared by its acknowledgement before the command is used', () => {
    d.takeIrqs();
    core.x.net_link!(SLOT, LINK_UP | 2);
    expect([d.read(REG.config + 6, 2), d.takeIrqs()]).toEqual([3, 1]);
    expect(command(3, 0, Buffer.alloc(0))).toBe(0);
    expect(d.read(REG.config + 6, 2)).toBe(1);
  });

  test('a driver that did not negotiate GUEST_ANNOUNCE is not asked to announce', () => {
    card(PLAIN);
    core.x.net_link!(SLOT, LINK_UP | 2);
    expect(d.read(REG.config + 6, 2)).toBe(1);
  });

  test('guest offloads go to the host when the driver starts, and when it changes them', () => {
    const told = (): number[] => host.netCalls.filter(({ op }) => op === HOST_NET_OFFLOADS).map(({ bytes }) => bytes);
    expect(told()).toEqual([ALL_OFFLOADS]);
    const data = Buffer.alloc(8);
    data.writeBigUInt64LE(N.guestCsum | N.guestTso4);
    expect(command(5, 0, data)).toBe(0);
    expect(told()).toEqual([ALL_OFFLOADS, 3]);
    data.writeBigUInt64LE(N.guestCsum | N.mrg);
    expect(command(5, 0, data)).toBe(1);
    data.writeBigUInt64LE(0n);
    expect(command(5, 0, data)).toBe(0);
    expect(told()).toEqual([ALL_OFFLOADS, 3, 0]);
  });

  test.each([
    ['an unknown class', 9, 0, Buffer.alloc(4)],
    ['an unknown command of a known class', 1, 7, Buffer.alloc(6)],
    ['a receive mode without its byte', 0, 0, Buffer.alloc(0)],
    ['a table that says more addresses than it has', 1, 0, Buffer.concat([u32(3), OTHER])],
    ['a table of four billion addresses', 1, 0, u32(0xffff_ffff)],
    ['an address of five bytes', 1, 1, Buffer.alloc(5)],
    ['a VLAN of one byte', 2, 0, Buffer.alloc(1)],
    ['offloads of four bytes', 5, 0, Buffer.alloc(4)],
    ['queue pairs, which are not offered', 4, 0, Buffer.from([1, 0])],
  ])('%s is answered with VIRTIO_NET_ERR', (_name, kind, code, data) => {
    expect(command(kind, code, data)).toBe(1);
    expect([d.status & STATUS.needsReset, command(0, 0, Buffer.from([1]))]).toEqual([0, 0]);
  });

  test.each([
    ['no byte for the status', [{ gpa: 0x1000, len: 3 }]],
    ['no command', [{ gpa: 0x1000, len: 1 }, { gpa: 0x2000, len: 1, write: true }]],
  ])('a command with %s needs a reset', (_name, pieces) => {
    ctrl.add(pieces);
    ctrl.kick();
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
  });

  test.each([
    ['CTRL_RX', 0, 0, Buffer.from([1])],
    ['CTRL_RX_EXTRA', 0, 2, Buffer.from([1])],
    ['CTRL_MAC_ADDR', 1, 1, OTHER],
    ['CTRL_VLAN', 2, 0, Buffer.from([1, 0])],
    ['GUEST_ANNOUNCE', 3, 0, Buffer.alloc(0)],
    ['CTRL_GUEST_OFFLOADS', 5, 0, Buffer.alloc(8)],
  ])('a command of %s is refused to a driver that did not negotiate it', (_name, kind, code, data) => {
    card(PLAIN | N.ctrlVq);
    expect(command(kind, code, data)).toBe(1);
  });
});

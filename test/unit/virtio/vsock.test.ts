/** virtio 1.2, §5.10: socket device, streams. */
import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { loadCore } from '../../support/devices/core.ts';
import { Driver, type DriverQueue, F, REG, STATUS } from '../../support/devices/driver.ts';

const core = loadCore({ ramMib: 8 });
const SLOT = 1;
const CID = 3;
const HOST = 2;
const HDR = 44;
const OP = { request: 1, response: 2, rst: 3, shutdown: 4, rw: 5, creditUpdate: 6, creditRequest: 7 };
const EV = { request: 1, connected: 2, data: 3, shutdown: 4, reset: 5, writable: 6 };
const PORT = 1024;
const GUEST_PORT = 5000;
const WINDOW = 262144;
let d: Driver;
let rx: DriverQueue;
let tx: DriverQueue;
let event: DriverQueue;
/** Receive buffers by head. */
let buffers: Map<number, { gpa: number; len: number }>;

interface Packet {
  srcCid: bigint;
  dstCid: bigint;
  srcPort: number;
  dstPort: number;
  len: number;
  type: number;
  op: number;
  flags: number;
  bufAlloc: number;
  fwdCnt: number;
  data: Buffer;
}

beforeEach(() => {
  core.restart();
  expect(core.x.vsock_add!(SLOT, CID)).toBe(0);
  expect(core.x.vsock_listen!(PORT)).toBe(0);
  start();
});

function start(memory?: Driver['memory']): void {
  d = new Driver(core, SLOT, memory);
  [rx, tx, event] = d.start([64, 64, 8], F.version1 | F.indirect | F.eventIdx | 1n) as [DriverQueue, DriverQueue, DriverQueue];
  buffers = new Map();
}

function giveBuffers(count: number, len = 4096): void {
  for (let i = 0; i < count; i++) {
    const gpa = d.memory.take(len);
    buffers.set(rx.add([{ gpa, len, write: true }], { publish: i === count - 1 }), { gpa, len });
  }
  rx.kick();
}

function send(op: number, fields: Partial<Packet> = {}, kick = true): void {
  const data = fields.data ?? Buffer.alloc(0);
  const h = Buffer.alloc(HDR);
  h.writeBigUInt64LE(fields.srcCid ?? BigInt(CID), 0);
  h.writeBigUInt64LE(fields.dstCid ?? BigInt(HOST), 8);
  h.writeUInt32LE(fields.srcPort ?? GUEST_PORT, 16);
  h.writeUInt32LE(fields.dstPort ?? PORT, 20);
  h.writeUInt32LE(fields.len ?? data.length, 24);
  h.writeUInt16LE(fields.type ?? 1, 28);
  h.writeUInt16LE(op, 30);
  h.writeUInt32LE(fields.flags ?? 0, 32);
  h.writeUInt32LE(fields.bufAlloc ?? WINDOW, 36);
  h.writeUInt32LE(fields.fwdCnt ?? 0, 40);
  const pieces = [{ gpa: d.buffer(h), len: HDR }];
  if (data.length > 0) pieces.push({ gpa: d.buffer(data), len: data.length });
  tx.add(pieces);
  if (kick) tx.kick();
  tx.takeUsed();
}

/** Packets that the device has put into receive buffers. */
function received(): Packet[] {
  return rx.takeUsed().map(({ id, len }) => {
    const buffer = buffers.get(id)!;
    const b = core.guest(buffer.gpa, len);
    return {
      srcCid: b.readBigUInt64LE(0),
      dstCid: b.readBigUInt64LE(8),
      srcPort: b.readUInt32LE(16),
      dstPort: b.readUInt32LE(20),
      len: b.readUInt32LE(24),
      type: b.readUInt16LE(28),
      op: b.readUInt16LE(30),
      flags: b.readUInt32LE(32),
      bufAlloc: b.readUInt32LE(36),
      fwdCnt: b.readUInt32LE(40),
      data: b.subarray(HDR),
    };
  });
}

const ops = () => received().map(({ op }) => op);
const events = () => core.host.vsockEvents.splice(0);
const kinds = () => events().map((entry) => entry.event);

/** A connection from the guest, accepted. */
function connection(fields: Partial<Packet> = {}): number {
  send(OP.request, fields);
  const conn = events().find((entry) => entry.event === EV.request)!.conn;
  expect(core.x.vsock_accept!(conn)).toBe(0);
  return conn;
}

const hostSend = (conn: number, bytes: Buffer) => core.x.vsock_send!(conn, core.scratch(bytes), bytes.length);

describe('configuration', () => {
  test('5.10.6.4.2 guest_cid is no reserved CID', () => {
    expect(d.read64(REG.config)).toBe(BigInt(CID));
    core.restart();
    for (const cid of [0, 1, 2, 0xffff_ffff]) expect(core.x.vsock_add!(SLOT, cid)).toBe(-22);
  });

  test('calls without a device are -ENODEV', () => {
    core.restart();
    for (const call of ['vsock_listen', 'vsock_connect', 'vsock_accept', 'vsock_reset']) expect(core.x[call]!(1)).toBe(-19);
    expect(core.x.vsock_send!(1, 0, 0)).toBe(-19);
  });
});

describe('connections from the guest', () => {
  test('a request to a port the host listens on is offered, accepted and answered', () => {
    giveBuffers(4);
    send(OP.request, { bufAlloc: 1000 });
    const [offer] = events();
    expect(offer).toMatchObject({ event: EV.request, ptr: PORT, len: GUEST_PORT });
    expect(received()).toEqual([]);
    core.x.vsock_accept!(offer!.conn);
    expect(received()).toEqual([
      { srcCid: 2n, dstCid: 3n, srcPort: PORT, dstPort: GUEST_PORT, len: 0, type: 1, op: OP.response, flags: 0, bufAlloc: WINDOW, fwdCnt: 0, data: Buffer.alloc(0) },
    ]);
  });

  test('a request accepted from inside the event is answered', () => {
    giveBuffers(4);
    core.host.onVsock = ({ conn, event: kind }) => {
      if (kind === EV.request) core.x.vsock_accept!(conn);
    };
    send(OP.request);
    expect(ops()).toEqual([OP.response]);
  });

  test('a request to another port is reset', () => {
    giveBuffers(4);
    send(OP.request, { dstPort: 99 });
    expect(kinds()).toEqual([]);
    expect(received()).toMatchObject([{ op: OP.rst, srcPort: 99, dstPort: GUEST_PORT, type: 1 }]);
  });

  test('after unlisten new requests are reset, the connection stays', () => {
    giveBuffers(8);
    const conn = connection();
    expect(core.x.vsock_unlisten!(PORT)).toBe(0);
    expect(core.x.vsock_unlisten!(PORT)).toBe(-22);
    send(OP.request, { srcPort: 7 });
    send(OP.rw, { data: Buffer.from('x') });
    expect(kinds()).toEqual([EV.data]);
    expect(hostSend(conn, Buffer.from('y'))).toBe(1);
  });

  test('a refused request is reset', () => {
    giveBuffers(4);
    send(OP.request);
    core.x.vsock_reset!(events()[0]!.conn);
    expect(ops()).toEqual([OP.rst]);
  });

  test('a request on a live connection ends it', () => {
    giveBuffers(4);
    connection();
    send(OP.request);
    expect(kinds()).toEqual([EV.reset]);
    expect(ops()).toEqual([OP.response, OP.rst]);
  });

  test('the 513th connection is reset, a freed place is used again', () => {
    giveBuffers(60);
    for (let i = 0; i < 512; i++) send(OP.request, { srcPort: 10_000 + i });
    expect(kinds()).toHaveLength(512);
    send(OP.request, { srcPort: 1 });
    expect(ops()).toEqual([OP.rst]);
    send(OP.rst, { srcPort: 10_005 });
    send(OP.request, { srcPort: 2 });
    expect(kinds()).toEqual([EV.reset, EV.request]);
  });
});

describe('connections to the guest', () => {
  test('a request goes out, the response connects', () => {
    giveBuffers(4);
    const conn = core.x.vsock_connect!(77);
    expect(conn).toBeGreaterThan(0);
    const [request] = received();
    expect(request).toMatchObject({ op: OP.request, dstPort: 77, srcCid: 2n, dstCid: 3n, type: 1, bufAlloc: WINDOW });
    expect(hostSend(conn, Buffer.from('early'))).toBe(-11);
    send(OP.response, { srcPort: 77, dstPort: request!.srcPort });
    expect(events()).toMatchObject([{ conn, event: EV.connected }]);
    expect(hostSend(conn, Buffer.from('hello'))).toBe(5);
    expect(received()).toMatchObject([{ op: OP.rw, data: Buffer.from('hello') }]);
  });

  test('a refusal is told', () => {
    giveBuffers(4);
    const conn = core.x.vsock_connect!(77);
    const [request] = received();
    send(OP.rst, { srcPort: 77, dstPort: request!.srcPort });
    expect(events()).toMatchObject([{ conn, event: EV.reset }]);
    expect(hostSend(conn, Buffer.from('x'))).toBe(-32);
  });

  test('each connection has its own port', () => {
    giveBuffers(8);
    for (let i = 0; i < 3; i++) core.x.vsock_connect!(77);
    expect(new Set(received().map(({ srcPort }) => srcPort)).size).toBe(3);
  });

  test('without a driver it is -ENODEV', () => {
    d.write(REG.status, 0);
    expect(core.x.vsock_connect!(77)).toBe(-19);
  });

  test('a response nobody waits for is reset', () => {
    giveBuffers(4);
    connection();
    send(OP.response);
    expect(kinds()).toEqual([EV.reset]);
  });
});

describe('data to the host', () => {
  test('payload arrives from guest memory, piece by piece', () => {
    giveBuffers(4);
    const conn = connection();
    send(OP.rw, { data: Buffer.from('some bytes') });
    expect(events()).toMatchObject([{ conn, event: EV.data, data: Buffer.from('some bytes') }]);
  });

  test('only len bytes of a longer buffer count', () => {
    giveBuffers(4);
    connection();
    send(OP.rw, { data: Buffer.from('some bytes'), len: 4 });
    expect(Buffer.concat(events().map(({ data }) => data)).toString()).toBe('some');
  });

  test('a len beyond the buffer ends the connection', () => {
    giveBuffers(4);
    connection();
    send(OP.rw, { data: Buffer.from('abc'), len: 4 });
    expect(kinds()).toEqual([EV.reset]);
    expect(ops()).toEqual([OP.response, OP.rst]);
  });

  test('data on an unknown connection is reset', () => {
    giveBuffers(4);
    send(OP.rw, { data: Buffer.from('abc') });
    expect(kinds()).toEqual([]);
    expect(ops()).toEqual([OP.rst]);
  });

  test('data before the host accepted ends the connection', () => {
    giveBuffers(4);
    send(OP.request);
    send(OP.rw, { data: Buffer.from('abc') });
    expect(kinds()).toEqual([EV.request, EV.reset]);
  });

  test('more than the window allows ends the connection', () => {
    giveBuffers(8);
    connection();
    const part = Buffer.alloc(65536);
    for (let i = 0; i < 4; i++) send(OP.rw, { data: part });
    expect(kinds()).toEqual([EV.data, EV.data, EV.data, EV.data]);
    send(OP.rw, { data: Buffer.from('x') });
    expect(kinds()).toEqual([EV.reset]);
  });

  test('consumed bytes open the window: one credit update for half of it', () => {
    giveBuffers(8);
    const conn = connection();
    ops();
    const part = Buffer.alloc(65536);
    for (let i = 0; i < 4; i++) send(OP.rw, { data: part });
    core.x.vsock_consumed!(conn, 65536);
    expect(ops()).toEqual([]);
    core.x.vsock_consumed!(conn, 65536);
    expect(received()).toMatchObject([{ op: OP.creditUpdate, fwdCnt: 131072, bufAlloc: WINDOW }]);
    send(OP.rw, { data: part });
    expect(kinds()).toEqual([EV.data, EV.data, EV.data, EV.data, EV.data]);
  });

  test('bytes consumed inside the event need one update for a batch', () => {
    giveBuffers(8);
    const conn = connection();
    ops();
    core.host.onVsock = ({ event: kind, len }) => {
      if (kind === EV.data) core.x.vsock_consumed!(conn, len);
    };
    for (let i = 0; i < 4; i++) send(OP.rw, { data: Buffer.alloc(65536) }, i === 3);
    expect(received()).toMatchObject([{ op: OP.creditUpdate, fwdCnt: 262144 }]);
  });

  test('more consumed than was sent is not believed', () => {
    giveBuffers(8);
    const conn = connection();
    ops();
    send(OP.rw, { data: Buffer.alloc(100) });
    core.x.vsock_consumed!(conn, 0xffff_ffff);
    send(OP.creditRequest);
    expect(received()).toMatchObject([{ op: OP.creditUpdate, fwdCnt: 100 }]);
  });

  test('a larger window is told at once', () => {
    giveBuffers(8);
    const conn = connection();
    ops();
    expect(core.x.vsock_buffer!(conn, 1 << 20)).toBe(0);
    send(OP.creditRequest);
    expect(received().at(-1)).toMatchObject({ op: OP.creditUpdate, bufAlloc: 1 << 20 });
    expect(core.x.vsock_buffer!(conn, 100)).toBe(-22);
    expect(core.x.vsock_buffer!(conn, 17 << 20)).toBe(-22);
  });
});

describe('data to the guest', () => {
  test('data fills several buffers, each with a header', () => {
    giveBuffers(4, 100);
    const conn = connection();
    ops();
    const bytes = Buffer.from(Array.from({ length: 120 }, (_, i) => i));
    expect(hostSend(conn, bytes)).toBe(120);
    const packets = received();
    expect(packets.map(({ len, op }) => [len, op])).toEqual([
      [56, OP.rw],
      [56, OP.rw],
      [8, OP.rw],
    ]);
    expect(Buffer.concat(packets.map(({ data }) => data))).toEqual(bytes);
  });

  test('many buffers cost one interrupt', () => {
    giveBuffers(40, 1100);
    const conn = connection();
    ops();
    rx.setUsedEvent(rx.usedIdx);
    d.takeIrqs();
    expect(hostSend(conn, Buffer.alloc(30_000))).toBe(30_000);
    expect(d.takeIrqs()).toBe(1);
  });

  test('without buffers nothing is taken; buffers make it writable', () => {
    giveBuffers(1);
    const conn = connection();
    expect(hostSend(conn, Buffer.from('abc'))).toBe(0);
    expect(kinds()).toEqual([]);
    ops();
    giveBuffers(1);
    expect(events()).toMatchObject([{ conn, event: EV.writable }]);
    expect(hostSend(conn, Buffer.from('abc'))).toBe(3);
  });

  test('while the guest stands (device_quiesce) nothing of the host’s reaches it: data, the end of a stream, a request; then all comes in order', () => {
    giveBuffers(4);
    const [conn, other] = [connection(), connection({ srcPort: GUEST_PORT + 1 })];
    expect(ops()).toEqual([OP.response, OP.response]);
    giveBuffers(4);
    const memory = (): string => createHash('sha256').update(new Uint8Array(core.view.buffer, RAM_BASE, 1 << 20)).digest('hex');
    const before = memory();
    core.x.device_quiesce!(SLOT);
    expect(hostSend(conn, Buffer.from('late'))).toBe(0);
    core.x.vsock_shutdown!(other, 2);
    expect(core.x.vsock_connect!(77)).toBeGreaterThan(0);
    expect(core.x.vsock_rx_begin!(conn, 100)).toBe(0);
    core.x.device_poll!(SLOT);
    expect({ moved: memory() !== before, kinds: kinds() }).toEqual({ moved: false, kinds: [] });
    core.x.device_resume!(SLOT);
    core.x.device_poll!(SLOT);
    expect({ ops: ops(), kinds: kinds() }).toEqual({ ops: [OP.shutdown, OP.request], kinds: [EV.writable] });
    expect(hostSend(conn, Buffer.from('late'))).toBe(4);
  });

  test('5.10.6.3.2 data is sent only as far as the peer has room', () => {
    giveBuffers(8);
    const conn = connection({ bufAlloc: 1000 });
    ops();
    expect(hostSend(conn, Buffer.alloc(1500))).toBe(1000);
    expect(received().reduce((sum, { len }) => sum + len, 0)).toBe(1000);
    expect(hostSend(conn, Buffer.alloc(1))).toBe(0);
    send(OP.creditUpdate, { bufAlloc: 1000, fwdCnt: 400 });
    expect(events()).toMatchObject([{ conn, event: EV.writable }]);
    expect(hostSend(conn, Buffer.alloc(1500))).toBe(400);
  });

  test('a fwd_cnt that makes no sense gives no room', () => {
    giveBuffers(8);
    const conn = connection({ bufAlloc: 1000 });
    send(OP.creditUpdate, { bufAlloc: 1000, fwdCnt: 5000 });
    expect(hostSend(conn, Buffer.alloc(10))).toBe(0);
  });

  test('5.10.6.3.2 each packet carries buf_alloc and fwd_cnt', () => {
    giveBuffers(8);
    const conn = connection();
    send(OP.rw, { data: Buffer.alloc(500) });
    core.x.vsock_consumed!(conn, 300);
    hostSend(conn, Buffer.from('x'));
    core.x.vsock_shutdown!(conn, 2);
    for (const packet of received().slice(1)) expect(packet).toMatchObject({ bufAlloc: WINDOW, fwdCnt: 300 });
  });

  test('zero copy: pieces of the receive buffers, filled by the host', () => {
    giveBuffers(4, 100);
    const conn = connection();
    ops();
    expect(core.x.vsock_rx_begin!(conn, 150)).toBe(3);
    const table = core.x.vsock_rx_table!() >>> 0;
    const pieces = [0, 1, 2].map((i) => ({ ptr: core.view.getUint32(table + i * 8, true), len: core.view.getUint32(table + i * 8 + 4, true) }));
    expect(pieces.map(({ len }) => len)).toEqual([56, 56, 38]);
    const bytes = Buffer.from(Array.from({ length: 70 }, (_, i) => i));
    core.bytes.set(bytes.subarray(0, 56), pieces[0]!.ptr);
    core.bytes.set(bytes.subarray(56), pieces[1]!.ptr);
    expect(core.x.vsock_rx_commit!(conn, 70)).toBe(70);
    const packets = received();
    expect(Buffer.concat(packets.map(({ data }) => data))).toEqual(bytes);
    // The buffer that was not needed is still the device's.
    expect(hostSend(conn, Buffer.from('z'))).toBe(1);
    expect(received()).toMatchObject([{ len: 1 }]);
  });

  test('zero copy: nothing read gives all buffers back', () => {
    giveBuffers(4);
    const conn = connection();
    ops();
    expect(core.x.vsock_rx_begin!(conn, 10_000)).toBe(3);
    expect(hostSend(conn, Buffer.from('z'))).toBe(0); // the buffers are taken
    expect(core.x.vsock_rx_commit!(conn, 0)).toBe(0);
    expect(ops()).toEqual([]);
    expect(hostSend(conn, Buffer.from('z'))).toBe(1);
  });

  test('zero copy: a reset between the halves is noticed', () => {
    giveBuffers(4);
    const conn = connection();
    core.x.vsock_rx_begin!(conn, 100);
    d.write(REG.status, 0);
    start(d.memory);
    giveBuffers(4);
    expect(core.x.vsock_rx_commit!(conn, 100)).toBe(-32);
    expect(rx.usedIdx).toBe(0);
  });

  test('zero copy with headers in two pieces falls back to copying', () => {
    giveBuffers(1);
    const conn = connection();
    ops();
    const [a, b] = [d.memory.take(20), d.memory.take(200)];
    rx.add([
      { gpa: a, len: 20, write: true },
      { gpa: b, len: 200, write: true },
    ]);
    rx.kick();
    expect(core.x.vsock_rx_begin!(conn, 100)).toBe(0);
    expect(hostSend(conn, Buffer.from('copied'))).toBe(6);
    expect(rx.takeUsed()).toMatchObject([{ len: HDR + 6 }]);
    expect(core.guest(b + 24, 6).toString()).toBe('copied');
  });

  test('a buffer that cannot hold a header needs a reset', () => {
    rx.add([{ gpa: d.memory.take(43), len: 43, write: true }]);
    send(OP.request);
    core.x.vsock_accept!(events()[0]!.conn);
    expect(d.status & STATUS.needsReset).toBe(STATUS.needsReset);
  });
});

describe('virtqueue flow control', () => {
  test('5.10.6.1.2 tx is processed while rx is full, as long as there is room for replies', () => {
    for (let i = 0; i < 511; i++) send(OP.rw, { srcPort: 10_000 + i, data: Buffer.from('x') });
    expect(tx.usedIdx).toBe(511);
    giveBuffers(60);
    expect(ops()).toHaveLength(60);
  });

  test('tx stops when replies have no more room and goes on when rx has', () => {
    for (let i = 0; i < 520; i++) send(OP.rw, { srcPort: 10_000 + i, data: Buffer.from('x') });
    expect(tx.usedIdx).toBe(512);
    giveBuffers(60);
    expect(tx.usedIdx).toBe(520);
    expect(ops()).toHaveLength(60);
    let replies = 60;
    for (let i = 0; i < 8; i++) {
      giveBuffers(60);
      replies += ops().length;
    }
    expect(replies).toBe(520);
  });

  test('the order of a connection is kept: the response before the data', () => {
    send(OP.request);
    const { conn } = events()[0]!;
    core.x.vsock_accept!(conn);
    expect(hostSend(conn, Buffer.from('data'))).toBe(0);
    giveBuffers(1);
    expect(ops()).toEqual([OP.response]);
    expect(hostSend(conn, Buffer.from('data'))).toBe(0);
    giveBuffers(1);
    expect(hostSend(conn, Buffer.from('data'))).toBe(4);
    expect(ops()).toEqual([OP.rw]);
  });

  test('operations of several connections wait in order', () => {
    for (const port of [1, 2, 3]) send(OP.request, { srcPort: port });
    for (const { conn } of events()) core.x.vsock_accept!(conn);
    giveBuffers(3);
    expect(received().map(({ dstPort }) => dstPort)).toEqual([1, 2, 3]);
  });
});

describe('types and addresses', () => {
  test('5.10.6.4.2 a packet of unknown type is answered with a reset', () => {
    giveBuffers(4);
    send(OP.request, { type: 2 });
    expect(received()).toMatchObject([{ op: OP.rst, type: 2 }]);
    expect(kinds()).toEqual([]);
  });

  test('a reset is never answered', () => {
    giveBuffers(4);
    send(OP.rst);
    send(OP.rst, { type: 9 });
    send(OP.rst, { dstCid: 77n });
    expect(ops()).toEqual([]);
  });

  test('a packet for another CID is reset in that CID’s name', () => {
    giveBuffers(4);
    send(OP.request, { dstCid: 77n });
    expect(received()).toMatchObject([{ op: OP.rst, srcCid: 77n, dstCid: 3n }]);
  });

  test('a packet in another guest’s name is dropped', () => {
    giveBuffers(4);
    send(OP.request, { srcCid: 4n });
    send(OP.request, { srcCid: 0x1_0000_0003n });
    expect(ops()).toEqual([]);
    expect(kinds()).toEqual([]);
  });

  test('an unknown operation ends the connection', () => {
    giveBuffers(4);
    connection();
    send(99);
    expect(kinds()).toEqual([EV.reset]);
  });

  test('a packet shorter than its header is dropped', () => {
    tx.add([{ gpa: 0x1000, len: 43 }]);
    tx.kick();
    expect(tx.takeUsed()).toHaveLength(1);
    expect(kinds()).toEqual([]);
  });
});

describe('the end of connections', () => {
  test('the guest’s shutdown hints add up', () => {
    giveBuffers(4);
    const conn = connection();
    send(OP.shutdown, { flags: 1 });
    send(OP.shutdown, { flags: 2 });
    send(OP.shutdown, { flags: 0xfffc });
    expect(events().map(({ event: kind, len }) => [kind, len])).toEqual([
      [EV.shutdown, 1],
      [EV.shutdown, 3],
      [EV.shutdown, 3],
    ]);
    expect(hostSend(conn, Buffer.from('x'))).toBe(-32);
  });

  test('data after the guest said it sends no more ends the connection', () => {
    giveBuffers(4);
    connection();
    send(OP.shutdown, { flags: 2 });
    send(OP.rw, { data: Buffer.from('x') });
    expect(kinds()).toEqual([EV.shutdown, EV.reset]);
  });

  test('the host’s shutdown goes out with all hints so far; sending is over', () => {
    giveBuffers(4);
    const conn = connection();
    ops();
    core.x.vsock_shutdown!(conn, 2);
    core.x.vsock_shutdown!(conn, 1);
    expect(received().map(({ op, flags }) => [op, flags])).toEqual([
      [OP.shutdown, 2],
      [OP.shutdown, 3],
    ]);
    expect(hostSend(conn, Buffer.from('x'))).toBe(-32);
    send(OP.rst);
    expect(events()).toMatchObject([{ conn, event: EV.reset }]);
  });

  test('data that nobody receives any more is counted as consumed', () => {
    giveBuffers(8);
    const conn = connection();
    core.x.vsock_shutdown!(conn, 1);
    ops();
    send(OP.rw, { data: Buffer.alloc(1000) });
    expect(kinds()).toEqual([]);
    send(OP.creditRequest);
    expect(received()).toMatchObject([{ op: OP.creditUpdate, fwdCnt: 1000 }]);
  });

  test('the host’s reset goes out once; the handle is dead', () => {
    giveBuffers(4);
    const conn = connection();
    ops();
    expect(core.x.vsock_reset!(conn)).toBe(0);
    expect(ops()).toEqual([OP.rst]);
    expect(core.x.vsock_reset!(conn)).toBe(-32);
    expect(core.x.vsock_accept!(conn)).toBe(-32);
    expect(core.x.vsock_consumed!(conn, 1)).toBe(-32);
    expect(core.x.vsock_shutdown!(conn, 3)).toBe(-32);
  });

  test('a handle of before does not reach the next connection in its place', () => {
    giveBuffers(60);
    const first = connection({ srcPort: 1 });
    core.x.vsock_reset!(first);
    for (let i = 0; i < 512; i++) {
      const next = connection({ srcPort: 2 + i });
      expect(next).not.toBe(first);
      core.x.vsock_reset!(next);
      ops();
      giveBuffers(2);
    }
    expect(hostSend(first, Buffer.from('x'))).toBe(-32);
  });

  test('a reset from inside the data event drops the rest of the packet', () => {
    giveBuffers(4);
    const conn = connection();
    core.host.onVsock = ({ event: kind }) => {
      if (kind === EV.data) core.x.vsock_reset!(conn);
    };
    const h = Buffer.alloc(HDR);
    h.writeBigUInt64LE(3n, 0);
    h.writeBigUInt64LE(2n, 8);
    h.writeUInt32LE(GUEST_PORT, 16);
    h.writeUInt32LE(PORT, 20);
    h.writeUInt32LE(8, 24);
    h.writeUInt16LE(1, 28);
    h.writeUInt16LE(OP.rw, 30);
    h.writeUInt32LE(WINDOW, 36);
    const [first, gap, second] = [d.buffer(Buffer.from('abcd')), d.memory.take(64), d.buffer(Buffer.from('efgh'))];
    expect(second - first).toBeGreaterThan(gap - first);
    tx.add([
      { gpa: d.buffer(h), len: HDR },
      { gpa: first, len: 4 },
      { gpa: second, len: 4 },
    ]);
    tx.kick();
    expect(kinds()).toEqual([EV.data]);
    expect(tx.takeUsed()).toHaveLength(1);
  });

  test('a device reset ends all connections, told by the owner once', () => {
    giveBuffers(8);
    const conns = [1, 2].map((port) => connection({ srcPort: port }));
    core.host.inline = false;
    d.write(REG.status, 0);
    expect(kinds()).toEqual([]);
    expect(hostSend(conns[0]!, Buffer.from('x'))).toBe(-32);
    core.x.device_process!(SLOT, 0xffff);
    expect(events().map(({ conn, event: kind }) => [conn, kind])).toEqual(conns.map((conn) => [conn, EV.reset]));
    core.x.device_process!(SLOT, 0xffff);
    expect(kinds()).toEqual([]);
  });

  test('a transport reset ends connections, changes the CID and tells the driver, at once or when it can', () => {
    giveBuffers(8);
    connection();
    core.x.vsock_transport_reset!(9);
    expect(kinds()).toEqual([EV.reset]);
    expect(d.read64(REG.config)).toBe(9n);
    expect(event.usedIdx).toBe(0);
    const gpa = d.buffer(Buffer.alloc(4, 0xff));
    event.add([{ gpa, len: 4, write: true }]);
    event.kick();
    expect(event.takeUsed()).toEqual([{ id: 0, len: 4 }]);
    expect(core.guest(gpa, 4).readUInt32LE()).toBe(0);
    send(OP.request, { srcCid: 9n });
    expect(kinds()).toEqual([EV.request]);
  });
});

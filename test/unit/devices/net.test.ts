/** Cables without a guest: frames in and out of real sockets, by a frame that lies in a memory as the core's does. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { CapturedBackend, openCapture } from '../../../vmm/devices/net/capture.ts';
import { Frame, Vectors } from '../../../vmm/devices/net/frames.ts';
import { FrameReader, putLength } from '../../../vmm/devices/net/framing.ts';
import { LimitedBackend } from '../../../vmm/devices/net/limited.ts';
import { StreamBackend } from '../../../vmm/devices/net/stream.ts';
import { LinearMemory } from '../../../vmm/host/linear-memory.ts';
import { setNonBlocking, socketPair } from '../../../vmm/host/net.ts';

const RAM = 1 << 20;
const memory = new WebAssembly.Memory({ initial: (RAM_BASE + RAM) / 65536, maximum: (RAM_BASE + RAM) / 65536, shared: true });
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const HDR = 0x1_0000;
const TABLE = 0x1_1000;
const dir = mkdtempSync(join(tmpdir(), 'vmm-cables-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** A frame in pieces of these sizes, one behind the other with a hole in between. */
function frameOf(sizes: readonly number[], count = sizes.reduce((sum, size) => sum + size, 0)): Frame {
  let at = RAM_BASE;
  sizes.forEach((size, i) => {
    view.setUint32(TABLE + 8 * i, at, true);
    view.setUint32(TABLE + 8 * i + 4, size, true);
    at += size + 64;
  });
  const frame = new Frame(memory, RAM);
  if (frame.set(HDR, TABLE, sizes.length, count) !== 0) throw new Error('a good frame is refused');
  return frame;
}

const content = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 255);

describe('a frame in guest memory', () => {
  it.each([
    ['a piece below guest memory', RAM_BASE - 1, 10],
    ['a piece that ends behind it', RAM_BASE + RAM - 9, 10],
    ['a piece whose end wraps', 0xffff_fff0, 0x20],
  ])('%s is refused', (_name, at, size) => {
    view.setUint32(TABLE, at, true);
    view.setUint32(TABLE + 4, size, true);
    expect(new Frame(memory, RAM).set(HDR, TABLE, 1, 10)).toBe(-22);
  });

  it('a header outside the devices’ own memory, too many pieces, and fewer bytes than are claimed', () => {
    const frame = new Frame(memory, RAM);
    frameOf([10]);
    for (const hdr of [0, RAM_BASE, 0x9_0000 - 11]) expect(frame.set(hdr, TABLE, 1, 10)).toBe(-22);
    expect(frame.set(HDR, TABLE, 301, 10)).toBe(-22);
    expect(frame.set(HDR, TABLE, 1, 11)).toBe(-22);
  });

  it('copies out and in over all pieces', () => {
    const frame = frameOf([3, 1, 60, 7]);
    frame.copyFrom(content(71, 5));
    const out = new Uint8Array(71);
    frame.copyTo(out);
    expect(out).toEqual(content(71, 5));
  });
});

describe('QEMU’s framing', () => {
  /** A stream of these frames, cut as `cuts` says, through a reader; what comes out. */
  function through(frames: readonly Uint8Array[], cuts: readonly number[], room: number): number[][] {
    const stream = Buffer.concat(frames.map((one) => {
      const length = new Uint8Array(4);
      putLength(length, one.length);
      return Buffer.concat([length, one]);
    }));
    const reader = new FrameReader();
    const out: number[][] = [];
    let at = 0;
    for (let turn = 0; at < stream.length; turn++) {
      const part = stream.subarray(at, at + (cuts[turn % Math.max(cuts.length, 1)] ?? stream.length));
      const space = reader.room();
      const taken = Math.min(space.length, part.length);
      space.set(part.subarray(0, taken));
      reader.added(taken);
      at += taken;
      for (;;) {
        const frame = frameOf([room]);
        const length = reader.take(frame, true);
        if (length <= 0) {
          if (length < 0) return [...out, [length]];
          break;
        }
        out.push([...bytes.subarray(RAM_BASE, RAM_BASE + length)]);
      }
    }
    return out;
  }

  it('frames come whole however the stream is cut', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 }), (sizes, cuts) => {
      const frames = sizes.map((size, i) => content(size, i));
      expect(through(frames, cuts, 300)).toEqual(frames.map((one) => [...one]));
    }), { numRuns: Number(process.env['VMM_CASES'] ?? 200) });
  });

  it('one that the guest has no room for is left out, an empty one too', () => {
    expect(through([content(50, 1), content(200, 2), content(0, 3), content(60, 4)], [], 100).map((one) => one.length)).toEqual([50, 60]);
  });

  it('a length that no frame has ends the stream', () => {
    expect(through([content(60, 1), content(65590, 2)], [], 100)).toEqual([[...content(60, 1)], [-74]]);
  });

  it('any bytes at all do no more than that', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 300 }), (stream, cut) => {
      const reader = new FrameReader();
      for (let at = 0; at < stream.length; at += cut) {
        const space = reader.room();
        const part = stream.subarray(at, Math.min(at + cut, at + space.length));
        space.set(part);
        reader.added(part.length);
        for (let turn = 0, got = 1; got > 0; turn++) {
          got = reader.take(frameOf([1500]), turn % 2 === 0);
          expect(got).toBeLessThanOrEqual(1500);
        }
      }
    }), { numRuns: Number(process.env['VMM_CASES'] ?? 200) });
  });
});

describe('a stream socket', () => {
  let pair: [number, number];
  let lost: number[];
  let ends: [StreamBackend, StreamBackend];
  beforeEach(() => {
    pair = socketPair();
    lost = [];
    pair.forEach(setNonBlocking);
    const make = (fd: number): StreamBackend => new StreamBackend(fd, new Vectors(new LinearMemory(memory)), (errno) => void lost.push(errno));
    ends = [make(pair[0]), make(pair[1])];
  });
  afterEach(() => pair.forEach((fd) => fd >= 0 && closeSync(fd)));

  /** Takes all frames that have come. */
  function all(end: StreamBackend): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (;;) {
      const length = end.receive(frameOf([9, 100, 70000]), true);
      if (length <= 0) return out;
      const frame = new Uint8Array(length);
      frameOf([9, 100, 70000]).copyTo(frame, 0, length);
      out.push(frame);
    }
  }

  it('frames go through in order while it is full again and again', () => {
    const got: Uint8Array[] = [];
    const sizes = [14, 60, 1514, 9014, 65589];
    let full = 0;
    for (let i = 0; i < 300; i++) {
      const body = content(sizes[i % sizes.length] as number, i);
      for (;;) {
        const frame = frameOf([10, body.length - 10]);
        frame.copyFrom(body);
        const sent = ends[0].send(frame);
        if (sent === body.length) break;
        if (sent !== -11 || lost.length > 0) throw new Error(`send gives ${sent}, lost ${lost}`);
        full++;
        got.push(...all(ends[1]));
      }
    }
    got.push(...all(ends[1]));
    // The end of the last frame may still wait at the sender's.
    for (let i = 0; got.length < 300 && i < 100; i++) {
      ends[0].send(frameOf([14]));
      got.push(...all(ends[1]));
    }
    expect(full).toBeGreaterThan(0);
    expect(got.slice(0, 300).map((frame, i) => Buffer.compare(frame, content(sizes[i % sizes.length] as number, i)))).toEqual(new Array(300).fill(0));
  });

  it('a frame that has no room yet waits', () => {
    ends[0].send(frameOf([500]));
    expect(ends[1].receive(frameOf([100]), false)).toBe(-105);
    expect(ends[1].receive(frameOf([100, 400]), false)).toBe(500);
    expect(ends[1].receive(frameOf([100]), false)).toBe(0);
  });

  it.each([
    ['closed', () => {}, 0],
    ['out of step', (fd: number) => void writeSync(fd, Buffer.from('GET / HTTP/1.0\r\n\r\n')), 74],
  ])('an other side that is %s is lost, once', (_name, work, errno) => {
    work(pair[0]);
    closeSync(pair[0]);
    pair[0] = -1;
    expect(ends[1].receive(frameOf([100]), true)).toBe(0);
    expect(lost).toEqual([errno]);
    expect(ends[1].send(frameOf([60]))).toBeLessThan(0);
  });

  it('a limit holds frames back, and says when to look again', () => {
    const again: number[] = [];
    const limited = new LimitedBackend(ends[0], { tx: { operations: { perSecond: 1, burst: 2 } }, rx: { bytes: { perSecond: 1, burst: 1 } } }, (ms) => void again.push(ms));
    expect([1, 2, 3].map(() => limited.send(frameOf([60])))).toEqual([60, 60, -11]);
    expect(again[0]).toBeGreaterThan(0);
    ends[1].send(frameOf([60]));
    ends[1].send(frameOf([60]));
    expect(limited.receive(frameOf([100]), true)).toBe(60);
    expect(limited.receive(frameOf([100]), true)).toBe(0);
    expect(again.at(-1)).toBeGreaterThan(50_000);
  });

  it('a capture has both directions, as pcap(5) says', () => {
    const path = join(dir, 'both.pcap');
    const fd = openCapture(path);
    const captured = new CapturedBackend(ends[0], fd, () => {});
    const out = frameOf([20, 40]);
    out.copyFrom(content(60, 1));
    captured.send(out);
    frameOf([1000]).copyFrom(content(77, 2));
    ends[1].send(frameOf([77]));
    expect(captured.receive(frameOf([50, 50]), true)).toBe(77);
    closeSync(fd);
    const file = readFileSync(path);
    expect(file.subarray(0, 24).toString('hex')).toBe('d4c3b2a102000400000000000000000035000100' + '01000000');
    expect(file.readUInt32LE(24 + 8)).toBe(60);
    expect(Uint8Array.from(file.subarray(40, 100))).toEqual(content(60, 1));
    expect([file.readUInt32LE(100 + 8), file.readUInt32LE(100 + 12), file.length]).toEqual([77, 77, 116 + 77]);
    expect(Math.abs(file.readUInt32LE(100) - Date.now() / 1000)).toBeLessThan(600);
  });

  it('a full disk ends the capture, not the cable', () => {
    const errors: number[] = [];
    const fd = openSync('/dev/full', 'w');
    const captured = new CapturedBackend(ends[0], fd, (errno) => void errors.push(errno));
    for (let i = 0; i < 3; i++) expect(captured.send(frameOf([60]))).toBe(60);
    closeSync(fd);
    expect(errors).toEqual([28]);
    expect(() => openCapture('/dev/full')).toThrow(expect.objectContaining({ code: 'NET_CAPTURE' }));
    expect(() => openCapture(join(dir, 'no/such'))).toThrow(expect.objectContaining({ code: 'NET_CAPTURE' }));
  });
});

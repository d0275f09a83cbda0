/** What comes out of order, against a plain array of bytes. */
import { describe, expect, it } from 'vitest';
import { Receiver } from '../../../vmm/gateway/tcp/receiver.ts';
import { FIN, type Segment } from '../../../vmm/gateway/tcp/segment.ts';
import { randomNumbers } from '../../support/gateway/random.ts';

const segment = (seq: number, payload: Uint8Array, flags = 0): Segment => ({ sourcePort: 1, targetPort: 2, seq: seq >>> 0, ack: 0, flags: 16 | flags, window: 0, mss: 0, scale: -1, sack: true, payload });

describe('a receiver', () => {
  it('puts together what comes in any order, twice, and overlapping, around the end of the sequence numbers', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomNumbers(seed);
      const length = 1 + Math.floor(random() * 12_000);
      const bytes = Uint8Array.from({ length }, () => random() * 256);
      const irs = (2 ** 32 - Math.floor(random() * length)) >>> 0;
      const receiver = new Receiver(irs, true);
      receiver.advertise(0, 1 << 20);
      const got: number[] = [];
      const push = (part: Uint8Array): void => void got.push(...part);
      for (let turn = 0; turn < 5000 && !receiver.ended; turn++) {
        const from = Math.floor(random() * length);
        const end = Math.min(length, from + 1 + Math.floor(random() * 3000));
        const one = segment(irs + 1 + from, bytes.subarray(from, end), end === length ? FIN : 0);
        if (receiver.acceptable(one)) receiver.take(one, 1 << 20, push);
        receiver.advertise(0, 1 << 20);
        for (const [first, last] of receiver.early.blocks()) expect(((last - first) | 0) > 0 && ((first - receiver.nxt) | 0) > 0).toBe(true);
      }
      // What random pieces have not covered.
      const rest = segment(irs + 1, bytes, FIN);
      if (!receiver.ended) receiver.take(rest, 1 << 20, push);
      expect(receiver.ended).toBe(true);
      expect(Buffer.from(got).equals(Buffer.from(bytes))).toBe(true);
      expect(receiver.early.held).toBe(0);
    }
  });

  it('takes no more than it has said, nor than there is room for', () => {
    const receiver = new Receiver(0, false);
    receiver.advertise(0, 1 << 20);
    const got: Uint8Array[] = [];
    expect(receiver.take(segment(1, new Uint8Array(70_000)), 1 << 20, (bytes) => got.push(bytes))).toBe(false);
    expect(got.map(({ length }) => length)).toEqual([0xffff]);
    const second = new Receiver(0, true);
    second.advertise(0, 1 << 20);
    expect(second.take(segment(1, new Uint8Array(5000)), 1000, (bytes) => got.push(bytes))).toBe(false);
    expect(second.nxt).toBe(1001);
    second.take(segment(3000, new Uint8Array(500)), 499, () => {});
    expect(second.early.held).toBe(0);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import * as P from '../../../vmm/agent/generated/protocol.ts';
import { encodeMessage, FieldWriter, MessageReader, readFields, u32Of, u32sOf, u64sOf } from '../../../vmm/agent/wire.ts';
import { cValues } from '../../support/c-values.ts';
import { PROJECT } from './harness.ts';

describe('protocol.ts', () => {
  it('has the names of protocol.h, with the values that the C compiler gives them', () => {
    const header = join(PROJECT, 'guest-kernel/init/protocol.h');
    const names = [...readFileSync(header, 'utf8').matchAll(/^#define (\w+) /gm)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(100);
    const values = cValues([header], names);
    expect(Object.fromEntries(names.map((name, index) => [name, values[index]]))).toEqual({ ...P });
  });

  it('no two tags or messages have the same number', () => {
    for (const prefix of ['TAG_', 'MSG_', 'ERR_']) {
      const numbers = Object.entries(P).filter(([name]) => name.startsWith(prefix) && name !== 'TAG_OPTIONAL').map(([, value]) => value);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });
});

describe('fields', () => {
  const u16 = fc.nat(0xffff);

  it('written, then read: the same', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(u16, fc.uint8Array({ maxLength: 3000 }))), (fields) => {
        const w = new FieldWriter();
        for (const [tag, value] of fields) w.bytes(tag, value);
        expect(readFields(w.finish()).map(({ tag, value }) => [tag, [...value]])).toEqual(fields.map(([tag, value]) => [tag, [...value]]));
      }),
    );
  });

  it('numbers keep their value and order', () => {
    const w = new FieldWriter().u32(1, 0, 0xffffffff, -1).u64(2, 2n ** 64n - 1n, 5n).u32(3, 7);
    const [a, b, c] = readFields(w.finish());
    expect(u32sOf(a!, 3)).toEqual([0, 0xffffffff, 0xffffffff]);
    expect(u64sOf(b!, 2)).toEqual([2n ** 64n - 1n, 5n]);
    expect(u32Of(c!)).toBe(7);
    expect(() => u32Of(b!)).toThrow(VmmError);
  });

  it('random bytes: fields or AGENT_PROTOCOL, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          const length = readFields(bytes).reduce((sum, field) => sum + 8 + field.value.length, 0);
          expect(length).toBe(bytes.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'AGENT_PROTOCOL' });
        }
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('messages', () => {
  it('cut at any place into chunks: the same messages', () => {
    const message = fc.record({ type: fc.nat(0xffff), flags: fc.nat(0xffff), id: fc.nat(0xffffffff), payload: fc.uint8Array({ maxLength: 200 }) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (messages, sizes) => {
        const bytes = Buffer.concat(messages.map((m) => encodeMessage(m.type, m.flags, m.id, m.payload)));
        const reader = new MessageReader(P.MAX_REPORT);
        const read = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = at + (sizes[i % sizes.length] as number);
          read.push(...reader.push(bytes.subarray(at, end)));
          at = end;
        }
        expect(read.map((m) => ({ ...m, payload: [...m.payload] }))).toEqual(messages.map((m) => ({ ...m, payload: [...m.payload] })));
      }),
    );
  });

  it('longer than the limit: AGENT_PROTOCOL before anything is allocated', () => {
    const reader = new MessageReader(100);
    expect(() => reader.push(encodeMessage(1, 0, 0, new Uint8Array(101)))).toThrow(/a message of 101 bytes, at most 100/);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePacket, fromHex, hexNumber, littleHex, littleValue, PACKET_MAX, type PacketEvent, PacketReader, toHex } from '../../../vmm/gdb/packets.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const kinds = (events: readonly PacketEvent[]): string[] => events.map((event) => (event.kind === 'packet' ? `packet ${Buffer.from(event.data).toString('latin1')}` : event.kind));

describe('packets', () => {
  it('the manual’s form: dollar, data, number sign, two digits of the sum', () => {
    expect(Buffer.from(encodePacket('OK')).toString()).toBe('$OK#9a');
    expect(Buffer.from(encodePacket('')).toString()).toBe('$#00');
  });

  it('dollar, number sign, brace and star are escaped', () => {
    expect(Buffer.from(encodePacket('$#}*')).toString('latin1')).toBe('$}\x04}\x03}]}\n#62');
  });

  it('any bytes come back, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), fc.array(fc.nat(40)), (packets, cuts) => {
        const stream = Buffer.concat(packets.map((packet) => encodePacket(packet)));
        const reader = new PacketReader();
        const events: PacketEvent[] = [];
        let at = 0;
        for (const cut of cuts) {
          events.push(...reader.feed(stream.subarray(at, at + cut)));
          at = Math.min(stream.length, at + cut);
        }
        events.push(...reader.feed(stream.subarray(at)));
        expect(events.map((event) => (event.kind === 'packet' ? [...event.data] : event.kind))).toEqual(packets.map((packet) => [...packet]));
      }),
    );
  });

  it('a flipped bit in the data never gives the packet that was sent', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (data, where, bit) => {
        const stream = encodePacket(data);
        const at = 1 + (where % (stream.length - 4));
        stream[at] = (stream[at] as number) ^ (1 << bit);
        const events = new PacketReader().feed(stream);
        expect(events.some((event) => event.kind === 'packet' && Buffer.from(event.data).equals(Buffer.from(data)))).toBe(false);
      }),
    );
  });

  it('random bytes: the reader neither throws nor holds more than a packet', () => {
    const reader = new PacketReader();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (data) => {
        for (const event of reader.feed(data)) if (event.kind === 'packet') expect(event.data.length).toBeLessThanOrEqual(PACKET_MAX);
      }),
    );
  });

  it('outside packets: acknowledgements and the interrupt; other bytes are noise', () => {
    expect(kinds(new PacketReader().feed(bytes('+-\x03noise$g#67+')))).toEqual(['ack', 'nak', 'interrupt', 'packet g', 'ack']);
  });

  it('0x03 within a packet is data', () => {
    expect(kinds(new PacketReader().feed(encodePacket('a\x03b')))).toEqual(['packet a\x03b']);
  });

  it('wrong checksum, digits that are none, a packet within a packet: bad, and the next one counts', () => {
    expect(kinds(new PacketReader().feed(bytes('$g#68$g#67')))).toEqual(['bad', 'packet g']);
    expect(kinds(new PacketReader().feed(bytes('$g#zz$g#67')))).toEqual(['bad', 'packet g']);
    expect(kinds(new PacketReader().feed(bytes('$lost$g#67')))).toEqual(['bad', 'packet g']);
  });

  it('PACKET_MAX bytes fit, one more is bad', () => {
    const reader = new PacketReader();
    expect(kinds(reader.feed(encodePacket('a'.repeat(PACKET_MAX))))).toEqual([`packet ${'a'.repeat(PACKET_MAX)}`]);
    expect(kinds(reader.feed(encodePacket('a'.repeat(PACKET_MAX + 1))))).toEqual(['bad']);
    expect(kinds(reader.feed(encodePacket('g')))).toEqual(['packet g']);
  });
});

describe('numbers', () => {
  it('hex goes there and back, and what is no hex is undefined', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (data) => {
      expect(fromHex(toHex(data))).toEqual(data);
    }));
    for (const text of ['0', 'xx', '0g', ' 00']) expect(fromHex(text)).toBeUndefined();
  });

  it('hexNumber: 1 to 16 digits and nothing else', () => {
    expect(hexNumber('ffffffffffffffff')).toBe((1n << 64n) - 1n);
    for (const text of ['', '-1', '0x1', '1 ', '10000000000000000', 'g']) expect(hexNumber(text)).toBeUndefined();
  });

  it('registers are little-endian', () => {
    expect(littleHex(0x1234n, 4)).toBe('34120000');
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 80n) - 1n }), (value) => {
      expect(littleValue(fromHex(littleHex(value, 10)) as Uint8Array)).toBe(value);
    }));
  });
});

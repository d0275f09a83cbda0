/**
 * Packets of gdb's remote serial protocol (gdb manual, appendix E.1): `$data#checksum`, where `}` escapes the byte behind it,
 * XOR 0x20. Outside packets: `+` and `-` acknowledge, 0x03 interrupts.
 */
const START = 0x24; // $
const END = 0x23; // #
const ESCAPE = 0x7d; // }
const REPEAT = 0x2a; // *
const ACK = 0x2b;
const NAK = 0x2d;
const INTERRUPT = 0x03;

/** Bytes of the longest packet's data that are taken; gdb is told this number (PacketSize). */
export const PACKET_MAX = 0x4000;

export type PacketEvent =
  | { readonly kind: 'packet'; readonly data: Uint8Array }
  /** A packet with a wrong checksum, or a longer one than PACKET_MAX. */
  | { readonly kind: 'bad' }
  | { readonly kind: 'interrupt' | 'ack' | 'nak' };

/** Cuts a byte stream into packets. What it holds is bounded by PACKET_MAX, whatever comes. */
export class PacketReader {
  readonly #data = new Uint8Array(PACKET_MAX);
  #length = 0;
  #sum = 0;
  #state: 'outside' | 'data' | 'escaped' | 'sum1' | 'sum2' = 'outside';
  #tooLong = false;
  #given = 0;

  feed(bytes: Uint8Array): PacketEvent[] {
    const events: PacketEvent[] = [];
    for (const byte of bytes) {
      const event = this.#byte(byte);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #byte(byte: number): PacketEvent | undefined {
    switch (this.#state) {
      case 'outside':
        if (byte === START) this.#begin();
        else if (byte === INTERRUPT) return { kind: 'interrupt' };
        else if (byte === ACK) return { kind: 'ack' };
        else if (byte === NAK) return { kind: 'nak' };
        return undefined;
      case 'data':
        if (byte === START) {
          // The end of the last one got lost: a new one begins.
          this.#begin();
          return { kind: 'bad' };
        }
        if (byte === END) {
          this.#state = 'sum1';
          return undefined;
        }
        this.#sum = (this.#sum + byte) & 0xff;
        if (byte === ESCAPE) this.#state = 'escaped';
        else this.#put(byte);
        return undefined;
      case 'escaped':
        this.#sum = (this.#sum + byte) & 0xff;
        this.#put(byte ^ 0x20);
        this.#state = 'data';
        return undefined;
      case 'sum1':
        this.#given = hexDigit(byte) << 4;
        this.#state = 'sum2';
        return undefined;
      case 'sum2': {
        this.#state = 'outside';
        const given = this.#given | hexDigit(byte);
        if (this.#tooLong || given !== this.#sum) return { kind: 'bad' };
        return { kind: 'packet', data: this.#data.slice(0, this.#length) };
      }
    }
  }

  #begin(): void {
    this.#state = 'data';
    this.#length = 0;
    this.#sum = 0;
    this.#tooLong = false;
  }

  #put(byte: number): void {
    if (this.#length < PACKET_MAX) this.#data[this.#length++] = byte;
    else this.#tooLong = true;
  }
}

/** Value of a hex digit; for any other byte a number that no checksum equals. */
function hexDigit(byte: number): number {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? 0x1000 : value;
}

/** A whole packet around `data`; text is taken as Latin-1. */
export function encodePacket(data: string | Uint8Array): Uint8Array {
  const from = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  const out: number[] = [START];
  let sum = 0;
  const put = (byte: number): void => {
    out.push(byte);
    sum = (sum + byte) & 0xff;
  };
  for (const byte of from) {
    if (byte === START || byte === END || byte === ESCAPE || byte === REPEAT) {
      put(ESCAPE);
      put(byte ^ 0x20);
    } else put(byte);
  }
  out.push(END, ...Buffer.from(sum.toString(16).padStart(2, '0')));
  return Uint8Array.from(out);
}

/** Bytes as hex digits. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** Bytes of hex digits; undefined when there are others or one is missing. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

/** A hex number of at most 64 bits, without sign or prefix; undefined for anything else. */
export function hexNumber(text: string): bigint | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** `size` bytes of `value`, least significant first, as hex: a register in the target's byte order. */
export function littleHex(value: bigint, size: number): string {
  const big = BigInt.asUintN(size * 8, value).toString(16).padStart(size * 2, '0');
  return (big.match(/../g) ?? []).reverse().join('');
}

/** The value of such bytes. */
export function littleValue(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}

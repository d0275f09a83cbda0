import { protocolError } from './errors.ts';
import { FLAG_REPLY, HEADER_SIZE, MAX_REQUEST } from './generated/protocol.ts';

const FIELD_HEADER = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One field of a payload: u16 tag, u16 zero, u32 length, value. */
export interface Field {
  readonly tag: number;
  readonly value: Uint8Array;
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Uint8Array;
}

/** Writes fields into a growing buffer, at most MAX_REQUEST bytes. */
export class FieldWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  /** Makes room for a field and returns the offset of its value. */
  #begin(tag: number, length: number): number {
    const end = this.#length + FIELD_HEADER + length;
    if (end > MAX_REQUEST) throw protocolError(`a request of more than ${MAX_REQUEST} bytes`);
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    const view = this.#view();
    view.setUint16(this.#length, tag, true);
    view.setUint16(this.#length + 2, 0, true);
    view.setUint32(this.#length + 4, length, true);
    const at = this.#length + FIELD_HEADER;
    this.#length = end;
    return at;
  }

  #view(): DataView {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  }

  bytes(tag: number, value: Uint8Array): this {
    const at = this.#begin(tag, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  string(tag: number, value: string): this {
    if (value.includes('\0')) throw protocolError(`a string with a NUL character in field 0x${tag.toString(16)}`);
    return this.bytes(tag, encoder.encode(value));
  }

  /** One or more 32-bit numbers; negative ones in two's complement. */
  u32(tag: number, ...values: number[]): this {
    const at = this.#begin(tag, 4 * values.length);
    const view = this.#view();
    values.forEach((value, i) => {
      view.setUint32(at + 4 * i, value >>> 0, true);
    });
    return this;
  }

  u16(tag: number, ...values: number[]): this {
    const at = this.#begin(tag, 2 * values.length);
    const view = this.#view();
    values.forEach((value, i) => {
      view.setUint16(at + 2 * i, value, true);
    });
    return this;
  }

  u64(tag: number, ...values: bigint[]): this {
    const at = this.#begin(tag, 8 * values.length);
    const view = this.#view();
    values.forEach((value, i) => {
      view.setBigUint64(at + 8 * i, BigInt.asUintN(64, value), true);
    });
    return this;
  }

  flag(tag: number): this {
    this.#begin(tag, 0);
    return this;
  }

  nested(tag: number, fields: FieldWriter): this {
    return this.bytes(tag, fields.finish());
  }

  /** The fields; a view that the next write may invalidate. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** The fields of a payload. Throws AGENT_PROTOCOL when it is malformed. */
export function readFields(payload: Uint8Array): Field[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const fields: Field[] = [];
  let at = 0;
  while (at < payload.length) {
    if (payload.length - at < FIELD_HEADER) throw protocolError('a field header is cut off');
    const length = view.getUint32(at + 4, true);
    if (view.getUint16(at + 2, true) !== 0) throw protocolError('a field header has reserved bits set');
    if (length > payload.length - at - FIELD_HEADER) throw protocolError('a field is longer than its message');
    const start = at + FIELD_HEADER;
    fields.push({ tag: view.getUint16(at, true), value: payload.subarray(start, start + length) });
    at = start + length;
  }
  return fields;
}

function viewOf(field: Field, size: number): DataView {
  if (field.value.length !== size) {
    throw protocolError(`field 0x${field.tag.toString(16)} has ${field.value.length} bytes, not ${size}`);
  }
  return new DataView(field.value.buffer, field.value.byteOffset, size);
}

export function u32Of(field: Field): number {
  return viewOf(field, 4).getUint32(0, true);
}

/** `count` 32-bit numbers. */
export function u32sOf(field: Field, count: number): number[] {
  const view = viewOf(field, 4 * count);
  return Array.from({ length: count }, (_, i) => view.getUint32(4 * i, true));
}

export function u64sOf(field: Field, count: number): bigint[] {
  const view = viewOf(field, 8 * count);
  return Array.from({ length: count }, (_, i) => view.getBigUint64(8 * i, true));
}

/** Text from the guest for a human: control characters would reach the user's terminal. */
export function textOf(field: Field): string {
  return decoder.decode(field.value).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

/** Text from the guest for a program: nothing is replaced. */
export function rawTextOf(field: Field): string {
  return decoder.decode(field.value);
}

/** A whole message: header and payload. */
export function encodeMessage(type: number, flags: number, id: number, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_REQUEST) throw protocolError(`a request of more than ${MAX_REQUEST} bytes`);
  const bytes = new Uint8Array(HEADER_SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, id, true);
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}

/** Cuts a byte stream into messages, with a bound on each one's size. */
export class MessageReader {
  readonly #limit: number;
  #header = new Uint8Array(HEADER_SIZE);
  #headerLength = 0;
  #payload: Uint8Array | undefined;
  #payloadLength = 0;

  /** @param limit the largest payload that is accepted, in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a chunk and returns the messages that it completes; the payloads are copies. */
  push(chunk: Uint8Array): Message[] {
    const messages: Message[] = [];
    let at = 0;
    for (;;) {
      if (this.#payload === undefined) {
        const n = Math.min(HEADER_SIZE - this.#headerLength, chunk.length - at);
        this.#header.set(chunk.subarray(at, at + n), this.#headerLength);
        this.#headerLength += n;
        at += n;
        if (this.#headerLength < HEADER_SIZE) return messages;
        const length = new DataView(this.#header.buffer).getUint32(0, true);
        if (length > this.#limit) throw protocolError(`a message of ${length} bytes, at most ${this.#limit}`);
        this.#payload = new Uint8Array(length);
        this.#payloadLength = 0;
      }
      const n = Math.min(this.#payload.length - this.#payloadLength, chunk.length - at);
      this.#payload.set(chunk.subarray(at, at + n), this.#payloadLength);
      this.#payloadLength += n;
      at += n;
      if (this.#payloadLength < this.#payload.length) return messages;
      const view = new DataView(this.#header.buffer);
      messages.push({
        type: view.getUint16(4, true),
        flags: view.getUint16(6, true),
        id: view.getUint32(8, true),
        payload: this.#payload,
      });
      this.#payload = undefined;
      this.#headerLength = 0;
    }
  }
}

export function isReply(message: Message): boolean {
  return (message.flags & FLAG_REPLY) !== 0;
}

/** DER (X.690) as certificates, timestamps and what notary reads have it: read element by element, written by hand. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With its tag and length. */
  readonly raw: Buffer;
}

/** The elements one after the other; throws RangeError for what is none. */
export function* each(bytes: Buffer): Generator<Element> {
  for (let at = 0; at < bytes.length; ) {
    const start = at;
    const tag = bytes.readUInt8(at);
    let length = bytes.readUInt8(at + 1);
    at += 2;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size === 0 || size > 4) throw new RangeError('length');
      length = bytes.readUIntBE(at, size);
      at += size;
    }
    if (at + length > bytes.length) throw new RangeError('length');
    yield { tag, content: bytes.subarray(at, at + length), raw: bytes.subarray(start, at + length) };
    at += length;
  }
}

export function elements(bytes: Buffer): Element[] {
  return [...each(bytes)];
}

/** What is in an element, which has to be there. Throws RangeError. */
export function inside(element: Element | undefined, tag?: number): Element[] {
  return elements(need(element, tag).content);
}

export function need(element: Element | undefined, tag?: number): Element {
  if (element === undefined || (tag !== undefined && element.tag !== tag)) throw new RangeError('an element is missing');
  return element;
}

export function oidText(bytes: Buffer): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of bytes) {
    value = value * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(value / 40)), value - 40 * Math.min(2, Math.floor(value / 40)));
    else arcs.push(value);
    value = 0;
  }
  return arcs.join('.');
}

/** The identifier that leads a sequence, as an AlgorithmIdentifier has it. */
export function leadingOid(element: Element | undefined): string {
  return oidText(need(inside(element, 0x30)[0], 0x06).content);
}

/** Of a certificate, or of a list of those that were revoked (RFC 5280, 4.1 and 5.1). */
export interface Extension {
  readonly id: string;
  readonly critical: boolean;
  /** DER. */
  readonly value: Buffer;
}

/** Throws RangeError. */
export function extensionOf(element: Element): Extension {
  const parts = inside(element, 0x30);
  return { id: oidText(need(parts[0], 0x06).content), critical: parts.length > 2 && parts[1]?.content[0] !== 0, value: need(parts.at(-1), 0x04).content };
}

/** UTCTime or GeneralizedTime in UTC. Throws RangeError. */
export function timeOf(element: Element | undefined): Date {
  const { tag, content } = need(element);
  const text = content.toString('latin1');
  const match = /^(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(text);
  const [, year = '', month, day, hour, minute, second, fraction = ''] = match ?? [];
  if (match === null || (tag === 0x17) !== (year.length === 2) || (tag !== 0x17 && tag !== 0x18)) throw new RangeError('no time');
  const full = year.length === 4 ? year : Number(year) >= 50 ? `19${year}` : `20${year}`;
  const date = new Date(`${full}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}Z`);
  if (Number.isNaN(date.getTime())) throw new RangeError('no time');
  return date;
}

/** Octets of a BIT STRING without unused bits. Throws RangeError. */
export function bitsOf(element: Element | undefined): Buffer {
  const { content } = need(element, 0x03);
  if (content[0] !== 0) throw new RangeError('unused bits');
  return content.subarray(1);
}

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from(length < 128 ? [tag, length] : [tag, 0x80 | bytes.length, ...bytes]), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
export const octets = (bytes: Uint8Array): Buffer => der(0x04, bytes);

/** Never negative. */
export function integer(bytes: Uint8Array): Buffer {
  return der(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/**
 * The little of AML (ACPI 6.5 chapter 20) that a DSDT of fixed devices needs. Each function returns the encoded bytes.
 */
type Bytes = readonly number[];

/** PkgLength (§20.2.4) in front of `body`, whose size counts itself. */
function withPkgLength(body: Bytes): number[] {
  for (let extra = 0; extra <= 3; extra++) {
    const length = body.length + 1 + extra;
    if (extra === 0 && length < 64) return [length, ...body];
    if (extra > 0 && length < 2 ** (4 + 8 * extra)) {
      const head = [(extra << 6) | (length & 15)];
      for (let i = 0; i < extra; i++) head.push((length >> (4 + 8 * i)) & 0xff);
      return [...head, ...body];
    }
  }
  throw new RangeError('AML package over 256 MiB');
}

function nameSeg(name: string): number[] {
  return [...Buffer.from(name.padEnd(4, '_'), 'latin1')];
}

export function scope(path: string, ...terms: Bytes[]): number[] {
  return [0x10, ...withPkgLength([0x5c, ...nameSeg(path), ...terms.flat()])];
}

export function device(name: string, ...terms: Bytes[]): number[] {
  return [0x5b, 0x82, ...withPkgLength([...nameSeg(name), ...terms.flat()])];
}

export function name(id: string, value: Bytes): number[] {
  return [0x08, ...nameSeg(id), ...value];
}

export function integer(value: number): number[] {
  if (value === 0) return [0x00];
  if (value === 1) return [0x01];
  if (value < 0x100) return [0x0a, value];
  if (value < 0x10000) return [0x0b, value & 0xff, value >> 8];
  return [0x0c, ...u32(value)];
}

export function string(text: string): number[] {
  return [0x0d, ...Buffer.from(text, 'latin1'), 0];
}

/** An EISA id such as `PNP0501`, compressed (§19.3.4). */
export function eisaId(id: string): number[] {
  const letter = (i: number): number => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return [0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

export function pkg(...elements: Bytes[]): number[] {
  return [0x12, ...withPkgLength([elements.length, ...elements.flat()])];
}

/** A resource template: a buffer of descriptors with an end tag. */
export function resources(...descriptors: Bytes[]): number[] {
  const body = [...descriptors.flat(), 0x79, 0x00];
  return [0x11, ...withPkgLength([...integer(body.length), ...body])];
}

/** Memory32Fixed, read-write (§6.4.3.4). */
export function memory32(base: number, length: number): number[] {
  return [0x86, 9, 0, 1, ...u32(base), ...u32(length)];
}

/** I/O port range, 16-bit decode (§6.4.2.5). */
export function io(base: number, length: number): number[] {
  return [0x47, 1, base & 0xff, base >> 8, base & 0xff, base >> 8, 1, length];
}

/** Extended interrupt: consumer, edge, active high, exclusive (§6.4.3.6). */
export function interrupt(gsi: number): number[] {
  return [0x89, 6, 0, 0b0011, 1, ...u32(gsi)];
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

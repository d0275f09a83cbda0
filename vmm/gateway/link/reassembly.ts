/** Fragments of the guest's put together again (RFC 791 3.2, RFC 8200 4.5, RFC 5722), as much as there is room for. */
import { addressText } from './address.ts';
import type { Packet } from './packets.ts';

const PACKETS_MAX = 16;
const BYTES_MAX = 65_535;
const LIFE_MS = 30_000;
/** Holes that a packet may have on its way. */
const RANGES_MAX = 64;

interface Partial {
  readonly since: number;
  readonly bytes: Uint8Array;
  /** Ranges that have come, in order, none beside another. */
  ranges: { from: number; to: number }[];
  /** Known once the last has come. */
  length: number | undefined;
}

export class Reassembly {
  /** The oldest first. */
  readonly #partials = new Map<string, Partial>();

  /** A fragment: the whole packet once it is there. What overlaps ends the packet. */
  add(packet: Packet, now: number): Packet | undefined {
    const { fragment, source, target, protocol } = packet;
    if (fragment === undefined) return packet;
    const { id, offset, more } = fragment;
    const length = packet.end - packet.at;
    const end = offset + length;
    if (length === 0 || end > BYTES_MAX || (more && length % 8 !== 0)) return undefined;
    const key = `${addressText(source)} ${addressText(target)} ${protocol} ${id}`;
    const partial = this.#partial(key, now);
    // One that comes twice.
    if (partial.ranges.some(({ from, to }) => offset >= from && end <= to)) return undefined;
    if (partial.ranges.some(({ from, to }) => offset < to && end > from) || (partial.length !== undefined && (end > partial.length || !more)) || (!more && partial.ranges.some(({ to }) => to > end))) {
      this.#partials.delete(key);
      return undefined;
    }
    if (partial.ranges.length > RANGES_MAX) {
      this.#partials.delete(key);
      return undefined;
    }
    partial.bytes.set(packet.bytes.subarray(packet.at, packet.end), offset);
    if (!more) partial.length = end;
    partial.ranges = merged([...partial.ranges, { from: offset, to: end }]);
    const [first, second] = partial.ranges;
    if (partial.length === undefined || second !== undefined || first?.from !== 0 || first.to !== partial.length) return undefined;
    this.#partials.delete(key);
    return { bytes: partial.bytes, start: 0, source: source.slice(), target: target.slice(), protocol, at: 0, end: partial.length, checked: packet.checked, fragment: undefined };
  }

  #partial(key: string, now: number): Partial {
    for (const [name, { since }] of this.#partials) if (now - since > LIFE_MS) this.#partials.delete(name);
    const found = this.#partials.get(key);
    if (found !== undefined) return found;
    const [oldest] = this.#partials.keys();
    if (this.#partials.size >= PACKETS_MAX && oldest !== undefined) this.#partials.delete(oldest);
    const made: Partial = { since: now, bytes: new Uint8Array(BYTES_MAX), ranges: [], length: undefined };
    this.#partials.set(key, made);
    return made;
  }
}

/** Ranges that touch become one. */
function merged(ranges: { from: number; to: number }[]): { from: number; to: number }[] {
  const out: { from: number; to: number }[] = [];
  for (const range of ranges.sort((a, b) => a.from - b.from)) {
    const last = out.at(-1);
    if (last !== undefined && last.to === range.from) last.to = range.to;
    else out.push({ ...range });
  }
  return out;
}

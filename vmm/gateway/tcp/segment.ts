/** TCP's header (RFC 9293 3.1) and the options that matter here (3.2; RFC 7323 2.2; RFC 2018). */
import { type Packet, PROTO_TCP, pseudoSum } from '../link/packets.ts';
import { checksum, get16, get32, put16, put32, sum16 } from '../link/wire.ts';

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const TCP_HEADER = 20;
const CHECKSUM_AT = 16;
const SCALE_MAX = 14;

/** Bytes that have come: the first's sequence number, and the one behind the last. */
export type Block = readonly [from: number, end: number];

export interface Segment {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  /** Of a SYN: its options; MSS 0 and scale -1: not said. */
  readonly mss: number;
  readonly scale: number;
  /** Of a SYN: selective acknowledgements are taken. */
  readonly sack: boolean;
  readonly payload: Uint8Array;
}

/** Undefined: too short, or its header's length makes no sense. The checksum is the caller's to look at. */
export function parseSegment({ bytes, at, end }: Packet): Segment | undefined {
  if (end - at < TCP_HEADER) return undefined;
  const header = ((bytes[at + 12] as number) >> 4) * 4;
  if (header < TCP_HEADER || at + header > end) return undefined;
  const flags = bytes[at + 13] as number;
  const options = (flags & SYN) === 0 ? NO_OPTIONS : parseOptions(bytes, at + TCP_HEADER, at + header);
  return {
    sourcePort: get16(bytes, at), targetPort: get16(bytes, at + 2), seq: get32(bytes, at + 4), ack: get32(bytes, at + 8), flags, window: get16(bytes, at + 14),
    ...options, payload: bytes.subarray(at + header, end),
  };
}

const NO_OPTIONS = { mss: 0, scale: -1, sack: false };

function parseOptions(bytes: Uint8Array, from: number, end: number): typeof NO_OPTIONS {
  const found = { mss: 0, scale: -1, sack: false };
  for (let at = from; at < end;) {
    const kind = bytes[at] as number;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = at + 1 < end ? (bytes[at + 1] as number) : 0;
    if (length < 2 || at + length > end) break;
    if (kind === 2 && length === 4) found.mss = get16(bytes, at + 2);
    if (kind === 3 && length === 3) found.scale = Math.min(SCALE_MAX, bytes[at + 2] as number);
    if (kind === 4 && length === 2) found.sack = true;
    at += length;
  }
  return found;
}

/** What a segment's header says; `options` as `synOptions` and `sackOptions` make them. */
export interface Header {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options?: readonly number[] | undefined;
}

/** The options of a SYN, in whole words of 32 bits. `scale` below 0: none. */
export function synOptions(mss: number, scale: number, sack: boolean): number[] {
  const options = [0x0204_0000 | mss];
  if (scale >= 0) options.push(0x0103_0300 | scale);
  if (sack) options.push(0x0101_0402);
  return options;
}

export function sackOptions(blocks: readonly Block[]): number[] {
  return blocks.length === 0 ? [] : [0x0101_0500 | (2 + 8 * blocks.length), ...blocks.flat()];
}

/** Puts a header at `at`, its checksum still to be made; returns where the payload goes. */
export function putHeader(bytes: Uint8Array, at: number, { sourcePort, targetPort, seq, ack, flags, window, options = [] }: Header): number {
  put16(bytes, at, sourcePort);
  put16(bytes, at + 2, targetPort);
  put32(bytes, at + 4, seq);
  put32(bytes, at + 8, ack);
  put16(bytes, at + 14, window);
  put32(bytes, at + CHECKSUM_AT, 0); // and the urgent pointer
  const end = at + TCP_HEADER + 4 * options.length;
  options.forEach((word, i) => put32(bytes, at + TCP_HEADER + 4 * i, word));
  bytes[at + 12] = ((end - at) / 4) << 4;
  bytes[at + 13] = flags;
  return end;
}

/** Makes the checksum of the segment in `at … end`; `partial`: the pseudo header's alone, for whoever adds the rest. */
export function putSum(bytes: Uint8Array, at: number, end: number, source: Uint8Array, target: Uint8Array, partial: boolean): void {
  const pseudo = pseudoSum(source, target, PROTO_TCP, end - at);
  put16(bytes, at + CHECKSUM_AT, partial ? ~checksum(pseudo) & 0xffff : checksum(sum16(bytes, at, end, pseudo)));
}

/** a − b of sequence numbers, as a signed distance. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

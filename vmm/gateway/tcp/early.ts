import { type Block, distance } from './segment.ts';

/** Pieces that one connection keeps at most. */
const PIECES_MAX = 256;
/** What a header without other options has room for is four; RFC 2018 3 asks for three at least. */
const BLOCKS_MAX = 3;

interface Piece {
  readonly from: number;
  readonly bytes: Uint8Array;
}

/** What has come before something that is still missing (RFC 9293 3.10.7.4, "segments with higher beginning sequence numbers"). */
export class EarlyPieces {
  /** By where they begin. They may overlap. */
  #pieces: Piece[] = [];
  /** Where the newest begins. */
  #newest = 0;
  /** Bytes of all. */
  held = 0;

  /** Keeps a copy, where there is room: `most` bytes of all pieces. */
  add(from: number, bytes: Uint8Array, most: number): void {
    const end = from + bytes.length;
    if (bytes.length === 0 || this.#pieces.length >= PIECES_MAX || this.held + bytes.length > most) return;
    if (this.#pieces.some((piece) => distance(piece.from, from) <= 0 && distance(piece.from + piece.bytes.length, end) >= 0)) return;
    const at = this.#pieces.findIndex((piece) => distance(piece.from, from) > 0);
    this.#pieces.splice(at < 0 ? this.#pieces.length : at, 0, { from, bytes: bytes.slice() });
    this.held += bytes.length;
    this.#newest = from;
  }

  /** What is here, for a selective acknowledgement (RFC 2018): the block with the newest piece first, then the lowest. */
  blocks(): Block[] {
    const all: [number, number][] = [];
    for (const { from, bytes } of this.#pieces) {
      const end = (from + bytes.length) >>> 0;
      const last = all.at(-1);
      if (last === undefined || distance(from, last[1]) > 0) all.push([from, end]);
      else if (distance(end, last[1]) > 0) last[1] = end;
    }
    const newest = all.findIndex(([from, end]) => distance(this.#newest, from) >= 0 && distance(this.#newest, end) < 0);
    return [...all.slice(Math.max(0, newest), newest + 1), ...all.filter((_, i) => i !== newest)].slice(0, BLOCKS_MAX);
  }

  /** Takes out what goes on from `nxt`; undefined: nothing does. */
  next(nxt: number): Uint8Array | undefined {
    for (let piece = this.#pieces[0]; piece !== undefined && distance(piece.from, nxt) <= 0; piece = this.#pieces[0]) {
      this.#pieces.shift();
      this.held -= piece.bytes.length;
      const before = distance(nxt, piece.from);
      if (before < piece.bytes.length) return piece.bytes.subarray(before);
    }
    return undefined;
  }

  clear(): void {
    this.#pieces = [];
    this.held = 0;
  }
}

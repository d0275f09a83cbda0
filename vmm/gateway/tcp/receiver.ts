/** The half of a connection that comes from the guest (RFC 9293 3.8.6, 3.10.7.4). */
import { EarlyPieces } from './early.ts';
import { distance, FIN, type Segment } from './segment.ts';

/** Bytes that may wait for the host. */
export const RECEIVE_LIMIT = 1 << 20;
/** Windows are said in units of 2^SCALE bytes where the guest takes that. */
export const RECEIVE_SCALE = 5;

export class Receiver {
  nxt = 0;
  /** Right edge of the window as the guest knows it; it never moves back. */
  edge = 0;
  readonly scale: number;
  readonly #limit: number;
  readonly early = new EarlyPieces();
  /** Where the guest's FIN is, once it has come. */
  #fin: number | undefined;
  /** The guest's FIN has come, in order. */
  ended = false;

  constructor(irs: number, scaled: boolean) {
    this.nxt = (irs + 1) >>> 0;
    this.edge = this.nxt;
    this.scale = scaled ? RECEIVE_SCALE : 0;
    this.#limit = scaled ? RECEIVE_LIMIT : 0xffff;
  }

  /** Where the edge may be when so many bytes wait, of `most` that may. */
  #wanted(waiting: number, most: number): number {
    return (this.nxt + Math.max(0, Math.min(this.#limit, most) - waiting)) >>> 0;
  }

  /** The window's field of a header; what it says is the edge from now on. */
  advertise(waiting: number, most: number): number {
    const wanted = this.#wanted(waiting, most);
    if (distance(wanted, this.edge) > 0) this.edge = wanted;
    const window = distance(this.edge, this.nxt) >>> this.scale;
    return Math.min(0xffff, window);
  }

  /** So much has opened that the guest should hear of it. */
  opens(waiting: number, most: number, mss: number): boolean {
    const gain = distance(this.#wanted(waiting, most), this.edge);
    const open = distance(this.edge, this.nxt);
    return gain >= this.#limit / 4 || (open < mss && gain >= Math.min(mss, this.#limit / 2));
  }

  /** RFC 9293's test: does any of it lie in the window? */
  acceptable({ seq, payload, flags }: Segment): boolean {
    const length = payload.length + ((flags & FIN) !== 0 ? 1 : 0);
    const window = distance(this.edge, this.nxt);
    const first = distance(seq, this.nxt);
    if (length === 0) return window === 0 ? first === 0 : first >= 0 && first < window;
    const last = first + length - 1;
    return window > 0 && ((first >= 0 && first < window) || (last >= 0 && last < window) || (first < 0 && last >= window));
  }

  /**
   * Hands what is new and in order to `fresh`, `most` bytes of it, and keeps what is early. False: something before it is missing, or there is
   * no room.
   */
  take({ seq, payload, flags }: Segment, most: number, fresh: (bytes: Uint8Array) => void): boolean {
    if (this.ended) return true;
    const before = distance(this.nxt, seq);
    const room = distance(this.edge, this.nxt);
    if ((flags & FIN) !== 0 && payload.length - before <= room) this.#fin = (seq + payload.length) >>> 0;
    if (before < 0) {
      this.early.add(seq, payload.subarray(0, Math.max(0, room + before)), Math.min(most, RECEIVE_LIMIT));
      return false;
    }
    const start = Math.min(before, payload.length);
    const end = Math.min(payload.length, before + Math.min(room, most));
    this.#advance(payload.subarray(start, end), fresh);
    for (let piece = this.early.next(this.nxt); piece !== undefined; piece = this.early.next(this.nxt)) this.#advance(piece, fresh);
    if (this.#fin !== undefined && this.nxt === this.#fin) this.#end();
    return end === payload.length;
  }

  #advance(bytes: Uint8Array, fresh: (bytes: Uint8Array) => void): void {
    this.nxt = (this.nxt + bytes.length) >>> 0;
    if (bytes.length > 0) fresh(bytes);
  }

  #end(): void {
    this.nxt = (this.nxt + 1) >>> 0;
    if (distance(this.edge, this.nxt) < 0) this.edge = this.nxt;
    this.ended = true;
    this.early.clear();
  }
}

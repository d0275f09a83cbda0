/** The half of a connection that goes to the guest (RFC 9293 3.8; RTO: RFC 6298; congestion: RFC 5681). */
import { randomFillSync } from 'node:crypto';
import type { Budget } from '../link/budget.ts';
import { SendRing } from './ring.ts';
import { distance } from './segment.ts';

const RTO_FIRST = 1000;
/** The link is this machine's memory. */
const RTO_MIN = 200;
const RTO_MAX = 60_000;
const INITIAL_SEGMENTS = 10;
const DUPLICATES = 3;

/** Numbers that nobody knows, and how many of them are left. */
const NUMBERS = new Uint32Array(256);
let numbers = 0;

/** A connection's first sequence number. A call of the crypto library's for each would be a twentieth of a short connection's CPU time. */
export function initialNumber(): number {
  if (numbers === 0) numbers = randomFillSync(NUMBERS).length;
  return NUMBERS[--numbers] as number;
}

/** What a segment to the guest is to carry. */
export interface Next {
  readonly seq: number;
  readonly offset: number;
  readonly length: number;
  readonly fin: boolean;
}

export class Sender {
  readonly ring: SendRing;
  /** First sequence number that is not acknowledged, next one to send, highest that was sent. */
  una: number;
  nxt: number;
  max: number;
  /** What the guest can take, from `una` on; and the most that this ever was. */
  #window = 0;
  #widest = 0;
  #delivered = 0;
  scale = 0;
  mss = 536;
  /** Nothing comes behind what is in the ring. */
  #ending = false;
  #finAcked = false;
  #cwnd = 0;
  #ssthresh = Number.POSITIVE_INFINITY;
  #duplicates = 0;
  /** Of a recovery: what had been sent when it began. */
  #recover: number | undefined;
  #resend = false;
  /** One segment goes whatever the window: it may have been taken back (RFC 9293 3.8.6). */
  #forced = false;
  /** Up to here all went once more: that the guest says so twice is no loss (RFC 6582 3.2). */
  #again = 0;
  #srtt = 0;
  #rttvar = 0;
  #rto = RTO_FIRST;
  #attempts = 0;
  /** A segment whose answer is waited for with a watch: where it ended, and when it went. */
  #timed: { readonly seq: number; readonly at: number } | undefined;

  constructor(iss: number, budget: Budget) {
    this.ring = new SendRing(budget);
    this.una = iss;
    this.nxt = iss;
    this.max = iss;
    this.#again = iss;
  }

  get window(): number {
    return this.#window;
  }

  set window(bytes: number) {
    this.#window = bytes;
    this.#widest = Math.max(this.#widest, bytes);
  }

  /** The oldest acknowledgement that may still be on its way (RFC 5961 5.2): as many bytes back as went in one window, and were acknowledged since. */
  get oldest(): number {
    return (this.una - Math.min(this.#widest, this.#delivered)) >>> 0;
  }

  /** The guest has answered the SYN, or sent its own. */
  opened(mss: number): void {
    this.mss = mss;
    this.#cwnd = INITIAL_SEGMENTS * mss;
  }

  end(): void {
    this.#ending = true;
  }

  /** The guest has everything, and knows that it was everything. */
  get finished(): boolean {
    return this.#finAcked;
  }

  get inFlight(): number {
    return distance(this.max, this.una);
  }

  get rto(): number {
    return Math.min(RTO_MAX, this.#rto * 2 ** this.#attempts);
  }

  /** Bytes wait, and the guest has no room for one. */
  get blocked(): boolean {
    return this.window === 0 && this.inFlight === 0 && (this.ring.length > 0 || (this.#ending && !this.#finAcked));
  }

  /** What to send now, of at most `most` bytes; undefined: nothing. */
  next(most: number): Next | undefined {
    if (this.#resend) return this.#first(most);
    const offset = distance(this.nxt, this.una);
    const unsent = this.ring.length - offset;
    // Behind the FIN.
    if (unsent < 0) return undefined;
    const allowed = Math.min(this.window, this.#cwnd) - offset;
    const room = this.#forced ? Math.max(allowed, this.mss) : allowed;
    const length = Math.max(0, Math.min(unsent, room, most));
    const fin = this.#ending && length === unsent && room > length;
    if (length === 0 && !fin) return undefined;
    // Silly windows: less than a segment goes when it is all there is, or half of what the guest ever had room for (RFC 9293 3.8.6.2.1).
    if (!fin && length < unsent && length < Math.min(this.mss, most) && offset > 0) return undefined;
    return { seq: this.nxt, offset, length, fin };
  }

  #first(most: number): Next | undefined {
    const outstanding = distance(this.max, this.una);
    const length = Math.min(this.ring.length, outstanding, most);
    return { seq: this.una, offset: 0, length, fin: this.#ending && length === this.ring.length && outstanding > length };
  }

  sent({ seq, length, fin }: Next, now: number): void {
    const end = (seq + length + (fin ? 1 : 0)) >>> 0;
    if (this.#resend) {
      this.#resend = false;
      return;
    }
    this.nxt = end;
    this.#forced = false;
    if (distance(end, this.max) <= 0) return; // sent before: its time would say nothing (Karn)
    this.max = end;
    this.#timed ??= { seq: end, at: now };
  }

  /** The SYN takes a place, too. */
  sentSyn(now: number): void {
    this.nxt = (this.una + 1) >>> 0;
    if (this.max !== this.nxt) this.#timed = { seq: this.nxt, at: now };
    else this.#timed = undefined;
    this.max = this.nxt;
  }

  /** `ack` lies in una … max. True when something new is acknowledged. */
  acked(ack: number, moves: boolean, now: number): boolean {
    const count = distance(ack, this.una);
    if (count === 0) {
      if (!moves && this.inFlight > 0) this.#duplicate();
      return false;
    }
    if (this.#timed !== undefined && distance(ack, this.#timed.seq) >= 0) this.#measured(now - this.#timed.at);
    this.una = ack;
    this.#delivered += count;
    if (distance(this.nxt, ack) < 0) this.nxt = ack;
    const data = Math.min(count, this.ring.length);
    this.ring.drop(data);
    if (count > data && this.#ending) this.#finAcked = true;
    this.#attempts = 0;
    this.#duplicates = 0;
    this.#grow(count, ack);
    return true;
  }

  /** The SYN alone is acknowledged. */
  ackedSyn(now: number): void {
    if (this.#timed !== undefined) this.#measured(now - this.#timed.at);
    this.una = (this.una + 1) >>> 0;
    this.nxt = this.una;
    this.max = this.una;
    this.#attempts = 0;
  }

  #grow(count: number, ack: number): void {
    if (this.#recover !== undefined) {
      if (distance(ack, this.#recover) >= 0) {
        this.#recover = undefined;
        this.#cwnd = this.#ssthresh;
      } else this.#resend = this.ring.length > 0 || this.inFlight > 0; // a partial acknowledgement (RFC 6582)
      return;
    }
    this.#cwnd += this.#cwnd < this.#ssthresh ? count : Math.ceil((this.mss * Math.min(count, this.mss)) / this.#cwnd);
    this.#cwnd = Math.min(this.#cwnd, 1 << 24);
  }

  #duplicate(): void {
    this.#duplicates++;
    if (this.#recover !== undefined) {
      this.#cwnd += this.mss;
      return;
    }
    if (this.#duplicates !== DUPLICATES || distance(this.una, this.#again) < 0) return;
    this.#ssthresh = Math.max(2 * this.mss, this.inFlight / 2);
    this.#cwnd = this.#ssthresh + DUPLICATES * this.mss;
    this.#recover = this.max;
    this.#resend = true;
    this.#timed = undefined;
  }

  /** Nothing came for `rto`: all that is not acknowledged goes again, slowly. False: it was tried often enough. */
  timeout(most: number): boolean {
    this.#attempts++;
    this.#timed = undefined;
    if (this.#attempts > most) return false;
    this.#ssthresh = Math.max(2 * this.mss, this.inFlight / 2);
    this.#cwnd = this.mss;
    this.#recover = undefined;
    this.#resend = false;
    this.#duplicates = 0;
    this.nxt = this.una;
    this.#again = this.max;
    this.#forced = true;
    return true;
  }

  /** RFC 6298 2. */
  #measured(ms: number): void {
    this.#timed = undefined;
    if (this.#srtt === 0) {
      this.#srtt = ms;
      this.#rttvar = ms / 2;
    } else {
      this.#rttvar += (Math.abs(this.#srtt - ms) - this.#rttvar) / 4;
      this.#srtt += (ms - this.#srtt) / 8;
    }
    this.#rto = Math.max(RTO_MIN, this.#srtt + 4 * this.#rttvar);
  }
}

/** One TCP connection of the guest's (RFC 9293), whose other end is a socket of the host's. */
import { randomBytes } from 'node:crypto';
import type { Budget } from '../link/budget.ts';
import type { Link } from '../link/link.ts';
import { ETHER, IPV4_HEADER, IPV6_HEADER, PROTO_TCP } from '../link/packets.ts';
import { RECEIVE_LIMIT, RECEIVE_SCALE, Receiver } from './receiver.ts';
import { ACK, distance, FIN, type Header, PSH, putHeader, putSum, RST, sackOptions, type Segment, SYN, synOptions, TCP_HEADER } from './segment.ts';
import { Sender } from './sender.ts';

/** The socket on the host. Bytes are the caller's again after `write`. */
export interface HostEnd {
  /** Bytes that it has taken, and whoever they are for has not. */
  readonly waiting: number;
  write(bytes: Uint8Array): void;
  /** No more bytes come. */
  end(): void;
  /** Reads no more until `resume`. */
  pause(): void;
  /** The other side hears of a reset. */
  reset(): void;
  /** Reads on, after `data` has said no. */
  resume(): void;
}

export interface Tuple {
  readonly remote: Uint8Array;
  readonly remotePort: number;
  readonly guest: Uint8Array;
  readonly guestPort: number;
}

/** What a connection asks of the gateway. */
export interface ConnectionOwner {
  readonly link: Link;
  readonly budget: Budget;
  /** There is so little left that nothing more should be read. */
  pressed(): void;
  now(): number;
  /** It has something to send. */
  ready(connection: Connection): void;
  /** It is over. */
  forget(connection: Connection): void;
}

/** DIALING is ours: the guest's SYN has come, and is answered once the host's connection is there. Half-closed states are Sender's and Receiver's. */
export type State = 'DIALING' | 'SYN-SENT' | 'SYN-RECEIVED' | 'ESTABLISHED' | 'TIME-WAIT' | 'CLOSED';

/** A segment's payload without segments by the guest is at most its MSS, else this much. */
const SEGMENT_MAX = 64 * 1024 - 256;
const MSS_DEFAULT = 536;
const MSS_MIN = 64;
/** Kept for a FIN of the guest's that comes again. */
const TIME_WAIT_MS = 1000;
/** An idle guest is asked whether it is still there (RFC 5382: not before 2 hours and 4 minutes). */
const IDLE_MS = 7_440_000;
const PROBES = 10;
/** A window where there is little memory left. */
const RECEIVE_MIN = 1 << 15;
/** What is taken of the guest's where there is none left, and the host's socket has nothing else. */
const LAST_BYTES = 1 << 14;
/** The guest is gone, and the other side takes nothing of what it had sent for so long. */
const STUCK_MS = 600_000;
/** How often the same bytes are sent before the guest counts as gone. */
const ATTEMPTS = 12;
const SYN_ATTEMPTS = 5;
const NO_OPTIONS: readonly number[] = [];
/** More than these of the same acknowledgement change nothing for the guest. */
const ACKS_MAX = 16;

export class Connection {
  readonly tuple: Tuple;
  state: State;
  host: HostEnd | undefined;
  /** When `timeout` wants to be called. */
  deadline = Number.POSITIVE_INFINITY;
  /** It is in its owner's list of those with something to send. */
  listed = false;
  /** Of the owner's table. */
  following: Connection | undefined;
  readonly #owner: ConnectionOwner;
  readonly #sender: Sender;
  #receiver: Receiver | undefined;
  #sack = false;
  #wl1 = 0;
  #wl2 = 0;
  #ackNow = false;
  /** Acknowledgements that the guest is to count, each one of its own (RFC 5681 3.2). */
  #acks = 0;
  #synNow = false;
  #probeNow = false;
  /** Probes of a closed window, and how many of them were not answered. */
  #probes = 0;
  #unanswered = 0;
  #resetNow = false;
  /** The host's socket is not read. */
  #stopped = false;
  /** Bytes of the guest's that the budget has been told of. */
  #charged = 0;
  /** When what waits in the host's socket was less for the last time. */
  #moved = 0;

  /** `syn`: the guest's, which opens it; undefined: a connection to the guest. */
  constructor(owner: ConnectionOwner, tuple: Tuple, syn: Segment | undefined) {
    this.#owner = owner;
    this.tuple = tuple;
    this.#sender = new Sender(randomBytes(4).readUInt32LE(), owner.budget);
    this.state = syn === undefined ? 'SYN-SENT' : 'DIALING';
    if (syn === undefined) {
      this.#synNow = true;
      return;
    }
    this.#receiver = new Receiver(syn.seq, syn.scale >= 0);
    this.#options(syn);
  }

  #options({ mss, scale, window, sack }: Segment): void {
    this.#sack = sack;
    this.#sender.opened(Math.max(MSS_MIN, Math.min(mss === 0 ? MSS_DEFAULT : mss, this.#mss)));
    this.#sender.scale = Math.max(0, scale);
    this.#sender.window = window;
  }

  /** Ours: what the link carries. */
  get #mss(): number {
    return this.#owner.link.config.mtu - (this.tuple.remote.length === 4 ? IPV4_HEADER : IPV6_HEADER) - TCP_HEADER;
  }

  /** Bytes that the guest may send. */
  get #most(): number {
    return this.#owner.budget.share(RECEIVE_MIN, RECEIVE_LIMIT);
  }

  get #waiting(): number {
    return this.host?.waiting ?? 0;
  }

  /** The host's connection is there. */
  connected(): void {
    if (this.state !== 'DIALING') return;
    this.state = 'SYN-RECEIVED';
    this.#synNow = true;
    this.#owner.ready(this);
  }

  /** Bytes from the host; false: no more until `resume`. */
  data(bytes: Uint8Array): boolean {
    if (this.state === 'CLOSED' || this.state === 'TIME-WAIT') return false;
    if (!this.#sender.ring.write(bytes)) {
      this.abort();
      return false;
    }
    this.#owner.ready(this);
    if (this.#owner.budget.tight) this.#owner.pressed();
    this.#stopped = this.#stopped || !this.#roomy;
    return !this.#stopped;
  }

  get #roomy(): boolean {
    return this.#sender.ring.room >= READ_SIZE && !this.#owner.budget.tight;
  }

  /** Reads no more for now. */
  hold(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.host?.pause();
  }

  /** Reads on, if there is room. */
  release(): void {
    if (!this.#stopped || !this.#roomy || this.state === 'CLOSED') return;
    this.#stopped = false;
    this.host?.resume();
  }

  /** The host sends no more. */
  ended(): void {
    this.#sender.end();
    this.#owner.ready(this);
  }

  /** The host's socket has taken what waited. */
  drained(): void {
    this.#charge();
    this.#moved = this.#owner.now();
    const receiver = this.#receiver;
    if (receiver === undefined || this.state !== 'ESTABLISHED' || receiver.ended || !receiver.opens(this.#waiting, this.#most, this.#sender.mss)) return;
    this.#ackNow = true;
    this.#owner.ready(this);
  }

  /** Ends it with a reset, to both sides. */
  abort(): void {
    if (this.state === 'CLOSED') return;
    this.host?.reset();
    this.#close();
    this.#resetNow = true;
    this.#owner.ready(this);
  }

  #close(): void {
    this.state = 'CLOSED';
    this.deadline = Number.POSITIVE_INFINITY;
    this.#sender.ring.free();
    this.#receiver?.early.clear();
    this.#owner.budget.give(this.#charged);
    this.#charged = 0;
    this.#owner.forget(this);
  }

  /** What is held of the guest's bytes is of the budget. */
  #charge(): void {
    if (this.state === 'CLOSED') return;
    const held = this.#waiting + (this.#receiver?.early.held ?? 0);
    this.#owner.budget.give(this.#charged - held);
    this.#charged = held;
  }

  /** A segment of the guest's. */
  input(segment: Segment): void {
    const { flags } = segment;
    if (this.state === 'CLOSED') return;
    if (this.state === 'DIALING') {
      if ((flags & RST) !== 0) this.#reset();
      return;
    }
    if (this.state === 'SYN-SENT') {
      this.#answered(segment);
      return;
    }
    this.#synchronized(segment, this.#receiver as Receiver);
  }

  /** To our SYN. */
  #answered(segment: Segment): void {
    const { flags, ack, seq } = segment;
    if ((flags & ACK) === 0 || distance(ack, this.#sender.max) !== 0 || this.#sender.inFlight === 0) return;
    if ((flags & RST) !== 0) {
      this.#reset();
      return;
    }
    if ((flags & SYN) === 0) return;
    this.#receiver = new Receiver(seq, segment.scale >= 0);
    this.#options(segment);
    this.#sender.ackedSyn(this.#owner.now());
    this.#established(seq, ack);
    this.#ackNow = true;
    this.#owner.ready(this);
  }

  #established(seq: number, ack: number): void {
    this.state = 'ESTABLISHED';
    this.#wl1 = seq;
    this.#wl2 = ack;
    this.#arm();
    // What the host has said already.
    this.#owner.ready(this);
  }

  #reset(): void {
    this.host?.reset();
    this.#close();
  }

  /** RFC 9293 3.10.7.4, with RFC 5961's challenges. */
  #synchronized(segment: Segment, receiver: Receiver): void {
    const { flags, seq, ack } = segment;
    if (!receiver.acceptable(segment)) {
      if ((flags & RST) !== 0) return;
      // A SYN that comes again wants its answer again.
      if (this.state === 'SYN-RECEIVED' && (flags & SYN) !== 0) this.#synNow = true;
      else this.#ackNow = true;
      // Of a probe of the guest's the acknowledgement counts.
      if ((flags & (ACK | SYN)) === ACK && this.state === 'ESTABLISHED') this.#acknowledge(segment);
      this.#owner.ready(this);
      return;
    }
    if ((flags & RST) !== 0) {
      if (seq === receiver.nxt) this.#reset();
      else this.#challenge();
      return;
    }
    if ((flags & SYN) !== 0) {
      this.#challenge();
      return;
    }
    if ((flags & ACK) === 0) return;
    if (this.state === 'SYN-RECEIVED') {
      if (ack !== this.#sender.max) return;
      this.#sender.ackedSyn(this.#owner.now());
      this.#sender.window = segment.window * 2 ** this.#sender.scale;
      this.#established(seq, ack);
    } else if (!this.#acknowledge(segment)) return;
    if (this.state === 'ESTABLISHED') this.#receive(segment, receiver);
    this.#finish();
  }

  #challenge(): void {
    this.#ackNow = true;
    this.#owner.ready(this);
  }

  /** False: it acknowledges what was never sent. */
  #acknowledge({ seq, ack, window, payload, flags }: Segment): boolean {
    const sender = this.#sender;
    if (distance(ack, sender.max) > 0) {
      this.#challenge();
      return false;
    }
    if (distance(ack, sender.una) < 0) return true;
    const scaled = window * 2 ** sender.scale;
    const fresh = distance(seq, this.#wl1) > 0 || (seq === this.#wl1 && distance(ack, this.#wl2) >= 0);
    const moves = payload.length > 0 || (flags & FIN) !== 0 || (fresh && scaled !== sender.window);
    const advanced = sender.acked(ack, moves, this.#owner.now());
    if (fresh) {
      sender.window = scaled;
      this.#wl1 = seq;
      this.#wl2 = ack;
    }
    this.#unanswered = 0;
    if (sender.window > 0) this.#probes = 0;
    if (advanced || moves) this.#arm();
    this.release();
    this.#owner.ready(this);
    return true;
  }

  #receive(segment: Segment, receiver: Receiver): void {
    const { payload, flags } = segment;
    if (payload.length === 0 && (flags & FIN) === 0) return;
    this.#ackNow = true;
    this.#owner.ready(this);
    const { left } = this.#owner.budget;
    const most = left >= payload.length ? left : this.#waiting === 0 ? LAST_BYTES : 0;
    if (!receiver.take(segment, most, (bytes) => this.host?.write(bytes))) this.#acks = Math.min(ACKS_MAX, this.#acks + 1);
    this.#charge();
    if (receiver.ended) this.host?.end();
  }

  /** Both sides have ended, and know it. */
  #finish(): void {
    if (this.state !== 'ESTABLISHED' || !this.#sender.finished || this.#receiver?.ended !== true) return;
    this.state = 'TIME-WAIT';
    this.#moved = this.#owner.now();
    this.#sender.ring.free();
    this.deadline = this.#owner.now() + TIME_WAIT_MS;
  }

  /** May a SYN take this connection's place (RFC 9293 3.10.7.4, TIME-WAIT)? */
  reusable({ seq }: Segment): boolean {
    return this.state === 'TIME-WAIT' && this.#waiting === 0 && this.#receiver !== undefined && distance(seq, this.#receiver.nxt) > 0;
  }

  /** Its place is another's. */
  replaced(): void {
    this.#close();
  }

  /** The next deadline: of what is not acknowledged, of a closed window, or of silence. */
  #arm(): void {
    if (this.state === 'CLOSED' || this.state === 'TIME-WAIT' || this.state === 'DIALING') return;
    const sender = this.#sender;
    const wait = sender.inFlight > 0 || sender.blocked ? sender.rto * (sender.blocked ? 2 ** this.#probes : 1) : IDLE_MS;
    this.deadline = this.#owner.now() + Math.min(wait, IDLE_MS);
  }

  /** The deadline has passed. */
  timeout(): void {
    if (this.state === 'DIALING') {
      this.abort();
      return;
    }
    if (this.state === 'TIME-WAIT') {
      this.#linger();
      return;
    }
    const sender = this.#sender;
    if (sender.inFlight === 0) {
      // A closed window, or nothing for hours: is the guest there?
      if (this.#unanswered++ >= PROBES) {
        this.abort();
        return;
      }
      this.#probes = Math.min(PROBES, this.#probes + 1);
      this.#probeNow = true;
    } else if (!sender.timeout(this.state === 'ESTABLISHED' ? ATTEMPTS : SYN_ATTEMPTS)) {
      this.abort();
      return;
    } else if (this.state !== 'ESTABLISHED') this.#synNow = true;
    this.#arm();
    this.#owner.ready(this);
  }

  /** It is over once the host's kernel has all that the guest had sent. */
  #linger(): void {
    const now = this.#owner.now();
    if (this.#waiting === 0) this.#close();
    else if (now - this.#moved > STUCK_MS) this.#reset();
    else this.deadline = now + TIME_WAIT_MS;
  }

  /** Makes its next segment, in a frame of `room` bytes at most; false: there is none. */
  next(room: number): boolean {
    if (this.#resetNow) {
      this.#resetNow = false;
      this.#put({ seq: this.#sender.nxt, flags: this.#receiver === undefined ? RST : RST | ACK }, 0, 0);
      return true;
    }
    if (this.state === 'CLOSED' || this.state === 'DIALING') return false;
    if (this.#synNow) return this.#sendSyn();
    if (this.state !== 'ESTABLISHED' && this.state !== 'TIME-WAIT') return false;
    const sender = this.#sender;
    if (this.#probeNow) {
      this.#probeNow = false;
      // A byte that is acknowledged already has to be answered, whatever the window.
      this.#put({ seq: (sender.una - 1) >>> 0, flags: ACK }, 0, 0);
      return true;
    }
    if (this.#acks > 0) {
      this.#acks--;
      this.#put({ seq: sender.nxt, flags: ACK }, 0, 0);
      return true;
    }
    const headers = ETHER + (this.tuple.remote.length === 4 ? IPV4_HEADER : IPV6_HEADER) + TCP_HEADER;
    const { link } = this.#owner;
    const big = link.sums && (this.tuple.remote.length === 4 ? link.segments4 : link.segments6);
    const next = this.state === 'ESTABLISHED' ? sender.next(Math.min(room - headers, big ? SEGMENT_MAX : sender.mss)) : undefined;
    if (next === undefined) {
      if (!this.#ackNow) return this.#idle();
      this.#put({ seq: sender.nxt, flags: ACK }, 0, 0);
      return true;
    }
    const last = next.offset + next.length === sender.ring.length;
    const flags = ACK | (last ? PSH : 0) | (next.fin ? FIN : 0);
    const quiet = sender.inFlight === 0;
    this.#put({ seq: next.seq, flags }, next.offset, next.length);
    sender.sent(next, this.#owner.now());
    if (quiet) this.#arm();
    return true;
  }

  /** Nothing to send: what waits for a window is asked for. */
  #idle(): false {
    if (this.state === 'ESTABLISHED' && this.#sender.blocked && this.deadline > this.#owner.now() + this.#sender.rto * 2 ** PROBES) this.#arm();
    return false;
  }

  #sendSyn(): boolean {
    this.#synNow = false;
    const sender = this.#sender;
    const receiver = this.#receiver;
    const scale = receiver === undefined ? RECEIVE_SCALE : receiver.scale > 0 ? receiver.scale : -1;
    const options = synOptions(this.#mss, scale, receiver === undefined || this.#sack);
    this.#put({ seq: sender.una, flags: receiver === undefined ? SYN : SYN | ACK, options }, 0, 0);
    sender.sentSyn(this.#owner.now());
    this.#arm();
    return true;
  }

  #put({ seq, flags, options = NO_OPTIONS }: Pick<Header, 'seq' | 'flags' | 'options'>, offset: number, length: number): void {
    const { link } = this.#owner;
    const { remote, remotePort, guest, guestPort } = this.tuple;
    const receiver = this.#receiver;
    const early = length === 0 && this.#sack && receiver !== undefined && receiver.early.held > 0 && flags === ACK;
    const words = early ? sackOptions(receiver.early.blocks()) : options;
    const at = link.begin(PROTO_TCP, remote, guest, TCP_HEADER + 4 * words.length + length);
    const { out } = link;
    const payload = putHeader(out.bytes, at, { sourcePort: remotePort, targetPort: guestPort, seq, ack: receiver?.nxt ?? 0, flags, window: this.#window(flags), options: words });
    if (length > 0) this.#sender.ring.copyTo(out.bytes, payload, offset, length);
    const partial = link.sums && length > 0;
    putSum(out.bytes, at, out.length, remote, guest, partial);
    out.sumAt = partial ? at : 0;
    out.headers = payload;
    out.segment = length > this.#sender.mss ? this.#sender.mss : 0;
    this.#ackNow = false;
  }

  #window(flags: number): number {
    const receiver = this.#receiver;
    if (receiver === undefined) return 0xffff;
    const window = receiver.advertise(this.#waiting, this.#most);
    // A SYN's is never scaled.
    return (flags & SYN) !== 0 ? Math.min(0xffff, distance(receiver.edge, receiver.nxt)) : window;
  }
}

/** What one read of the host's socket brings at most. */
export const READ_SIZE = 1 << 16;

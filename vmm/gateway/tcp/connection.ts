/** One TCP connection of the guest's (RFC 9293), whose other end is a socket of the host's. */
import type { Budget } from '../link/budget.ts';
import type { Link } from '../link/link.ts';
import { type HostEnd, READ_SIZE, type State, type Tuple } from './ends.ts';
import { Output, type OutputSource } from './output.ts';
import { RECEIVE_LIMIT, Receiver } from './receiver.ts';
import { ACK, distance, FIN, RST, type Segment, SYN } from './segment.ts';
import { initialNumber, Sender } from './sender.ts';

/** What a connection asks of the gateway. */
export interface ConnectionOwner {
  readonly link: Link;
  readonly budget: Budget;
  /** There is so little left that nothing more should be read. */
  pressed(): void;
  now(): number;
  /** The guest has answered our SYN. */
  answered(connection: Connection): void;
  /** It has something to send. */
  ready(connection: Connection): void;
  /** A segment that belongs to no connection is answered with a reset. */
  refuse(tuple: Tuple, segment: Segment): void;
  /** It is over. */
  forget(connection: Connection): void;
}

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

export class Connection implements OutputSource {
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
  readonly sender: Sender;
  receiver: Receiver | undefined;
  sack = false;
  readonly #output: Output = new Output(this);
  #wl1 = 0;
  #wl2 = 0;
  /** Probes of a closed window, and how many of them were not answered. */
  #probes = 0;
  #unanswered = 0;
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
    this.sender = new Sender(initialNumber(), owner.budget);
    this.state = syn === undefined ? 'SYN-SENT' : 'DIALING';
    if (syn === undefined) {
      this.#output.synchronize();
      return;
    }
    this.receiver = new Receiver(syn.seq, syn.scale >= 0);
    this.#options(syn);
  }

  #options({ mss, scale, window, sack }: Segment): void {
    this.sack = sack;
    this.sender.opened(Math.max(MSS_MIN, Math.min(mss === 0 ? MSS_DEFAULT : mss, this.#output.mss)));
    this.sender.scale = Math.max(0, scale);
    this.sender.window = window;
  }

  get link(): Link {
    return this.#owner.link;
  }

  now(): number {
    return this.#owner.now();
  }

  /** Bytes that the guest may send. */
  get most(): number {
    return this.#owner.budget.share(RECEIVE_MIN, RECEIVE_LIMIT);
  }

  get waiting(): number {
    return this.host?.waiting ?? 0;
  }

  /** The host's connection is there. */
  connected(): void {
    if (this.state !== 'DIALING') return;
    this.state = 'SYN-RECEIVED';
    this.#output.synchronize();
    this.#owner.ready(this);
  }

  /** Bytes from the host; false: no more until `resume`. */
  data(bytes: Uint8Array): boolean {
    if (this.state === 'CLOSED' || this.state === 'TIME-WAIT') return false;
    if (!this.sender.ring.write(bytes)) {
      this.abort();
      return false;
    }
    this.#owner.ready(this);
    if (this.#owner.budget.tight) this.#owner.pressed();
    this.#stopped = this.#stopped || !this.#roomy;
    return !this.#stopped;
  }

  get #roomy(): boolean {
    const { ring, window } = this.sender;
    const { budget } = this.#owner;
    if (ring.room < READ_SIZE) return false;
    // Who reads what has come gets more, however much others hoard; what the guest has no room for is better left in the host's kernel.
    return ring.length === 0 ? !budget.spent : !budget.tight && ring.length < window + READ_SIZE;
  }

  /** Reads no more for now, unless it has nothing. */
  hold(): void {
    if (this.#stopped || this.#roomy) return;
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
    this.sender.end();
    this.#owner.ready(this);
  }

  /** The host's socket has taken what waited. */
  drained(): void {
    this.#charge();
    this.#moved = this.now();
    const receiver = this.receiver;
    if (receiver === undefined || this.state !== 'ESTABLISHED' || receiver.ended || !receiver.opens(this.waiting, this.most, this.sender.mss)) return;
    this.#output.acknowledge();
    this.#owner.ready(this);
  }

  /** Ends it with a reset, to both sides. */
  abort(): void {
    if (this.state === 'CLOSED') return;
    this.host?.reset();
    this.#close();
    this.#output.reset();
    this.#owner.ready(this);
  }

  #close(): void {
    this.state = 'CLOSED';
    this.deadline = Number.POSITIVE_INFINITY;
    this.sender.ring.free();
    this.receiver?.early.clear();
    this.#owner.budget.give(this.#charged);
    this.#charged = 0;
    this.#owner.forget(this);
  }

  /** What is held of the guest's bytes is of the budget. */
  #charge(): void {
    if (this.state === 'CLOSED') return;
    const held = this.waiting + (this.receiver?.early.held ?? 0);
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
    this.#synchronized(segment, this.receiver as Receiver);
  }

  /** To our SYN. */
  #answered(segment: Segment): void {
    const { flags, ack, seq } = segment;
    if ((flags & ACK) === 0 || distance(ack, this.sender.max) !== 0 || this.sender.inFlight === 0) return;
    if ((flags & RST) !== 0) {
      this.#reset();
      return;
    }
    if ((flags & SYN) === 0) return;
    this.receiver = new Receiver(seq, segment.scale >= 0);
    this.#options(segment);
    this.sender.ackedSyn(this.now());
    this.#owner.answered(this);
    this.#established(seq, ack);
    this.#output.acknowledge();
    this.#owner.ready(this);
  }

  #established(seq: number, ack: number): void {
    this.state = 'ESTABLISHED';
    this.#wl1 = seq;
    this.#wl2 = ack;
    this.arm();
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
      if (this.state === 'SYN-RECEIVED' && (flags & SYN) !== 0) this.#output.synchronize();
      else this.#output.acknowledge();
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
      if (ack !== this.sender.max) {
        this.#owner.refuse(this.tuple, segment);
        return;
      }
      this.sender.ackedSyn(this.now());
      this.sender.window = segment.window * 2 ** this.sender.scale;
      this.#established(seq, ack);
    } else if (!this.#acknowledge(segment)) return;
    if (this.state === 'ESTABLISHED') this.#receive(segment, receiver);
    this.#finish();
  }

  #challenge(): void {
    this.#output.acknowledge();
    this.#owner.ready(this);
  }

  /** False: it acknowledges what was never sent, or what nobody who has heard of us since would (RFC 5961 5.2). */
  #acknowledge({ seq, ack, window, payload, flags }: Segment): boolean {
    const sender = this.sender;
    if (distance(ack, sender.max) > 0 || distance(ack, sender.oldest) < 0) {
      this.#challenge();
      return false;
    }
    if (distance(ack, sender.una) < 0) return true;
    const scaled = window * 2 ** sender.scale;
    const fresh = distance(seq, this.#wl1) > 0 || (seq === this.#wl1 && distance(ack, this.#wl2) >= 0);
    const moves = payload.length > 0 || (flags & FIN) !== 0 || (fresh && scaled !== sender.window);
    const advanced = sender.acked(ack, moves, this.now());
    if (fresh) {
      sender.window = scaled;
      this.#wl1 = seq;
      this.#wl2 = ack;
    }
    this.#unanswered = 0;
    if (sender.window > 0) this.#probes = 0;
    if (advanced || moves) this.arm();
    this.release();
    this.#owner.ready(this);
    return true;
  }

  #receive(segment: Segment, receiver: Receiver): void {
    const { payload, flags } = segment;
    if (payload.length === 0 && (flags & FIN) === 0) return;
    this.#output.acknowledge();
    this.#owner.ready(this);
    const { left } = this.#owner.budget;
    const most = left >= payload.length ? left : this.waiting === 0 ? LAST_BYTES : 0;
    if (!receiver.take(segment, most, (bytes) => this.host?.write(bytes))) this.#output.acknowledgeAgain();
    this.#charge();
    if (receiver.ended) this.host?.end();
  }

  /** Both sides have ended, and know it. */
  #finish(): void {
    if (this.state !== 'ESTABLISHED' || !this.sender.finished || this.receiver?.ended !== true) return;
    this.state = 'TIME-WAIT';
    this.#moved = this.now();
    this.sender.ring.free();
    this.deadline = this.now() + TIME_WAIT_MS;
  }

  /** May a SYN take this connection's place (RFC 9293 3.10.7.4, TIME-WAIT)? */
  reusable({ seq }: Segment): boolean {
    return this.state === 'TIME-WAIT' && this.waiting === 0 && this.receiver !== undefined && distance(seq, this.receiver.nxt) > 0;
  }

  /** Its place is another's. */
  replaced(): void {
    this.#close();
  }

  /** The next deadline: of what is not acknowledged, of a closed window, or of silence. */
  arm(): void {
    if (this.state === 'CLOSED' || this.state === 'TIME-WAIT' || this.state === 'DIALING') return;
    const sender = this.sender;
    const wait = sender.inFlight > 0 || sender.blocked ? sender.rto * (sender.blocked ? 2 ** this.#probes : 1) : IDLE_MS;
    this.deadline = this.now() + Math.min(wait, IDLE_MS);
  }

  /** Called now and then. */
  rest(): void {
    this.sender.ring.rest();
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
    const sender = this.sender;
    if (sender.inFlight === 0) {
      // A closed window, or nothing for hours: is the guest there?
      if (this.#unanswered++ >= PROBES) {
        this.abort();
        return;
      }
      this.#probes = Math.min(PROBES, this.#probes + 1);
      this.#output.probe();
    } else if (!sender.timeout(this.state === 'ESTABLISHED' ? ATTEMPTS : SYN_ATTEMPTS)) {
      this.abort();
      return;
    } else if (this.state !== 'ESTABLISHED') this.#output.synchronize();
    this.arm();
    this.#owner.ready(this);
  }

  /** It is over once the host's kernel has all that the guest had sent. */
  #linger(): void {
    const now = this.now();
    if (this.waiting === 0) this.#close();
    else if (now - this.#moved > STUCK_MS) this.#reset();
    else this.deadline = now + TIME_WAIT_MS;
  }

  /** Makes its next segment, in a frame of `room` bytes at most; false: there is none. */
  next(room: number): boolean {
    if (this.#output.next(room)) return true;
    // What waits for a window is asked for.
    if (this.state === 'ESTABLISHED' && this.sender.blocked && this.deadline > this.now() + this.sender.rto * 2 ** PROBES) this.arm();
    return false;
  }
}

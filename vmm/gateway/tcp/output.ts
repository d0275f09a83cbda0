/** What a connection owes the guest, and the segments that pay it (RFC 9293 3.1, 3.8). */
import type { Link } from '../link/link.ts';
import { ETHER, IPV4_HEADER, IPV6_HEADER, PROTO_TCP } from '../link/packets.ts';
import type { State, Tuple } from './ends.ts';
import { RECEIVE_SCALE, type Receiver } from './receiver.ts';
import { ACK, distance, FIN, type Header, PSH, putHeader, putSum, RST, sackOptions, SYN, synOptions, TCP_HEADER } from './segment.ts';
import type { Next, Sender } from './sender.ts';

/** A segment's payload without segments by the guest is at most its MSS, else this much. */
const SEGMENT_MAX = 64 * 1024 - 256;
const NO_OPTIONS: readonly number[] = [];
/** More than these of the same acknowledgement change nothing for the guest. */
const ACKS_MAX = 16;

/** What a segment needs to know of its connection. */
export interface OutputSource {
  readonly link: Link;
  readonly tuple: Tuple;
  readonly sender: Sender;
  /** Undefined until the guest's SYN has come. */
  readonly receiver: Receiver | undefined;
  /** The guest takes selective acknowledgements. */
  readonly sack: boolean;
  readonly state: State;
  /** Bytes that wait for the host, and how many may. */
  readonly waiting: number;
  readonly most: number;
  now(): number;
  /** Something that wants an answer has gone. */
  arm(): void;
}

export class Output {
  readonly #source: OutputSource;
  #ack = false;
  /** Acknowledgements that the guest is to count, each one of its own (RFC 5681 3.2). */
  #acks = 0;
  #syn = false;
  #probe = false;
  #reset = false;

  constructor(source: OutputSource) {
    this.#source = source;
  }

  acknowledge(): void {
    this.#ack = true;
  }

  /** As often as this is called. */
  acknowledgeAgain(): void {
    this.#acks = Math.min(ACKS_MAX, this.#acks + 1);
  }

  synchronize(): void {
    this.#syn = true;
  }

  /** Asks the guest for an answer. */
  probe(): void {
    this.#probe = true;
  }

  reset(): void {
    this.#reset = true;
  }

  /** Payload and headers in one frame of the link's. */
  get mss(): number {
    return this.#source.link.config.mtu - this.#headers;
  }

  get #headers(): number {
    return (this.#source.tuple.remote.length === 4 ? IPV4_HEADER : IPV6_HEADER) + TCP_HEADER;
  }

  /** Makes the next segment, in a frame of `room` bytes at most; false: nothing is owed. */
  next(room: number): boolean {
    const { sender, receiver, state } = this.#source;
    if (this.#reset) {
      this.#reset = false;
      this.#put({ seq: sender.nxt, flags: receiver === undefined ? RST : RST | ACK }, 0, 0);
      return true;
    }
    if (state === 'CLOSED' || state === 'DIALING') return false;
    if (this.#syn) return this.#sendSyn();
    if (state !== 'ESTABLISHED' && state !== 'TIME-WAIT') return false;
    if (this.#probe) {
      this.#probe = false;
      // A byte that is acknowledged already has to be answered, whatever the window.
      this.#put({ seq: (sender.una - 1) >>> 0, flags: ACK }, 0, 0);
      return true;
    }
    if (this.#acks > 0) {
      this.#acks--;
      this.#put({ seq: sender.nxt, flags: ACK }, 0, 0);
      return true;
    }
    const next = state === 'ESTABLISHED' ? sender.next(Math.min(room - ETHER - this.#headers, this.#big ? SEGMENT_MAX : sender.mss)) : undefined;
    if (next !== undefined) this.#sendData(next);
    else if (this.#ack) this.#put({ seq: sender.nxt, flags: ACK }, 0, 0);
    else return false;
    return true;
  }

  /** The guest cuts segments itself. */
  get #big(): boolean {
    const { link, tuple } = this.#source;
    return link.sums && (tuple.remote.length === 4 ? link.segments4 : link.segments6);
  }

  #sendData(next: Next): void {
    const { sender } = this.#source;
    const last = next.offset + next.length === sender.ring.length;
    const flags = ACK | (last ? PSH : 0) | (next.fin ? FIN : 0);
    const quiet = sender.inFlight === 0;
    this.#put({ seq: next.seq, flags }, next.offset, next.length);
    sender.sent(next, this.#source.now());
    if (quiet) this.#source.arm();
  }

  #sendSyn(): boolean {
    this.#syn = false;
    const { sender, receiver, sack } = this.#source;
    const scale = receiver === undefined ? RECEIVE_SCALE : receiver.scale > 0 ? receiver.scale : -1;
    const options = synOptions(this.mss, scale, receiver === undefined || sack);
    this.#put({ seq: sender.una, flags: receiver === undefined ? SYN : SYN | ACK, options }, 0, 0);
    sender.sentSyn(this.#source.now());
    this.#source.arm();
    return true;
  }

  #put({ seq, flags, options = NO_OPTIONS }: Pick<Header, 'seq' | 'flags' | 'options'>, offset: number, length: number): void {
    const { link, tuple: { remote, remotePort, guest, guestPort }, sender, receiver, sack } = this.#source;
    const early = length === 0 && sack && receiver !== undefined && receiver.early.held > 0 && flags === ACK;
    const words = early ? sackOptions(receiver.early.blocks()) : options;
    const at = link.begin(PROTO_TCP, remote, guest, TCP_HEADER + 4 * words.length + length);
    const { out } = link;
    const payload = putHeader(out.bytes, at, { sourcePort: remotePort, targetPort: guestPort, seq, ack: receiver?.nxt ?? 0, flags, window: this.#window(flags), options: words });
    if (length > 0) sender.ring.copyTo(out.bytes, payload, offset, length);
    const partial = link.sums && length > 0;
    putSum(out.bytes, at, out.length, remote, guest, partial);
    out.sumAt = partial ? at : 0;
    out.headers = payload;
    out.segment = length > sender.mss ? sender.mss : 0;
    this.#ack = false;
  }

  #window(flags: number): number {
    const { receiver, waiting, most } = this.#source;
    if (receiver === undefined) return 0xffff;
    const window = receiver.advertise(waiting, most);
    // A SYN's is never scaled.
    return (flags & SYN) !== 0 ? Math.min(0xffff, distance(receiver.edge, receiver.nxt)) : window;
  }
}

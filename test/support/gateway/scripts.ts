/**
 * A client of TCP by hand, whose every segment is written down before: what it does to one peer it does to another. What is said of sequence numbers
 * is counted from the peer's point of view, so that two peers must come to the same numbers.
 */
import { NET_FRAME_MAX } from '../../../assembly/contract/devices.ts';
import type { Gateway } from '../../../vmm/gateway/gateway.ts';
import { GATEWAY_MAC } from '../../../vmm/gateway/link/link.ts';
import { GUEST_MAC, internetSum } from './frames.ts';
import { randomNumbers } from './random.ts';

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

/** One segment. `at`: its first byte, from where the peer stands; the stream's bytes are always the same, so that what overlaps agrees. */
export interface Step {
  readonly at: number;
  readonly length: number;
  readonly flags: number;
  /** From what has come in order; undefined: that. */
  readonly ack?: number;
  readonly window?: number;
  /** The next one follows at once. */
  readonly burst?: boolean;
}

export interface Script {
  readonly options: readonly number[];
  /** Between the peer's SYN and its acknowledgement. */
  readonly greeting: readonly Step[];
  readonly steps: readonly Step[];
  /** The end is said before all that is missing has been sent. */
  readonly hasty: boolean;
}

/** A connection's life: some hours of bad weather, a little malice, and at last all that is missing. */
export function randomScript(seed: number): Script {
  const random = randomNumbers(seed);
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const options = one([[], [2, 4, 5, 180], [2, 4, 5, 180, 4, 2, 1, 1], [2, 4, 5, 180, 1, 3, 3, 7], [2, 4, 2, 24, 4, 2, 1, 3, 3, 2, 0, 0], [2, 4, 255, 255], [1, 1, 1, 1], [3, 3, 15, 1], [2, 0, 0, 0]]);
  const good = (): Step => ({ at: one([0, 0, 0, 0, -30, -3, 1, 40, 300, 2000]), length: one([0, 1, 10, 100, 500]), flags: ACK | one([0, PSH]), window: one([65_535, 65_535, 65_535, 0, 1, 500]), burst: random() < 0.3 });
  const bad: readonly (() => Step)[] = [
    // Resets that nobody who sees the connection would send, and SYNs (RFC 5961 3, 4).
    () => ({ at: one([1, 100, 40_000, -1, -1000, 10_000_000]), length: 0, flags: RST }),
    () => ({ at: one([1, 100, -1, -1000, 10_000_000]), length: 0, flags: RST | ACK }),
    () => ({ at: one([0, 1, 1000, -1, -1000, 10_000_000]), length: 0, flags: SYN | one([0, ACK]) }),
    // What acknowledges what was never sent, or what is long past (RFC 5961 5). Linux's fast path does not look, and is for windows that stay.
    () => ({ at: 0, length: one([0, 10]), flags: ACK, ack: one([100_000, 2_000_000, 1_000_000_000]) }),
    () => ({ at: 0, length: one([0, 10]), flags: ACK, ack: one([-200_000_000, -1_000_000_000]), window: 777 }),
    // Without ACK; beyond every window; nothing but flags.
    () => ({ at: 0, length: 10, flags: one([0, PSH]) }),
    () => ({ at: one([3_000_000, 50_000_000, -2_000_000_000]), length: 10, flags: ACK }),
    () => ({ at: 0, length: 0, flags: one([0, PSH, FIN, 63 & ~(SYN | RST | FIN | ACK)]) }),
  ];
  const steps = Array.from({ length: 4 + Math.floor(random() * 16) }, () => (random() < 0.3 ? one(bad)() : good()));
  if (random() < 0.15) steps.push({ at: 0, length: 0, flags: RST | one([0, ACK]) });
  const greetings: readonly (() => Step)[] = [
    () => ({ at: 0, length: one([0, 10]), flags: ACK, ack: one([1, 1000, -1, -1000, 1_000_000_000]) }),
    () => ({ at: -1, length: 0, flags: SYN }),
    () => ({ at: one([-1000, 10_000_000]), length: 0, flags: ACK }),
    () => ({ at: 0, length: 10, flags: PSH }),
  ];
  const greeting = random() < 0.4 ? Array.from({ length: 1 + Math.floor(random() * 2) }, () => one(greetings)()) : [];
  return { options, greeting, steps, hasty: random() < 0.3 };
}

/** What lies before the peer, who it is, and who asks. */
export interface Way {
  readonly guestMac: readonly number[];
  readonly peerMac: readonly number[];
  readonly guest: readonly number[];
  readonly peer: readonly number[];
  readonly peerPort: number;
  /** Gives a frame to the peer. */
  send(frame: Uint8Array): void;
  /** The frames that it has sent. */
  heard(): Uint8Array[];
}

/** To a gateway in this process, by one of its addresses or of what lies beyond. */
export function gatewayWay(gateway: Gateway, peer: readonly number[], peerPort: number): Way {
  return {
    guestMac: [...GUEST_MAC], peerMac: [...GATEWAY_MAC], guest: [10, 0, 2, 15], peer, peerPort,
    send: (frame) => {
      gateway.buffer.set(frame);
      gateway.received(frame.length, false);
    },
    heard: () => {
      const frames: Uint8Array[] = [];
      for (let out = gateway.next(NET_FRAME_MAX); out !== undefined; out = gateway.next(NET_FRAME_MAX)) frames.push(out.bytes.slice(0, out.length));
      return frames;
    },
  };
}

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];
const content = (index: number): number => (index * 31 + (index >> 8) * 7) & 255;
const LIMIT_MS = 60_000;

export class ByHand {
  readonly #way: Way;
  readonly #port: number;
  readonly #iss: number;
  /** Next byte that the peer expects, as it has said; next that is expected from it. */
  #peerNext = 0;
  #next = 0;
  #pings = 0;
  #ponged = 0;
  /** What has come in order. */
  readonly #come: number[] = [];
  #ended = false;
  #reset = false;
  #synced = false;

  constructor(way: Way, port: number, iss: number) {
    this.#way = way;
    this.#port = port;
    this.#iss = iss >>> 0;
  }

  /** Runs a script: what was seen, in words that are the same for each peer that does the same. */
  async run({ options, greeting, steps, hasty }: Script): Promise<string[]> {
    const seen: string[] = [];
    this.#segment(this.#iss, 0, SYN, 65_535, [], options);
    await this.#until(() => this.#synced || this.#reset);
    for (const step of greeting) {
      this.#step(step);
      await this.#ping();
      seen.push(`${JSON.stringify(step)}: ${this.#reset ? 'reset' : 'nothing'}`);
      this.#reset = false;
    }
    this.#segment(this.#peerNext, this.#next, ACK, 65_535, []);
    let last = 0;
    for (const step of steps) {
      const end = this.#step(step);
      if ((step.flags & ACK) !== 0 && (step.flags & (SYN | RST)) === 0 && step.ack === undefined && step.at <= 2000) last = Math.max(last, end);
      if (step.burst === true) continue;
      await this.#probe();
      seen.push(`${JSON.stringify(step)}: ${this.#reset ? 'reset' : this.#offset()}`);
      if (this.#reset) return seen;
    }
    await this.#probe();
    const end = (): void => this.#segment(this.#iss + 1 + last, this.#next, FIN | ACK, 65_535, []);
    if (hasty) end();
    // What is missing, and the end.
    while (this.#offset() < last) {
      const at = this.#offset();
      this.#segment(this.#peerNext, this.#next, ACK, 65_535, Array.from({ length: Math.min(500, last - at) }, (_, i) => content(at + i)));
      await this.#probe();
      if (this.#offset() === at || this.#reset) break;
    }
    end();
    await this.#until(() => this.#ended || this.#reset, () => this.#segment(this.#peerNext, this.#next, ACK, 65_535, []));
    const whole = this.#come.every((byte, i) => byte === content(i));
    seen.push(`${this.#reset ? 'reset' : 'ended'} after ${this.#come.length} bytes of ${last}, ${whole ? 'all' : 'not all'} as they were sent`);
    return seen;
  }

  /** Sends the same bytes so many times, and never acknowledges what comes back; true: until it was reset. */
  async hoard(bytes: readonly number[], times: number): Promise<boolean> {
    this.#segment(this.#iss, 0, SYN, 65_535, []);
    await this.#until(() => this.#synced || this.#reset);
    const first = this.#next;
    for (let i = 0; i < times && !this.#reset; i++) {
      this.#segment(this.#peerNext, first, ACK, 65_535, bytes);
      await this.#ping();
    }
    return this.#reset;
  }

  /** Of the stream's bytes, how many the peer has. */
  #offset(): number {
    return (this.#peerNext - this.#iss - 1) | 0;
  }

  /** Where its bytes end. */
  #step({ at, length, flags, ack = 0, window = 65_535 }: Step): number {
    const from = this.#offset() + at;
    // The stream has no bytes before its first.
    const start = length > 0 ? Math.max(0, from) : from;
    this.#segment(this.#iss + 1 + start, this.#next + ack, flags, window, Array.from({ length }, (_, i) => content(start + i)));
    return start + length;
  }

  /** Asks where the peer stands by a segment that it has to answer at once. */
  async #probe(): Promise<void> {
    this.#segment(this.#peerNext - 1, this.#next, ACK, 65_535, []);
    await this.#ping();
  }

  /** Waits for all answers: a ping's comes behind the others. */
  async #ping(): Promise<void> {
    const { guestMac, peerMac } = this.#way;
    const body = [8, 0, 0, 0, 0x12, 0x34, ...u16(++this.#pings & 0xffff)];
    body.splice(2, 2, ...u16(internetSum(body)));
    this.#way.send(Uint8Array.from([...peerMac, ...guestMac, 8, 0, ...this.#ip(1, body)]));
    await this.#until(() => this.#ponged === this.#pings);
  }

  async #until(done: () => boolean, again?: () => void): Promise<void> {
    const limit = performance.now() + LIMIT_MS;
    for (let turn = 0; ; turn++) {
      const before = this.#come.length;
      for (const frame of this.#way.heard()) this.#hear(frame);
      if (done()) return;
      if (performance.now() > limit) throw new Error(`no answer: ${this.#come.length} bytes have come, the peer has ${this.#offset()}`);
      // What has come is acknowledged.
      if (this.#come.length > before) again?.();
      await new Promise((resolve) => (turn < 50 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    }
  }

  #ip(protocol: number, payload: readonly number[]): number[] {
    const header = [0x45, 0, ...u16(20 + payload.length), 0, 0, 0x40, 0, 64, protocol, 0, 0, ...this.#way.guest, ...this.#way.peer];
    header.splice(10, 2, ...u16(internetSum(header)));
    return [...header, ...payload];
  }

  #segment(seq: number, ack: number, flags: number, window: number, data: readonly number[], options: readonly number[] = []): void {
    const { guestMac, peerMac, guest, peer, peerPort } = this.#way;
    const tcp = [...u16(this.#port), ...u16(peerPort), ...u32(seq >>> 0), ...u32((flags & ACK) === 0 ? 0 : ack >>> 0), (5 + options.length / 4) << 4, flags, ...u16(window), 0, 0, 0, 0, ...options, ...data];
    tcp.splice(16, 2, ...u16(internetSum([...guest, ...peer, 0, 6, ...u16(tcp.length), ...tcp])));
    this.#way.send(Uint8Array.from([...peerMac, ...guestMac, 8, 0, ...this.#ip(6, tcp)]));
  }

  #hear(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (view.getUint16(12) !== 0x0800) return;
    const ip = 14;
    const at = ip + ((frame[ip] as number) & 15) * 4;
    if (frame[ip + 9] === 1) {
      if (frame[at] === 0 && view.getUint16(at + 4) === 0x1234) this.#ponged = view.getUint16(at + 6);
      return;
    }
    if (frame[ip + 9] !== 6 || view.getUint16(at + 2) !== this.#port) return;
    const [seq, ack, flags] = [view.getUint32(at + 4), view.getUint32(at + 8), frame[at + 13] as number];
    const data = frame.subarray(at + ((frame[at + 12] as number) >> 4) * 4, ip + view.getUint16(ip + 2));
    if ((flags & RST) !== 0) {
      this.#reset = true;
      return;
    }
    if ((flags & SYN) !== 0) {
      [this.#synced, this.#next] = [true, (seq + 1) >>> 0];
    } else {
      const before = (this.#next - seq) | 0;
      if (before >= 0 && before < data.length) {
        this.#come.push(...data.subarray(before));
        this.#next = (this.#next + data.length - before) >>> 0;
      }
      if ((flags & FIN) !== 0 && ((seq + data.length) >>> 0) === this.#next) {
        this.#ended = true;
        this.#next = (this.#next + 1) >>> 0;
      }
    }
    if ((flags & ACK) !== 0 && (((ack - this.#peerNext) | 0) > 0 || (flags & SYN) !== 0)) this.#peerNext = ack;
  }
}

/** UDP (RFC 768): a connected socket of the host's for each of the guest's flows, for as long as it is used. */
import { createSocket, type Socket } from 'node:dgram';
import { refuse, type Unreachable } from './link/icmp.ts';
import { type Link, putEthernet } from './link/link.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_HEADER, IPV6_HEADER, type Packet, PROTO_UDP, pseudoSum, putFragmentHeader, putIp, sumHolds } from './link/packets.ts';
import { checksum, get16, put16, sum16 } from './link/wire.ts';

const UDP_HEADER = 8;
const FLOWS_MAX = 1024;
/** RFC 4787 5 asks for more than two minutes where both sides talk. */
const QUIET_MS = 30_000;
const TALKING_MS = 120_000;
const TICK_MS = 5000;
/** Datagrams that wait for a socket, and bytes that wait in one. */
const WAITING_MAX = 16;
const QUEUED_MAX = 1 << 18;
const DATAGRAM_MAX = 65_507;
const PROTO_FRAGMENT = 44;
/** What the guest is told of an errno of the socket's. */
const UNREACHABLE: Readonly<Record<string, Unreachable>> = { ECONNREFUSED: 'port', ENETUNREACH: 'network', EHOSTUNREACH: 'host', EACCES: 'prohibited', EPERM: 'prohibited' };

/** Both ends of a flow. */
export interface FlowEnds {
  readonly remote: Uint8Array;
  readonly remotePort: number;
  readonly guest: Uint8Array;
  readonly guestPort: number;
}

export type UdpAdmission =
  | { readonly kind: 'refused' }
  | { readonly kind: 'send'; readonly host: string; readonly port: number; readonly local: boolean }
  /** Answered here: `answer` may be called later, and more than once. */
  | { readonly kind: 'serve'; readonly ask: (payload: Uint8Array, answer: (payload: Uint8Array) => void) => void };

export interface UdpServices {
  readonly link: Link;
  admit(ends: FlowEnds): UdpAdmission;
  refusedOwn(ends: FlowEnds): void;
  /** Sends what lies in link.out, some time. */
  post(): void;
  now(): number;
}

/** Where a flow's datagrams go on the host. */
interface FlowEnd {
  send(payload: Uint8Array): void;
  close(): void;
}

interface Flow {
  readonly ends: FlowEnds;
  readonly end: FlowEnd;
  used: number;
  answered: boolean;
}

export class UdpFlows {
  readonly #services: UdpServices;
  /** The least used first. */
  readonly #flows = new Map<string, Flow>();
  #timer: NodeJS.Timeout | undefined;
  #fragmentId = 0;
  readonly counters = { opened: 0, refused: 0, evicted: 0 };

  constructor(services: UdpServices) {
    this.#services = services;
  }

  get size(): number {
    return this.#flows.size;
  }

  input(packet: Packet): void {
    const { bytes, at, end, source, target } = packet;
    if (end - at < UDP_HEADER) return;
    const length = get16(bytes, at + 4);
    if (length < UDP_HEADER || length > end - at) return;
    packet.end = at + length;
    // Without a sum: IPv4 alone (RFC 8200 8.1).
    const sum = get16(bytes, at + 6);
    if (!packet.checked && (sum === 0 ? source.length === 16 : !sumHolds(packet))) return;
    const ends: FlowEnds = { remote: target, remotePort: get16(bytes, at + 2), guest: source, guestPort: get16(bytes, at) };
    if (ends.remotePort === 0) return;
    const payload = bytes.slice(at + UDP_HEADER, packet.end);
    const key = flowKey(ends);
    const flow = this.#flows.get(key) ?? this.#open(key, ends, packet, payload);
    if (flow === undefined) return;
    this.#touch(key, flow);
    flow.end.send(payload);
  }

  /** Undefined: it is refused, or served here. */
  #open(key: string, ends: FlowEnds, packet: Packet, payload: Uint8Array): Flow | undefined {
    const own = { ...ends, remote: ends.remote.slice(), guest: ends.guest.slice() };
    const admission = this.#services.admit(own);
    if (admission.kind === 'refused') {
      this.counters.refused++;
      this.#unreachable(packet, 'prohibited');
      return undefined;
    }
    if (admission.kind === 'serve') {
      admission.ask(payload, (answer) => this.deliver(own, answer));
      return undefined;
    }
    const quote: Packet = { ...packet, bytes: packet.bytes.slice(packet.start, packet.at + UDP_HEADER), start: 0, at: packet.at - packet.start, end: packet.at - packet.start + UDP_HEADER, source: own.guest, target: own.remote };
    const end = new HostFlow(admission, {
      message: (bytes) => this.#answer(key, own, bytes),
      failed: (code) => {
        const why = UNREACHABLE[code];
        if (why !== undefined) this.#unreachable(quote, why);
        this.#drop(key);
      },
      own: () => {
        this.#services.refusedOwn(own);
        this.#unreachable(quote, 'prohibited');
        this.#drop(key);
      },
    });
    return this.add(own, end);
  }

  /** A flow whose other end is there. */
  add(ends: FlowEnds, end: FlowEnd): Flow {
    const [oldest] = this.#flows.keys();
    if (this.#flows.size >= FLOWS_MAX && oldest !== undefined) {
      this.counters.evicted++;
      this.#drop(oldest);
    }
    const flow: Flow = { ends, end, used: this.#services.now(), answered: false };
    this.counters.opened++;
    this.#flows.set(flowKey(ends), flow);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    return flow;
  }

  has(ends: FlowEnds): boolean {
    return this.#flows.has(flowKey(ends));
  }

  #unreachable(packet: Packet, why: Unreachable): void {
    if (packet.start === packet.at) return; // one of fragments: there is no header to quote
    refuse(this.#services.link, packet, why);
    this.#services.post();
  }

  #touch(key: string, flow: Flow): void {
    flow.used = this.#services.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
  }

  #answer(key: string, ends: FlowEnds, bytes: Uint8Array): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    flow.answered = true;
    this.#touch(key, flow);
    this.deliver(ends, bytes);
  }

  #drop(key: string): void {
    const flow = this.#flows.get(key);
    this.#flows.delete(key);
    flow?.end.close();
    if (this.#flows.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const now = this.#services.now();
    for (const [key, { used, answered }] of this.#flows) if (now - used > (answered ? TALKING_MS : QUIET_MS)) this.#drop(key);
  }

  close(): void {
    for (const key of [...this.#flows.keys()]) this.#drop(key);
  }

  /** A datagram to the guest, in fragments where it is longer than the link's MTU. */
  deliver({ remote, remotePort, guest, guestPort }: FlowEnds, payload: Uint8Array): void {
    if (payload.length > DATAGRAM_MAX) return;
    const datagram = new Uint8Array(UDP_HEADER + payload.length);
    put16(datagram, 0, remotePort);
    put16(datagram, 2, guestPort);
    put16(datagram, 4, datagram.length);
    datagram.set(payload, UDP_HEADER);
    const sum = checksum(sum16(datagram, 0, datagram.length, pseudoSum(remote, guest, PROTO_UDP, datagram.length)));
    put16(datagram, 6, sum === 0 ? 0xffff : sum);
    const { link } = this.#services;
    const header = remote.length === 4 ? IPV4_HEADER : IPV6_HEADER;
    if (header + datagram.length > link.config.mtu) {
      this.#fragments(remote, guest, datagram);
      return;
    }
    const at = link.begin(PROTO_UDP, remote, guest, datagram.length);
    link.out.bytes.set(datagram, at);
    this.#services.post();
  }

  #fragments(remote: Uint8Array, guest: Uint8Array, datagram: Uint8Array): void {
    const { link } = this.#services;
    const { out } = link;
    const v4 = remote.length === 4;
    const most = (link.config.mtu - (v4 ? IPV4_HEADER : IPV6_HEADER + 8)) & ~7;
    this.#fragmentId = (this.#fragmentId + 1) & 0xffff;
    const id = this.#fragmentId;
    for (let offset = 0; offset < datagram.length; offset += most) {
      const part = datagram.subarray(offset, offset + most);
      const more = offset + part.length < datagram.length;
      const start = putEthernet(out.bytes, link.guestMac, v4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
      let at = putIp(out.bytes, start, v4 ? PROTO_UDP : PROTO_FRAGMENT, remote, guest, part.length + (v4 ? 0 : 8), { id, offset, more });
      if (!v4) at = putFragmentHeader(out.bytes, at, PROTO_UDP, id, offset, more);
      out.bytes.set(part, at);
      out.length = at + part.length;
      out.segment = 0;
      out.sumAt = 0;
      this.#services.post();
    }
  }
}

function flowKey({ remote, remotePort, guest, guestPort }: FlowEnds): string {
  return `${guestPort} ${remotePort} ${remote.join('.')} ${guest.join('.')}`;
}

interface FlowEvents {
  message(bytes: Uint8Array): void;
  /** An errno's name. */
  failed(code: string): void;
  /** It would go to the host itself. */
  own(): void;
}

/** A connected socket. What comes before it is connected waits, as much as there is room for. */
class HostFlow implements FlowEnd {
  readonly #socket: Socket;
  #waiting: Uint8Array[] | undefined = [];
  readonly #events: FlowEvents;
  #closed = false;

  constructor({ host, port, local }: UdpAdmission & { kind: 'send' }, events: FlowEvents) {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
    this.#socket = socket;
    this.#events = events;
    socket.on('message', events.message);
    socket.on('error', (error: NodeJS.ErrnoException) => this.#failed(error));
    socket.connect(port, host, (error?: NodeJS.ErrnoException) => {
      if (this.#closed) return;
      if (error !== undefined) {
        this.#failed(error);
        return;
      }
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      if (!local && socket.address().address === socket.remoteAddress().address) events.own();
      else for (const one of waiting) this.send(one);
    });
    socket.unref();
  }

  send(payload: Uint8Array): void {
    if (this.#closed) return;
    if (this.#waiting !== undefined) {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(payload);
      return;
    }
    // A datagram that does not go at once may be lost, as any.
    if (this.#socket.getSendQueueSize() < QUEUED_MAX) this.#socket.send(payload, (error) => error !== null && this.#failed(error));
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (!this.#closed) this.#events.failed(error.code ?? 'EIO');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

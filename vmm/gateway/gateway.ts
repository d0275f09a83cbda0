/** A user-mode network's other end: the guest's frames become connections of this process's, and what comes back becomes frames. */
import { randomInt } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { addressText, inPrefix, parseIp, unmapped } from './link/address.ts';
import { answerArp } from './link/arp.ts';
import { Forwarder, type NameServer } from './dns/forwarder.ts';
import { DnsStream } from './dns/stream.ts';
import { answerDhcp, isDhcp } from './link/dhcp.ts';
import { answerEcho, refuse } from './link/icmp.ts';
import { GATEWAY_MAC, Link, type LinkConfig, type OutFrame } from './link/link.ts';
import { answerNeighbour } from './link/neighbours.ts';
import { ETHER, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, type Packet, parseIpv4, parseIpv6, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from './link/packets.ts';
import { OwnAddresses } from './policy/own.ts';
import { Policy } from './policy/policy.ts';
import { reservedAs } from './policy/reserved.ts';
import { nameMatches } from './policy/rules.ts';
import { NameGate } from './policy/sni.ts';
import type { PolicyConfig, Protocol, Rule } from './policy/config.ts';
import { Reassembly } from './link/reassembly.ts';
import type { Connection } from './tcp/connection.ts';
import type { HostEnd, Tuple } from './tcp/ends.ts';
import { type Admission, TcpStack } from './tcp/stack.ts';
import { type FlowEnds, type UdpAdmission, UdpFlows } from './udp.ts';
import { get16, sameBytes } from './link/wire.ts';

/** Frames that wait for the guest: what is not TCP's, which waits in its rings. */
const FRAMES_MAX = 1024;
const FRAME_BYTES_MAX = 4 << 20;
/** What the guest's longest frame needs. */
const INPUT_SIZE = 68 * 1024;
const DNS_PORT = 53;
const DNS_TLS_PORT = 853;
/** Of the newest denials, for whoever asks. */
const DENIED_KEPT = 100;
/** Numbers that are tried for a caller's port. */
const CALLER_ATTEMPTS = 16;

export interface GatewayConfig {
  readonly link: LinkConfig;
  readonly servers: readonly NameServer[];
  readonly policy: PolicyConfig;
  /** The gateway's address leads to the host's loopback. */
  readonly hostLoopback: boolean;
}

/** A connection that was refused. */
export interface Denied {
  readonly protocol: Protocol;
  readonly target: string;
  readonly why: string;
}

export interface GatewayEvents {
  /** There is a frame for the guest. May be called at any time, also from within `input` and `next`. */
  frames(): void;
  denied(denied: Denied): void;
}

export class Gateway {
  readonly link: Link;
  readonly #config: GatewayConfig;
  readonly #events: GatewayEvents;
  readonly #own = new OwnAddresses();
  readonly policy: Policy;
  readonly #forwarder: Forwarder;
  readonly tcp: TcpStack;
  readonly udp: UdpFlows;
  readonly #reassembly = new Reassembly();
  readonly #frames: Uint8Array[] = [];
  /** Whom the guest takes callers of published ports of UDP for. */
  readonly #callers = new Map<string, FlowEnds>();
  #frameBytes = 0;
  #buffer = inputBuffer();
  #kept = false;
  readonly counters = { denied: 0, lost: 0, nonsense: 0 };
  /** The newest last. */
  readonly denied: Denied[] = [];

  constructor(config: GatewayConfig, events: GatewayEvents) {
    this.#config = config;
    this.#events = events;
    this.link = new Link(config.link);
    this.policy = new Policy(config.policy, { now: () => this.now(), own: (address) => this.#own.has(address) });
    this.#forwarder = new Forwarder({ servers: config.servers, v6: config.link.v6 !== undefined, policy: this.policy });
    const post = (): void => this.#post();
    const refusedOwn = (protocol: Protocol) => ({ remote, remotePort }: FlowEnds): void => this.#denied(protocol, remote, remotePort, 'an address of the host');
    this.tcp = new TcpStack({
      link: this.link, post, input: this, admit: (tuple) => this.#admitTcp(tuple), refusedOwn: refusedOwn('tcp'), wake: () => events.frames(),
      unreachable: (packet) => {
        refuse(this.link, packet, 'host');
        this.#post();
      },
    });
    this.udp = new UdpFlows({ link: this.link, post, now: () => this.now(), admit: (ends) => this.#admitUdp(ends), refusedOwn: refusedOwn('udp') });
  }

  now(): number {
    return performance.now();
  }

  /** Where the guest's next frame is to be put. */
  get buffer(): Uint8Array {
    if (this.#kept) this.#buffer = inputBuffer();
    this.#kept = false;
    return this.#buffer;
  }

  /** What lies in `buffer` is needed longer. */
  keep(): void {
    this.#kept = true;
  }

  /** `buffer` holds a frame of the guest's. `checked`: its sums need not be looked at. */
  received(length: number, checked: boolean): void {
    const bytes = this.#buffer;
    if (length < ETHER) return;
    const group = ((bytes[0] as number) & 1) !== 0;
    if (!group && !sameBytes(bytes.subarray(0, 6), GATEWAY_MAC)) return;
    const type = get16(bytes, 12);
    if (type === ETHERTYPE_ARP) {
      if (answerArp(this.link, bytes, length)) this.#post();
      return;
    }
    const packet = type === ETHERTYPE_IPV4 ? parseIpv4(bytes, ETHER, length, checked) : type === ETHERTYPE_IPV6 ? parseIpv6(bytes, ETHER, length, checked) : undefined;
    if (packet === undefined) this.counters.nonsense++;
    else this.#packet(packet, group);
  }

  #packet(packet: Packet, group: boolean): void {
    const { source, target } = packet;
    const family = this.link.family(source);
    if (family === undefined) return;
    if (source.length === 16 && packet.protocol === PROTO_ICMPV6 && packet.fragment === undefined && answerNeighbour(this.link, packet)) {
      this.#post();
      return;
    }
    if (this.link.config.asks && packet.fragment === undefined && isDhcp(packet)) {
      if (answerDhcp(this.link, packet)) this.#post();
      return;
    }
    // The guest may have made itself others in its network; what comes from elsewhere is nobody's.
    if (group || !inPrefix(source, family.gateway, family.prefix) || this.link.isOwn(source)) return;
    const whole = packet.fragment === undefined ? packet : this.#reassembly.add(packet, this.now());
    if (whole === undefined) return;
    switch (whole.protocol) {
      case PROTO_TCP:
        this.tcp.input(whole);
        return;
      case PROTO_UDP:
        this.udp.input(whole);
        return;
      case PROTO_ICMP:
      case PROTO_ICMPV6:
        this.#icmp(whole);
        return;
      default:
        if (whole.start === whole.at) return;
        refuse(this.link, whole, this.link.isOwn(target) ? 'protocol' : 'prohibited');
        this.#post();
    }
  }

  /** Echo is the gateway's alone to answer: nothing that this process may do would carry it further. */
  #icmp(packet: Packet): void {
    const { bytes, at, target, source } = packet;
    if (this.link.isOwn(target)) {
      if (answerEcho(this.link, packet)) this.#post();
      return;
    }
    const asks = bytes[at] === (source.length === 4 ? 8 : 128);
    if (!asks || packet.start === packet.at) return;
    refuse(this.link, packet, 'prohibited');
    this.#post();
  }

  /** Where what the guest asks for leads. */
  #route(protocol: Protocol, { remote, remotePort }: FlowEnds): Route {
    const own = this.link.isOwn(remote);
    if (remotePort === DNS_PORT && (own || this.policy.byNames)) return { kind: 'names' };
    if (own) {
      const family = this.link.family(remote);
      if (!this.#config.hostLoopback || family === undefined || !sameBytes(remote, family.gateway)) return REFUSED;
      const { allowed, why } = this.policy.connect(protocol, remote, remotePort);
      if (!allowed) {
        this.#denied(protocol, remote, remotePort, why);
        return REFUSED;
      }
      return { kind: 'host', host: remote.length === 4 ? '127.0.0.1' : '::1', port: remotePort, local: true };
    }
    const why = remotePort === DNS_TLS_PORT && this.policy.byNames ? 'names are asked of the resolver alone' : undefined;
    const verdict = why === undefined ? this.policy.connect(protocol, remote, remotePort) : { allowed: false, why, named: false };
    if (verdict.allowed) return { kind: 'host', host: addressText(remote), port: remotePort, local: verdict.named, byName: this.#config.policy.strictSni ? verdict.byName : undefined };
    this.#denied(protocol, remote, remotePort, verdict.why);
    return REFUSED;
  }

  #admitTcp(tuple: Tuple): Admission {
    const route = this.#route('tcp', tuple);
    if (route.kind === 'names') return { kind: 'serve', open: (connection) => new DnsStream(this.#forwarder, connection) };
    if (route.kind !== 'host') return route;
    const { byName, ...dial } = route;
    return { ...dial, kind: 'dial', through: byName === undefined ? undefined : (end, connection) => this.#gate(byName, end, connection) };
  }

  #admitUdp(ends: FlowEnds): UdpAdmission {
    const route = this.#route('udp', ends);
    if (route.kind === 'names') return { kind: 'serve', ask: (payload, answer) => void this.#forwarder.ask(payload, false, answer) };
    return route.kind === 'host' ? { kind: 'send', host: route.host, port: route.port, local: route.local } : route;
  }

  /** A connection that a rule of names has let in, where TLS has to name one of them as well. */
  #gate({ target, text }: Rule, end: HostEnd, connection: Connection): HostEnd {
    const { remote, remotePort } = connection.tuple;
    return new NameGate(end, {
      allows: (name) => target.kind === 'domain' && nameMatches(name, target),
      denied: (name) => {
        this.#denied('tcp', remote, remotePort, `${name ?? 'no name'} in TLS, beside allow ${text}`);
        connection.abort();
      },
    });
  }

  /** A connection of the host's to a port of the guest's. False: there is no room for it. */
  accept(socket: Socket, port: number): boolean {
    const tuple = this.#caller(socket.remoteAddress ?? '', socket.remotePort ?? 0, port, (one) => this.tcp.has(one));
    return tuple !== undefined && this.tcp.accept(socket, tuple);
  }

  /** A datagram to a port of the guest's; `answer` sends one back. */
  datagram(message: Uint8Array, from: { readonly address: string; readonly port: number }, port: number, answer: (message: Uint8Array) => void): void {
    const caller = `${from.address} ${from.port} ${port}`;
    const known = this.#callers.get(caller);
    const ends = known !== undefined && this.udp.has(known) ? known : this.#caller(from.address, from.port, port, (one) => this.udp.has(one));
    if (ends === undefined) return;
    if (ends !== known) this.udp.add(ends, { send: answer, close: () => void this.#callers.delete(caller) });
    this.#callers.set(caller, ends);
    this.udp.deliver(ends, message);
  }

  /** Who the guest takes a caller for: itself, or the gateway where the guest could not answer it. Undefined: the guest has none such, or no name is left. */
  #caller(address: string, port: number, guestPort: number, known: (ends: FlowEnds) => boolean): FlowEnds | undefined {
    const plain = address.replace(/%.*/, '');
    if (isIP(plain) === 0) return undefined;
    const remote = unmapped(parseIp(plain));
    const family = this.link.family(remote) ?? this.link.config.v4 ?? this.link.config.v6;
    if (family === undefined) return undefined;
    const itself = family.guest.length === remote.length && reservedAs(remote, (one) => this.#own.has(one)).length === 0 && !inPrefix(remote, family.gateway, family.prefix);
    const ends = { remote: itself ? remote : family.gateway, guest: family.guest, guestPort };
    for (let attempt = 0, number = port; attempt < CALLER_ATTEMPTS; attempt++, number = randomInt(1 << 15, 1 << 16)) {
      const one = { ...ends, remotePort: number };
      if (!known(one)) return one;
    }
    return undefined;
  }

  #denied(protocol: Protocol, remote: Uint8Array, port: number, why: string): void {
    this.counters.denied++;
    const target = remote.length === 4 ? `${addressText(remote)}:${port}` : `[${addressText(remote)}]:${port}`;
    const denied = { protocol, target, why };
    this.denied.push(denied);
    if (this.denied.length > DENIED_KEPT) this.denied.shift();
    this.#events.denied(denied);
  }

  /** Keeps what lies in link.out for the guest, if there is room. */
  #post(): void {
    const { out } = this.link;
    if (this.#frames.length >= FRAMES_MAX || this.#frameBytes + out.length > FRAME_BYTES_MAX) {
      this.counters.lost++;
      return;
    }
    this.#frames.push(out.bytes.slice(0, out.length));
    this.#frameBytes += out.length;
    this.#events.frames();
  }

  /** The next frame for the guest, of `room` bytes at most, in link.out; undefined: there is none. Longer ones are lost. */
  next(room: number): OutFrame | undefined {
    const { out } = this.link;
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      this.#frameBytes -= frame.length;
      if (frame.length > room) continue;
      out.bytes.set(frame);
      out.length = frame.length;
      out.segment = 0;
      out.sumAt = 0;
      return out;
    }
    return this.tcp.next(room) ? out : undefined;
  }

  close(): void {
    this.tcp.close();
    this.udp.close();
    this.#forwarder.close();
    this.#frames.length = 0;
    this.#frameBytes = 0;
  }
}

/** No Buffer, whose `slice` would be a view; not filled with zeros. */
function inputBuffer(): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(INPUT_SIZE).buffer);
}

type Route = { readonly kind: 'names' } | { readonly kind: 'host'; readonly host: string; readonly port: number; readonly local: boolean; readonly byName?: Rule | undefined } | { readonly kind: 'refused' };
const REFUSED = { kind: 'refused' } as const;

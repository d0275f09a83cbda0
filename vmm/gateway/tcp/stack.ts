/** The guest's TCP connections: who has which, and how they come to be. */
import type { Socket } from 'node:net';
import { addressText } from '../link/address.ts';
import { Budget } from '../link/budget.ts';
import type { Link } from '../link/link.ts';
import { type Packet, PROTO_TCP, sumHolds } from '../link/packets.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import type { HostEnd, Tuple } from './ends.ts';
import { ACK, FIN, parseSegment, putHeader, putSum, RST, type Segment, SYN, TCP_HEADER } from './segment.ts';
import { adopt, hostSocket, type InputBuffer, SocketEnd } from './socket.ts';
import { ConnectionTable } from './table.ts';

/** Bytes of all connections' buffers. */
const BUDGET = 96 << 20;
/** Each has a descriptor. */
const CONNECTIONS_MAX = 4096;
const PENDING_MAX = 256;
/** Callers from outside whom the guest has not answered yet: those of a guest that is not there are not to take every place. */
const CALLERS_MAX = 256;
/** Of a dial that others wait for, and of one that may take its time. */
const DIAL_CROWDED_MS = 5000;
const DIAL_MS = 130_000;
const TICK_MS = 50;

/** What becomes of a connection that the guest asks for. */
export type Admission =
  | { readonly kind: 'refused' }
  /** `through`: what stands between the connection and its socket. */
  | { readonly kind: 'dial'; readonly host: string; readonly port: number; readonly local: boolean; readonly through?: ((end: HostEnd, connection: Connection) => HostEnd) | undefined }
  /** Served here. */
  | { readonly kind: 'serve'; readonly open: (connection: Connection) => HostEnd };

export interface TcpServices {
  readonly link: Link;
  readonly input: InputBuffer;
  admit(tuple: Tuple): Admission;
  /** The host's own address was dialled by another of its names. */
  refusedOwn(tuple: Tuple): void;
  unreachable(packet: Packet): void;
  /** Sends what lies in link.out, some time. */
  post(): void;
  /** There is something to send. */
  wake(): void;
}

export class TcpStack implements ConnectionOwner {
  readonly link: Link;
  readonly budget = new Budget(BUDGET);
  readonly #services: TcpServices;
  readonly #table = new ConnectionTable();
  readonly #pending = new Set<Connection>();
  readonly #callers = new Set<Connection>();
  #ready: Connection[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Sockets are not read until there is memory again. */
  #pressed = false;
  readonly counters = { opened: 0, refused: 0, failed: 0, crowded: 0 };

  constructor(services: TcpServices) {
    this.link = services.link;
    this.#services = services;
  }

  get size(): number {
    return this.#table.size;
  }

  /** Dials that are not decided, and callers whom the guest has not answered; for tests. */
  get pending(): number {
    return this.#pending.size + this.#callers.size;
  }

  now(): number {
    return performance.now();
  }

  ready(connection: Connection): void {
    if (connection.listed) return;
    connection.listed = true;
    this.#ready.push(connection);
    this.#services.wake();
  }

  pressed(): void {
    if (this.#pressed && !this.budget.spent) return;
    this.#pressed = true;
    for (const connection of this.#table) connection.hold();
  }

  answered(connection: Connection): void {
    this.#callers.delete(connection);
  }

  forget(connection: Connection): void {
    this.#pending.delete(connection);
    this.#callers.delete(connection);
    this.#table.delete(connection);
    if (this.#table.size > 0 || this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Makes the next segment of whichever connection's turn it is; false: none has one. */
  next(room: number): boolean {
    for (;;) {
      const connection = this.#ready[0];
      if (connection === undefined) return false;
      this.#ready.shift();
      if (connection.next(room)) {
        this.#ready.push(connection);
        return true;
      }
      connection.listed = false;
    }
  }

  input(packet: Packet): void {
    const segment = parseSegment(packet);
    if (segment === undefined || (!packet.checked && !sumHolds(packet))) return;
    const tuple: Tuple = { remote: packet.target, remotePort: segment.targetPort, guest: packet.source, guestPort: segment.sourcePort };
    const found = this.#table.get(tuple);
    if (found !== undefined && !((segment.flags & (SYN | ACK)) === SYN && found.reusable(segment))) {
      found.input(segment);
      return;
    }
    found?.replaced();
    if ((segment.flags & RST) !== 0) return;
    if ((segment.flags & (SYN | ACK | FIN)) !== SYN) this.#refuse(packet, segment);
    else this.#open(packet, { ...tuple, remote: tuple.remote.slice(), guest: tuple.guest.slice() }, segment);
  }

  #open(packet: Packet, tuple: Tuple, syn: Segment): void {
    const { remotePort, guestPort } = tuple;
    if (remotePort === 0 || guestPort === 0 || !this.#place()) {
      this.counters.crowded++;
      this.#refuse(packet, syn);
      return;
    }
    const admission = this.#services.admit(tuple);
    if (admission.kind === 'refused') {
      this.counters.refused++;
      this.#refuse(packet, syn);
      return;
    }
    const connection = new Connection(this, tuple, syn);
    this.#add(connection);
    if (admission.kind === 'serve') {
      connection.host = admission.open(connection);
      connection.connected();
    } else this.#dial(packet, connection, admission);
  }

  #add(connection: Connection): void {
    this.counters.opened++;
    this.#table.add(connection);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** Is there room for one more? A dial that has taken long gives way. */
  #place(): boolean {
    if (this.#table.size >= CONNECTIONS_MAX) return false;
    if (this.#pending.size < PENDING_MAX) return true;
    const [oldest] = this.#pending;
    if (oldest === undefined || oldest.deadline - DIAL_MS + DIAL_CROWDED_MS > this.now()) return false;
    oldest.abort();
    return true;
  }

  #dial(packet: Packet, connection: Connection, { host, port, local, through }: Admission & { kind: 'dial' }): void {
    this.#pending.add(connection);
    connection.deadline = this.now() + DIAL_MS;
    const socket = hostSocket({ connection });
    // The guest hears by ICMP what its own kernel would have told it; the packet's bytes are others' by then.
    const header = { ...packet, ...copyOf(packet) };
    const end = new SocketEnd(socket, this.#services.input, connection, (code) => this.#failed(connection, code, header));
    connection.host = through?.(end, connection) ?? end;
    socket.once('connect', () => {
      this.#pending.delete(connection);
      connection.deadline = this.now() + DIAL_MS;
      if (!local && socket.localAddress === socket.remoteAddress) {
        this.#services.refusedOwn(connection.tuple);
        connection.abort();
      } else connection.connected();
    });
    if (this.#pressed) connection.hold();
    socket.connect({ host, port });
  }

  #failed(connection: Connection, code: string, packet: Packet): void {
    if (connection.state === 'CLOSED') return;
    this.counters.failed++;
    if (connection.state === 'DIALING' && (code === 'ENETUNREACH' || code === 'EHOSTUNREACH' || code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'EPERM')) this.#services.unreachable(packet);
    connection.abort();
  }

  has(tuple: Tuple): boolean {
    return this.#table.get(tuple) !== undefined;
  }

  /** A connection of the host's to the guest. False: there is no room, or the guest's port has one from there already. */
  accept(accepted: Socket, tuple: Tuple): boolean {
    if (this.#table.size >= CONNECTIONS_MAX || this.#callers.size >= CALLERS_MAX || this.#table.get(tuple) !== undefined) return false;
    const connection = new Connection(this, tuple, undefined);
    const target = { connection };
    const socket = adopt(accepted, target) ?? listening(accepted, connection);
    connection.host = new SocketEnd(socket, this.#services.input, connection, (code) => this.#failed(connection, code, EMPTY));
    if (this.#pressed) connection.hold();
    this.#add(connection);
    this.#callers.add(connection);
    this.ready(connection);
    return true;
  }

  refuse({ guest, remote }: Tuple, segment: Segment): void {
    this.#refuse({ source: guest, target: remote }, segment);
  }

  /** RFC 9293 3.5.2: a reset that the sender believes. */
  #refuse({ source, target }: Pick<Packet, 'source' | 'target'>, { seq, ack, flags, payload, sourcePort, targetPort }: Segment): void {
    const { link } = this;
    const acknowledged = (flags & ACK) !== 0;
    const length = payload.length + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
    const at = link.begin(PROTO_TCP, target, source, TCP_HEADER);
    putHeader(link.out.bytes, at, {
      sourcePort: targetPort, targetPort: sourcePort, window: 0,
      seq: acknowledged ? ack : 0, ack: acknowledged ? 0 : (seq + length) >>> 0, flags: acknowledged ? RST : RST | ACK,
    });
    putSum(link.out.bytes, at, link.out.length, target, source, false);
    this.#services.post();
  }

  #tick(): void {
    const now = this.now();
    for (const connection of this.#table) {
      if (connection.deadline <= now) connection.timeout();
      else connection.rest();
    }
    if (!this.#pressed) return;
    this.#pressed = this.budget.left < BUDGET / 4;
    for (const connection of this.#table) connection.release();
  }

  /** Ends all; the host's sides hear of a reset. */
  close(): void {
    for (const connection of [...this.#table]) connection.abort();
    this.#ready = [];
  }

  /** For messages. */
  static name({ remote, remotePort }: Tuple): string {
    return `${remote.length === 16 ? `[${addressText(remote)}]` : addressText(remote)}:${remotePort}`;
  }
}

const EMPTY: Packet = { bytes: new Uint8Array(0), start: 0, source: new Uint8Array(4), target: new Uint8Array(4), protocol: PROTO_TCP, at: 0, end: 0, checked: true, fragment: undefined };

/** The packet's own bytes: its headers, and what ICMP quotes of it. */
function copyOf({ bytes, start, at, end }: Packet): Pick<Packet, 'bytes' | 'start' | 'at' | 'end' | 'source' | 'target'> {
  const own = bytes.slice(start, Math.min(end, at + TCP_HEADER));
  const v4 = (own[0] as number) >> 4 === 4;
  return { bytes: own, start: 0, at: at - start, end: own.length, source: own.subarray(v4 ? 12 : 8, v4 ? 16 : 24), target: own.subarray(v4 ? 16 : 24, v4 ? 20 : 40) };
}

/** Where this Node does not let a socket be made of another's handle. */
function listening(socket: Socket, connection: Connection): Socket {
  socket.on('data', (bytes) => {
    if (!connection.data(bytes)) socket.pause();
  });
  return socket;
}

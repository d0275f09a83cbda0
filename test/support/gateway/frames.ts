/** A guest made of random numbers: frames of every kind that a gateway knows, right and wrong, and a reader of what it answers. */
import { GATEWAY_MAC } from '../../../vmm/gateway/link/link.ts';
import { parseIp } from '../../../vmm/gateway/link/address.ts';

export const GUEST_MAC = [2, 0, 0, 0, 0, 15];
const GUEST = { 4: parseIp('10.0.2.15'), 6: parseIp('fd76:6d6d:2::15') };
const GATEWAY = { 4: parseIp('10.0.2.2'), 6: parseIp('fd76:6d6d:2::2') };
const RESOLVER = { 4: parseIp('10.0.2.3'), 6: parseIp('fd76:6d6d:2::3') };
type Version = 4 | 6;

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];

/** RFC 1071, in the plainest way. */
export function internetSum(bytes: readonly number[] | Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] as number) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
  return ~sum & 0xffff;
}

function pseudo(source: Uint8Array, target: Uint8Array, protocol: number, length: number): number[] {
  return [...source, ...target, ...u32(length), 0, 0, 0, protocol];
}

/** What has been learned of a connection from the gateway's answers. */
interface Peer {
  readonly from: number;
  readonly to: number;
  readonly target: Uint8Array;
  seq: number;
  ack: number;
}

export class RandomGuest {
  readonly #random: () => number;
  readonly #ports: readonly number[];
  readonly #loopback: Readonly<Record<Version, Uint8Array>> = { 4: parseIp('127.0.0.1'), 6: parseIp('::1') };
  readonly #peers = new Map<string, Peer>();
  /** Frames that were answered, by kind. */
  readonly seen: Record<string, number> = {};

  /** `ports`: of the host's loopback, some of which answer. */
  constructor(random: () => number, ports: readonly number[]) {
    this.#random = random;
    this.#ports = ports;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #bytes(length: number): number[] {
    return Array.from({ length }, () => this.#below(256));
  }

  /** A frame, good or bad. */
  next(): Uint8Array {
    const version = this.#one([4, 4, 6] as const);
    const make = this.#one([
      () => this.#arp(), () => this.#icmp(version), () => this.#udp(version), () => this.#udp(version), () => this.#fragment(), () => this.#dhcp(),
      () => this.#tcp(version), () => this.#tcp(version), () => this.#tcp(version), () => this.#tcp(version), () => this.#tcp(version), () => this.#neighbour(),
      () => this.#ethernet(this.#one([0x0800, 0x86dd, 0x0806, 0x8100, this.#below(65536)]), this.#bytes(this.#below(100))),
    ]);
    const frame = make();
    // One in four is damaged.
    if (this.#random() < 0.25) for (let i = 1 + this.#below(4); i > 0; i--) frame[this.#below(frame.length)] = this.#below(256);
    return this.#random() < 0.05 ? frame.subarray(0, this.#below(frame.length + 1)) : frame;
  }

  #ethernet(type: number, payload: readonly number[]): Uint8Array {
    return Uint8Array.from([...(this.#random() < 0.95 ? GATEWAY_MAC : [255, 255, 255, 255, 255, 255]), ...GUEST_MAC, ...u16(type), ...payload]);
  }

  #arp(): Uint8Array {
    return this.#ethernet(0x0806, [0, 1, 8, 0, 6, 4, 0, 1 + this.#below(2), ...GUEST_MAC, ...GUEST[4], ...this.#bytes(6), ...this.#one([GATEWAY[4], RESOLVER[4], GUEST[4]])]);
  }

  #target(version: Version): Uint8Array {
    return this.#one([GATEWAY[version], RESOLVER[version], this.#loopback[version], this.#loopback[version], this.#loopback[version], Uint8Array.from(this.#bytes(version === 4 ? 4 : 16))]);
  }

  #ip(version: Version, protocol: number, target: Uint8Array, payload: readonly number[], fragment = 0): Uint8Array {
    if (version === 6) return this.#ethernet(0x86dd, [0x60, 0, 0, 0, ...u16(payload.length), protocol, 255, ...GUEST[6], ...target, ...payload]);
    const header = [0x45, 0, ...u16(20 + payload.length), ...u16(fragment === 0 ? 0 : 7), ...u16(fragment), 64, protocol, 0, 0, ...GUEST[4], ...target];
    header.splice(10, 2, ...u16(internetSum(header)));
    return this.#ethernet(0x0800, [...header, ...payload]);
  }

  #summed(version: Version, protocol: number, target: Uint8Array, payload: number[], at: number): number[] {
    payload.splice(at, 2, ...u16(internetSum([...pseudo(GUEST[version], target, protocol, payload.length), ...payload])));
    return payload;
  }

  #icmp(version: Version): Uint8Array {
    const target = this.#target(version);
    const payload = [this.#one(version === 4 ? [8, 0, 3] : [128, 129, 1]), 0, 0, 0, ...this.#bytes(4 + this.#below(60))];
    if (version === 6) return this.#ip(6, 58, target, this.#summed(6, 58, target, payload, 2));
    payload.splice(2, 2, ...u16(internetSum(payload)));
    return this.#ip(4, 1, target, payload);
  }

  #neighbour(): Uint8Array {
    const target = parseIp('ff02::1:ff00:2');
    const payload = [this.#one([133, 135, 136]), 0, 0, 0, 0, 0, 0, 0, ...this.#one([GATEWAY[6], RESOLVER[6], GUEST[6]]), 1, 1, ...GUEST_MAC];
    return this.#ip(6, 58, target, this.#summed(6, 58, target, payload, 2));
  }

  #question(): number[] {
    const labels = Array.from({ length: 1 + this.#below(4) }, () => this.#bytes(1 + this.#below(20)));
    return [...this.#bytes(2), 1, 0, 0, this.#one([1, 1, 1, 0, 2]), 0, 0, 0, 0, 0, 0, ...labels.flatMap((label) => [label.length, ...label]), ...this.#one([[0], [0xc0, 12], []]), 0, this.#one([1, 28, 65]), 0, 1];
  }

  #udp(version: Version): Uint8Array {
    const names = this.#random() < 0.3;
    const target = names ? RESOLVER[version] : this.#target(version);
    const data = names ? this.#question() : this.#bytes(this.#below(200));
    const port = names ? 53 : this.#one(this.#ports);
    return this.#ip(version, 17, target, this.#summed(version, 17, target, [...u16(5000 + this.#below(20)), ...u16(port), ...u16(8 + data.length), 0, 0, ...data], 6));
  }

  #dhcp(): Uint8Array {
    const option = (code: number, ...value: number[]): number[] => [code, value.length, ...value];
    const options = [...option(53, this.#one([1, 3, 3, 8, this.#below(256)])), ...this.#one([[], option(50, ...GUEST[4]), option(50, 10, 0, 2, 99), option(55, 1, 3, 6), [0, 0], this.#bytes(3)]), this.#one([255, 0, 12])];
    const data = [1, 1, 6, 0, ...this.#bytes(4), 0, 0, 0, 0, ...new Array<number>(16).fill(0), ...GUEST_MAC, ...new Array<number>(202).fill(0), 0x63, 0x82, 0x53, 0x63, ...options];
    const everybody = Uint8Array.of(255, 255, 255, 255);
    return this.#ip(4, 17, everybody, this.#summed(4, 17, everybody, [0, 68, 0, 67, ...u16(8 + data.length), 0, 0, ...data], 6));
  }

  #fragment(): Uint8Array {
    const more = this.#random() < 0.7;
    return this.#ip(4, this.#one([17, 6, 1]), this.#target(4), this.#bytes(8 * this.#below(40)), (more ? 0x2000 : 0) | this.#below(64));
  }

  /** Of a connection that is there, more often than not. */
  #tcp(random: Version): Uint8Array {
    const names = this.#random() < 0.1;
    const known = this.#random() < 0.7 ? this.#one([...this.#peers.values()]) : undefined;
    const target = known?.target ?? (names ? RESOLVER[random] : this.#target(random));
    const version = target.length === 4 ? 4 : 6;
    const [from, to] = known === undefined ? [6000 + this.#below(30), names ? 53 : this.#one(this.#ports)] : [known.from, known.to];
    const peer = known ?? this.#peers.get(`${from} ${to} ${target.join()}`);
    const fits = peer !== undefined && this.#random() < 0.9;
    // Where the connection stands, or near it, or anywhere.
    const near = (value: number): number => (value + this.#one([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 500, -500, 70_000, -70_000])) >>> 0;
    const seq = fits ? near(peer.seq) : this.#below(2 ** 32);
    const ack = fits ? near(peer.ack) : this.#below(2 ** 32);
    const flags = fits ? this.#one([16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 24, 24, 24, 24, 17, 18, 4, 20, 0]) : this.#one([2, 2, 2, 2, 2, 16, 18, 4, 1, this.#below(256)]);
    const options = (flags & 2) === 0 ? [] : this.#one([[2, 4, 5, 180], [2, 4, 0, 0], [2, 4, 255, 255], [1, 3, 3, 14, 4, 2, 0, 0], [3, 3, 255, 0], [2, 0, 0, 0], []]);
    const data = (flags & 16) !== 0 && this.#random() < 0.6 ? this.#bytes(this.#below(names ? 40 : 600)) : [];
    if (fits && (flags & 7) === 0 && seq === peer.seq) peer.seq = (peer.seq + data.length) >>> 0;
    const header = [...u16(from), ...u16(to), ...u32(seq), ...u32(ack), (5 + options.length / 4) << 4, flags, ...u16(this.#one([0, 1, 500, 65535])), 0, 0, 0, 0];
    return this.#ip(version, 6, target, this.#summed(version, 6, target, [...header, ...options, ...data], 16));
  }

  /** Looks at a frame of the gateway's: throws where it is not what the RFCs say. `partial`: TCP's checksum is still to be made. */
  heard(frame: Uint8Array, partial: boolean): void {
    const type = ((frame[12] as number) << 8) | (frame[13] as number);
    if (type === 0x0806) {
      this.#count('arp');
      return;
    }
    const v4 = type === 0x0800;
    if (!v4 && type !== 0x86dd) throw new Error(`a frame of type ${type.toString(16)}`);
    const ip = frame.subarray(14);
    const header = v4 ? 20 : 40;
    const length = ((ip[v4 ? 2 : 4] as number) << 8) + (ip[v4 ? 3 : 5] as number) + (v4 ? 0 : 40);
    if (length !== ip.length) throw new Error(`an IP length of ${length} in ${ip.length} bytes`);
    if (v4 && internetSum(ip.subarray(0, 20)) !== 0) throw new Error('a wrong sum of an IP header');
    const protocol = ip[v4 ? 9 : 6] as number;
    const [source, target] = v4 ? [ip.subarray(12, 16), ip.subarray(16, 20)] : [ip.subarray(8, 24), ip.subarray(24, 40)];
    const fragment = v4 ? (((ip[6] as number) & 0x3f) << 8) | (ip[7] as number) : protocol === 44 ? 1 : 0;
    const rest = ip.subarray(header);
    const kind = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6', 44: 'fragment' }[protocol];
    if (kind === undefined) throw new Error(`protocol ${protocol}`);
    this.#count(kind);
    if (fragment !== 0 || partial) return;
    const whole = protocol === 1 ? rest : [...pseudo(source, target, protocol, rest.length), ...rest];
    if (internetSum(whole) !== 0) throw new Error(`a wrong sum of ${kind}`);
    if (protocol === 6) this.#learn(rest, source);
  }

  #learn(tcp: Uint8Array, from: Uint8Array): void {
    const get = (at: number): number => new DataView(tcp.buffer, tcp.byteOffset).getUint32(at);
    const flags = tcp[13] as number;
    const data = tcp.length - ((tcp[12] as number) >> 4) * 4;
    const [own, other] = [((tcp[2] as number) << 8) | (tcp[3] as number), ((tcp[0] as number) << 8) | (tcp[1] as number)];
    const key = `${own} ${other} ${from.join()}`;
    if ((flags & 4) !== 0) {
      this.#count('reset');
      this.#peers.delete(key);
      return;
    }
    if ((flags & 2) !== 0) this.#count('syn');
    if (data > 0) this.#count('data');
    this.#peers.set(key, { from: own, to: other, target: from.slice(), seq: get(8), ack: (get(4) + data + (flags & 3 ? 1 : 0)) >>> 0 });
    if (this.#peers.size > 1000) this.#peers.clear();
  }

  #count(kind: string): void {
    this.seen[kind] = (this.seen[kind] ?? 0) + 1;
  }
}

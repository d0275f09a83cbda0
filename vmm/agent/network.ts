import { VmmError } from '../../base/errors.ts';
import * as P from './generated/protocol.ts';
import { ipVersion } from './ip-version.ts';
import { encodeFile, type ProvidedFile } from './spec.ts';
import { FieldWriter } from './wire.ts';

/** An address and how many bits of it name its network. */
export interface NetAddress {
  readonly address: string;
  readonly prefix: number;
}

export interface NetRoute {
  /** 0.0.0.0/0 or ::/0: everything else. */
  readonly to: NetAddress;
  readonly gateway?: string | undefined;
  readonly metric?: number | undefined;
}

/** What init does with one card: it is switched on, and has these. What it has otherwise stays. */
export interface InterfaceConfig {
  /** The card's address, six bytes. */
  readonly mac: Uint8Array;
  readonly mtu?: number | undefined;
  readonly addresses: readonly NetAddress[];
  readonly routes: readonly NetRoute[];
}

export interface NetworkConfig {
  readonly interfaces: readonly InterfaceConfig[];
  /** New content of files of a container that were given with `kept`. */
  readonly files?: { readonly container: number; readonly files: readonly ProvidedFile[] } | undefined;
}

/** 4 or 16 bytes. Throws USAGE. */
export function addressBytes(text: string): Uint8Array {
  const version = ipVersion(text);
  if (version === 4) return Uint8Array.from(text.split('.').map(Number));
  if (version === 6 && !text.includes('%')) return v6Bytes(text);
  throw new VmmError('USAGE', `${text} is not an IP address`, { hint: 'for example 10.0.0.2 or fd00::2' });
}

function v6Bytes(text: string): Uint8Array {
  const v4 = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  let plain = text;
  if (v4 !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = addressBytes(v4[2] as string);
    plain = `${v4[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const groups = (part: string | undefined): number[] => (part === undefined || part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [before, after] = plain.split('::');
  const [head, tail] = [groups(before), groups(after)];
  const all = plain.includes('::') ? [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail] : head;
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function encodeAddress({ address, prefix }: NetAddress): Uint8Array {
  return Buffer.concat([u32(prefix), addressBytes(address)]);
}

/** A port of the guest, at an address that its loopback interface gets. */
export interface ListenSpec extends NetAddress {
  readonly port: number;
  /** Connections to this port of the address (IPv4) come, too; a process of the guest may have the port of all addresses all the same. */
  readonly sharedPort?: number | undefined;
}

/** The payload of LISTEN. */
export function encodeListen(listener: number, { port, sharedPort, ...address }: ListenSpec): FieldWriter {
  const w = new FieldWriter().u32(P.TAG_LISTENER, listener).bytes(P.TAG_ADDRESS, encodeAddress(address)).u32(P.TAG_PORT, port);
  return sharedPort === undefined ? w : w.u32(P.TAG_SHARED_PORT, sharedPort);
}

function encodeInterface({ mac, mtu, addresses, routes }: InterfaceConfig): FieldWriter {
  const w = new FieldWriter().bytes(P.TAG_CARD, mac);
  if (mtu !== undefined) w.u32(P.TAG_MTU, mtu);
  for (const address of addresses) w.bytes(P.TAG_ADDRESS, encodeAddress(address));
  for (const { to, gateway, metric } of routes) {
    w.bytes(P.TAG_ROUTE, Buffer.concat([u32(to.prefix), u32(metric ?? 0), addressBytes(to.address), ...(gateway === undefined ? [] : [addressBytes(gateway)])]));
  }
  return w;
}

/** The payload of NETWORK. */
export function encodeNetwork({ interfaces, files }: NetworkConfig): FieldWriter {
  const w = new FieldWriter();
  for (const one of interfaces) w.nested(P.TAG_INTERFACE, encodeInterface(one));
  if (files !== undefined) {
    w.u32(P.TAG_CONTAINER, files.container);
    for (const file of files.files) w.nested(P.TAG_FILE, encodeFile(file));
  }
  return w;
}

/** 02:00:00:00:00:01. */
export function macText(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

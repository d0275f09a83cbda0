import type { Denied } from '../../gateway/gateway.ts';
import type { PolicyConfig } from '../../gateway/policy/config.ts';
import type { CardRate } from './limited.ts';
import type { NetBackend, NetEvents } from './backend.ts';

/** Where a card's cable goes. */
export type CableSpec =
  /** The tap of that name; made, and gone with the machine, when there is none. */
  | { readonly kind: 'tap'; readonly name: string }
  /** A tap or a connected socket that this process has open, and that is the machine's from now on; `copy`: a copy of it is. */
  | { readonly kind: 'fd'; readonly fd: number; readonly copy?: boolean | undefined }
  /** A socket with QEMU's framing. */
  | { readonly kind: 'unix'; readonly path: string }
  /** passt, in a process of its own. */
  | PasstSpec
  /** A user-mode network of this process's own, on the main thread. */
  | UserSpec
  /** None, of a spare card. */
  | { readonly kind: 'none' }
  /** A back end of the caller's own, in this process, on the main thread. */
  | { readonly kind: 'own'; readonly name: string; readonly connect: (events: NetEvents) => NetBackend };

/** passt, and what it takes the guest for. */
export interface PasstSpec {
  readonly kind: 'passt';
  /** The guest's: one of each family that the host has a way out for. */
  readonly addresses: readonly { readonly address: string; readonly prefix: number }[];
  readonly gateways: readonly string[];
  readonly mtu: number;
  readonly ports: readonly PublishedPort[];
}

/** What the gateway of a user-mode network takes the guest for, and lets it do. */
export interface UserSpec {
  readonly kind: 'user';
  /** One of IPv4, and one of IPv6 where the host has a way out for that. */
  readonly families: readonly UserFamily[];
  readonly mtu: number;
  /** The guest asks for its addresses; else it has been told. */
  readonly asks: boolean;
  /** Addresses of the servers that the guest's questions for names go to. */
  readonly servers: readonly string[];
  readonly policy: PolicyConfig;
  /** The gateway's address leads to the host's loopback. */
  readonly hostLoopback: boolean;
  readonly ports: readonly PublishedPort[];
  /** Is told of each connection that the policy has refused. */
  readonly denied?: ((denied: Denied) => void) | undefined;
  /** Is told of each port that is taken, before the machine runs, and which number it has; `address` is 0.0.0.0 where all were asked for and the host has no IPv6. */
  readonly published?: ((port: PublishedPort, host: number) => void) | undefined;
}

export interface UserFamily {
  /** The guest's. */
  readonly address: string;
  readonly prefix: number;
  readonly gateway: string;
  /** Where the guest asks for names. */
  readonly resolver: string;
}

/** A port of the host's that leads to one of the guest's. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  /** All when not given. */
  readonly address?: string | undefined;
  /** 0: any that is free. */
  readonly host: number;
  /** Then the first that is free of `host` to this one. */
  readonly hostLast?: number | undefined;
  readonly guest: number;
}

export interface CardSpec {
  readonly cable: CableSpec;
  /** Six bytes; random when not given. */
  readonly mac?: Uint8Array | undefined;
  /** 1500 when not given. */
  readonly mtu?: number | undefined;
  /** A file that gets a copy of each frame, as pcap(5) says. */
  readonly capture?: string | undefined;
  readonly rate?: CardRate | undefined;
}

/** As users write it. */
export function cableName(cable: CableSpec): string {
  switch (cable.kind) {
    case 'tap': return `tap=${cable.name}`;
    case 'fd': return `fd=${cable.fd}`;
    case 'unix': return `unix=${cable.path}`;
    case 'passt': return 'passt';
    case 'user': return 'user';
    case 'none': return 'without a cable';
    case 'own': return cable.name;
  }
}

/** The guest's link, as the gateway has it: who is at its two ends, and the frame that is being made for it. */
import { NET_FRAME_MAX } from '../../../assembly/contract/devices.ts';
import { ETHER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, putIp } from './packets.ts';
import { put16, sameBytes } from './wire.ts';

/** One family's addresses. */
export interface FamilyConfig {
  readonly guest: Uint8Array;
  readonly prefix: number;
  readonly gateway: Uint8Array;
  /** Where the guest asks for names. */
  readonly resolver: Uint8Array;
}

export interface LinkConfig {
  /** The guest finds its addresses out by itself: by router advertisements and DHCP. One that has been told would have others beside them. */
  readonly asks: boolean;
  /** The card's. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly v4?: FamilyConfig | undefined;
  readonly v6?: FamilyConfig | undefined;
}

/** Who the gateway is on the link: locally administered, and QEMU's for this. */
export const GATEWAY_MAC = Uint8Array.of(0x52, 0x55, 0x0a, 0, 2, 2);

/** A frame for the guest. Without segments or a sum to be made `segment` and `sumAt` are 0. */
export class OutFrame {
  readonly bytes = new Uint8Array(NET_FRAME_MAX);
  length = 0;
  /** Bytes of payload in each segment that the guest takes it for. */
  segment = 0;
  headers = 0;
  /** Where the sum begins that is still to be made. */
  sumAt = 0;
}

export class Link {
  readonly config: LinkConfig;
  readonly out = new OutFrame();
  /** Whoever the guest's frames come from. */
  guestMac: Uint8Array;
  /** The guest makes TCP's checksums; it takes segments of 64 KiB, by family. */
  sums = false;
  segments4 = false;
  segments6 = false;

  constructor(config: LinkConfig) {
    this.config = config;
    this.guestMac = config.mac;
  }

  family(address: Uint8Array): FamilyConfig | undefined {
    return address.length === 4 ? this.config.v4 : this.config.v6;
  }

  /** One of the gateway's own addresses on the link. */
  isOwn(address: Uint8Array): boolean {
    const family = this.family(address);
    return family !== undefined && (sameBytes(address, family.gateway) || sameBytes(address, family.resolver));
  }

  /** Begins a frame with `length` bytes behind its IP header; returns where those go. */
  begin(protocol: number, source: Uint8Array, target: Uint8Array, length: number): number {
    const { out } = this;
    const at = putEthernet(out.bytes, this.guestMac, source.length === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    const start = putIp(out.bytes, at, protocol, source, target, length);
    out.length = start + length;
    out.segment = 0;
    out.sumAt = 0;
    return start;
  }
}

export function putEthernet(bytes: Uint8Array, to: Uint8Array, type: number): number {
  bytes.set(to, 0);
  bytes.set(GATEWAY_MAC, 6);
  put16(bytes, 12, type);
  return ETHER;
}

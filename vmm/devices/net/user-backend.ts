/** The user-mode network as a card's other end: the gateway's frames in and out of guest memory. */
import { parseIp } from '../../gateway/link/address.ts';
import type { FamilyConfig } from '../../gateway/link/link.ts';
import { NET_CSUM, NET_TSO4, NET_TSO6 } from '../../../assembly/contract/devices.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6 } from '../../../assembly/contract/generated/virtio.ts';
import { Gateway } from '../../gateway/gateway.ts';
import type { OutFrame } from '../../gateway/link/link.ts';
import { ETHERTYPE_IPV4 } from '../../gateway/link/packets.ts';
import { get16 } from '../../gateway/link/wire.ts';
import type { NetBackend, NetEvents } from './backend.ts';
import type { Frame } from './frames.ts';
import type { UserSpec } from './spec.ts';

const DNS_PORT = 53;

/** A gateway with its frames to guest memory. */
export class UserBackend implements NetBackend {
  readonly gateway: Gateway;
  /** The card knows that there is something. */
  #told = false;

  constructor({ families, mtu, asks, servers, policy, hostLoopback, denied }: UserSpec, mac: Uint8Array, events: Pick<NetEvents, 'readable'>) {
    const [v4, v6] = [4, 16].map((length) => families.map(familyConfig).find(({ guest }) => guest.length === length));
    this.gateway = new Gateway({ link: { mac, mtu, asks, v4, v6 }, servers: servers.map((address) => ({ address, port: DNS_PORT })), policy, hostLoopback }, {
      frames: () => {
        if (!this.#told) events.readable();
        this.#told = true;
      },
      denied: (one) => denied?.(one),
    });
  }

  send(frame: Frame): number {
    const { buffer } = this.gateway;
    if (frame.bytes > buffer.length) return frame.bytes;
    frame.copyTo(buffer);
    this.gateway.received(frame.bytes, ((frame.header[0] as number) & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0);
    return frame.bytes;
  }

  receive(frame: Frame): number {
    const out = this.gateway.next(frame.bytes);
    if (out === undefined || out.length > frame.bytes) {
      this.#told = false;
      return 0;
    }
    putHeader(frame.header, out);
    frame.copyFrom(out.bytes.subarray(0, out.length));
    return out.length;
  }

  setOffloads(offloads: number): void {
    const { link } = this.gateway;
    link.sums = (offloads & NET_CSUM) !== 0;
    link.segments4 = link.sums && (offloads & NET_TSO4) !== 0;
    link.segments6 = link.sums && (offloads & NET_TSO6) !== 0;
  }

  close(): void {
    this.gateway.close();
  }
}

function familyConfig({ address, prefix, gateway, resolver }: UserSpec['families'][number]): FamilyConfig {
  return { guest: parseIp(address), prefix, gateway: parseIp(gateway), resolver: parseIp(resolver) };
}

/** Of TCP's checksum, in its header. */
const CHECKSUM_OFFSET = 16;

/** struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6), which is empty. */
export function putHeader(header: Uint8Array, { bytes, sumAt, segment, headers }: OutFrame): void {
  if (sumAt === 0) return;
  header[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header[6] = sumAt;
  header[8] = CHECKSUM_OFFSET;
  if (segment === 0) return;
  header[1] = get16(bytes, 12) === ETHERTYPE_IPV4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  header[2] = headers;
  header[4] = segment & 255;
  header[5] = segment >>> 8;
}

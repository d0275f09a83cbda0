/** The user-mode network (vmm/gateway/): what a start needs of it. All else is loaded once there is traffic. */
import { EAGAIN } from '../../../assembly/contract/generated/errno.ts';
import { NET_CSUM, NET_TSO4, NET_TSO6 } from '../../../assembly/contract/devices.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { NetBackend, NetEvents } from './backend.ts';
import type { Frame } from './frames.ts';
import type { OpenCable } from './open-cable.ts';
import { waysOut } from './passt.ts';
import type { UserFamily, UserSpec } from './spec.ts';
import type { UserBackend } from './user-backend.ts';

/** ICMPv6's protocol number. */
const PROTO_ICMPV6 = 58;
/** The addresses of passt's network, and the resolver of slirp's. */
const V4: UserFamily = { address: '10.0.2.15', prefix: 24, gateway: '10.0.2.2', resolver: '10.0.2.3' };
const V6: UserFamily = { address: 'fd76:6d6d:2::15', prefix: 64, gateway: 'fd76:6d6d:2::2', resolver: 'fd76:6d6d:2::3' };

/** Of a guest that has not been told others. IPv6 is for a host with a way out for it: a guest that believes in one would wait for each connection. */
export function standardFamilies(): UserFamily[] {
  const v6 = waysOut().some(({ address }) => address.includes(':'));
  return v6 ? [V4, V6] : [V4];
}

/** The other end of a card's cable, in this process: nothing of it can fail before there is traffic. */
export function openUser(spec: UserSpec): OpenCable {
  let cable: UserCable | undefined;
  const ports = spec.ports.length === 0 ? undefined : listen(spec, (accept) => cable?.accept(accept));
  return {
    offloads: NET_CSUM | NET_TSO4 | NET_TSO6,
    connect: (events, mac) => {
      // Each life of the machine has connections of its own.
      cable?.close();
      cable = new UserCable(spec, mac, events);
      return cable;
    },
    ready: ports?.then(() => {}),
    close: () => {
      cable?.close();
      ports?.then((close) => close(), () => {});
    },
  };
}

/** Takes the ports; gives what gives them back. `arrived`: somebody has come to one of them. */
async function listen({ ports, published }: UserSpec, arrived: (accept: (gateway: Gateway) => void) => void): Promise<() => void> {
  const { PublishedPorts } = await import('./user-ports.ts');
  const taken = new PublishedPorts(arrived);
  try {
    for (const port of ports) {
      const { host, address } = await taken.take(port);
      published?.({ ...port, address }, host);
    }
  } catch (error) {
    taken.close();
    throw error;
  }
  return () => taken.close();
}

/** The beginning of a frame. */
const HEAD = new Uint8Array(80);

/**
 * What a kernel sends for its link-local address, and the gateway would not answer: groups that are joined (RFC 3810), whether somebody else has
 * the address (RFC 4862), where a router is (RFC 4861). A container that never uses its network loads no gateway.
 */
function needless(frame: Frame): boolean {
  const length = Math.min(frame.bytes, HEAD.length);
  HEAD.fill(0);
  frame.copyTo(HEAD, 0, length);
  // An Ethernet header, one of IPv6, its next header: hop-by-hop options before ICMPv6, or that at once.
  if (length < 62 || HEAD[12] !== 0x86 || HEAD[13] !== 0xdd) return false;
  if (HEAD[20] === 0) return HEAD[54] === PROTO_ICMPV6 && HEAD[62] === 143;
  if (HEAD[20] !== PROTO_ICMPV6) return false;
  return HEAD[54] === 133 || (HEAD[54] === 135 && HEAD.subarray(22, 38).every((byte) => byte === 0) && HEAD[62] === 0xfe && HEAD[63] === 0x80);
}

/** A gateway that is made when the guest sends the first frame that asks for one. */
class UserCable implements NetBackend {
  readonly #spec: UserSpec;
  readonly #mac: Uint8Array;
  readonly #events: NetEvents;
  #backend: UserBackend | undefined;
  #loading: Promise<void> | undefined;
  #closed = false;
  #offloads = 0;

  constructor(spec: UserSpec, mac: Uint8Array, events: NetEvents) {
    this.#spec = spec;
    this.#mac = mac;
    this.#events = events;
  }

  send(frame: Frame): number {
    if (this.#backend !== undefined) return this.#backend.send(frame);
    if (!this.#spec.asks && needless(frame)) return frame.bytes;
    this.#loading ??= this.#load();
    return -EAGAIN;
  }

  /** Somebody of the host's is there for the guest. */
  async accept(take: (gateway: Gateway) => void): Promise<void> {
    this.#loading ??= this.#load();
    await this.#loading;
    if (this.#backend !== undefined && !this.#closed) take(this.#backend.gateway);
  }

  async #load(): Promise<void> {
    const { UserBackend } = await import('./user-backend.ts');
    if (this.#closed) return;
    this.#backend = new UserBackend(this.#spec, this.#mac, this.#events);
    this.#backend.setOffloads(this.#offloads);
    this.#events.writable();
  }

  receive(frame: Frame): number {
    return this.#backend?.receive(frame) ?? 0;
  }

  setOffloads(offloads: number): void {
    this.#offloads = offloads;
    this.#backend?.setOffloads(offloads);
  }

  close(): void {
    this.#closed = true;
    this.#backend?.close();
  }
}

/** What `vmm inspect` shows of a container's network, in Docker's words (20.10, API 1.41: NetworkSettings). */
import type { Container, ContainerPort, RecordedCard } from '../api/owner.ts';
import { portsOf } from './port.ts';

type Row = Readonly<Record<string, unknown>>;

/** The first card's addresses are the container's, as those of the default bridge are with Docker. */
export function networkSettings(one: Container): Row {
  const runs = one.state === 'running' || one.state === 'paused';
  const cards = runs ? (one.life?.cards ?? []) : [];
  const networks = new Map<string, Row>();
  for (const card of cards) {
    const again = [...networks.keys()].filter((name) => name.startsWith(card.network)).length;
    networks.set(again === 0 ? card.network : `${card.network}-${again + 1}`, addressesOf(card));
  }
  return {
    Ports: runs ? bindings(portsOf(one)) : {},
    ...addressesOf(cards[0]),
    Networks: Object.fromEntries(networks),
    DeniedConnections: deniedOf(one),
  };
}

function addressesOf(card: RecordedCard | undefined): Row {
  const { addresses = [], gateways = [], mac = '' } = card ?? {};
  const [v4, v6] = [addresses.find(({ address }) => !address.includes(':')), addresses.find(({ address }) => address.includes(':'))];
  return {
    Gateway: gateways.find((gateway) => !gateway.includes(':')) ?? '',
    IPAddress: v4?.address ?? '',
    IPPrefixLen: v4?.prefix ?? 0,
    IPv6Gateway: gateways.find((gateway) => gateway.includes(':')) ?? '',
    GlobalIPv6Address: v6?.address ?? '',
    GlobalIPv6PrefixLen: v6?.prefix ?? 0,
    MacAddress: mac,
  };
}

/** What its network has refused; Docker has no such thing. */
function deniedOf({ life }: Container): Row {
  const { count = 0, last = [] } = life?.denied ?? {};
  return { Count: count, Last: last.map(({ time, protocol, target, why }) => ({ Time: time, Protocol: protocol, Target: target, Reason: why })) };
}

/** `80/tcp` → where on the host. */
export function bindings(ports: readonly ContainerPort[]): Row {
  const found: Record<string, Row[]> = {};
  for (const { protocol, address, host, hostLast, guest } of ports) {
    const name = `${guest}/${protocol}`;
    const hosts = (address === undefined ? ['0.0.0.0', '::'] : [address]).map((HostIp) => ({ HostIp, HostPort: hostLast === undefined ? `${host}` : `${host}-${hostLast}` }));
    found[name] = [...(found[name] ?? []), ...hosts];
  }
  return found;
}

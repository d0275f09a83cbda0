/** `--network container:NAME`: a container in the machine of another, whose network it has. */
import { type ContainerNetwork, NO_NETWORK } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import type { CardText, JoinedNetwork } from './net-options.ts';

/** Options of `vmm run` that say how a network is, or who is in it. */
interface AboutNetwork {
  readonly network: readonly (CardText | undefined)[];
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly uts?: string | undefined;
  readonly ip?: string | undefined;
  readonly ip6?: string | undefined;
  readonly macAddress?: Uint8Array | undefined;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOption: readonly string[];
  readonly publish: readonly (readonly unknown[])[];
  readonly publishAll?: boolean | undefined;
  readonly expose?: readonly unknown[] | undefined;
  readonly addHost: readonly unknown[];
  readonly egress?: string | undefined;
  readonly allow: readonly unknown[];
  readonly deny: readonly unknown[];
  readonly egressPolicy?: string | undefined;
  readonly strictSni: boolean;
  readonly networkAlias: readonly string[];
  readonly hotplug?: readonly unknown[] | undefined;
}

/** Whose network it is. */
export function joinedName(network: AboutNetwork['network']): string | undefined {
  return network.map(joinedOf).find((joined) => joined !== undefined)?.name;
}

function joinedOf(card: CardText | undefined): JoinedNetwork | undefined {
  return typeof card?.cable === 'object' && card.cable.kind === 'container' ? card.cable : undefined;
}

/** What the other one's network has decided already, in Docker's words (runconfig/errors.go). Throws USAGE. */
export function joinedNetwork(options: AboutNetwork): ContainerNetwork {
  const { network, hostname, domainname, uts, dns, dnsSearch, dnsOption, addHost, macAddress, publish, publishAll = false, expose = [], ip, ip6, networkAlias, egress, allow, deny, egressPolicy, strictSni, hotplug = [] } = options;
  const conflicts: readonly (readonly [boolean, string, string?])[] = [
    [network.length > 1, 'container sharing network namespace with another container or host cannot be connected to any other network', 'leave the other --network away'],
    [hostname !== undefined || domainname !== undefined, 'conflicting options: hostname and the network mode'],
    [uts !== undefined, 'conflicting options: UTS mode and the network mode', 'its host name is that of the other container'],
    [dns.length + dnsSearch.length + dnsOption.length > 0, 'conflicting options: dns and the network mode'],
    [addHost.length > 0, 'conflicting options: custom host-to-IP mapping and the network mode'],
    [macAddress !== undefined, 'conflicting options: mac-address and the network mode'],
    [publish.flat().length > 0 || publishAll, 'conflicting options: port publishing and the container type network mode'],
    [expose.length > 0, 'conflicting options: port exposing and the container type network mode'],
    [ip !== undefined || ip6 !== undefined, 'conflicting options: an IP address and the container type network mode'],
    [networkAlias.length > 0, 'conflicting options: network-scoped aliases and the container type network mode'],
    [egress !== undefined || allow.length + deny.length > 0 || egressPolicy !== undefined || strictSni, 'conflicting options: --egress, --allow, --deny and their kin, and the container type network mode'],
    [hotplug.length > 0, 'conflicting options: --hotplug and the container type network mode', 'the machine is the other container’s: give it to that one'],
  ];
  const conflict = conflicts.find(([given]) => given);
  if (conflict !== undefined) throw new VmmError('USAGE', conflict[1], { hint: conflict[2] ?? 'the network is the other container’s: give it to that one' });
  return NO_NETWORK;
}

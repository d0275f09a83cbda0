/** A sandbox's card: the user-mode network, and where it leads. */
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { type ContainerNetwork, defaultRoutes, hostResolver, NO_NETWORK } from '../container/network.ts';
import { standardFamilies } from '../devices/net/user.ts';
import { OPEN_POLICY, type PolicyConfig } from '../gateway/policy/config.ts';
import type { SandboxNetwork, SandboxOptions } from './options.ts';

const MTU = 1500;

/** Throws USAGE. */
export async function sandboxNetwork(network: SandboxOptions['network']): Promise<ContainerNetwork> {
  if (network === undefined || network === 'none') return NO_NETWORK;
  const policy = network === 'user' ? OPEN_POLICY : await policyOf(network);
  const families = standardFamilies();
  const { servers, search, options } = hostResolver(resolvConf(), true);
  const mac = new Uint8Array(randomBytes(6));
  mac[0] = ((mac[0] as number) & 0xfc) | 2; // local, of one card
  const addresses = families.map(({ address, prefix }) => ({ address, prefix }));
  return {
    cards: [{
      card: { cable: { kind: 'user', families, mtu: MTU, asks: false, servers, policy, hostLoopback: false, ports: [] }, mac, mtu: MTU },
      interface: { addresses, routes: defaultRoutes(addresses, families.map(({ gateway }) => gateway), 'network') },
    }],
    hosts: [],
    resolver: { servers: families.map(({ resolver }) => resolver), search, options },
  };
}

/** What is refused counts before what is let through. */
async function policyOf({ egress = 'deny', allow = [], deny = [], strictSni = false }: SandboxNetwork): Promise<PolicyConfig> {
  const { parseRule } = await import('../gateway/policy/rules.ts');
  return { egress, strictSni, rules: [...deny.map((text) => parseRule('deny', text, 'network.deny')), ...allow.map((text) => parseRule('allow', text, 'network.allow'))] };
}

function resolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return '';
  }
}

/** A pod's networks, from its namespace to what its machine's cards get; and all of it away again. */
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkConfig } from '../../vmm/api/containers.ts';
import { Failure } from '../common/failure.ts';
import { ownRoot } from '../common/own-root.ts';
import type { Network } from './config.ts';
import { endPlugins } from './orphans.ts';
import { type Call, parseResult, type Result, runPlugin, toolPath } from './plugin.ts';
import { removeRules } from './rules.ts';

/** In the pod's directory. */
const NAMESPACE = 'netns';
/** What gc needs, written before the first plugin runs: a pod that is killed then is cleaned, too. */
const RECORD = 'net-plugins.json';
const INFO = 'net-info.json';

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: string;
  readonly hostIP: string | undefined;
}

interface Recorded {
  readonly network: Network;
  readonly interfaceName: string;
  readonly ports: readonly PortMapping[];
}

export interface Attached {
  readonly network: Network;
  readonly interfaceName: string;
  readonly result: Result;
}

/** rkt's folders for plugins, then those of the image. */
export function pluginPath(localConfig: string): string[] {
  return [join(localConfig, 'net.d'), '/usr/lib/rkt/plugins/net', join(ownRoot(), 'usr/lib/rkt/plugins/net')];
}

/** Which network the pod's ports lead to, and its metadata service is reached by: the first that is masqueraded, else the last. */
export function forwarded(networks: readonly Network[]): number {
  const first = networks.findIndex(({ ipMasq }) => ipMasq);
  return first < 0 ? networks.length - 1 : first;
}

interface Wanted {
  readonly uuid: string;
  readonly networks: readonly Network[];
  readonly ports: readonly PortMapping[];
  readonly localConfig: string;
  /** The pod ends before it has a network. */
  readonly stopped: AbortSignal;
}

/** Runs ADD of all networks, in order. Rejects with Failure; what was done until then is for `detach`. */
export async function attach({ uuid, networks, ports, localConfig, stopped }: Wanted, make: (namespace: string) => void): Promise<Attached[]> {
  const records = networks.map((network, index): Recorded => ({ network, interfaceName: `eth${index}`, ports: index === forwarded(networks) ? ports : [] }));
  writeFileSync(`${RECORD}.new`, JSON.stringify({ localConfig, records }), { mode: 0o600 });
  renameSync(`${RECORD}.new`, RECORD);
  closeSync(openSync(NAMESPACE, 'w', 0o600));
  const namespace = join(process.cwd(), NAMESPACE);
  const path = pluginPath(localConfig);
  make(namespace);
  const attached: Attached[] = [];
  for (const record of records) attached.push({ ...record, result: await add(record, { ...call('ADD', uuid, namespace, record, path), stopped }) });
  return attached;
}

function call(command: Call['command'], container: string, namespace: string, { interfaceName, network }: Recorded, path: readonly string[]): Call {
  return { command, container, namespace, interfaceName, args: network.args, path };
}

/** The chain's plugins with what a runtime adds to each: name, version, the result so far, and the ports where one is for them. */
function chain({ network, ports }: Recorded): Record<string, unknown>[] {
  const plugins = network.plugins.map((plugin) => ({ ...plugin }) as Record<string, unknown>);
  const forwards = (plugin: Record<string, unknown>): boolean => (plugin['capabilities'] as { portMappings?: unknown } | undefined)?.portMappings === true;
  if (ports.length > 0 && !plugins.some(forwards)) plugins.push({ type: 'portmap', capabilities: { portMappings: true }, snat: true });
  // Chains are younger than 0.1.0, which rkt's own definitions say.
  const version = plugins.length > 1 && /^0\.[12]\./.test(network.cniVersion) ? '0.3.1' : network.cniVersion;
  return plugins.map((plugin) => ({ ...plugin, name: network.name, cniVersion: version, ...(forwards(plugin) ? { runtimeConfig: { portMappings: ports } } : {}) }));
}

async function add(record: Recorded, to: Call): Promise<Result> {
  let text = '';
  let last = '';
  for (const plugin of chain(record)) {
    last = String(plugin['type']);
    const before = text === '' ? {} : { prevResult: JSON.parse(text) as unknown };
    text = await runPlugin(last, { ...plugin, ...before }, to);
    parseResult(last, text);
  }
  return parseResult(last, text);
}

/** `$POD/net-info.json`, in rkt's keys: rkt status prints it. */
export function writeNetInfo(attached: readonly Attached[], path: readonly string[]): void {
  const info = attached.map(({ network, interfaceName, result }) => {
    const v4 = result.addresses.find(({ address }) => !address.includes(':')) ?? result.addresses[0];
    const bits = v4?.prefix ?? 32;
    const mask = [0, 1, 2, 3].map((byte) => 256 - 2 ** (8 - Math.min(8, Math.max(0, bits - 8 * byte)))).join('.');
    return { netName: network.name, netConf: network.path, pluginPath: join(path.at(-1) ?? '', String(network.plugins[0]?.['type'])), ifName: interfaceName, ip: v4?.address ?? '', args: network.args, mask };
  });
  writeFileSync(`${INFO}.new`, JSON.stringify(info), { mode: 0o644 });
  renameSync(`${INFO}.new`, INFO);
}

/** Undoes `attach`, as far as it came, in any order of events; once more does nothing. Returns what could not be done, a line each. */
export async function detach(uuid: string, drop: (namespace: string) => void): Promise<string[]> {
  const failed: { readonly plugin: Record<string, unknown>; readonly record: Recorded; readonly error: Failure }[] = [];
  const namespace = join(process.cwd(), NAMESPACE);
  await endPlugins(uuid);
  let names: readonly string[] = [];
  let path: readonly string[] = [];
  // Gone already, or never made: an empty name says so, and plugins give back what is not in it.
  const there = isNamespace(namespace) ? namespace : '';
  const del = (plugin: Record<string, unknown>, record: Recorded, from: string): Promise<Failure | undefined> =>
    runPlugin(String(plugin['type']), plugin, call('DEL', uuid, from, record, path)).then(() => undefined, (error: unknown) => {
      if (error instanceof Failure) return error;
      throw error;
    });
  if (existsSync(RECORD)) {
    // The pod's directory has moved since: no path of it is in the record.
    const { localConfig, records } = JSON.parse(readFileSync(RECORD, 'utf8')) as { localConfig: string; records: Recorded[] };
    path = pluginPath(localConfig);
    names = records.map(({ network }) => network.name);
    for (const record of records.reverse()) {
      for (const plugin of chain(record).reverse()) {
        const error = await del(plugin, record, there);
        if (error !== undefined) failed.push({ plugin, record, error });
      }
    }
  }
  if (names.length > 0) removeRules(uuid, names, toolPath());
  drop(namespace);
  // A gc that was killed within a plugin's DEL leaves half of its rules, which the plugin stumbles over: the rules and the namespace are gone now, and it has the rest to give back.
  const troubles: string[] = [];
  for (const { plugin, record, error } of failed) if (there === '' || (await del(plugin, record, '')) !== undefined) troubles.push(error.message);
  // What could not be done is tried again by the next gc.
  for (const name of troubles.length > 0 ? [NAMESPACE] : [NAMESPACE, RECORD]) rmSync(name, { force: true });
  return troubles;
}

/** linux/magic.h. */
const NSFS_MAGIC = 0x6e73_6673;

function isNamespace(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === NSFS_MAGIC;
}

/** What init gives one card. */
export function interfaceConfig({ result }: Attached, mac: Uint8Array, mtu: number): NetworkConfig['interfaces'][number] {
  const network = (text: string): { address: string; prefix: number } => {
    const [address = '', prefix = ''] = text.split('/');
    return { address, prefix: Number(prefix) };
  };
  const gatewayFor = (dst: string): string | undefined => result.addresses.find(({ address, gateway }) => gateway !== undefined && address.includes(':') === dst.includes(':'))?.gateway;
  return {
    mac,
    mtu,
    addresses: result.addresses.map(({ address, prefix }) => ({ address, prefix })),
    routes: result.routes.map(({ dst, gateway }) => ({ to: network(dst), gateway: gateway ?? gatewayFor(dst) })),
  };
}

/** resolv.conf of the first network that says something of DNS. */
export function resolverOf(attached: readonly Attached[]): string | undefined {
  const dns = attached.map(({ result }) => result.dns).find(({ nameservers }) => nameservers.length > 0);
  if (dns === undefined) return undefined;
  const line = (key: string, values: readonly string[]): string => (values.length === 0 ? '' : `${key} ${values.join(' ')}\n`);
  return `${line('domain', dns.domain === undefined ? [] : [dns.domain])}${line('search', dns.search)}${dns.nameservers.map((each) => `nameserver ${each}\n`).join('')}${line('options', dns.options)}`;
}

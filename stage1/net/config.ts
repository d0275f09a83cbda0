/** Which networks a pod gets: rkt's own definitions, overridden by name by those of the administrator (rkt-stage1 "--net grammar and CNI"). */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../../image/appc/file.ts';
import { Failure, oneLine } from '../common/failure.ts';

const CONFIG_MAX = 1 << 20;
const HOST_CNI = '/etc/cni/net.d';

/** One network: a plugin, or a chain of them (CNI specification, "Network configuration format"). */
export interface Network {
  readonly name: string;
  /** The file that defines it. */
  readonly path: string;
  readonly cniVersion: string;
  readonly plugins: readonly Readonly<Record<string, unknown>>[];
  /** Its addresses are hidden behind the host's: ports are forwarded to the first such. */
  readonly ipMasq: boolean;
  /** For plugins: `K=V;K=V`. */
  readonly args: string;
}

/** rkt's. */
const BUILT_IN: readonly Readonly<Record<string, unknown>>[] = [
  { cniVersion: '0.1.0', name: 'default', type: 'ptp', ipMasq: true, ipam: { type: 'host-local', subnet: '172.16.28.0/24', routes: [{ dst: '0.0.0.0/0' }] } },
  { cniVersion: '0.1.0', name: 'default-restricted', type: 'ptp', ipMasq: false, ipam: { type: 'host-local', subnet: '172.31.0.0/16' } },
];

/** All that can be had, the first of a name counts. Throws Failure for a file that is none. */
function definitions(localConfig: string, hostCni: boolean): Map<string, Network> {
  const found = new Map<string, Network>();
  const add = (network: Network): void => {
    if (!found.has(network.name)) found.set(network.name, network);
  };
  for (const folder of [join(localConfig, 'net.d'), ...(hostCni ? [HOST_CNI] : [])]) {
    let names: string[] = [];
    try {
      names = readdirSync(folder).filter((name) => /\.conf(list)?$/.test(name)).sort();
    } catch {
      // There is no such folder.
    }
    for (const name of names) add(parseNetwork(join(folder, name), Buffer.from(readBounded(join(folder, name), CONFIG_MAX)).toString()));
  }
  for (const each of BUILT_IN) add(parseNetwork('built in', JSON.stringify(each)));
  return found;
}

/** A `.conf` or `.conflist`. Throws Failure. */
function parseNetwork(path: string, text: string): Network {
  const bad = (what: string): Failure => new Failure(`${path}: ${what}`);
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw bad(`is no JSON: ${oneLine((error as Error).message)}`);
  }
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(document)) throw bad('is no JSON object');
  const { name, cniVersion = '0.1.0' } = document;
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) throw bad('name: is missing, or no name');
  if (typeof cniVersion !== 'string') throw bad('cniVersion: is no text');
  const list = path.endsWith('.conflist') ? document['plugins'] : [document];
  if (!Array.isArray(list) || list.length === 0 || list.length > 16) throw bad('plugins: is no list of 1 to 16 plugins');
  for (const plugin of list) if (!isObject(plugin) || typeof plugin['type'] !== 'string' || !/^[A-Za-z0-9][\w.-]*$/.test(plugin['type'])) throw bad('type: is missing, or no name of a plugin');
  const plugins = list as Record<string, unknown>[];
  return { name, path, cniVersion, plugins, ipMasq: plugins.some((plugin) => plugin['ipMasq'] === true), args: '' };
}

/** The networks that `--net` names, in the order of interfaces. Throws Failure. */
export function networksOf(wanted: readonly { readonly name: string; readonly args: string }[], localConfig: string, hostCni: boolean): Network[] {
  if (wanted.length === 0) return [];
  const all = definitions(localConfig, hostCni);
  const asked = wanted.some(({ name }) => name === 'all') ? [...all.keys()].map((name) => ({ name, args: wanted.find((each) => each.name === name)?.args ?? '' })) : wanted;
  const missing = asked.filter(({ name }) => !all.has(name)).map(({ name }) => name);
  if (missing.length > 0) throw new Failure(`networks not found: ${missing.join(', ')} (looked in ${join(localConfig, 'net.d')})`);
  return asked.map(({ name, args }) => ({ ...(all.get(name) as Network), args }));
}

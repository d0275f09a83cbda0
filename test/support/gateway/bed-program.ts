/** Runs one bed in the network namespace that it is started in: what it is asked as JSON in its first argument, what the guest saw as JSON. */
import { execFileSync } from 'node:child_process';
import { Bed, bedConfig, type Weather } from './bed.ts';
import type { Operation } from './client.ts';
import { serveNames, type Zone } from './names.ts';
import { startServers } from './servers.ts';

export interface BedRun {
  readonly weather?: Weather;
  readonly operations: readonly Operation[];
  /** Bytes that a server gives. */
  readonly bytes: number;
  /** Names that the host's server knows. */
  readonly zone?: Zone;
  /** Where names are asked; the server of `zone` when not given. */
  readonly resolver?: string;
  /** What is left at the end is not waited for: dials to nobody take their time. */
  readonly hurry?: boolean;
}

export interface BedSeen {
  readonly results: string[];
  readonly frames: Bed['frames'];
  /** The most at any look. */
  readonly most: { readonly connections: number; readonly bytes: number; readonly pending: number; readonly flows: number };
  readonly counters: Bed['gateway']['tcp']['counters'];
  /** Connections, bytes held and descriptors once it is quiet again. */
  readonly left: { readonly connections: number; readonly bytes: number; readonly pending: number };
}

const run = JSON.parse(process.argv[2] ?? '{}') as BedRun;
// What goes to 198.51.100.2 is taken, and nobody answers.
for (const words of ['link set lo up', 'link add hole0 type veth peer name hole1', 'addr add 198.51.100.1/24 dev hole0', 'link set hole0 up', 'link set hole1 up', 'neigh add 198.51.100.2 lladdr 02:00:00:00:00:99 dev hole0']) execFileSync('ip', words.split(' '), { timeout: 10_000 });
await startServers(run.bytes);
serveNames('127.0.0.1', run.zone ?? {});
const bed = new Bed(bedConfig({ servers: [{ address: run.resolver ?? '127.0.0.1', port: 53 }] }), run.weather);
const { tcp, udp } = bed.gateway;
const now = (): BedSeen['left'] => ({ connections: tcp.size, bytes: tcp.budget.used, pending: tcp.pending });
let most = { ...now(), flows: 0 };
setInterval(() => {
  const { connections, bytes, pending } = now();
  most = { connections: Math.max(most.connections, connections), bytes: Math.max(most.bytes, bytes), pending: Math.max(most.pending, pending), flows: Math.max(most.flows, udp.size) };
}, 20).unref();
const out = await bed.guest(process.execPath, [new URL('client.ts', import.meta.url).pathname, JSON.stringify(run.operations)]);
// The last connections are in TIME-WAIT.
for (let turn = 0; turn < 400 && tcp.size > 0 && run.hurry !== true; turn++) await new Promise((resolve) => setTimeout(resolve, 50));
const seen: BedSeen = { results: JSON.parse(out) as string[], frames: bed.frames, most, counters: tcp.counters, left: now() };
bed.close();
process.stdout.write(JSON.stringify(seen));
process.exit(0);

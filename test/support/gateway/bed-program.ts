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
}

export interface BedSeen {
  readonly results: string[];
  readonly frames: Bed['frames'];
  readonly counters: Bed['gateway']['tcp']['counters'];
  /** Connections, bytes held and descriptors once it is quiet again. */
  readonly left: { readonly connections: number; readonly bytes: number; readonly pending: number };
}

const run = JSON.parse(process.argv[2] ?? '{}') as BedRun;
execFileSync('ip', ['link', 'set', 'lo', 'up'], { timeout: 10_000 });
await startServers(run.bytes);
serveNames('127.0.0.1', run.zone ?? {});
const bed = new Bed(bedConfig({ servers: [{ address: '127.0.0.1', port: 53 }] }), run.weather);
const out = await bed.guest(process.execPath, [new URL('client.ts', import.meta.url).pathname, JSON.stringify(run.operations)]);
const { tcp } = bed.gateway;
// The last connections are in TIME-WAIT.
for (let turn = 0; turn < 400 && tcp.size > 0; turn++) await new Promise((resolve) => setTimeout(resolve, 50));
const seen: BedSeen = { results: JSON.parse(out) as string[], frames: bed.frames, counters: tcp.counters, left: { connections: tcp.size, bytes: tcp.budget.used, pending: tcp.pending } };
bed.close();
process.stdout.write(JSON.stringify(seen));
process.exit(0);

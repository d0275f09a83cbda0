import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildGuest, root } from '../support/guests/programs.ts';
import { bundleProgram, kvmPlace } from '../support/nested/machine.ts';

const MACHINES = 1000;

test(`${MACHINES} machines created and destroyed in one process leave everything flat`, async () => {
  buildGuest('ports');
  const program = bundleProgram(join(root, 'test/nested/kvm-scenarios.ts'));
  const place = await kvmPlace();
  try {
    const run = place.nested ? 50 : MACHINES;
    const done = await place.run(`node ${program} ${root}/.cache/guests churn`, { env: { LIMIT_MS: '1500000', CHURN: `${MACHINES}`, CHURN_RUN: `${run}` }, timeoutMs: 1_500_000 });
    expect(done.status, done.stderr).toBe(0);
    const { before, after } = JSON.parse(done.stdout).result;
    expect({ fds: after.fds, threads: after.threads, vms: after.vms }).toEqual({ fds: before.fds, threads: before.threads, vms: before.vms });
    console.log(`before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    // Threads are used again, so what koffi keeps of each that ended is no part of it; V8's heaps take and give mappings of their own.
    expect(after.mappings - before.mappings).toBeLessThan(60 + 2 * run);
    expect(after.rssMib - before.rssMib).toBeLessThan(60);
  } finally {
    await place.close();
  }
}, 1_800_000);

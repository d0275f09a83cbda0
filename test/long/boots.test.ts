/**
 * Our kernel to a container's shell on the software CPU, many times in a row with 1, 2 and 4 vCPUs: no hang, no oops, no RCU stall.
 * VMM_BOOTS is how many of each, 100 by default.
 */
import { expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';

const BOOTS = Number(process.env['VMM_BOOTS'] ?? 100);
/** A boot takes seconds; one that takes so long hangs. RCU tells of a stall after 21 s. */
const LIMIT_MS = 100_000;
const TROUBLE = /Oops|BUG:|WARNING:|Call Trace|general protection|stall|lockup|Kernel panic|unable to handle|nobody cared|Spurious|clocksource.*unstable/i;

const image = busyboxImage();

for (const cpus of [1, 2, 4]) {
  it(`${BOOTS} boots with ${cpus} vCPUs`, { timeout: BOOTS * LIMIT_MS }, async () => {
    const times: number[] = [];
    for (let i = 0; i < BOOTS; i++) {
      const start = performance.now();
      const script = 'nproc; /bin/busybox dmesg >/tmp/log; wc -l </tmp/log; cat /tmp/log; echo shell';
      const run = await vmm(['run', '--accel', 'wasm', '-q', '--cpus', String(cpus), '--cap-add', 'SYSLOG', image, '/bin/sh', '-c', script], { limit: LIMIT_MS });
      times.push(performance.now() - start);
      const text = run.stdout.toString('latin1');
      const where = `boot ${i + 1} with ${cpus} vCPUs after ${times.at(-1)?.toFixed(0)} ms: ${JSON.stringify({ ...run, stdout: text })}`;
      expect(run.status, where).toBe(0);
      expect(text, where).toMatch(new RegExp(`^${cpus}\n[1-9]\\d*\n[^]*shell\n$`));
      expect(text, where).not.toMatch(TROUBLE);
      expect(run.stderr, where).toBe('');
    }
    times.sort((a, b) => a - b);
    const at = (share: number): string => `${((times[Math.floor((times.length - 1) * share)] as number) / 1000).toFixed(1)} s`;
    console.log(`${BOOTS} boots, ${cpus} vCPUs: median ${at(0.5)}, longest ${at(1)}`);
  });
}

/** Entry points of rkt's stage1 that are killed at any moment: gc gets everything back. VMM_KILLS says how often (1,000). */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { playedHost } from '../stage1/played-host.ts';

const KILLS = Number(process.env['VMM_KILLS'] ?? 1000);
const ROOT = process.getuid?.() === 0;
const host = playedHost();

/** mulberry32: the same moments in each run. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mounts = (): string[] => readFileSync('/proc/self/mounts', 'utf8').split('\n').filter((line) => line.includes(host.stage0.data));
/** But for those of other tests and benches, which come and go beside this one. */
const cgroups = (): string[] => execFileSync('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-type', 'd'], { encoding: 'utf8' }).split('\n').filter((path) => !/\/(vmm-test|bench)-/.test(path)).sort();

it.skipIf(!ROOT)(`${KILLS} kills of run, and of gc: no lock, lease, rule, link, namespace, mount or cgroup is left`, { timeout: 7_200_000 }, async () => {
  const next = random(1);
  const before = { traces: host.played.traces(), cgroups: cgroups() };
  for (let i = 0; i < KILLS; i++) {
    const app = { exec: ['/bin/busybox', 'sh', '-c', 'sleep 0.3; exit 0'], user: '0', group: '0', ports: [{ name: 'web', protocol: 'tcp', port: 80 }] };
    const pod = host.stage0.prepare({ apps: [{ name: 'app', rootfs: host.rootfs, app }], pod: { ports: [{ name: 'web', hostPort: 8080 }] } });
    const running = pod.run(['--net=default', `--local-config=${host.played.config}`]);
    await Promise.race([later(next() * 2000), running.end()]);
    running.child.kill('SIGKILL');
    await running.end();
    // A plugin's process that was just being made has the descriptor until its execve.
    for (let tries = 0; tries < 100 && pod.locked; tries++) await later(20);
    expect(pod.locked).toBe(false);
    // gc is killed, too, once or twice; the last goes through.
    for (let kills = Math.floor(next() * 3); kills > 0; kills--) await pod.gc(next() * 400);
    const { status, stderr } = await pod.gc();
    expect({ i, status, stderr }).toEqual({ i, status: 0, stderr: '' });
    pod.remove();
    expect({ i, traces: host.played.traces(), leases: host.played.leases('default'), mounts: mounts(), cgroups: cgroups() }).toEqual({ i, traces: before.traces, leases: [], mounts: [], cgroups: before.cgroups });
    if (i % 100 === 99) process.stderr.write(`${i + 1} pods collected\n`);
  }
});

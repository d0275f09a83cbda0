/** What of the host decides about figures. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { thisMachine } from '../harness.ts';
import { env } from '../start/process.ts';
import type { Host } from './log.ts';
import { VMM } from './peer.ts';

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return 'unknown';
  }
}

export function hostFacts(): Host {
  const accel = spawnSync(VMM[0]!, [...VMM.slice(1), 'accel'], { env: env as NodeJS.ProcessEnv, encoding: 'utf8', timeout: 60_000 }).stdout ?? '';
  const kvm = /^kvm +([^:\n]+):/m.exec(accel)?.[1] ?? 'unknown';
  return {
    ...thisMachine(), kvm, cgroup: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'v2' : 'v1 or hybrid',
    governor: read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'), nodeVariables: Object.keys(process.env).filter((name) => name.startsWith('NODE_')),
  };
}

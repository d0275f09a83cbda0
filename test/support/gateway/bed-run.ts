import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../guests/programs.ts';
import { HANG_MS } from '../limits.ts';
import type { BedRun, BedSeen } from './bed-program.ts';

/** Runs a bed in a network namespace of its own. */
export function bed(run: BedRun): Promise<BedSeen> {
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
    const child = spawn('unshare', ['-n', process.execPath, join(root, 'test/support/gateway/bed-program.ts'), JSON.stringify(run)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS / 2);
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      if (status === 0) resolve(JSON.parse(out) as BedSeen);
      else reject(new Error(`bed-program ends with ${status}: ${out}`));
    });
  });
}

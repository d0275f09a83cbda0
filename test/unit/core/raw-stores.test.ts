import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../../..', import.meta.url).pathname;
const RAW = /\b(store|v128\.store)\s*<|\batomic\.(store|or|and|xor|add|sub|xchg|cmpxchg)\s*<|\bmemory\.(copy|fill)\s*\(/;
/** Words of the core's own state that threads share, changed by atomics. */
const ALLOWED = [/offsetof<(Device|Queue)>\('(interrupt_status|inflight)'\)/, /atomic\.sub<u32>\(p, 1\) == 1/, /\(DEVICE_TURNS \+ at, /];

function stores(folder: string): string[] {
  const found: string[] = [];
  for (const name of readdirSync(join(root, folder)).filter((file) => file.endsWith('.ts'))) {
    for (const [i, line] of readFileSync(join(root, folder, name), 'utf8').split('\n').entries()) {
      if (RAW.test(line) && !ALLOWED.some((allowed) => allowed.test(line))) found.push(`${folder}/${name}:${i + 1}: ${line.trim()}`);
    }
  }
  return found;
}

test('devices store to guest memory through the write hook alone', () => {
  expect(stores('assembly/virtio')).toEqual([]);
});

test('legacy devices store to their own state alone', () => {
  // serial.ts clears its state once, at a constant address.
  expect(stores('assembly/legacy').filter((line) => !line.includes('memory.fill(changetype<usize>(s)'))).toEqual([]);
});

/** The guest's wall clock against the host's, by the shortest of 50 ways there and back. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';
import { Watched } from '../support/watched.ts';

const PROGRAM = `#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
	struct timespec t;
	char c;

	while (read(0, &c, 1) == 1) {
		clock_gettime(CLOCK_REALTIME, &t);
		dprintf(1, "%lld%09ld\\n", (long long)t.tv_sec, t.tv_nsec);
	}
	return 0;
}
`;
const OFF_MS = 5;
const STOPPED_MS = 1500;

let image: string;
let dir: string;
beforeAll(() => {
  image = busyboxImage();
  dir = mkdtempSync(join(tmpdir(), 'vmm-clock-'));
  writeFileSync(join(dir, 'clock.c'), PROGRAM);
  execFileSync('gcc', ['-O1', '-static', '-o', join(image, 'bin/clock'), join(dir, 'clock.c')]);
});
afterAll(() => {
  for (const path of [image, dir]) rmSync(path, { recursive: true });
});

/** One byte there, a line back: how long it took, and how far outside of that time the guest's reading lies. */
async function ask(clock: Watched): Promise<{ way: number; off: number }> {
  const start = performance.now();
  const before = Date.now();
  const had = clock.stdout.length;
  clock.child.stdin?.write('x');
  const line = (await clock.until(new RegExp(`^[^]{${had}}.+\\n`), 'stdout')).slice(had);
  const after = Date.now() + 1;
  const guest = Number(BigInt(line.trim()) / 1000n) / 1000;
  return { way: performance.now() - start, off: Math.max(0, before - guest, guest - after) };
}

async function shortest(clock: Watched): Promise<number> {
  let best = await ask(clock);
  for (let i = 1; i < 50; i++) {
    const one = await ask(clock);
    if (one.way < best.way) best = one;
  }
  return best.off;
}

describe.each([1, 2, 4])('on %i vCPUs the guest’s clock is the host’s', (cpus) => {
  it('at start, and after the whole was stopped for a while', async () => {
    const env = { ...process.env, VMM_STORE: join(dir, 'store') };
    const child = spawn(process.execPath, ['--', join(ROOT, 'bin/vmm.js'), 'run', '-q', '-i', '-m', '128m', '--cpus', String(cpus), image, '/bin/clock'], { env, stdio: 'pipe' });
    const clock = new Watched(child);
    expect(await shortest(clock)).toBeLessThanOrEqual(OFF_MS);
    child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
    child.kill('SIGCONT');
    expect(await shortest(clock)).toBeLessThanOrEqual(OFF_MS);
    child.stdin.end();
    expect((await clock.ended).status).toBe(0);
  });
});

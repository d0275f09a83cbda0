/** The life of containers beside podman's: the same image and the same command lines; statuses and output are the same, or the table names the difference, which has to be there then. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/cli/cli.ts';
import { HANG_MS } from '../support/limits.ts';
import { CASES, type Difference } from '../support/podman/cases.ts';
import { type Both, both, PODMAN, type Said, type Side, type Step } from '../support/podman/run.ts';

const DOCS = readFileSync(join(ROOT, 'docs', 'containers.md'), 'utf8');

async function all(side: Side, steps: readonly Step[]): Promise<Said[]> {
  await side.clear();
  const said: Said[] = [];
  for (const step of steps) said.push(await side.say(step));
  return said;
}

/** What both say has the difference that is named, and no other. */
function named(at: string, theirs: Said | undefined, own: Said | undefined, { podman, vmm, why }: Difference): void {
  expect([theirs, own], at).toMatchObject([podman, vmm]);
  expect({ ...theirs, ...vmm }, at).toEqual(own);
  expect(theirs, `${at}: no difference any more`).not.toEqual(own);
  expect(DOCS, at).toContain(why);
}

describe.skipIf(!PODMAN.includes('podman version 4.3'))('beside podman', () => {
  let two: Both;
  beforeAll(() => {
    two = both();
  });
  afterAll(() => two.close());

  describe.each(CASES)('%s', (_, cases) => {
    it.each(cases)('$name', { timeout: 4 * HANG_MS }, async ({ steps, differs }) => {
      const [theirs, own] = await Promise.all([all(two.podman, steps), all(two.vmm, steps)]);
      for (const [n, difference] of Object.entries(differs)) {
        const at = Number(n);
        named(JSON.stringify(steps[at]), theirs[at], own[at], difference);
        theirs[at] = own[at] as Said;
      }
      expect(own).toEqual(theirs);
    });
  });
});

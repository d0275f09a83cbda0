// vmm_power in our kernel: power-off, reboot, halt and panic leave the machine, each told apart by the run's status.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { endArgs, endInitramfs, KERNEL_ENDS } from '../support/guests/kernel-ends.ts';
import { HANG_MS } from '../support/limits.ts';

const BOOT_LIMIT_MS = HANG_MS;

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'vmm-power-test-'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("our kernel's end", () => {
  it.each(KERNEL_ENDS)('$name gives status $status and its message on the console', { timeout: BOOT_LIMIT_MS + 5_000 }, async ({ name, last, status, text }) => {
    const result = await vmm(endArgs('wasm', endInitramfs(work, name, last)), { limit: BOOT_LIMIT_MS });
    const console = result.stdout.toString('latin1');
    expect(result.status, `${result.stderr}\n${console}`).toBe(status);
    expect(console).toContain('about to end on 1 CPUs');
    expect(console).toContain(text);
  });
});

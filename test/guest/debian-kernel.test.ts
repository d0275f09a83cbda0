// A distribution's kernel finds CPUs, devices and the way to power off by our ACPI tables alone.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { checkDebian, type DebianKernel, debianKernel } from '../support/guests/debian-kernel.ts';
import { HANG_MS } from '../support/limits.ts';

const LIMIT_MS = HANG_MS;
let dir: string;
let kernel: DebianKernel;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-debian-'));
  kernel = debianKernel(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('Debian’s cloud kernel finds disk and CPU by ACPI and powers off by the sleep register', { timeout: LIMIT_MS + 5000 }, async () => {
  const result = await vmm(kernel.args('wasm', 1), { limit: LIMIT_MS });
  checkDebian(result, 1);
  expect(result.stdout.toString('latin1')).toContain('ACPI: PM: Preparing to enter system sleep state S5');
});

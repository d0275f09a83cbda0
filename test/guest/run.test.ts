import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/busybox-image.ts';
import { vmm } from '../support/cli.ts';
import { RUN_CASES } from '../support/run-cases.ts';

let image: string;
let store: string;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

describe('vmm run on the software CPU', () => {
  for (const c of RUN_CASES) {
    it(c.name, async () => {
      const args = ['run', '-q', '--accel', 'wasm', '-m', '128m', ...c.args.map((arg) => (arg === '{image}' ? image : arg))];
      const result = await vmm(args, { stdin: c.stdin, env: { VMM_STORE: store } });
      const told = `status ${result.status}, stderr: ${result.stderr}`;
      expect(result.status, told).toBe(c.status);
      const stdout = result.stdout.toString('latin1');
      if (typeof c.stdout === 'string') expect(stdout, told).toBe(c.stdout);
      else if (c.stdout) expect(stdout, told).toMatch(c.stdout);
      if (typeof c.stderr === 'string') expect(result.stderr).toBe(c.stderr);
      else if (c.stderr) expect(result.stderr).toMatch(c.stderr);
    });
  }
});

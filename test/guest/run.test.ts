import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';
import { checkRun, RUN_CASES, runArgs } from '../support/cli/run-cases.ts';

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
      checkRun(c, await vmm(runArgs(c, 'wasm', image), { stdin: c.stdin, env: { VMM_STORE: store } }));
    });
  }
});

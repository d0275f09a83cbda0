/** More files than a table of descriptors could hold: 200,000, known to the guest at the same time. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FsGuest } from '../support/devices/fs-driver.ts';

it('200,000 files with at most 64 descriptors for paths', () => {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-many-'));
  const before = readdirSync('/proc/self/fd').length;
  for (let d = 0; d < 200; d++) {
    mkdirSync(join(dir, `${d}`));
    for (let f = 0; f < 1000; f++) writeFileSync(join(dir, `${d}`, `file-${f}`), '');
  }
  const guest = new FsGuest(dir, {}, 0, 64 << 20).mount();
  try {
    for (let d = 0; d < 200; d++) guest.list(guest.lookup(`${d}`).node, true, 65536);
    expect(guest.session.nodes.count).toBe(200_201);
    for (let i = 0; i < 2000; i++) expect(guest.getattr(guest.walk(`${(i * 7) % 200}/file-${i % 1000}`)).size).toBe(0);
    expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(80);
  } finally {
    guest.close();
    rmSync(dir, { recursive: true });
  }
}, 600_000);

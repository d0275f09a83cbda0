import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpioFile, PROJECT } from './harness.ts';

const artifacts = join(PROJECT, 'guest-kernel/artifacts');
const manifest = JSON.parse(readFileSync(join(artifacts, 'manifest-init.json'), 'utf8'));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const missing = ['/usr/bin/musl-gcc', '/usr/sbin/mke2fs', '/usr/bin/zstd'].find((path) => !existsSync(path));

describe('init\'s artifacts', () => {
  it('are those of the manifest', () => {
    for (const [name, { size, sha256: digest }] of Object.entries<{ size: number; sha256: string }>(manifest.files)) {
      const bytes = readFileSync(join(artifacts, name));
      expect([name, bytes.length, sha256(bytes)]).toEqual([name, size, digest]);
    }
    const init = cpioFile(readFileSync(join(artifacts, 'initramfs.cpio')), 'init');
    expect([init.length, sha256(init)]).toEqual([manifest.unpacked.init.size, manifest.unpacked.init.sha256]);
  });

  it('the initramfs stays small: it is unpacked at each boot', () => {
    expect(manifest.files['initramfs.cpio'].size).toBeLessThan(140 * 1024);
  });

  it.skipIf(missing !== undefined)(`a build of the present sources gives the same bytes${missing === undefined ? '' : ` (no ${missing})`}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'vmm-init-build-'));
    try {
      execFileSync(join(PROJECT, 'guest-kernel/init/build.sh'), [directory], { stdio: 'ignore' });
      expect(JSON.parse(readFileSync(join(directory, 'manifest-init.json'), 'utf8'))).toEqual(manifest);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

/** A stage0 of a file of tests on the host as it is, and a root with busybox; nothing where the tests are not root's. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { buildStatic } from '../support/guests/programs.ts';
import { buildStage1, Stage0 } from './stage0.ts';

interface Own {
  readonly stage0: Stage0;
  /** For whatever the tests put there. */
  readonly dir: string;
  readonly rootfs: string;
}

/** `program`: one of test/programs, which the root has in /bin. */
export function ownStage0(program?: string): Own {
  let made: Own | undefined;
  beforeAll(() => {
    if (process.getuid?.() !== 0) return;
    const dir = mkdtempSync(join(tmpdir(), 'vmm-stage1-'));
    made = { stage0: new Stage0(buildStage1()), dir, rootfs: busyboxImage(join(dir, 'rootfs')) };
    if (program !== undefined) copyFileSync(buildStatic(program), join(made.rootfs, 'bin', program));
  });
  afterAll(() => {
    made?.stage0.close();
    if (made !== undefined) rmSync(made.dir, { recursive: true, force: true });
  });
  const there = (): Own => {
    if (made === undefined) throw new Error('only root has a stage0');
    return made;
  };
  return {
    get stage0() { return there().stage0; },
    get dir() { return there().dir; },
    get rootfs() { return there().rootfs; },
  };
}

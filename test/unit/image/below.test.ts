/** Paths in a volume, whose directories a guest may be moving. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBelow } from '../../../image/volumes/below.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-below-'));
  mkdirSync(join(dir, 'volume/one/two'), { recursive: true });
  writeFileSync(join(dir, 'volume/one/two/file'), 'text');
  symlinkSync('one', join(dir, 'volume/link'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('openBelow', () => {
  it('gives what lies there', () => {
    expect(readFileSync(join(openBelow(join(dir, 'volume'), 'one/./two//'), 'file'), 'utf8')).toBe('text');
    expect(readdirSync(openBelow(join(dir, 'volume'), '')).sort()).toEqual(['link', 'one']);
  });

  it.each([
    ['..', '..: it leads out of the volume'],
    ['one/../one', 'one/../one: it leads out of the volume'],
    ['one/two/../..', 'one/two/../..: it leads out of the volume'],
    ['link/two', 'link/two: link is a symbolic link'],
    ['none', 'none: ENOENT'],
  ])('%s is refused, and nothing stays open', (below, message) => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    expect(() => openBelow(join(dir, 'volume'), below)).toThrow(`cannot access path ${join(dir, 'volume')}/${message}`);
    expect(open()).toBe(before);
  });
});

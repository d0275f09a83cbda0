import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ErofsImage, type TreeNode, writeErofs } from '../../image/index.ts';
import type { ByteSource } from '../../image/tree/content.ts';
import { canMount, dir, file, fsck, META, mounted, pattern, scratch } from '../unit/image/support.ts';

const folder = scratch();
const OUT = join(folder, 'out.erofs');
const GIB = 2 ** 30;

/** A prime length, so that a block in the wrong place is noticed. */
const PERIOD = 1_048_573;
const TEMPLATE = pattern(PERIOD);

/** Endless data: the template over and over. */
const counting: ByteSource = {
  read(into, position) {
    for (let at = 0; at < into.length; ) {
      const from = (position + at) % PERIOD;
      const part = TEMPLATE.subarray(from, Math.min(PERIOD, from + into.length - at));
      into.set(part, at);
      at += part.length;
    }
  },
  release() {},
};

function counted(size: number): TreeNode {
  return { type: 'file', ...META, content: { size, extents: [{ fileOffset: 0, length: size, source: counting, sourceOffset: 0 }] } };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('large images', () => {
  it.runIf(canMount)('a file of 4.5 GiB is whole beyond the 32-bit sizes', { timeout: 600_000 }, async () => {
    const size = 4.5 * GIB + 333;
    const result = writeErofs(dir({ big: counted(size), after: file('after') }), OUT, { fsync: false });
    expect(result.sha256).toBe(await hashOf(OUT));
    mounted(OUT, folder, (at) => {
      expect(statSync(join(at, 'big')).size).toBe(size);
      const script = 'import os,sys\nfd=os.open(sys.argv[1],os.O_RDONLY)\nfor a in sys.argv[2:]: sys.stdout.buffer.write(os.pread(fd,4096,int(a)))';
      const places = [0, GIB, 2 * GIB - 2048, 4 * GIB - 2048, 4 * GIB, size - 333];
      const seen = execFileSync('python3', ['-c', script, join(at, 'big'), ...places.map(String)]);
      const wanted = Buffer.concat(places.map((place) => {
        const part = Buffer.alloc(Math.min(4096, size - place));
        counting.read(part, place);
        return part;
      }));
      expect(seen.equals(wanted)).toBe(true);
    });
    const image = new ErofsImage(OUT);
    expect(image.readFile('after').toString()).toBe('after');
    image.close();
    fsck(OUT);
  });

  it('half a million files in 5000 directories', { timeout: 600_000 }, () => {
    const dirs: Record<string, TreeNode> = {};
    for (let d = 0; d < 5000; d++) {
      const children: Record<string, TreeNode> = {};
      for (let i = 0; i < 100; i++) children[`file-${i}`] = file(`${d} ${i}`, { mtimeNsec: i });
      dirs[`dir-${d}`] = dir(children);
    }
    const { inodes } = writeErofs(dir(dirs), OUT, { fsync: false });
    expect(inodes).toBe(505_001);
    const image = new ErofsImage(OUT);
    for (const [d, i] of [[0, 0], [4999, 99], [2500, 50]]) expect(image.readFile(`/dir-${d}/file-${i}`).toString()).toBe(`${d} ${i}`);
    image.close();
    fsck(OUT);
  });
});

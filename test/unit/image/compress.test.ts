import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Compression, decompress, type ImportLimits, recognise } from '../../../image/index.ts';
import { hasTool, pattern, stream } from './support.ts';

function compressed(tool: string, bytes: Buffer, ...args: string[]): Buffer {
  const run = spawnSync(tool, ['-c', ...args], { input: bytes, maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`${tool}: ${run.stderr}`);
  return run.stdout;
}

async function undo(bytes: Uint8Array, options: { chunk?: number; limits?: Partial<ImportLimits> } = {}): Promise<{ compression: Compression; data: Buffer }> {
  const { compression, stream: output } = await decompress(stream(bytes, options.chunk), options.limits);
  const parts: Buffer[] = [];
  for await (const chunk of output) parts.push(Buffer.from(chunk));
  return { compression, data: Buffer.concat(parts) };
}

const DATA = Buffer.concat([pattern(300_000), Buffer.alloc(200_000), pattern(1000, 3)]);
const skippable = Buffer.from('502a4d180400000061626364', 'hex');

/** Name, tool arguments. */
const TOOLS = ([
  ['gzip', ['-6']],
  ['zstd', ['-3']],
  ['xz', ['-1']],
  ['bzip2', ['-9']],
] as [Compression, string[]][]).filter(([tool]) => hasTool(tool));

const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe.each(TOOLS)('%s', (tool, args) => {
  const bytes = compressed(tool, DATA, ...args);

  it('is recognised and undone, whatever the chunks', async () => {
    for (const chunk of [1 << 20, 4096, 7]) {
      const { compression, data } = await undo(bytes, { chunk });
      expect(compression).toBe(tool);
      expect(data.equals(DATA)).toBe(true);
    }
  });

  it('several in a row are one stream', async () => {
    const second = compressed(tool, Buffer.from('second'), ...args);
    const { data } = await undo(Buffer.concat([bytes, second]));
    expect(data.equals(Buffer.concat([DATA, Buffer.from('second')]))).toBe(true);
  });

  it('an empty file is empty', async () => {
    expect((await undo(compressed(tool, Buffer.alloc(0), ...args))).data.length).toBe(0);
  });

  it('data cut anywhere is refused', async () => {
    for (const cut of [7, 20, bytes.length >> 1, bytes.length - 5, bytes.length - 1]) {
      await expect(undo(bytes.subarray(0, cut)), `cut at ${cut}`).rejects.toEqual(code('IMAGE_COMPRESSED'));
    }
  });

  it('random damage is refused or gives data, and never hangs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }), async (edits) => {
        const bad = Buffer.from(bytes);
        for (const [at, value] of edits) bad[at] = (bad[at] as number) ^ value;
        try {
          await undo(bad, { limits: { maxTotalBytes: 1 << 24 } });
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^IMAGE_(COMPRESSED|LIMIT)$/);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('a bomb is stopped at the ratio, and at the total', async () => {
    const bomb = compressed(tool, Buffer.alloc(32 << 20), ...args);
    await expect(undo(bomb, { limits: { ratioFloor: 1 << 20, maxRatio: 100 } })).rejects.toEqual(code('IMAGE_LIMIT'));
    await expect(undo(bomb, { limits: { maxTotalBytes: 1 << 20 } })).rejects.toEqual(code('IMAGE_LIMIT'));
    expect((await undo(bomb)).data.length).toBe(32 << 20);
  });
});

describe.runIf(hasTool('bzip2'))('bzip2 blocks', () => {
  it('every block size, several blocks, and data of long runs are read', async () => {
    const runs = Buffer.concat([Buffer.alloc(400_000, 'ab'), Buffer.alloc(1_500_000, 7), pattern(700_000), Buffer.from('aaaa'), Buffer.alloc(259, 'b')]);
    for (const level of ['-1', '-5', '-9']) {
      expect((await undo(compressed('bzip2', runs, level))).data.equals(runs)).toBe(true);
    }
    for (const length of [1, 3, 4, 5, 258, 259, 260]) {
      const bytes = Buffer.alloc(length, 'z');
      expect((await undo(compressed('bzip2', bytes))).data.equals(bytes)).toBe(true);
    }
  });
});

describe('zstd frames', () => {
  it.runIf(hasTool('zstd'))('skippable frames before, between and after are dropped', async () => {
    const frame = compressed('zstd', Buffer.from('hello'), '-3');
    for (const chunk of [1, 5, 1 << 20]) {
      const { compression, data } = await undo(Buffer.concat([skippable, frame, skippable, skippable, frame, skippable]), { chunk });
      expect(compression).toBe('zstd');
      expect(data.toString()).toBe('hellohello');
    }
  });

  it.runIf(hasTool('zstd'))('frames with and without checksum and content size are read', async () => {
    for (const args of [['--no-check'], ['--check'], ['-19'], ['--fast=5'], ['--no-content-size']]) {
      expect((await undo(compressed('zstd', DATA, ...args))).data.equals(DATA)).toBe(true);
    }
  });

  it('a frame that asks for a window of 2 GiB is refused before memory is taken', async () => {
    // Magic, descriptor (no single segment), window descriptor 0xa8: 2^31 bytes.
    const frame = Buffer.from('28b52ffd00a8010000', 'hex');
    await expect(undo(frame)).rejects.toEqual(code('IMAGE_COMPRESSED'));
  });

  it('a single-segment frame that claims 2^40 bytes is refused', async () => {
    const frame = Buffer.from('28b52ffde0000000000001000001000000', 'hex');
    await expect(undo(frame)).rejects.toEqual(code('IMAGE_COMPRESSED'));
  });

  it('a frame that needs a dictionary is refused', async () => {
    await expect(undo(Buffer.from('28b52ffd010058010000000000', 'hex').fill(7, 6, 7))).rejects.toEqual(code('IMAGE_COMPRESSED'));
  });

  it('garbage after a frame is refused', async () => {
    const frame = Buffer.from('28b52ffd2000010000', 'hex');
    expect((await undo(frame)).data.length).toBe(0);
    await expect(undo(Buffer.concat([frame, Buffer.from('garbage that is long enough')]))).rejects.toEqual(code('IMAGE_COMPRESSED'));
  });
});

describe('recognise', () => {
  it('anything unknown, and nothing, is plain', async () => {
    expect(recognise(Buffer.alloc(0))).toBe('plain');
    expect((await undo(Buffer.alloc(0))).compression).toBe('plain');
    expect((await undo(Buffer.from('BZ'))).data.toString()).toBe('BZ');
    expect((await undo(pattern(100_000), { chunk: 1 })).data.equals(pattern(100_000))).toBe(true);
  });

  it('an error of the source passes through as it is', async () => {
    for (const bytes of [gzipSync(DATA), DATA, ...TOOLS.map(([tool, args]) => compressed(tool, DATA, ...args))]) {
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 1000);
        throw new TypeError('source broke');
      }
      const { stream: output } = await decompress(failing());
      await expect(toArray(output)).rejects.toThrow(new TypeError('source broke'));
    }
  });
});

async function toArray(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const chunk of source) parts.push(chunk);
  return parts;
}

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nameAddresses, readSymbols } from '../../../vmm/boot/symbols.ts';
import { VmmError } from '../../../base/errors.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-symbols-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
};

const MAP = `0000000000000000 D __per_cpu_start
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff810001f0 t helper.isra.0
ffffffff81000200 D data_in_between
ffffffff81000300 W weak_one
`;

describe('System.map', () => {
  const nameOf = (address: bigint): string | undefined => readSymbols(file('System.map', MAP))?.nameOf(address);

  it.each([
    [0xffff_ffff_8100_0000n, '_text+0x0'],
    [0xffff_ffff_8100_01efn, '_text+0x1ef'],
    [0xffff_ffff_8100_01f4n, 'helper.isra.0+0x4'],
    [0xffff_ffff_8100_0200n, undefined],
    [0xffff_ffff_8100_02ffn, undefined],
    [0xffff_ffff_8100_0310n, 'weak_one+0x10'],
    [0xffff_ffff_8110_0300n, undefined],
    [0x1000n, undefined],
    [0xffff_ffff_ffff_ffffn, undefined],
  ])('%#x is the text symbol before it, and nothing in data or far behind', (address, name) => {
    expect(nameOf(address)).toBe(name);
  });

  it('addresses in messages get their names behind them, once', () => {
    const symbols = readSymbols(file('System.map', MAP));
    if (symbols === undefined) throw new Error('no symbols');
    const named = nameAddresses(' ? 0xffffffff810001f8\nRIP: 0010:0xffffffff81000001\nCR2: 0xffff888000000000 0x12', symbols);
    expect(named).toBe(' ? 0xffffffff810001f8 (helper.isra.0+0x8)\nRIP: 0010:0xffffffff81000001 (_text+0x1)\nCR2: 0xffff888000000000 0x12');
    expect(nameAddresses(named, symbols)).toBe(named);
  });
});

describe('ELF kernels', () => {
  const source = 'int data = 1; static __attribute__((noinline)) int inner(int x) { return x * data; } int outer(int x) { return inner(x) + 1; } void _start(void) { data = outer(2); for (;;); }';
  const build = (name: string, ...flags: string[]): string => {
    const out = join(dir, name);
    execFileSync('gcc', ['-O0', '-nostdlib', '-static', '-no-pie', ...flags, '-o', out, file(`${name}.c`, source)]);
    return out;
  };

  it.each(['-m64', '-m32'])('text symbols of a %s file are those that nm prints', (flag) => {
    const path = build(`elf${flag}`, flag);
    const symbols = readSymbols(path);
    const text = execFileSync('nm', [path], { encoding: 'utf8' }).split('\n').flatMap((line) => /^([0-9a-f]+) [tT] (\w+)$/.exec(line)?.slice(1, 3) as [string, string] | undefined ?? []);
    expect(text).toContain('inner');
    for (let i = 0; i < text.length; i += 2) expect(symbols?.nameOf(BigInt(`0x${text[i]}`) + 1n)).toBe(`${text[i + 1]}+0x1`);
    const data = execFileSync('nm', [path], { encoding: 'utf8' }).match(/^([0-9a-f]+) D data$/m)?.[1];
    expect(symbols?.nameOf(BigInt(`0x${data}`))).toBeUndefined();
  });

  it('a stripped file has none', () => {
    expect(readSymbols(build('stripped', '-s'))).toBeUndefined();
  });

  it('a damaged file gives names, nothing or SYMBOLS_BAD, never another error', () => {
    const good = readFileSync(build('good'));
    fc.assert(
      fc.property(fc.nat(good.length), fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }), fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 4 }), (cut, body, head) => {
        const bytes = Buffer.from(cut % 4 === 0 ? good.subarray(0, cut) : good);
        for (const [at, value] of [...body, ...head]) if (at < bytes.length) bytes[at] = value;
        try {
          readSymbols(file('bad', bytes))?.nameOf(0x40_1000n);
        } catch (error) {
          expect(error).toBeInstanceOf(VmmError);
          expect((error as VmmError).code).toBe('SYMBOLS_BAD');
        }
      }),
      { numRuns: 500 },
    );
  });

  it('a file that is not there is SYMBOLS_OPEN', () => {
    expect(() => readSymbols(join(dir, 'nowhere'))).toThrow(expect.objectContaining({ code: 'SYMBOLS_OPEN' }));
  });
});

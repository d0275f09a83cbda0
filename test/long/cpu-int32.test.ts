/**
 * Integer instructions of 32-bit code against Unicorn (Debian: python3-unicorn), since not every host has 32-bit code
 * segments. Unicorn ignores illegal LOCK prefixes, lacks POPCNT and F6/F7 digit 1 in its default model, refuses 0F 18 with a
 * register, which is a reserved NOP, and reports faults without their vector, so those are left out or compared loosely.
 */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import { CASE_SIZE, CaseMaker, COMPARED_FLAGS, RESULT_SIZE, Rng } from '../support/cpu/cases.ts';
import { setUp } from '../support/cpu/diff.ts';
import { intMachine } from '../support/cpu/int.ts';

const COUNT = 20_000;
const CASES = RAM_BASE + (4 << 20);
const RESULTS = RAM_BASE + (6 << 20);
const HLT = 13; // every case that does not fault ends at one
const SELECTORS = ['PUSHSEG', 'MOVFROMSEG', 'POPCNT'];

it('20,000 instructions of 32-bit code: equal to Unicorn', { timeout: 1_200_000 }, () => {
  const maker = new CaseMaker(new Rng(32), 32);
  const cases = Buffer.alloc(COUNT * CASE_SIZE);
  const infos = Array.from({ length: COUNT }, (_, i) => maker.single(cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE)));
  const script = new URL('../support/cpu/unicorn-diff.py', import.meta.url).pathname;
  const theirs = execFileSync('/usr/bin/python3', [script], { input: cases, maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'ignore'] });
  const m = intMachine(1);
  setUp(m);
  const ram = Buffer.from(m.memory.buffer);
  const found: string[] = [];
  let compared = 0;
  for (let i = 0; i < COUNT; i++) {
    const input = cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE);
    const info = infos[i] as (typeof infos)[number];
    const code = input.subarray(16, 16 + (input[0] as number)).toString('hex');
    if (SELECTORS.includes(info.mnemonic) || /^(..)*?65/.test(code.slice(0, 8)) || /f[67][048c][89a-f]/.test(code) || /0f18[c-f]/.test(code)) continue;
    input.copy(ram, CASES);
    m.call('t_diff', m.cpu(), CASES, RESULTS, 1, 0);
    const a = theirs.subarray(i * RESULT_SIZE, (i + 1) * RESULT_SIZE);
    const b = ram.subarray(RESULTS, RESULTS + RESULT_SIZE);
    const vector = b.readUInt32LE(144);
    if (a.readUInt32LE(144) === 255 || vector !== HLT) {
      if (a.readUInt32LE(144) !== 255 && vector === 14) found.push(`${info.mnemonic} ${code}: #PF here only`);
      continue;
    }
    compared++;
    const mask = COMPARED_FLAGS & ~info.undefinedFlags;
    const same =
      [0, 1, 2, 3, 4, 5, 6, 7, 16].every((r) => a.readUInt32LE(r * 8) === b.readUInt32LE(r * 8)) &&
      (a.readUInt32LE(136) & mask) === (b.readUInt32LE(136) & mask) &&
      Buffer.compare(a.subarray(160), b.subarray(160)) === 0;
    // Unicorn 2.0's flags of LOCK NEG are not the real CPU's
    if (!same && !(info.mnemonic === 'NEG' && code.includes('f0'))) found.push(`${info.mnemonic} ${code}`);
  }
  expect(found.slice(0, 20)).toEqual([]);
  expect(compared).toBeGreaterThan(COUNT / 2);
});

import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildNative, FpMachine, loadVectors, MPFR_RECORD, PROFILE, RECORD, ulpError, type Vectors } from '../../support/cpu/fp.ts';

let machine: FpMachine;
let vectors: Vectors;
beforeAll(() => {
  machine = new FpMachine();
  vectors = loadVectors();
});

function part(name: string): Vectors['parts'][number] {
  const found = vectors.parts.find((p) => p.name === name);
  if (!found) throw new Error(`no part ${name} in the stored vectors`);
  return found;
}

function differences(name: string): string[] {
  const { records, hashes } = part(name);
  return machine.hashDifferences(records, hashes);
}

describe('against the real CPU named in vectors.bin', () => {
  it('the file names its CPU and holds 10^5 cases', () => {
    expect(vectors.cpu.join(' ')).toMatch(/vendor_id.*model name/);
    expect(vectors.parts.reduce((n, p) => n + p.hashes.length, 0)).toBeGreaterThanOrEqual(100_000);
  });

  it('SSE, SSE2 and MMX: results, flags, exceptions equal', () => {
    expect(differences('sse')).toEqual([]);
  });

  it('x87: results, status, tags, stack equal', () => {
    expect(differences('x87')).toEqual([]);
  });

  it('SSE3 to SSE4.2 equal with the x86-64-v2 model', () => {
    expect(differences('v2')).toEqual([]);
  });

  it('SSE3 to SSE4.2 raise #UD with the baseline model', () => {
    const baseline = new FpMachine(PROFILE.baseline);
    const { records } = part('v2');
    for (let at = 0; at < 100 * RECORD; at += RECORD) {
      baseline.run(records, at);
      expect(baseline.fault()).toBe(6);
    }
  });

  it('a damaged operand is noticed', () => {
    const records = Buffer.from(part('sse').records.subarray(0, 200 * RECORD));
    for (let at = 0; at < records.length; at += RECORD) records[at + 8] = records[at + 8]! ^ 1; // rcx
    const noticed = machine.hashDifferences(records, part('sse').hashes.subarray(0, 200), 200).length;
    expect(noticed).toBeGreaterThan(150); // all but those that write rcx
  });
});

describe('x87 transcendentals', () => {
  it('are within one unit in the last place of MPFR in 18,000 cases', () => {
    const records = execFileSync(buildNative('mpfr', ['-lmpfr', '-lgmp']), ['7', '18000'], { maxBuffer: 1 << 26 });
    const worst = new Map<number, number>();
    for (let at = 0; at < records.length; at += MPFR_RECORD) {
      const { modrm, ulp } = ulpError(machine, records, at);
      worst.set(modrm, Math.max(ulp, worst.get(modrm) ?? 0));
    }
    expect([...worst.keys()].sort()).toEqual([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff]);
    for (const ulp of worst.values()) expect(ulp).toBeLessThanOrEqual(1);
  });
});

describe('RCPPS and RSQRTPS', () => {
  const bits = (x: number) => new Uint32Array(new Float32Array([x]).buffer)[0]!;
  const value = (b: number) => new Float32Array(new Uint32Array([b]).buffer)[0]!;
  const RCPPS = 0x53;
  const RSQRTPS = 0x52;
  const LIMIT = 1.5 * 2 ** -12;

  it('stay within a relative error of 1.5·2^-12', () => {
    let x = 0x0080_0000;
    for (let i = 0; i < 20_000; i++) {
      x = (x + 0x1_a2b3) & 0x7fff_ffff;
      if (x >= 0x7e80_0000) x = 0x0080_0000 + i; // 1/x stays normal
      if (x < 0x0080_0000) x |= 0x0080_0000;
      const v = value(x);
      const r = machine.sse(RCPPS, [0, 0, 0, 0], [x, x, x, x]).xmm1[0]!;
      const s = machine.sse(RSQRTPS, [0, 0, 0, 0], [x, x, x, x]).xmm1[3]!;
      expect(Math.abs(value(r) * v - 1)).toBeLessThanOrEqual(LIMIT);
      expect(Math.abs(value(s) * Math.sqrt(v) - 1)).toBeLessThanOrEqual(LIMIT);
    }
  });

  it('give infinities for zeros, quiet NaNs, no flags', () => {
    expect(machine.sse(RCPPS, [0, 0, 0, 0], [0, 0x8000_0000, 0x7f80_0001, 0xff80_0000])).toEqual({ xmm1: [0x7f80_0000, 0xff80_0000, 0x7fc0_0001, 0x8000_0000], mxcsr: 0x1f80, fault: 0 });
    expect(machine.sse(RSQRTPS, [0, 0, 0, 0], [0, 0x8000_0000, bits(-1), 0x7f80_0000])).toEqual({ xmm1: [0x7f80_0000, 0xff80_0000, 0xffc0_0000, 0], mxcsr: 0x1f80, fault: 0 });
  });
});

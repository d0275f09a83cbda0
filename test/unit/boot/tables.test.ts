import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeAcpi } from '../../../vmm/boot/acpi.ts';
import { writeMpTable } from '../../../vmm/boot/mptable.ts';
import { MPTABLE_GPA } from '../../../vmm/boot/places.ts';
import { FakeMemory } from '../../support/guests/memory.ts';

const sum = (bytes: Uint8Array): number => bytes.reduce((a, b) => (a + b) & 255, 0);

describe('MP table', () => {
  it.each([1, 4, 32])('%i processors: checksums hold, entries are in order and counted', (cpus) => {
    const memory = new FakeMemory(2 << 20);
    writeMpTable(memory, cpus);
    expect(memory.text(MPTABLE_GPA, 4)).toBe('_MP_');
    expect(sum(memory.bytes.subarray(MPTABLE_GPA, MPTABLE_GPA + 16))).toBe(0);
    const table = memory.view.getUint32(MPTABLE_GPA + 4, true);
    const length = memory.view.getUint16(table + 4, true);
    expect(memory.text(table, 4)).toBe('PCMP');
    expect(sum(memory.bytes.subarray(table, table + length))).toBe(0);
    const sizes = [20, 8, 8, 8, 8];
    const kinds: number[] = [];
    for (let at = table + 44; at < table + length; at += sizes[kinds.at(-1) as number] as number) kinds.push(memory.bytes[at] as number);
    expect(kinds.length).toBe(memory.view.getUint16(table + 34, true));
    expect(kinds.filter((kind) => kind === 0).length).toBe(cpus);
    expect(kinds).toEqual([...kinds].sort((a, b) => a - b));
    expect(table + length).toBeLessThanOrEqual(0xa0000);
  });
});

describe('ACPI tables', () => {
  it('iasl disassembles every table without a complaint and names each virtio slot', () => {
    const memory = new FakeMemory(2 << 20);
    const rsdp = writeAcpi(memory, 2, [0, 1, 18]);
    expect(sum(memory.bytes.subarray(rsdp, rsdp + 36))).toBe(0);
    const xsdt = Number(memory.view.getBigUint64(rsdp + 24, true));
    const table = (at: number): Uint8Array => memory.bytes.subarray(at, at + memory.view.getUint32(at + 4, true));
    const fadt = Number(memory.view.getBigUint64(xsdt + 36, true));
    const madt = Number(memory.view.getBigUint64(xsdt + 44, true));
    const dsdt = Number(memory.view.getBigUint64(fadt + 140, true));
    const dir = mkdtempSync(join(tmpdir(), 'vmm-acpi-'));
    try {
      for (const at of [xsdt, fadt, madt, dsdt]) {
        expect(sum(table(at))).toBe(0);
        const name = memory.text(at, 4).trim();
        const path = join(dir, `${name}.aml`);
        writeFileSync(path, table(at));
        const output = execFileSync('iasl', ['-d', path], { encoding: 'utf8', stdio: 'pipe' });
        expect(output).not.toMatch(/error|warning|invalid/i);
      }
      const dsl = readFileSync(join(dir, 'DSDT.dsl'), 'utf8');
      expect(dsl.match(/LNRO0005/g)?.length).toBe(3);
      expect(dsl).toContain('0xD0012000');
      expect(dsl).toMatch(/0x00000017/); // slot 18: interrupt 23
      expect(readFileSync(join(dir, 'FACP.dsl'), 'utf8')).toMatch(/Hardware Reduced \(V5\) : 1/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

/** Decoded blocks of an earlier run: the guest does the same with them, whatever has changed in its code meanwhile; a file that is not whole is not used. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEPT_BASE, KEPT_SIZE } from '../../../assembly/core/layout.ts';
import { Recorder } from '../../../scripts/kept-blocks/recorder.ts';
import { keptFile, loadKeptBlocks } from '../../../vmm/core/kept-blocks.ts';
import { assemble, hasAssembler, prepareCore, runGuest } from '../../support/cpu/guest.ts';

beforeAll(prepareCore, 120_000);

function recorded(name: string, cpus = 1): Uint8Array {
  const recorder = new Recorder(cpus);
  runGuest(assemble(name), { cpus, timeMode: 1, seconds: 20, before: (_, memory) => recorder.look(memory) });
  return recorder.content();
}

describe.skipIf(!hasAssembler)('a guest with the blocks of an earlier run', () => {
  it.each(['traps', 'smc', 'paging', 'remap', 'crossing', 'strings', 'makes_code'])('%s: the same output and counts', (name) => {
    const kept = recorded(name);
    const plain = runGuest(assemble(name), { timeMode: 1, seconds: 20 });
    const run = runGuest(assemble(name), { timeMode: 1, seconds: 20, kept });
    expect({ ...run, kept: 0 }).toEqual({ ...plain, kept: 0 });
    expect(run.kept).toBeGreaterThan(10);
  }, 120_000);

  it('smc, in lockstep with translations: no difference', () => {
    const run = runGuest(assemble('smc'), { slice: 61, kept: recorded('smc'), jit: 'check' });
    expect(run).toMatchObject({ output: runGuest(assemble('smc')).output, end: 0 });
    expect(run.jits?.[0]?.compared).toBeGreaterThan(0);
    expect(run.kept).toBeGreaterThan(10);
  }, 120_000);

  it('four vCPUs: the first one uses them, with the same counts', () => {
    const kept = recorded('smp4', 4);
    const [plain, run] = [{}, { kept }].map((options) => runGuest(assemble('smp4'), { cpus: 4, timeMode: 1, seconds: 20, ...options }));
    expect({ ...run, kept: 0 }).toEqual({ ...plain, kept: 0 });
    expect(run?.kept).toBeGreaterThan(0);
  }, 120_000);

  it('those of another program are not used where its bytes differ', () => {
    const plain = runGuest(assemble('traps'), { timeMode: 1, seconds: 20 });
    const run = runGuest(assemble('traps'), { timeMode: 1, seconds: 20, kept: recorded('paging') });
    expect({ ...run, kept: 0 }).toEqual({ ...plain, kept: 0 });
  }, 120_000);
});

describe('the file', () => {
  const CORE = 0x1234_5678;
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vmm-blocks-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const content = Uint8Array.from({ length: 4096 }, (_, i) => (i < 4 ? 0 : i * 7));

  /** What loading a file with these bytes comes to, and whether the core would use it. */
  function load(bytes: Uint8Array, core = CORE): { loaded: boolean; used: number; memory: WebAssembly.Memory } {
    const path = join(folder, 'blocks');
    writeFileSync(path, bytes);
    const memory = new WebAssembly.Memory({ initial: (KEPT_BASE + KEPT_SIZE) / 65536, maximum: 65536, shared: true });
    const loaded = loadKeptBlocks(memory, core, pathToFileURL(path));
    return { loaded, used: new DataView(memory.buffer).getUint32(KEPT_BASE, true), memory };
  }

  it('is used when it is whole', () => {
    const { loaded, used, memory } = load(keptFile(content, CORE));
    expect({ loaded, used }).toEqual({ loaded: true, used: 1 });
    expect(Buffer.from(new Uint8Array(memory.buffer, KEPT_BASE + 4, 4092)).equals(content.subarray(4))).toBe(true);
  });

  const whole = Buffer.from(keptFile(content, CORE));
  const changed = (at: number): Buffer => {
    const copy = Buffer.from(whole);
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
    return copy;
  };
  it.each([
    ['empty', Buffer.alloc(0)], ['cut off', whole.subarray(0, -1)], ['longer', Buffer.concat([whole, Buffer.alloc(1)])], ['of another version', changed(11)],
    ['of another core', changed(16)], ['of another length', changed(20)], ['damaged', changed(2000)], ['with a wrong sum', changed(24)],
  ])('is not used when it is %s', (_, bytes) => {
    expect(load(bytes)).toMatchObject({ loaded: false, used: 0 });
  });

  it('does not say of itself that it is whole', () => {
    const marked = Buffer.from(changed(2000));
    marked.writeUInt32LE(1, 32);
    expect(load(marked)).toMatchObject({ loaded: false, used: 0 });
  });

  it('need not be there', () => {
    const memory = new WebAssembly.Memory({ initial: (KEPT_BASE + KEPT_SIZE) / 65536, maximum: 65536, shared: true });
    expect(loadKeptBlocks(memory, CORE, pathToFileURL(join(folder, 'none')))).toBe(false);
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { vmm } from '../support/cli/cli.ts';
import { buildGuest } from '../support/guests/programs.ts';
import { multibootKernel } from '../support/guests/multiboot.ts';

// The built library, as its users import it.
const { Machine } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-boot-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const boot = (guest: string, ...options: string[]) => vmm(['boot', '-q', '--accel', 'wasm', '--memory', '32', '--kernel', buildGuest(guest), ...options]);

describe('vmm boot on the software CPU', () => {
  it('power-off gives 0, and COM1 is on standard output', async () => {
    const result = await boot('ports');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout.toString()).toBe('through COM1\n');
  });

  it('a byte to port 0xf4 gives (v << 1) | 1, with --exit-on port alone', async () => {
    const kernel = multibootKernel(join(dir, 'multiboot.bin'));
    const result = await vmm(['boot', '-q', '--accel', 'wasm', '--memory', '32', '--kernel', kernel, '--exit-on', 'port']);
    expect(result.status, result.stderr).toBe(67);
    const without = await vmm(['boot', '-q', '--accel', 'wasm', '--memory', '32', '--kernel', kernel, '--timeout', '1s']);
    expect(without.status).toBe(124);
    // As QEMU's isa-debug-exit with iosize=4.
    for (const size of [2, 4] as const) {
      const wide = await vmm(['boot', '-q', '--accel', 'wasm', '--memory', '32', '--kernel', multibootKernel(join(dir, `wide${size}`), size), '--exit-on', 'port', '--timeout', '20s']);
      expect({ size, status: wide.status }).toEqual({ size, status: 67 });
    }
  });

  it('a triple fault gives 133 with registers and code', async () => {
    const result = await boot('triple');
    expect(result.status).toBe(133);
    expect(result.stderr).toMatch(/triple fault/);
    expect(result.stderr).toMatch(/rbx=000000001234abcd/);
    expect(result.stderr).toMatch(/^ {2}in start\+0x[0-9a-f]+$/m);
    expect(result.stderr).toMatch(/code: cc /);
  });

  it('a panic gives 132, and the functions of its call trace have names although the kernel has none', async () => {
    const result = await vmm(['boot', '-q', '--accel', 'wasm', '--append', 'panic=-1']);
    expect(result.status).toBe(132);
    expect(result.stdout.toString()).toMatch(/Kernel panic - not syncing: VFS: Unable to mount root fs/);
    expect(result.stderr).toMatch(/\? 0x[0-9a-f]{16} \(mount_root_generic\+0x[0-9a-f]+\)$/m);
  });

  it('--symbols takes names from elsewhere, and a file without them is refused before the start', async () => {
    const map = join(dir, 'System.map');
    writeFileSync(map, '0000000000100000 T elsewhere\n');
    const result = await boot('triple', '--symbols', map);
    expect(result.status).toBe(133);
    expect(result.stderr).toMatch(/^ {2}in elsewhere\+0x[0-9a-f]+$/m);
    const refused = await boot('triple', '--symbols', join(dir, 'multiboot.bin'));
    expect(refused.status).toBe(125);
    expect(refused.stderr).toMatch(/\[SYMBOLS_(BAD|OPEN)\]/);
  });

  it.each(['spin', 'halt', 'flood'])('a guest that does nothing but %s ends at its time-out', async (guest) => {
    const result = await boot(guest, '--timeout', '1s');
    expect(result.status).toBe(124);
    expect(result.stderr).toMatch(/ended after 1s/);
  });

  it('--trace writes each port access to the file', async () => {
    const file = join(dir, 'trace.txt');
    const result = await boot('ports', '--trace', 'pio', '--trace-file', file);
    expect(result.status, result.stderr).toBe(0);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.some((line) => / vcpu0 pio in port=600 size=1 value=56$/.test(line))).toBe(true);
    expect(lines.some((line) => / pio in port=7777 size=2 value=ffff$/.test(line))).toBe(true);
  });

  it('trace stamps count from the machine’s start and are in order, whichever thread writes', async () => {
    const file = join(dir, 'order.txt');
    const options = ['boot', '-q', '--accel', 'wasm', '--memory', '64', '--cpus', '2', '--append', 'panic=-1', '--trace', 'pio,mmio,irq,virtio', '--trace-file', file];
    expect((await vmm(options)).status).toBe(132);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const stamps = lines.map((line) => Number(line.split(' ')[0]));
    expect(new Set(lines.map((line) => line.split(' ')[1])).size).toBeGreaterThan(1);
    expect(stamps[0]).toBeLessThan(10e6);
    expect(stamps.filter((stamp, i) => i > 0 && stamp < (stamps[i - 1] as number))).toEqual([]);
  });

  it('--timeline names the phases in order', async () => {
    const result = await boot('ports', '--timeline');
    const names = result.stderr.split('\n').map((line) => line.replace(/^.*ms\s+\+\s*[\d.]+\s+\d+ page faults\s+/, ''));
    expect(names.slice(0, 4)).toEqual(['options read', 'kernel loaded', 'process confined', 'first guest entry']);
  });
});

describe('the library', () => {
  const config = (guest: string) => ({ kernel: buildGuest(guest), append: '', memoryMib: 32, cpus: 1, accel: 'wasm', console: 'serial' }) as const;

  it('several machines run in one process, each with its own result', async () => {
    const results = await Promise.all(['ports', 'triple', 'ports'].map(async (guest) => {
      await using machine = new Machine(config(guest));
      return (await machine.run()).kind;
    }));
    expect(results).toEqual(['poweroff', 'triple-fault', 'poweroff']);
  });

  it('an aborted run resolves with stopped, whatever the guest does', async () => {
    for (const guest of ['spin', 'halt', 'flood']) {
      const abort = new AbortController();
      const machine = new Machine(config(guest));
      const run = machine.run({ signal: abort.signal });
      while (!machine.timeline.entries().some((entry) => entry.name === 'first guest entry')) await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
      expect(await run).toEqual({ kind: 'stopped' });
    }
  });

  it('a paused guest stands still until it is resumed, and its registers can be read', async () => {
    const machine = new Machine(config('spin'));
    const run = machine.run();
    while (!machine.timeline.entries().some((entry) => entry.name === 'first guest entry')) await new Promise((resolve) => setImmediate(resolve));
    await machine.pause();
    const first = await machine.dump();
    expect(first).toMatch(/^vCPU 0:\n.*rax=/);
    expect(await machine.dump()).toBe(first);
    machine.resume();
    machine.stop();
    expect(await run).toEqual({ kind: 'stopped' });
  });

  it('a pause asked for before the guest runs holds it at its start; pause and resume at once leave it running', async () => {
    const machine = new Machine(config('ports'));
    const run = machine.run();
    await Promise.resolve();
    const paused = machine.pause();
    await Promise.all([paused, machine.pause()]);
    expect(machine.accelerator).toBe('wasm');
    const first = await machine.dump();
    expect(await machine.dump()).toBe(first);
    machine.resume();
    void machine.pause();
    machine.resume();
    expect(await run).toEqual({ kind: 'poweroff' });
  });

  it('a machine that cannot be built rejects with a code', async () => {
    await expect(new Machine({ ...config('ports'), kernel: '/nonexistent' }).run()).rejects.toMatchObject({ code: 'KERNEL_OPEN' });
    expect(() => new Machine({ ...config('ports'), disks: [{ path: '/nonexistent', readOnly: true, id: 'x' }] })).toThrow(/disk \/nonexistent/);
  });
});

/** The system side of the software CPU for tests: one machine with direct access to registers, guest memory and page tables. Host time is the test's. */
import { readFileSync } from 'node:fs';
import { CPU_BASE, CPU_STRIDE, RAM_BASE } from '../../../assembly/core/layout.ts';
import { buildTestCore } from '../../../scripts/build-core.mjs';

/** The core with all that its tests call (assembly/test). */
export function testCore(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(buildTestCore()));
}

type Fn = (...args: (number | bigint)[]) => number | bigint;

export const FIELD = {
  gpr: 0, rip: 1, segs: 2, cr0: 5, cr2: 6, cr3: 7, cr4: 8, efer: 9, icount: 10, cpl: 11, pending: 12, wake: 13, stats: 14,
  halted: 15, kernelGs: 16, gdtr: 17, idtr: 18, dr: 21, fault: 22,
} as const;

export const SEG = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7 } as const;
export const PTE = { P: 1n, W: 2n, U: 4n, A: 0x20n, D: 0x40n, PS: 0x80n, G: 0x100n, NX: 1n << 63n } as const;
export const VECTOR = { DE: 0, DB: 1, NMI: 2, BP: 3, UD: 6, NM: 7, DF: 8, TS: 10, NP: 11, SS: 12, GP: 13, PF: 14 } as const;

/** One machine with `cpus` vCPUs and 16 MiB; vCPU 0 unless a call says otherwise. */
export class SysMachine {
  readonly memory = new WebAssembly.Memory({ initial: 2048 + 256, maximum: 65536, shared: true });
  readonly x: Record<string, Fn>;
  readonly view: DataView;
  readonly ports: { port: number; size: number; value: number }[] = [];
  now = 1_000_000;
  readonly ramBytes = 16 << 20;

  constructor(module: WebAssembly.Module, cpus = 1, profile = 0, timeMode = 0) {
    const nothing = (): number => 0;
    const host = {
      irq: nothing, kick: nothing, blk: nothing, console: nothing, fs: nothing, net: nothing, vsock: nothing, event: nothing, discard: nothing,
      random: (ptr: number, len: number) => new Uint8Array(this.memory.buffer, ptr, len).fill(0x5a),
      now: () => this.now,
      wall: () => 0,
    };
    const env = { memory: this.memory, abort: () => { throw new Error('abort in the core'); } };
    const instance = new WebAssembly.Instance(module, { env, host });
    this.x = instance.exports as Record<string, Fn>;
    this.view = new DataView(this.memory.buffer);
    this.call('machine_init', this.ramBytes, cpus, 1);
    this.call('irqchip_reset', cpus);
    for (let i = 0; i < cpus; i++) this.call('cpu_reset', i, profile, timeMode);
  }

  call<R extends number | bigint = number>(name: string, ...args: (number | bigint)[]): R {
    const f = this.x[name];
    if (!f) throw new Error(`no export ${name}`);
    return f(...args) as unknown as R;
  }

  /** Calls an export whose result is a u64. */
  call64(name: string, ...args: (number | bigint)[]): bigint {
    return this.call<bigint>(name, ...args);
  }

  cpu(index = 0): number {
    return CPU_BASE + index * CPU_STRIDE;
  }

  private at(field: number, index: number): number {
    return this.cpu(index) + (this.call('cpu_field', field) >>> 0);
  }

  get64(field: number, index = 0): bigint {
    return this.view.getBigUint64(this.at(field, index), true);
  }

  set64(field: number, value: bigint, index = 0): void {
    this.view.setBigUint64(this.at(field, index), value, true);
  }

  get32(field: number, index = 0): number {
    return this.view.getUint32(this.at(field, index), true);
  }

  gpr(r: number, index = 0): bigint {
    return this.view.getBigUint64(this.cpu(index) + r * 8, true);
  }

  setGpr(r: number, value: bigint, index = 0): void {
    this.view.setBigUint64(this.cpu(index) + r * 8, value, true);
  }

  seg(seg: number, index = 0): { selector: number; base: bigint; limit: number; attr: number } {
    const p = this.at(FIELD.segs, index) + seg * 32;
    return {
      selector: this.view.getUint16(p + 16, true),
      base: this.view.getBigUint64(p, true),
      limit: this.view.getUint32(p + 8, true),
      attr: this.view.getUint32(p + 12, true),
    };
  }

  /** The exception that is set, or undefined; clears it. */
  takeFault(index = 0): { kind: number; vector: number; error: number } | undefined {
    const p = this.at(FIELD.fault, index);
    const kind = this.view.getUint32(p, true);
    const fault = { kind, vector: this.view.getUint32(p + 4, true), error: this.view.getUint32(p + 8, true) };
    this.view.setUint32(p, 0, true);
    return kind === 1 || kind === 2 || kind === 5 ? fault : undefined;
  }

  // ---- guest memory by physical address ----

  r64(gpa: number): bigint {
    return this.view.getBigUint64(RAM_BASE + gpa, true);
  }

  w64(gpa: number, v: bigint): void {
    this.view.setBigUint64(RAM_BASE + gpa, BigInt.asUintN(64, v), true);
  }

  r32(gpa: number): number {
    return this.view.getUint32(RAM_BASE + gpa, true);
  }

  w32(gpa: number, v: number): void {
    this.view.setUint32(RAM_BASE + gpa, v, true);
  }

  w16(gpa: number, v: number): void {
    this.view.setUint16(RAM_BASE + gpa, v, true);
  }

  // ---- modes ----

  /** 64-bit mode, CPL 0, page tables at 0x10000 (PML4), NX on, WP on. */
  long64(): void {
    this.call('enter_long64', 0, 0x1000n, 0n, 0x1_0000, 0x5000, 0xffff);
    this.set64(FIELD.efer, 0xd01n);
    this.set64(FIELD.cr0, 0x8001_0011n);
    this.set64(FIELD.cr4, 0xb0n);
    this.call('update_paging', this.cpu());
  }

  setCpl(cpl: number): void {
    this.call('set_cpl', this.cpu(), cpl);
  }

  private nextTable = 0x1_1000;
  /** Maps the 4 KiB page of `va` to `pa`; tables on the way get `upper`. Returns the gpa of the leaf entry. */
  map(va: bigint, pa: number, leaf: bigint, upper: bigint = PTE.P | PTE.W | PTE.U, level = 1): number {
    let table = 0x1_0000;
    for (let l = 4; l > level; l--) {
      const at = table + Number((va >> BigInt(12 + 9 * (l - 1))) & 511n) * 8;
      let e = this.r64(at);
      if (!(e & 1n)) {
        e = BigInt(this.nextTable) | upper;
        this.nextTable += 0x1000;
        this.w64(at, e);
      }
      table = Number(e & 0xf_ffff_ffff_f000n);
    }
    const at = table + Number((va >> BigInt(12 + 9 * (level - 1))) & 511n) * 8;
    this.w64(at, BigInt(pa) | leaf);
    return at;
  }

  /** gpa of the entry of `va` at `level`, which must exist. */
  entry(va: bigint, level: number): number {
    let table = 0x1_0000;
    for (let l = 4; ; l--) {
      const at = table + Number((va >> BigInt(12 + 9 * (l - 1))) & 511n) * 8;
      if (l === level) return at;
      table = Number(this.r64(at) & 0xf_ffff_ffff_f000n);
    }
  }

  read(va: bigint, size = 8): bigint {
    return BigInt.asUintN(64, this.call64('t_rd', this.cpu(), va, size));
  }

  write(va: bigint, v: bigint, size = 8): void {
    this.call('t_wr', this.cpu(), va, v, size);
  }

  fetch(va: bigint): bigint {
    return BigInt.asUintN(64, this.call64('mmu_fetch', this.cpu(), va));
  }
}

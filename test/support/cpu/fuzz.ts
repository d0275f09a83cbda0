/**
 * Random bytes as guest code, in 64-bit, 32-bit and real mode, ring 0 and ring 3, with random registers, page tables that the
 * code can reach and change, an IDT that leads back into random code. Whatever happens, the module must not trap, must come
 * back in time, and must not touch what is not the guest's.
 */
import { createHash } from 'node:crypto';
import { RUN_SHUTDOWN } from '../../../assembly/contract/vcpu.ts';
import { BLOCK_BASE, BLOCK_SIZE, CPU_BASE, CPU_STRIDE, RAM_BASE, STATIC_BASE, STATIC_SIZE } from '../../../assembly/core/layout.ts';
import type { CoreExports } from '../../../vmm/core/exports.ts';
import { instantiateCore } from '../../../vmm/core/instance.ts';
import { coreModule } from './guest.ts';
import { InlineJit } from './inline-jit.ts';

const RAM = 4 << 20;
const WASM_PAGE = 65536;
const CODE = 0x1_0000;
const CODE_BYTES = 0x4000;
const PML4 = 0x2_0000;
const PDPT = 0x2_1000;
const PD = 0x2_2000;
const PT = 0x2_3000;
const GDT = 0x2_8000;
const IDT = 0x2_9000;
const TSS = 0x2_a000;
const STACK = 0x3_0000;

export interface FuzzResult {
  readonly programs: number;
  readonly blocks: bigint;
  readonly instructions: bigint;
  readonly shutdowns: number;
  /** Translated runs that were compared. */
  readonly compared: number;
  /** What must not have happened; empty when all is well. */
  readonly failures: string[];
}

/** xorshift128+ on two 32-bit halves is more than this needs: a 32-bit state with good mixing. */
function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

/** First bytes that matter more often than chance would have them. */
const FAVOURED = [
  0x0f, 0x0f, 0x48, 0x66, 0xf2, 0xf3, 0xf0, 0x41, 0x4c, 0xcf, 0xcd, 0xcc, 0x9d, 0xff, 0xa4, 0xaa, 0xab, 0xd9, 0xdd, 0x8e, 0xea, 0x9a, 0xca, 0xcb, 0xe8, 0xeb,
  0x74, 0x8b, 0x89, 0x87, 0xf7, 0xc1, 0xe6, 0xec, 0xf4, 0xfb, 0xfa,
];

class Fuzzer {
  readonly memory: WebAssembly.Memory;
  readonly core: CoreExports;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly random: () => number;
  compared = 0;
  #seen = 0;

  constructor(seed: number) {
    this.random = generator(seed);
    const pages = (RAM_BASE + RAM) / WASM_PAGE;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const nothing = (): number => 0;
    const hooks = { irq: nothing, kick: nothing, blk: nothing, console: (_d: number, _p: number, n: number) => n, fs: nothing, net: nothing, vsock: nothing, event: nothing, discard: nothing };
    let now = 1e9;
    this.core = instantiateCore(coreModule(), this.memory, hooks, { now: () => (now += 1000), wall: () => 1.7e18, random: (n) => new Uint8Array(n) });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.core.machine_init(RAM, 2, 1);
    this.core.serial_add();
    this.core.irqchip_reset(2);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random() % list.length] as T;
  }

  w64(gpa: number, v: bigint): void {
    this.view.setBigUint64(RAM_BASE + gpa, BigInt.asUintN(64, v), true);
    this.core.guest_written(gpa, 8);
  }

  randomValue(): bigint {
    const r = BigInt(this.random());
    switch (this.random() % 8) {
      case 0: return r & 0xffn;
      case 1: return BigInt(CODE) + (r % BigInt(CODE_BYTES));
      case 2: return BigInt(STACK) + (r & 0xfffn);
      case 3: return r % BigInt(RAM + 0x2000);
      case 4: return 0xfee0_0000n + (r & 0xff0n);
      case 5: return (r << 32n) | BigInt(this.random());
      case 6: return 0x7fff_ffff_f000n + (r & 0x1fffn);
      default: return 0xffff_ffff_ffff_f000n | r;
    }
  }

  /** Translates what came up; the count of compared runs begins anew with each program. */
  follow(jit: InlineJit): void {
    jit.poll();
    this.compared += jit.compared - this.#seen;
    this.#seen = jit.compared;
  }

  /** One program: fills code and tables, enters, runs `budget` instructions. Returns the reason of cpu_run. */
  program(budget: number, lockstep = false): number {
    const { core, random } = this;
    for (let i = 0; i < CODE_BYTES; i++) {
      const r = random();
      this.bytes[RAM_BASE + CODE + i] = (r & 0x300) === 0 ? this.pick(FAVOURED) : r;
    }
    core.guest_written(CODE, CODE_BYTES);
    // 2 MiB by 4 KiB pages with random rights, most of them whole; one large page behind
    this.w64(PML4, BigInt(PDPT) | 7n);
    this.w64(PML4 + 511 * 8, BigInt(PDPT) | 7n);
    this.w64(PDPT, BigInt(PD) | 7n);
    this.w64(PDPT + 3 * 8, 0xc000_0087n);
    this.w64(PDPT + 511 * 8, BigInt(PD) | 7n);
    this.w64(PD, BigInt(PT) | 7n);
    this.w64(PD + 8, 0x20_0087n);
    this.w64(PD + 511 * 8, BigInt(PT) | 7n);
    for (let i = 0; i < 512; i++) {
      const rights = random() % 16 ? 7n : BigInt(random() & 0x1ff);
      this.w64(PT + i * 8, BigInt(i * 4096) | rights);
    }
    const descriptors = [0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x00cffb000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn];
    descriptors.forEach((d, i) => this.w64(GDT + i * 8, d));
    this.w64(GDT + 0x30, 0x0000_8900_0000_0067n | (BigInt(TSS) << 16n));
    this.w64(GDT + 0x38, 0n);
    for (let i = 8; i < 32; i++) this.w64(GDT + i * 8, (BigInt(random()) << 32n) | BigInt(random()));
    for (let i = 0; i < 256; i++) {
      const target = BigInt(CODE + (random() % CODE_BYTES));
      const type = random() % 8 ? 0x8en | (random() & 1 ? 0x60n : 0n) : BigInt(random() & 0xff);
      this.w64(IDT + i * 16, (target & 0xffffn) | (0x08n << 16n) | (BigInt(random() % 8 ? 0 : random() & 7) << 32n) | (type << 40n) | ((target & 0xffff_0000n) << 32n));
      this.w64(IDT + i * 16 + 8, random() % 64 ? 0n : BigInt(random()));
    }
    for (let i = 0; i < 0x70; i += 8) this.w64(TSS + i, random() % 4 ? BigInt(STACK + 0xf00) << 32n | BigInt(STACK + 0x800) : this.randomValue());

    core.cpu_reset(0, random() & 1, random() & 1);
    const start = CODE + (random() % (CODE_BYTES - 64));
    const mode = random() % 4;
    if (mode === 0) (core as unknown as { enter_real(i: number, cs: number, ip: number, sp: number): void }).enter_real(0, CODE >> 4, start - CODE, 0xf00);
    else if (mode === 1) core.enter_protected32(0, start, 0, 0, GDT, 0xff);
    else core.enter_long64(0, BigInt(start), 0n, PML4, GDT, 0xff);
    const cpu = CPU_BASE;
    const field = (id: number): number => cpu + core.cpu_field(id);
    if (mode >= 2) this.view.setBigUint64(field(9), 0xd01n, true); // EFER.NXE, SCE
    this.view.setBigUint64(field(18), BigInt(IDT), true);
    // lidt's limit lies behind both bases and the GDT's limit
    this.view.setUint32(field(18) + 12, 0xfff, true);
    for (let r = 0; r < 16; r++) this.view.setBigUint64(cpu + r * 8, BigInt.asUintN(64, this.randomValue()), true);
    this.view.setBigUint64(cpu + 4 * 8, BigInt(STACK + 0x800), true);
    if (mode === 3) {
      // to ring 3 by IRETQ
      const at = start - (start % 16);
      this.bytes.set([0x48, 0xcf], RAM_BASE + at);
      core.guest_written(at, 2);
      this.view.setBigUint64(field(1), BigInt(at), true);
      const frame = [BigInt(CODE + (random() % CODE_BYTES)), 0x2bn, 0x202n | (BigInt(random()) & 0x3d00n), BigInt(STACK + 0x600), 0x23n];
      frame.forEach((v, i) => this.w64(STACK + 0x800 + i * 8, v));
    }
    const jit = lockstep ? new InlineJit(core, this.memory, 0, 'check') : undefined;
    this.#seen = 0;
    let reason = 0;
    let left = budget;
    while (left > 0) {
      reason = core.cpu_run(cpu, Math.min(left, 1 + (random() % 500)));
      if (jit !== undefined) this.follow(jit);
      if (reason === 1) core.cpu_wait(cpu, 1000);
      if (reason === 1 && random() % 4 === 0) break;
      if (reason !== 0 && reason !== 1 && reason !== 2) break;
      left -= 250;
    }
    return reason;
  }
}

/** Hash of what the guest must never change: the module's constants. */
function constants(bytes: Uint8Array): string {
  return createHash('sha256').update(Buffer.from(bytes.slice(STATIC_BASE, STATIC_BASE + STATIC_SIZE))).digest('hex');
}

/** `lockstep`: all code is translated and compared with the interpreter. */
export function fuzzCpu(seed: number, programs: number, budget = 2000, lockstep = false): FuzzResult {
  const f = new Fuzzer(seed);
  const failures: string[] = [];
  const before = constants(f.bytes);
  let shutdowns = 0;
  let instructions = 0n;
  let blocks = 0n;
  // between the guard page and the header, the second vCPU's state behind its own part, the end of the block area
  const quiet: [string, number, number][] = [
    ['null page', 0, 0x1000],
    ['block area of the second vCPU', BLOCK_BASE + BLOCK_SIZE / 2, BLOCK_BASE + BLOCK_SIZE],
  ];
  f.core.cpu_reset(1, 0, 0);
  const second = f.bytes.slice(CPU_BASE + CPU_STRIDE + 0x2000, CPU_BASE + 2 * CPU_STRIDE);
  for (let i = 0; i < programs; i++) {
    const start = performance.now();
    try {
      if (f.program(budget, lockstep) === RUN_SHUTDOWN) shutdowns++;
    } catch (error) {
      failures.push(`seed ${seed}, program ${i}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
      break;
    }
    instructions += f.view.getBigUint64(CPU_BASE + f.core.cpu_field(10), true);
    blocks += BigInt(f.view.getUint32(CPU_BASE + 0x3_0000 + 32, true));
    const took = performance.now() - start;
    if (took > 30_000) failures.push(`seed ${seed}, program ${i}: ${took.toFixed(0)} ms`);
  }
  if (constants(f.bytes) !== before) failures.push(`seed ${seed}: the module's constants changed`);
  for (const [name, from, to] of quiet) {
    if (f.bytes.subarray(from, to).some((b) => b !== 0)) failures.push(`seed ${seed}: ${name} changed`);
  }
  const now = f.bytes.subarray(CPU_BASE + CPU_STRIDE + 0x2000, CPU_BASE + 2 * CPU_STRIDE);
  if (Buffer.compare(Buffer.from(second), Buffer.from(now.slice())) !== 0) failures.push(`seed ${seed}: the second vCPU's TLB or blocks changed`);
  return { programs, blocks, instructions, shutdowns, failures, compared: f.compared };
}

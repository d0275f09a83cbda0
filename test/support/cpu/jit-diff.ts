/** The same cases interpreted and translated: each gets pages of its own, so that what was decoded in the first round is translated in the second. */
import { CPU_BASE, RAM_BASE } from '../../../assembly/core/layout.ts';
import type { CoreExports } from '../../../vmm/core/exports.ts';
import { Cache, type JitCounts, MACHINE_LIMITS } from '../../../vmm/jit/cache.ts';
import { Compiler } from '../../../vmm/jit/compiler.ts';
import { HotList } from '../../../vmm/jit/hot-list.ts';
import { readOffsets } from '../../../vmm/jit/layout.ts';
import { CASE_SIZE, type CaseInfo, RESULT_SIZE } from './cases.ts';
import { setUp } from './diff.ts';
import type { SysMachine } from './sys.ts';

const CASES_AT = RAM_BASE + (4 << 20);
const RESULTS_AT = RAM_BASE + (5 << 20);
const CODE_AT = 8 << 20;
/** Cases of a round: their code takes the upper half of 16 MiB, their blocks the ring of hot ones. */
export const ROUND = 100;

export class JitDiff {
  readonly #m: SysMachine;
  readonly #hot: HotList;
  readonly #cache: Cache;
  readonly #compiler: Compiler;
  readonly #insnsAt: number;
  refused = 0;

  constructor(m: SysMachine) {
    this.#m = m;
    setUp(m);
    m.call('cpu_set_exact', m.cpu(), 1); // no slack: what goes round for ever ends with its budget
    const core = m.x as unknown as CoreExports;
    m.call('jit_offsets');
    this.#hot = new HotList(m.memory, 0);
    this.#cache = new Cache(core, m.memory, m.cpu(), { ...MACHINE_LIMITS, regions: 1e6, modules: 1e6, bytes: 1e9 });
    this.#compiler = new Compiler(m.memory);
    this.#insnsAt = CPU_BASE + readOffsets(m.memory).jitInsns;
  }

  get counts(): JitCounts {
    return this.#cache.counts;
  }

  /** Instructions that ran translated. */
  get insns(): bigint {
    return this.#m.view.getBigUint64(this.#insnsAt, true);
  }

  /** Runs `infos.length` ≤ ROUND cases both ways; what differs. */
  round(cases: Buffer, infos: readonly CaseInfo[]): string[] {
    const m = this.#m;
    const ram = Buffer.from(m.memory.buffer);
    const n = infos.length;
    cases.copy(ram, CASES_AT, 0, n * CASE_SIZE);
    const results = ram.subarray(RESULTS_AT, RESULTS_AT + n * RESULT_SIZE);
    m.call('blocks_flush', m.cpu());
    m.call('jit_set', m.cpu(), 1, 0, 0);
    m.call('t_jit', m.cpu(), CASES_AT, RESULTS_AT, n, CODE_AT, 1);
    const interpreted = Buffer.from(results);
    for (const compiled of this.#compiler.compile(0, this.#hot.take(1000))) this.#cache.install(compiled);
    this.refused = this.#compiler.refused;
    m.call('t_jit', m.cpu(), CASES_AT, RESULTS_AT, n, CODE_AT, 0);
    m.call('jit_set', m.cpu(), 0, 0, 0);
    const found: string[] = [];
    infos.forEach((info, i) => {
      const text = difference(interpreted.subarray(i * RESULT_SIZE, (i + 1) * RESULT_SIZE), results.subarray(i * RESULT_SIZE, (i + 1) * RESULT_SIZE));
      if (text !== '') found.push(`${info.mnemonic} ${cases.subarray(i * CASE_SIZE + 16, i * CASE_SIZE + 16 + (cases[i * CASE_SIZE] as number)).toString('hex')}: ${text}`);
    });
    return found;
  }
}

/** Words of two results that are not the same: registers, RIP, flags, fault, CR2, memory. */
function difference(a: Buffer, b: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; at < RESULT_SIZE; at += 8) {
    const x = a.readBigUInt64LE(at);
    const y = b.readBigUInt64LE(at);
    if (x !== y) parts.push(`+${at}: interpreted ${x.toString(16)}, translated ${y.toString(16)}`);
  }
  return parts.slice(0, 4).join('; ');
}

/** The translator's thread of one machine: emits and compiles what its vCPUs find hot, so that they need not. */
import { JIT_DUMMY } from '../../assembly/core/layout.ts';
import { HeapAtRest } from '../core/shrink-heap.ts';
import { setTieringBudget, setTranslatorFlags } from '../core/v8-flags.ts';
import { JitBell } from './bell.ts';
import { Compiler, type Emitted } from './compiler.ts';
import { HELPERS } from './helpers.ts';
import { HotList } from './hot-list.ts';
import { BATCH_MAX, Mailbox } from './mailbox.ts';
import { tieringBudgetOf } from './threshold.ts';

export interface TranslatorJob {
  readonly memory: WebAssembly.Memory;
  readonly cpus: number;
  /** JitBell's. */
  readonly bell: SharedArrayBuffer;
}

/** A vCPU that has not emptied its mailbox, or has found more meanwhile, is looked at again so much later. */
const AGAIN_MS = 5;
const IDLE_MS = 10_000;
/** Hot blocks are waited for so long, or until there are so many, or one is urgent. */
const GATHER_MS = 20;
const GATHER_MOST = 16;
/** Modules whose code V8 shall find again when the vCPU compiles the same bytes. */
const KEPT = 64;

/** Runs until the bell says that it is over. */
export function runTranslator({ memory, cpus, bell: shared }: TranslatorJob): void {
  setTranslatorFlags();
  const bell = new JitBell(shared);
  const compiler = new Compiler(memory);
  const warmer = new Warmer(memory);
  const heap = new HeapAtRest(() => bell.rests);
  const vcpus = Array.from({ length: cpus }, (_, vcpu) => ({ vcpu, hot: new HotList(memory, vcpu), mail: new Mailbox(memory, vcpu, cpus), ready: [] as Emitted[] }));
  while (!bell.over) {
    const seen = bell.rings;
    let waiting = false;
    if (vcpus.some(({ hot }) => hot.length > 0)) gather(bell, vcpus.map(({ hot }) => hot));
    for (const { vcpu, hot, mail, ready } of vcpus) {
      if (ready.length === 0 && hot.length > 0 && !bell.over) {
        const start = performance.now();
        ready.push(...compiler.compile(vcpu, hot.take(BATCH_MAX), () => bell.over));
        bell.add('emitUs', (performance.now() - start) * 1000);
      }
      while (ready.length > 0 && !mail.full && !bell.over) {
        const compiled = ready.shift() as Emitted;
        const start = performance.now();
        if (!warmer.warm(compiled, tieringBudgetOf(compiled.tight, hot.threshold)) || !mail.put(compiled)) bell.add('tooLarge', 1);
        else bell.add('modules', 1);
        bell.add('compileUs', (performance.now() - start) * 1000);
      }
      if (ready.length > 0 || hot.length > 0) waiting = true;
    }
    heap.look(() => warmer.forget());
    bell.wait(seen, waiting ? AGAIN_MS : IDLE_MS);
  }
  bell.add('refused', compiler.refused);
}

/** What is hot comes in swarms: a module of several regions costs less than several modules. */
function gather(bell: JitBell, lists: readonly HotList[]): void {
  const until = performance.now() + GATHER_MS;
  for (;;) {
    const seen = bell.rings;
    const left = until - performance.now();
    if (bell.over || left <= 0 || lists.some((hot) => hot.urgent) || lists.reduce((sum, hot) => sum + hot.length, 0) >= GATHER_MOST) return;
    bell.wait(seen, left);
  }
}

/** Has V8 compile modules here: each function is called once in a way that ends at once, and the vCPU's own instance shares the code. */
class Warmer {
  readonly #imports: Record<string, Record<string, unknown>>;
  readonly #kept: WebAssembly.Module[] = [];

  constructor(memory: WebAssembly.Memory) {
    const never = (): number => 0;
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
    this.#imports = { c: { memory, table, ...Object.fromEntries(HELPERS.map(({ name }) => [name, never])) } };
  }

  /** The guest rests, and drops its translations. */
  forget(): void {
    this.#kept.length = 0;
  }

  /** `budget`: setTieringBudget's. False: V8 refuses the module. */
  warm({ bytes, functions }: Emitted, budget: number): boolean {
    try {
      setTieringBudget(budget);
      const module = new WebAssembly.Module(bytes);
      const { exports } = new WebAssembly.Instance(module, this.#imports);
      for (let i = 0; i < functions; i++) (exports[`f${i}`] as (cpu: number, block: number, rip: bigint, left: number) => number)(JIT_DUMMY, 0, 0n, -1);
      this.#kept.push(module);
      if (this.#kept.length > KEPT) this.#kept.shift();
      return true;
    } catch {
      return false;
    }
  }
}

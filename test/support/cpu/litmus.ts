/** Runs test/programs/cpu/litmus.S and judges what it counted by x86-TSO (SDM Vol. 3A §8.2.3). */
import { assemble, runGuestThreads } from './guest.ts';

/** Instances of a test in one batch: few keep two vCPUs in step, many outlast the turns of four vCPUs on two cores. */
const INSTANCES: Record<number, number> = { 2: 1024, 4: 16_384 };

/** Outcomes that x86-TSO forbids: bits 2n and 2n + 1 are what vCPU n read first and second. */
const FORBIDDEN: Record<string, number[]> = {
  'SB plain': [],
  'SB mfence': [0],
  'SB lock': [0],
  'SB xchg': [0],
  MP: [0b01_00], // vCPU 1 saw y, then not x
  LB: [0b01_01], // both read what the other stored later
  IRIW: [0b01_01_0000], // vCPUs 2 and 3 saw the two stores in different orders
};

export interface Litmus {
  readonly name: string;
  readonly runs: number;
  readonly outcomes: Map<number, number>;
  /** Runs with a forbidden outcome. */
  readonly forbidden: number;
}

/** Each test of the guest with `cpus` vCPUs (2: SB, MP, LB; 4: IRIW) at least `runs` times. */
export async function litmus(cpus: 2 | 4, runs: number, seconds: number, jit?: 'on'): Promise<Litmus[]> {
  const instances = INSTANCES[cpus] as number;
  const elf = assemble('litmus', { CPUS: cpus, BATCHES: Math.ceil(runs / instances), INSTANCES: instances });
  const { output, end } = await runGuestThreads(elf, { cpus, seconds, ...(jit === undefined ? {} : { jit }) });
  if (end !== 0) throw new Error(`litmus with ${cpus} vCPUs ended with ${end} after ${JSON.stringify(output)}`);
  return output.trim().split('\n').map((line) => {
    const [test, kind, ...counts] = line.split(' ');
    const name = `${test} ${kind}`;
    const outcomes = new Map(counts.map((c) => c.split(':').map((v) => Number.parseInt(v, 16)) as [number, number]));
    const bad = FORBIDDEN[name] ?? FORBIDDEN[test as string];
    if (!bad) throw new Error(`litmus test of unknown name ${name}`);
    return {
      name,
      runs: [...outcomes.values()].reduce((a, b) => a + b, 0),
      outcomes,
      forbidden: bad.reduce((sum, outcome) => sum + (outcomes.get(outcome) ?? 0), 0),
    };
  });
}

/** Runs of store buffering without fences in which both vCPUs read the old value: TSO's one relaxation. */
export function relaxed(results: Litmus[]): number {
  return results.find((r) => r.name === 'SB plain')?.outcomes.get(0) ?? 0;
}

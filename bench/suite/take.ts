/** How each scenario takes a sample of a peer. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { env, folder } from '../start/process.ts';
import { exitsOf } from '../counts/exits.ts';
import { partsOf } from './memory.ts';
import { inside, MEMORY, type Peer, type Scenario, WORD } from './peer.ts';
import { Failed, family, many, once, type Taken } from './sample.ts';
import { treeOf } from './trees.ts';

export interface Limits {
  readonly limitMs: number;
  /** How many idle for `present`. */
  readonly present: number;
}

let next = 0;
const newId = (): string => `bench-${process.pid}-${next++}`;

/** A start among many gets so much more time for each of the others. */
const AMONG_MS = 3000;

/** `warmUp`: of starts at once one is enough, and nobody idles. Throws `Failed`. */
export async function take(scenario: Scenario, peer: Peer, limits: Limits, warmUp = false): Promise<Taken> {
  const { limitMs } = limits;
  const command = (): readonly string[] => peer.command(scenario, newId());
  const times = warmUp ? 1 : Number(/^many-(\d+)$/.exec(scenario)?.[1] ?? 0);
  if (scenario.startsWith('many-')) return many(Array.from({ length: times }, command), WORD, limitMs + times * AMONG_MS);
  switch (scenario) {
    case 'boot':
    case 'micro':
      return once(command(), { word: WORD, after: 'stays', limitMs });
    case 'memory':
      return memory(command, limitMs);
    case 'start':
      return wholeStart(await once(command(), { after: 'ends', limitMs }));
    case 'exec':
      return withIdle(peer, 1, limits, ([id]) => once(peer.background!.exec(id!), { word: WORD, after: 'ends', limitMs }));
    case 'stop':
      return withIdle(peer, 1, limits, ([id]) => once(peer.background!.stop(id!), { after: 'ends', limitMs }));
    case 'present':
      return withIdle(peer, warmUp ? 1 : limits.present, limits, () => once(command(), { word: WORD, after: 'ends', limitMs }));
    case 'counts':
      return counts(peer, limitMs);
    case 'large-cold':
      for (const path of peer.cold!()) forget(path);
      return once(command(), { word: WORD, after: 'ends', limitMs });
    default:
      return once(command(), { word: WORD, after: 'ends', limitMs });
  }
}

/** Clock points of a whole start; of what has none, as an empty script, its end stands for each. */
function wholeStart({ figures, phases }: Taken): Taken {
  const end = figures['end ms']!;
  const points = new Map((phases ?? []).map(({ name }, i) => [name, phases!.slice(0, i + 1).reduce((sum, { ms }) => sum + ms, 0)]));
  const named = ['options read', 'first guest entry'].map((name) => [`${name} ms`, points.get(name) ?? end] as const);
  return { figures: { ...figures, ...Object.fromEntries(named) }, ...(phases === undefined ? {} : { phases }) };
}

const alive = new Map<string, Peer>();

/** Ends what idles; at the suite's end too, however it comes. */
export function removeIdle(): void {
  for (const [id, peer] of alive) {
    const [program = '', ...args] = peer.background!.remove(id);
    spawnSync(program, args, { env: env as NodeJS.ProcessEnv, timeout: 20_000, stdio: 'ignore' });
    alive.delete(id);
  }
}

/** Runs a command to its end. Its streams go nowhere, for what it leaves behind would hold a pipe open. */
async function quiet([program = '', ...args]: readonly string[], limitMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program, args, { env: env as NodeJS.ProcessEnv, stdio: 'ignore', timeout: limitMs, killSignal: 'SIGKILL' });
    child.on('error', (error) => reject(new Failed('missing', error.message)));
    child.on('exit', (status, signal) => (status === 0 ? resolve() : reject(new Failed(signal === 'SIGKILL' ? 'hangs' : 'fails', `${args.slice(0, 8).join(' ')}: status ${status ?? signal}`))));
  });
}

async function withIdle(peer: Peer, count: number, { limitMs }: Limits, look: (ids: readonly string[]) => Promise<Taken>): Promise<Taken> {
  if (peer.background === undefined) throw new Failed('fails', 'it has no containers in the background');
  const ids: string[] = [];
  const start = performance.now();
  try {
    for (let i = 0; i < count; i++) {
      const id = newId();
      alive.set(id, peer);
      ids.push(id);
      await quiet(peer.background.start(id), limitMs);
    }
    const ms = (performance.now() - start) / count;
    const taken = await look(ids);
    return count === 1 ? taken : { ...taken, figures: { ...taken.figures, 'ms a start until all were there': ms } };
  } finally {
    for (const id of ids) await quiet(peer.background.remove(id), limitMs).then(() => alive.delete(id), () => {});
  }
}

/** What an idle container takes, by part, and what another one beside it adds to both. */
async function memory(command: () => readonly string[], limitMs: number): Promise<Taken> {
  return once(command(), {
    word: WORD, limitMs: 2 * limitMs,
    after: async (first) => {
      const one = partsOf(family(first), MEMORY);
      let all = 0;
      await once(command(), { word: WORD, limitMs, after: async (second) => {
        all = partsOf([...family(first), ...family(second)], MEMORY).all;
        return {};
      } });
      return { 'PSS MiB': one.all, ...(one.guest > 0 ? { 'PSS of guest memory MiB': one.guest } : {}), 'PSS of files MiB': one.files, 'PSS of its own MiB': one.own, 'PSS that one more adds MiB': all - one.all };
    },
  });
}

/** Takes a file out of the page cache, as far as nobody has it mapped. */
function forget(path: string): void {
  for (const args of [[`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], [`if=${path}`, 'iflag=nocache', 'count=0']]) spawnSync('dd', [...args, 'status=none'], { timeout: 60_000 });
}

/** System calls of a start, all of its processes and threads; of machines that count, instructions too. */
async function counts(peer: Peer, limitMs: number): Promise<Taken> {
  const dir = mkdtempSync(join(folder, 'calls-'));
  const file = join(dir, 'strace');
  try {
    await once(['strace', '-f', '-qq', '-o', file, ...peer.command('counts', newId())], { word: WORD, after: 'ends', limitMs });
    const calls = readFileSync(file, 'latin1').split('\n').filter((line) => /^\d+ +[a-z_0-9]+\(/.test(line)).length;
    if (peer.counted === undefined) return { figures: { 'system calls': calls } };
    const counted = peer.counted.command();
    const { status, stderr } = spawnSync(counted[0]!, counted.slice(1), { env: env as NodeJS.ProcessEnv, encoding: 'utf8', timeout: limitMs, killSignal: 'SIGKILL' });
    if (status !== 0) throw new Failed('fails', `counted: status ${status}: ${stderr.trim().split('\n').at(-1) ?? ''}`);
    // Iterations of REP count as instructions, as in bench/counts.
    const millions = (name: string): number => {
      const [, count, repetitions] = new RegExp(`\\+ *(\\d+) +REP \\+ *(\\d+).*  ${name}$`, 'm').exec(stderr) ?? [];
      if (count === undefined) throw new Failed('wrong output', `its timeline has no ${name}`);
      return (Number(count) + Number(repetitions)) / 1e6;
    };
    const exits = exitsOf({ library: peer.counted.library, file, memoryMib: MEMORY, image: treeOf('counts'), command: inside('counts'), env, limitMs });
    return { figures: {
      'system calls': calls, 'M guest instructions to init': millions('init: main'), 'M guest instructions, init to the command': millions('container: command executed'),
      'accesses of ports': exits.ports, 'accesses of device registers': exits.registers,
    } };
  } finally {
    rmSync(dir, { recursive: true });
  }
}


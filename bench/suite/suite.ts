/** Takes samples of scenarios and peers in turns, and writes each to the log when it is taken. */
import { spawnSync } from 'node:child_process';
import { env } from '../start/process.ts';
import type { Log } from './log.ts';
import type { Peer, Scenario } from './peer.ts';
import { Failed } from './sample.ts';
import { quantile } from './summary.ts';
import { type Limits, take } from './take.ts';
import { digits } from './text.ts';

/** Most rounds of what takes long, or hardly varies. */
const MOST_ROUNDS: Partial<Record<Scenario, number>> = { counts: 3, present: 5, memory: 9, micro: 9, 'many-50': 5, 'many-100': 5 };

/** A peer that fails twice in a row is left out of the rest of a scenario. */
export class Suite {
  readonly #failures = new Map<string, number>();
  /** Of each peer of the scenario that runs: its first figure, for the eye. */
  #seen = new Map<string, { readonly name: string; readonly values: number[] }>();
  readonly #start = performance.now();
  readonly #log: Log;
  readonly #rounds: number;
  readonly #warmUp: number;
  readonly #limits: Limits;

  constructor(log: Log, rounds: number, warmUp: number, limits: Limits) {
    this.#log = log;
    this.#rounds = rounds;
    this.#warmUp = warmUp;
    this.#limits = limits;
  }

  async scenario(scenario: Scenario, peers: readonly Peer[]): Promise<void> {
    const ready = peers.filter((peer) => this.#enters(scenario, peer));
    this.#seen = new Map();
    const rounds = Math.min(this.#rounds, MOST_ROUNDS[scenario] ?? this.#rounds);
    for (let round = -this.#warmUp; round < rounds; round++) {
      for (const peer of round % 2 === 0 ? ready : ready.toReversed()) {
        if (this.#log.lost !== undefined) return;
        if ((this.#failures.get(`${scenario} ${peer.name}`) ?? 0) >= 2) continue;
        progress(`${this.#elapsed()} ${scenario}, ${round < 0 ? 'warm-up' : `round ${round + 1} of ${rounds}`}: ${peer.name}${this.#sofar(peer)}`);
        await this.#sample(scenario, peer, round);
      }
    }
    progress('');
  }

  #note({ name: peer }: Peer, figures: Readonly<Record<string, number>>): void {
    const [name, value] = Object.entries(figures)[0] ?? [];
    if (name === undefined || value === undefined) return;
    const seen = this.#seen.get(peer) ?? { name, values: [] };
    seen.values.push(value);
    this.#seen.set(peer, seen);
  }

  #sofar({ name: peer }: Peer): string {
    const seen = this.#seen.get(peer);
    return seen === undefined ? '' : `, ${seen.name.replace(/^(.*) (\S+)$/, `$1 ${digits(quantile(seen.values, 0.5))} $2`)} so far`;
  }

  #elapsed(): string {
    const seconds = Math.floor((performance.now() - this.#start) / 1000);
    return `${Math.floor(seconds / 60)}:${`${seconds % 60}`.padStart(2, '0')}`;
  }

  #enters(scenario: Scenario, peer: Peer): boolean {
    const trouble = (what: 'missing' | 'unverified' | 'fails', detail: string): false => {
      this.#log.add({ kind: 'trouble', scenario, peer: peer.name, what, detail });
      return false;
    };
    const [program, ...args] = peer.version;
    const { error, stdout } = spawnSync(program!, args, { encoding: 'utf8', timeout: this.#limits.limitMs, env: env as NodeJS.ProcessEnv });
    if (error) return trouble((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : 'fails', error.message);
    if (peer.unverified) return trouble('unverified', 'its command line was never tried on a real binary: not measured');
    progress(`${scenario}: ${peer.name} is made ready`);
    try {
      this.#log.add({ kind: 'entrant', scenario, peer: peer.name, version: stdout.split('\n')[0]!.slice(0, 100), command: commandOf(scenario, peer), conditions: peer.conditions(scenario) });
    } catch (cause) {
      return trouble('fails', (cause as Error).message.slice(0, 300));
    }
    return true;
  }

  async #sample(scenario: Scenario, peer: Peer, round: number): Promise<void> {
    const key = `${scenario} ${peer.name}`;
    try {
      const taken = await take(scenario, peer, this.#limits, round < 0);
      this.#log.add({ kind: 'sample', scenario, peer: peer.name, round, ...taken });
      if (round >= 0) this.#note(peer, taken.figures);
      this.#failures.delete(key);
    } catch (error) {
      this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
      this.#log.add({ kind: 'trouble', scenario, peer: peer.name, what: error instanceof Failed ? error.what : 'fails', detail: `round ${round}: ${(error as Error).message}`.slice(0, 400) });
    }
  }
}

function commandOf(scenario: Scenario, peer: Peer): readonly string[] {
  if (scenario === 'exec' || scenario === 'stop') return peer.background?.[scenario]('ID') ?? [];
  return peer.command(scenario, 'ID');
}

/** One line that is written over; nothing where standard error is no terminal. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Health checks as Docker's daemon makes them (20.10, daemon/health.go): a command in the container, now and then. */

/** `test`: CMD and words, or CMD-SHELL and a line for the shell. */
export interface HealthCheck {
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures do not count before, until it has been healthy once. */
  readonly startPeriodMs: number;
  /** The interval meanwhile. */
  readonly startIntervalMs: number;
  /** Failures in a row that make it unhealthy. */
  readonly retries: number;
}

export interface HealthResult {
  /** ISO 8601. */
  readonly start: string;
  readonly end: string;
  readonly exitCode: number;
  readonly output: string;
}

export interface Health {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  /** The last ones, the oldest first. */
  readonly log: readonly HealthResult[];
}

export const STARTING: Health = { status: 'starting', failingStreak: 0, log: [] };
const MAX_LOG = 5;

/** What a check's result makes of a container. `age`: how long it has run, ms. */
export function healthAfter(health: Health, check: HealthCheck, result: HealthResult, age: number): Health {
  const log = [...health.log, result].slice(-MAX_LOG);
  if (result.exitCode === 0) return { status: 'healthy', failingStreak: 0, log };
  if (health.status === 'starting' && age < check.startPeriodMs) return { ...health, log };
  const failingStreak = health.failingStreak + 1;
  return { status: failingStreak >= check.retries ? 'unhealthy' : health.status, failingStreak, log };
}

/** How a check went: its status and the beginning of what it wrote. Undefined: it could not be made, and is to be made later. */
export type Probe = () => Promise<{ readonly exitCode: number; readonly output: string } | undefined>;

/** Makes the checks of one life of a container, one after the other, until `stop`. */
export class HealthWatch {
  readonly #check: HealthCheck;
  readonly #probe: Probe;
  readonly #tell: (health: Health) => void;
  readonly #since = performance.now();
  #health = STARTING;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(check: HealthCheck, probe: Probe, tell: (health: Health) => void) {
    this.#check = check;
    this.#probe = probe;
    this.#tell = tell;
    tell(STARTING);
    this.#wait();
  }

  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    const { startPeriodMs, startIntervalMs, intervalMs } = this.#check;
    const starting = this.#health.status === 'starting' && performance.now() - this.#since < startPeriodMs;
    this.#timer = setTimeout(() => void this.#look(), starting ? Math.min(startIntervalMs, intervalMs) : intervalMs);
  }

  async #look(): Promise<void> {
    const start = new Date().toISOString();
    const found = await this.#probe().catch(() => undefined);
    if (this.#over) return;
    if (found !== undefined) {
      this.#health = healthAfter(this.#health, this.#check, { start, end: new Date().toISOString(), ...found }, performance.now() - this.#since);
      this.#tell(this.#health);
    }
    this.#wait();
  }
}

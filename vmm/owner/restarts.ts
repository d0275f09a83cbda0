import { VmmError } from '../../base/errors.ts';
import type { RestartPolicy } from './record.ts';

export const NO_RESTART: RestartPolicy = { name: 'no', most: 0 };
/** As Docker: the first wait, each twice the one before, up to the longest; a run of 10 s begins anew. ms. */
const FIRST_MS = 100;
const LONGEST_MS = 60_000;
const LONG_RUN_MS = 10_000;

/** `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:N`. Throws USAGE. */
export function parseRestart(text: string, option: string): RestartPolicy {
  const [name = '', most, ...rest] = text.split(':');
  const known = name === 'no' || name === 'always' || name === 'unless-stopped' || name === 'on-failure' ? name : undefined;
  if (known === undefined || rest.length > 0 || (most !== undefined && (known !== 'on-failure' || !/^\d{1,9}$/.test(most)))) {
    throw new VmmError('USAGE', `${option}: ${text} is not understood`, { hint: 'no, on-failure, on-failure:N, always or unless-stopped' });
  }
  return { name: known, most: Number(most ?? 0) };
}

/** When a container that has ended is started again. */
export class Restarts {
  policy: RestartPolicy;
  count = 0;
  #wait = 0;

  constructor(policy: RestartPolicy) {
    this.policy = policy;
  }

  /** The wait before the next start, ms; undefined: it has ended for good. `ran`: ms. */
  after(status: number, ran: number): number | undefined {
    this.#wait = this.#wait === 0 || ran >= LONG_RUN_MS ? FIRST_MS : Math.min(2 * this.#wait, LONGEST_MS);
    const { name, most } = this.policy;
    if (name === 'no' || (name === 'on-failure' && (status === 0 || (most > 0 && this.count >= most)))) return undefined;
    this.count += 1;
    return this.#wait;
  }
}

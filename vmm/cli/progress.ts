import { monotonicMs } from '../../base/monotonic.ts';
import type { Progress } from '../../image/index.ts';
import { size } from './size-text.ts';

/** Work that takes less time than this shows nothing, ms. */
const QUIET_MS = 500;
const EVERY_MS = 100;
/** The rate is that of so long, ms. */
const RATE_MS = 2000;

/** What is done with how many bytes, on one line of the terminal that standard error is; nothing where it is none. */
export class ProgressLine {
  readonly #start = monotonicMs();
  #shown = 0;
  #written = false;
  #stage = '';
  #samples: { at: number; done: number }[] = [];

  readonly update: Progress = ({ stage, done, total, parts }) => {
    const now = monotonicMs();
    const output = process.stderr;
    if (!output.isTTY) return;
    if (stage !== this.#stage) this.#samples = [];
    this.#stage = stage;
    this.#samples.push({ at: now, done });
    while (this.#samples.length > 2 && now - (this.#samples[0]?.at ?? now) > RATE_MS) this.#samples.shift();
    if (now - this.#start < QUIET_MS || now - this.#shown < EVERY_MS) return;
    this.#shown = now;
    const [first] = this.#samples;
    const seconds = (now - (first?.at ?? now)) / 1000;
    const rate = seconds > 0 ? `, ${size((done - (first?.done ?? 0)) / seconds)}/s` : '';
    const text = `vmm: ${stage} ${size(done)}${total === undefined ? '' : ` of ${size(total)}`}${rate}${parts === undefined ? '' : `, ${parts[0]} of ${parts[1]} layers`}`;
    this.#written = true;
    output.write(`\r\u001b[K${text.slice(0, (output.columns || 80) - 1)}`);
  };

  /** Takes the line away. */
  clear(): void {
    if (this.#written) process.stderr.write('\r\u001b[K');
    this.#written = false;
  }
}

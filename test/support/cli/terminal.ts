/** A program on a pseudo terminal of its own (util-linux's script), with what it printed so far. */
import { spawn } from 'node:child_process';
import { ROOT } from './cli.ts';
import { HANG_MS } from '../limits.ts';


export class Terminal {
  output = '';
  readonly status: Promise<number | null>;
  readonly #child;
  #changed = (): void => {};

  /** @param command for /bin/sh. */
  constructor(command: string, env: Readonly<Record<string, string>> = {}) {
    const all: Record<string, string | undefined> = { ...process.env, TERM: 'dumb', ...env };
    for (const name of Object.keys(all)) if (name.startsWith('NODE_') || name.startsWith('VITEST')) delete all[name];
    this.#child = spawn('script', ['-qefc', command, '/dev/null'], { cwd: ROOT, env: all, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout.on('data', (data: Buffer) => {
      this.output += data.toString('latin1');
      this.#changed();
    });
    this.status = new Promise((resolve) => this.#child.on('close', (status) => {
      resolve(status);
      this.#changed();
    }));
    void this.status.then(() => {
      this.#ended = true;
    });
  }

  #ended = false;

  /** Types `text`; what was printed before is forgotten. */
  type(text: string): void {
    this.output = '';
    this.#child.stdin.write(text);
  }

  /** Waits until the output since the last `type` matches; what hangs is an error. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed();
    }, HANG_MS);
    try {
      return await this.#match(pattern, () => late);
    } finally {
      clearTimeout(timer);
    }
  }

  async #match(pattern: RegExp, late: () => boolean): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      if (this.#ended || late()) throw new Error(`the terminal ended, or hangs, without ${pattern}; it said: ${this.output}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#changed = resolve;
      await promise;
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

import type { ProcessHandle } from '../../vmm/api/containers.ts';
import type { AppPlan } from '../../vmm/api/pods.ts';
import type { PlannedPod } from './plan.ts';

/** Run's own standard input, for the one app that has it; undefined: none has. */
export class OwnInput {
  readonly #app: AppPlan;

  constructor(app: AppPlan) {
    this.#app = app;
  }

  open(): void {
    if (this.#app.spec.tty === true && process.stdin.isTTY) process.stdin.setRawMode(true);
  }

  started(app: string, command: ProcessHandle): void {
    if (app !== this.#app.name) return;
    const { stdin, stdout } = process;
    stdin.on('data', (bytes: Buffer) => {
      stdin.pause();
      void Promise.resolve(command.stdin.write(Uint8Array.from(bytes))).catch(() => {}).finally(() => stdin.resume());
    });
    stdin.on('end', () => command.stdin.end());
    stdin.on('error', () => command.stdin.end());
    if (this.#app.spec.tty !== true) return;
    const resize = (): void => void command.resize({ rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 }).catch(() => {});
    process.on('SIGWINCH', resize);
    resize();
  }

  close(): void {
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.destroy();
  }
}

export function ownInput({ plan, streams }: PlannedPod): OwnInput | undefined {
  const app = plan.apps.find(({ name }) => streams.get(name)?.stdin === 'interactive');
  return app === undefined ? undefined : new OwnInput(app);
}

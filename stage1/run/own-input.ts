import type { ProcessHandle } from '../../vmm/api/containers.ts';
import type { AppPlan } from '../../vmm/api/pods.ts';
import { LeaveKeys } from '../control/leave-keys.ts';
import type { PlannedPod } from './plan.ts';

/** Bytes of standard input on their way before its source has to wait. */
const AHEAD = 1 << 16;

/** Run's own standard input, for the one app that has it; undefined: none has. */
export class OwnInput {
  readonly #app: AppPlan;
  /** The user does not want to wait for the app. */
  left: () => void = () => {};

  constructor(app: AppPlan) {
    this.#app = app;
  }

  /** Until now the terminal's keys were for run itself: Ctrl-C ends a pod that still boots. */
  started(app: string, command: ProcessHandle): void {
    if (app !== this.#app.name) return;
    const { stdin, stdout } = process;
    const terminal = this.#app.spec.tty === true && stdin.isTTY === true;
    if (terminal) stdin.setRawMode(true);
    let ahead = 0;
    let last: Promise<void> = Promise.resolve();
    // Read even while the app takes nothing: it may be left for that.
    const write = (bytes: Buffer): void => {
      ahead += bytes.length;
      if (ahead > AHEAD) stdin.pause();
      last = last.then(() => command.stdin.write(Uint8Array.from(bytes))).catch(() => {}).then(() => {
        ahead -= bytes.length;
        if (ahead <= AHEAD) stdin.resume();
      });
    };
    const keys = new LeaveKeys(write, () => this.left());
    stdin.on('data', (bytes: Buffer) => (terminal ? keys.typed(bytes) : write(bytes)));
    stdin.on('end', () => {
      keys.end();
      void last.then(() => command.stdin.end());
    });
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

/** A container's terminal: raw, with keys that detach it. */
import type { GuestInput } from './input.ts';
import { backgroundJob, isForeground } from './job.ts';
import { KeySequence } from './keys.ts';
import { standardInput } from './stdin.ts';
import type { RawTerminal } from './terminal.ts';

/** How often a detached run looks whether it is in the foreground again: `fg` of a job that runs sends no signal. */
const LOOK_MS = 100;
const CTRL_C = 3;

export interface ContainerTerminal {
  readonly detachKeys: readonly number[];
  /** Keys go to the container. Else only Ctrl-C counts, which `interrupt` is told. */
  readonly interactive: boolean;
  interrupt(): void;
  /** The terminal is gone for good (its window was closed): the container would be out of reach. */
  hangup(): void;
}

/**
 * The terminal in raw mode: keys to the container, its size after it. The detach keys leave the container to itself, in the
 * background; `fg` brings it to the foreground and attaches it again.
 */
export function attachTerminal(terminal: RawTerminal, input: GuestInput, options: ContainerTerminal): void {
  const keys = new KeySequence(options.detachKeys);
  const toBackground = options.interactive ? backgroundJob() : () => {};
  const onInput = (bytes: Uint8Array): void => {
    if (!options.interactive) {
      if (bytes.includes(CTRL_C)) options.interrupt();
      return;
    }
    const { pass, hit } = keys.feed(bytes);
    if (pass.length > 0) void input.write(pass);
    if (hit) detach();
  };
  const detach = (): void => {
    terminal.restore();
    process.stderr.write(`\nvmm: detached; the container goes on, output comes here (again: fg; its end: kill ${process.pid})\n`);
    whenForeground(() => {
      terminal.start(onInput);
      void input.resize(terminal.size());
    });
    toBackground();
  };
  standardInput().on('end', options.hangup);
  standardInput().on('error', options.hangup);
  terminal.start(onInput);
  terminal.onResize((size) => void input.resize(size));
}

/** Calls back once when this process, soon to be stopped and continued in the background, has the terminal again. */
function whenForeground(callback: () => void): void {
  let away = false;
  const look = (): void => {
    if (!away || !isForeground()) return;
    clearInterval(timer);
    process.off('SIGCONT', continued);
    callback();
  };
  const continued = (): void => {
    away = true;
    look();
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  process.on('SIGCONT', continued);
}

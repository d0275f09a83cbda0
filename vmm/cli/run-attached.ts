/** `vmm run --name NAME` on this terminal: a container that is kept, in a process of its own, and this one joined to it. */
import { constants } from 'node:os';
import { hostFs } from '../api/images.ts';
import { askOwner, type StateFolder } from '../api/owner.ts';
import { attachTo } from './attach.ts';
import type { Ended } from './converse.ts';
import { makeContainer } from './create.ts';
import { FORWARDED_SIGNALS, onSignals } from './input.ts';
import { tell } from './output.ts';
import { attached, type RunOptions } from './run-options.ts';
import { startJoined } from './start-owner.ts';
import { STATUS_TIMEOUT } from './status.ts';

/** Gives the container's status. */
export async function runAttached(argv: readonly string[], options: RunOptions, operands: readonly string[]): Promise<number> {
  const { timeout, name = '' } = options;
  const end = new EarlyEnd();
  const { state, record } = await makeContainer(argv, options, operands, () => end.heed());
  if (end.status !== undefined) {
    if (options.rm) await state.remove(record.id, hostFs);
    return end.status;
  }
  const socket = state.socket(record.id);
  const timer = timeout === undefined ? undefined : setTimeout(() => void end.now(STATUS_TIMEOUT), timeout.ms);
  const streams = attached(options);
  const join = (): Promise<Ended> => {
    end.reachable(socket);
    return attachTo(socket, { ...streams, detachKeys: options.detachKeys, sigProxy: options.sigProxy, what: `container ${name}` });
  };
  try {
    const ended = await startJoined(state, record.id, join, () => end.started());
    clearTimeout(timer);
    if (end.status === STATUS_TIMEOUT) tell(`vmm: ended after ${timeout?.text}, as --timeout says\n`);
    if (ended === 'detached') return 0;
    if (options.rm) await cleared(state, record.id);
    return end.status ?? ended.status;
  } finally {
    clearTimeout(timer);
  }
}

/** What ends the container from here: a signal before its command runs, or the time. */
class EarlyEnd {
  /** Of the container's process, once it listens. */
  #socket: string | undefined;
  #started = false;
  /** What this process is to end with, then. */
  status: number | undefined;

  /** From now on signals are heard; until then they end this process at once, which has made nothing. */
  heed(): void {
    onSignals(FORWARDED_SIGNALS, (name) => {
      if (!this.#started) void this.now(128 + constants.signals[name]);
    });
  }

  reachable(socket: string): void {
    this.#socket = socket;
    if (this.status !== undefined) void this.now(this.status);
  }

  started(): void {
    this.#started = true;
  }

  async now(status: number): Promise<void> {
    this.status ??= status;
    if (this.#socket !== undefined) await askOwner(this.#socket, { ask: 'stop', seconds: 0 }).catch(() => {});
  }
}

/** Of one of --rm its own process leaves an empty folder. */
async function cleared(state: StateFolder, id: string): Promise<void> {
  await askOwner(state.socket(id), { ask: 'wait' }).catch(() => {});
  await state.remove(id, hostFs).catch(() => {});
}

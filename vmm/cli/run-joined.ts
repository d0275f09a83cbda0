/**
 * `vmm run` on this terminal of a container that is in a process of its own, which this one is joined to: with --name it is kept, without it goes with this one unless that leaves by the
 * detach keys. Its owner reads the words of the command and makes it, so that this program is a small one, and beside it a start takes no more than without.
 */
import { rmdirSync } from 'node:fs';
import { constants } from 'node:os';
import { randomBytes } from '../../base/random.ts';
import { askOwner } from '../api/owner.ts';
import { attachTo } from './attach.ts';
import type { Ended } from './converse.ts';
import { FORWARDED_SIGNALS, onSignals } from './input.ts';
import { tell } from './output.ts';
import { type Joining, MAKES, type Making, NOTE, PROGRESS, READY } from './owner-ask.ts';
import { ProgressLine } from './progress.ts';
import { spawnOwner, type Start } from './start-owner.ts';

/** Gives the container's status. Undefined: it is no run that has an owner. */
export async function runJoined(argv: readonly string[]): Promise<number | undefined> {
  const id = randomBytes(32).toString('hex');
  const terminal = process.stdin.isTTY && process.stdout.isTTY ? 'terminal' : 'none';
  const progress = new ProgressLine();
  const end = new EarlyEnd();
  let joining: Joining | undefined;
  let joined: Promise<Ended> | undefined;
  const { owner, start } = spawnOwner([MAKES, id], (word, rest) => {
    if (word === PROGRESS) {
      progress.update(JSON.parse(rest));
      return;
    }
    progress.clear();
    if (word === NOTE) tell(`vmm: ${rest}\n`);
    if (word !== READY) return;
    joining = JSON.parse(rest) as Joining;
    const { name, socket } = joining;
    end.reachable(socket);
    joined = attachTo(socket, { ...joining, what: name === undefined ? 'the container' : `container ${name}` });
    joined.catch(() => {});
  }, 'pipe');
  // Not among its arguments, which every user may read: a password stands there (-e), and the container may live for long.
  owner.stdin?.on('error', () => {}).end(JSON.stringify({ terminal, argv } satisfies Making));
  end.heed(() => owner.kill('SIGTERM'));
  const started = await start.catch((error: unknown): Start => {
    // Killed by us, it says nothing.
    if (end.status === undefined) throw error;
    return { status: end.status };
  }).finally(() => progress.clear());
  end.started();
  if (started === 'here') {
    end.heedNoMore();
    return end.status;
  }
  if (started !== 'started') process.stdin.destroy(); // its streams would only tell that it has ended
  return told(typeof started === 'object' ? started : ((await joined) ?? { status: 0 }), end.status, joining);
}

/** The status, with what is to be said about it, once nothing is left of what goes. */
async function told(ended: Ended, early: number | undefined, joining: Joining | undefined): Promise<number> {
  if (ended === 'detached') {
    if (joining?.bound && !joining.quiet) tell(`\nvmm: left running (again: vmm attach ${joining.id.slice(0, 12)}; its end: vmm stop ${joining.id.slice(0, 12)})\n`);
    return 0;
  }
  if (joining?.goes) await cleared(joining);
  return early ?? ended.status;
}

/** Of one that goes at its end its own process leaves an empty folder. */
async function cleared({ socket, folder }: Joining): Promise<void> {
  await askOwner(socket, { ask: 'wait' }).catch(() => {});
  try {
    rmdirSync(folder);
  } catch {
    // It is kept: it was started again, for example.
  }
}

/** What ends the container from here: a signal before its command runs. */
class EarlyEnd {
  /** Of the container's process, once it listens. */
  #socket: string | undefined;
  #started = false;
  /** Whoever goes on in this process has signals as it wants them. */
  heedNoMore = (): void => {};
  /** What this process is to end with, then. */
  status: number | undefined;

  /** `kill`: ends the container's process, as long as nobody can be asked. */
  heed(kill: () => void): void {
    this.heedNoMore = onSignals(FORWARDED_SIGNALS, (name) => {
      if (this.#started) return;
      if (this.#socket === undefined) kill();
      void this.now(128 + constants.signals[name]);
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

/** What the owner of a container does for clients on its socket while it runs. */
import { AgentError, builtinSpec, execSpec, type ProcessSpec } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { FAILED } from '../api/frames.ts';
import { type Ask, Attached, type AttachAsk, type ContainerEnd, type ExecAsk, Refused, type Reply, talk } from '../api/owner.ts';
import { figuresOf, type OwnedContainer, type OwnedProcess } from './owned.ts';

/** Commands at once, beside the container's own. */
const MAX_COMMANDS = 100;

/** Requests that are not about its life as a whole. */
export type ServiceAsk = Exclude<Ask, { ask: 'wait' | 'signal' | 'stop' | 'plug' | 'unplug' | 'join' | 'inside' }>;

export type TellEvent = (action: string, more?: Readonly<Record<string, string>>) => void;

export class OwnerService {
  readonly #attached = new Attached();
  readonly #first = Promise.withResolvers<void>();
  /** The command has waited for a client. */
  waited = false;
  /** The first client's leaving is told. */
  bound: ((detached: boolean) => void) | undefined;
  #joined = false;
  readonly #tellPaused: (paused: boolean) => void;
  readonly #event: TellEvent;
  #execs = 0;
  #commands = 0;
  #paused = false;
  /** Who reads its disk: all of its processes stand meanwhile. */
  readonly #holds = new Set<PromiseWithResolvers<string>>();

  /** `tellPaused`: the container's processes are frozen, or run again. `event`: what else has happened. */
  constructor(tellPaused: (paused: boolean) => void, event: TellEvent) {
    this.#tellPaused = tellPaused;
    this.#event = event;
  }

  /** A client is, or was. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Somebody reads its disk: nothing may be written there. */
  get held(): boolean {
    return this.#holds.size > 0;
  }

  /** Resolves when the first client is. */
  get attached(): Promise<void> {
    return this.#first.promise;
  }

  /** For those who are attached. */
  output(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | undefined {
    return this.#attached.output(stream, bytes);
  }

  /** The container's command has ended: those who are attached leave with its status. */
  ended({ status, error }: ContainerEnd): void {
    this.#paused = false;
    this.#holds.clear();
    this.#attached.ended(error === undefined ? status : new Error(error));
  }

  async answer(ask: ServiceAsk, run: OwnedContainer): Promise<Reply> {
    try {
      if (ask.ask === 'attach') return this.#attach(run, ask);
      await run.process.started;
      switch (ask.ask) {
        case 'exec':
          return await this.#exec(run, ask);
        case 'builtin':
          return await this.#command(run, builtinSpec(ask.args, ask.stdin, ask.user === '' ? run.spec.user : ask.user), { tty: false, stdin: ask.stdin, detach: false });
        case 'stats':
          return { done: true, stats: await figuresOf(run) };
        case 'hold':
          return await this.#hold(run);
        case 'update':
          await run.update(ask.cgroup, ask.memory);
          return { done: true };
        case 'pause':
        case 'resume':
          return await this.#freeze(run, ask.ask === 'pause');
      }
    } catch (error) {
      return refusedBy(error);
    }
  }

  async #freeze(run: OwnedContainer, pause: boolean): Promise<Reply> {
    if (this.#paused === pause) throw new VmmError('CONTAINER_STATE', pause ? 'the container is paused already' : 'the container is not paused');
    if (this.#holds.size === 0) await (pause ? run.container.pause() : run.container.resume());
    this.#setPaused(pause);
    return { done: true };
  }

  /** For who reads its disk. */
  async #hold(run: OwnedContainer): Promise<Reply> {
    const hold = Promise.withResolvers<string>();
    this.#holds.add(hold);
    const release = async (): Promise<void> => {
      if (!this.#holds.delete(hold) || this.#paused || this.#holds.size > 0) return;
      await run.container.resume().catch(() => {});
    };
    try {
      if (!this.#paused && this.#holds.size === 1) await run.container.pause();
      await run.guest.sync();
    } catch (error) {
      await release();
      throw error instanceof VmmError && error.code === 'AGENT_NOT_FOUND' ? new VmmError('CONTAINER_STATE', 'the container has just ended', { hint: 'try again' }) : error;
    }
    return { done: true, go: (channel) => {
      channel.onClose(() => void release());
      channel.onFrame(() => channel.destroy());
      void hold.promise.then((why) => channel.end(FAILED, Buffer.from(why)));
    } };
  }

  /** What is to end has to run. */
  async thaw(run: OwnedContainer): Promise<void> {
    if (!this.#paused && this.#holds.size === 0) return;
    for (const hold of this.#holds) hold.resolve('it was stopped while its files were read');
    this.#holds.clear();
    await run.container.resume().catch(() => {});
    if (this.#paused) this.#setPaused(false);
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#tellPaused(paused);
  }

  async #exec(run: OwnedContainer, ask: ExecAsk): Promise<Reply> {
    const execID = `${++this.#execs}`;
    const words = ask.args.join(' ');
    this.#event(`exec_create: ${words}`, { execID });
    return await this.#command(run, execSpec(run.spec, ask), ask, (command) => {
      this.#event(`exec_start: ${words}`, { execID });
      void command.wait().then(({ status }) => this.#event('exec_die', { execID, exitCode: `${status}` }), () => {});
    });
  }

  async #command(run: OwnedContainer, spec: ProcessSpec, how: Pick<ExecAsk, 'tty' | 'stdin' | 'detach'>, runs: (command: OwnedProcess) => void = () => {}): Promise<Reply> {
    if (this.#paused) throw new VmmError('CONTAINER_STATE', 'the container is paused', { hint: '`vmm unpause` it first' });
    if (this.#commands >= MAX_COMMANDS) throw new VmmError('CONTAINER_BUSY', `the container runs ${MAX_COMMANDS} commands already, which is the most`, { hint: 'wait until one has ended, or end one: `vmm top` lists them' });
    this.#commands += 1;
    let command: OwnedProcess;
    try {
      command = run.container.exec(spec);
      await command.started;
    } catch (error) {
      this.#commands -= 1;
      throw error;
    }
    runs(command);
    void command.wait().catch(() => {}).finally(() => {
      this.#commands -= 1;
    });
    return { done: true, ...(how.detach ? {} : { go: (channel) => talk(channel, command, how) }) };
  }

  #attach(run: OwnedContainer, ask: AttachAsk): Reply {
    if (this.#attached.full) throw new VmmError('CONTAINER_BUSY', 'too many clients are attached to the container', { hint: 'end one of them' });
    const { tty = false, stdin = false } = run.spec;
    const reads = ask.stdin && stdin;
    // As with Docker the input of who has started it ends with that client's.
    const once = this.waited && !this.#joined;
    this.#joined = true;
    return { done: true, tty, stdin: reads, go: (channel) => {
      this.#attached.add(channel, run.process, ask, { tty, stdin: reads, once, bound: once ? this.bound : undefined });
      this.#first.resolve();
      this.#event('attach');
    } };
  }
}

/** What a client is told of an error. */
export function refusedBy(error: unknown): Reply {
  // It was asked while its machine ended.
  if (error instanceof VmmError && /^AGENT_(CLOSED|LOST)$/.test(error.code)) return { done: false, code: 'CONTAINER_STATE', message: 'the container has just ended' };
  if (!(error instanceof VmmError)) return { done: false, code: 'INTERNAL', message: String(error) };
  return { done: false, code: error.code, message: error.message, hint: error.hint, ...(error instanceof AgentError ? { status: error.exitStatus } : error instanceof Refused ? { status: error.status } : {}) };
}

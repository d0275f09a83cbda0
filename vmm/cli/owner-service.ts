/** What the owner of a container does for clients on its socket while it runs. */
import { AgentError, type ContainerRun, execSpec, type ProcessHandle } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { type Ask, Attached, type AttachAsk, type ContainerEnd, type ExecAsk, type Reply, talk } from '../api/owner.ts';

/** Commands at once, beside the container's own. */
const MAX_COMMANDS = 100;

/** Requests that are not about its life as a whole. */
export type ServiceAsk = Exclude<Ask, { ask: 'wait' | 'signal' | 'stop' }>;

export class OwnerService {
  readonly #attached = new Attached();
  readonly #first = Promise.withResolvers<void>();
  /** The command has waited for a client. */
  waited = false;
  #joined = false;
  #commands = 0;

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
    this.#attached.ended(error === undefined ? status : new Error(error));
  }

  async answer(ask: ServiceAsk, run: ContainerRun): Promise<Reply> {
    try {
      if (ask.ask === 'attach') return this.#attach(run, ask);
      await run.process.started;
      return await this.#exec(run, ask);
    } catch (error) {
      return refusedBy(error);
    }
  }

  async #exec(run: ContainerRun, ask: ExecAsk): Promise<Reply> {
    if (this.#commands >= MAX_COMMANDS) throw new VmmError('CONTAINER_BUSY', `the container runs ${MAX_COMMANDS} commands already`);
    this.#commands += 1;
    let command: ProcessHandle;
    try {
      command = run.container.exec(execSpec(run.spec, ask));
      await command.started;
    } catch (error) {
      this.#commands -= 1;
      throw error;
    }
    void command.wait().catch(() => {}).finally(() => {
      this.#commands -= 1;
    });
    return { done: true, ...(ask.detach ? {} : { go: (channel) => talk(channel, command, ask) }) };
  }

  #attach(run: ContainerRun, ask: AttachAsk): Reply {
    if (this.#attached.full) throw new VmmError('CONTAINER_BUSY', 'too many clients are attached to the container');
    const { tty = false, stdin = false } = run.spec;
    const reads = ask.stdin && stdin;
    // As with Docker the input of who has started it ends with that client's.
    const once = this.waited && !this.#joined;
    this.#joined = true;
    return { done: true, tty, stdin: reads, go: (channel) => {
      this.#attached.add(channel, run.process, ask, { tty, stdin: reads, once });
      this.#first.resolve();
    } };
  }
}

function refusedBy(error: unknown): Reply {
  if (!(error instanceof VmmError)) return { done: false, code: 'INTERNAL', message: String(error) };
  return { done: false, code: error.code, message: error.message, ...(error instanceof AgentError ? { status: error.exitStatus } : {}) };
}

/** A sandbox whose machine is another process's: a container that is kept, found by its owner's socket. */
import { VmmError } from '../../base/errors.ts';
import { askOwner, talkToOwner } from '../owner/client.ts';
import type { Ask, Stats } from '../owner/protocol.ts';
import { RemoteProcess } from '../owner/remote-process.ts';
import type { Box, BoxCommand, BoxProcess, SandboxEnd } from './box.ts';

export class RemoteBox implements Box {
  readonly #socket: string;
  readonly #what: string;
  readonly #code: string;

  /** `what`: what it is called in messages, `container web`. `code`: of what is said of one that is gone. */
  constructor(socket: string, what: string, code: 'CONTAINER_STATE' | 'SANDBOX_ENDED' = 'CONTAINER_STATE') {
    this.#socket = socket;
    this.#what = what;
    this.#code = code;
  }

  exec(command: BoxCommand): Promise<BoxProcess> {
    return this.#talk({ ask: 'exec', ...command, privileged: false, detach: false });
  }

  builtin(args: readonly string[], stdin: boolean, user?: string): Promise<BoxProcess> {
    return this.#talk({ ask: 'builtin', args, stdin, user });
  }

  async #talk(ask: Ask): Promise<BoxProcess> {
    const talk = await talkToOwner(this.#socket, ask);
    if (talk === undefined) throw this.#gone();
    return new RemoteProcess(talk.channel, this.#what);
  }

  async stats(): Promise<Stats> {
    const { stats } = await this.#ask({ ask: 'stats' });
    if (stats === undefined) throw new VmmError('OWNER_REFUSED', `the process of ${this.#what} answers what is not understood`);
    return stats;
  }

  async pause(): Promise<void> {
    await this.#ask({ ask: 'pause' });
  }

  async resume(): Promise<void> {
    await this.#ask({ ask: 'resume' });
  }

  async stop(seconds: number): Promise<void> {
    await askOwner(this.#socket, { ask: 'stop', seconds });
  }

  async ended(): Promise<SandboxEnd> {
    const answer = await askOwner(this.#socket, { ask: 'wait' }).catch(() => undefined);
    // A command may end with timeout's 124, too.
    if (answer?.late === true) return { reason: 'timeout' };
    return { reason: 'ended', what: answer?.status === undefined ? 'its process is gone' : `its first process ended with ${answer.status}` };
  }

  async #ask(ask: Ask): Promise<NonNullable<Awaited<ReturnType<typeof askOwner>>>> {
    const answer = await askOwner(this.#socket, ask);
    if (answer === undefined) throw this.#gone();
    return answer;
  }

  #gone(): VmmError {
    return new VmmError(this.#code, `${this.#what} does not run`, { hint: '`vmm start` it first' });
  }
}

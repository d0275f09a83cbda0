/** A sandbox whose machine is this process's. */
import { VmmError } from '../../base/errors.ts';
import { builtinSpec, execSpec } from '../container/exec.ts';
import type { ContainerResult, ContainerRun } from '../container/run.ts';
import type { ProcessHandle } from '../agent/process.ts';
import type { ProcessSpec } from '../agent/spec.ts';
import type { Stats } from '../owner/protocol.ts';
import { statsOf } from '../owner/stats.ts';
import type { Box, BoxCommand, BoxProcess, SandboxEnd } from './box.ts';

/** How long the guest may take to write what it holds of volumes, ms. */
const SYNC_MS = 2000;

export class LocalBox implements Box {
  readonly #ended: Promise<SandboxEnd>;
  readonly #run: ContainerRun;
  /** Files of the host are mounted: what the guest holds of them is to be written. */
  readonly #mounted: boolean;
  #why: SandboxEnd | undefined;
  #paused = false;

  /** Starts the machine. `gone`: called once, when nothing of it runs any more. */
  private constructor(run: ContainerRun, mounted: boolean, gone: () => void) {
    this.#run = run;
    this.#mounted = mounted;
    this.#ended = run.run().then((result) => endOf(result), (error: unknown): SandboxEnd => ({ reason: 'ended', what: String((error as Error).message) })).then((end) => {
      gone();
      this.#why ??= end;
      return this.#why;
    });
  }

  /** Resolves once commands can be run in it. `signal` ends the start. Throws VmmError. */
  static async start(run: ContainerRun, { mounted, gone, signal }: { readonly mounted: boolean; readonly gone: () => void; readonly signal?: AbortSignal | undefined }): Promise<LocalBox> {
    const box = new LocalBox(run, mounted, gone);
    const abort = (): void => box.end({ reason: 'aborted' });
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await run.process.started.catch(async (error: unknown) => {
        run.kill();
        const end = await box.ended();
        signal?.throwIfAborted();
        // Of a session that broke the machine's end tells more.
        if (error instanceof VmmError && error.name === 'AgentError') throw error;
        throw new VmmError('SANDBOX_START', `the sandbox did not start: ${end.reason === 'ended' ? end.what : end.reason}`, { cause: error });
      });
      signal?.throwIfAborted();
    } catch (error) {
      run.kill();
      await box.ended();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return box;
  }

  ended(): Promise<SandboxEnd> {
    return this.#ended;
  }

  exec(command: BoxCommand): Promise<BoxProcess> {
    return this.#start(execSpec(this.#run.spec, { ...command, privileged: false, detach: false }));
  }

  builtin(args: readonly string[], stdin: boolean, user?: string): Promise<BoxProcess> {
    return this.#start(builtinSpec(args, stdin, user === '' ? this.#run.spec.user : user));
  }

  async #start(spec: ProcessSpec): Promise<ProcessHandle> {
    if (this.#paused) throw new VmmError('CONTAINER_STATE', 'the sandbox is paused', { hint: 'resume it first' });
    const process = this.#run.container.exec(spec);
    await process.started;
    return process;
  }

  async stats(): Promise<Stats> {
    return statsOf(await this.#run.container.stats(), await this.#run.guest.stats(), Date.now());
  }

  async pause(): Promise<void> {
    await this.#run.container.pause();
    this.#paused = true;
  }

  async resume(): Promise<void> {
    await this.#run.container.resume();
    this.#paused = false;
  }

  async stop(): Promise<void> {
    if (this.#mounted && this.#why === undefined) await inTime(this.#run.guest.sync(), SYNC_MS);
    this.end({ reason: 'stopped' });
    await this.#ended;
  }

  /** At once. */
  end(why: SandboxEnd): void {
    this.#why ??= why;
    this.#run.kill();
  }
}

/** Whatever comes of it. */
async function inTime(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => {}), late]);
  clearTimeout(timer);
}

function endOf(result: ContainerResult): SandboxEnd {
  switch (result.kind) {
    case 'exited':
      return { reason: 'ended', what: result.status.outOfMemory ? 'its memory was used up' : `its first process ended with ${result.status.status}` };
    case 'failed':
      return { reason: 'ended', what: result.error.message };
    case 'machine':
      return result.result.kind === 'stopped' ? { reason: 'stopped' } : { reason: 'ended', what: `its machine ended (${result.result.kind})` };
  }
}

/** A place to run code that is not trusted: a container in a machine of its own, in which commands are run, and files come and go. */
import { VmmError } from '../../base/errors.ts';
import type { WindowSize } from '../agent/spec.ts';
import type { Stats } from '../owner/protocol.ts';
import type { Box, BoxProcess, SandboxEnd } from './box.ts';
import { type CollectOptions, collect, ExecResult } from './collect.ts';
import { Command } from './command.ts';
import type { Limits } from './deadline.ts';
import { ExposedPort, type ExposeOptions } from './expose.ts';
import { Files } from './files.ts';
import { checkOptions, checkTimeout, environmentOf, type SandboxOptions } from './options.ts';
import { checkSecrets, KeptSecrets } from './secrets.ts';
import { started, Stalled } from './start.ts';
import { unless } from './unless.ts';

/** Of a command, whatever becomes of its output. */
export interface CommandOptions extends Limits {
  /** Over the sandbox's. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Absolute; the sandbox's working directory. */
  readonly cwd?: string | undefined;
  /** USER[:GROUP], names or numbers; the sandbox's. */
  readonly user?: string | undefined;
}

export interface ExecOptions extends CommandOptions, CollectOptions {}

export interface ExecStreamOptions extends CommandOptions {
  /** A terminal in place of the three streams. */
  readonly tty?: boolean | WindowSize | undefined;
  /** Whether there is anything on standard input; true. */
  readonly stdin?: boolean | undefined;
}

/** Aborted: nobody waits any more; what was asked for happens all the same. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
}

export interface ConnectOptions extends Pick<SandboxOptions, 'root' | 'secrets' | 'signal'> {
  /** One that does not run (`persist`) is started, with what it has kept. */
  readonly start?: boolean | undefined;
}

type Own = Pick<SandboxOptions, 'name' | 'timeout' | 'signal' | 'root'>;

const STANDARD_SIZE: WindowSize = { rows: 24, columns: 80 };
/** How long a detached sandbox may take to stop before it is killed, seconds. */
const STOP_SECONDS = 0;
/** Errors by which the conversation with the guest's init has ended. */
const SESSION_OVER = /^(AGENT_(LOST|CLOSED|FATAL|PROTOCOL)|VSOCK_CLOSED)$/;
/** How long a machine may go on then, ms. */
const SESSION_MS = 2000;

export class Sandbox implements AsyncDisposable {
  readonly name: string | undefined;
  readonly files: Files;
  readonly #box: Box;
  readonly #secrets: KeptSecrets;
  readonly #stays: boolean;
  readonly #root: string | undefined;
  #end: SandboxEnd | undefined;
  /** What ends it from outside is over with it. */
  readonly #over = new AbortController();

  /** `stays`: it is not ours to end when it goes out of scope. */
  private constructor(box: Box, secrets: KeptSecrets, options: Own, stays: boolean) {
    this.#stays = stays;
    this.#root = options.root;
    this.#box = box;
    this.#secrets = secrets;
    this.name = options.name;
    this.files = new Files(box, (work) => this.#telling(work));
    if (options.timeout === undefined && options.signal === undefined) return;
    void box.ended().then(() => this.#over.abort());
    const end = (reason: 'timeout' | 'aborted') => (): void => {
      this.#end ??= { reason };
      void box.stop(0).catch(() => {});
    };
    if (options.timeout !== undefined) {
      const timer = setTimeout(end('timeout'), options.timeout);
      timer.unref();
      this.#over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    }
    options.signal?.addEventListener('abort', end('aborted'), { once: true, signal: this.#over.signal });
  }

  /**
   * Makes one and starts it. Rejects with VmmError (docs/errors.md: USAGE, IMAGE_*, VOLUME_*, MOUNT_SOURCE, SCRATCH_MAKE, MEMORY_HOST, ACCEL_KVM,
   * SANDBOX_START, AGENT_*), and with the reason of an aborted `signal`; then nothing of it is left.
   */
  static async create(options: SandboxOptions): Promise<Sandbox> {
    checkOptions(options);
    options.signal?.throwIfAborted();
    const secrets = new KeptSecrets(options.secrets);
    const { box, own } = await boxOf(options, secrets);
    const sandbox = new Sandbox(box, secrets, own, options.detached === true);
    try {
      for (const { path, content, mode } of secrets.files) await sandbox.files.write(path, content, { mode, signal: options.signal });
      return sandbox;
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  /**
   * One that runs detached, or a container that `vmm run -d` has made, by its name or id. Variables of secrets are not known to who did not make it:
   * they are given again. Throws CONTAINER_NOT_FOUND, CONTAINER_AMBIGUOUS, CONTAINER_STATE, STATE_FOLDER.
   */
  static async connect(name: string, { root, secrets, signal, start }: ConnectOptions = {}): Promise<Sandbox> {
    checkSecrets(secrets);
    const { connectRemote } = await import('./detached.ts');
    const { box, name: own } = await unless(signal, connectRemote(name, root, start));
    const kept = new KeptSecrets(secrets);
    const sandbox = new Sandbox(box, kept, { name: own, root }, true);
    // Its memory is new when it was started: those who ask for that give them again.
    if (start === true) for (const { path, content, mode } of kept.files) await sandbox.files.write(path, content, { mode, signal });
    return sandbox;
  }

  /** Runs a command, and resolves with its end and what it wrote. What it does is a result; it rejects when it cannot be started (AGENT_COMMAND_NOT_FOUND …), or was aborted. */
  async exec(command: string | readonly string[], args: readonly string[] = [], options: ExecOptions = {}): Promise<ExecResult> {
    const asked = { ...options, stdin: options.input !== undefined, tty: false };
    const from = performance.now();
    const process = await this.#start([...[command].flat(), ...args], asked).catch((error: unknown) => {
      if (error instanceof Stalled) return undefined;
      throw error;
    });
    if (process === undefined) return new ExecResult({ status: 137, timedOut: true, outOfMemory: false }, false, Buffer.alloc(0), Buffer.alloc(0));
    const left = options.timeout === undefined ? undefined : Math.max(1, options.timeout - (performance.now() - from));
    return this.#telling(collect(process, { ...options, timeout: left }));
  }

  /** Runs a script by /bin/sh. */
  shell(script: string, options: ExecOptions = {}): Promise<ExecResult> {
    return this.exec(['/bin/sh', '-c', script], [], options);
  }

  /** Starts a command whose streams are the caller's. Resolves once it runs. */
  async execStream(command: string | readonly string[], args: readonly string[] = [], options: ExecStreamOptions = {}): Promise<Command> {
    const tty = options.tty !== undefined && options.tty !== false;
    const size = typeof options.tty === 'object' ? options.tty : STANDARD_SIZE;
    const process = await this.#start([...[command].flat(), ...args], { ...options, stdin: options.stdin ?? true, tty, size });
    return new Command(process, { tty, timeout: options.timeout, signal: options.signal });
  }

  /** Opens a port of the host's that leads to one of the sandbox's loopback interface, with any network and without. */
  expose(port: number, options: ExposeOptions = {}): Promise<ExposedPort> {
    return this.#telling(ExposedPort.open(this.#box, port, options));
  }

  /** What its processes have used, and use. */
  metrics({ signal }: Waiting = {}): Promise<Stats> {
    return this.#telling(unless(signal, this.#box.stats()));
  }

  /** Freezes all its processes. Commands are refused until `resume`. */
  pause({ signal }: Waiting = {}): Promise<void> {
    return this.#telling(unless(signal, this.#box.pause()));
  }

  resume({ signal }: Waiting = {}): Promise<void> {
    return this.#telling(unless(signal, this.#box.resume()));
  }

  /** Ends it with all that runs in it. Resolves when nothing of it is left, again too. */
  async stop({ signal }: Waiting = {}): Promise<void> {
    this.#end ??= { reason: 'stopped' };
    await unless(signal, this.#box.stop(STOP_SECONDS));
  }

  /** Ends it, and removes what a persistent one has kept. */
  async remove({ signal }: Waiting = {}): Promise<void> {
    await this.stop({ signal });
    if (!this.#stays || this.name === undefined) return;
    const { removeRemote } = await import('./detached.ts');
    await unless(signal, removeRemote(this.name, this.#root).catch((error: unknown) => {
      // It kept nothing.
      if (!(error instanceof VmmError) || error.code !== 'CONTAINER_NOT_FOUND') throw error;
    }));
  }

  /** Resolves with why it has ended, once it has. */
  async ended({ signal }: Waiting = {}): Promise<SandboxEnd> {
    const end = await unless(signal, this.#box.ended());
    return this.#end ?? end;
  }

  /** Ends it, but for a detached one, which goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#stays) await this.stop();
  }

  #start(args: readonly string[], { env, cwd, user, stdin, tty, size, timeout, signal }: CommandOptions & { readonly stdin: boolean; readonly tty: boolean; readonly size?: WindowSize }): Promise<BoxProcess> {
    checkTimeout(timeout);
    signal?.throwIfAborted();
    const command = { args, env: [...this.#secrets.env, ...environmentOf(env)], user, cwd, stdin, tty, size };
    return this.#telling(started(this.#box.exec(command), { timeout, signal }));
  }

  /** The machine's end is told a moment later than that of its session; a guest whose session is over is of no use. */
  async #endSoon(): Promise<SandboxEnd> {
    const timer = setTimeout(() => void this.#box.stop(0).catch(() => {}), SESSION_MS);
    const end = await this.#box.ended();
    clearTimeout(timer);
    return end;
  }

  /** Of a sandbox that has ended every failure has that reason. */
  async #telling<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof VmmError) || error.name === 'AgentError' || /^(USAGE|CONTAINER_STATE|SANDBOX_ENDED)$/.test(error.code)) throw error;
      const end = this.#end ?? (SESSION_OVER.test(error.code) ? await this.#endSoon() : undefined);
      if (end === undefined) throw error;
      throw new VmmError('SANDBOX_ENDED', `the sandbox has ended: ${end.reason === 'ended' ? end.what : end.reason}`, { cause: error });
    }
  }
}

/** `own`: what is known of a detached one, whose name may have been chosen. */
async function boxOf(options: SandboxOptions, secrets: KeptSecrets): Promise<{ readonly box: Box; readonly own: Own }> {
  if (options.detached !== true) return { box: await (await import('./create.ts')).createLocal(options, secrets), own: options };
  const { box, name } = await (await import('./detached.ts')).createDetached(options, secrets);
  return { box, own: { name, root: options.root } };
}

/** What a sandbox stands on: a machine of this process (local-box.ts), or a container that another process owns (remote-box.ts). */
import type { Consumer } from '../agent/process.ts';
import type { WindowSize } from '../agent/spec.ts';
import type { Stats } from '../owner/protocol.ts';

/** A process in the box. */
export interface BoxProcess {
  /** `write`: false when nobody reads any more. */
  readonly stdin: { write(bytes: Uint8Array): Promise<boolean>; end(): Promise<void> };
  /** A chunk is valid until the consumer's promise settles; until then the process is held up. */
  onStdout(consumer: Consumer): void;
  onStderr(consumer: Consumer): void;
  /** Its next write is to nobody. */
  closeStdout(): void;
  closeStderr(): void;
  resize(size: WindowSize): Promise<void>;
  signal(signal: number): Promise<void>;
  /** SIGKILL, for what it has started, too. */
  kill(): Promise<void>;
  /** Once all its output was consumed. Rejects when its end cannot be known any more. */
  wait(): Promise<ProcessEnd>;
}

export interface ProcessEnd {
  /** The exit code, or 128 + the signal that ended it. */
  readonly status: number;
  /** The kernel killed a process for lack of memory; undefined where that is not told. */
  readonly outOfMemory?: boolean | undefined;
}

/** A command as it is asked for. */
export interface BoxCommand {
  readonly args: readonly string[];
  /** NAME=VALUE, over the box's. */
  readonly env: readonly string[];
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly size?: WindowSize | undefined;
}

/** Why a box has ended. */
export type SandboxEnd =
  /** `stop`, or the box went out of scope. */
  | { readonly reason: 'stopped' }
  /** The `timeout` or `signal` of its making. */
  | { readonly reason: 'timeout' | 'aborted' }
  /** What ran in it ended it: its first process was killed, or its kernel panicked. `what`: a word or two for messages. */
  | { readonly reason: 'ended'; readonly what: string };

export interface Box {
  /** Resolves when the command runs. Throws VmmError. */
  exec(command: BoxCommand): Promise<BoxProcess>;
  /** One of init's own commands: with all rights, or with those of a user, '' for the box's own. */
  builtin(args: readonly string[], stdin: boolean, user?: string): Promise<BoxProcess>;
  stats(): Promise<Stats>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Resolves when nothing of it runs any more. `seconds`: until what does not end by itself is killed. */
  stop(seconds: number): Promise<void>;
  /** Resolves once it has; never rejects. */
  ended(): Promise<SandboxEnd>;
}

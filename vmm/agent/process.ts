import { VmmError } from '../../base/errors.ts';
import * as P from './generated/protocol.ts';
import { type ProcessSpec, type WindowSize, stdioBits } from './spec.ts';
import type { Stream } from './transport.ts';

/** How a process ended. */
export interface ExitStatus {
  /** The exit code, or undefined when a signal ended it. */
  code: number | undefined;
  signal: number | undefined;
  coreDumped: boolean;
  /** The kernel killed a process of the container for lack of memory. */
  outOfMemory: boolean;
  /** What the overlay writes to had no room left. */
  rootFull: boolean;
  /** What a container tool exits with: the code, or 128 + signal. */
  status: number;
  /** CPU times in microseconds, largest resident size in bytes. */
  usage: { userUs: bigint; systemUs: bigint; maxRssBytes: bigint } | undefined;
}

/** What EXIT says, before the output has arrived. */
export interface ExitReport {
  status: ExitStatus;
  /** Bytes that the guest sent on standard output (or the terminal) and standard error. */
  stdoutBytes: bigint;
  stderrBytes: bigint;
  /** Bit n: stream n was connected to its end. Of the others nothing more will come. */
  streams: number;
}

const SIGKILL = 9;

export type Consumer = (chunk: Uint8Array) => void | Promise<void>;

/** Bytes from the guest. They wait, with the process behind them, until there is a consumer. */
class Output {
  readonly #ended = Promise.withResolvers<void>();
  readonly ended = this.#ended.promise;
  bytes = 0n;
  /** The host gave the stream up, so its count says nothing. */
  abandoned = false;
  #stream: Stream | undefined;
  #consumer: Consumer | undefined;
  #waiting: (() => void) | undefined;

  get attached(): boolean {
    return this.#stream !== undefined;
  }

  attach(stream: Stream): void {
    this.#stream = stream;
  }

  consume(consumer: Consumer): void {
    this.#consumer = consumer;
    this.#waiting?.();
    this.#waiting = undefined;
  }

  async deliver(chunk: Uint8Array): Promise<void> {
    this.bytes += BigInt(chunk.length);
    if (this.abandoned) return;
    if (this.#consumer === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      await promise;
    }
    try {
      await this.#consumer?.(chunk);
    } catch {
      this.abandon();
    }
  }

  /** The process gets EPIPE from its next write. */
  abandon(): void {
    this.abandoned = true;
    this.#waiting?.();
    this.#waiting = undefined;
    this.#stream?.destroy();
    this.end();
  }

  end(): void {
    this.#ended.resolve();
  }
}

/** Bytes to the guest. */
class Input {
  readonly #stream = Promise.withResolvers<Stream | undefined>();
  #closed = false;
  #attached = false;

  get attached(): boolean {
    return this.#attached;
  }

  attach(stream: Stream): void {
    this.#attached = true;
    this.#stream.resolve(stream);
  }

  /** The process reads no more. */
  close(): void {
    this.#closed = true;
    this.#stream.resolve(undefined);
  }

  /** false: the process does not read any more. Resolves when the guest's credit has taken the bytes. */
  async write(bytes: Uint8Array): Promise<boolean> {
    const stream = await this.#stream.promise;
    if (stream === undefined || this.#closed) return false;
    try {
      await stream.write(bytes);
      return true;
    } catch {
      this.#closed = true;
      return false;
    }
  }

  /** The process reads the end of its input. A terminal knows no such end: send ^D. */
  async end(): Promise<void> {
    const stream = await this.#stream.promise;
    if (!this.#closed) stream?.end();
    this.#closed = true;
  }
}

/** What a handle asks of its session. */
export interface ProcessControl {
  signal(process: number, signal: number, group?: boolean): Promise<void>;
  resize(process: number, size: WindowSize): Promise<void>;
}

/** A process of the guest. Each stream that the spec asked for must be consumed, or it holds the process up. */
export class ProcessHandle {
  readonly id: number;
  readonly container: number;
  /** The guest's PID once the command runs; rejects with an AgentError when it does not. */
  readonly started: Promise<number>;
  /** Its container is ready. Of a held one: nothing of it runs before it is released. */
  readonly prepared: Promise<void>;
  /** It has told so, as the first process of a container with `notify`; resolves at the latest with its end. */
  readonly ready: Promise<void>;
  readonly stdin = new Input();
  readonly #control: ProcessControl;
  readonly #tty: boolean;
  readonly #outputs = new Map<number, Output>();
  readonly #started = Promise.withResolvers<number>();
  readonly #prepared = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #exit = Promise.withResolvers<ExitStatus>();

  constructor(id: number, container: number, spec: ProcessSpec, control: ProcessControl) {
    this.id = id;
    this.container = container;
    this.#control = control;
    const bits = stdioBits(spec);
    this.#tty = (bits & P.STDIO_TTY) !== 0;
    if (this.#tty) this.#outputs.set(P.STREAM_TTY, new Output());
    if ((bits & P.STDIO_STDOUT) !== 0) this.#outputs.set(P.STREAM_STDOUT, new Output());
    if ((bits & P.STDIO_STDERR) !== 0) this.#outputs.set(P.STREAM_STDERR, new Output());
    if ((bits & (P.STDIO_STDIN | P.STDIO_TTY)) === 0) this.stdin.close();
    this.started = this.#started.promise;
    this.prepared = this.#prepared.promise;
    this.ready = this.#ready.promise;
    // Whoever asks gets the rejection; nobody has to ask both.
    this.prepared.catch(() => {});
    this.started.catch(() => {});
    this.#exit.promise.catch(() => {}).finally(this.#ready.resolve);
  }

  /** Standard output, or the terminal's. The chunk is valid until the consumer's promise settles. */
  onStdout(consumer: Consumer): void {
    this.#outputs.get(this.#tty ? P.STREAM_TTY : P.STREAM_STDOUT)?.consume(consumer);
  }

  onStderr(consumer: Consumer): void {
    this.#outputs.get(P.STREAM_STDERR)?.consume(consumer);
  }

  /** Stops reading standard output: the process's next write to it fails with EPIPE. */
  closeStdout(): void {
    this.#outputs.get(this.#tty ? P.STREAM_TTY : P.STREAM_STDOUT)?.abandon();
  }

  closeStderr(): void {
    this.#outputs.get(P.STREAM_STDERR)?.abandon();
  }

  /** Resolves when the process has ended and all its output has been consumed. */
  wait(): Promise<ExitStatus> {
    return this.#exit.promise;
  }

  signal(signal: number): Promise<void> {
    return this.#control.signal(this.id, signal);
  }

  /** SIGKILL for it and for what it has started, as far as that has not left its process group. */
  kill(): Promise<void> {
    return this.#control.signal(this.id, SIGKILL, true);
  }

  resize(size: WindowSize): Promise<void> {
    return this.#control.resize(this.id, size);
  }

  /** For the session: a connection whose header named this process. false: it has no such stream, or has it already. */
  attach(number: number, stream: Stream): ((chunk: Uint8Array) => Promise<void>) | undefined {
    if (number === P.STREAM_STDIN) {
      if (this.stdin.attached) return undefined;
      stream.onClose(() => this.stdin.close());
      this.stdin.attach(stream);
      return async () => {};
    }
    const output = this.#outputs.get(number);
    if (output === undefined || output.attached) return undefined;
    if (output.abandoned) return undefined;
    output.attach(stream);
    stream.onEnd(() => {
      output.end();
      stream.end();
    });
    stream.onClose(() => {
      output.end();
      if (number === P.STREAM_TTY) this.stdin.close();
    });
    if (number === P.STREAM_TTY) this.stdin.attach(stream);
    return (chunk) => output.deliver(chunk);
  }

  /** For the session: the reply to a START that holds. */
  isPrepared(): void {
    this.#prepared.resolve();
  }

  /** For the session: READY came. */
  isReady(): void {
    this.#ready.resolve();
  }

  /** For the session: the reply to START, EXEC or RELEASE. */
  hasStarted(pid: number): void {
    this.#prepared.resolve();
    this.#started.resolve(pid);
  }

  /** For the session: it was released, and its command does not run. How it ended is told all the same. */
  neverStarted(error: Error): void {
    this.#started.reject(error);
  }

  /** For the session: the process never ran, or its fate cannot be known any more. */
  failed(error: Error): void {
    this.#prepared.reject(error);
    this.#started.reject(error);
    this.#exit.reject(error);
    this.stdin.close();
  }

  /** For the session: EXIT. */
  async hasExited(report: ExitReport): Promise<void> {
    const coming = [...this.#outputs].filter(([number]) => (report.streams & (1 << number)) !== 0);
    await Promise.all(coming.map(([, output]) => output.ended));
    this.stdin.close();
    const lost =
      this.#check(this.#tty ? P.STREAM_TTY : P.STREAM_STDOUT, report.stdoutBytes, report.streams) ??
      this.#check(P.STREAM_STDERR, report.stderrBytes, report.streams);
    if (lost === undefined) this.#exit.resolve(report.status);
    else this.#exit.reject(lost);
  }

  #check(number: number, sent: bigint, streams: number): VmmError | undefined {
    const output = this.#outputs.get(number);
    if (output === undefined || output.abandoned) return undefined;
    if (output.bytes === sent && (streams & (1 << number)) !== 0) return undefined;
    return new VmmError('AGENT_OUTPUT_LOST', `process ${this.id}: ${sent} bytes sent, ${output.bytes} received`);
  }
}

import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { monotonicMs } from '../../base/monotonic.ts';

/** What a thread can be asked to do: vmm/machine/thread.ts has the other side, and knows what `data` is for each `kind`. */
export interface ThreadJob {
  readonly kind: string;
  /** It calls the FFI library. */
  readonly ffi: boolean;
  /** Structured-cloned to the thread. */
  readonly data: unknown;
}

/** A thread's words: it takes jobs now; its job is over. Everything else that it posts is the job's own. */
export const THREAD_UP = 'up';
export const JOB_OVER = 'over';

/** Asks a thread to load the FFI library. `word`: LOAD_*, shared with the main thread. */
export interface LoadRequest {
  readonly kind: 'load';
  readonly word: Int32Array;
}
export const LOAD_WANTED = 0;
export const LOAD_RUNS = 1;
/** Or it must not begin any more. */
export const LOAD_OVER = 2;

const TASKS = '/proc/self/task';

/** Threads that are kept without work. Each costs about 8 MB. */
const IDLE_MAX = 4;
/** How long the process's end waits for a library that is being loaded. */
const LOAD_LIMIT_MS = 5000;

/** LOAD_* words of the process's threads. */
let loads: Set<Int32Array> | undefined;

/** The process ends: no thread begins to load the FFI library any more, and one that is at it is waited for. */
function endLoads(): void {
  for (const word of loads ?? []) {
    if (Atomics.compareExchange(word, 0, LOAD_WANTED, LOAD_OVER) === LOAD_RUNS) Atomics.wait(word, 0, LOAD_RUNS, LOAD_LIMIT_MS);
  }
}

interface Duty {
  onMessage(message: unknown): void;
  onError(error: Error): void;
  over(): void;
}

interface Thread {
  readonly worker: Worker;
  /** Resolves when it takes jobs at once, or is gone. */
  readonly up: Promise<void>;
  duty: Duty | undefined;
  failed: boolean;
  /** Once it was asked to load the FFI library. */
  load: Int32Array | undefined;
  /** It gets jobs of this kind alone. */
  kind: string | undefined;
}

/**
 * Worker threads, kept for the next job when theirs is over: Node takes as long to start one as it takes to start itself.
 * Those without work do not keep the process alive.
 */
export class ThreadPool {
  readonly #file: URL;
  /** The one that was started first is asked first: it is up before the others. */
  readonly #idle: Thread[] = [];
  /** By kind of job, while they have none. */
  readonly #reserved = new Map<string, Thread>();
  readonly #busy = new Set<Thread>();
  #startMs = 100;
  #ffi = false;

  /** `file`: the built thread.ts. */
  constructor(file: URL) {
    this.#file = file;
  }

  /** Has `count` threads wait for work; those that are missing are started, side by side with the caller's own work. */
  prepare(count: number): void {
    while (this.#idle.length < Math.min(count, IDLE_MAX)) this.#rest(this.#start());
  }

  /** Starts a thread that gets jobs of `kind` alone, and the first of them. Its id for the kernel; undefined where that cannot be told. */
  reserve(kind: string): number | undefined {
    const before = new Set(readdirSync(TASKS));
    const thread = this.#start();
    thread.kind = kind;
    this.#rest(thread);
    const fresh = readdirSync(TASKS).filter((tid) => !before.has(tid));
    return fresh.length === 1 ? Number(fresh[0]) : undefined;
  }

  /** Jobs on KVM are to come, which all need the FFI library: threads load it while the main thread still builds the machine. */
  expectFfi(): void {
    this.#ffi = true;
    for (const thread of this.#idle) this.#load(thread);
  }

  /** What the start of a thread has taken lately, milliseconds. */
  get startMs(): number {
    return this.#startMs;
  }

  /** Resolves when a thread waits that takes a job at once, if nobody else takes it before. */
  async ready(): Promise<void> {
    this.prepare(1);
    await this.#idle[0]?.up;
  }

  /**
   * Gives a job to a thread. Resolves when the job is over and the thread makes no use of its data any more; a thread that
   * failed ends its job too, after `onError`.
   */
  run<M>(job: ThreadJob, onMessage: (message: M) => void, onError: (error: Error) => void): Promise<void> {
    const thread = this.#reserved.get(job.kind) ?? this.#idle.shift() ?? this.#start();
    this.#reserved.delete(job.kind);
    if (job.ffi) this.#load(thread);
    thread.worker.ref();
    this.#busy.add(thread);
    thread.worker.postMessage(job);
    const { promise, resolve: over } = Promise.withResolvers<void>();
    thread.duty = { onMessage: (message) => onMessage(message as M), onError, over };
    return promise;
  }

  /** Takes a worker of the pool's own file that was started elsewhere and has told nothing yet. */
  adopt(worker: Worker): void {
    this.#rest(this.#thread(worker));
  }

  /** Ends threads without work; those that are wanted later are started then. */
  endIdle(): void {
    for (const { worker } of this.#idle.splice(0)) void worker.terminate();
  }

  #start(): Thread {
    // Its streams are nobody's: to pipe them into ours would make process.stdout, with all of Node's network modules (machine/thread.ts).
    return this.#thread(new Worker(this.#file, { execArgv: [], trackUnmanagedFds: false, stdout: true, stderr: true }));
  }

  #thread(worker: Worker): Thread {
    const start = monotonicMs();
    const { promise: up, resolve: isUp } = Promise.withResolvers<void>();
    const thread: Thread = { worker, up, duty: undefined, failed: false, load: undefined, kind: undefined };
    if (this.#ffi) this.#load(thread);
    worker.on('message', (message: unknown) => {
      if (message === THREAD_UP) {
        this.#startMs = monotonicMs() - start;
        isUp();
      } else if (message === JOB_OVER) this.#rest(thread);
      else thread.duty?.onMessage(message);
    });
    // One that fails without work is missed by nobody: the next job starts another.
    worker.on('error', (error) => {
      this.#forget(thread);
      thread.failed = true;
      thread.duty?.onError(error);
    });
    worker.on('exit', () => {
      this.#forget(thread);
      this.#busy.delete(thread);
      if (thread.load !== undefined) loads?.delete(thread.load);
      isUp();
      if (!thread.failed) thread.duty?.onError(new Error('the thread ended'));
      thread.duty?.over();
    });
    return thread;
  }

  /** The process need not stay for threads that are at work. */
  abandon(): void {
    for (const { worker } of this.#busy) worker.unref();
  }

  /** Has the thread load the FFI library. Node ends its threads when the process ends, and a native module that is stopped while it loads aborts the process. */
  #load(thread: Thread): void {
    if (thread.load !== undefined) return;
    thread.load = new Int32Array(new SharedArrayBuffer(4));
    if (loads === undefined) {
      loads = new Set();
      process.on('exit', endLoads);
    }
    loads.add(thread.load);
    thread.worker.postMessage({ kind: 'load', word: thread.load } satisfies LoadRequest);
  }

  #forget(thread: Thread): void {
    if (thread.kind !== undefined && this.#reserved.get(thread.kind) === thread) this.#reserved.delete(thread.kind);
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #rest(thread: Thread): void {
    const { duty } = thread;
    this.#busy.delete(thread);
    thread.duty = undefined;
    thread.worker.unref();
    if (thread.kind !== undefined) this.#reserved.set(thread.kind, thread);
    else if (this.#idle.length < IDLE_MAX) this.#idle.push(thread);
    else void thread.worker.terminate();
    duty?.over();
  }
}

/** The process's threads. */
export const threads = new ThreadPool(new URL('./thread.cjs', import.meta.url));

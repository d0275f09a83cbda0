/** Where an app's output goes: to a log in the pod's directory, and to run's own streams. */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A log is put aside when it is this long, and one is kept. */
const LOG_MAX = 10 << 20;
const FOLDER = 'logs';

/** A log that is rotated: `NAME`, and `NAME.1` before it. Trouble with it is told once, and the app goes on. */
class Log {
  readonly #path: string;
  readonly #failed: (error: NodeJS.ErrnoException) => void;
  #fd: number | undefined;
  #size = 0;

  constructor(path: string, failed: (error: NodeJS.ErrnoException) => void) {
    this.#path = path;
    this.#failed = failed;
    this.#open();
  }

  #open(): void {
    try {
      this.#fd = openSync(this.#path, 'a', 0o640);
      this.#size = statSync(this.#path).size;
    } catch (error) {
      this.#fd = undefined;
      this.#failed(error as NodeJS.ErrnoException);
    }
  }

  write(bytes: Uint8Array): void {
    try {
      if (this.#size > 0 && this.#size + bytes.length > LOG_MAX && this.#fd !== undefined) {
        closeSync(this.#fd);
        renameSync(this.#path, `${this.#path}.1`);
        this.#open();
      }
      if (this.#fd === undefined) return;
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
      this.#size += bytes.length;
    } catch (error) {
      this.#fd = undefined;
      this.#failed(error as NodeJS.ErrnoException);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

export type OutputMode = 'log' | 'stream' | 'tty' | 'interactive' | 'null';

/** Writes to one of run's own streams; resolves when it has taken the bytes, or nobody reads there any more. */
function toStream(stream: NodeJS.WriteStream): (bytes: Uint8Array) => Promise<void> | void {
  let broken = false;
  stream.on('error', () => {
    broken = true;
  });
  return (bytes) => {
    if (broken) return;
    return new Promise((resolve) => {
      const done = (): void => resolve();
      stream.once('error', done);
      stream.write(Uint8Array.from(bytes), () => {
        stream.off('error', done);
        resolve();
      });
    });
  };
}

export class Outputs {
  readonly #logs = new Map<string, Log>();
  readonly #own = { stdout: toStream(process.stdout), stderr: toStream(process.stderr) };
  #told = false;

  /** Opens the logs of an app, as its streams' modes want it. */
  open(app: string, modes: Readonly<Record<'stdout' | 'stderr', OutputMode>>, note: (text: string) => void): void {
    mkdirSync(FOLDER, { recursive: true, mode: 0o750 });
    for (const stream of ['stdout', 'stderr'] as const) {
      if (modes[stream] !== 'log') continue;
      const path = join(FOLDER, `${app}.${stream === 'stdout' ? 'out' : 'err'}`);
      this.#logs.set(`${app} ${stream}`, new Log(path, (error) => {
        if (!this.#told) note(`${path}: ${error.code}: output is not kept any more`);
        this.#told = true;
      }));
    }
  }

  /** The app is removed. */
  close(app: string): void {
    for (const stream of ['stdout', 'stderr']) {
      this.#logs.get(`${app} ${stream}`)?.close();
      this.#logs.delete(`${app} ${stream}`);
    }
  }

  put(app: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | void {
    this.#logs.get(`${app} ${stream}`)?.write(bytes);
    return this.#own[stream](bytes);
  }
}

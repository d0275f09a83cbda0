/** Where an app's output goes: to a log in the pod's directory, and to run's own streams. */
import { fstatSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { RotatedFile } from '../../base/rotated-file.ts';

/** A log is put aside when it is this long, and one is kept. */
const LOG_MAX = 10 << 20;
const FOLDER = 'logs';

/** A log that is rotated: `NAME`, and `NAME.1` before it. Throws the file system's error. */
function openLog(path: string): RotatedFile {
  const open = (): number => openSync(path, 'a', 0o640);
  const fd = open();
  const next = (): number => {
    renameSync(path, `${path}.1`);
    try {
      return open();
    } catch (error) {
      // The full one has its name again: the next piece tries anew.
      renameSync(`${path}.1`, path);
      throw error;
    }
  };
  return new RotatedFile({ fd, size: fstatSync(fd).size, most: LOG_MAX, next });
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

/** An app's log of one stream, and how to tell of trouble with it. */
interface Kept {
  readonly file: RotatedFile;
  readonly failed: (error: unknown) => void;
}

export class Outputs {
  readonly #logs = new Map<string, Kept>();
  readonly #own = { stdout: toStream(process.stdout), stderr: toStream(process.stderr) };
  #told = false;

  /** Opens the logs of an app, as its streams' modes want it. Trouble with one is told once, and the app goes on. */
  open(app: string, modes: Readonly<Record<'stdout' | 'stderr', OutputMode>>, note: (text: string) => void): void {
    mkdirSync(FOLDER, { recursive: true, mode: 0o750 });
    for (const stream of ['stdout', 'stderr'] as const) {
      if (modes[stream] !== 'log') continue;
      const path = join(FOLDER, `${app}.${stream === 'stdout' ? 'out' : 'err'}`);
      const failed = (error: unknown): void => {
        if (!this.#told) note(`${path}: ${(error as NodeJS.ErrnoException).code}: output is lost`);
        this.#told = true;
      };
      try {
        this.#logs.set(`${app} ${stream}`, { file: openLog(path), failed });
      } catch (error) {
        failed(error);
      }
    }
  }

  /** The app is removed. */
  close(app: string): void {
    for (const stream of ['stdout', 'stderr']) {
      this.#logs.get(`${app} ${stream}`)?.file.close();
      this.#logs.delete(`${app} ${stream}`);
    }
  }

  put(app: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | void {
    const log = this.#logs.get(`${app} ${stream}`);
    try {
      log?.file.append(bytes);
    } catch (error) {
      log?.failed(error);
    }
    return this.#own[stream](bytes);
  }
}

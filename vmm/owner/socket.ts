import { closeSync, lstatSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';

/** Calls `use` with a name of a socket that is short enough wherever it lies (sun_path has 108 bytes). */
export function withSocketPath<T>(socket: string, use: (path: string) => T): { result: T; close(): void } {
  const fd = openSync(dirname(socket), 'r');
  return { result: use(`/proc/self/fd/${fd}/${basename(socket)}`), close: () => closeSync(fd) };
}

/** Does somebody listen? Of an owner that was killed only the name is left. */
export function answers(socket: string): Promise<boolean> {
  if (lstatSync(socket, { throwIfNoEntry: false }) === undefined) return Promise.resolve(false);
  return new Promise((done) => {
    const { result, close } = withSocketPath(socket, (path) => connect({ path }));
    const end = (answer: boolean): void => {
      result.destroy();
      close();
      done(answer);
    };
    result.once('connect', () => end(true));
    result.once('error', () => end(false));
  });
}

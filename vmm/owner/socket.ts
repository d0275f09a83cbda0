import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';

/** unix(7): sun_path, with the NUL behind it. */
const SUN_PATH = 108;

/** Calls `use` with a name of a socket that is short enough wherever it lies, until `close`. Throws what `use` throws, and is closed then. */
export function withSocketPath<T>(socket: string, use: (path: string) => T): { result: T; close(): void } {
  if (Buffer.byteLength(socket) < SUN_PATH) return { result: use(socket), close: () => {} };
  const fd = openSync(dirname(socket), 'r');
  const close = (): void => closeSync(fd);
  try {
    return { result: use(`/proc/self/fd/${fd}/${basename(socket)}`), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Does somebody listen? Of an owner that was killed only the name is left. */
export function answers(socket: string): Promise<boolean> {
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

/** Is this process of ours the owner of the container? False also where it cannot be seen: the socket tells then. It is quicker than a connection. */
export function isOwner(pid: number, id: string): boolean {
  try {
    const folder = `/proc/${Number(pid)}`;
    return statSync(folder).uid === process.geteuid?.() && readFileSync(`${folder}/cmdline`, 'latin1').endsWith(`\0${id}\0`);
  } catch {
    return false;
  }
}

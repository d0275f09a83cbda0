import { type ChildProcess, spawn } from 'node:child_process';
import { VmmError } from '../api/errors.ts';
import type { StateFolder } from '../api/owner.ts';
import type { Ended } from './converse.ts';
import { tell } from './output.ts';
import { FILES, HERE, READY, STARTED, WAITS } from './owner-ask.ts';

/** Longest of what an owner says last, characters. */
const MAX_TOLD = 16384;

/** How a start went: `here`: what was asked for has no owner. */
export type Start = 'started' | 'here' | { readonly status: number };

/** What it says before. */
export type Heard = (word: string, rest: string) => void;

/** Starts an owner; `start` resolves once the command runs, or cannot: why has been told then. */
export function spawnOwner(words: readonly string[], heard: Heard, input: 'ignore' | 'pipe' = 'ignore'): { readonly owner: ChildProcess; readonly start: Promise<Start> } {
  const owner = spawn(process.execPath, ['--', process.argv[1] ?? '', 'owner', ...words], { detached: true, stdio: [input, 'ignore', 'ignore', 'pipe'] });
  const pipe = owner.stdio[3] as NodeJS.ReadableStream;
  let text = '';
  pipe.setEncoding('utf8');
  pipe.on('data', (chunk: string) => {
    if (text.length < MAX_TOLD) text += chunk;
    for (let end = text.indexOf('\n'); end >= 0 && !isLast(text.slice(0, end)); end = text.indexOf('\n')) {
      const line = text.slice(0, end);
      const space = line.indexOf(' ');
      text = text.slice(end + 1);
      if (space < 0) heard(line, '');
      else heard(line.slice(0, space), line.slice(space + 1));
    }
  });
  const start = new Promise<void>((resolve, reject) => {
    owner.on('error', reject);
    pipe.on('end', resolve);
  }).then((): Start => {
    owner.unref();
    const [last = '', ...lines] = text.split('\n');
    if (last === STARTED || last === HERE) return last;
    if (!/^\d+$/.test(last)) throw new VmmError('CONTAINER_START', 'the container’s process ended before it had started', { hint: 'run it without -d to see why' });
    tell(lines.join('\n'));
    return { status: Number(last) };
  });
  return { owner, start };
}

function isLast(line: string): boolean {
  return line === STARTED || line === HERE || /^\d+$/.test(line);
}

/** Starts the owner of a container that is there. Resolves with 0 once the command runs, else with the status that tells why it does not, which has been told. */
export async function startOwner(state: StateFolder, id: string): Promise<number> {
  return statusOf(await spawnOwner([state.given, id], () => {}).start);
}

function statusOf(start: Start): number {
  return typeof start === 'object' ? start.status : 0;
}

/** Has a machine for the files of a container that does not run, as long as `use` takes; false: there could be none, which has been told. */
export async function withFiles(state: StateFolder, id: string, use: (socket: string) => Promise<void>): Promise<boolean> {
  let work: Promise<void> | undefined;
  const { owner, start } = spawnOwner([state.given, id, FILES], (word, socket) => {
    if (word === READY) work = use(socket).finally(() => owner.stdin?.end());
    work?.catch(() => {});
  }, 'pipe');
  owner.stdin?.on('error', () => {});
  const ended = await start;
  if (ended === 'started' && work === undefined) throw new VmmError('CONTAINER_STATE', 'the container has just been started', { hint: 'try again' });
  await work;
  return ended === 'started';
}

/** Starts a container whose command waits until `join` has joined its streams: how it ended, or that it could not start, which has been told. */
export async function startJoined(state: StateFolder, id: string, join: () => Promise<Ended>): Promise<Ended> {
  state.make();
  let joined: Promise<Ended> | undefined;
  const { start } = spawnOwner([state.given, id, WAITS], (word) => {
    if (word !== READY) return;
    joined = join();
    joined.catch(() => {});
  });
  const status = statusOf(await start);
  if (status === 0) return joined ?? join();
  // Its streams would only tell that it has ended.
  process.stdin.destroy();
  return { status };
}

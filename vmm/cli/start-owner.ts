import { spawn } from 'node:child_process';
import { VmmError } from '../api/errors.ts';
import type { StateFolder } from '../api/owner.ts';
import type { Ended } from './converse.ts';
import { tell } from './output.ts';
import { READY, WAITS } from './owner-ask.ts';

/** Longest of what an owner says of its start, bytes. */
const MAX_TOLD = 16384;

/**
 * Starts a container's owner. Resolves with 0 once the command runs, else with the status that tells why it does not, which has been told.
 * With `ready` the command waits until somebody is attached: it is called when that can be.
 */
export async function startOwner(state: StateFolder, id: string, ready?: () => void): Promise<number> {
  const words = ready === undefined ? [] : [WAITS];
  const owner = spawn(process.execPath, ['--', process.argv[1] ?? '', 'owner', state.given, id, ...words], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const pipe = owner.stdio[3] as NodeJS.ReadableStream;
  let text = '';
  pipe.on('data', (chunk: Buffer) => {
    if (text.length < MAX_TOLD) text += chunk.toString();
    if (!text.startsWith(READY)) return;
    text = text.slice(READY.length);
    ready?.();
  });
  await new Promise<void>((resolve, reject) => {
    owner.on('error', reject);
    pipe.on('end', resolve);
  });
  owner.unref();
  if (text === 'started\n') return 0;
  const [status, ...lines] = text.split('\n');
  if (!/^\d+$/.test(status ?? '')) throw new VmmError('CONTAINER_START', 'the container’s process ended before it had started', { hint: 'run it without -d to see why' });
  tell(lines.join('\n'));
  return Number(status);
}

/** Starts a container whose command waits until `join` has joined its streams: how it ended, or that it could not start, which has been told. `started`: called once it runs. */
export async function startJoined(state: StateFolder, id: string, join: () => Promise<Ended>, started: () => void = () => {}): Promise<Ended> {
  state.make();
  let joined: Promise<Ended> | undefined;
  const status = await startOwner(state, id, () => {
    joined = join();
    joined.catch(() => {});
  });
  if (status !== 0) {
    // Its streams would only tell that it has ended.
    process.stdin.destroy();
    return { status };
  }
  started();
  return joined ?? join();
}

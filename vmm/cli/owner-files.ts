/**
 * A process that holds a container which does not run, and gives its files to one client (`vmm cp`): its machine runs without the container's command, without a network, and is bound as
 * that of any owner. It ends with its standard input, which is its client's.
 */
import { constants } from 'node:os';
import { rmSync } from 'node:fs';
import { VmmError } from '../api/errors.ts';
import { runs, serve, type StateFolder } from '../api/owner.ts';
import { READY } from './owner-ask.ts';
import { filesOf } from './owner-run.ts';
import { OwnerService } from './owner-service.ts';
import type { OwnerTold } from './owner-told.ts';

const { SIGKILL } = constants.signals;

/** By who holds it. Throws VmmError. */
export async function ownFiles(state: StateFolder, id: string, client: OwnerTold): Promise<number> {
  const one = await state.find(id);
  if (runs(one)) throw new VmmError('CONTAINER_STATE', 'the container has just been started', { hint: 'try again' });
  state.make();
  const ignored = (): void => {};
  const run = await filesOf(one.record, state, { stdout: ignored, stderr: ignored });
  const service = new OwnerService(ignored, ignored);
  // Not its owner's: for who looks at the container it does not run.
  const socket = state.filesSocket(id);
  rmSync(socket, { force: true }); // of one that was killed
  const server = await serve(socket, async (ask) => (ask.ask === 'builtin' ? service.answer(ask, run) : { done: false, code: 'CONTAINER_STATE', message: 'the container does not run' }));
  const ended = run.run();
  run.process.started.then(() => client.say(READY, socket), ignored);
  // Its disk is let go of as at any end.
  const finish = (): void => void run.process.signal(SIGKILL).catch(() => run.kill());
  process.stdin.on('end', finish).on('error', finish).resume();
  const result = await ended;
  process.stdin.destroy();
  await server.close();
  if (result.kind === 'failed') throw result.error;
  if (result.kind === 'machine') throw new VmmError('CONTAINER_START', 'the machine for the container’s files ended', { hint: 'see `vmm inspect`' });
  client.started();
  return 0;
}

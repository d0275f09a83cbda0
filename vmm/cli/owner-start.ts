/** The start of a process that owns a container: of one that is there, or that it makes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../api/errors.ts';
import { hostFs } from '../api/images.ts';
import { type Held, runs, StateFolder } from '../api/owner.ts';
import { describeError } from './describe.ts';
import { Owner } from './owner.ts';
import { FILES, MAKES, WAITS } from './owner-ask.ts';
import { OwnerTold } from './owner-told.ts';
import * as STATUS from './status.ts';

/** How long another command may be about the container, ms. */
const PATIENCE_MS = 20_000;
const TRY_MS = 50;

/** Gives the container's exit status; what the client is told comes before. */
export async function ownerCommand([given = '', ...words]: readonly string[]): Promise<number> {
  const client = new OwnerTold();
  const [id = '', waits] = words;
  for (const name of ['SIGHUP', 'SIGINT', 'SIGPIPE'] as const) process.on(name, () => {});
  try {
    if (given === MAKES) return await (await import('./owner-made.ts')).makeAndOwn(id, client);
    const state = new StateFolder(given);
    using held = await holdIt(state, id);
    if (held === undefined) {
      client.started();
      return 0;
    }
    if (waits === FILES) return await (await import('./owner-files.ts')).ownFiles(state, id, client);
    const { record, life } = await state.find(id);
    return await new Owner(state, record, life, client).live(waits === WAITS ? '' : undefined);
  } catch (error) {
    client.failed(STATUS.STATUS_VMM_ERROR, describeError(error));
    return STATUS.STATUS_VMM_ERROR;
  }
}

/** Undefined: it runs already. Throws CONTAINER_NOT_FOUND, CONTAINER_STATE. */
async function holdIt(state: StateFolder, id: string): Promise<Held | undefined> {
  for (const last = performance.now() + PATIENCE_MS; performance.now() < last; await sleep(TRY_MS)) {
    const held = await state.hold(id, hostFs);
    if (held !== undefined) return held;
    if (runs(await state.find(id))) return undefined;
  }
  throw new VmmError('CONTAINER_STATE', `container ${id.slice(0, 12)} is being started or removed`, { hint: 'try again' });
}

/** An owner that makes its container itself, for a client of `vmm run` (run-joined.ts). */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { VmmError } from '../api/errors.ts';
import { hostFs } from '../api/images.ts';
import { type ContainerRecord, passes, type StateFolder } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { makeContainer } from './create.ts';
import { Owner } from './owner.ts';
import { BEGUN, type Joining, type Making, NOTE, PROGRESS } from './owner-ask.ts';
import type { OwnerTold } from './owner-told.ts';
import { refuseInput } from './run.ts';
import { attached, canBeLeft, canHaveOwner, isKept, joinsAnother, RUN, type RunOptions } from './run-options.ts';
import * as STATUS from './status.ts';

const { SIGTERM } = constants.signals;
/** How often progress is told, ms. */
const EVERY_MS = 100;

/** Gives the container's exit status. Throws VmmError; then nothing of it is left. */
export async function makeAndOwn(id: string, client: OwnerTold): Promise<number> {
  const text = readFileSync(0, 'utf8');
  // It was killed at once.
  if (text === '') return STATUS.STATUS_VMM_ERROR;
  const { terminal, argv } = JSON.parse(text) as Making;
  const { options, operands } = parseArgs(argv, RUN);
  const bound = options.name === undefined;
  if (options.help || options.detach || !(bound ? (terminal === 'terminal' && canBeLeft(options)) || (joinsAnother(options) && canHaveOwner(options)) : isKept(options))) {
    client.here();
    return 0;
  }
  refuseInput(options, undefined, () => terminal === 'terminal');
  let stopped = false;
  const begins = (): void => {
    process.on('SIGTERM', () => {
      stopped = true;
    });
    stopped = !client.say(BEGUN);
  };
  try {
    const { state, record } = await makeContainer(argv, options, operands, {
      id, bound, begins,
      note: (text) => options.quiet || void client.say(NOTE, text),
      progress: slowed((now) => void client.say(PROGRESS, JSON.stringify(now))),
    });
    using held = await state.hold(id, hostFs);
    try {
      if (!stopped && held !== undefined) return await new Owner(state, record, undefined, client).live(JSON.stringify(joiningOf(record, state, options)));
    } catch (error) {
      if (bound) await state.remove(id, hostFs);
      throw error;
    }
    await state.remove(id, hostFs);
    client.failed(128 + SIGTERM, '');
    return STATUS.STATUS_VMM_ERROR;
  } catch (error) {
    // Nobody has asked for it to be found again.
    if (!bound || joinsAnother(options) || options.root !== undefined || !(error instanceof VmmError) || error.code !== 'STATE_FOLDER') throw error;
    client.here();
    return 0;
  }
}

function joiningOf(record: ContainerRecord, state: StateFolder, options: RunOptions): Joining {
  const { id } = record;
  const { name, quiet, detachKeys, sigProxy } = options;
  return { id, socket: state.socket(id), folder: state.folder(id), goes: passes(record, undefined), name, bound: record.bound === true, ...attached(options), detachKeys, sigProxy, quiet };
}

type Progress<Now> = (now: Now) => void;

function slowed<Now extends { readonly stage: string }>(tell: Progress<Now>): Progress<Now> {
  let last = 0;
  let stage = '';
  return (now) => {
    if (now.stage === stage && performance.now() - last < EVERY_MS) return;
    last = performance.now();
    stage = now.stage;
    tell(now);
  };
}

/** The commands of a container's existence. Create and run -d are in create.ts and run-detached.ts, its end in containers.ts. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../api/errors.ts';
import { hostFs } from '../api/images.ts';
import { type Container, passes, runs, StateFolder } from '../api/owner.ts';
import { CHANGES } from './changes.ts';
import { HELP } from './common-options.ts';
import { confirmed } from './confirm.ts';
import { EVENTS_COMMAND } from './events.ts';
import { INSPECT_COMMAND } from './inspect.ts';
import { ask, each, NAMES } from './containers.ts';
import { ROOT } from './state-option.ts';
import { CREATE, createCommand } from './create.ts';
import { containerName } from './run-options.ts';
import type { AttachOptions } from './attach.ts';
import { detachKeys } from './keys.ts';
import { flag, type Command, value } from './options.ts';
import { print } from './output.ts';
import { STOP_SECONDS } from './owner-ask.ts';
import { size } from './size-text.ts';
import { parseSeconds } from './sizes.ts';
import { startJoined, startOwner } from './start-owner.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { UPDATE_COMMAND } from './update.ts';
import { listed } from './listed.ts';

/** How long another command may be about a container before `rm` gives up, ms. */
const PATIENCE_MS = 20_000;

const START = {
  root: ROOT,
  attach: flag('join our standard output to the container’s, and end with its status', { short: 'a' }),
  interactive: flag('our standard input, too', { short: 'i' }),
  detachKeys: value('KEYS', 'keys that leave it running (default ctrl-p,ctrl-q)', detachKeys),
  sigProxy: { ...flag('with -a: pass signals on (default true)'), initial: true },
  help: HELP,
};
const RESTART = { root: ROOT, time: value('SECONDS', 'how long it may take to stop before it is killed (default: --stop-timeout of its run, or 10)', parseSeconds, { short: 't' }), help: HELP };
const RENAME = { root: ROOT, help: HELP };
const RM = { root: ROOT, force: flag('kill those that run', { short: 'f' }), volumes: flag('volumes without a name, which are part of the container, too', { short: 'v' }), help: HELP };

const PRUNE = { root: ROOT, force: flag('do not ask', { short: 'f' }), help: HELP };

const COMMANDS: readonly Subcommand[] = [
  { command: CREATE, start: createCommand },
  subcommand({ name: 'start', synopsis: '[OPTIONS] CONTAINER…', about: 'Starts containers, with what they have kept.', options: START }, NAMES, (names, { root, attach, interactive, ...rest }) => {
    if (attach || interactive) return startAttached(root, names, { input: interactive, ...rest });
    return each(root, names, async (one, state) => runs(one) || (await start(one, state)));
  }),
  subcommand({ name: 'restart', synopsis: '[OPTIONS] CONTAINER…', about: 'Stops containers, and starts them.', options: RESTART }, NAMES, (names, { root, time }) =>
    each(root, names, async (one, state) => {
      if (runs(one)) await ask(one, state, { ask: 'stop', seconds: time ?? one.record.stopTimeout ?? STOP_SECONDS, keep: true });
      const started = await start(one, state);
      if (started) state.tell(one.record, 'restart');
      return started;
    })),
  subcommand({ name: 'rename', synopsis: '[OPTIONS] CONTAINER NAME', about: 'Gives a container another name.', options: RENAME }, [2, 2, 'a container and a name'], ([text = '', name = ''], { root }) =>
    each(root, [text], (one, state) => state.rename(one.record.id, containerName(name, 'rename'), hostFs), false)),
  ...CHANGES,
  INSPECT_COMMAND,
  EVENTS_COMMAND,
  UPDATE_COMMAND,
  subcommand({ name: 'rm', synopsis: '[OPTIONS] CONTAINER…', about: 'Removes containers: what they have kept, their names and logs.', options: RM }, NAMES, (names, { root, force }) =>
    each(root, names, (one, state, text) => remove(one, state, text, force), true, force ? 0 : 1)),
  subcommand({ name: 'container prune', synopsis: '[OPTIONS]', about: 'Removes all containers that do not run.', options: PRUNE }, [0, 0, 'no argument'], (_, options) => prune(options)),
];

/** `vmm create` and its like. */
export function lifeCommand(name: string, argv: readonly string[]): Promise<number> {
  return (COMMANDS.find(({ command }) => command.name === name) as Subcommand).start(argv);
}

/** Their tables. */
export function lifeCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

/** False: what keeps it from running has been told. */
async function start({ record }: Container, state: StateFolder): Promise<boolean> {
  state.make(); // of the sockets' folder nothing is left when the host was started anew
  return (await startOwner(state, record.id)) === 0;
}

/** As `vmm attach`, from the container's first output on. */
async function startAttached(root: string | undefined, [text = '', ...more]: readonly string[], options: Omit<AttachOptions, 'what'>): Promise<number> {
  if (more.length > 0) throw new VmmError('USAGE', 'start -a and -i are for one container', { hint: 'start the others without' });
  const { attachTo } = await import('./attach.ts');
  const state = new StateFolder(root);
  const one = await state.find(text);
  const join = (): ReturnType<typeof attachTo> => attachTo(state.socket(one.record.id), { ...options, what: `container ${text}` });
  const ended = await (runs(one) ? join() : startJoined(state, one.record.id, join));
  return ended === 'detached' ? 0 : ended.status;
}

async function remove(one: Container, state: StateFolder, text: string, force: boolean): Promise<void> {
  const { id } = one.record;
  if (runs(one)) {
    if (!force) throw new VmmError('CONTAINER_STATE', `container ${text} runs`, { hint: 'stop it first, or use -f' });
    await ask(one, state, { ask: 'stop', seconds: 0, keep: true });
  }
  using held = await state.hold(id, hostFs, PATIENCE_MS).catch((error: unknown) => {
    // It may have gone by itself meanwhile.
    if (passes(one.record, one.life) && error instanceof VmmError && error.code === 'CONTAINER_NOT_FOUND') return null;
    throw error;
  });
  if (held === null) return;
  if (held === undefined) throw new VmmError('CONTAINER_STATE', `container ${text} is being started, or used by another command`, { hint: 'try again' });
  await state.remove(id, hostFs);
}

/** As Docker's: what went, and the room that it took. */
async function prune({ root, force }: { readonly root: string | undefined; readonly force: boolean }): Promise<number> {
  if (!force && !(await confirmed('This removes all containers that do not run. Are you sure? [y/N] '))) return 0;
  const state = new StateFolder(root);
  const gone: string[] = [];
  let freed = 0;
  for (const one of (await listed(state)).filter((each) => !runs(each))) {
    const { id } = one.record;
    const room = roomOf(state.folder(id));
    try {
      await remove(one, state, one.record.name, false);
    } catch (error) {
      // It was started, or removed, meanwhile.
      if (error instanceof VmmError && /^CONTAINER_(STATE|NOT_FOUND)$/.test(error.code)) continue;
      throw error;
    }
    gone.push(id);
    freed += room;
  }
  print(`${gone.length === 0 ? '' : `Deleted Containers:\n${gone.join('\n')}\n\n`}Total reclaimed space: ${size(freed)}\n`);
  return 0;
}

/** Bytes on the disk that go with a container's folder; what is shared with the store stays. */
function roomOf(folder: string): number {
  const stats = readdirSync(folder).map((name) => lstatSync(join(folder, name), { throwIfNoEntry: false }));
  return stats.reduce((sum, stat) => sum + (stat?.nlink === 1 ? stat.blocks * 512 : 0), 0);
}

import { setTimeout as sleep } from 'node:timers/promises';
import { signalNumber } from '../api/process.ts';
import { VmmError } from '../api/errors.ts';
import { type Ask, askOwner, type Container, readLogs, runs, StateFolder } from '../api/owner.ts';
import { HELP } from './common-options.ts';
import { eachOf } from './each-of.ts';
import { type Command, flag, value } from './options.ts';
import { moment } from './moment.ts';
import { print, tell } from './output.ts';
import { ATTACH_COMMAND } from './attach.ts';
import { EXEC_COMMAND } from './exec.ts';
import { PORT_COMMAND } from './port.ts';
import { PS_COMMAND } from './ps.ts';
import { ROOT } from './state-option.ts';
import { STATS_COMMAND } from './stats.ts';
import { STOP_SECONDS } from './owner-ask.ts';
import { parseSeconds } from './sizes.ts';
import { TOP_COMMAND } from './top.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const MANY = Number.POSITIVE_INFINITY;
export const NAMES = [1, MANY, 'one container or more'] as const;
/** How often a log that is followed is looked at, ms. */
const LOOK_MS = 100;

function lineCount(text: string, option: string): number {
  if (text === 'all' || /^-\d{1,9}$/.test(text)) return MANY; // as Docker’s
  if (!/^\d{1,9}$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is no number of lines`, { hint: 'for example 100, or all' });
  return Number(text);
}

const FOLLOW = { root: ROOT, follow: flag('go on with what comes, until the container ends', { short: 'f' }), tail: value('N', 'the last lines only', lineCount, { short: 'n' }), since: value('TIME', 'what was written since then: a time, Unix seconds, or 10m for ten minutes ago', moment), until: value('TIME', 'what was written until then', moment), timestamps: flag('with their times', { short: 't' }), details: flag('with the container’s labels, where they are of the log: there are none'), help: HELP };
const STOP = { root: ROOT, time: value('SECONDS', 'how long it may take before it is killed (default: --stop-timeout of its run, or 10)', parseSeconds, { short: 't' }), help: HELP };
const KILL = { root: ROOT, signal: value('SIGNAL', 'the signal (default KILL)', signalNumber, { short: 's' }), help: HELP };
const WAIT = { root: ROOT, help: HELP };

const COMMANDS: readonly Subcommand[] = [
  PS_COMMAND,
  subcommand({ name: 'logs', synopsis: '[OPTIONS] CONTAINER', about: 'Prints what a container has written.', options: FOLLOW }, [1, 1, 'one container'], logs),
  subcommand({ name: 'stop', synopsis: '[OPTIONS] CONTAINER…', about: 'Sends the stop signal, and kills what does not heed it.', options: STOP }, NAMES, (names, { root, time }) =>
    each(root, names, async (one, state) => {
      if (runs(one)) await ask(one, state, { ask: 'stop', seconds: time ?? one.record.stopTimeout ?? STOP_SECONDS });
    })),
  subcommand({ name: 'kill', synopsis: '[OPTIONS] CONTAINER…', about: 'Sends a signal.', options: KILL }, NAMES, (names, { root, signal }) =>
    each(root, names, async (one, state, text) => {
      if (one.state !== 'running' && one.state !== 'paused') throw new VmmError('CONTAINER_STATE', `container ${text} does not run`);
      await ask(one, state, { ask: 'signal', signal: signal ?? 9 });
    })),
  subcommand({ name: 'wait', synopsis: 'CONTAINER…', about: 'Waits until containers end, and prints their exit statuses.', options: WAIT }, NAMES, (names, { root }) =>
    each(root, names, async (one, state) => {
      const told = runs(one) ? await ask(one, state, { ask: 'wait' }) : undefined;
      return `${told?.status ?? (await state.read(one.record.id))?.end?.status ?? 137}`;
    })),
  EXEC_COMMAND,
  ATTACH_COMMAND,
  subcommand({ name: 'pause', synopsis: 'CONTAINER…', about: 'Freezes all processes of containers.', options: WAIT }, NAMES, (names, { root }) => each(root, names, (one, state, text) => freeze(one, state, text, 'pause'))),
  subcommand({ name: 'unpause', synopsis: 'CONTAINER…', about: 'Lets them go on.', options: WAIT }, NAMES, (names, { root }) => each(root, names, (one, state, text) => freeze(one, state, text, 'resume'))),
  STATS_COMMAND,
  PORT_COMMAND,
  TOP_COMMAND,
];

/** `vmm ps` and its like. */
export function containersCommand(name: string, argv: readonly string[]): Promise<number> {
  return (COMMANDS.find(({ command }) => command.name === name) as Subcommand).start(argv);
}

/** Their tables. */
export function containersCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

/** Each by itself, its name printed when it went well; see `eachOf`. `missing`: the status where there is none of that name. */
export async function each(root: string | undefined, names: readonly string[], work: (one: Container, state: StateFolder, text: string) => Promise<unknown>, printed = true, missing: 0 | 1 = 1): Promise<number> {
  const state = new StateFolder(root);
  return eachOf(names, missing === 0 ? { failed: 1, harmless: 'CONTAINER_NOT_FOUND' } : { failed: 1 }, async (text) => {
    const said = await work(await state.find(text), state, text);
    if (said !== false && printed) print(`${typeof said === 'string' ? said : text}
`);
    return said;
  });
}

async function freeze(one: Container, state: StateFolder, text: string, what: 'pause' | 'resume'): Promise<void> {
  if (!runs(one)) throw new VmmError('CONTAINER_STATE', `container ${text} does not run`);
  await ask(one, state, { ask: what });
}

export function ask({ record }: Container, state: StateFolder, what: Ask): Promise<{ readonly status?: number | undefined } | undefined> {
  return askOwner(state.socket(record.id), what);
}

interface LogsOptions {
  readonly root: string | undefined;
  readonly follow: boolean;
  readonly tail: number | undefined;
  /** Ms since 1970. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  readonly timestamps: boolean;
}

async function logs([text = '']: readonly string[], { root, follow, tail = MANY, since = 0, until = MANY, timestamps }: LogsOptions): Promise<number> {
  const state = new StateFolder(root);
  const { record } = await state.find(text);
  if (record.log?.driver === 'none') throw new VmmError('CONTAINER_STATE', `container ${text} keeps no log`, { hint: 'it was made with --log-driver none' });
  const kept: (() => void)[] = [];
  let coming = false;
  const more = async (): Promise<boolean> => {
    if (!coming) for (const put of kept.splice(0)) put();
    coming = true;
    if (!follow || Date.now() > until || !((one) => one !== undefined && runs(one))(await state.read(record.id))) return false;
    await sleep(LOOK_MS);
    return true;
  };
  for await (const { log, stream, time } of readLogs(state.folder(record.id), more)) {
    const at = Date.parse(time);
    if (at < since || at > until) continue;
    const put = (): void => (stream === 'stdout' ? print : tell)(timestamps ? `${time} ${log}` : log);
    if (coming || tail === MANY) put();
    else kept.push(put);
    if (!coming && kept.length > tail) kept.shift();
  }
  return 0;
}

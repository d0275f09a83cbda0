import { setTimeout as sleep } from 'node:timers/promises';
import { signalNumber } from '../api/process.ts';
import { VmmError } from '../api/errors.ts';
import { type Ask, askOwner, type Container, readLogs, runs, StateFolder } from '../api/owner.ts';
import { HELP } from './common-options.ts';
import { describeError } from './describe.ts';
import { type Command, flag, list, value } from './options.ts';
import { print, tell } from './output.ts';
import { ATTACH_COMMAND } from './attach.ts';
import { EXEC_COMMAND } from './exec.ts';
import { ROOT } from './state-option.ts';
import { STOP_SECONDS } from './owner-ask.ts';
import { parseSeconds } from './sizes.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';

const MANY = Number.POSITIVE_INFINITY;
export const NAMES = [1, MANY, 'one container or more'] as const;
/** How often a log that is followed is looked at, ms. */
const LOOK_MS = 100;
const SHORT = 12;

function lineCount(text: string, option: string): number {
  if (text === 'all') return MANY;
  if (!/^\d{1,9}$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is no number of lines`, { hint: 'for example 100, or all' });
  return Number(text);
}

function psFilter(text: string, option: string): readonly [string, string] {
  const [key = ''] = text.split('=', 1);
  if (!['name', 'id', 'status', 'label'].includes(key) || !text.includes('=')) throw new VmmError('USAGE', `${option}: ${text} is not understood`, { hint: 'name=…, id=…, status=…, label=KEY[=VALUE]' });
  return [key, text.slice(key.length + 1)];
}

const FOLLOW = { root: ROOT, follow: flag('go on with what comes, until the container ends', { short: 'f' }), tail: value('N', 'the last lines only', lineCount, { short: 'n' }), timestamps: flag('with their times', { short: 't' }), help: HELP };
const PS = {
  root: ROOT,
  all: flag('those that have ended, too', { short: 'a' }),
  filter: list('KEY=VALUE', 'choose: name, id, status, label', psFilter, { short: 'f' }),
  format: value('TEMPLATE', 'a Go template of .ID .Image .Command .CreatedAt .State .Status .Names .Labels, or json'),
  noTrunc: flag('whole ids'),
  quiet: flag('ids only', { short: 'q' }),
  help: HELP,
};
const STOP = { root: ROOT, time: value('SECONDS', 'how long it may take before it is killed (default: --stop-timeout of its run, or 10)', parseSeconds, { short: 't' }), help: HELP };
const KILL = { root: ROOT, signal: value('SIGNAL', 'the signal (default KILL)', signalNumber, { short: 's' }), help: HELP };
const INSPECT = { root: ROOT, format: value('TEMPLATE', 'a Go template, or json', undefined, { short: 'f' }), help: HELP };
const WAIT = { root: ROOT, help: HELP };

const COMMANDS: readonly Subcommand[] = [
  subcommand({ name: 'ps', synopsis: '[OPTIONS]', about: 'Lists containers.', options: PS }, [0, 0, 'no argument'], async (_, options) => {
    const wanted = (one: Container): boolean => (options.all || options.filter.some(([key]) => key === 'status') || runs(one)) && options.filter.every(([key, text]) => matches(one, key, text));
    const rows = (await new StateFolder(options.root).list()).filter(wanted).map((one) => rowOf(one, options.noTrunc));
    if (options.quiet) print(rows.map(({ ID }) => `${ID}\n`).join(''));
    else print(formatRows(options.format ?? 'table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.CreatedAt}}\\t{{.Status}}\\t{{.Names}}', rows, { ID: 'CONTAINER ID', CreatedAt: 'CREATED' }));
    return 0;
  }),
  subcommand({ name: 'logs', synopsis: '[OPTIONS] CONTAINER', about: 'Prints what a container has written.', options: FOLLOW }, [1, 1, 'one container'], logs),
  subcommand({ name: 'stop', synopsis: '[OPTIONS] CONTAINER…', about: 'Sends the stop signal, and kills what does not heed it.', options: STOP }, NAMES, (names, { root, time }) =>
    each(root, names, async (one, state) => {
      if (runs(one)) await ask(one, state, { ask: 'stop', seconds: time ?? one.record.stopTimeout ?? STOP_SECONDS });
    })),
  subcommand({ name: 'kill', synopsis: '[OPTIONS] CONTAINER…', about: 'Sends a signal.', options: KILL }, NAMES, (names, { root, signal }) =>
    each(root, names, async (one, state, text) => {
      if (one.state !== 'running') throw new VmmError('CONTAINER_STATE', `container ${text} does not run`);
      await ask(one, state, { ask: 'signal', signal: signal ?? 9 });
    })),
  subcommand({ name: 'wait', synopsis: 'CONTAINER…', about: 'Waits until containers end, and prints their exit statuses.', options: WAIT }, NAMES, (names, { root }) =>
    each(root, names, async (one, state) => {
      const told = runs(one) ? await ask(one, state, { ask: 'wait' }) : undefined;
      return `${told?.status ?? (await state.read(one.record.id))?.end?.status ?? 137}`;
    })),
  subcommand({ name: 'inspect', synopsis: '[OPTIONS] CONTAINER…', about: 'Prints what is known of containers, as JSON.', options: INSPECT }, NAMES, inspect),
  EXEC_COMMAND,
  ATTACH_COMMAND,
];

/** `vmm ps` and its like. */
export function containersCommand(name: string, argv: readonly string[]): Promise<number> {
  return (COMMANDS.find(({ command }) => command.name === name) as Subcommand).start(argv);
}

/** Their tables. */
export function containersCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

/** As Docker: each by itself, its name printed when it went well; one that failed is told (`work` gives false when it has done so), and the others go on. */
export async function each(root: string | undefined, names: readonly string[], work: (one: Container, state: StateFolder, text: string) => Promise<unknown>, printed = true): Promise<number> {
  const state = new StateFolder(root);
  let failed = 0;
  for (const text of names) {
    try {
      const said = await work(await state.find(text), state, text);
      if (said === false) failed = 1;
      else if (printed) print(`${typeof said === 'string' ? said : text}\n`);
    } catch (error) {
      if (!(error instanceof VmmError) || error.code === 'OUTPUT_WRITE') throw error;
      tell(describeError(error));
      failed = 1;
    }
  }
  return failed;
}

export function ask({ record }: Container, state: StateFolder, what: Ask): Promise<{ readonly status?: number | undefined } | undefined> {
  return askOwner(state.socket(record.id), what);
}

function matches({ record, state }: Container, key: string, text: string): boolean {
  if (key === 'name') return record.name.includes(text);
  if (key === 'id') return record.id.startsWith(text);
  if (key === 'status') return state === text;
  const [label = '', ...rest] = text.split('=');
  return Object.hasOwn(record.labels, label) && (rest.length === 0 || record.labels[label] === rest.join('='));
}

function statusText({ state, life, end }: Container): string {
  switch (state) {
    case 'created':
      return 'Created';
    case 'running':
      return 'Up';
    case 'restarting':
      return `Restarting (${life?.end?.status})`;
    case 'exited':
      return `Exited (${end?.status})`;
    case 'dead':
      return 'Dead';
  }
}

function rowOf(one: Container, whole: boolean): Record<string, unknown> {
  const { record, state } = one;
  return {
    ID: whole ? record.id : record.id.slice(0, SHORT),
    Image: record.image,
    Command: JSON.stringify(record.command.join(' ')),
    CreatedAt: record.created,
    State: state,
    Status: statusText(one),
    Names: record.name,
    Labels: record.labels,
  };
}

async function logs([text = '']: readonly string[], { root, follow, tail = MANY, timestamps }: { root: string | undefined; follow: boolean; tail: number | undefined; timestamps: boolean }): Promise<number> {
  const state = new StateFolder(root);
  const { record } = await state.find(text);
  const kept: (() => void)[] = [];
  let coming = false;
  const more = async (): Promise<boolean> => {
    if (!coming) for (const put of kept.splice(0)) put();
    coming = true;
    if (!follow || !((one) => one !== undefined && runs(one))(await state.read(record.id))) return false;
    await sleep(LOOK_MS);
    return true;
  };
  for await (const { log, stream, time } of readLogs(state.folder(record.id), more)) {
    const put = (): void => (stream === 'stdout' ? print : tell)(timestamps ? `${time} ${log}` : log);
    if (coming || tail === MANY) put();
    else kept.push(put);
    if (!coming && kept.length > tail) kept.shift();
  }
  return 0;
}

async function inspect(names: readonly string[], { root, format }: { root: string | undefined; format: string | undefined }): Promise<number> {
  const state = new StateFolder(root);
  const rows = [];
  for (const text of names) {
    const { record, state: status, life, end } = await state.find(text);
    rows.push({
      Id: record.id,
      Name: `/${record.name}`,
      Created: record.created,
      Image: record.imageId,
      Args: record.command,
      RestartCount: life?.restarts ?? 0,
      State: { Status: status, Running: status === 'running' || status === 'restarting', Restarting: status === 'restarting', Dead: status === 'dead', Pid: status === 'running' ? (life?.pid ?? 0) : 0, OOMKilled: end?.outOfMemory ?? false, ExitCode: end?.status ?? 0, Error: end?.error ?? '', StartedAt: life?.started ?? '', FinishedAt: end?.finished ?? '' },
      HostConfig: { AutoRemove: record.autoRemove, RestartPolicy: { Name: record.restart.name, MaximumRetryCount: record.restart.most } },
      Config: { Image: record.image, Env: record.env, Labels: record.labels, Cmd: record.command, StopTimeout: record.stopTimeout },
    });
  }
  print(format === undefined ? `${JSON.stringify(rows, null, 4)}\n` : formatRows(format, rows));
  return 0;
}

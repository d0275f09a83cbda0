import { VmmError } from '../api/errors.ts';
import { StateFolder, talkToOwner } from '../api/owner.ts';
import { HELP } from './common-options.ts';
import { converse, type Ended } from './converse.ts';
import { DETACH_KEYS, detachKeys } from './keys.ts';
import { flag, value } from './options.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const OPTIONS = {
  root: ROOT,
  detachKeys: value('KEYS', 'keys that leave it running (default ctrl-p,ctrl-q)', detachKeys),
  noStdin: flag('do not pass our standard input on'),
  sigProxy: { ...flag('pass signals on (default true)'), initial: true },
  help: HELP,
};

export const ATTACH_COMMAND: Subcommand = subcommand(
  { name: 'attach', synopsis: '[OPTIONS] CONTAINER', about: 'Joins our standard streams to those of a container that runs; the exit status is the container’s.', options: OPTIONS },
  [1, 1, 'one container'],
  async ([name = ''], options) => {
    const state = new StateFolder(options.root);
    const ended = await attachTo(state.socket(state.locate(name)), { ...options, input: !options.noStdin, what: `container ${name}` });
    return ended === 'detached' ? 0 : ended.status;
  },
);

export interface AttachOptions {
  readonly input: boolean;
  /** What of its output is left out. */
  readonly without?: readonly ('stdout' | 'stderr')[] | undefined;
  readonly detachKeys?: readonly number[] | undefined;
  readonly sigProxy: boolean;
  /** The container goes with us: the third SIGINT within two seconds ends it, as the end of our terminal does. */
  readonly bound?: boolean | undefined;
  readonly what: string;
}

/** Joins our streams to those of the container with this socket, until it ends or the user leaves. Throws CONTAINER_STATE and what the owner says. */
export async function attachTo(path: string, { input, without, detachKeys: keys = DETACH_KEYS, sigProxy, bound = false, what }: AttachOptions): Promise<Ended> {
  const ours = process.stdin.isTTY && process.stdout.isTTY ? await (await import('./terminal.ts')).ownTerminal() : undefined;
  const size = ours?.size();
  const talk = await talkToOwner(path, { ask: 'attach', stdin: input, ...(size === undefined ? {} : { size }) });
  if (talk === undefined) throw new VmmError('CONTAINER_STATE', `${what} does not run`);
  const { tty, stdin } = talk.answer;
  const terminal = tty ? ours : undefined;
  const reads = input && stdin === true;
  return converse(talk.channel, { input: reads, without, terminal, detachKeys: keys, signals: sigProxy && (bound || terminal === undefined || !reads), bound, what });
}

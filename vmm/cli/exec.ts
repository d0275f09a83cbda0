import { VmmError } from '../api/errors.ts';
import { type ExecAsk, Refused, StateFolder, talkToOwner } from '../api/owner.ts';
import { askedVariables } from '../api/process.ts';
import { converse } from './converse.ts';
import { describeError } from './describe.ts';
import { DETACH_KEYS, detachKeys } from './keys.ts';
import { HELP } from './common-options.ts';
import { type Command, flag, list, type OptionValues, value } from './options.ts';
import { tell } from './output.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { hostVariable } from './variable.ts';

const OPTIONS = {
  root: ROOT,
  detach: flag('do not wait for the command', { short: 'd' }),
  detachKeys: value('KEYS', 'keys that leave it running (default ctrl-p,ctrl-q)', detachKeys),
  env: list('NAME[=VALUE]', 'set a variable (without a value: the host’s)', undefined, { short: 'e' }),
  envFile: list('FILE', 'read variables from a file'),
  interactive: flag('keep stdin open and pass it on', { short: 'i' }),
  privileged: flag('all capabilities; calls that the container’s filter refuses stay refused'),
  tty: flag('give the command a terminal', { short: 't' }),
  user: value('USER[:GROUP]', 'user and group (default the container’s)', undefined, { short: 'u' }),
  workdir: value('DIR', 'working directory (default the container’s)', undefined, { short: 'w' }),
  help: HELP,
};
const EXEC: Command<typeof OPTIONS> = {
  name: 'exec',
  synopsis: '[OPTIONS] CONTAINER COMMAND [ARG…]',
  about: 'Runs a command in a container that runs. The exit status is the command’s; 126: it cannot be executed, 127: there is none, 125: vmm’s own.',
  options: OPTIONS,
  stopAtArgument: true,
};

export const EXEC_COMMAND: Subcommand = subcommand(EXEC, [2, Number.POSITIVE_INFINITY, 'a container and a command'], exec);

async function exec([name = '', ...args]: readonly string[], options: OptionValues<typeof OPTIONS>): Promise<number> {
  const { interactive, detach, tty } = options;
  const stdin = interactive && !detach;
  if (tty && stdin && !process.stdin.isTTY) throw new VmmError('USAGE', 'the input device is not a terminal', { hint: 'leave -t away' });
  // Only a terminal needs these.
  const terminal = tty && !detach ? await (await import('./terminal.ts')).ownTerminal() : undefined;
  const size = terminal?.size();
  const ask: ExecAsk = {
    ask: 'exec', args, env: askedVariables({ ...options, envFiles: options.envFile, host: hostVariable }), user: options.user, cwd: options.workdir, privileged: options.privileged,
    stdin, tty, detach, ...(size === undefined ? {} : { size }),
  };
  const state = new StateFolder(options.root);
  try {
    const talk = await talkToOwner(state.socket(state.locate(name)), ask);
    if (talk === undefined) throw new VmmError('CONTAINER_STATE', `container ${name} does not run`);
    if (detach) {
      talk.channel.destroy();
      return 0;
    }
    const ended = await converse(talk.channel, { input: stdin, terminal, detachKeys: options.detachKeys ?? DETACH_KEYS, signals: terminal === undefined || !stdin, what: `container ${name}` });
    return ended === 'detached' ? 0 : ended.status;
  } catch (error) {
    if (!(error instanceof Refused) || error.status === undefined) throw error;
    tell(describeError(error));
    return error.status;
  }
}

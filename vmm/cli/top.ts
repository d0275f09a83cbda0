import { VmmError } from '../api/errors.ts';
import { StateFolder } from '../api/owner.ts';
import { ownCommand } from './own-command.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { print } from './output.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';

/** Of the kernel's figures (USER_HZ). */
const TICKS = 100;
const MAX_BYTES = 8 << 20;
const TABLE = 'table {{.UID}}\\t{{.PID}}\\t{{.PPID}}\\t{{.STAT}}\\t{{.TTY}}\\t{{.TIME}}\\t{{.CMD}}';

export const TOP_COMMAND: Subcommand = subcommand({ name: 'top', synopsis: 'CONTAINER', about: 'Shows the processes of a container, by their numbers in it.', options: { root: ROOT, help: HELP } }, [1, 1, 'one container'], async ([name = ''], { root }) => {
  const state = new StateFolder(root);
  let text = '';
  const { status, said } = await ownCommand(state.socket(state.locate(name)), name, ['processes'], {
    output: (bytes) => {
      text += bytes.toString();
      if (text.length > MAX_BYTES) throw new VmmError('COPY_GUEST', `container ${name} tells of too many processes`);
    },
  });
  if (status !== 0) throw new VmmError('COPY_GUEST', `container ${name}: ${said}`);
  const rows = text.split('\n').map(processOf).filter((row) => row !== undefined);
  print(formatRows(TABLE, rows as Record<string, unknown>[]));
  return 0;
});

/** proc(5), /proc/PID/stat: the name stands in brackets, and may hold anything. Undefined for what is no such line. */
export function processOf(line: string): Record<string, string> | undefined {
  const [uid = '', stat = '', command = ''] = line.split('\0');
  const match = /^(\d{1,10}) \((.*)\) (\S) (\d{1,10}) \d+ \d+ (-?\d{1,10}) (?:\S+ ){6}(\d{1,15}) (\d{1,15}) /.exec(stat);
  if (match === null || !/^\d{1,10}$/.test(uid)) return undefined;
  const [, PID = '', comm = '', STAT = '', PPID = '', tty, user, system] = match;
  const seconds = Math.floor((Number(user) + Number(system)) / TICKS);
  const two = (value: number): string => `${value}`.padStart(2, '0');
  return {
    UID: uid, PID, PPID, STAT: oneLine(STAT), TTY: terminalName(Number(tty)),
    TIME: `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`,
    CMD: oneLine(command === '' ? `[${comm}]` : command),
  };
}

/** Major 136 to 143: pts. */
function terminalName(device: number): string {
  const major = (device >> 8) & 0xfff;
  return major >= 136 && major <= 143 ? `pts/${(major - 136) * 1_048_576 + ((device & 0xff) | ((device >>> 12) & 0xfff00))}` : '?';
}

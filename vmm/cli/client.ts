/**
 * The program of commands that only ask: it is small, since each of their starts is waited for (`vmm exec` in a loop, `ps` in a prompt). The door
 * (bin/vmm.js) knows their names.
 */
import { containersCommand } from './containers.ts';
import { RUN_HERE } from './owner-ask.ts';
import { runProgram } from './program.ts';

/** Keeps V8's code of what has run so far, where the door has found none. */
declare const __keepCode: (() => void) | undefined;
if (__keepCode !== undefined) process.once('exit', __keepCode);

/** Has the door load the whole program. */
declare const __whole: () => void;

void runProgram(async ([name = '', ...rest]) => {
  if (name !== 'run') return containersCommand(name, rest);
  const status = await (await import('./run-joined.ts')).runJoined(rest);
  if (status !== undefined) return status;
  process.argv[2] = RUN_HERE;
  __whole();
  // The status is its own.
  return new Promise<number>(() => {});
});

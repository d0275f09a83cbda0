/**
 * The program of commands that only ask: it is small, since each of their starts is waited for (`vmm exec` in a loop, `ps` in a prompt). The door
 * (bin/vmm.js) knows their names.
 */
import { containersCommand } from './containers.ts';
import { runProgram } from './program.ts';

/** Keeps V8's code of what has run so far, where the door has found none. */
declare const __keepCode: (() => void) | undefined;
if (__keepCode !== undefined) process.once('exit', __keepCode);

void runProgram(([name = '', ...rest]) => containersCommand(name, rest));

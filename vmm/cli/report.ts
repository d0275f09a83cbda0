import type { MachineResult } from '../api/machine.ts';
import { machineStatus } from '../api/status.ts';
import { oneLine } from './describe.ts';
import { tell } from './output.ts';

/** Says in words how a machine ended, where that is not a plain power-off, and gives the status. */
export function report(result: MachineResult): number {
  const words = wordsOf(result);
  if (words !== undefined) tell(`vmm: ${oneLine(words)}\n`);
  // Names in it may come from a stranger's kernel.
  if ('dump' in result) tell(result.dump.split('\n').map(oneLine).join('\n'));
  return machineStatus(result);
}

/** What the status does not say by itself. */
function wordsOf(result: MachineResult): string | undefined {
  switch (result.kind) {
    case 'panic':
      return 'the guest\'s kernel panicked';
    case 'stop-at':
      return 'stopped at the count that --stop-at names, or where the recorded run was broken off';
    case 'triple-fault':
      return 'triple fault: an exception while the CPU delivered a double fault';
    case 'accel-error':
      return result.reason;
    default:
      return undefined;
  }
}

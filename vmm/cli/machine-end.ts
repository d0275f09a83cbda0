import { constants } from 'node:os';
import { type MachineResult, nameAddresses, ownSymbols } from '../api/machine.ts';
import { guestLines } from './describe.ts';
import { tell } from './output.ts';
import { report } from './report.ts';
import { STATUS_OK, STATUS_REBOOT, STATUS_VMM_ERROR } from './status.ts';

/** The status where the machine ended before what ran in it, with what is to be said about it. */
export function endedBefore({ result, console }: { readonly result: MachineResult; readonly console: string }, what: string): number {
  if (result.kind === 'stopped') return 128 + constants.signals.SIGKILL; // by a debugger
  tell(guestLines(named(console)));
  const status = report(result);
  if (status !== STATUS_OK && status !== STATUS_REBOOT) return status;
  tell(`vmm: the machine ended before the ${what} did\n`);
  return STATUS_VMM_ERROR;
}

/** The kernel's messages with the names of its addresses, where our set-up has them. */
function named(messages: string): string {
  const symbols = ownSymbols();
  return symbols === undefined ? messages : nameAddresses(messages, symbols);
}

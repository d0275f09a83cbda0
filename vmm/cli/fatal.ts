import { exitNow } from '../host/sys.ts';
import { describeError } from './describe.ts';
import { tell } from './output.ts';
import { STATUS_VMM_ERROR } from './status.ts';
import { restoreTerminals } from './terminal.ts';

/** Ends the process for an error that nobody caught: the terminal as it was, one line, and no waiting for guests or I/O. */
export function dieOf(error: unknown): never {
  restoreTerminals();
  tell(describeError(error));
  try {
    process.emit('exit', STATUS_VMM_ERROR); // temporary files go
    exitNow(STATUS_VMM_ERROR);
  } catch {
    // Without the FFI there is no KVM, and no thread that cannot be ended.
    process.exit(STATUS_VMM_ERROR);
  }
}

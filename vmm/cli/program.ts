/** What a program does around its command: status, errors, words that Node cannot read. */
import { describeError } from './describe.ts';
import { ReaderGone, tell } from './output.ts';
import { STATUS_READER_GONE, STATUS_VMM_ERROR } from './status.ts';

/** Variables that name folders. */
const FOLDERS = ['VMM_STORE', 'VMM_TMPDIR', 'TMPDIR', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'HOME'];

/** Where Node puts U+FFFD the bytes may be other ones, and a path another file. Throws USAGE. */
async function refuseLostBytes(argv: readonly string[]): Promise<void> {
  const folder = FOLDERS.find((name) => process.env[name]?.includes('\ufffd'));
  if (folder === undefined && !argv.some((word) => word.includes('\ufffd'))) return;
  const bytes = await import('./bytes.ts');
  bytes.refuseLostArguments();
  if (folder !== undefined) bytes.refuseLostVariable(folder);
}

/** Ends the process with the status that the command gives. */
export async function runProgram(dispatch: (argv: readonly string[]) => Promise<number>): Promise<void> {
  // A defect: Node's own way out would wait for a thread that is in a guest.
  process.on('uncaughtException', (error) => void import('./fatal.ts').then(({ dieOf }) => dieOf(error)));
  // What a run whose promise never settles would end with, were it to leave nothing that keeps the process alive.
  process.exitCode = STATUS_VMM_ERROR;
  const argv = process.argv.slice(2);
  try {
    await refuseLostBytes(argv);
    process.exitCode = await dispatch(argv);
  } catch (error) {
    if (error instanceof ReaderGone) process.exitCode = STATUS_READER_GONE;
    else {
      tell(describeError(error));
      process.exitCode = STATUS_VMM_ERROR;
    }
  }
}

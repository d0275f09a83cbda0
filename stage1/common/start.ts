import { Failure, oneLine, STATUS_FAILED } from './failure.ts';

/** Runs an entry point: its status is the process's, and what it cannot do is one line. */
export function start(entry: (argv: readonly string[]) => Promise<number>): void {
  entry(process.argv.slice(2)).then(
    (status) => {
      process.exitCode = status;
    },
    (error: unknown) => {
      // VmmError and the system's errors have codes.
      const known = error instanceof Failure || (error as { code?: unknown }).code !== undefined;
      process.stderr.write(`stage1: ${known ? oneLine((error as Error).message) : String((error as Error).stack)}\n`);
      process.exitCode = STATUS_FAILED;
    },
  );
}

import type { ContainerRecord } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { RUN, type RunOptions } from './run-options.ts';

/** What a container was asked for, with what `vmm update` has changed since. */
export function optionsOf(record: ContainerRecord): { readonly options: RunOptions; readonly operands: readonly string[] } {
  const { options, operands } = parseArgs(record.argv, RUN);
  return { options: { ...options, ...(record.updated as Partial<RunOptions> | undefined) }, operands };
}

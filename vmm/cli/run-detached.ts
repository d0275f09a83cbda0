import { hostFs } from '../api/images.ts';
import { makeContainer } from './create.ts';
import { print } from './output.ts';
import type { RunOptions } from './run-options.ts';
import { startOwner } from './start-owner.ts';

/** `vmm run -d`: a container that is kept, an owner process, and the container's id once the command runs. */
export async function runDetached(argv: readonly string[], options: RunOptions, operands: readonly string[]): Promise<number> {
  const { state, record } = await makeContainer(argv, options, operands);
  const status = await startOwner(state, record.id);
  if (status === 0) print(`${record.id}\n`);
  else if (options.rm) await state.remove(record.id, hostFs);
  return status;
}

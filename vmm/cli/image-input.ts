import { VmmError } from '../api/errors.ts';
import { hostFs, type ImageStore, type ResolveOptions } from '../api/images.ts';
import { spoolInput } from '../api/store.ts';
import { oneLine } from './describe.ts';
import { tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { keepHeapSmall } from './small-heap.ts';

/** What an import tells on the way. */
export function importing(store: ImageStore, quiet: boolean): { line: ProgressLine; options: ResolveOptions & { store: ImageStore } } {
  keepHeapSmall();
  const line = new ProgressLine();
  const note = (text: string): void => {
    line.clear();
    if (!quiet) tell(`vmm: ${oneLine(text)}\n`);
  };
  return { line, options: { store, host: hostFs, note, ...(quiet ? {} : { progress: line.update }) } };
}

/** Runs `action` with the path of what comes on standard input, which errors call `-`. */
export async function withStandardInput<T>(command: string, options: ResolveOptions & { store: ImageStore }, action: (path: string) => Promise<T>): Promise<T> {
  if (process.stdin.isTTY) throw new VmmError('USAGE', `${command} reads an archive from standard input, which is a terminal`, { hint: `for example: docker save debian | vmm ${command}` });
  const input = await spoolInput(options.store, process.stdin, options.progress);
  try {
    return await action(input.path);
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    throw new VmmError(error.code, error.message.replaceAll(input.path, '-'), { cause: error.cause, ...(error.hint === undefined ? {} : { hint: error.hint }) });
  } finally {
    input.close();
  }
}

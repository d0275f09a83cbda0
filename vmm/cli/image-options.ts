import { VmmError } from '../api/errors.ts';
import { hostFs, type ImageStore, type ResolveOptions } from '../api/images.ts';
import { spoolInput } from '../api/store.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { flag, type OptionValues, value } from './options.ts';
import { tell } from './output.ts';
import { ProgressLine } from './progress.ts';

/** Every command takes all of these, and heeds those that it has. */
export const IMAGE_OPTIONS = {
  all: flag('every image', { short: 'a' }),
  force: flag('without a question: there is none', { short: 'f' }),
  quiet: flag('less output', { short: 'q' }),
  input: value('FILE', 'the archive to read', undefined, { short: 'i' }),
  output: value('FILE', 'the archive to write', undefined, { short: 'o' }),
  noTrunc: flag('whole lines'),
  repair: flag('mend what is damaged'),
  data: flag('compare disks with their layers'),
  help: HELP,
};
export type ImageOptions = OptionValues<typeof IMAGE_OPTIONS>;

/** What an import tells on the way. */
export function importing(store: ImageStore, quiet: boolean): { line: ProgressLine; options: ResolveOptions & { store: ImageStore } } {
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

/** Rows as lines whose columns are as wide as they have to be. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 2))).join('')}\n`).join('');
}

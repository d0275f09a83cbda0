import { VmmError } from '../api/errors.ts';
import { describeError } from './describe.ts';
import { tell } from './output.ts';
import { STATUS_VMM_ERROR } from './status.ts';

export interface EachOf {
  /** Exit status when one has failed. */
  readonly failed: number;
  /** Codes of errors that the rest would meet as well: such a one is thrown, and ends all. Without: where output goes. */
  readonly ends?: RegExp;
  /** The code of an error that is told, and no failure. */
  readonly harmless?: string;
}

/** As Docker: one after the other. What fails is told at once (`work` gives false when it has told), and the others go on. Gives the exit status. Throws what `work` throws beside VmmError. */
export async function eachOf(names: readonly string[], { failed, ends = /^OUTPUT_WRITE$/, harmless }: EachOf, work: (name: string) => unknown): Promise<number> {
  let status = 0;
  for (const name of names) {
    try {
      if ((await work(name)) === false) status = failed;
    } catch (error) {
      if (!(error instanceof VmmError) || ends.test(error.code)) throw error;
      tell(describeError(error));
      if (error.code !== harmless) status = failed;
    }
  }
  return status;
}

/** For images: a store that cannot be changed is one for all of them. */
export const OF_IMAGES: EachOf = { failed: STATUS_VMM_ERROR, ends: /^(STORE|OUTPUT)_/ };
